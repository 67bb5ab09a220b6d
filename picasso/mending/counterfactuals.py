"""Counterfactual images: those of an audit, changed in what the model relies on, with the class that they had."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from picasso.audit.interventions import ImagePair, InterventionResult
from picasso.audit.properties import Images
from picasso.audit.trial import Pair, TrialContext, generator_of

# How often each change of an alarm is drawn, and all changes in sequence; more draws changed the accuracy on held-out
# images little.
DRAWS = 4
# For so many of these draws, images are added that are edited, too, so that the traces of editing say nothing about the
# class: with values of their own class, and by the control of the audit. Without the latter, effects end far below 0.
WITHIN, CONTROLS = 1, 1
# The share of the images of the other class that one draw takes its values from: with few, the values of an image in
# several draws differ more. And the smallest number, which changes that compare positions need.
SHARE, LEAST_IMAGES = 1 / 8, 4
# All changes in sequence take their values from the other class this often, and from the same class otherwise.
FOREIGN = 0.7
# The name of the group of images that underwent all changes, and of those that underwent none.
TOGETHER, UNCHANGED = "all changes", ""


@dataclass(frozen=True)
class Alarm:
    """A change that an alarm was raised for.

    Attributes:
        intervention: the name of the intervention.
        pair: the indices of the classes, the smaller first.
    """

    intervention: str
    pair: Pair


@dataclass(frozen=True, eq=False)
class Counterfactual:
    """All images of one class after a change; their class is still right.

    Attributes:
        change: the name of the intervention, :data:`TOGETHER`, or :data:`UNCHANGED`.
        target: the index of the class.
        views: the images, ``(n, H, W, C)`` from 0 to 1, in the order of the folder.
        changed: whether the shortcut is that of another class; False for unchanged images and those with values of
            their own class.
    """

    change: str
    target: int
    views: Images
    changed: bool = True


def unchanged(context: TrialContext) -> Iterator[Counterfactual]:
    """Yield the images of each class as they are."""
    for target, views in context.folder.views.items():
        yield Counterfactual(UNCHANGED, target, views, changed=False)


def counterfactuals(context: TrialContext, alarms: Sequence[Alarm], draws: int = DRAWS) -> Iterator[Counterfactual]:
    """Yield the images of the classes of alarms after each change, in both directions.

    Each draw takes the values from a few random images of the other class, so that an image has several values. If
    there are several alarms between two classes, some images undergo all changes, in random order.

    Args:
        context: the model, the images and the interventions.
        alarms: what the counterfactuals are about.
        draws: the number of draws of each change.
    """
    for alarm in alarms:
        for ours, theirs in (alarm.pair, alarm.pair[::-1]):
            for draw in range(draws):
                views = context.folder.views[ours]
                changed = drawn(context, alarm.intervention, views, ours, theirs, draw)
                if changed is None:
                    break
                yield Counterfactual(alarm.intervention, ours, changed.towards)
                yield from of_own_class(context, alarm, (ours, theirs), draw, changed)
    for pair in dict.fromkeys(alarm.pair for alarm in alarms):
        names = [alarm.intervention for alarm in alarms if alarm.pair == pair]
        if len(names) < 2:
            continue
        for ours, theirs in (pair, pair[::-1]):
            for draw in range(draws):
                yield Counterfactual(TOGETHER, ours, composed(context, names, ours, theirs, draw))


def of_own_class(
    context: TrialContext, alarm: Alarm, pair: Pair, draw: int, changed: InterventionResult
) -> Iterator[Counterfactual]:
    """Yield images that are edited, too, but stay like their own class in what the alarm is about.

    Args:
        context: the model, the images and the interventions.
        alarm: the alarm.
        pair: the class of the images and the other class.
        draw: the number of the draw.
        changed: the images of that draw, with their control.
    """
    ours, views = pair[0], context.folder.views[pair[0]]
    within = drawn(context, alarm.intervention, views, ours, ours, draw) if draw < WITHIN else None
    if within is not None:
        yield Counterfactual(f"{alarm.intervention}, within", ours, within.towards, changed=False)
    if draw < CONTROLS:
        yield Counterfactual(f"{alarm.intervention}, control", ours, changed.control, changed=False)


def drawn(
    context: TrialContext, name: str, views: Images, ours: int, theirs: int, draw: int, few: bool = True
) -> InterventionResult | None:
    """Change images of a class to the values of random images of another; return None if there is nothing to change.

    Args:
        context: the model, the images and the interventions.
        name: the intervention.
        views: the images of the class, which may have undergone other changes.
        ours: the index of the class.
        theirs: the index of the other class, or of the same.
        draw: the number of the draw, which determines the random numbers.
        few: whether the values come from few images.
    """
    generator = generator_of(context.seed, "mending", name, ours, theirs, draw)
    others, intervention = context.folder.views[theirs], context.named(name)
    # A recurring mark can only be found in many images, and none recurs in one of two equal sets only.
    if intervention.kind == "mark":
        few = False
        if ours == theirs:
            return None
    count = max(LEAST_IMAGES, round(SHARE * len(others)))
    chosen = generator.choice(len(others), min(count, len(others)), replace=False) if few else np.arange(len(others))
    chosen = np.sort(chosen)

    def attention() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        return context.location(ours), context.location(theirs)[chosen]

    known = context.folder.masks_of(ours, theirs)
    masks = (known[0], known[1][chosen]) if known else None
    memory = searched(context, name, ours, theirs) if intervention.kind == "mark" else {}
    case = ImagePair(views, others[chosen], attention, masks, memory, reverse=ours > theirs)
    changed = intervention.change(case, generator)
    if changed is None:
        # With few images, the classes may hardly differ.
        return drawn(context, name, views, ours, theirs, draw, few=False) if few else None
    return changed


def searched(context: TrialContext, name: str, ours: int, theirs: int) -> dict[Any, Any]:
    """Return the memory of a pair of classes in which a mark was searched once, in the unchanged images."""
    memory = context.memory((min(ours, theirs), max(ours, theirs)))
    if name not in memory:
        context.change(context.named(name), ours, theirs)
        memory[name] = True
    return memory


def composed(context: TrialContext, names: Sequence[str], ours: int, theirs: int, draw: int) -> Images:
    """Return images of a class after several changes, in random order; marks first, as long as they are in place."""
    generator = generator_of(context.seed, "mending", TOGETHER, ours, theirs, draw)
    views = context.folder.views[ours]
    order = generator.permutation(len(names))
    for place in sorted(order, key=lambda one: context.named(names[one]).kind != "mark"):
        other = theirs if generator.random() < FOREIGN else ours
        changed = drawn(context, names[place], views, ours, other, DRAWS + draw)
        views = views if changed is None else changed.towards
    return views


def affordable(context: TrialContext, alarms: Sequence[Alarm], draws: int, values: int, most: int) -> int:
    """Return how many draws of each change there may be, so that all images together have at most so many values.

    Args:
        context: the model, the images and the interventions.
        alarms: what the counterfactuals are about.
        draws: the number wanted; the result is between 1 and this.
        values: the number of values that are kept of each image.
        most: the largest number of all values.
    """
    while draws > 1 and total(context, alarms, draws) * values > most:
        draws -= 1
    return draws


def total(context: TrialContext, alarms: Sequence[Alarm], draws: int) -> int:
    """Return the largest number of counterfactual images."""
    counts = {target: len(views) for target, views in context.folder.views.items()}
    pairs = [alarm.pair for alarm in alarms]
    repeated = [pair for pair in dict.fromkeys(pairs) if pairs.count(pair) > 1]
    return (draws + min(draws, WITHIN) + min(draws, CONTROLS)) * sum(
        counts[one] for pair in [*pairs, *repeated] for one in pair
    )
