"""The interface of outputs and of the questions about them: ``OutputSpec`` and ``Target``."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from picasso.errors import BadRequest
from picasso.targets.predictions import Prediction

#: The maximum number of targets per request for maps and boxes, and of characters of one.
MAX_TARGETS, MAX_LENGTH = 100, 1_000
#: Outputs ``(N, *shape)`` of N inputs.
Array = NDArray[np.float32]
#: One number for each input, ``(N,)``.
Floats = NDArray[np.float64]
#: A target as requests and files describe it: for classes an index, or a pair of them for "a vs b"; otherwise a text.
Wanted = int | Sequence[int] | str
#: Log-odds, and where they are precise, both ``(N,)``.
LogOdds = tuple[Floats, NDArray[np.bool_]]


class OutputTask(StrEnum):
    """What a model was trained to do; the values of the setting ``TASK``.

    Examples:
        >>> from picasso.targets import OutputTask
        >>> [task.value for task in OutputTask][:3]
        ['classification', 'multi-label', 'regression']
    """

    CLASSIFICATION = "classification"
    MULTI_LABEL = "multi-label"
    REGRESSION = "regression"
    SEGMENTATION = "segmentation"
    DETECTION = "detection"
    EMBEDDING = "embedding"


@dataclass(frozen=True)
class Target(ABC):
    """A named number that is computed from the output of a model; every map explains one.

    A model has two arrays of the same shape: its outputs as people read them, such as probabilities, and the scores
    before the last activation, such as logits. Where there is no such activation, both are equal.

    Attributes:
        text: how a user writes the target, such as "person@120,80".
        name: the title of its maps.

    Examples:
        The sum of the logits of two classes, as a target of your own:

        >>> from dataclasses import dataclass
        >>> import numpy as np
        >>> from picasso.examples.brightness import BrightnessModel
        >>> from picasso.targets import Target
        >>> @dataclass(frozen=True)
        ... class Sum(Target):
        ...     def value(self, outputs):
        ...         return outputs.sum(axis=1)
        ...
        ...     def score(self, scores):
        ...         return scores.sum(axis=1)
        ...
        ...     def cotangent(self, scores):
        ...         return np.ones_like(scores)
        >>> model = BrightnessModel()
        >>> model.load()
        >>> gradients = model.gradients(np.ones((1, 8, 8, 1), np.float32), [Sum("sum", "sum of both")])
        >>> gradients.shape, bool(np.abs(gradients).max() < 1e-6)
        ((1, 1, 8, 8, 1), True)
    """

    text: str
    name: str

    #: True if :meth:`score` is linear in the scores, so that its gradient is the same for all of them.
    linear: ClassVar[bool] = True
    #: True if :meth:`value` is between 0 and 1, as probabilities are.
    bounded: ClassVar[bool] = True
    #: The magnitude of the numbers that the value is computed from; 0 for numbers in a unit of their own.
    scale: ClassVar[float] = 1.0

    @property
    def quantity(self) -> str:
        """What :meth:`value` returns, with its unit."""
        return "probability"

    @property
    def score_quantity(self) -> str:
        """What :meth:`score` returns, with its unit."""
        return "logit"

    @abstractmethod
    def value(self, outputs: Array) -> Floats:
        """Return the number that people read, such as a probability, ``(N,)``, from outputs ``(N, *shape)``."""

    @abstractmethod
    def score(self, scores: Array) -> Floats:
        """Return the number that is differentiated, such as a logit, ``(N,)``, from scores ``(N, *shape)``."""

    @abstractmethod
    def cotangent(self, scores: Array) -> Array:
        """Return the gradient of :meth:`score` with respect to the scores, ``(N, *shape)``, at these scores."""

    def log_odds(self, outputs: Array) -> LogOdds | None:
        """Return the log-odds of a probability, and where they are precise; None if the value has none."""
        return None

    def region(self, size: tuple[int, int]) -> NDArray[np.bool_] | None:
        """Return the part of the image that the target is about, ``(H, W)``, for an image of ``size`` (W, H).

        None stands for no particular part.
        """
        return None


@dataclass(frozen=True)
class Context:
    """What a target may refer to.

    Attributes:
        output: the output of the image, ``shape``.
        names: the names of the classes, labels or values.
        size: the width and height of the image as the model sees it.
        other: returns the output of another image by its name; raises a BadRequest if there is none.
        top: the maximum number of targets if the user names none.
    """

    output: Array
    names: Sequence[str]
    size: tuple[int, int]
    other: Callable[[str], Array]
    top: int = 5


@dataclass(frozen=True)
class OutputSpec(ABC):
    """What the output of a model means.

    Attributes:
        shape: the shape of the output of one image.
        activation: the last operation, such as "softmax", or "".
        unit: the unit of the values, or "".
        note: what is assumed and should be confirmed, or "".

    Examples:
        >>> from picasso.targets import Regression, spec_from
        >>> spec = Regression((2,), unit="mm")
        >>> spec.parse(["width"], names=["height", "width"])
        ['value:width']
        >>> spec_from(spec.as_dict()) == spec
        True
    """

    shape: tuple[int, ...]
    activation: str = ""
    unit: str = ""
    note: str = ""

    task: ClassVar[OutputTask]
    #: What one output is called: "class", "label", "value".
    noun: ClassVar[str] = "class"

    def as_dict(self) -> dict[str, Any]:
        """Return the specification as JSON-ready values; see :func:`picasso.targets.spec_from`."""
        return {"task": str(self.task), **{one.name: plain(getattr(self, one.name)) for one in fields(self)}}

    @abstractmethod
    def wrong(self, outputs: Array) -> str:
        """Return what is wrong with outputs ``(N, *shape)``, as the end of "the model returned ...", or ""."""

    @abstractmethod
    def decode(self, outputs: Array, names: Sequence[str], top: int) -> list[tuple[Prediction, ...]]:
        """Return the predictions of each image, the most important first.

        Args:
            outputs: ``(N, *shape)``.
            names: the names of the classes, labels or values.
            top: the maximum number for an image.
        """

    def arrays(self, output: Array) -> dict[str, NDArray[Any]]:
        """Return what a result keeps of the output ``shape`` of one image, by the names of arrays in its file.

        A classification keeps nothing, because its predictions have the probabilities.
        """
        return {}

    def other_images(self, wanted: Sequence[Wanted]) -> list[str]:
        """Return the names of other images that targets refer to, as :meth:`parse` returned them."""
        return []

    @abstractmethod
    def defaults(self, predictions: Sequence[Prediction], context: Context) -> tuple[Target, ...]:
        """Return the targets to explain if the user names none, from the predictions of an image."""

    @abstractmethod
    def parse(self, wanted: Sequence[str | int], names: Sequence[str]) -> list[Wanted]:
        """Return the targets that a user wrote in the form that :meth:`target` takes.

        Raises:
            BadRequest: a text names no target; the message says what does.
        """

    @abstractmethod
    def target(self, wanted: Wanted, context: Context) -> Target:
        """Return a target for one image.

        Raises:
            BadRequest: this image has no such target.
        """


def limited(wanted: Sequence[str | int]) -> None:
    """Raise a BadRequest if more than :data:`MAX_TARGETS` targets are requested, or one is neither text nor index."""
    if len(wanted) > MAX_TARGETS:
        raise BadRequest(
            f"{len(wanted):,} targets are requested; the maximum is {MAX_TARGETS}. Omit them to get the most important "
            "predictions.",
            field="target",
        )
    if wrong := [one for one in wanted if not isinstance(one, str | int) or isinstance(one, bool)]:
        raise BadRequest(f"A target is a text or a number, not {wrong[0]!r}.", field="target")
    if long := [one for one in wanted if isinstance(one, str) and len(one) > MAX_LENGTH]:
        raise BadRequest(f"There is no target {long[0][:60]}...; no target is as long as that.", field="target")


@contextmanager
def explaining(syntax: str) -> Iterator[None]:
    """Add to what is wrong about the text of a target how the targets of the task are written."""
    try:
        yield
    except BadRequest as error:
        told = f"{error.message} {syntax}"
        raise BadRequest(told, field=error.field, value=error.value, suggestions=error.suggestions) from None


def plain(value: Any) -> Any:
    """Return a value with tuples, also inside mappings, as lists."""
    if isinstance(value, tuple | list):
        return [plain(one) for one in value]
    if isinstance(value, Mapping):
        return {key: plain(one) for key, one in value.items()}
    return value


def one_hot(scores: Array, *index: Any) -> Array:
    """Return zeros like the scores ``(N, *shape)``, with 1 at an index of every image."""
    zeros = np.zeros_like(scores, np.float32)
    zeros[(slice(None), *index)] = 1
    return zeros
