"""What an intervention is: a change of images of one class that makes them like those of another in one respect."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from picasso.audit.properties import Images, Maps, Values

Generator = np.random.Generator

# The effect that an alarm needs, unless the intervention asks for more.
FLOOR = 0.10
# From the most specific to the least.
KINDS = ("mark", "property", "thing", "region", "broad")


@dataclass(frozen=True)
class ImagePair:
    """Images of two classes; those of the first are to be changed.

    Attributes:
        ours: ``(n, H, W, C)`` from 0 to 1.
        theirs: those of the other class, ``(m, H, W, C)``.
        attention: returns where the model looks, ``(n, H, W)`` and ``(m, H, W)``; each map sums to 1. Computed when
            first asked for.
    """

    ours: Images
    theirs: Images
    attention: Callable[[], tuple[Maps, Maps]]

    @property
    def size(self) -> tuple[int, int]:
        """Return the height and width of the images."""
        return self.ours.shape[1], self.ours.shape[2]


@dataclass(frozen=True)
class InterventionResult:
    """Images of one class after a change.

    Attributes:
        towards: changed so that they are like those of the other class.
        control: changed in the same way, but like other images of their own class.
        words: what was done, where only the change itself knows; else :meth:`Intervention.words` says it.
    """

    towards: Images
    control: Images
    words: str = ""


class Intervention(ABC):
    """One respect in which images are changed."""

    #: One of :data:`KINDS`.
    kind: str
    #: What it is called, short and unique.
    name: str
    #: Whether a finding is only told, and raises no alarm: where the thing itself may well be.
    informative: bool = False
    #: How much of the way an effect must be, in both directions, to raise an alarm.
    floor: float = FLOOR

    def fits(self, images: Images) -> bool:
        """Tell whether these images have what it changes."""
        return True

    @abstractmethod
    def change(self, case: ImagePair, generator: Generator) -> InterventionResult | None:
        """Change our images in the respect in which theirs differ; None where there is nothing to change."""

    @abstractmethod
    def words(self, case: ImagePair) -> str:
        """Say what was done, as in "making {a} images as bright as {b} images"; with these two in braces."""


def quantile_match(values: Values, others: Values) -> Values:
    """Return for each value the one that has the same rank among others."""
    ranks = (stats.rankdata(values) - 0.5) / len(values)
    return np.asarray(np.quantile(others, ranks), np.float64)


def quantile_match_within(values: Values, generator: Generator) -> Values:
    """Return for each value the one that has the same rank among those of the other half."""
    found = np.empty_like(values)
    order = generator.permutation(len(values))
    halves = order[: len(values) // 2], order[len(values) // 2 :]
    for half, other in (halves, halves[::-1]):
        found[half] = quantile_match(values[half], values[other])
    return found


def another(count: int, generator: Generator) -> NDArray[np.intp]:
    """Return for each of some images the number of another one."""
    order = generator.permutation(count)
    partner = np.empty(count, np.intp)
    partner[order] = np.roll(order, 1)
    return partner


def any_of(many: int, count: int, generator: Generator) -> NDArray[np.intp]:
    """Return for each of ``count`` images the number of one of ``many`` others, each as often as can be."""
    rounds = -(-count // many)
    return np.concatenate([generator.permutation(many) for _ in range(rounds)])[:count].astype(np.intp)
