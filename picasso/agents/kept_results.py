"""Earlier results in the output folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from picasso.agents.answer import Answer, answer_of
from picasso.agents.audits import audit_answer
from picasso.errors import NotFound
from picasso.explanation.result import DOCUMENT, Result

# The largest number of results in a list.
LISTED = 100


def kept_results(out: Path, name: str = "") -> Answer:
    """Return the list of results, the newest first, or one of them with its images.

    Args:
        out: the output folder.
        name: the name of a result; "" for the list.

    Raises:
        NotFound: there is no such result.
    """
    found = {one.name: one for one in out.iterdir() if is_result(one)} if out.is_dir() else {}
    if not name:
        newest = sorted(found.values(), key=lambda one: (-one.stat().st_mtime_ns, one.name))
        return Answer.of([summary(one) for one in newest[:LISTED]])
    # Any other name, such as one with "..", is not among them.
    if name not in found:
        raise NotFound(f"There is no result {name[:60]!r} in {out}. Call results without a name for a list.")
    folder = found[name]
    if (folder / DOCUMENT).is_file():
        return answer_of(Result.load(folder), folder.name)
    return audit_answer(folder)


def is_result(folder: Path) -> bool:
    """Tell whether a path is the folder of a result or of an audit, and no link."""
    return not folder.is_symlink() and any((folder / name).is_file() for name in (DOCUMENT, "audit.json"))


def summary(folder: Path) -> dict[str, Any]:
    """Return what a list says of a result: its name, and its image and prediction or its verdict."""
    if not (folder / DOCUMENT).is_file():
        return {"result": folder.name, **fields(folder / "audit.json", "verdict")}
    return {"result": folder.name, **fields(folder / DOCUMENT, "visualization", "image", "settings")}


def fields(file: Path, *names: str) -> dict[str, Any]:
    """Return some fields of a file of JSON."""
    written = json.loads(file.read_text(encoding="utf-8"))
    return {name: written[name] for name in names}
