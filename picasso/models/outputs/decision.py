"""Determine the kind of a model's output: from the user's setting, the graph, or predictions for test images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from picasso import remedies
from picasso.errors import ModelError
from picasso.models.outputs.kinds import MEANING, MEANING_OF_ONE, OutputKind, to_probabilities
from picasso.models.outputs.probes import ALL, CONFIRMING
from picasso.models.outputs.ranges import UNKNOWN, Range
from picasso.targets import OutputTask

# The tolerance of sums and bounds: outputs in half precision or quantized outputs are rounded.
TOLERANCE = 1e-2
# The probability of a larger logit differs from 0 or 1 by less than 1e-8.
MAX_LOGIT = 20
# The indices of the test images in a known range of the inputs.
NEAR = {"0..255": (0, 6, 7, 8, 9), "-1..1": (0, 1, 10, 11)}


class Training(StrEnum):
    """The task that a model was trained for, according to its file."""

    BINARY = "logits of labels that can apply together"
    CATEGORICAL = "logits of mutually exclusive classes"
    REGRESSION = "measurements"


@dataclass(frozen=True)
class Decision:
    """The interpretation of an output.

    Attributes:
        kind: the kind of its values.
        basis: the evidence: ``"said"`` (by the user), ``"graph"``, ``"loss"`` (of the training), ``"answers"`` (to
            test images) or ``"guess"``.
        count: the number of values, K.
        notes: notes for the user, such as assumptions to confirm.
        constant: True if the output is always 1.
        task: the task, if the values are no class scores and the user did not configure it.
    """

    kind: OutputKind
    basis: str
    count: int
    notes: tuple[str, ...] = ()
    constant: bool = False
    task: OutputTask | None = None

    def describe(self) -> str:
        """Return a short description of the values, with the evidence."""
        if self.constant:
            return "always 1: a softmax over one value"
        meaning = (MEANING_OF_ONE if self.count == 1 else MEANING)[self.kind]
        known = {
            "said": "as configured",
            "graph": "by the model's last operations",
            "loss": "by the loss it was trained with",
            "answers": "by its values for test images",
            "guess": "a guess",
        }
        return f"{meaning} ({known[self.basis]})"


class Answers:
    """A model's output values ``(n, K)`` for test images, without the images that have non-finite values."""

    def __init__(self, values: NDArray[np.floating], inputs: str = "") -> None:
        finite = np.isfinite(values).all(axis=1)
        self.values = values[finite].astype(np.float64)
        self.count = values.shape[1]
        # The values for images in the range of the inputs if that is known; otherwise for the first half, in 0..1.
        near = list(NEAR.get(inputs, ())) if len(values) == ALL else []
        near = near or list(range(len(values) // 2))
        self.near = values[near][finite[near]].astype(np.float64)

    def within(self, low: float, high: float) -> bool:
        """Tell whether all values are between two bounds, within the tolerance."""
        slack = TOLERANCE * max(1.0, abs(low), abs(high)) / 10
        return bool(self.values.min() >= low - slack and self.values.max() <= high + slack)

    def sum_to(self, total: float) -> bool:
        """Tell whether the values of each image are nonnegative and sum to ``total``, within the tolerance."""
        off = np.abs(self.values.sum(axis=1) - total).max()
        return self.count > 1 and bool(self.values.min() >= -1e-6 * total and off < TOLERANCE * total)

    def are_log_probabilities(self) -> bool:
        """Tell whether the exponentials of the values of each image sum to 1, within the tolerance."""
        off = np.abs(np.exp(np.minimum(self.values, 1)).sum(axis=1) - 1).max()
        return self.count > 1 and bool(self.values.max() <= 1e-6 and off < TOLERANCE)

    def have_length_1(self) -> bool:
        """Tell whether the values of each image have the Euclidean norm 1, ignoring images with a norm near 0."""
        lengths = np.linalg.norm(self.values, axis=1)
        some = lengths[lengths > 1e-3]
        return self.count > 1 and some.size > 0 and bool(np.abs(some - 1).max() < TOLERANCE)


def decide(
    values: NDArray[np.floating],
    found: Range | None,
    said: OutputKind | None,
    label: str,
    *,
    trained: Training | None = None,
    inputs: str = "",
) -> Decision:
    """Return the interpretation of an output's values.

    Args:
        values: the output values ``(n, K)`` for :func:`~picasso.models.outputs.probes.probes`.
        found: the range of the output according to the graph; None if the graph can't be read.
        said: the kind that the user configured, if any.
        label: the name of the model in errors.
        trained: the task that the model was trained for, if the file states it.
        inputs: the range of the input values, such as ``"0..255"``, if it is known.

    Raises:
        ModelError: the output is not finite, or contradicts the user's setting.
    """
    answers = Answers(values, inputs)
    if not len(answers.values):
        raise ModelError(f"{label} returns no finite numbers for any of {len(values)} test images.")
    if said is OutputKind.VALUES:
        return Decision(said, "said", answers.count)
    if said:
        confirm(answers, said, label)
        return Decision(said, "said", answers.count)
    decided = (of_one if answers.count == 1 else of_many)(answers, found or UNKNOWN)
    return by_training(decided, trained) if trained and decided.kind is OutputKind.LOGITS else decided


def by_training(decided: Decision, trained: Training) -> Decision:
    """Return the interpretation of an output without softmax or sigmoid, from the task that it was trained for."""
    if trained is Training.REGRESSION:
        return Decision(OutputKind.VALUES, "loss", decided.count, task=OutputTask.REGRESSION)
    kind = OutputKind.SIGMOID_LOGITS if trained is Training.BINARY and decided.count > 1 else OutputKind.LOGITS
    return Decision(kind, "loss", decided.count)


def needed(found: Range | None, said: OutputKind | None, count: int) -> tuple[int, ...]:
    """Return the indices of the test images that :func:`decide` needs: few if the user or the graph determines it."""
    told = found and (found.within(0, 1) or found.link or (found.source == "linear" and count > 1))
    return CONFIRMING if said or told else tuple(range(ALL))


def confirm(answers: Answers, said: OutputKind, label: str) -> None:
    """Raise a ModelError if the values contradict the kind that the user configured."""
    probabilities = to_probabilities(np.minimum(answers.values, 700), said, answers.count)
    if probabilities.min() < -TOLERANCE or probabilities.max() > 1 + TOLERANCE:
        raise ModelError(
            f"{label} returns values from {answers.values.min():.3g} to {answers.values.max():.3g} for test images, "
            f"which are not {said}. {remedies.called('OUTPUT')} is one of {', '.join(OutputKind)}.",
            field="OUTPUT",
        )


def of_many(answers: Answers, found: Range) -> Decision:
    """Return the interpretation of two or more values per image."""
    count = answers.count
    kind = certain(answers, found)
    if kind:
        return Decision(kind, "graph" if found.within(0, 1) or found.link else "answers", count)
    if features := of_features(answers, found):
        return features
    if found.source == "linear":
        return Decision(OutputKind.LOGITS, "graph", count, (as_logits(count),))
    if found.within(-1, 1):
        return Decision(OutputKind.TANH, "graph", count, (is_tanh(found, "Each value"),))
    if answers.within(0, 1):
        return Decision(OutputKind.SIGMOID, "guess", count, (in_unit_interval(),))
    if found.low >= 0:
        what = "values that are never negative, not all below 1, and do not sum to 1"
        return measured(count, OutputTask.REGRESSION, what)
    return Decision(OutputKind.LOGITS, "guess", count, (as_logits(count),))


def certain(answers: Answers, found: Range) -> OutputKind | None:
    """Return the kind of two or more values if the graph or the values determine it, or None."""
    if found.link == "sigmoid" and found.within(0, 1):
        return OutputKind.SIGMOID
    # The values for such different test images do not all sum to 1 by chance.
    if answers.sum_to(1):
        return OutputKind.PROBABILITIES
    if found.within(0, 1):
        return OutputKind.PROBABILITIES if found.link == "softmax" else OutputKind.SIGMOID
    logarithms = found.link in ("log softmax", "log sigmoid") and found.within(-np.inf, 0)
    if logarithms or answers.are_log_probabilities():
        return OutputKind.LOG_PROBABILITIES
    return OutputKind.PERCENT if is_percent(found) or answers.sum_to(100) else None


def of_features(answers: Answers, found: Range) -> Decision | None:
    """Return the interpretation of two or more values that are an embedding or features, or None for class scores."""
    what = ""
    if answers.have_length_1() or found.source == "normalized":
        what = "values that are normalized"
    elif found.source == "features":
        what = "pooled features without a classification layer after them"
    elif found.source == "rectified":
        what = "values that are never negative and have no upper bound, as features are"
    return measured(answers.count, OutputTask.EMBEDDING, what) if what else None


def of_one(answers: Answers, found: Range) -> Decision:
    """Return the interpretation of a single value per image."""
    always = bool(np.abs(answers.values - 1).max() < 1e-6)
    if always and (found.link == "softmax" or found.low == found.high):
        note = (
            "The output is always 1: it is a softmax over one value, which can't separate classes. Train the model "
            "with a sigmoid, or with one value for each of the two classes."
        )
        return Decision(OutputKind.SIGMOID, "graph", 1, (note,), constant=True)
    if found.within(0, 1):
        return Decision(OutputKind.SIGMOID, "graph", 1)
    if found.link in ("log softmax", "log sigmoid") and found.within(-np.inf, 0):
        return Decision(OutputKind.LOG_PROBABILITIES, "graph", 1)
    if is_percent(found):
        return Decision(OutputKind.PERCENT, "graph", 1)
    if found.within(-1, 1) and found.source != "linear":
        return Decision(OutputKind.TANH, "graph", 1, (is_tanh(found, "The value"),))
    if found.source in ("rectified", "features"):
        return measured(1, OutputTask.REGRESSION, "value that is never negative and has no upper bound")
    if found.source != "linear" and answers.within(0, 1):
        return Decision(OutputKind.SIGMOID, "guess", 1, (in_unit_interval(),))
    if found.low >= 0 and found.source != "linear":
        return measured(1, OutputTask.REGRESSION, "value that is never negative and may be larger than 1")
    low, high = (answers.near.min(), answers.near.max()) if answers.near.size else (-1, 1)
    if low * high > 0 and np.median(np.abs(answers.near)) > MAX_LOGIT:
        return measured(1, OutputTask.REGRESSION, f"value from {low:.3g} to {high:.3g} for test images")
    note = (
        "The output is one value without a sigmoid. It is assumed to be a logit, but a regression looks the same "
        '(TASK = "regression"). '
        f"Specify the kind: {setting(OutputKind.LOGITS)}. The kinds are {', '.join(OutputKind)}."
    )
    return Decision(OutputKind.LOGITS, "guess", 1, (note,))


def contradictions(decision: Decision, answer: Callable[[], NDArray[np.floating]]) -> tuple[str, ...]:
    """Return warnings if the output values ``(N, K)`` for real images contradict the decision that they are logits.

    Args:
        decision: the interpretation of the output.
        answer: a function that returns the values; called only if they can contradict the decision.
    """
    if decision.kind is not OutputKind.LOGITS or decision.basis not in ("graph", "guess"):
        return ()
    answers = Answers(answer())
    if not len(answers.values):
        return ()
    low, high = answers.values.min(), answers.values.max()
    if answers.within(0, 1):
        kind = OutputKind.PROBABILITIES if answers.sum_to(1) else OutputKind.SIGMOID
        return (
            f"The output is assumed to be logits, but for these images its values are in 0..1 ({low:.3g} to "
            f"{high:.3g}), as probabilities are. If they are probabilities: {setting(kind)}.",
        )
    if decision.count == 1 and low * high > 0 and np.abs(answers.values).min() > MAX_LOGIT:
        return (
            f"The output is assumed to be a logit, but for these images it is {low:.3g} to {high:.3g}, "
            "as in a regression.",
        )
    return ()


def is_percent(found: Range) -> bool:
    """Tell whether the range is 0..100, so that values are percentages."""
    return found.low >= -1e-3 and 99 < found.high < 101


def is_tanh(found: Range, value: str) -> str:
    """Return a note on the conversion of values in -1..1 to probabilities."""
    return (
        f"{value} of the output is in -1..1{' (tanh)' if found.link == 'tanh' else ''} and is shown as the "
        f"probability (1 + value) / 2. If that is wrong, specify the kind: {setting(OutputKind.LOGITS)}."
    )


def as_logits(count: int) -> str:
    """Return a note that the values are assumed to be logits of mutually exclusive classes."""
    return (
        f"The output has no softmax or sigmoid, so its {count} values are assumed to be logits of mutually exclusive "
        f"classes, and a softmax converts them to probabilities. To confirm: {setting(OutputKind.LOGITS)}; "
        f"or, for labels that can apply together, {OutputKind.SIGMOID_LOGITS}."
    )


def in_unit_interval() -> str:
    """Return a note that the values are assumed to be probabilities, because those for test images are in 0..1."""
    return (
        "The values of the output are in 0..1 for all test images and are assumed to be probabilities, but "
        f"nothing in the model proves it. To confirm: {setting(OutputKind.SIGMOID)}; otherwise "
        f"{OutputKind.LOGITS}."
    )


def setting(kind: OutputKind) -> str:
    """Return how to configure a kind in every interface, because notes are saved with results and read elsewhere."""
    return f'OUTPUT = "{kind}" (--output-kind, or output_kind in Python)'


def measured(count: int, task: OutputTask, what: str) -> Decision:
    """Return the interpretation of values that are no class scores, with a note that says why and how to override it.

    Args:
        count: the number of values.
        task: what they are taken for.
        what: what was observed about the values.
    """
    number, article = ("one", "a") if count == 1 else (str(count), "an" if task is OutputTask.EMBEDDING else "a")
    note = (
        f"The output is {number} {what}, so the task is assumed to be {article} {task}. To confirm: "
        f'TASK = "{task}" (--task, or task in Python). If these are class scores, specify their kind: '
        f"{setting(OutputKind.LOGITS)}. The kinds are {', '.join(OutputKind)}."
    )
    return Decision(OutputKind.VALUES, "guess", count, (note,), task=task)
