"""The evidence for a finding: the images with the largest shift, the changed pixels, and the flipped images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from picasso.audit.dataset import encoded, leaving, logits, margins
from picasso.audit.findings import Finding
from picasso.audit.interventions import InterventionResult
from picasso.audit.interventions.base import Regions
from picasso.audit.properties import Images, Maps
from picasso.audit.reporting.residual_effects import ResidualEffect, remainder
from picasso.audit.rule import directions
from picasso.audit.trial import Pair, Trial, TrialContext

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
        says_before, says_after: the predicted class and its probability.
        region_before, region_after: the pixels that the change is about, ``(H, W)``; None if it is the whole image.
    """

    ours: int
    theirs: int
    name: str
    before: Images
    after: Images
    own_before: float
    own_after: float
    says_before: tuple[int, float]
    says_after: tuple[int, float]
    region_before: Regions | None = None
    region_after: Regions | None = None

    @property
    def persuasive(self) -> tuple[bool, bool, float]:
        """How well the image shows the effect: it is classified correctly, then as the other class, and by how much."""
        right, moved = self.says_before[0] == self.ours, self.says_after[0] == self.theirs
        return right and moved, moved, self.own_before - self.own_after


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
    def example(self) -> int:
        """The index of the shown image that shows the effect best."""
        return max(range(len(self.shown)), key=lambda index: self.shown[index].persuasive)

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
        result = context.change(context.named(trial.intervention), trial.ours, trial.theirs)
        if result is None:
            continue
        before, after = context.folder.views[trial.ours], result.towards
        first_logits, last_logits = context.folder.logits[trial.ours], logits(context.model, after)
        was, now = (margins(some, trial.ours, trial.theirs) for some in (first_logits, last_logits))
        flipped[trial.ours] = leaving(first_logits, last_logits, trial.ours)
        where.append(np.abs(after - before).mean(axis=(0, 3)))
        shown += pairs(context, trial, result, np.argsort(was - now, kind="stable")[:SHOWN])
    left = remainder(context, first, one) if one.alarm else None
    return Evidence(one, tuple(shown), np.asarray(np.mean(where, axis=0), np.float32), flipped, left)


def closest(context: TrialContext, trials: Mapping[Pair, Sequence[Trial]]) -> Evidence | None:
    """Return the evidence for the largest effect that could have raised an alarm; None if nothing was tested."""
    both = [two for made in trials.values() for two in directions(made) if not two[0].informative]
    if not both:
        return None
    there, back = max(both, key=lambda two: two[1].effect.fraction)
    one = Finding(there, back, 1.0, "object")
    return exhibit(context, one, one)


def pairs(context: TrialContext, trial: Trial, result: InterventionResult, chosen: NDArray[np.intp]) -> list[Shown]:
    """Return images before and after, with the predictions for both."""
    views, names = context.folder.views[trial.ours], context.folder.names[trial.ours]
    regions = [result.region, result.region if result.region_after is None else result.region_after]
    outlined = [None if one is None else np.broadcast_to(one, views.shape[:3]) for one in regions]
    before, after = views[chosen], result.towards[chosen]
    says = [context.model.predict(encoded(context.model, some)) for some in (before, after)]
    found = []
    for place, index in enumerate(chosen):
        was, now = (one[place] for one in says)
        first, second = (None if one is None else one[index] for one in outlined)
        found.append(
            Shown(
                trial.ours,
                trial.theirs,
                names[index],
                before[place],
                after[place],
                own_before=float(was[trial.ours]),
                own_after=float(now[trial.ours]),
                says_before=(int(was.argmax()), float(was.max())),
                says_after=(int(now.argmax()), float(now.max())),
                region_before=first,
                region_after=second,
            )
        )
    return found


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
