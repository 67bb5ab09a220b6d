"""The images of a session with their classes and predictions: what the gallery and the strip of images show."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from picasso.errors import BadRequest
from picasso.evaluation.labeled_folder import Classes
from picasso.jobs.prediction_job import Row as StoredRow
from picasso.jobs.prediction_job import identity
from picasso.jobs.run import StoredImage
from picasso.storage.session import Session
from picasso.targets import OutputTask, phrase
from picasso.web.context import services


@dataclass(frozen=True, slots=True)
class Row:
    """The class and the prediction of an image.

    Attributes:
        label: the name of the class that its folder is named after, or "".
        predicted: the name of the first prediction, with its number if it is no class; "" until it is computed.
        confidence: the probability of the predicted class, or None.
        correct: whether the prediction is right; None if either is not known.
        target: the index of the class of its folder, or None.
        index: the index of the predicted class, or None.
        margin: the difference of the probabilities of the first two classes, or None.
        error: why the image could not be predicted, or "".
    """

    label: str = ""
    predicted: str = ""
    confidence: float | None = None
    correct: bool | None = None
    target: int | None = None
    index: int | None = None
    margin: float | None = None
    error: str = ""


class Labels:
    """Looks up the classes of images by the folders that they were uploaded in.

    Args:
        names: the class names in the order of the model's output; none if the model is no classifier.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._classes = Classes(names)
        self.names = names

    @functools.lru_cache(maxsize=10_000)  # noqa: B019 - few instances live, see labels_of()
    def target(self, folders: str) -> tuple[int | None, str]:
        """Return the index of the class of some folders or None, and why there is none or ""."""
        if not folders or not self.names:
            return None, ""
        try:
            return self._classes.innermost(folders), ""
        except BadRequest as error:
            return None, error.message


@functools.lru_cache(maxsize=2)
def labels_of(names: tuple[str, ...]) -> Labels:
    """Return the lookup for a model with these classes; it is kept, because models may have thousands."""
    return Labels(names)


def labels() -> Labels:
    """Return the lookup for the current model; it finds nothing until the model is loaded."""
    model = services().model
    known = model.status()["state"] == "ready" and model.spec().task is OutputTask.CLASSIFICATION
    return labels_of(tuple(map(str, model.class_names())) if known else ())


def model_identity() -> str:
    """Return what identifies the predictions of the model.

    Raises:
        NotReady: the model is not loaded.
    """
    model = services().model
    # Raises the error.
    model.class_names()
    return identity(model.status()["card"])


def predictions(session: Session, images: Sequence[StoredImage] | None = None) -> dict[int, Row]:
    """Return the class and the prediction of each image of a session by its number, as far as they are known.

    This reads only what has changed since the last call.

    Args:
        session: the session.
        images: its images, if the caller has them.
    """
    status, job = services().model.status(), session.predictions()
    found: Mapping[int, StoredRow] = job.rows(identity(status["card"])) if job and status["state"] == "ready" else {}
    known = labels()
    listed = session.images() if images is None else images
    return {image["uid"]: row_of(image, found.get(image["uid"]), known) for image in listed}


class LabelCount(NamedTuple):
    """The number of images that have a class, and of these classes."""

    images: int
    classes: int


def count_labels(images: Sequence[StoredImage]) -> LabelCount:
    """Return how many images are in folders named after classes, and of how many classes.

    Until the model is loaded, every folder counts as a class.
    """
    folders = [image["label"] for image in images if "label" in image]
    if services().model.status()["state"] != "ready":
        return LabelCount(len(folders), len(set(folders)))
    known = labels()
    targets = [target for one in folders if (target := known.target(one)[0]) is not None]
    return LabelCount(len(targets), len(set(targets)))


def row_of(image: StoredImage, stored: StoredRow | None, known: Labels) -> Row:
    """Return what is known about one image."""
    target, _ = known.target(image.get("label", ""))
    label = "" if target is None else known.names[target]
    if not stored or not stored["top"]:
        return Row(label=label, target=target, error=stored.get("error", "") if stored else "")
    first, *others = stored["top"]
    if not known.names:
        # The predictions of other tasks are shown in words; they have no single class that is right or wrong.
        return Row(predicted=phrase(first), confidence=first.get("prob"))
    return Row(
        label=label,
        predicted=first["name"],
        confidence=first["prob"],
        correct=None if target is None else target == first["index"],
        target=target,
        index=first["index"],
        margin=first["prob"] - others[0]["prob"] if others else None,
    )
