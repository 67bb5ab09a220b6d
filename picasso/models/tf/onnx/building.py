"""Build the TensorFlow operations of an ONNX file: its translation, or a call of ONNX Runtime."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from picasso.models.tf.built_graph import Several
from picasso.models.tf.onnx.regrouping import permuted
from picasso.models.tf.onnx.table import tensor
from picasso.models.tf.onnx.translate import translate
from picasso.models.tf.runtime import tf, tf1

# The axes of an image (N, C, H, W) that is stored as (N, H, W, C).
CHANNELS_FIRST = (0, 3, 1, 2)


def translated(
    model: Any,
    source: str,
    shape: Sequence[int | None],
    dtype: Any,
    *,
    channels_first: bool,
    batched: bool,
    several: bool,
) -> Callable[[], tuple[Any, Any]]:
    """Return a function that builds a model in the default graph and returns its input and its output.

    Args:
        model: an ``onnx.ModelProto`` with only the outputs that are needed.
        source: the name of its input.
        shape: ``(N or None, H, W, C)``.
        dtype: the NumPy type of the input.
        channels_first: True if the input of the file is ``(N, C, H, W)``.
        batched: True to compute batches although the file was made for one image.
        several: True to return all outputs.
    """

    def build() -> tuple[Any, Any]:
        images = tf1.placeholder(tf.float32, shape, "picasso_input")
        # Numbers with 16 bits are computed with 32 bits.
        kind = np.float32 if dtype == np.float16 else dtype
        given = images if kind == np.float32 else tf.cast(images, kind)
        value = permuted(given, CHANNELS_FIRST) if channels_first else given
        found = {
            name: tensor(one) for name, one in translate(model, {source: value}, single=True, batched=batched).items()
        }
        return images, Several.of(found) if several else next(iter(found.values()))

    return build
