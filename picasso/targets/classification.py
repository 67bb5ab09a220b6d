"""Classification: one of K classes, or (multi-label) each of K labels independently."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from picasso.errors import BadRequest
from picasso.targets import odds
from picasso.targets.base import Array, Context, Floats, LogOdds, OutputSpec, OutputTask, Target, Wanted, one_hot
from picasso.targets.class_names import numbers
from picasso.targets.predictions import Prediction

# Rounding may move a probability this far out of 0..1.
ROUNDING = 1e-4


def not_probabilities(outputs: Array) -> str:
    """Return what is wrong with probabilities that are not in 0..1, as the end of "the model returned ...", or ""."""
    if outputs.min(initial=0) >= -ROUNDING and outputs.max(initial=0) <= 1 + ROUNDING:
        return ""
    return f"values from {outputs.min():.3g} to {outputs.max():.3g}, which are not probabilities"


@dataclass(frozen=True)
class ClassLogit(Target):
    """The logit of one class or label; its value is the probability.

    Attributes:
        index: the index of the class.

    Examples:
        >>> import numpy as np
        >>> from picasso.targets import ClassLogit
        >>> target = ClassLogit("1", "bright", 1)
        >>> float(target.value(np.array([[0.25, 0.75]], np.float32))[0])
        0.75
    """

    index: int

    @classmethod
    def of(cls, index: int, names: Sequence[str]) -> ClassLogit:
        """Return the target for a class by its index."""
        return cls(str(index), str(names[index]), index)

    def value(self, outputs: Array) -> Floats:
        """Return the probability of the class."""
        return outputs[:, self.index].astype(np.float64)

    def score(self, scores: Array) -> Floats:
        """Return the logit of the class."""
        return scores[:, self.index].astype(np.float64)

    def cotangent(self, scores: Array) -> Array:
        """Return 1 for the class and 0 for the others."""
        return one_hot(scores, self.index)

    def log_odds(self, outputs: Array) -> LogOdds:
        """Return ``ln(p / (1 - p))``."""
        values, known = odds.log_odds(outputs, [self.index])
        return values[:, 0], known[:, 0]


def as_target(one: Target | int) -> Target:
    """Return a target unchanged, and the logit of a class for its index."""
    return one if isinstance(one, Target) else ClassLogit(str(one), str(one), int(one))


@dataclass(frozen=True)
class Contrast(Target):
    """One class rather than another: the difference of their logits.

    Its value is ``p_a / (p_a + p_b)``: the probability of ``a`` given that the class is a or b. For a softmax, this is
    the sigmoid of the difference.

    Attributes:
        index: the index of class a.
        other: the index of class b.

    Examples:
        >>> import numpy as np
        >>> from picasso.targets import Contrast
        >>> target = Contrast.of(0, 2, ["cat", "dog", "cow"])
        >>> target.name, target.value(np.array([[0.25, 0.0, 0.75]], np.float32)).tolist()
        ('cat rather than cow', [0.25])
    """

    index: int
    other: int

    @classmethod
    def of(cls, index: int, other: int, names: Sequence[str]) -> Contrast:
        """Return the target "a rather than b" for two classes by their indices."""
        return cls(f"{index} vs {other}", f"{names[index]} rather than {names[other]}", index, other)

    @property
    def score_quantity(self) -> str:
        """What the score is."""
        return "difference of the logits"

    def value(self, outputs: Array) -> Floats:
        """Return the probability of a among the two; 0.5 if both are 0."""
        one, other = (outputs[:, index].astype(np.float64) for index in (self.index, self.other))
        total = one + other
        return np.divide(one, total, out=np.full_like(total, 0.5), where=total > 0)

    def score(self, scores: Array) -> Floats:
        """Return the difference of the logits."""
        return scores[:, self.index].astype(np.float64) - scores[:, self.other]

    def cotangent(self, scores: Array) -> Array:
        """Return 1 for a, -1 for b, and 0 for the others."""
        return one_hot(scores, self.index) - one_hot(scores, self.other)

    def log_odds(self, outputs: Array) -> LogOdds:
        """Return ``ln(p_a / p_b)``."""
        one, other = (outputs[:, index].astype(np.float64) for index in (self.index, self.other))
        return odds.of_shares(one, other)


@dataclass(frozen=True)
class Classification(OutputSpec):
    """Probabilities ``(K,)`` of mutually exclusive classes.

    Examples:
        >>> import numpy as np
        >>> from picasso.targets import Classification
        >>> names = ["cat", "dog"]
        >>> Classification((2,)).parse(["dog", "cat vs dog"], names)
        [1, (0, 1)]
        >>> Classification((2,)).decode(np.array([[0.25, 0.75]], np.float32), names, top=1)
        [({'index': 1, 'name': 'dog', 'prob': 0.75},)]
    """

    task = OutputTask.CLASSIFICATION

    def wrong(self, outputs: Array) -> str:
        """Check that all outputs are probabilities."""
        return not_probabilities(outputs)

    def decode(self, outputs: Array, names: Sequence[str], top: int) -> list[tuple[Prediction, ...]]:
        """Return the most probable classes, best first."""
        # A stable sort keeps equal probabilities in the order of the output.
        order = np.argsort(-outputs, axis=1, kind="stable")[:, :top]
        return [
            tuple(Prediction(index=int(k), name=str(names[k]), prob=float(row[k])) for k in best)
            for row, best in zip(outputs, order, strict=True)
        ]

    def defaults(self, predictions: Sequence[Prediction], context: Context) -> tuple[Target, ...]:
        """Return the most probable classes."""
        best = predictions
        return tuple(ClassLogit(str(one["index"]), one["name"], one["index"]) for one in best)

    def parse(self, wanted: Sequence[str | int], names: Sequence[str]) -> list[Wanted]:
        """Return the indices of classes by name or index; a pair for "a vs b"."""
        return list(numbers(names, wanted))

    def target(self, wanted: Wanted, context: Context) -> Target:
        """Return a class, or a contrast for a pair."""
        pair = [wanted] if isinstance(wanted, int | str) else wanted
        if missing := [one for one in pair if not (isinstance(one, int) and 0 <= one < self.shape[0])]:
            raise BadRequest(f"There is no class {missing[0]}; the model has {self.shape[0]} classes.", field="class")
        first, *others = (int(one) for one in pair)
        return Contrast.of(first, others[0], context.names) if others else ClassLogit.of(first, context.names)


@dataclass(frozen=True)
class MultiLabel(Classification):
    """Independent probabilities ``(K,)`` of labels, each of which may apply.

    Examples:
        >>> from picasso.targets import MultiLabel
        >>> MultiLabel((3,)).parse(["rain"], ["sun", "rain", "snow"])
        [1]
    """

    task = OutputTask.MULTI_LABEL
    noun = "label"
