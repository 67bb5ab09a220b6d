"""Rank pairs of classes: those that the model confuses or that a property separates, and each class in one of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations

import numpy as np

from picasso.audit.confounders import separations
from picasso.audit.dataset import Folder, margins
from picasso.audit.trial import Pair


def ordered(folder: Folder) -> list[Pair]:
    """Return the pairs of classes, those most likely to show a shortcut first.

    Two criteria rank the pairs: how often the model confuses them, and how well a property separates their images.
    A pair is placed by the better of its two ranks; ties go to the pair that is confused more. Pairs that bring in a
    class which no earlier pair has come before the others: a class that is never confused may owe that to a shortcut.
    """
    every = list(combinations(sorted(folder.views), 2))
    apart: dict[frozenset[int], float] = {}
    for one in separations(folder.views):
        both = frozenset((one.one, one.other))
        apart[both] = max(one.separation, apart.get(both, 0.0))
    places: dict[Pair, list[int]] = {pair: [] for pair in every}
    reasons: tuple[Callable[[Pair], float], ...] = (
        lambda pair: confusion(folder, pair),
        lambda pair: apart.get(frozenset(pair), 0.0),
    )
    for suspicion in reasons:
        for place, pair in enumerate(sorted(every, key=suspicion, reverse=True)):
            places[pair].append(place)
    return covering(sorted(every, key=lambda pair: (min(places[pair]), places[pair])))


def covering(pairs: Sequence[Pair]) -> list[Pair]:
    """Return the pairs in their order, but first those with a class that no earlier pair has.

    Examples:
        >>> from picasso.audit.class_pairs import covering
        >>> covering([(0, 1), (0, 2), (1, 2), (1, 3)])
        [(0, 1), (0, 2), (1, 3), (1, 2)]
    """
    first: list[Pair] = []
    seen: set[int] = set()
    for pair in pairs:
        if not seen.issuperset(pair):
            first.append(pair)
            seen.update(pair)
    known = set(first)
    return [*first, *(pair for pair in pairs if pair not in known)]


def confusion(folder: Folder, pair: Pair) -> float:
    """Return the share of images of either class that are predicted as the other; narrow margins break ties."""
    one, other = pair
    both = margins(folder.logits[one], one, other), margins(folder.logits[other], other, one)
    mixed, near = (sum(float(measure(some)) for some in both) for measure in (_positive, np.mean))
    return mixed + 1e-3 * float(np.tanh(near / 10))


def _positive(values: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> float:
    return float((values > 0).mean())
