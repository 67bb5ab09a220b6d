"""Scan SavedModel folders: a graph (``saved_model.pb``), variables and assets."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath

from picasso.models.scan import bundle, meta_graph
from picasso.models.scan.findings import Context, Finding, Kind
from picasso.models.scan.graph_rules import ANSWER, Start, foreign_constants, judge, restoring
from picasso.models.scan.graph_sizes import base, costs
from picasso.models.scan.meta_graph import MetaGraph
from picasso.models.scan.opening import judged
from picasso.models.scan.quoting import shown_path
from picasso.models.scan.wire import BYTES, VARINT, Broken, Data, message

FILE = "saved_model.pb"
WHERE = f", {FILE}"
# The signatures that are used by default.
USUAL = ("serving_default", "serve")
# The collections and signatures of operations that are run when the model is loaded.
LOADING = ("__saved_model_init_op", "saved_model_main_op", "legacy_init_op")


def scan(path: Path, context: Context) -> Iterator[Finding]:
    """Yield the findings in a SavedModel.

    Args:
        path: its folder, or the file ``saved_model.pb`` in it.
        context: the limits.
    """
    folder = path if path.is_dir() else path.parent
    file = folder / FILE

    def content(data: Data, size: int) -> Iterator[Finding]:
        graphs = 0
        for number, start, stop in message(data, 0, size, {1: VARINT, 2: BYTES}, frozenset({2})):
            if number != 2:
                continue
            graphs += 1
            found = meta_graph.read(data, start, stop, context.limits.members)
            assets = {base(tensor) for tensor, _ in found.assets}
            yield from judge(found.graph, starts(found), WHERE, assets)
            yield from foreign_constants(found.graph, found.bound, WHERE, assets)
            yield from misplaced(folder, found)
            yield from costs(found.graph, size, context.limits, WHERE)
        if not graphs:
            raise Broken("it contains no graph")

    yield from judged(file, "SavedModel", context, content)
    index = folder / "variables" / "variables.index"
    if index.parent.exists() and index.parent.resolve().parent != folder.resolve():
        yield Finding(Kind.CODE, "variables", "the folder is a link to a place outside the model's folder")
    elif index.exists():
        yield from bundle.scan(index.with_suffix(""), context, file)


def starts(found: MetaGraph) -> Iterator[Start]:
    """Yield the operations that run on loading, for predictions, and for restoring variables."""
    loading = [name for key in LOADING for name in found.collections.get(key, ())]
    loading += [name for key in LOADING for name in found.signatures.get(key, ([], []))[1]]
    yield Start("loading", loading, found.loading, files=True)
    named = [key for key in found.signatures if not key.startswith("__")]
    usual = [key for key in named if key in USUAL] or named
    yield Start(ANSWER, [name for key in usual for name in found.signatures[key][1]])
    if found.restore:
        yield restoring(found.restore)


def misplaced(folder: Path, found: MetaGraph) -> Iterator[Finding]:
    """Yield findings for assets that are not in the folder of assets."""
    for _, name in found.assets:
        place = f"asset {shown_path(name)}{WHERE}"
        parts = (*PurePosixPath(name).parts, *PureWindowsPath(name).parts)
        if not name or ".." in parts or PurePosixPath(name).is_absolute() or PureWindowsPath(name).anchor:
            yield Finding(Kind.CODE, place, "its name is a path outside the model's folder")
            continue
        if "://" in name or "\0" in name:
            yield Finding(Kind.CODE, place, "its name is an address")
            continue
        file = folder / "assets" / name
        beside = file.resolve().parent == (folder / FILE).resolve().parent
        if file.exists() and not beside and not file.resolve().is_relative_to(folder.resolve()):
            yield Finding(Kind.CODE, place, "it is a link to a place outside the model's folder")
