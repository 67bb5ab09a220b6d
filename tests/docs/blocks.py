"""The pages of the documentation, and the fenced blocks in them.

Examples are fenced blocks. What happens to one of them is said by a comment in the line before it, which readers
do not see:

``% run``       executed, in the order of the page and in one namespace per page
``% compile``   compiled only, because it imports what is not here
``% settings``  read and checked as a settings file

Other comments name a block for the test that makes its text.

Every Python and YAML block must say which. Nothing here imports TensorFlow: ``load_model`` gives a NumPy model, and
the classes that examples derive from are NumPy models too. So an example that runs has the right calls, shapes and
types; that real models load is tested elsewhere. Lines of the shell are taken from ``console`` blocks.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PLUGINS = DOCS / "plugins"
PAGES = {
    page.relative_to(DOCS).as_posix(): page.read_text(encoding="utf-8")
    for page in [*sorted(DOCS.glob("*.md")), *sorted(DOCS.glob("*/*.md"))]
}
ADDRESS = "http://127.0.0.1:5000"

Array = NDArray[np.float32]

FENCE = re.compile(r"(?:^% (?P<mark>\w+)\n)?^```(?P<language>\w+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
# Names that the server makes up, so that those of an example stand for those of the test.
GENERATED = re.compile(r"[0-9a-f]{12,}")


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    page: str
    line: int
    mark: str
    language: str
    text: str

    def code(self) -> Any:
        return compile("\n" * self.line + self.text, str(DOCS / self.page), "exec", dont_inherit=True)


def read_blocks(page: str) -> list[Block]:
    text = PAGES[page]
    return [
        Block(page, text[: found.start("text")].count("\n"), found["mark"] or "", found["language"], found["text"])
        for found in FENCE.finditer(text)
    ]


BLOCKS = [block for page in PAGES for block in read_blocks(page)]


def block_of(mark: str) -> str:
    """Return the text of the only block with a mark."""
    (block,) = (one for one in BLOCKS if one.mark == mark)
    return block.text


def listed(numbers: Mapping[str, float]) -> list[str]:
    """Return numbers as a page shows them: one per line, by name, with three digits."""
    return [f"{name}  {value:.3g}" for name, value in sorted(numbers.items())]


def marked(mark: str) -> list[Any]:
    return [pytest.param(block, id=f"{block.page}:{block.line}") for block in BLOCKS if block.mark == mark]


def shell_lines(block: Block) -> list[list[str]]:
    """Return the commands that a console block shows, as words, without variables set before them."""
    lines = [line[2:] for line in block.text.replace("\\\n", " ").splitlines() if line.startswith("$ ")]
    return [[word for word in shlex.split(line) if not re.match(r"[A-Z_]+=", word)] for line in lines]


def commands(program: str) -> list[list[str]]:
    """Return the arguments of every line of the pages that starts a program."""
    lines = [line for block in BLOCKS if block.language == "console" for line in shell_lines(block)]
    return [line[1:] for line in lines if Path(line[0]).name == program]


def section(page: str, heading: str) -> str:
    """Return the part of a page below a heading, up to the next heading of the same or a higher level."""
    text = PAGES[page]
    level = len(heading) - len(heading.lstrip("#"))
    match = re.search(rf"^{re.escape(heading)}$(.*?)(?=^#{{1,{level}}} |\Z)", text, re.MULTILINE | re.DOTALL)
    assert match, f"{page} has no section {heading}"
    return match[1]


def readme(language: str) -> list[str]:
    """Return the blocks of the README in a language."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    return [found["text"] for found in FENCE.finditer(text) if found["language"] == language]


def run_page(page: str) -> dict[str, Any]:
    """Execute the blocks of a page that are marked so and return what they defined."""
    module = ModuleType("example")
    for block in read_blocks(page):
        if block.mark == "run":
            exec(block.code(), vars(module))  # noqa: S102 - our own documentation
    return vars(module)
