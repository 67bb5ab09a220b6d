"""A trial: one intervention on the images of one class, and its effect on the predictions."""

from __future__ import annotations

import hashlib
import json
import weakref
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, NamedTuple, TypeVar, cast

import numpy as np

from picasso.audit.attention import attention
from picasso.audit.dataset import Folder, leaving, logits, margins
from picasso.audit.extent import CORE, FILLED, fills_images, is_covered, is_drawn, stands_alone
from picasso.audit.interventions import INTERVENTIONS, ImagePair, Intervention, InterventionResult
from picasso.audit.interventions.base import Regions
from picasso.audit.properties import Images, Maps
from picasso.audit.sequences import LEAST, Moments
from picasso.audit.statistics import LEVEL, Effect, Margins, Tally, apart, tally
from picasso.errors import BadRequest
from picasso.models.base import Model

Pair = tuple[int, int]
Key = TypeVar("Key")
Value = TypeVar("Value")

# A change of colour or light is about more than the object if this share of its effect remains without the object.
AROUND = 0.35


@dataclass(frozen=True)
class Trial:
    """One intervention on the images of one class, towards another.

    Attributes:
        intervention: the name of the intervention.
        kind: the kind of the intervention.
        informative: whether it raises no alarm, because it may be about the object itself.
        floor: the smallest effect of an alarm.
        words: a description of the change, with ``{a}`` and ``{b}`` for the names of the classes.
        ours, theirs: the indices of the classes.
        effect: the measured effect.
        separation: the probability that an image of theirs has a larger value of what is changed than one of ours.
        pool: the number of images of the class that the trial may be made on.
        blocks_used: the number of blocks of images that it was made on.
        decided: whether more of these images would hardly change the verdict, or there are none.
        tally: what was measured, if there are several blocks.
    """

    intervention: str
    kind: str
    informative: bool
    floor: float
    words: str
    ours: int
    theirs: int
    effect: Effect
    separation: float = 0.5
    pool: int = 0
    blocks_used: int = 1
    decided: bool = True
    tally: Tally | None = None

    @property
    def early(self) -> bool:
        """Whether the verdict was clear before all images were used."""
        return self.decided and self.effect.images < self.pool

    @property
    def repeated(self) -> bool:
        """Whether the images were looked at after each block, so that its effect needs statistics that permit this."""
        return self.tally is not None and self.pool > LEAST

    def with_tally(self, every: Tally) -> Trial:
        """Return the trial with the effect of what was measured on all blocks so far."""
        found = replace(self, tally=every)
        return replace(found, effect=every.effect(repeatedly=found.repeated))


def restored(stored: Mapping[str, Any]) -> Trial:
    """Return a trial that was stored as a dictionary."""
    effect_, tally_ = Effect(**stored["effect"]), stored.get("tally")
    if tally_ is not None:
        moments = {name: Moments(**tally_[name]) for name in ("control", "unchanged", "ours", "theirs")}
        tally_ = Tally(**{**tally_, **moments})
    return Trial(**{**stored, "effect": effect_, "tally": tally_})


class Measured(NamedTuple):
    """A trial with what was measured for each image.

    Attributes:
        trial: the trial.
        region: the pixels that the change is about, ``(n, H, W)``; None if it is about whole images.
        moved: by how much the change moves the margin of each image, ``(n,)``.
        tally: what was measured, in sums.
    """

    trial: Trial
    region: Regions | None
    moved: Margins
    tally: Tally


