"""The pages of the documentation and the files that they show, read once."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from flask import current_app

from picasso.config import PACKAGE
from picasso.errors import NotFound
from picasso.web.documentation import tables
from picasso.web.documentation.markdown import Rendered, directives, options_of, render

# A wheel holds a copy, which setup.py makes; a checkout has the original beside the package.
FOLDERS = (PACKAGE / "documentation", PACKAGE.parent / "docs")
SHOWN = (".png", ".svg", ".webp")


@dataclass(frozen=True)
class Group:
    """A part of the contents.

    Attributes:
        caption: its heading.
        pages: the name, the title and the depth of each page.
    """

    caption: str
    pages: list[tuple[str, str, int]]


@cache
def folder() -> Path:
    """Return the folder of the documentation.

    Raises:
        NotFound: this installation has none.
    """
    for one in FOLDERS:
        if (one / "index.md").is_file():
            return one
    raise NotFound("This installation has no documentation. Install Picasso from its wheel or from a checkout.")


@cache
def files() -> dict[str, Path]:
    """Return all files that are served, by address; no other file can be."""
    found = sorted(
        path for path in folder().rglob("*") if path.suffix in (".md", *SHOWN) and "_build" not in path.parts
    )
    return {path.relative_to(folder()).as_posix().removesuffix(".md"): path for path in found}


def file(name: str) -> Path:
    """Return a page or an image.

    Raises:
        NotFound: there is none of that name.
    """
    if name not in files():
        raise NotFound("The documentation has no page of that name. Its contents are at /documentation/.")
    return files()[name]


@cache
def page(name: str) -> Rendered:
    """Return a page as HTML.

    Raises:
        NotFound: there is none of that name.
    """
    path = file(name)
    return render(path.read_text(encoding="utf-8"), path.parent, substitutions())


@cache
def substitutions() -> dict[str, str]:
    """Return the tables that the pages include."""
    # The type of the proxy hides the application.
    return tables.substitutions(current_app._get_current_object())  # type: ignore[attr-defined]


@cache
def contents() -> list[Group]:
    """Return the contents: the groups of the first page, each page with those below it."""
    text = file("index").read_text(encoding="utf-8")
    return [
        Group(options_of(toctree).get("caption", ""), list(listed("index", toctree, 0)))
        for toctree in directives(text, "toctree")
    ]


def listed(parent: str, toctree: str, depth: int) -> Iterator[tuple[str, str, int]]:
    """Yield the pages of a list of contents, each followed by those below it."""
    base = parent.rpartition("/")[0]
    for line in toctree.splitlines():
        if line.strip() and not line.startswith(":"):
            name = f"{base}/{line.strip()}".lstrip("/")
            text = file(name).read_text(encoding="utf-8")
            title = re.search(r"^# (.+)$", text, re.MULTILINE)
            yield name, title[1] if title else name, depth
            for below in directives(text, "toctree"):
                yield from listed(name, below, depth + 1)
