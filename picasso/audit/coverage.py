"""What an audit could judge: the pairs of classes that it compared, what it left out, and swapped folders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from picasso.audit.dataset import Folder, answers
from picasso.evaluation.intervals import interval

# The largest number of classes that a sentence names.
NAMED = 6


@dataclass(frozen=True)
class Coverage:
    """What an audit could judge.

    Attributes:
        compared: the number of pairs of classes that were tested.
        pairs: the number of pairs of classes that have enough images.
        small_classes: the number of classes with too few images.
        unreadable: the number of images that could not be read.
        swapped: the groups of classes whose folders seem to be swapped, by index.
        masked: the number of classes whose images all have masks of the object; None if no masks were given.
        classes: the number of classes.
        untested: the number of interventions that were not tested on the last pair, because the time ran out.
        interventions: the number of all interventions of such pairs.
        undecided: the number of tests that more images could have decided, if the time had not run out.
        used: the share of the images that the tests used, on average, 0..1.
        looked: the number of images of each class by which the pairs were chosen; 0 if all images were read.

    Examples:
        >>> from picasso.audit.coverage import Coverage
        >>> Coverage(2, 10, 1, 0, ()).scope
        ' (2 of 10 pairs of classes)'
        >>> Coverage(2, 10, 1, 0, ()).remarks()
        ['1 class has too few images and was left out.']
    """

    compared: int
    pairs: int
    small_classes: int
    unreadable: int
    swapped: tuple[tuple[int, ...], ...]
    masked: int | None = None
    classes: int = 0
    untested: int = 0
    interventions: int = 0
    undecided: int = 0
    used: float = 1.0
    looked: int = 0

    @property
    def judged(self) -> bool:
        """Whether anything was judged."""
        return self.compared > 0

    @property
    def scope(self) -> str:
        """The share of the pairs that a statement about findings is about, in brackets; "" if it is about all."""
        return "" if self.compared == self.pairs else f" ({self.compared:,} of {self.pairs:,} pairs of classes)"

    def warnings(self, names: Sequence[str]) -> list[str]:
        """Return a sentence for each group of swapped folders."""
        found = []
        for group in self.swapped:
            listed = [f"“{names[one]}”" for one in group[:NAMED]]
            more = f" and {len(group) - NAMED} more" if len(group) > NAMED else ""
            classes = f"{', '.join(listed)}{more}" if more else f"{', '.join(listed[:-1])} and {listed[-1]}"
            found.append(
                f"The folders of {classes} seem to be swapped: the model classifies most images of each as another of "
                "them. Correct the folders or the labels, and audit again."
            )
        return found

    def remarks(self) -> list[str]:
        """Return sentences on what was left out."""
        few, bad = self.small_classes, self.unreadable
        found = []
        if self.looked:
            found.append(
                f"The pairs were chosen by up to {self.looked} images of each of {self.classes:,} classes: the model "
                "confuses them most, its logits for them are most alike, or a property separates them best."
            )
        if self.untested:
            found.append(
                f"Time ran out: {self.untested} of {self.interventions} interventions were not tested on the last pair."
            )
        if self.used < 1:
            found.append(f"The tests stopped with {self.used:.1%} of the images, on average.")
        if self.undecided:
            what = "test is" if self.undecided == 1 else "tests are"
            found.append(f"Time ran out: {self.undecided} {what} undecided, because more images are needed.")
        if few:
            found.append(f"{few} class{'es have' if few > 1 else ' has'} too few images and {were(few)} left out.")
        if bad:
            found.append(f"{bad} image{'s' if bad > 1 else ''} could not be read and {were(bad)} left out.")
        if self.masked is not None:
            some = f"{self.masked} of {self.classes} classes"
            found.append(f"Masks locate the object in {some}; a class needs one for each of its images.")
        return found


def were(count: int) -> str:
    """Return the form of the verb for a number of things."""
    return "were" if count > 1 else "was"


def coverage(
    folder: Folder, compared: int, untested: int = 0, interventions: int = 0, undecided: int = 0, used: float = 1.0
) -> Coverage:
    """Return what an audit of a folder could judge.

    Args:
        folder: the images.
        compared: the number of pairs of classes that were tested.
        untested: the number of interventions that were not tested on the last pair, because the time ran out.
        interventions: the number of all interventions of such pairs.
        undecided: the number of tests that more images could have decided.
        used: the share of the images that the tests used, on average, 0..1.
    """
    count, looked = folder.classes, folder.look.images if folder.look else 0
    pairs, groups = count * (count - 1) // 2, swapped(answers(folder))
    masked = len(folder.masks) if folder.masks_given else None
    few, bad = folder.small_classes, len(folder.unreadable)
    known = Coverage(compared, pairs, few, bad, groups, masked, count, untested, interventions, undecided, used)
    return replace(known, looked=looked)


def swapped(predicted: Mapping[int, NDArray[np.int64]]) -> tuple[tuple[int, ...], ...]:
    """Return the groups of classes whose folders seem to be swapped.

    Most images of each class of a group are predicted as the next one, and those of the last as the first: the 95%
    confidence interval of the share (Wilson, 1927) lies above one half. A class that is taken for another without such
    an exchange is a mistake of the model, not of the folders.

    Args:
        predicted: the predicted classes by true class, ``(n,)``.

    Examples:
        >>> import numpy as np
        >>> from picasso.audit.coverage import swapped
        >>> swapped({0: np.full(20, 1), 1: np.full(20, 0), 2: np.full(20, 2), 3: np.full(20, 2)})
        ((0, 1),)
    """
    taken_for = {}
    for target, best in predicted.items():
        counts = np.bincount(best)
        other = int(counts.argmax())
        if other != target and other in predicted and interval(int(counts[other]), len(best))[0] > 0.5:
            taken_for[target] = other
    found = []
    for first in sorted(taken_for):
        group, one = [first], taken_for[first]
        while one in taken_for and one not in group:
            group.append(one)
            one = taken_for[one]
        # Each group is found from each of its classes.
        if one == first and first == min(group):
            found.append(tuple(group))
    return tuple(found)