class TrialContext:
    """The model, images and interventions of an audit, with cached attribution maps.

    Args:
        model: the model.
        folder: the images.
        seed: the seed of all random draws.
        interventions: the interventions to test.
    """

    def __init__(
        self, model: Model, folder: Folder, seed: int = 0, interventions: Sequence[Intervention] = INTERVENTIONS
    ) -> None:
        if not interventions:
            raise BadRequest("An audit needs at least one intervention.", field="interventions")
        self.model, self.folder, self.seed, self.interventions = model, folder, seed, tuple(interventions)
        # The messages about images of later blocks that could not be read, by the number of the block.
        self.unreadable_later: dict[int, list[str]] = {}
        self.attention = remembering(self._attention)
        self.location = remembering(self._location)
        # Asked by every change of detail and shape, and it sorts all attribution maps of both classes.
        self.is_filled = remembering(self._is_filled)
        # Of marks and segments, whose search is the same in both directions.
        self.memory: Callable[[Pair], dict[Any, Any]] = lru_cache(maxsize=None)(lambda pair: {})

    @property
    def unreadable(self) -> tuple[str, ...]:
        """The messages about images that could not be read, in all blocks that were read so far."""
        later = [one for _, some in sorted(self.unreadable_later.items()) for one in some]
        return (*self.folder.unreadable, *later)

    def _attention(self, target: int) -> Maps:
        return attention(self.model, self.folder.views[target], target)

    def _location(self, target: int) -> Maps:
        """Return where the object is in the images of a class: by their masks, or else where the model looks."""
        masks = self.folder.masks.get(target)
        if masks is None:
            return self.attention(target)
        spread = masks + np.float32(1e-12)
        return np.asarray(spread / spread.sum(axis=(1, 2), keepdims=True), np.float32)

    def blocks_of_pair(self, pair: Pair) -> int:
        """Return the number of blocks of images of a pair of classes."""
        blocks = self.folder.blocks
        # Both classes need a block, so the rest of the larger class is not used.
        return 1 if blocks is None else min(len(blocks.sizes[one]) for one in pair)

    def pool(self, ours: int, theirs: int) -> int:
        """Return how many images of a class can be compared with another; of later blocks, some may be unreadable."""
        blocks, several = self.folder.blocks, self.blocks_of_pair((ours, theirs))
        return len(self.folder.views[ours]) if blocks is None or several == 1 else sum(blocks.sizes[ours][:several])

    def margins(self, ours: int, theirs: int) -> tuple[Margins, Margins]:
        """Return the margins of the images of two classes, from the first towards the second, ``(n,)`` and ``(m,)``."""
        before, others = (margins(self.folder.logits[one], ours, theirs) for one in (ours, theirs))
        return before, others

    def block(self, number: int, targets: Collection[int]) -> TrialContext | None:
        """Return the context of a later block of some classes; None if there is none."""
        if self.folder.blocks is None or not targets:
            return None
        seed = int(generator_of(self.seed, "block", number).integers(2**31))
        images = self.folder.blocks.read(self.model, number, targets)
        # A block may be read again, perhaps for other classes.
        known = self.unreadable_later.get(number, [])
        self.note_unreadable(number, known + list((Counter(images.unreadable) - Counter(known)).elements()))
        return TrialContext(self.model, images, seed, self.interventions)

    def note_unreadable(self, number: int, messages: Sequence[str]) -> None:
        """Note which images of a later block could not be read."""
        if messages:
            self.unreadable_later[number] = list(messages)

    def case(self, ours: int, theirs: int) -> ImagePair:
        """Return the images of two classes; those of the first are to be changed."""
        views = self.folder.views
        return ImagePair(
            views[ours],
            views[theirs],
            lambda: (self.location(ours), self.location(theirs)),
            self.folder.masks_of(ours, theirs),
            self.memory((min(ours, theirs), max(ours, theirs))),
            reverse=ours > theirs,
        )

    def change(self, intervention: Intervention, ours: int, theirs: int) -> InterventionResult | None:
        """Return the changed images; the result is deterministic."""
        generator = generator_of(self.seed, intervention.name, ours, theirs)
        return intervention.change(self.case(ours, theirs), generator)

    def trial(self, intervention: Intervention, ours: int, theirs: int) -> Measured | None:
        """Apply an intervention to the images of one class and measure its effect; None if it changes nothing."""
        changed, mine = self.change(intervention, ours, theirs), self.folder.views[ours]
        if changed is None or (np.array_equal(changed.towards, mine) and np.array_equal(changed.control, mine)):
            return None
        found, moved = self.measured(changed, ours, theirs)
        trial = Trial(
            intervention.name,
            intervention.kind,
            intervention.informative or changed.informative,
            intervention.floor,
            changed.words or intervention.words(self.case(ours, theirs)),
            ours,
            theirs,
            found.effect(),
            changed.separation,
            self.pool(ours, theirs),
        )
        if self.blocks_of_pair((ours, theirs)) > 1:
            trial = replace(trial, decided=False).with_tally(found)
        return Measured(trial, changed.region, moved, found)

    def is_reached(self, intervention: Intervention, both: Sequence[Measured]) -> bool:
        """Tell whether the object seems to be in what is changed: a part of the images, their background or detail."""
        pair, region = [one.trial.ours for one in both], both[0].region
        known = all(one in self.folder.masks for one in pair)
        surroundings = intervention.kind == "broad" and region is not None
        if intervention.detail or (surroundings and not known):
            return self.is_filled((min(pair), max(pair)))
        if intervention.kind not in ("region", "edge") or region is None:
            return False
        part = np.asarray(region[0])
        if known:
            return is_covered(part, [self.folder.masks[one] for one in pair])
        # Where the model looks in all images of a class, or in those that the change affects most: a caption may be at
        # the top of one half of the images, and at the bottom of the other.
        looks = [self.attention(one.trial.ours) for one in both]
        looks += [maps[one.moved >= np.median(one.moved)] for maps, one in zip(looks, both, strict=True)]
        return not (stands_alone(part, looks) or is_drawn(part, [self.folder.views[one] for one in pair]))

    def effect(self, changed: InterventionResult, ours: int, theirs: int) -> Effect:
        """Return the effect of a change of the images of one class, towards another."""
        return self.measured(changed, ours, theirs)[0].effect()

    def measured(self, changed: InterventionResult, ours: int, theirs: int) -> tuple[Tally, Margins]:
        """Return what a change does to the predictions, and by how much it moves the margin of each image."""
        before, others = self.margins(ours, theirs)
        after = [logits(self.model, some) for some in (changed.towards, changed.control)]
        towards, control = (margins(some, ours, theirs) for some in after)
        left, left_in_control = (leaving(self.folder.logits[ours], some, ours) for some in after)
        size, control_size = (change_size(self.folder.views[ours], some) for some in (changed.towards, changed.control))
        found = tally(before, towards, control, others, (left, left_in_control), (size, control_size))
        return found, np.abs(towards - before)

    def _is_filled(self, pair: Pair) -> bool:
        """Tell whether the object fills the images of two classes, by their masks or else by the attention."""
        if all(one in self.folder.masks for one in pair):
            return all(float(self.folder.masks[one].mean()) > FILLED for one in pair)
        return fills_images([self.attention(one) for one in pair])

    def is_separable(self, pair: Pair) -> bool:
        """Tell whether the model separates two classes; otherwise the pair can't be tested."""
        ours, theirs = (margins(self.folder.logits[one], *pair) for one in pair)
        return apart(ours, theirs, LEVEL)

    def named(self, name: str) -> Intervention:
        """Return the intervention of that name."""
        (found,) = (one for one in self.interventions if one.name == name)
        return found

    def both(self, intervention: Intervention, pair: Pair) -> list[Trial]:
        """Return the trials of both directions; none if there is nothing to change in one of them."""
        measured = self.measured_both(intervention, pair)
        return self.with_informative(intervention, measured) if measured else []

    def measured_both(self, intervention: Intervention, pair: Pair) -> list[Measured]:
        """Return what was measured in both directions; nothing if there is nothing to change in one of them."""
        if not all(intervention.fits(self.folder.views[one]) for one in pair):
            return []
        tried = [self.trial(intervention, ours, theirs) for ours, theirs in (pair, pair[::-1])]
        measured = [one for one in tried if one]
        return measured if len(measured) == 2 else []

    def with_informative(self, intervention: Intervention, measured: Sequence[Measured]) -> list[Trial]:
        """Return the trials, informative if what is changed may be the object."""
        both = [one.trial for one in measured]
        if any(one.informative for one in both):
            return both
        large = all(one.effect.fraction >= one.floor for one in both)
        own = intervention.appearance and large and not any(self.around(intervention, one) for one in measured)
        if own or self.is_reached(intervention, measured):
            return [replace(one, informative=True) for one in both]
        return both

    def around(self, intervention: Intervention, measured: Measured) -> bool:
        """Tell whether a change also has an effect without the object, which is put back unchanged.

        The colour of a fruit has none: it is the fruit's own. That of the light has one. Both effects are those on the
        images of this block.
        """
        trial = measured.trial
        changed, ours = self.change(intervention, trial.ours, trial.theirs), self.folder.views[trial.ours]
        if changed is None:
            return True
        core, _ = self.case(trial.ours, trial.theirs).objects(CORE)
        towards, control = (some + core * (ours - some) for some in (changed.towards, changed.control))
        left = self.effect(replace(changed, towards=towards, control=control), trial.ours, trial.theirs)
        return left.fraction >= AROUND * measured.tally.effect().fraction


def remembering(method: Callable[[Key], Value]) -> Callable[[Key], Value]:
    """Return a method that keeps its last four results.

    It holds its object by a weak reference: in a cycle, the images of a block would stay in memory until the garbage
    collector runs.
    """
    weak = weakref.WeakMethod(method)

    @lru_cache(maxsize=4)
    def result(key: Key) -> Value:
        # Only its object calls it, so that exists.
        return cast("Callable[[Key], Value]", weak())(key)

    return result


def change_size(before: Images, after: Images) -> float:
    """Return how much images ``(n, H, W, C)`` differ: the root mean square over the values of each, on average."""
    return float(np.sqrt(((after - before) ** 2).mean(axis=(1, 2, 3), dtype=np.float64)).mean())


def generator_of(seed: int, *what: object) -> np.random.Generator:
    """Return a generator seeded by its purpose alone, so that a resumed audit draws the same numbers."""
    digest = hashlib.sha256(json.dumps([seed, *map(str, what)]).encode()).digest()
    return np.random.default_rng(list(digest[:16]))
