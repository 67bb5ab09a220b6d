"""What can be said of the folder alone: which properties tell its classes apart, whatever the model makes of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy import stats

from picasso.audit.properties import PROPERTIES, Images

# From here on a property orders the images of two classes so well that a model could go by it.
SUSPICIOUS = 0.75
LEVEL = 0.01


@dataclass(frozen=True)
class Confounded:
    """A property in which two classes differ.

    Attributes:
        name: of the property.
        one, other: the numbers of the classes; the second has more of it.
        separation: the chance that an image of the second has more than one of the first, 0.5..1.
    """

    name: str
    one: int
    other: int
    separation: float


def confounded(views: Mapping[int, Images]) -> list[Confounded]:
    """Return the properties that tell classes apart by more than chance, the most telling first."""
    every = separations(views)
    found = []
    for one in every:
        if one.separation >= SUSPICIOUS:
            (of,) = (of for of in PROPERTIES if of.name == one.name)
            p = stats.mannwhitneyu(of.measure(views[one.other]), of.measure(views[one.one])).pvalue
            found += [one] if p * len(every) < LEVEL else []
    return sorted(found, key=lambda one: -one.separation)


def separations(views: Mapping[int, Images]) -> list[Confounded]:
    """Return how well each property tells each two classes apart (the U of Mann & Whitney, 1947, as a share)."""
    coloured = {target: bool(np.ptp(some, axis=-1).max() > 0) for target, some in views.items()}
    found = []
    for of in PROPERTIES:
        measured = [target for target in views if views[target].shape[-1] == 3 or not of.coloured]
        values = {target: np.sort(of.measure(views[target])) for target in measured}
        for one, other in combinations(sorted(values), 2):
            if of.coloured and not (coloured[one] or coloured[other]):
                continue
            below, upto = (np.searchsorted(values[one], values[other], side) for side in ("left", "right"))
            share = float((below + upto).mean()) / (2 * len(values[one]))
            pair = (one, other) if share >= 0.5 else (other, one)
            found.append(Confounded(of.name, *pair, max(share, 1 - share)))
    return found
