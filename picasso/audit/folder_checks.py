"""What can be said of the folder alone: which properties tell its classes apart, whatever the model makes of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy import stats

from picasso.audit.properties import PROPERTIES, Pictures

# From here on a property orders the pictures of two classes so well that a model could go by it.
SUSPICIOUS = 0.75
LEVEL = 0.01


@dataclass(frozen=True)
class Confounded:
    """A property in which two classes differ.

    Attributes:
        name: of the property.
        one, other: the numbers of the classes; the second has more of it.
        separation: the chance that a picture of the second has more than one of the first, 0.5..1.
        p: the probability of so much by chance.
    """

    name: str
    one: int
    other: int
    separation: float
    p: float


def confounded(views: Mapping[int, Pictures]) -> list[Confounded]:
    """Return the properties that tell classes apart, the most telling first."""
    found = separations(views)
    telling = [one for one in found if one.separation >= SUSPICIOUS and one.p * len(found) < LEVEL]
    return sorted(telling, key=lambda one: -one.separation)


def separations(views: Mapping[int, Pictures]) -> list[Confounded]:
    """Return how well each property tells each two classes apart (Mann & Whitney, 1947)."""
    found = []
    for of in PROPERTIES:
        if of.coloured and not all(np.ptp(some, axis=-1).max() > 0 for some in views.values()):
            continue
        values = {target: of.measure(some) for target, some in views.items()}
        for one, other in combinations(sorted(views), 2):
            result = stats.mannwhitneyu(values[other], values[one])
            share = float(result.statistic) / (len(values[one]) * len(values[other]))
            pair = (one, other) if share >= 0.5 else (other, one)
            found.append(Confounded(of.name, *pair, max(share, 1 - share), float(result.pvalue)))
    return found
