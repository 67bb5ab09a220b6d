"""What mending a model did: effects, accuracy and calibration before and after, and what else rose."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from picasso.audit.trial import Pair

# An effect of at most this, or at most a tenth of what it was, is called gone.
GONE = 0.05
# Called with the completed fraction and what is being done.
Progress = Callable[[float, str], None]
# A direction of an effect, from the class with the smaller index, and the reverse.
Both = tuple[float, float]


@dataclass(frozen=True)
class EffectChange:
    """The effect of a change of images on the model before and after it was mended.

    Effects are fractions of the way between the mean margins of the two classes.

    Attributes:
        intervention: the name of the intervention.
        pair: the indices of the classes.
        before, after: the effects on the images of the first class towards the second, and the reverse; the changed
            images are the same.
        held_out: the same after mending, on images that the new weights were not fitted to.
        again: the effects in the audit of the mended model, whose changes may differ, because the model looks
            elsewhere; None if there was nothing to change.

    Examples:
        >>> from picasso.mending.outcome import EffectChange
        >>> change = EffectChange("brightness", (0, 1), (0.89, 0.96), (0.02, 0.04), (0.03, 0.05))
        >>> change.size_before, change.size_after
        (0.89, 0.02)
    """

    intervention: str
    pair: Pair
    before: Both
    after: Both
    held_out: Both
    again: Both | None = None

    @property
    def size_before(self) -> float:
        """The smaller of the two effects before."""
        return min(self.before)

    @property
    def size_after(self) -> float:
        """The smaller of the two effects after."""
        return min(self.after)

    @property
    def remainder(self) -> float:
        """The size after, or that in the audit of the mended model if it is larger."""
        return max(self.size_after, min(self.again) if self.again else 0.0)

    @property
    def is_gone(self) -> bool:
        """Whether at most .05 or a tenth of the size before remains, in the second audit and on held-out images."""
        return max(self.remainder, min(self.held_out)) <= max(GONE, self.size_before / 10)


@dataclass(frozen=True)
class Rise:
    """An effect that rose although it raised no alarm before.

    Attributes:
        intervention: the name of the intervention.
        pair: the indices of the classes.
        before, after: the smaller of the effects in the two directions.
        alarm: whether it raises an alarm now.
        informative: whether it never raises an alarm, because it may be the object itself.
    """

    intervention: str
    pair: Pair
    before: float
    after: float
    alarm: bool
    informative: bool


@dataclass(frozen=True)
class ClassAnswers:
    """The answers for the images of one class.

    Attributes:
        name: the name of the class.
        images: the number of images.
        right: the number of correct predictions.
    """

    name: str
    images: int
    right: int


@dataclass(frozen=True)
class Quality:
    """How well a model predicts labelled images.

    Attributes:
        classes: the answers by class.
        calibration_error: the expected calibration error, from 0 to 1 (Guo et al., 2017); None for several labels.

    Examples:
        >>> from picasso.mending.outcome import ClassAnswers, Quality
        >>> Quality((ClassAnswers("tank", 10, 9), ClassAnswers("no tank", 10, 10)), 0.02).accuracy
        0.95
    """

    classes: tuple[ClassAnswers, ...]
    calibration_error: float | None

    @property
    def images(self) -> int:
        """The number of images."""
        return sum(one.images for one in self.classes)

    @property
    def accuracy(self) -> float:
        """The share of correct predictions."""
        return sum(one.right for one in self.classes) / max(1, self.images)


@dataclass(frozen=True)
class BeforeAfter:
    """The quality of a model before and after it was mended, on the same images."""

    before: Quality
    after: Quality


class GroupAccuracy(NamedTuple):
    """How a model predicts groups of images: those of one class, unchanged or after one change.

    Attributes:
        worst: the lowest accuracy of a group.
        mean: the mean accuracy of the groups.
        changed: the mean accuracy of the groups whose shortcut is that of another class; all classes weigh the same.
    """

    worst: float
    mean: float
    changed: float


@dataclass(frozen=True)
class WorstGroup:
    """The lowest accuracy over groups of held-out images: those of one class, unchanged or after one change.

    Attributes:
        before, after: the accuracy of the model before and after it was mended.
        mean_before, mean_after: the mean accuracy of all groups.
        changed_before, changed_after: that of the groups whose shortcut is that of another class, all classes alike.
    """

    before: float
    after: float
    mean_before: float
    mean_after: float
    changed_before: float
    changed_after: float

    @classmethod
    def of(cls, before: GroupAccuracy, after: GroupAccuracy) -> WorstGroup:
        """Return both accuracies of each kind."""
        return cls(before.worst, after.worst, before.mean, after.mean, before.changed, after.changed)


@dataclass(frozen=True, repr=False)
class Mending:
    """The result of mending a model.

    Attributes:
        mended: whether the mended copy relies on what raised alarms at most half as much, and recognises held-out
            images whatever these properties are.
        sentence: the result in a sentence or two, with the price.
        file: the mended copy, or None if nothing was written.
        effects: the effects that raised alarms.
        rises: other effects that rose.
        own: the quality on all images of the folder; None if there was nothing to mend.
        held_out: the quality on images that the new weights were not fitted to.
        worst: the accuracy of the worst group of held-out images.
        fair: the quality on a folder of fair images, if there is one.
        rounds: the number of times that the model was mended and audited.
        deep: whether the whole network was trained instead of the last layer.
        gone: whether at most .05 or a tenth of each effect remains.
        advice: what else helps, if the model could not be mended or not all is gone: sentences and code.
        class_names: the names of the classes.
    """

    mended: bool
    sentence: str
    file: Path | None = None
    effects: tuple[EffectChange, ...] = ()
    rises: tuple[Rise, ...] = ()
    own: BeforeAfter | None = None
    held_out: BeforeAfter | None = None
    worst: WorstGroup | None = None
    fair: BeforeAfter | None = None
    rounds: int = 0
    deep: bool = False
    gone: bool = False
    advice: str = ""
    class_names: tuple[str, ...] = field(default=())

    @property
    def rank(self) -> tuple[bool, bool, float]:
        """A key that is larger for better copies: whether mended, whether the effects are gone, and accuracy.

        The accuracy is that on held-out images with the shortcut of another class.
        """
        return self.mended, self.gone, self.worst.changed_after if self.worst else 0.0

    def __repr__(self) -> str:
        """Return the sentence, and the file if there is one."""
        return f"<Mending: {self.sentence}{f' -> {self.file}' if self.file else ''}>"


def number(value: float) -> str:
    """Return a fraction with two digits, as effects are written: ".96".

    Examples:
        >>> from picasso.mending.outcome import number
        >>> number(0.964), number(-0.04), number(1.02), number(-0.001)
        ('.96', '-.04', '1.02', '.00')
    """
    text = f"{value:.2f}"
    text = "0.00" if text == "-0.00" else text
    return text.replace("0.", ".", 1) if abs(value) < 0.995 else text


def price(
    effects: Sequence[EffectChange],
    rises: Sequence[Rise],
    own: BeforeAfter,
    held_out: BeforeAfter,
    names: Sequence[str] = (),
) -> str:
    """Return the result in one sentence: what fell, what it costs, and what is new.

    Args:
        effects: the effects that raised alarms.
        rises: the other effects that rose.
        own: the quality on the images of the audit.
        held_out: the quality on held-out images.
        names: the names of all classes, to name the pairs of what rose if there are several pairs.

    Examples:
        >>> from picasso.mending.outcome import BeforeAfter, ClassAnswers, EffectChange, Quality, price
        >>> before, after = (Quality((ClassAnswers("tank", 100, right),), None) for right in (100, 97))
        >>> effect = EffectChange("brightness", (0, 1), (0.89, 0.96), (0.02, 0.04), (0.03, 0.05))
        >>> price([effect], [], BeforeAfter(before, after), BeforeAfter(before, after))
        'Brightness .89 -> .02; accuracy on your images 100% -> 97% (97% on held-out ones); new: none.'
    """
    # Several pairs of classes may share an intervention: the largest effect is told.
    largest: dict[str, EffectChange] = {}
    for one in sorted(effects, key=lambda one: one.size_before):
        largest[one.intervention] = one
    fallen = ", ".join(
        f"{one.intervention} {number(one.size_before)} -> {number(one.size_after)}"
        for one in reversed(largest.values())
    )
    pairs = {one.pair for one in effects} | {one.pair for one in rises}
    several = len(pairs) > 1 and bool(names)

    def which(one: Rise) -> str:
        """Return the classes, if there are several pairs."""
        return f" ({names[one.pair[0]]} / {names[one.pair[1]]})" if several else ""

    new = ", ".join(
        f"{one.intervention}{which(one)} {number(one.before)} -> {number(one.after)}"
        f"{'' if one.alarm else ' (no alarm)'}"
        for one in rises
        if not one.informative
    )
    return (
        f"{fallen[0].upper()}{fallen[1:]}; accuracy on your images {own.before.accuracy:.0%} -> "
        f"{own.after.accuracy:.0%} ({held_out.after.accuracy:.0%} on held-out ones); new: {new or 'none'}."
    )


def part(progress: Progress, start: float, end: float) -> Progress:
    """Return a function that reports the progress of a part of the work."""
    return lambda fraction, what: progress(start + (end - start) * fraction, what)
