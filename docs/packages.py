"""Draw the packages and the imports between them: ``python docs/packages.py`` writes ``docs/packages.svg``.

The drawing is made from the imports themselves, so it can't be out of date: a test compares the file with what this
script writes.
"""

from __future__ import annotations

import sys
import tomllib
from collections import defaultdict
from html import escape
from pathlib import Path

import grimp

ROOT = Path(__file__).resolve().parents[1]
DRAWING = ROOT / "docs" / "packages.svg"
NAME, ROW, TOP, ARCS, WIDTH = 16, 46, 8, 580, 860


# The packages of this checkout, and not of another one that is installed.
sys.path.insert(0, str(ROOT))


def layers() -> list[list[str]]:
    """Return the names in each layer, top to bottom, as import-linter checks them."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = project["tool"]["importlinter"]["contracts"]
    ordered = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    return [layer.split(" : ") for layer in ordered]


def imports(rows: list[list[str]]) -> dict[tuple[int, int], int]:
    """Return how many modules of each layer import something of each other layer."""
    row_of = {f"picasso.{name}": row for row, names in enumerate(rows) for name in names}
    graph = grimp.build_graph("picasso", exclude_type_checking_imports=True, cache_dir=None)
    importers: dict[tuple[int, int], set[str]] = defaultdict(set)
    for importer in graph.modules:
        start = row_of.get(".".join(importer.split(".")[:2]))
        for imported in graph.find_modules_directly_imported_by(importer):
            end = row_of.get(".".join(imported.split(".")[:2]))
            if start is not None and end is not None and start != end:
                importers[start, end].add(importer)
    return {pair: len(modules) for pair, modules in sorted(importers.items())}


def purpose(names: list[str]) -> str:
    """Return the first sentence of a package's docstring."""
    if len(names) > 1:
        return "What everything else stands on."
    text = (ROOT / "picasso" / names[0] / "__init__.py").read_text(encoding="utf-8")
    sentence = text.partition('"""')[2].partition(".\n")[0].partition('."""')[0].replace("``", "")
    return sentence.partition("; ")[0]


def drawing() -> str:
    """Return the drawing as SVG: a row for each layer, and an arc for imports of one layer by another."""
    rows = layers()
    height = TOP + ROW * len(rows)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img"'
        ' aria-labelledby="packages-title" width="100%" font-family="sans-serif" font-size="13" fill="none"'
        ' stroke="currentColor">',
        '  <title id="packages-title">The packages, top to bottom, and which imports which</title>',
    ]
    for (start, end), count in imports(rows).items():
        above, below = (TOP + ROW * row + NAME for row in (start, end))
        reach = ARCS + 22 * (end - start)
        parts.append(
            f'  <path d="M{ARCS} {above} C{reach} {above} {reach} {below} {ARCS} {below}" opacity="0.55"'
            f' stroke-width="{min(4, 0.6 + count / 8):.1f}"/>'
        )
    for row, names in enumerate(rows):
        y = TOP + ROW * row
        modules = sum(
            len(list((ROOT / "picasso" / name).rglob("*.py"))) if (ROOT / "picasso" / name).is_dir() else 1
            for name in names
        )
        parts += [
            f'  <rect x="8" y="{y - 4}" width="{ARCS - 8}" height="{ROW - 8}" rx="5"/>',
            '  <g fill="currentColor" stroke="none">',
            f'    <text x="18" y="{y + 12}" font-weight="bold">{escape(", ".join(names))}</text>',
            f'    <text x="18" y="{y + 28}" font-size="11">{escape(purpose(names))}</text>',
            f'    <text x="{ARCS - 10}" y="{y + 12}" text-anchor="end" font-size="11">{modules}</text>',
            "  </g>",
        ]
    return "\n".join([*parts, "</svg>", ""])


if __name__ == "__main__":
    DRAWING.write_text(drawing(), encoding="utf-8")
