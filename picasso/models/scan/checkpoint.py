"""Scan TensorFlow 1 checkpoints: the graph (``.meta``), the index (``.index``) and the values (``.data-*``)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from picasso.models.scan import bundle, meta_graph
from picasso.models.scan.findings import Context, Finding, Kind
from picasso.models.scan.graph_rules import Start, answers, judge, restoring
from picasso.models.scan.graph_sizes import costs
from picasso.models.scan.opening import judged
from picasso.models.scan.wire import Data

ENDING = re.compile(r"\.(index|meta|data-\d+-of-\d+)$")


def scan(path: Path, context: Context) -> Iterator[Finding]:
    """Yield the findings in a checkpoint.

    Args:
        path: one of its files, or their common prefix.
        context: the limits.
    """
    prefix = path.with_name(ENDING.sub("", path.name))
    file = prefix.with_name(prefix.name + ".meta")

    def content(data: Data, size: int) -> Iterator[Finding]:
        found = meta_graph.read(data, 0, size, context.limits.members)
        where = f", {file.name}"
        if not found.graph.nodes:
            yield Finding(Kind.BROKEN, file.name, "it contains no graph")
            return
        starts: list[Start] = [answers(found.graph)]
        if found.restore:
            starts.append(restoring(found.restore))
        yield from judge(found.graph, starts, where)
        yield from costs(found.graph, size, context.limits, where)

    yield from judged(file, "graph of a TensorFlow 1 checkpoint", context, content)
    yield from bundle.scan(prefix, context, file)
