"""Rounding to the numbers of an integer type, with gradients.

Integers of 8 and 16 bits are exact in float32. Rounding passes gradients on as if it did nothing, within the range of
the type; outside of it, where numbers are cut off, the gradient is 0 (the straight-through estimator of Bengio et al.,
2013, arXiv:1308.3432). So the gradient of a quantized network is that of the network before quantization at the rounded
values.
"""

from __future__ import annotations

from typing import Any

from picasso.models.tf.runtime import tf

# The smallest and the largest number of each type.
RANGES = {
    "uint8": (0, 255),
    "int8": (-128, 127),
    "uint16": (0, 65535),
    "int16": (-32768, 32767),
    "uint4": (0, 15),
    "int4": (-8, 7),
    "uint2": (0, 3),
    "int2": (-2, 1),
}


def rounded(steps: Any, zero: Any, kind: str) -> Any:
    """Return the nearest whole numbers that are within the range of a type when the number for 0 is added to them.

    Args:
        steps: tensor of float32.
        zero: the number for 0, a whole number of float32, which broadcasts against the steps.
        kind: name of the type, from ``RANGES``.
    """
    low, high = RANGES[kind]
    # Limits before rounding are the same as after it, because they are whole numbers; infinities need them before.
    return nearest(tf.maximum(tf.minimum(steps, high - zero), low - zero))


def nearest(x: Any) -> Any:
    """Return the nearest whole numbers, the even one of two; the gradient is that of x.

    Sums such as ``x + stop_gradient(round(x) - x)`` have the same gradient, but TensorFlow's optimizer adds their terms
    up in another order, so that the results are not whole. This operation rounds to multiples of 1, for numbers of a
    magnitude below 2 ** 23.
    """
    return tf.raw_ops.QuantizeAndDequantizeV2(
        input=x,
        input_min=-(2.0**23),
        input_max=2.0**23 - 1,
        num_bits=24,
        range_given=True,
        round_mode="HALF_TO_EVEN",
    )
