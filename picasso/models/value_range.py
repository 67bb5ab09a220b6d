"""Which pixel values a model was made for, judged by the numbers with which it scales its own input.

Whatever comes first in a network, its values are normalized: 0..1, -1..1, mean 0 and deviation 1, or so. If a model
computes ``scale * x + offset`` first, only some ``x`` come out like that. The ranges are those of
:data:`picasso.models.preprocessing.RANGES`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# What the constant images are filled with: as 8-bit values they keep their meaning where the input takes integers.
PROBES = (0.0, 64.0, 128.0)
# The ranges that a model's first operations can tell apart.
RAW = {"0..255": (0.0, 255.0), "0..1": (0.0, 1.0), "-1..1": (-1.0, 1.0)}
# The ranges on which networks work.
NORMALIZED = ((0.0, 1.0), (-1.0, 1.0), (-0.5, 0.5), (0.0, 255.0), (-127.5, 127.5))
# ImageNet's colours, standardized (mode torch) or less their mean (mode caffe).
STANDARDIZED = {"torch": (-2.118, 2.640), "caffe": (-123.68, 151.06)}
# By how much the ends of a range may differ, as a fraction of it: 1/256 and 1/255, 127 and 128 mean the same.
TOLERANCE = 0.02
# By how much the factors of several channels may differ.
ALIKE = 10
# The least deviation of real images, as a fraction of the range of values.
FLATTEST = 0.02


def of_values(values: NDArray[np.float64]) -> str:
    """Return the range that the values ``(3, ...)`` tell which have come of the three :data:`PROBES`."""
    if len(values) != len(PROBES):
        return ""
    first, middle, last = values.reshape(len(PROBES), -1)
    scale = (last - first) / (PROBES[2] - PROBES[0])
    # Padding, of which nothing comes, is not looked at.
    used = scale != 0
    straight = np.allclose((first + last)[used] / 2, middle[used], rtol=1e-3, atol=1e-3)
    return of_affine(scale[used], first[used]) if used.any() and straight else ""


def of_affine(scale: NDArray[np.float64], offset: NDArray[np.float64]) -> str:
    """Return the range of values for which a model was made that first computes ``scale * x + offset``.

    Args:
        scale: one number, or one for each channel or value; none of them 0.
        offset: shaped like ``scale``.

    Returns:
        A key of :data:`RAW`, or "" where the numbers do not say, as for ``x`` itself.
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
    """Return the range that ``scale * x + offset`` maps to one of :data:`NORMALIZED`, or "" where none is."""
    for name, ends in RAW.items():
        low, high = sorted(scale * end + offset for end in ends)
        unchanged = abs(scale - 1) < 0.01 and abs(offset) < 0.1 * (ends[1] - ends[0])
        # A factor alone maps -1..1 to many ranges around 0, which says nothing.
        if (offset or ends[0] == 0) and not unchanged and any(same(low, high, *range_) for range_ in NORMALIZED):
            return name
    return ""


def of_statistics(mean: float, deviation: float) -> str:
    """Return the range whose values can have a mean and a deviation, or "" where none can.

    Values between ``low`` and ``high`` have at most the variance ``(mean - low) * (high - mean)`` (Bhatia and Davis,
    2000). A deviation of 1 on a large mean is none: only the mean is subtracted.
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
    """Return 0..255 where a model divides by so much that no smaller values would be left to see, else ""."""
    return "0..255" if 20 <= deviation <= 300 else ""


def of_bounds(low: float, high: float) -> str:
    """Return the range of which two numbers are the ends, or "" where it is none of :data:`RAW`."""
    return next((name for name, range_ in RAW.items() if same(low, high, *range_)), "")


def of_quantization(scale: float, zero: int, limits: tuple[int, int]) -> str:
    """Return the range that the integers of a quantized input stand for, or "" where it is none that has a name.

    An integer ``q`` stands for the value ``(q - zero) * scale``.

    Args:
        scale: the step between two values.
        zero: the integer that stands for 0.
        limits: the smallest and the largest integer.
    """
    low, high = ((limit - zero) * scale for limit in limits)
    known = {**RAW, **STANDARDIZED}
    return next((name for name, range_ in known.items() if same(low, high, *range_)), "")


def same(low: float, high: float, lower: float, higher: float) -> bool:
    """Tell whether two ranges are the same but for rounding."""
    allowed = TOLERANCE * (higher - lower)
    return abs(low - lower) <= allowed and abs(high - higher) <= allowed
