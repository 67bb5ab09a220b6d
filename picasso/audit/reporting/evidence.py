"""The evidence for a finding: the images with the largest shift, the changed pixels, and the flipped images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from picasso.audit.dataset import encoded, logits, margins
from picasso.audit.findings import Finding
from picasso.audit.properties import Images, Maps
from picasso.audit.reporting.residual_effects import ResidualEffect, remainder
from picasso.audit.trial import Trial, TrialContext

# The number of images that are shown for each direction, ten in all.
SHOWN = 5


@dataclass(frozen=True)
class Shown:
    """One image before and after a change.

    Attributes:
        ours, theirs: the indices of its class and of the class that it was changed towards.
        name: its file name.
        before, after: ``(H, W, C)`` from 0 to 1.
        own_before, own_after: the predicted probability of its own class.
    """

    ours: int
    theirs: int
    name: str
    before: Images
    after: Images
    own_before: float
    own_after: float


@dataclass(frozen=True)
class Evidence:
    """The evidence for one finding.

    Attributes:
        finding: the finding.
        shown: the images with the largest shift, :data:`SHOWN` for each direction.
        where: the mean change of each pixel, ``(H, W)`` from 0 to 1.
        flipped: by class, which images the change moves to the other class, ``(n,)``.
        remainder: the effect that remains without the first finding, if it is defined.
    """

    finding: Finding
    shown: tuple[Shown, ...]
    where: Maps
    flipped: dict[int, NDArray[np.bool_]]
    remainder: ResidualEffect | None = None

    @property
    def pair(self) -> tuple[int, int]:
        """The indices of the two classes; the effect on images of the first is larger."""
        return self.finding.there.ours, self.finding.there.theirs


@dataclass(frozen=True)
class Flip:
    """An image that changes class under at least one finding.

    Attributes:
        target: the index of its class.
        index: its index within the class.
        by: the names of the interventions that flip it.
        tried: the number of findings whose change was applied to it.
    """

    target: int
    index: int
    by: tuple[str, ...]
    tried: int


def exhibit(context: TrialContext, one: Finding, first: Finding) -> Evidence:
    """Repeat the changes of a finding in both directions and collect the evidence.

    Args:
        context: the model and the images.
        one: the finding.
        first: the finding that is named first.
    """
    shown: list[Shown] = []
    flipped: dict[int, NDArray[np.bool_]] = {}
    where: list[Maps] = []
    for trial in (one.there, one.back):
        after = changed(context, trial)
        if after is None:
            continue
        before = context.folder.views[trial.ours]
        was = margins(context.folder.logits[trial.ours], trial.ours, trial.theirs)
        now = margins(logits(context.model, after), trial.ours, trial.theirs)
        flipped[trial.ours] = (was <= 0) & (now > 0)
        where.append(np.abs(after - before).mean(axis=(0, 3)))
        shown += pairs(context, trial, after, np.argsort(was - now, kind="stable")[:SHOWN])
    left = remainder(context, first, one) if one.alarm else None
    return Evidence(one, tuple(shown), np.asarray(np.mean(where, axis=0), np.float32), flipped, left)


def changed(context: TrialContext, trial: Trial) -> Images | None:
    """Return the images of a trial after the change towards the other class."""
    found = context.change(context.named(trial.intervention), trial.ours, trial.theirs)
    return None if found is None else found.towards


def pairs(context: TrialContext, trial: Trial, after: Images, chosen: NDArray[np.intp]) -> list[Shown]:
    """Return images before and after, with the predictions for both."""
    before, names = context.folder.views[trial.ours][chosen], context.folder.names[trial.ours]
    says = [context.model.predict(encoded(context.model, some))[:, trial.ours] for some in (before, after[chosen])]
    return [
        Shown(trial.ours, trial.theirs, names[index], before[place], after[index], float(was), float(now))
        for place, (index, was, now) in enumerate(zip(chosen, *says, strict=True))
    ]


def flips(exhibits: Sequence[Evidence]) -> list[Flip]:
    """Return the images that findings flip, sorted by the number of findings that flip them."""
    by: dict[tuple[int, int], list[str]] = {}
    tried: dict[tuple[int, int], int] = {}
    for one in exhibits:
        for target, flipped in one.flipped.items():
            for index, flip in enumerate(flipped):
                tried[target, index] = tried.get((target, index), 0) + 1
                by.setdefault((target, index), []).extend([one.finding.there.intervention] if flip else [])
    found = [Flip(target, index, tuple(some), tried[target, index]) for (target, index), some in by.items() if some]
    return sorted(found, key=lambda one: (-len(one.by), -len(one.by) / one.tried, one.target, one.index))
