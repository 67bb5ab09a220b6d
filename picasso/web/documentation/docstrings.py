"""The reference of Python names in the documentation: docstrings in Google's style, as Markdown."""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Callable, Iterator
from pkgutil import resolve_name
from typing import Any

# ".. autoclass:: picasso.Result", and the indented options below it.
DIRECTIVE = re.compile(r"^\.\. auto\w+:: (?P<name>[\w.]+)(?:\n|\Z)(?P<options>(?: +.*(?:\n|\Z))*)", re.MULTILINE)
MEMBERS = re.compile(r":members:(?P<names>[^:]*)")
SECTION = re.compile(r"^(Args|Attributes|Returns|Yields|Raises|Examples):$", re.MULTILINE)
# ":class:`~picasso.Panel`".
ROLE = re.compile(r":[\w:]+:`(?P<short>~?)(?P<name>[^`]+)`")
ENTRY = re.compile(r"(?P<names>\*{0,2}\w[\w, .*]*)(?: \([^)]*\))?: (?P<text>.*)", re.DOTALL)


def reference(text: str) -> str:
    """Return the Markdown of all names that the directives in ``text`` refer to.

    Examples:
        >>> from picasso.web.documentation.docstrings import reference
        >>> print(reference(".. autofunction:: picasso.web.documentation.docstrings.inline").splitlines()[2])
        **`inline(text)`**
    """
    named = DIRECTIVE.finditer(text)
    return "\n\n".join(part for found in named for part in described(found["name"], found["options"]))


def described(name: str, options: str) -> Iterator[str]:
    """Yield the Markdown of a function or a class, and of its members."""
    value = resolve_name(name)
    yield f"({name})=\n\n**{signature(name.rpartition('.')[2], value)}**"
    yield markdown(inspect.getdoc(value) or "")
    members = MEMBERS.search(options)
    if members:
        names = [one.strip() for one in members["names"].split(",") if one.strip()]
        for member in names or [key for key in vars(value) if not key.startswith("_")]:
            found = inspect.getattr_static(value, member, None)
            # Members that are only data are in the docstring of the class.
            if isinstance(found, (property, classmethod, staticmethod)) or inspect.isfunction(found):
                text = markdown(inspect.getdoc(getattr(value, member)) or "")
                yield f"**{signature(member, found)}**\n: {textwrap.indent(text, '  ').lstrip()}"


def signature(name: str, value: Any) -> str:
    """Return a name with its parameters and their defaults, as code."""
    if isinstance(value, property):
        return f"`{name}`"
    function: Callable[..., Any] = getattr(value, "__func__", value)
    found = inspect.signature(function)
    shown = [
        one.replace(annotation=inspect.Parameter.empty)
        for one in found.parameters.values()
        if one.name not in ("self", "cls")
    ]
    return f"`{name}{found.replace(parameters=shown, return_annotation=inspect.Signature.empty)}`"


def markdown(doc: str) -> str:
    """Return a docstring as Markdown."""
    first, *rest = SECTION.split(doc)
    parts = [inline(first.strip())]
    for title, body in zip(rest[::2], rest[1::2], strict=True):
        lines = textwrap.dedent(body.strip("\n")).rstrip()
        parts += [f"*{title}*", examples(lines) if title == "Examples" else listed(lines)]
    return "\n\n".join(part for part in parts if part)


def listed(body: str) -> str:
    """Return the entries of a section as a list; text without names stays a paragraph."""
    matches = [ENTRY.match(entry) for entry in re.split(r"\n(?=\S)", body)]
    if not all(matches):
        return inline(" ".join(body.split()))
    return "\n".join(f"- `{one['names']}`: {inline(' '.join(one['text'].split()))}" for one in matches if one)


def examples(body: str) -> str:
    """Return text with its examples as blocks of code."""
    parts = re.split(r"\n\n+", body)
    return "\n\n".join(f"```pycon\n{part}\n```" if part.startswith(">>>") else inline(part) for part in parts)


def inline(text: str) -> str:
    """Return text with reStructuredText's roles and literals as Markdown."""
    named = ROLE.sub(lambda found: f"`{found['name'].rpartition('.')[2] if found['short'] else found['name']}`", text)
    return named.replace("``", "`")
