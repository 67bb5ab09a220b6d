"""Read a file by memory mapping, without a copy in memory."""

from __future__ import annotations

import mmap
from collections.abc import Callable, Iterator
from pathlib import Path

from picasso.models.scan.findings import Context, Finding, Kind


def read_mapped(path: Path, context: Context, read: Callable[[mmap.mmap], Iterator[Finding]]) -> Iterator[Finding]:
    """Yield the findings of ``read`` in the bytes of a file, or one finding if the file is larger than the limit."""
    size = path.stat().st_size
    if size > context.limits.megabytes * 1_000_000:
        what = f"it has {size / 1e6:.0f} MB, and {context.limits.megabytes} MB are allowed"
        yield Finding(Kind.LIMIT, path.name, what)
        return
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        yield from read(data)
