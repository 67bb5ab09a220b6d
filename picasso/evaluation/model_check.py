"""The summary of a loaded model, with warnings."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from picasso.errors import PicassoError
from picasso.evaluation import measures
from picasso.evaluation.labeled_folder import Accuracy
from picasso.evaluation.measured import Measured, MeasuredClasses
from picasso.evaluation.outputs import Progress
from picasso.evaluation.understood import Understood, understood
from picasso.explanation.inputs import NamedImage, as_seen, image_from
from picasso.imaging import decode
from picasso.models.arrays import Array
from picasso.models.base import Model
from picasso.models.info import OF_TRANSFORMERS, Capability, Layer, ModelInfo
from picasso.models.outputs import OutputKind
from picasso.targets import Classification, OutputTask, Prediction, phrase

# The minimum number of images at which identical predictions for all of them are reported.
MIN_IMAGES = 5
# Outputs that differ by less than this share of the largest are equal.
SAME = 1e-4
# What is said of an image without detected objects.
NOTHING = "nothing detected"
# The maximum number of predictions of an image in a line.
SHOWN = 5
# The kinds of output whose probabilities need not sum to 1, if the user configured one of them.
MULTI_LABEL = (OutputKind.SIGMOID, OutputKind.SIGMOID_LOGITS, OutputKind.TANH, OutputTask.MULTI_LABEL)


@dataclass(frozen=True)
class Answer:
    """What the model predicts for one image.

    Attributes:
        image: the name of the image.
        predictions: its predictions, the most important first; none if nothing was detected.
    """

    image: str
    predictions: tuple[Prediction, ...]

    @property
    def text(self) -> str:
        """The first predictions as text."""
        shown = [phrase(one) for one in self.predictions[:SHOWN]]
        more = [f"{len(self.predictions) - SHOWN} more"] if len(self.predictions) > SHOWN else []
        return ", ".join([*shown, *more]) or NOTHING


class Source(StrEnum):
    """What a warning is about."""

    MODEL = "model"
    IMAGE = "image"
    OUTPUT = "output"
    TRUTH = "truth"


@dataclass(frozen=True)
class Problem:
    """A possible problem to check.

    Attributes:
        source: what it is about: how the model was read, how an image was, the predictions, or the images with truth.
        text: what it is.
        image: the name of the image, if it is about one.
    """

    source: Source
    text: str
    image: str = ""


@dataclass(frozen=True)
class Report:
    """The outcome of a check.

    Attributes:
        card: the description of the model.
        understood: what its output is taken for.
        class_names: the names of the classes, labels or values, in the order of the output.
        layers: the layers with feature maps, first to last.
        answers: the predictions for some images.
        measured: how well it does on a folder with truth, if one was given.
        problems: possible problems to check.
        view: the first of the images as the model sees it, as a data URL of a PNG; "" without images.
    """

    card: ModelInfo
    understood: Understood
    class_names: tuple[str, ...]
    layers: tuple[Layer, ...]
    answers: tuple[Answer, ...]
    measured: Measured | None
    problems: tuple[Problem, ...]
    view: str = ""

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the possible problems are."""
        return tuple(one.text for one in self.problems)

    @property
    def accuracy(self) -> Accuracy | None:
        """The accuracy of a classifier, if it was measured."""
        return self.measured.accuracy if isinstance(self.measured, MeasuredClasses) else None

    @property
    def label_order(self) -> tuple[str, ...]:
        """The labels in the order of the outputs, if the folder suggests another order."""
        return self.measured.label_order if isinstance(self.measured, MeasuredClasses) else ()

    def as_dict(self) -> dict[str, Any]:
        """Return the report as JSON-ready values."""
        accuracy = self.accuracy and {
            "fraction": self.accuracy.fraction,
            "right": self.accuracy.right,
            "images": self.accuracy.images,
            "classes": [asdict(share) for share in self.accuracy.classes],
            "label_order": list(self.label_order),
        }
        return {
            "model": self.card.as_dict(),
            "class_names": list(self.class_names),
            "layers": [asdict(layer) for layer in self.layers],
            "answers": [asdict(answer) for answer in self.answers],
            "accuracy": accuracy,
            "task": self.understood.as_dict(),
            "measured": self.measured and self.measured.as_dict(),
            "warnings": list(self.warnings),
            "view": self.view,
        }

    def lines(self) -> list[tuple[str, str]]:
        """Return the report as names and values, one line each."""
        height, width, channels = self.card.input_shape
        default = next((layer.name for layer in self.layers if layer.default), "")
        # Only transformers have attention, so others do not lack it.
        lacking = self.card.missing(frozenset(Capability) - OF_TRANSFORMERS)
        lines = [
            ("model", self.card.name),
            ("format", self.card.format),
            ("checkpoint", self.card.checkpoint + (f", written {time}" if (time := self.card.checkpoint_time) else "")),
            *([("sha256", self.card.fingerprint[:12])] if self.card.fingerprint else []),
            ("input", f"{height} x {width} pixels, {channels} channel{'s' if channels > 1 else ''}"),
            ("images", self.card.preprocessing),
            *self.understood.lines(),
            *([("output", self.card.output)] if self.card.output else []),
            ("logits", self.card.logits),
            ("can give", ", ".join(self.card.capabilities)),
            *([("can't give", ", ".join(lacking))] if lacking else []),
            ("layer", f"{default or 'none'} (of {len(self.layers)} with feature maps)"),
        ]
        lines += [("answer", f"{answer.image}: {answer.text}") for answer in self.answers]
        return lines + (self.measured.lines() if self.measured else [])


