"""Confidence intervals of shares, without SciPy, which the web server does not import."""

from __future__ import annotations

import math

# The 97.5% quantile of the normal distribution.
Z = 1.959964


def interval(right: int, count: int) -> tuple[float, float]:
    """Return the 95% confidence interval of Wilson (1927) for the share ``right / count``."""
    if not count:
        return 0.0, 1.0
    share = right / count
    middle = (share + Z**2 / (2 * count)) / (1 + Z**2 / count)
    width = Z * math.sqrt(share * (1 - share) / count + Z**2 / (4 * count**2)) / (1 + Z**2 / count)
    return middle - width, middle + width
