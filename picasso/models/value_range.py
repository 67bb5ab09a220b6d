"""Detect the pixel values that a model expects, from the constants with which it scales its input.

The inputs of a network's first layers are usually normalized: to 0..1, to -1..1, or to mean 0 and standard deviation 1.
If a model first computes ``scale * x + offset``, only some ranges of ``x`` lead to normalized values. The ranges are
those of :data:`picasso.models.preprocessing.RANGES`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# The values of the constant images. They are valid for float and for 8-bit unsigned inputs.
PROBES = (0.0, 64.0, 128.0)
# The ranges that can be detected from a model's first operations.
RAW = {"0..255": (0.0, 255.0), "0..1": (0.0, 1.0), "-1..1": (-1.0, 1.0)}
# The normalized ranges.
NORMALIZED = ((0.0, 1.0), (-1.0, 1.0), (-0.5, 0.5), (0.0, 255.0), (-127.5, 127.5))
# The ranges of ImageNet's colours, standardized (mode torch) or with their mean subtracted (mode caffe).
STANDARDIZED = {"torch": (-2.118, 2.640), "caffe": (-123.68, 151.06)}
# The tolerance of the ends of a range, as a fraction of its length: 1/256 counts as 1/255, and 127 as 128.
TOLERANCE = 0.02
# The maximum ratio between the scales of several channels.
ALIKE = 10
# The minimum standard deviation of real images, as a fraction of the range of values.
FLATTEST = 0.02


def of_values(values: NDArray[np.float64]) -> str:
    """Return the range implied by ``values`` ``(3, ...)``, the results for the three :data:`PROBES`; "" if none."""
    if len(values) != len(PROBES):
        return ""
    first, middle, last = values.reshape(len(PROBES), -1)
    scale = (last - first) / (PROBES[2] - PROBES[0])
    # Constant values, such as padding, are ignored.
    used = scale != 0
    straight = np.allclose((first + last)[used] / 2, middle[used], rtol=1e-3, atol=1e-3)
    return of_affine(scale[used], first[used]) if used.any() and straight else ""


def of_affine(scale: NDArray[np.float64], offset: NDArray[np.float64]) -> str:
    """Return the value range that a model expects if it first computes ``scale * x + offset``.

    Args:
        scale: a scalar, or one number for each channel or value; none of them 0.
        offset: an array of the shape of ``scale``.

    Returns:
        A key of :data:`RAW`, or "" if the numbers imply none, as for the identity.
    """
    if np.allclose(scale, 1, atol=0.01) and np.allclose(offset, 0, atol=0.01):
        return ""
    if np.quantile(np.abs(scale), 0.95) > ALIKE * np.quantile(np.abs(scale), 0.05):
        return ""
    factor, mean, deviation = np.median(scale), np.median(-offset / scale), np.median(1 / np.abs(scale))
    return (
        of_mapping(float(factor), float(np.median(offset)))
        or of_statistics(float(mean), float(deviation))
        or of_deviation(float(deviation))
    )


def of_mapping(scale: float, offset: float) -> str:
    """Return the range that ``scale * x + offset`` maps to one of :data:`NORMALIZED`, or "" if there is none."""
    for name, ends in RAW.items():
        low, high = sorted(scale * end + offset for end in ends)
        unchanged = abs(scale - 1) < 0.01 and abs(offset) < 0.1 * (ends[1] - ends[0])
        # Without an offset, -1..1 is mapped to a symmetric range for any scale, which is no evidence.
        if (offset or ends[0] == 0) and not unchanged and any(same(low, high, *range_) for range_ in NORMALIZED):
            return name
    return ""


def of_statistics(mean: float, deviation: float) -> str:
    """Return the range whose values can have this mean and standard deviation, or "" if there is none.

    Values between ``low`` and ``high`` have at most the variance ``(mean - low) * (high - mean)`` (Bhatia and Davis,
    2000). A deviation of 1 with a large mean means that only the mean is subtracted.
    """
    if abs(mean) < 1e-3:
        return ""
    if abs(deviation - 1) < 0.01 and 1 < mean < 255:
        return "0..255"
    for name in ("0..1", "-1..1", "0..255"):
        low, high = RAW[name]
        possible = deviation**2 <= 1.05 * (mean - low) * (high - mean)
        if low < mean < high and possible and deviation >= FLATTEST * (high - low):
            return name
    return ""


def of_deviation(deviation: float) -> str:
    """Return "0..255" if a model divides by 20 to 300, after which smaller ranges would be near 0; otherwise ""."""
    return "0..255" if 20 <= deviation <= 300 else ""


def of_bounds(low: float, high: float) -> str:
    """Return the range of :data:`RAW` with these ends, or ""."""
    return next((name for name, range_ in RAW.items() if same(low, high, *range_)), "")


def of_quantization(scale: float, zero: int, limits: tuple[int, int]) -> str:
    """Return the range of real values of a quantized input, or "" if it has no name.

    An integer ``q`` represents the value ``(q - zero) * scale``.

    Args:
        scale: the step between consecutive values.
        zero: the integer that represents 0.
        limits: the smallest and the largest integer.
    """
    low, high = ((limit - zero) * scale for limit in limits)
    known = {**RAW, **STANDARDIZED}
    return next((name for name, range_ in known.items() if same(low, high, *range_)), "")


def same(low: float, high: float, lower: float, higher: float) -> bool:
    """Tell whether two ranges are equal within :data:`TOLERANCE`."""
    allowed = TOLERANCE * (higher - lower)
    return abs(low - lower) <= allowed and abs(high - higher) <= allowed
