"""How values are written where somebody will copy them: as words of a shell, as YAML, as Python source."""

from __future__ import annotations

import keyword
import math
import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import yaml

WIDTH = 88


def option(name: str, value: str) -> list[str]:
    """Return the words of an option; a value that begins with a dash can't be taken for another option."""
    return [f"{name}={value}"] if value.startswith("-") else [name, value]


def wrapped(groups: Sequence[Sequence[str]]) -> str:
    """Return words, quoted for the shell, as one command; groups stay together on its lines."""
    lines = [""]
    for text in (shlex.join(group) for group in groups):
        if lines[-1].strip() and len(lines[-1]) + len(text) + 3 > WIDTH:
            lines.append("   ")
        lines[-1] += f" {text}" if lines[-1] else text
    return " \\\n".join(lines)


def as_yaml(value: Any) -> str:
    """Return a value as ``--load-arg`` reads it: plain text where that means the same."""
    try:
        if isinstance(value, str) and yaml.safe_load(value) == value:
            return value
    # What looks like a date and is none is a ValueError.
    except (yaml.YAMLError, ValueError):
        pass
    return yaml.safe_dump(value, default_flow_style=True, width=math.inf).removesuffix("\n").removesuffix("\n...")


def literal(value: Any) -> str:
    """Return a value as Python source; texts in double quotes where they need no escapes."""
    if isinstance(value, dict):
        return f"{{{', '.join(f'{literal(key)}: {literal(one)}' for key, one in value.items())}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(literal, value))}]"
    if isinstance(value, float) and not math.isfinite(value):
        return f'float("{value}")'
    if isinstance(value, str) and not set(value) & set("'\"\\"):
        return f'"{repr(value)[1:-1]}"'
    return repr(value)


def is_name(text: object) -> bool:
    """Tell whether a text can name an argument."""
    return isinstance(text, str) and text.isascii() and text.isidentifier() and not keyword.iskeyword(text)


def keywords(values: Mapping[str, Any]) -> list[str]:
    """Return values as keyword arguments; those whose names can't be written so, in a dictionary."""
    plain = [f"{name}={literal(value)}" for name, value in values.items() if is_name(name)]
    rest = {name: value for name, value in values.items() if not is_name(name)}
    return [*plain, *([f"**{literal(rest)}"] if rest else [])]


def bracketed(opening: str, parts: Iterable[str], closing: str, indent: int = 0) -> str:
    """Return parts in brackets, on one line where they fit, else each on its own."""
    listed = list(parts)
    line = f"{opening}{', '.join(listed)}{closing}"
    if len(line) + indent <= WIDTH and "\n" not in line:
        return line
    space = " " * (indent + 4)
    return "\n".join([opening, *(f"{space}{part}," for part in listed), " " * indent + closing])
