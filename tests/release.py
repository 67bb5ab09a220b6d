"""Check that a version can be published: ``python -m tests.release``, called by ``make release``."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from picasso import __version__

CHANGES = Path(__file__).parents[1] / "CHANGELOG.md"


def missing(version: str, changes: str) -> str:
    """Return what keeps a version from being published, or ""."""
    if not re.fullmatch(r"\d+\.\d+\.\d+(rc\d+)?", version):
        return f"{version} is no version that can be published, such as 1.0.0 or 1.0.0rc1; see picasso/__init__.py."
    if not re.search(rf"^## {re.escape(version)}$", changes, re.MULTILINE):
        return f"CHANGELOG.md has no section ## {version}."
    return ""


if __name__ == "__main__":
    sys.exit(missing(__version__, CHANGES.read_text(encoding="utf-8")) or 0)
