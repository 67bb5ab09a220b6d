"""The memory that loading a model may take."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from picasso.errors import ModelError
from picasso.models import memory_limit

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="memory is bounded on Linux only")


def test_what_asks_for_more_is_told_that_there_is_none() -> None:
    import resource

    before = resource.getrlimit(resource.RLIMIT_DATA)
    with memory_limit.memory(100):
        # More than three times as much and what a framework takes.
        with pytest.raises(MemoryError):
            np.empty(4_000_000_000, np.uint8)
        assert np.empty(100_000_000, np.uint8).nbytes == 100_000_000
    assert resource.getrlimit(resource.RLIMIT_DATA) == before
    with pytest.raises(ModelError, match="needs more memory than is available.*: model_mb="), memory_limit.memory(100):
        np.empty(4_000_000_000, np.uint8)
    assert memory_limit.taken() > 0
    assert memory_limit.available() > 0
