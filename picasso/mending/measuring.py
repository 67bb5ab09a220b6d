"""Measure a mended model: effects, quality, and the accuracy of groups of held-out images."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from picasso.audit.audit import Audit
from picasso.audit.dataset import Folder, answers, encoded, margins
from picasso.audit.properties import Images
from picasso.audit.reporting import performance
from picasso.audit.rule import directions
from picasso.audit.statistics import effect
from picasso.audit.trial import Pair, TrialContext
from picasso.mending.counterfactuals import Alarm
from picasso.mending.fitting import Numbers, Values, accuracies
from picasso.mending.outcome import Both, ClassAnswers, EffectChange, GroupAccuracy, Quality, Rise
from picasso.models.base import Model
from picasso.models.head import Head

# An effect that raised no alarm is told if it rose by more than this, beyond its confidence interval.
RISE = 0.05
# Returns the logits ``(n, K)`` of changed images of a class.
Answer = Callable[[Images, int], Values]


def features_of(head: Head, model: Model, views: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the features of images as the model sees them, ``(n, D)``."""
    size = max(model.batch_size, 64)
    parts = [head.features(encoded(model, views[start : start + size])) for start in range(0, len(views), size)]
    return np.concatenate(parts)


def fraction(towards: Values, control: Values, ours: Values, theirs: Values, one: int, other: int) -> float:
    """Return an effect as in the audit, a fraction of the way between two classes, from logits ``(n, K)``.

    It is 0 if the model does not separate the classes.

    Args:
        towards: of the changed images of the first class.
        control: of the same images after the change of the control.
        ours: of its unchanged images.
        theirs: of the images of the other class.
        one: the index of the first class.
        other: the index of the other class.
    """
    after, within, before, others = (
        margins(np.asarray(some, np.float32), one, other) for some in (towards, control, ours, theirs)
    )
    return effect(before, after, within, others).fraction


def effects(
    context: TrialContext,
    alarms: Sequence[Alarm],
    answer: Answer,
    unchanged: Mapping[int, Values],
    chosen: Mapping[int, NDArray[np.bool_]] | None = None,
) -> dict[tuple[Alarm, int], float]:
    """Return the effects of the changes of an audit on another model, by alarm and by the class that was changed.

    Args:
        context: that of the audit.
        alarms: the alarms.
        answer: returns the logits of all images of a class after a change.
        unchanged: the logits of the images, by class.
        chosen: the images to measure, by class; by default all.
    """
    found = {}
    for alarm in alarms:
        for ours, theirs in (alarm.pair, alarm.pair[::-1]):
            changed = context.change(context.named(alarm.intervention), ours, theirs)
            if changed is None:
                continue
            logits = [answer(changed.towards, ours), answer(changed.control, ours), unchanged[ours], unchanged[theirs]]
            if chosen:
                parts = zip(logits, (ours, ours, ours, theirs), strict=True)
                logits = [some[chosen[target]] for some, target in parts]
            towards, control, own, others = logits
            found[alarm, ours] = fraction(towards, control, own, others, ours, theirs)
    return found


class Sizes(NamedTuple):
    """The effects of an intervention on a pair of classes.

    Attributes:
        both: on the images of the class with the smaller index, and of the other.
        low: the lower end of the 95% confidence interval of the smaller effect.
        informative: whether the intervention raises no alarm.
    """

    both: Both
    low: float
    informative: bool


def sizes(audit: Audit) -> dict[tuple[str, Pair], Sizes]:
    """Return the effects of each intervention and pair; the smaller index of a pair is first."""
    found = {}
    for pair, made in audit.trials.items():
        for there, back in directions(made):
            by_class = {one.ours: one.effect.fraction for one in (there, back)}
            one, other = sorted(pair)
            found[there.intervention, (one, other)] = Sizes(
                (by_class[one], by_class[other]), back.effect.low, there.informative
            )
    return found


def alarms_of(audit: Audit) -> list[Alarm]:
    """Return the alarms of an audit, the most important first."""
    found = []
    for one in audit.verdict.alarms:
        pair = (min(one.there.ours, one.there.theirs), max(one.there.ours, one.there.theirs))
        found.append(Alarm(one.there.intervention, pair))
    return list(dict.fromkeys(found))


def rises(before: Audit, after: Audit, known: Sequence[Alarm]) -> tuple[Rise, ...]:
    """Return the effects without an alarm before that raise one now, or that rose beyond their interval."""
    old, new, alarms = sizes(before), sizes(after), alarms_of(after)
    found = []
    for (name, pair), now in new.items():
        alarm = Alarm(name, pair)
        was = min(old[name, pair].both) if (name, pair) in old else 0.0
        alarming = alarm in alarms
        # An effect below 0 that gets closer to 0 has not risen; one that was not measured before is told if it alarms.
        rose = (name, pair) in old and now.low > max(was, 0.0) + RISE
        if alarm not in known and (alarming or rose):
            found.append(Rise(name, pair, was, min(now.both), alarming, now.informative))
    return tuple(sorted(found, key=lambda one: (not one.alarm, one.informative, -one.after)))


def changes(
    before: Audit,
    after: Audit,
    alarms: Sequence[Alarm],
    same: Mapping[tuple[Alarm, int], float],
    held_out: Mapping[tuple[Alarm, int], float],
) -> tuple[EffectChange, ...]:
    """Return the effects of alarms before and after.

    Args:
        before: the audit of the model.
        after: that of the mended copy.
        alarms: the alarms.
        same: the effects of the changes of the first audit on the mended copy, by alarm and class.
        held_out: the same on held-out images.
    """
    old, new, found = sizes(before), sizes(after), []
    for alarm in alarms:
        key, (one, other) = (alarm.intervention, alarm.pair), alarm.pair
        both, held = ((some[alarm, one], some[alarm, other]) for some in (same, held_out))
        again = new[key].both if key in new else None
        found.append(EffectChange(alarm.intervention, alarm.pair, old[key].both, both, held, again))
    return tuple(found)


def quality(
    folder: Folder, names: Sequence[str], logits: Mapping[int, Values], probabilities: Mapping[int, Values]
) -> Quality:
    """Return the quality of predictions, by class.

    Args:
        folder: the images.
        names: the names of all classes.
        logits: of the images, by class.
        probabilities: of the images, by class.
    """
    answered = replace(folder, logits={one: np.asarray(some, np.float32) for one, some in logits.items()})
    known = performance.calibration(answered, {one: np.asarray(some) for one, some in probabilities.items()})
    classes = tuple(
        ClassAnswers(names[target], len(best), int((best == target).sum()))
        for target, best in answers(answered).items()
    )
    return Quality(classes, None if known is None else known.error)


def by_group(right: NDArray[np.bool_], targets: Numbers, groups: Numbers, changed: NDArray[np.bool_]) -> GroupAccuracy:
    """Return the accuracy of groups of images.

    Args:
        right: whether each answer is right, ``(n,)``.
        targets: the class of each image.
        groups: its group.
        changed: whether its shortcut is that of another class.
    """
    found = accuracies(right, groups)
    classes = [changed & (targets == target) for target in np.unique(targets[changed])]
    means = [accuracies(right[some], groups[some]).mean() for some in classes]
    return GroupAccuracy(float(found.min()), float(found.mean()), float(np.mean(means)) if means else 0.0)
