"""The process that decodes what visitors send, one image after the other, each within bounds of time and memory.

It imports nothing but Pillow and NumPy, and ends with the server: when there is nobody to ask it any more. Lines of
JSON go in and out; :mod:`picasso.imaging.decoders` is the other side.
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

# Beside what the header tells, in bytes: buffers, what is written, and what the allocator keeps.
SLACK = 64 << 20
# Seconds that writing a pixel may take.
STORING = 1e-6
STATUS = Path("/proc/self/statm")


def address_space() -> int:
    """Return how many bytes of address space this process takes, or 0 where the system does not tell."""
    return int(STATUS.read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE") if STATUS.exists() else 0


class Bounds:
    """The time and the memory that this process may take; the system ends it, or gives it no more, beyond them."""

    def __init__(self) -> None:
        self._base = address_space()
        if resource:
            # What it would leave behind has the size of an image.
            resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))

    def seconds(self, more: float) -> None:
        """Allow so many more seconds of a processor."""
        if resource:
            self._set(resource.RLIMIT_CPU, math.ceil(time.process_time() + more))

    def memory(self, more: int) -> None:
        """Allow so many bytes beside what it took at the start."""
        if resource and self._base:
            self._set(resource.RLIMIT_AS, self._base + more + SLACK)

    @staticmethod
    def _set(which: int, limit: int) -> None:
        most = resource.getrlimit(which)[1]
        with suppress(ValueError, OSError):
            resource.setrlimit(which, (limit if most == resource.RLIM_INFINITY else min(limit, most), most))


def serve(requests: IO[bytes], answers: IO[bytes]) -> None:
    """Decode what is asked for until nobody asks any more."""

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
            # What follows takes as long as the image has pixels, whoever made it: a fifth of this.
            bounds.seconds(asked["seconds"] + decoded.image.width * decoded.image.height * STORING)
            keep(decoded.image, asked)
            say({"notes": decoded.notes})
        except PicassoError as error:
            say({"error": document_of(error)})
        except MemoryError:
            shown = decode.display_name(asked["name"])
            say({"error": document_of(TooLarge(f"{shown} takes more memory to decode than its header tells."))})
        # Before the next one comes.
        opened = decoded = None  # type: ignore[assignment]


def keep(image: Any, asked: Mapping[str, Any]) -> None:
    """Write an image where it is asked for: its pixels as ``pixels``, and a small version as ``small``."""
    try:
        if asked["pixels"]:
            decode.store(image, Path(asked["pixels"]))
        if asked["small"]:
            Path(asked["small"]).write_bytes(decode.thumbnail(image, asked["side"]))
    except OSError as error:
        if is_full(error):
            raise StorageFull("The server's disk is full; nothing was stored.") from error
        raise


def main() -> None:
    """Serve whoever holds the other ends of standard input and output."""
    # Ctrl-C is for the server.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(os, "nice"):
        # It gives way to the server, which has others to answer.
        os.nice(5)
    answers = os.fdopen(os.dup(1), "wb")
    # Whatever a library prints is no answer.
    os.dup2(2, 1)
    serve(sys.stdin.buffer, answers)


if __name__ == "__main__":
    main()
