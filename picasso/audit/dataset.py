"""The data of an audit: labelled images as the model sees them, and their logits."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from picasso.audit.properties import Images
from picasso.audit.statistics import Margins
from picasso.errors import BadRequest, ModelError
from picasso.models.arrays import Array
from picasso.models.base import Model
from picasso.models.info import Capability
from picasso.targets import Classification

# Probabilities are clipped to this distance from 0 and 1 before logits are computed.
NEAREST = 1e-6


class LazyImages(Mapping[int, Images]):
    """Images by class, stored as bytes and returned as fractions, to save memory.

    Args:
        images: ``(n, H, W, C)``.
    """

    def __init__(self, images: Mapping[int, NDArray[np.uint8]]) -> None:
        self._images = dict(images)

    def __getitem__(self, target: int) -> Images:
        return np.asarray(self._images[target] / np.float32(255), np.float32)

    def __iter__(self) -> Iterator[int]:
        return iter(self._images)

    def __len__(self) -> int:
        return len(self._images)


class Blocks(Protocol):
    """The images of large classes in random blocks, of which an audit holds one at a time."""

    @property
    def sizes(self) -> Mapping[int, Sequence[int]]:
        """The number of images in each block, by class."""
        ...

    def read(self, model: Model, number: int, targets: Collection[int]) -> Folder:
        """Return a block of some classes: those that have one of this number."""
        ...

    def identity(self) -> bytes:
        """Return what identifies the images."""
        ...


@dataclass(frozen=True)
class FirstLook:
    """What a sample of each class shows.

    Attributes:
        pairs: the pairs that were considered, those most likely to show a shortcut first.
        classes: the number of classes.
        images: the largest number of images of a class.
        predicted: the predicted classes by true class, ``(n,)``.
        unreadable: the messages about images that could not be read, by class.
        readable: the number of images of each class that has too few readable ones.
    """

    pairs: tuple[tuple[int, int], ...]
    classes: int
    images: int
    predicted: Mapping[int, NDArray[np.int64]]
    unreadable: Mapping[int, Sequence[str]] = field(default_factory=dict)
    readable: Mapping[int, int] = field(default_factory=dict)

    def first(self, pairs: int, classes: int) -> list[tuple[int, int]]:
        """Return the first pairs that together have at most so many classes.

        Args:
            pairs: the largest number of pairs; 0 for all.
            classes: the largest number of classes.
        """
        found: list[tuple[int, int]] = []
        targets: set[int] = set()
        for pair in self.pairs:
            if pairs and len(found) == pairs:
                break
            if len(targets | set(pair)) <= classes:
                found.append(pair)
                targets.update(pair)
        return found


@dataclass(frozen=True)
class Folder:
    """The images of an audit, as the model sees them; of large classes, the first block.

    Attributes:
        views: the images by class, ``(n, H, W, C)`` from 0 to 1.
        logits: the logits of the model by class, ``(n, K)``.
        names: the file names by class.
        unreadable: an error message for each image that could not be read.
        left_out: a sentence that names the classes with too few images, or "".
        small_classes: the number of these classes.
        masks: the pixels of the object in each image, ``(n, H, W)``, for the classes whose images all have a mask.
        masks_given: whether there is a folder of masks.
        blocks: all blocks, with the first; None if these are all images.
        look: what a sample of each class shows, if there are too many classes to read all.
    """

    views: Mapping[int, Images]
    logits: dict[int, Array]
    names: dict[int, tuple[str, ...]]
    unreadable: tuple[str, ...] = ()
    left_out: str = ""
    small_classes: int = 0
    masks: Mapping[int, NDArray[np.bool_]] = field(default_factory=dict)
    masks_given: bool = False
    blocks: Blocks | None = None
    look: FirstLook | None = None

    @property
    def classes(self) -> int:
        """The number of classes with enough images."""
        return self.look.classes if self.look else len(self.views)

    def masks_of(self, ours: int, theirs: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]] | None:
        """Return the masks of two classes; None unless both have masks."""
        return (self.masks[ours], self.masks[theirs]) if {ours, theirs} <= self.masks.keys() else None


def require_classifier(model: Model) -> None:
    """Raise a BadRequest if a model predicts something other than classes or labels."""
    if why := unsuitable(model):
        raise BadRequest(why)


def unsuitable(model: Model) -> str:
    """Return why a model can't be audited, because it predicts something other than classes or labels, or ""."""
    if isinstance(model.spec, Classification):
        return ""
    return f"An audit compares classes, so it needs a classifier; this model does {model.spec.task}."


def encoded(model: Model, views: Images) -> Array:
    """Return the model input for images as the model sees them."""
    return model.encode([Image.fromarray(one) for one in pixels(views)])


def logits(model: Model, views: Images) -> Array:
    """Return the logits of images, ``(n, K)``; for a model without gradients, the log-odds of its probabilities."""
    found = []
    for start in range(0, len(views), model.batch_size):
        inputs = encoded(model, views[start : start + model.batch_size])
        if Capability.GRADIENTS in model.capabilities:
            found.append(model.logits(inputs))
        else:
            probabilities = np.clip(model.predict(inputs).astype(np.float64), NEAREST, 1 - NEAREST)
            found.append(np.log(probabilities / (1 - probabilities)).astype(np.float32))
    answers = np.concatenate(found)
    if not np.isfinite(answers).all():
        raise ModelError("The model returned logits that are not finite numbers, which an audit can't compare.")
    return answers


def answers(folder: Folder) -> Mapping[int, NDArray[np.int64]]:
    """Return the predicted classes, by true class, ``(n,)``; of many classes, those of a sample of each."""
    if folder.look:
        return folder.look.predicted
    return {target: np.asarray(some.argmax(axis=1), np.int64) for target, some in folder.logits.items()}


def leaving(before: Array, after: Array, ours: int) -> NDArray[np.bool_]:
    """Tell which images of a class are predicted as this class before a change, and as any other after it, ``(n,)``.

    Args:
        before: the logits of the images, ``(n, K)``.
        after: those of the changed images.
        ours: the index of the class.
    """
    return np.asarray((before.argmax(axis=1) == ours) & (after.argmax(axis=1) != ours))


def pixels(views: Images) -> NDArray[np.uint8]:
    """Return one or several images as bytes; greyscale images lose their channel axis."""
    rounded = np.round(views * 255).astype(np.uint8)
    return rounded[..., 0] if rounded.shape[-1] == 1 else rounded


def margins(answers: Array, ours: int, theirs: int) -> Margins:
    """Return the margin ``logit of theirs - logit of ours``, ``(n,)``."""
    return np.asarray(answers[:, theirs] - answers[:, ours], np.float64)
