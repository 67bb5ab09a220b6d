"""A bound on the memory that loading a model takes: for what no scan sees, such as sizes that a graph computes."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from picasso import remedies
from picasso.errors import ModelError

# What Python, NumPy and TensorFlow call it.
OUT_OF_MEMORY = ("MemoryError", "_ArrayMemoryError", "ResourceExhaustedError")
MEGABYTE = 1_000_000
# Values lie in the file's content, in the framework's graph and in its constants at once, beside what the framework
# itself takes.
COPIES, OWN_MEGABYTES = 3, 2_000
# Of the memory that is left, so that the system does not have to end a process.
SHARE = 0.9
# With less, nothing could be loaded, and the system may still find some.
LEAST_MEGABYTES = 1_000


@contextmanager
def memory(megabytes: int) -> Iterator[None]:
    """Let this process take only so much more memory; what asks for more is told that there is none.

    It bounds what the whole process takes meanwhile, on Linux. Elsewhere it does nothing.

    Args:
        megabytes: how much the tensors of a model file may take, the setting MODEL_MB.

    Raises:
        ModelError: it asked for more, and nobody took care of that.
    """
    if sys.platform != "linux":
        yield
        return
    import resource

    kept, most = resource.getrlimit(resource.RLIMIT_DATA)
    more = min((COPIES * megabytes + OWN_MEGABYTES) * MEGABYTE, int(SHARE * available()))
    limit = taken() + max(more, LEAST_MEGABYTES * MEGABYTE)
    bounds = [one for one in (limit, kept, most) if one != resource.RLIM_INFINITY]
    resource.setrlimit(resource.RLIMIT_DATA, (min(bounds), most))
    try:
        yield
    except Exception as error:
        if type(error).__name__ in OUT_OF_MEMORY:
            raise ModelError(
                "The model was not loaded: it takes more memory than there is, or than the size of its file calls for. "
                f"If it may take that much: {remedies.setting('MODEL_MB')}."
            ) from error
        raise
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (kept, most))


def taken() -> int:
    """Return how many bytes of memory count for the bound now."""
    return kilobytes(Path("/proc/self/status"), "VmData") * 1024


def available() -> int:
    """Return how many bytes of memory are left, in the container if there is one."""
    left = kilobytes(Path("/proc/meminfo"), "MemAvailable") * 1024
    group = Path("/sys/fs/cgroup")
    try:
        most, used = ((group / name).read_text().strip() for name in ("memory.max", "memory.current"))
        return min(left, int(most) - int(used)) if most.isdecimal() else left
    except (OSError, ValueError):
        return left


def kilobytes(file: Path, name: str) -> int:
    """Return the number that a line of a file of ``/proc`` states."""
    found = re.search(rf"^{name}:\s+(\d+) kB", file.read_text(), re.MULTILINE)
    return int(found.group(1)) if found else 0
