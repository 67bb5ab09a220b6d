"""Tables of the documentation that are generated from the code."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from picasso import config
from picasso.explanation.registry import Registry
from picasso.visualizations import BaseVisualization

# Parts of a help text that are marked as code: an assignment, a dotted name, a call, a key.
CODE = re.compile(r"[A-Z_]{5,} = \{.*\}|\b(?:\w+\.){2,}\w+|\b\w+\(\)|\b[A-Z]+(?:_[A-Z]+)+\b|\"\"")


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def code(text: str) -> str:
    """Return ``text`` as Markdown code."""
    return f"`{text}`"


def with_code(sentence: str) -> str:
    """Return a sentence with its keys, names and assignments marked as code."""
    return CODE.sub(lambda match: code(match.group()), sentence)


def settings() -> str:
    """Return the table of all settings."""
    rows = [
        (code(name), type(default).__name__, code(config.format_value(default)), with_code(help_of(name)))
        for name, default in config.DEFAULTS.items()
    ]
    return table(("Setting", "Type", "Default", "Description"), rows)


def help_of(name: str) -> str:
    """Return the help text of a setting."""
    return str(config.FIELDS[name].metadata["help"])


def replaced() -> str:
    """Return the table of the keys of the original Picasso that changed."""
    rows = [(code(key), with_code(now)) for key, now in config.REPLACED.items()]
    return table(("Key of the original", "Now"), rows)


def settings_of(visualization: type[BaseVisualization]) -> str:  # type: ignore[type-arg]
    """Return the table of a visualization's settings."""
    rows = [
        (code(name), code(control.show(control.default)), control.allowed(), control.help)
        for name, control in visualization.ALLOWED_SETTINGS.controls().items()
    ]
    return table(("Setting", "Default", "Values", "Description"), rows)


def substitutions() -> dict[str, str]:
    """Return every table by its name in the pages."""
    made = {"settings": settings(), "replaced": replaced()}
    for entry in Registry().entries():
        if entry.cls and entry.cls.ALLOWED_SETTINGS.controls():
            made[f"settings_of_{entry.name}"] = settings_of(entry.cls)
    return made
