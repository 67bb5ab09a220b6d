"""What can be said of the folder alone: which properties tell its classes apart, whatever the model makes of them."""

from __future__ import annotations

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
    """

    name: str
    one: int
    other: int
    separation: float


def confounded(views: dict[int, Pictures]) -> list[Confounded]:
    """Return the properties that tell classes apart, the most telling first (Mann & Whitney, 1947)."""
    found = []
    fitting = [
        one for one in PROPERTIES if not one.coloured or all(np.ptp(some, axis=-1).max() > 0 for some in views.values())
    ]
    for of in fitting:
        values = {target: of.measure(some) for target, some in views.items()}
        for one, other in combinations(sorted(views), 2):
            result = stats.mannwhitneyu(values[other], values[one])
            share = float(result.statistic) / (len(values[one]) * len(values[other]))
            pair = (one, other) if share >= 0.5 else (other, one)
            share = max(share, 1 - share)
            if share >= SUSPICIOUS and result.pvalue < LEVEL / (len(fitting) * len(views)):
                found.append(Confounded(of.name, *pair, share))
    return sorted(found, key=lambda one: -one.separation)
