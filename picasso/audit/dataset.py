"""The data of an audit: labelled images as the model sees them, and their logits."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from picasso.audit import object_masks
from picasso.audit.properties import Images
from picasso.audit.selection import MIN_PER_CLASS, left_out, spread, taken
from picasso.audit.statistics import Margins
from picasso.errors import BadRequest, ModelError, PicassoError
from picasso.evaluation.labeled_folder import LabeledImage
from picasso.imaging import decode
from picasso.models.arrays import Array
from picasso.models.base import Model
from picasso.models.info import Capability
from picasso.targets import Classification

# Probabilities are clipped to this distance from 0 and 1 before logits are computed.
NEAREST = 1e-6
# Properties such as noise are not defined for smaller images.
MIN_SIDE = 4


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


@dataclass(frozen=True)
class Folder:
    """The images of an audit, as the model sees them.

    Attributes:
        views: the images by class, ``(n, H, W, C)`` from 0 to 1.
        logits: the logits of the model by class, ``(n, K)``.
        names: the file names by class.
        unreadable: an error message for each image that could not be read.
        left_out: a sentence that names the classes with too few images, or "".
        small_classes: the number of these classes.
        masks: the pixels of the object in each image, ``(n, H, W)``, for the classes whose images all have a mask.
        masks_given: whether there is a folder of masks.
    """

    views: Mapping[int, Images]
    logits: dict[int, Array]
    names: dict[int, tuple[str, ...]]
    unreadable: tuple[str, ...] = ()
    left_out: str = ""
    small_classes: int = 0
    masks: Mapping[int, NDArray[np.bool_]] = field(default_factory=dict)
    masks_given: bool = False

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


def read(
    model: Model,
    images: Sequence[LabeledImage],
    progress: Callable[[float], None],
    *,
    masks: Path | None = None,
    limit: int = decode.DEFAULT_MEGAPIXELS,
    called: Callable[[str], str] = decode.display_name,
) -> Folder:
    """Read the images of each class that :func:`picasso.audit.selection.taken` selects, and compute their logits.

    Args:
        model: the model.
        images: the labelled images.
        progress: called with the completed fraction.
        masks: the folder of masks of the object, as in :mod:`picasso.audit.object_masks`, if there is one.
        limit: the largest image, in megapixels.
        called: returns the display name of a file name.

    Raises:
        BadRequest: the model is no classifier, fewer than two classes have enough readable images, there are too many
            classes, the input of the model is too small, or a mask does not fit its image.
    """
    require_classifier(model)
    if model.opens_images():
        raise BadRequest("An audit changes images of one or three channels, but this model opens its images itself.")
    height, width, _ = model.input_shape
    if min(height, width) < MIN_SIDE:
        raise BadRequest(f"The model sees {width} x {height} pixels; an audit needs at least {MIN_SIDE} x {MIN_SIDE}.")
    by_class: dict[int, list[Path]] = {}
    for one in images:
        by_class.setdefault(one.target, []).append(one.file)
    classes = [str(name) for name in model.class_names()]
    counts = taken({target: len(found) for target, found in sorted(by_class.items())}, classes)
    chosen = {target: spread(by_class[target], count) for target, count in counts.items()}
    total, done = sum(map(len, chosen.values())), 0
    views: dict[int, NDArray[np.uint8]] = {}
    names: dict[int, tuple[str, ...]] = {}
    drawn: dict[int, NDArray[np.bool_]] = {}
    unreadable: list[str] = []
    readable: dict[int, int] = {}
    for target, found in chosen.items():
        seen, kept, good = [], [], []
        for file in found:
            done += 1
            try:
                view = model.view(decode.read(file.read_bytes(), called(file.name), limit))
            except OSError as error:
                # The path of the file must not be shown to visitors of a server.
                unreadable.append(f"{called(file.name)} can't be read: {error.strerror or type(error).__name__}.")
                continue
            except PicassoError as error:
                unreadable.append(str(error))
                continue
            seen.append(np.asarray(view, np.uint8).reshape(view.height, view.width, -1))
            kept.append(called(file.name))
            good.append(file)
            progress(done / total)
        readable[target] = len(seen) if found else len(by_class[target])
        if len(seen) >= MIN_PER_CLASS:
            views[target], names[target] = np.stack(seen), tuple(kept)
            objects = object_masks.read(model, masks, good, limit) if masks else None
            drawn |= {} if objects is None else {target: objects}
    # Check again, since some images may be unreadable.
    taken(readable, classes)
    stored = LazyImages(views)
    answers = {key: logits(model, some) for key, some in stored.items()}
    few = sum(count < MIN_PER_CLASS for count in readable.values())
    return Folder(stored, answers, names, tuple(unreadable), left_out(readable, classes), few, drawn, masks is not None)


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


def answers(folder: Folder) -> dict[int, NDArray[np.int64]]:
    """Return the predicted classes, by true class, ``(n,)``."""
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