def check(
    model: Model,
    images: Iterable[NamedImage],
    folder: Path | None = None,
    progress: Progress = lambda fraction: None,
    show: Callable[[str, Image.Image], None] = lambda name, view: None,
) -> Report:
    """Describe a loaded model, predict some images, and measure how well it does on a folder with truth.

    Args:
        model: the model.
        images: some images.
        folder: images with truth; see :func:`picasso.evaluation.measures.measure`.
        progress: called with the finished fraction of the folder, 0..1.
        show: called with the name of each image and the image as the model sees it.

    Raises:
        ModelError: the model fails on an image.
        BadRequest: the folder does not fit the model.
    """
    card, names = model.card(), tuple(str(name) for name in model.class_names())
    problems = [Problem(Source.MODEL, text) for text in card.notes]
    # One at a time, so that only one image is in memory at full size.
    seen: list[tuple[str, Array]] = []
    first = ""
    for image in images:
        array, view = as_seen(model, image)
        seen.append((image.name, array))
        problems += [Problem(Source.IMAGE, text, image.name) for text in image.notes]
        first = first or decode.data_address(decode.encode(view))
        show(image.name, view)
    answers: tuple[Answer, ...] = ()
    if seen:
        inputs = np.stack([array for _, array in seen])
        outputs = model.predict(inputs)
        answers = tuple(Answer(name, best) for (name, _), best in zip(seen, model.decode(outputs), strict=True))
        texts = [*model.check_output(inputs)]
        if isinstance(model.spec, Classification):
            texts += output_warnings(outputs, names, model.output_kind or model.task)
        else:
            texts += constant_warnings(inputs, outputs)
        problems += [Problem(Source.OUTPUT, text) for text in texts]
    measured = measures.measure(model, folder, progress) if folder else None
    problems += [Problem(Source.TRUTH, text) for text in (measured.all_warnings if measured else ())]
    return Report(card, understood(model), names, tuple(model.layers()), answers, measured, tuple(problems), first)


def output_warnings(probabilities: Array, names: Sequence[str], said: str = "") -> list[str]:
    """Return warnings about predictions ``(N, K)``: all the same class, or probabilities that do not sum to 1.

    ``said`` is the kind of output that the user configured, such as ``"sigmoid"``, whose probabilities need not sum
    to 1.
    """
    found = []
    best = {int(index) for index in probabilities.argmax(axis=1)}
    if len(probabilities) >= MIN_IMAGES and len(best) == 1:
        found.append(
            f"All {len(probabilities)} images are answered with {names[best.pop()]}: the value range of the input "
            "may be wrong."
        )
    sums = probabilities.sum(axis=1, dtype=np.float64)
    if np.abs(sums - 1).max() > 1e-3 and said not in MULTI_LABEL:
        found.append(
            f"The probabilities of an image sum to {sums.min():.3g} to {sums.max():.3g}, not to 1: right for labels "
            "that can hold together (a sigmoid for each), wrong for classes that exclude each other."
        )
    return found


def constant_warnings(inputs: Array, outputs: Array) -> list[str]:
    """Return a warning if the outputs ``(N, *shape)`` for different inputs ``(N, H, W, C)`` are all the same."""
    if len(inputs) < MIN_IMAGES or not np.ptp(inputs, axis=0).any():
        return []
    if np.ptp(outputs, axis=0).max() > SAME * max(1e-6, float(np.abs(outputs).max())):
        return []
    return [f"The outputs for all {len(inputs)} images are equal: the value range of the input may be wrong."]


def read(files: Mapping[str, Path], model: Model) -> tuple[list[NamedImage], list[str]]:
    """Return the readable images, named by the keys of ``files``, and a message for each unreadable file."""
    images, problems = [], []
    for name, file in files.items():
        try:
            images.append(replace(image_from(file, 0, model=model), name=name))
        except PicassoError as error:
            problems.append(error.message)
    return images, problems
