"""Open one file of a model for a scan, memory-mapped, with findings instead of exceptions."""

from __future__ import annotations

import mmap
from collections.abc import Callable, Iterator
from pathlib import Path

from picasso.models.scan.findings import Context, Finding, Kind
from picasso.models.scan.graph_reading import TooLarge
from picasso.models.scan.graph_sizes import MEGABYTE, amount
from picasso.models.scan.wire import Broken, Data

Judge = Callable[[Data, int], Iterator[Finding]]


def judged(file: Path, what: str, context: Context, judge: Judge) -> Iterator[Finding]:
    """Yield the findings of ``judge`` about a file, or one finding if the file can't be read.

    Args:
        file: a regular file.
        what: the expected format, without an article, such as ``"frozen TensorFlow graph"``.
        context: the limits.
        judge: a function of the content and its size in bytes.
    """
    try:
        if not file.is_file():
            yield Finding(Kind.BROKEN, file.name, "there is no such file")
            return
        with file.open("rb") as stream:
            size = file.stat().st_size
            if not size:
                yield Finding(Kind.BROKEN, file.name, "it is empty")
                return
            if size > context.limits.megabytes * MEGABYTE:
                what = f"it takes {amount(size)}, and {context.limits.megabytes:,} MB are allowed"
                yield Finding(Kind.LIMIT, file.name, what)
                return
            with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
                yield from judge(data, len(data))
    except Broken as error:
        yield Finding(Kind.BROKEN, file.name, f"it is not a {what}: {error}")
    except TooLarge as error:
        yield Finding(Kind.LIMIT, file.name, str(error))
    except OSError as error:
        yield Finding(Kind.BROKEN, file.name, f"it can't be read ({error.strerror or 'it changed meanwhile'})")
