"""What kind of output a model has: from the user's word, then from its graph, then from its answers to test images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from picasso import remedies
from picasso.errors import ModelError
from picasso.models.outputs.kinds import MEANING, MEANING_OF_ONE, OutputKind, to_probabilities
from picasso.models.outputs.probes import ALL, CONFIRMING
from picasso.models.outputs.ranges import UNKNOWN, Range

# By how much sums and bounds may miss a round number: half precision and quantized outputs round.
TOLERANCE = 1e-2
# A logit beyond this is a probability that differs from 0 or 1 by less than 1e-8.
MAX_LOGIT = 20
# Which of all test images lie in a range that the inputs are known to have.
NEAR = {"0..255": (0, 6, 7, 8, 9), "-1..1": (0, 1, 10, 11)}


class Training(StrEnum):
    """What a file says that its model was trained for."""

    BINARY = "logits of labels that can hold together"
    CATEGORICAL = "logits of classes that exclude each other"
    REGRESSION = "measurements"


@dataclass(frozen=True)
class Decision:
    """What an output means.

    Attributes:
        kind: what its values are.
        basis: what that rests on: ``"said"``, ``"graph"``, ``"loss"`` (that it was trained with), ``"answers"``
            (to test images) or ``"guess"``.
        count: how many values there are, K.
        notes: what the user should know or confirm.
        constant: whether the output is always 1.
    """

    kind: OutputKind
    basis: str
    count: int
    notes: tuple[str, ...] = ()
    constant: bool = False

    def describe(self) -> str:
        """Say in a few words what the values are, and how that is known."""
        if self.constant:
            return "always 1: a softmax over one value"
        meaning = (MEANING_OF_ONE if self.count == 1 else MEANING)[self.kind]
        known = {
            "said": "as you say",
            "graph": "by the model's last operations",
            "loss": "by the loss it was trained with",
            "answers": "by its answers to test images",
            "guess": "a guess",
        }
        return f"{meaning} ({known[self.basis]})"


class Answers:
    """A model's values ``(n, K)`` for test images, those left out that are not finite."""

    def __init__(self, values: NDArray[np.floating], inputs: str = "") -> None:
        finite = np.isfinite(values).all(axis=1)
        self.values = values[finite].astype(np.float64)
        self.count = values.shape[1]
        # Those to images that inputs may look like: the first half lie in 0..1.
        near = list(NEAR.get(inputs, ())) if len(values) == ALL else []
        near = near or list(range(len(values) // 2))
        self.near = values[near][finite[near]].astype(np.float64)

    def within(self, low: float, high: float) -> bool:
        """Tell whether all values lie between two bounds."""
        slack = TOLERANCE * max(1.0, abs(low), abs(high)) / 10
        return bool(self.values.min() >= low - slack and self.values.max() <= high + slack)

    def sum_to(self, total: float) -> bool:
        """Tell whether the values of each image are never negative and sum to ``total``."""
        off = np.abs(self.values.sum(axis=1) - total).max()
        return self.count > 1 and bool(self.values.min() >= -1e-6 * total and off < TOLERANCE * total)

    def are_log_probabilities(self) -> bool:
        """Tell whether their exponentials are a distribution."""
        off = np.abs(np.exp(np.minimum(self.values, 1)).sum(axis=1) - 1).max()
        return self.count > 1 and bool(self.values.max() <= 1e-6 and off < TOLERANCE)

    def have_length_1(self) -> bool:
        """Tell whether each image that has any values has ones whose squares sum to 1."""
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
    """Decide what the values of an output are.

    Args:
        values: the answers ``(n, K)`` to :func:`~picasso.models.outputs.probes.probes`.
        found: the range of the output by the graph; None where the graph can't be read.
        said: the user's word, if any.
        label: how errors name the model.
        trained: what the file says that the model was trained for, if anything.
        inputs: the range of the input's values, such as ``"0..255"``, where it is known.

    Raises:
        ModelError: the output is that of a regression, an embedding or features, or contradicts the user's word.
    """
    answers = Answers(values, inputs)
    if not len(answers.values):
        raise ModelError(f"{label} answers no finite numbers to any of {len(values)} test images.")
    if said:
        confirm(answers, said, label)
        return Decision(said, "said", answers.count)
    decided = (of_one if answers.count == 1 else of_many)(answers, found or UNKNOWN, label)
    return by_training(decided, trained, label) if trained and decided.kind is OutputKind.LOGITS else decided


def by_training(decided: Decision, trained: Training, label: str) -> Decision:
    """Return what an output without softmax or sigmoid is, where the file says what it was trained for."""
    if trained is Training.REGRESSION:
        values = "one value" if decided.count == 1 else f"{decided.count} values"
        refuse(label, f"{values} without a softmax or sigmoid, and was trained with the loss of a regression")
    kind = OutputKind.SIGMOID_LOGITS if trained is Training.BINARY and decided.count > 1 else OutputKind.LOGITS
    return Decision(kind, "loss", decided.count)


def needed(found: Range | None, said: OutputKind | None, count: int) -> tuple[int, ...]:
    """Return which of the test images :func:`decide` needs: a few where the user or the graph has told already."""
    told = found and (found.within(0, 1) or found.link or (found.source == "linear" and count > 1))
    return CONFIRMING if said or told else tuple(range(ALL))


def confirm(answers: Answers, said: OutputKind, label: str) -> None:
    """Raise a ModelError where answers can't be what the user said."""
    probabilities = to_probabilities(np.minimum(answers.values, 700), said, answers.count)
    if probabilities.min() < -TOLERANCE or probabilities.max() > 1 + TOLERANCE:
        raise ModelError(
            f"{label} answers test images with values from {answers.values.min():.3g} to {answers.values.max():.3g}, "
            f"which are no {said}. {remedies.called('OUTPUT')} is one of {', '.join(OutputKind)}.",
            field="OUTPUT",
        )


def of_many(answers: Answers, found: Range, label: str) -> Decision:
    """Decide about two values or more."""
    count = answers.count
    kind = certain(answers, found)
    if kind:
        return Decision(kind, "graph" if found.within(0, 1) or found.link else "answers", count)
    refuse_features(answers, found, label)
    if found.source == "linear":
        return Decision(OutputKind.LOGITS, "graph", count, (as_logits(count),))
    if found.within(-1, 1):
        return Decision(OutputKind.TANH, "graph", count, (is_tanh(found, "Each value"),))
    if answers.within(0, 1):
        return Decision(OutputKind.SIGMOID, "guess", count, (in_unit_interval(),))
    if found.low >= 0:
        refuse(label, f"{count} values that are never negative, not all below 1, and do not sum to 1")
    return Decision(OutputKind.LOGITS, "guess", count, (as_logits(count),))


def certain(answers: Answers, found: Range) -> OutputKind | None:
    """Return the kind of two values or more where the graph or the answers leave no doubt."""
    if found.link == "sigmoid" and found.within(0, 1):
        return OutputKind.SIGMOID
    # That test images so far apart all sum to 1 by chance does not happen.
    if answers.sum_to(1):
        return OutputKind.PROBABILITIES
    if found.within(0, 1):
        return OutputKind.PROBABILITIES if found.link == "softmax" else OutputKind.SIGMOID
    logarithms = found.link in ("log softmax", "log sigmoid") and found.within(-np.inf, 0)
    if logarithms or answers.are_log_probabilities():
        return OutputKind.LOG_PROBABILITIES
    return OutputKind.PERCENT if is_percent(found) or answers.sum_to(100) else None


def refuse_features(answers: Answers, found: Range, label: str) -> None:
    """Raise a ModelError about two values or more that are no scores of classes."""
    if answers.have_length_1() or found.source == "normalized":
        refuse(label, f"{answers.count} values that are normalized, as an embedding is")
    if found.source == "features":
        refuse(label, f"{answers.count} pooled features without a layer of classes behind them")
    if found.source == "rectified":
        refuse(label, f"{answers.count} values that are never negative and have no upper bound, as features are")


def of_one(answers: Answers, found: Range, label: str) -> Decision:
    """Decide about a single value."""
    always = bool(np.abs(answers.values - 1).max() < 1e-6)
    if always and (found.link == "softmax" or found.low == found.high):
        note = (
            "The output is always 1: it is a softmax over one value, which can't tell anything apart. Train the model "
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
        refuse(label, "one value that is never negative and has no upper bound, as a regression does")
    if found.source != "linear" and answers.within(0, 1):
        return Decision(OutputKind.SIGMOID, "guess", 1, (in_unit_interval(),))
    if found.low >= 0 and found.source != "linear":
        refuse(label, "one value that is never negative and may be larger than 1, as a regression does")
    low, high = (answers.near.min(), answers.near.max()) if answers.near.size else (-1, 1)
    if low * high > 0 and np.median(np.abs(answers.near)) > MAX_LOGIT:
        refuse(label, f"test images with one value from {low:.3g} to {high:.3g}, as a regression does")
    note = (
        "The output is one value without a sigmoid. It is taken for a logit, but a regression looks the same: say "
        f"what it is, such as {setting(OutputKind.LOGITS)}; the words are {', '.join(OutputKind)}."
    )
    return Decision(OutputKind.LOGITS, "guess", 1, (note,))


def contradictions(decision: Decision, answer: Callable[[], NDArray[np.floating]]) -> tuple[str, ...]:
    """Return what a model's values ``(N, K)`` for real images say against a decision that they are logits.

    Args:
        decision: how the output was read.
        answer: gives the values; it is asked only where they could say something.
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
            f"The output is taken for logits, but for these images its values lie in 0..1 ({low:.3g} to {high:.3g}), "
            f"as probabilities do. If that is what they are: {setting(kind)}.",
        )
    if decision.count == 1 and low * high > 0 and np.abs(answers.values).min() > MAX_LOGIT:
        return (
            f"The output is taken for a logit, but for these images it is {low:.3g} to {high:.3g}, as of a regression.",
        )
    return ()


def is_percent(found: Range) -> bool:
    """Tell whether values are probabilities times 100."""
    return found.low >= -1e-3 and 99 < found.high < 101


def is_tanh(found: Range, value: str) -> str:
    """Say how values of -1..1 are shown."""
    return (
        f"{value} of the output lies in -1..1{' (tanh)' if found.link == 'tanh' else ''} and is shown as the "
        f"probability (1 + value) / 2. If that is wrong, say what it is, such as {setting(OutputKind.LOGITS)}."
    )


def as_logits(count: int) -> str:
    """Say that scores are taken for those of classes that exclude each other."""
    return (
        f"The output has no softmax or sigmoid, so its {count} values are taken for logits of classes that exclude "
        f"each other, and a softmax makes them probabilities. Confirm it: {setting(OutputKind.LOGITS)}; "
        f"or, for labels that can hold together, {OutputKind.SIGMOID_LOGITS}."
    )


def in_unit_interval() -> str:
    """Say that values are taken for probabilities because they look so."""
    return (
        "The values of the output lie in 0..1 for all test images and are taken for probabilities as they are, but "
        f"nothing in the model proves it. Confirm it: {setting(OutputKind.SIGMOID)}; or say "
        f"{OutputKind.LOGITS}."
    )


def setting(kind: OutputKind) -> str:
    """Say how the user says a kind, by any door: notes are kept with results, which others read elsewhere."""
    return f'OUTPUT = "{kind}" (--output-kind, or output_kind in Python)'


def refuse(label: str, answer: str) -> NoReturn:
    """Raise a ModelError about an output that is no classification, with the way to insist."""
    raise ModelError(
        f"{label} answers {answer}; Picasso shows classifiers. If these are class scores, say of which kind, such as "
        f"{remedies.setting('OUTPUT', 'logits')}; the words are {', '.join(OutputKind)}.",
        field="OUTPUT",
    )
