"""A trial: one intervention on the images of one class, and what the model says then."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from picasso.audit.attention import attention
from picasso.audit.dataset import Folder, logits, margins
from picasso.audit.interventions import INTERVENTIONS, ImagePair, Intervention, InterventionResult
from picasso.audit.properties import Maps
from picasso.audit.statistics import LEVEL, Effect, apart, effect
from picasso.errors import BadRequest
from picasso.models.base import Model

Pair = tuple[int, int]


@dataclass(frozen=True)
class Trial:
    """One intervention on the images of one class, towards another.

    Attributes:
        intervention: its name.
        kind: of the intervention.
        informative: whether it raises no alarm.
        floor: the effect that an alarm needs.
        words: what was done, with ``{a}`` and ``{b}`` for the names of the classes.
        ours, theirs: the numbers of the classes.
        effect: what came of it.
    """

    intervention: str
    kind: str
    informative: bool
    floor: float
    words: str
    ours: int
    theirs: int
    effect: Effect


class TrialContext:
    """Where trials are made: a model, a folder, and what was found out about both and is needed again.

    Args:
        model: the model.
        folder: the images.
        seed: for whatever is drawn at random.
        interventions: what is tried.
    """

    def __init__(
        self, model: Model, folder: Folder, seed: int = 0, interventions: Sequence[Intervention] = INTERVENTIONS
    ) -> None:
        if not interventions:
            raise BadRequest("There is nothing to try: an audit needs one intervention or more.", field="interventions")
        self.model, self.folder, self.seed, self.interventions = model, folder, seed, tuple(interventions)
        self.attention = lru_cache(maxsize=4)(self._attention)

    def _attention(self, target: int) -> Maps:
        return attention(self.model, self.folder.views[target], target)

    def case(self, ours: int, theirs: int) -> ImagePair:
        """Return the images of two classes, those of the first to be changed."""
        views = self.folder.views
        return ImagePair(views[ours], views[theirs], lambda: (self.attention(ours), self.attention(theirs)))

    def change(self, intervention: Intervention, ours: int, theirs: int) -> InterventionResult | None:
        """Return the changed images; the same whenever it is asked for."""
        generator = generator_of(self.seed, intervention.name, ours, theirs)
        return intervention.change(self.case(ours, theirs), generator)

    def trial(self, intervention: Intervention, ours: int, theirs: int) -> Trial | None:
        """Change the images of one class towards another in one respect, and see what the model says."""
        changed, mine = self.change(intervention, ours, theirs), self.folder.views[ours]
        if changed is None or (np.array_equal(changed.towards, mine) and np.array_equal(changed.control, mine)):
            return None
        found, what = self.effect(changed, ours, theirs), intervention
        words = changed.words or intervention.words(self.case(ours, theirs))
        return Trial(what.name, what.kind, what.informative, what.floor, words, ours, theirs, found)

    def effect(self, changed: InterventionResult, ours: int, theirs: int) -> Effect:
        """Return how far changed images of one class move towards another."""
        before, others = (margins(self.folder.logits[one], ours, theirs) for one in (ours, theirs))
        towards, control = (
            margins(logits(self.model, some), ours, theirs) for some in (changed.towards, changed.control)
        )
        return effect(before, towards, control, float(others.mean() - before.mean()))

    def is_separable(self, pair: Pair) -> bool:
        """Tell whether the model tells two classes apart; if not, nothing can be said of what it does so by."""
        ours, theirs = (margins(self.folder.logits[one], *pair) for one in pair)
        return apart(ours, theirs, LEVEL)

    def named(self, name: str) -> Intervention:
        """Return the intervention of that name."""
        (found,) = (one for one in self.interventions if one.name == name)
        return found

    def both(self, intervention: Intervention, pair: Pair) -> list[Trial]:
        """Return the trials of both directions; none where there was nothing to change in one of them."""
        if not all(intervention.fits(self.folder.views[one]) for one in pair):
            return []
        made = [self.trial(intervention, ours, theirs) for ours, theirs in (pair, pair[::-1])]
        return [one for one in made if one] if all(made) else []


def generator_of(seed: int, *what: object) -> np.random.Generator:
    """Return random numbers that depend on what they are for alone, so that resuming gives the same ones."""
    digest = hashlib.sha256(json.dumps([seed, *map(str, what)]).encode()).digest()
    return np.random.default_rng(list(digest[:16]))
