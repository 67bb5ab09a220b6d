"""The kinds of a classifier's output, and their conversion to probabilities."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from picasso import remedies
from picasso.errors import ConfigurationError


class OutputKind(StrEnum):
    """The kind of an output's values ``(N, K)``; the values of the setting ``OUTPUT``.

    A single value (K = 1) refers to the second of two classes, "not" and "is": its probability, its logit, and so on.
    """

    PROBABILITIES = "probabilities"
    """Probabilities of mutually exclusive classes: 0..1, with sum 1."""
    SIGMOID = "sigmoid"
    """An independent probability for each label (multi-label classification): 0..1, with any sum."""
    LOGITS = "logits"
    """Scores of mutually exclusive classes; a softmax converts them to probabilities (a sigmoid, for one value)."""
    SIGMOID_LOGITS = "sigmoid logits"
    """An independent score for each label; a sigmoid converts each to a probability."""
    LOG_PROBABILITIES = "log probabilities"
    """Natural logarithms of probabilities, at most 0."""
    PERCENT = "percent"
    """Probabilities times 100."""
    TANH = "tanh"
    """Values in -1..1, where -1 is "not" and 1 is "is"; (1 + value) / 2 is the probability."""
    VALUES = "values"
    """Numbers that are no class scores: those of a regression or an embedding."""


MEANING: dict[OutputKind, str] = {
    OutputKind.PROBABILITIES: "probabilities of mutually exclusive classes",
    OutputKind.SIGMOID: "an independent probability for each class",
    OutputKind.LOGITS: "logits, converted to probabilities by a softmax",
    OutputKind.SIGMOID_LOGITS: "logits, each converted to a probability by a sigmoid",
    OutputKind.LOG_PROBABILITIES: "logarithms of probabilities",
    OutputKind.PERCENT: "probabilities in percent",
    OutputKind.TANH: "values of -1..1, shown as (1 + value) / 2",
    OutputKind.VALUES: "numbers",
}
MEANING_OF_ONE: dict[OutputKind, str] = {
    OutputKind.PROBABILITIES: "the probability of the second of two classes",
    OutputKind.SIGMOID: "the probability of the second of two classes",
    OutputKind.LOGITS: "the logit of the second of two classes, converted to a probability by a sigmoid",
    OutputKind.SIGMOID_LOGITS: "the logit of the second of two classes, converted to a probability by a sigmoid",
    OutputKind.LOG_PROBABILITIES: "the logarithm of the probability of the second of two classes",
    OutputKind.PERCENT: "the probability of the second of two classes in percent",
    OutputKind.TANH: "a value of -1..1 for the second of two classes, shown as (1 + value) / 2",
    OutputKind.VALUES: "a number",
}


@dataclass(frozen=True)
class Functions:
    """The functions of a framework that :func:`to_probabilities` needs; the first is over the last axis."""

    softmax: Callable[[Any], Any]
    sigmoid: Callable[[Any], Any]
    exp: Callable[[Any], Any]


def softmax(values: NDArray[Any]) -> NDArray[Any]:
    """Return the softmax over the last axis."""
    exponentials: NDArray[Any] = np.exp(values - values.max(axis=-1, keepdims=True))
    return np.asarray(exponentials / exponentials.sum(axis=-1, keepdims=True))


def sigmoid(values: NDArray[Any]) -> NDArray[Any]:
    """Return the logistic function of each value."""
    # Written so that no exponential overflows.
    return np.asarray(0.5 * (1 + np.tanh(0.5 * values)))


NUMPY = Functions(softmax, sigmoid, np.exp)


def to_probabilities(values: Any, kind: OutputKind, count: int, functions: Functions = NUMPY) -> Any:
    """Return the probabilities ``(N, K)``, 0..1, of output values ``(N, K)`` of a kind.

    Args:
        values: an array, or a tensor of the framework of ``functions``.
        kind: the kind of the values.
        count: K. A single value remains one, the probability of "is".
        functions: those of the framework.
    """
    if kind is OutputKind.SIGMOID_LOGITS or (kind is OutputKind.LOGITS and count == 1):
        return functions.sigmoid(values)
    if kind is OutputKind.LOGITS:
        return functions.softmax(values)
    if kind is OutputKind.LOG_PROBABILITIES:
        return functions.exp(values)
    if kind is OutputKind.PERCENT:
        return values / 100
    if kind is OutputKind.TANH:
        return (values + 1) / 2
    return values


def parse(text: str) -> OutputKind | None:
    """Return the kind that a text names, in any case, with spaces, hyphens or underscores; None for "".

    Raises:
        ConfigurationError: there is no such kind.
    """
    words = " ".join(text.lower().replace("-", " ").replace("_", " ").split())
    if not words:
        return None
    try:
        return OutputKind(words)
    except ValueError:
        near = difflib.get_close_matches(words, list(map(str, OutputKind)), n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise ConfigurationError(
            f"There is no kind of output {text!r}; {remedies.called('OUTPUT')} is one of {', '.join(OutputKind)}."
            f"{hint}",
            field="OUTPUT",
        ) from None
