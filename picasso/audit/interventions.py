"""What is changed about pictures of one class to make them like those of another, in one respect only.

A new intervention is a class with :meth:`Intervention.change`; add one of it to :data:`INTERVENTIONS`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from picasso.audit.properties import PROPERTIES, Pictures, Property, Values, blurred

Generator = np.random.Generator
# Light that is not divided by: where there is next to none, a ratio says nothing.
DARK = 0.02

# From the most specific to the least: what a finding is called after.
KINDS = ("property", "region", "broad")


@dataclass(frozen=True)
class Changed:
    """Pictures of one class after a change.

    Attributes:
        towards: changed so that they are like those of the other class.
        control: changed in the same way, but like other pictures of their own class.
    """

    towards: Pictures
    control: Pictures


class Intervention(ABC):
    """One respect in which pictures are changed."""

    #: One of :data:`KINDS`.
    kind: str
    #: What it is called, short and unique.
    name: str
    #: Whether a finding is only told, and raises no alarm: where the thing itself may well be.
    informative: bool = False

    def fits(self, pictures: Pictures) -> bool:
        """Tell whether these pictures have what it changes."""
        return True

    @abstractmethod
    def change(self, ours: Pictures, theirs: Pictures, generator: Generator) -> Changed:
        """Change pictures ``(n, H, W, C)`` of one class in the respect in which those of another differ."""

    @abstractmethod
    def words(self, ours: Pictures, theirs: Pictures) -> str:
        """Say what was done, as in "making {a} pictures as bright as {b} pictures"; with these two in braces."""


class PropertyChange(Intervention):
    """Give each picture the value that has the same rank among the pictures of the other class."""

    kind = "property"

    def __init__(self, of: Property) -> None:
        self.property, self.name = of, of.name

    def fits(self, pictures: Pictures) -> bool:
        """Tell whether there are colours, if it is about colours."""
        return not self.property.coloured or bool(np.ptp(pictures, axis=-1).max() > 0)

    def change(self, ours: Pictures, theirs: Pictures, generator: Generator) -> Changed:
        """Match ranks with the other class; for the control, with the other half of their own."""
        own = self.property.measure(ours)
        control = np.empty_like(own)
        order = generator.permutation(len(own))
        halves = order[: len(own) // 2], order[len(own) // 2 :]
        for half, other in (halves, halves[::-1]):
            control[half] = matched(own[half], own[other])
        wanted = matched(own, self.property.measure(theirs))
        return Changed(self.property.edit(ours, wanted), self.property.edit(ours, control))

    def words(self, ours: Pictures, theirs: Pictures) -> str:
        """Say in which direction the property is changed on average."""
        more = float(self.property.measure(theirs).mean()) > float(self.property.measure(ours).mean())
        return f"making {{a}} pictures {self.property.more if more else self.property.less}, like {{b}} pictures,"


class RegionSwap(Intervention):
    """Show a part of another picture in the same place.

    Args:
        name: what the part is called.
        box: left, top, right, bottom, in fractions of the sides; or a width for a frame of so much on each side.
        informative: see :class:`Intervention`.
    """

    kind = "region"

    def __init__(self, name: str, box: tuple[float, float, float, float] | float, *, informative: bool = False) -> None:
        self.name, self.box, self.informative = name, box, informative

    def mask(self, size: tuple[int, int]) -> NDArray[np.bool_]:
        """Return which pixels are swapped, ``(H, W)``, for pictures of ``size`` (H, W)."""
        height, width = size
        if isinstance(self.box, float):
            mask = np.ones(size, np.bool_)
            across, down = max(1, round(self.box * width)), max(1, round(self.box * height))
            mask[down : height - down, across : width - across] = False
            return mask
        left, top, right, bottom = self.box
        mask = np.zeros(size, np.bool_)
        mask[round(top * height) : round(bottom * height), round(left * width) : round(right * width)] = True
        return mask

    def change(self, ours: Pictures, theirs: Pictures, generator: Generator) -> Changed:
        """Take the part from a picture of the other class; for the control, from another one of their own."""
        mask = self.mask((ours.shape[1], ours.shape[2]))[None, :, :, None]
        return Changed(
            np.where(mask, theirs[generator.integers(len(theirs), size=len(ours))], ours),
            np.where(mask, ours[another(len(ours), generator)], ours),
        )

    def words(self, ours: Pictures, theirs: Pictures) -> str:
        """Name the part."""
        return f"showing {self.name} of {{b}} pictures in {{a}} pictures"


class ColourLayout(Intervention):
    """Give pictures the large-scale light and colour of another picture, and keep what is finer.

    As light does, it multiplies: what a place is made of stays, and how much light falls on it changes.
    """

    kind, name = "broad", "the large-scale light and colour"

    def change(self, ours: Pictures, theirs: Pictures, generator: Generator) -> Changed:
        """Take what a blur of a sixth of the side leaves from a picture of the other class, or of their own."""
        sigma = min(ours.shape[1:3]) / 6
        coarse, of_theirs = blurred(ours, sigma), blurred(theirs, sigma)
        fine = ours / (coarse + DARK)
        return Changed(
            np.clip(fine * of_theirs[generator.integers(len(theirs), size=len(ours))], 0, 1),
            np.clip(fine * coarse[another(len(ours), generator)], 0, 1),
        )

    def words(self, ours: Pictures, theirs: Pictures) -> str:
        """Say what is exchanged."""
        return "giving {a} pictures the large-scale light and colour of {b} pictures"


def matched(values: Values, others: Values) -> Values:
    """Return for each value the one that has the same rank among others."""
    ranks = (stats.rankdata(values) - 0.5) / len(values)
    return np.asarray(np.quantile(others, ranks), np.float64)


def another(count: int, generator: Generator) -> NDArray[np.intp]:
    """Return for each of some pictures the number of another one."""
    order = generator.permutation(count)
    partner = np.empty(count, np.intp)
    partner[order] = np.roll(order, 1)
    return partner


def regions() -> list[RegionSwap]:
    """Return the corners, the cells along the edges, the frame, and the middle, which is only told."""
    names = {
        (0, 0): "the top left corner", (0, 3): "the top right corner",
        (3, 0): "the bottom left corner", (3, 3): "the bottom right corner",
        (0, 1): "the top edge, left of the middle", (0, 2): "the top edge, right of the middle",
        (3, 1): "the bottom edge, left of the middle", (3, 2): "the bottom edge, right of the middle",
        (1, 0): "the left edge, above the middle", (2, 0): "the left edge, below the middle",
        (1, 3): "the right edge, above the middle", (2, 3): "the right edge, below the middle",
    }  # fmt: skip
    cells = [
        RegionSwap(name, (column / 4, row / 4, (column + 1) / 4, (row + 1) / 4))
        for (row, column), name in names.items()
    ]
    middle = RegionSwap("the middle", (0.25, 0.25, 0.75, 0.75), informative=True)
    return [*cells, RegionSwap("the frame", 1 / 16), middle]


#: Everything that is tried, in the order of reports.
INTERVENTIONS: tuple[Intervention, ...] = (*map(PropertyChange, PROPERTIES), *regions(), ColourLayout())
