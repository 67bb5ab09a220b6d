"""Places on an interval and their weights, for integrals of functions that jump."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["divided", "refined", "trapezoidal"]

Floats = NDArray[np.float64]


def trapezoidal(places: Floats) -> Floats:
    """Return the weights ``(2, n)`` of the trapezoidal rule at sorted places, and of that at every other one.

    Both rules include the first and the last place.

    Examples:
        >>> import numpy as np
        >>> from picasso.attribution.quadrature import trapezoidal
        >>> trapezoidal(np.array([0, 0.5, 1])).tolist()
        [[0.25, 0.5, 0.25], [0.5, 0.0, 0.5]]
    """
    rules = np.zeros((2, len(places)))
    some = np.unique(np.append(np.arange(0, len(places), 2), len(places) - 1))
    for rule, chosen in zip(rules, (np.arange(len(places)), some), strict=True):
        widths = np.diff(places[chosen])
        rule[chosen[:-1]] += widths / 2
        rule[chosen[1:]] += widths / 2
    return rules


def divided(errors: Floats, count: int) -> NDArray[np.intp]:
    """Return into how many parts to divide each interval, ``(n,)``, by ``count`` more places in all.

    The error of an interval is taken to fall as the number m of its parts rises, and the errors to be independent; the
    sum of ``(error / m)^2`` is smallest if each place goes where it takes most away.

    Args:
        errors: the error of each undivided interval, ``(n,)``.
        count: the number of places.

    Examples:
        >>> import numpy as np
        >>> from picasso.attribution.quadrature import divided
        >>> divided(np.array([1.0, 0.0, 8.0]), count=7).tolist()
        [2, 1, 7]
    """
    parts = np.ones(len(errors), np.intp)
    for _ in range(count):
        parts[np.argmax(errors**2 * (1 / parts**2 - 1 / (parts + 1) ** 2))] += 1
    return parts


def refined(places: Floats, parts: NDArray[np.intp]) -> tuple[Floats, NDArray[np.bool_]]:
    """Return the ends of the parts of all intervals between ``places``, and which of them are ``places``.

    Examples:
        >>> import numpy as np
        >>> from picasso.attribution.quadrature import refined
        >>> ends, known = refined(np.array([0, 0.5, 1]), np.array([1, 2]))
        >>> ends.tolist(), known.tolist()
        ([0.0, 0.5, 0.75, 1.0], [True, True, False, True])
    """
    ends = [
        np.linspace(start, stop, count, endpoint=False)
        for start, stop, count in zip(places[:-1], places[1:], parts, strict=True)
    ]
    known = np.zeros(parts.sum() + 1, np.bool_)
    known[np.append(0, np.cumsum(parts))] = True
    return np.append(np.concatenate(ends), places[-1]), known
