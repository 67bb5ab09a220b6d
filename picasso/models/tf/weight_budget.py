"""Limit the size of the weights that layers create while a model is built from its configuration."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from picasso import remedies
from picasso.errors import ModelError
from picasso.models.scan import Limits

BYTES_PER_VALUE = 4


@contextmanager
def budget(library: Any, limits: Limits, *files: Path) -> Iterator[None]:
    """Limit the size of the weights that layers of ``library``, Keras or tf_keras, create in a block.

    The limit is ``ratio`` times the size of the files, but at least ``free_megabytes`` and at most ``megabytes``.
    Weights are initialized at random before those in the file are read, so that two lines of JSON could allocate
    gigabytes. Models that another thread builds at the same time count too.

    Raises:
        ModelError: the limit would be exceeded; the weights are not created.
    """
    size = sum(file.stat().st_size for file in files)
    free, most = limits.free_megabytes * 1_000_000, limits.megabytes * 1_000_000
    allowed, taken = min(most, max(free, limits.ratio * size)), 0
    layer = library.layers.Layer
    original = layer.add_weight

    def add_weight(self: Any, *arguments: Any, **options: Any) -> Any:
        nonlocal taken
        # tf_keras takes the name first.
        shape = options.get("shape") or next((one for one in arguments if isinstance(one, list | tuple)), ())
        taken += math.prod(side for side in shape if side) * BYTES_PER_VALUE
        if taken > allowed:
            raise ModelError(
                f"{files[0].name} was not loaded: its layers create weights of more than {allowed / 1e6:,.0f} MB, and "
                f"the file has {size / 1e6:,.1f} MB. To allow more: {remedies.setting('MODEL_MB')}."
            )
        return original(self, *arguments, **options)

    layer.add_weight = add_weight
    try:
        yield
    finally:
        layer.add_weight = original
