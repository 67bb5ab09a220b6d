"""The decoder process for uploads, which decodes one image after another within limits of time and memory.

It imports only Pillow and NumPy, and ends with the server, when its pipe is closed. It exchanges lines of JSON with
:mod:`picasso.imaging.decoders`.
"""

from __future__ import annotations

import json
import math
import os
import signal
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from picasso.errors import PicassoError, StorageFull, TooLarge, document_of
from picasso.fileio import is_full
from picasso.imaging import decode

try:
    import resource
except ImportError:  # pragma: no cover - Windows has no such limits
    resource = None  # type: ignore[assignment]

# The memory in addition to the amount implied by the header, in bytes: buffers, output, and allocator overhead.
SLACK = 64 << 20
# The maximum time for writing a pixel, in seconds.
STORING = 1e-6
STATUS = Path("/proc/self/statm")


def address_space() -> int:
    """Return the address space of this process in bytes, or 0 if the system does not report it."""
    return int(STATUS.read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE") if STATUS.exists() else 0


class Bounds:
    """The limits of time and memory of this process, enforced by the operating system."""

    def __init__(self) -> None:
        self._base = address_space()
        if resource:
            # A core dump would have the size of an image.
            resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))

    def seconds(self, more: float) -> None:
        """Allow this much more CPU time, in seconds."""
        if resource:
            self._set(resource.RLIMIT_CPU, math.ceil(time.process_time() + more))

    def memory(self, more: int) -> None:
        """Allow this many bytes in addition to the memory at start-up."""
        if resource and self._base:
            self._set(resource.RLIMIT_AS, self._base + more + SLACK)

    @staticmethod
    def _set(which: int, limit: int) -> None:
        most = resource.getrlimit(which)[1]
        with suppress(ValueError, OSError):
            resource.setrlimit(which, (limit if most == resource.RLIM_INFINITY else min(limit, most), most))


def serve(requests: IO[bytes], answers: IO[bytes]) -> None:
    """Decode requested images until the server closes the pipe."""

    def say(document: Mapping[str, Any]) -> None:
        answers.write(json.dumps(document).encode() + b"\n")
        answers.flush()

    bounds = Bounds()
    while line := requests.readline():
        asked = json.loads(line)
        bounds.memory(3 * asked["length"])
        bounds.seconds(asked["seconds"])
        try:
            opened = decode.opened(requests.read(asked["length"]), asked["name"], asked["megapixels"])
            say({"needs": opened.needs})
            if not json.loads(requests.readline() or b"false"):
                continue
            bounds.memory(opened.needs + asked["length"])
            decoded = opened.decode()
            # The time of the following steps depends only on the number of pixels; it is about a fifth of this.
            bounds.seconds(asked["seconds"] + decoded.image.width * decoded.image.height * STORING)
            keep(decoded.image, asked)
            say({"notes": decoded.notes})
        except PicassoError as error:
            say({"error": document_of(error)})
        except MemoryError:
            shown = decode.display_name(asked["name"])
            say({"error": document_of(TooLarge(f"{shown} needs more memory to decode than its header implies."))})
        # Free the memory before the next image.
        opened = decoded = None  # type: ignore[assignment]


def keep(image: Any, asked: Mapping[str, Any]) -> None:
    """Write the requested files of an image: its pixels as ``pixels``, and its thumbnail as ``small``."""
    try:
        if asked["pixels"]:
            decode.store(image, Path(asked["pixels"]))
        if asked["small"]:
            Path(asked["small"]).write_bytes(decode.thumbnail(image, asked["side"]))
    except OSError as error:
        if is_full(error):
            raise StorageFull("The server's disk is full. Nothing was stored.") from error
        raise


def main() -> None:
    """Serve the process at the other ends of standard input and output."""
    # Ctrl-C is handled by the server.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(os, "nice"):
        # The server has a higher priority, because it must answer other requests.
        os.nice(5)
    answers = os.fdopen(os.dup(1), "wb")
    # Output of libraries must not be mixed with answers.
    os.dup2(2, 1)
    serve(sys.stdin.buffer, answers)


if __name__ == "__main__":
    main()
