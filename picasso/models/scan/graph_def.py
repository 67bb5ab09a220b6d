"""Scan frozen TensorFlow graphs (``.pb``)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from picasso.models.scan.findings import Context, Finding, Kind
from picasso.models.scan.graph_reading import Budget, Reader
from picasso.models.scan.graph_rules import answers, judge
from picasso.models.scan.graph_sizes import costs
from picasso.models.scan.opening import judged
from picasso.models.scan.wire import Data


def scan(path: Path, context: Context) -> Iterator[Finding]:
    """Yield the findings in a frozen graph."""

    def content(data: Data, size: int) -> Iterator[Finding]:
        graph = Reader(data, Budget(context.limits.members)).graph(0, size)
        if not graph.nodes:
            yield Finding(Kind.BROKEN, path.name, "it is empty; a frozen graph has operations")
            return
        yield from judge(graph, [answers(graph)], "")
        yield from costs(graph, size, context.limits, "")

    yield from judged(path, "frozen TensorFlow graph", context, content)
