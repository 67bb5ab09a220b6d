"""How much a model relies on what a finding of ``audit.json`` is about, and what that is."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

# The JSON of a finding, or of the whole audit; see document.py.
Document = Mapping[str, Any]
# What a finding is about: the kind and the name of the intervention, and the names of both classes.
Subject = tuple[str, str, frozenset[str]]


class Reliance(NamedTuple):
    """How much a model relies on something, as a fraction of the way between the margins of two classes.

    Attributes:
        value: the smaller of the effects in both directions; the larger one where the other is below the smallest
            effect of an alarm, so that only changed answers or nothing show it.
        low, high: the 95% confidence interval of this effect.
    """

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        """Return the value and the interval as percentages."""
        return f"{self.value:.0%} (95% interval {self.low:.0%} to {self.high:.0%})"

    def exceeds(self, other: Reliance) -> bool:
        """Tell whether this reliance is larger than another by more than their uncertainty.

        The lower end of the interval of their difference is above zero. It is made of both intervals, which are taken
        to be independent: ``d - sqrt((value - low)^2 + (other.high - other.value)^2)`` (Zou and Donner, 2008).

        Examples:
            >>> from picasso.audit.reporting.reliance import Reliance
            >>> Reliance(0.6, 0.5, 0.7).exceeds(Reliance(0.45, 0.35, 0.55))
            True
            >>> Reliance(0.58, 0.48, 0.68).exceeds(Reliance(0.45, 0.35, 0.55))
            False
        """
        return self.value - other.value > math.hypot(self.value - self.low, other.high - other.value)


def reliance(finding: Document) -> Reliance:
    """Return the reliance of a finding of ``audit.json``.

    Examples:
        >>> from picasso.audit.reporting.reliance import reliance
        >>> larger, smaller = {"fraction": 0.9, "low": 0.8, "high": 1.0}, {"fraction": 0.4, "low": 0.3, "high": 0.5}
        >>> print(reliance({"floor": 0.1, "directions": [larger, smaller]}))
        40% (95% interval 30% to 50%)
    """
    larger, smaller = finding["directions"]
    shown = smaller if smaller["fraction"] >= finding["floor"] else larger
    return Reliance(shown["fraction"], shown["low"], shown["high"])


def subject(finding: Document) -> Subject:
    """Return what a finding of ``audit.json`` is about, wherever it is in the list."""
    return finding["kind"], finding["name"], frozenset(way["of"] for way in finding["directions"])


def described(about: Subject) -> str:
    """Describe what a finding is about, such as ``Noise (“cat” and “dog”)``."""
    _, name, classes = about
    return f"{name[:1].upper()}{name[1:]} ({' and '.join(f'“{one}”' for one in sorted(classes))})"
