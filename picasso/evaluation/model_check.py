"""The summary of a loaded model, with warnings."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from picasso import remedies
from picasso.errors import PicassoError
from picasso.evaluation import class_order, labeled_folder
from picasso.evaluation.labeled_folder import Accuracy, abridged
from picasso.explanation.inputs import NamedImage, as_seen, image_from
from picasso.imaging import decode
from picasso.models.arrays import Array
from picasso.models.base import Model
from picasso.models.info import Capability, Layer, ModelInfo
from picasso.models.outputs import OutputKind
from picasso.targets import Classification, OutputTask, Prediction, phrase

# The minimum number of images at which identical predictions for all of them are reported.
MIN_IMAGES = 5
# The kinds of output whose probabilities need not sum to 1, if the user configured one of them.
MULTI_LABEL = (OutputKind.SIGMOID, OutputKind.SIGMOID_LOGITS, OutputKind.TANH, OutputTask.MULTI_LABEL)


@dataclass(frozen=True)
class Answer:
    """The most probable classes of one image.

    Attributes:
        image: the name of the image.
        predictions: its most probable classes, best first.
    """

    image: str
    predictions: tuple[Prediction, ...]


@dataclass(frozen=True)
class Report:
    """The outcome of a check.

    Attributes:
        card: the description of the model.
        class_names: the names of the classes, in the order of the output.
        layers: the layers with feature maps, first to last.
        answers: the predictions for some images.
        accuracy: the accuracy on a labelled folder, if one was given.
        warnings: possible problems to check.
        view: the first of the images as the model sees it, as a data URL of a PNG; "" without images.
        label_order: the labels in the order of the outputs, if the folder suggests another order.
    """

    card: ModelInfo
    class_names: tuple[str, ...]
    layers: tuple[Layer, ...]
    answers: tuple[Answer, ...]
    accuracy: Accuracy | None
    warnings: tuple[str, ...]
    label_order: tuple[str, ...] = ()
    view: str = ""

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
            "warnings": list(self.warnings),
            "view": self.view,
        }

    def lines(self) -> list[tuple[str, str]]:
        """Return the report as names and values, one line each."""
        height, width, channels = self.card.input_shape
        default = next((layer.name for layer in self.layers if layer.default), "")
        lacking = self.card.missing(frozenset(Capability))
        lines = [
            ("model", self.card.name),
            ("format", self.card.format),
            ("checkpoint", self.card.checkpoint + (f", written {time}" if (time := self.card.checkpoint_time) else "")),
            *([("sha256", self.card.fingerprint[:12])] if self.card.fingerprint else []),
            ("input", f"{height} x {width} pixels, {channels} channel{'s' if channels > 1 else ''}"),
            ("images", self.card.preprocessing),
            ("classes", f"{self.card.classes}: {abridged(self.class_names)}"),
            *([("output", self.card.output)] if self.card.output else []),
            ("logits", self.card.logits),
            ("can give", ", ".join(self.card.capabilities)),
            *([("can't give", ", ".join(lacking))] if lacking else []),
            ("layer", f"{default or 'none'} (of {len(self.layers)} with feature maps)"),
        ]
        for answer in self.answers:
            best = ", ".join(phrase(one) for one in answer.predictions)
            lines.append(("answer", f"{answer.image}: {best}"))
        if self.accuracy:
            total = f"{self.accuracy.right} of {self.accuracy.images} images are answered right"
            lines.append(("accuracy", f"{self.accuracy.fraction:.3f}: {total}"))
            for share in self.accuracy.classes:
                mistaken = f", mostly taken for {share.mistaken_for}" if share.mistaken_for else ""
                lines.append(("class", f"{share.name}: {share.right} of {share.images}{mistaken}"))
        return lines


def check(
    model: Model,
    images: Iterable[NamedImage],
    folder: Path | None = None,
    progress: labeled_folder.Progress = lambda fraction: None,
    show: Callable[[str, Image.Image], None] = lambda name, view: None,
) -> Report:
    """Describe a loaded model, predict some images, and measure the accuracy on a labelled folder.

    Args:
        model: the model.
        images: some images.
        folder: images in folders named after the classes.
        progress: called with the finished fraction of the folder, 0..1.
        show: called with the name of each image and the image as the model sees it.

    Raises:
        ModelError: the model fails on an image.
        BadRequest: the folder does not fit the model.
    """
    card, names = model.card(), tuple(str(name) for name in model.class_names())
    warnings = list(card.notes)
    # One at a time, so that only one image is in memory at full size.
    seen: list[tuple[str, Array]] = []
    first = ""
    for image in images:
        array, view = as_seen(model, image)
        seen.append((image.name, array))
        warnings += image.notes
        first = first or decode.data_address(decode.encode(view))
        show(image.name, view)
    answers: tuple[Answer, ...] = ()
    if seen:
        inputs = np.stack([array for _, array in seen])
        outputs = model.predict(inputs)
        answers = tuple(Answer(name, best) for (name, _), best in zip(seen, model.decode(outputs), strict=True))
        warnings += model.check_output(inputs)
        if isinstance(model.spec, Classification):
            warnings += output_warnings(outputs, names, model.output_kind or model.task)
    accuracy, order = None, None
    if folder:
        found = labeled_folder.find(model, folder)
        accuracy = labeled_folder.measure(model, found, progress)
        order, doubtful = folder_warnings(model, found, accuracy)
        warnings += [*accuracy.unreadable, *doubtful]
    ordered = order.names if order else ()
    return Report(card, names, tuple(model.layers()), answers, accuracy, tuple(warnings), ordered, first)


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


def folder_warnings(
    model: Model, images: Sequence[labeled_folder.LabeledImage], accuracy: Accuracy
) -> tuple[class_order.Reordering | None, list[str]]:
    """Return warnings from a labelled folder: labels in another order, a better value range, or accuracy near chance.

    If either another order or another value range helps, the one with the higher accuracy is suggested. If neither
    does alone, their combinations are tried.
    """
    names = [str(name) for name in model.class_names()]
    near_chance = accuracy.near_chance(model.num_classes)
    order = class_order.find(names, accuracy.answered)
    tried = labeled_folder.by_values(model, images) if near_chance or not model.preprocessing.values else {}
    better = labeled_folder.better_values(tried)
    values = ""
    if near_chance and not order and not better:
        orders = {value: class_order.find(names, one.answered) for value, one in tried.items()}
        fitting = {value: found for value, found in orders.items() if found}
        if fitting:
            values = max(fitting, key=lambda value: fitting[value].fraction)
            order = fitting[values]
    elif order and better and order.fraction > better[1]:
        better = None
    elif better:
        order = None
    found = []
    if order:
        condition = f"With values {values} ({remedies.setting('PREPROCESS', values)}): " if values else ""
        found.append(condition + order.sentence())
    elif near_chance:
        found.append(
            f"{accuracy.right} of {accuracy.images} right is what guessing among {model.num_classes} classes gives: "
            "the order of the labels, the value range or the order of the channels may be wrong."
        )
    if better:
        found.append(
            f"With values {better[0]}, {better[1]:.0%} of the images tried are right, instead of {better[2]:.0%}: "
            f"try {remedies.setting('PREPROCESS', better[0])}."
        )
    return order, found


def read(files: Mapping[str, Path], model: Model) -> tuple[list[NamedImage], list[str]]:
    """Return the readable images, named by the keys of ``files``, and a message for each unreadable file."""
    images, problems = [], []
    for name, file in files.items():
        try:
            images.append(replace(image_from(file, 0, model=model), name=name))
        except PicassoError as error:
            problems.append(error.message)
    return images, problems
