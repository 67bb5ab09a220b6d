"""Limit the memory for loading a model, against sizes that no scan can determine, such as those a graph computes."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from picasso import remedies
from picasso.errors import ModelError

# The exceptions for exhausted memory in Python, NumPy and TensorFlow.
OUT_OF_MEMORY = ("MemoryError", "_ArrayMemoryError", "ResourceExhaustedError")
MEGABYTE = 1_000_000
# Values are in memory up to three times at once: in the content of the file, in the framework's graph and in its
# constants. The framework itself needs memory too.
COPIES, OWN_MEGABYTES = 3, 2_000
# The usable fraction of the available memory, so that the system does not have to kill a process.
SHARE = 0.9
# The minimum limit: no model can be loaded with less, and the system may still be able to free some.
LEAST_MEGABYTES = 1_000


@contextmanager
def memory(megabytes: int) -> Iterator[None]:
    """Limit the additional memory of this process; allocations beyond the limit fail.

    The limit applies to the whole process, on Linux only. On other systems it does nothing.

    Args:
        megabytes: the maximum size of the tensors of a model file, the setting MODEL_MB.

    Raises:
        ModelError: an exception for exhausted memory was raised inside.
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
                "The model was not loaded: it needs more memory than is available, or than a file of its size should "
                f"need. To allow more: {remedies.setting('MODEL_MB')}."
            ) from error
        raise
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (kept, most))


def taken() -> int:
    """Return the memory of this process that counts for the limit, in bytes."""
    return kilobytes(Path("/proc/self/status"), "VmData") * 1024


def available() -> int:
    """Return the available memory, in the container if there is one, in bytes."""
    left = kilobytes(Path("/proc/meminfo"), "MemAvailable") * 1024
    group = Path("/sys/fs/cgroup")
    try:
        most, used = ((group / name).read_text().strip() for name in ("memory.max", "memory.current"))
        return min(left, int(most) - int(used)) if most.isdecimal() else left
    except (OSError, ValueError):
        return left


def kilobytes(file: Path, name: str) -> int:
    """Return the value of a line of a file in ``/proc``, in units of 1024 bytes; 0 if the line is missing."""
    found = re.search(rf"^{name}:\s+(\d+) kB", file.read_text(), re.MULTILINE)
    return int(found.group(1)) if found else 0
