"""The contents of the files in the folder of an audit; see :mod:`picasso.jobs.audit_job`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypedDict

Tier = Literal["relies on", "one direction", "informative"]
StateName = Literal["gathering", "waiting", "reading", "running", "finished", "cancelled", "failed"]
#: States of an audit that is waiting or being computed.
AT_WORK = ("waiting", "reading", "running")


class Direction(TypedDict):
    """The effect on the images of one class.

    Attributes:
        of: the name of the class.
        towards: the name of the class that its images were changed towards.
        fraction: the effect as a fraction of the way between the mean margins of the classes.
        low: the lower end of its 95% confidence interval.
        high: the upper end.
        flips: the share of images that changed class.
        control_flips: the same share for the control.
    """

    of: str
    towards: str
    fraction: float
    low: float
    high: float
    flips: float
    control_flips: float


class Outline(TypedDict):
    """The outline of a region of an image.

    Attributes:
        width: the width of the image in the units of the path.
        height: its height.
        path: the attribute ``d`` of an SVG path.
    """

    width: int
    height: int
    path: str


class ExampleImage(TypedDict):
    """An image of an example.

    Attributes:
        file: its path below the address of the audit.
        predicted: the name of the predicted class.
        probability: its probability.
        outline: the part of the image that the change is about; null if it is the whole image.
    """

    file: str
    predicted: str
    probability: float
    outline: Outline | None


class Example(TypedDict):
    """An image before and after a change, with the predictions for both.

    Attributes:
        intervention: the name of the intervention.
        name: the file name of the image.
        sentence: what happens to the predicted class.
        effect: the effect on images of both classes, as fractions of the way between the classes.
        outlined: a sentence on what the outlines mean, or "".
        before: the image and what it is classified as.
        after: the same after the change.
    """

    intervention: str
    name: str
    sentence: str
    effect: list[float]
    outlined: str
    before: ExampleImage
    after: ExampleImage


class FindingDocument(TypedDict):
    """Something that the model appears to rely on.

    Attributes:
        name: the name of the intervention.
        kind: the kind of the intervention.
        alarm: whether it raises an alarm.
        tier: what it says: the model relies on it, there is an effect in one direction only, or it is informative.
        caveat: why it raises no alarm, and what would settle it; "" for an alarm.
        sentence: a description of the finding.
        between: the classes that it is about.
        group: the index of its group; the findings of a group are about the same intervention and share a class.
        directions: the effects in both directions, the larger first.
        example: the image that shows the effect best; null until the audit is complete.
    """

    name: str
    kind: str
    alarm: bool
    tier: Tier
    caveat: str
    sentence: str
    between: str
    group: int
    directions: list[Direction]
    example: Example | None


class MendingDocument(TypedDict):
    """The result of mending the model of an audit.

    Attributes:
        mended: whether there is a mended copy.
        sentence: the result with its price, or why the model could not be mended.
        rows: a table: what was measured, before, and after.
        advice: which images to collect, and code for the training, if the model could not be mended; or "".
    """

    mended: bool
    sentence: str
    rows: list[list[str]]
    advice: str


@dataclass(frozen=True)
class AuditRequest:
    """The options of an audit.

    Attributes:
        configuration: where the worker finds the model; see :func:`picasso.jobs.worker.reference`.
        pairs: the number of pairs of classes to compare, those most likely to show a shortcut first; 0 compares all.
        seed: the seed of all random draws.
        budget: seconds after which nothing further is tested.
        mend: whether the model is mended afterwards.
        masks: the folder of masks of the object; None for none.
        limited: whether the setting ``RUN_MINUTES`` holds, which is for servers.
    """

    configuration: dict[str, Any]
    pairs: int
    seed: int
    budget: float
    mend: bool = False
    masks: str | None = None
    limited: bool = True


@dataclass(frozen=True)
class Progress:
    """The progress of an audit.

    Attributes:
        state: the current step.
        fraction: the completed fraction of that step, 0..1.
        seconds: the computing time so far.
        cost: a sentence about the cost; "" until it is known.
        done: the number of pairs of classes that were compared.
        total: the number of pairs in all.
        began: the seconds until the first pair was started.
        pair: the names of the two classes that are being compared.
        trying: the name of the current intervention.
        workers: the number of pairs that are being compared at the same time.
    """

    state: Literal["reading", "running"] = "reading"
    fraction: float = 0.0
    seconds: float = 0.0
    cost: str = ""
    done: int = 0
    total: int = 0
    began: float = 0.0
    pair: Sequence[str] = field(default_factory=list)
    trying: str = ""
    workers: int = 1


class Findings(TypedDict):
    """The findings so far; the verdict and its example are None until the audit is complete."""

    findings: list[FindingDocument]
    verdict: str | None
    example: Example | None
