"""Find properties that separate the classes of a folder, independently of the model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy import stats

from picasso.audit.interventions.separation import separation
from picasso.audit.properties import PROPERTIES, Images

# From this separation on, a model could rely on the property.
SUSPICIOUS = 0.75
LEVEL = 0.01


@dataclass(frozen=True)
class Confounded:
    """A property that separates two classes.

    Attributes:
        name: the name of the property.
        one, other: the indices of the classes; the second has larger values.
        separation: the probability that an image of the second has a larger value than one of the first, 0.5..1.
    """

    name: str
    one: int
    other: int
    separation: float


def confounded(views: Mapping[int, Images], pairs: Iterable[tuple[int, int]] | None = None) -> list[Confounded]:
    """Return the properties that separate classes significantly, the strongest first; the arguments as below."""
    every = separations(views, pairs)
    found = []
    for one in every:
        if one.separation >= SUSPICIOUS:
            (of,) = (of for of in PROPERTIES if of.name == one.name)
            p = stats.mannwhitneyu(of.measure(views[one.other]), of.measure(views[one.one])).pvalue
            found += [one] if p * len(every) < LEVEL else []
    return sorted(found, key=lambda one: -one.separation)


def separations(views: Mapping[int, Images], pairs: Iterable[tuple[int, int]] | None = None) -> list[Confounded]:
    """Return how well each property separates pairs of classes (normalised U of Mann & Whitney, 1947).

    Args:
        views: the images by class.
        pairs: the pairs; None for all.
    """
    compared = list(combinations(sorted(views), 2)) if pairs is None else sorted(pairs)
    coloured = {target: bool(np.ptp(some, axis=-1).max() > 0) for target, some in views.items()}
    found = []
    for of in PROPERTIES:
        measured = [target for target in views if views[target].shape[-1] == 3 or not of.coloured]
        values = {target: of.measure(views[target]) for target in measured}
        for one, other in compared:
            if not {one, other} <= values.keys():
                continue
            if of.coloured and not (coloured[one] or coloured[other]):
                continue
            share = separation(values[one], values[other])
            pair = (one, other) if share >= 0.5 else (other, one)
            found.append(Confounded(of.name, *pair, max(share, 1 - share)))
    return found
