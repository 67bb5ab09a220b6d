"""What the changes behind a finding did: to which images, where on them, and which of them changed their class."""

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

# How many images of each direction are shown before and after; both directions together make ten.
SHOWN = 5


@dataclass(frozen=True)
class Shown:
    """One image before and after a change.

    Attributes:
        ours, theirs: the numbers of its class, and of the one that it was changed towards.
        name: of its file.
        before, after: ``(H, W, C)`` from 0 to 1.
        own_before, own_after: the model's probability of its own class.
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
        finding: what it is the evidence for.
        shown: the images that moved most, :data:`SHOWN` of each direction.
        where: how much each pixel was changed on average, ``(H, W)`` from 0 to 1.
        flipped: by class, which of its images are then taken for the other one and were not before, ``(n,)``.
        remainder: what is left of it without the first finding, where that can be said.
    """

    finding: Finding
    shown: tuple[Shown, ...]
    where: Maps
    flipped: dict[int, NDArray[np.bool_]]
    remainder: ResidualEffect | None = None

    @property
    def pair(self) -> tuple[int, int]:
        """The numbers of the two classes; images of the first moved farther."""
        return self.finding.there.ours, self.finding.there.theirs


@dataclass(frozen=True)
class Flip:
    """How often one image changes its class.

    Attributes:
        target: the number of its class.
        index: its number in the class.
        by: the names of the changes that flip it.
        tried: how many changes it went through.
    """

    target: int
    index: int
    by: tuple[str, ...]
    tried: int


def exhibit(context: TrialContext, one: Finding, first: Finding) -> Evidence:
    """Make the changes of a finding again, in both directions, and keep what can be shown.

    Args:
        context: the model and the images.
        one: the finding.
        first: the one that is named first.
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
    """Return some images before and after, with what the model says to both."""
    before, names = context.folder.views[trial.ours][chosen], context.folder.names[trial.ours]
    says = [context.model.predict(encoded(context.model, some))[:, trial.ours] for some in (before, after[chosen])]
    return [
        Shown(trial.ours, trial.theirs, names[index], before[place], after[index], float(was), float(now))
        for place, (index, was, now) in enumerate(zip(chosen, *says, strict=True))
    ]


def flips(exhibits: Sequence[Evidence]) -> list[Flip]:
    """Return the images that findings flip, those that are flipped by most of them first."""
    by: dict[tuple[int, int], list[str]] = {}
    tried: dict[tuple[int, int], int] = {}
    for one in exhibits:
        for target, flipped in one.flipped.items():
            for index, flip in enumerate(flipped):
                tried[target, index] = tried.get((target, index), 0) + 1
                by.setdefault((target, index), []).extend([one.finding.there.intervention] if flip else [])
    found = [Flip(target, index, tuple(some), tried[target, index]) for (target, index), some in by.items() if some]
    return sorted(found, key=lambda one: (-len(one.by), -len(one.by) / one.tried, one.target, one.index))
