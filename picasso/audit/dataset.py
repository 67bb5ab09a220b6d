"""The folder of an audit: labelled images as the model sees them, and what the model answers to them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from picasso.audit.properties import Images
from picasso.audit.selection import MIN_PER_CLASS, left_out, spread, taken
from picasso.audit.statistics import Margins
from picasso.errors import BadRequest, ModelError, PicassoError
from picasso.evaluation.labeled_folder import LabeledImage
from picasso.imaging import decode
from picasso.models.arrays import Array
from picasso.models.base import Model
from picasso.models.info import Capability

# Probabilities nearer to 0 or 1 than this give no larger logits.
NEAREST = 1e-6
# On fewer pixels along a side, properties such as noise are not defined.
MIN_SIDE = 4


class LazyImages(Mapping[int, Images]):
    """Images by class, kept as bytes and given as fractions, since models of many classes have many images.

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
        views: by class, ``(n, H, W, C)`` from 0 to 1.
        logits: by class, what the model answers to them, ``(n, K)``.
        names: by class, their file names.
        unreadable: a sentence for each that could not be read.
        left_out: a sentence that names the classes with too few images, or "".
    """

    views: Mapping[int, Images]
    logits: dict[int, Array]
    names: dict[int, tuple[str, ...]]
    unreadable: tuple[str, ...] = ()
    left_out: str = ""


def read(
    model: Model,
    images: Sequence[LabeledImage],
    progress: Callable[[float], None],
    *,
    limit: int = decode.DEFAULT_MEGAPIXELS,
    called: Callable[[str], str] = decode.display_name,
) -> Folder:
    """Read as many images of each class as :func:`picasso.audit.selection.taken` says, and ask the model about them.

    Args:
        model: the model.
        images: of which the class is known.
        progress: called with the fraction that is read.
        limit: the largest image, in millions of pixels.
        called: returns what a file is called, of its name.

    Raises:
        BadRequest: fewer than two classes have enough images that can be read, there are too many classes,
            or the model sees too few pixels.
    """
    if model.opens_images():
        raise BadRequest("An audit changes images of one or three channels; this model opens its images itself.")
    height, width, _ = model.input_shape
    if min(height, width) < MIN_SIDE:
        raise BadRequest(f"The model sees {width} x {height} pixels; an audit needs {MIN_SIDE} x {MIN_SIDE} or more.")
    by_class: dict[int, list[Path]] = {}
    for one in images:
        by_class.setdefault(one.target, []).append(one.file)
    classes = [str(name) for name in model.class_names()]
    counts = taken({target: len(found) for target, found in sorted(by_class.items())}, classes)
    chosen = {target: spread(by_class[target], count) for target, count in counts.items()}
    total, done = sum(map(len, chosen.values())), 0
    views: dict[int, NDArray[np.uint8]] = {}
    names: dict[int, tuple[str, ...]] = {}
    unreadable: list[str] = []
    readable: dict[int, int] = {}
    for target, found in chosen.items():
        seen, kept = [], []
        for file in found:
            done += 1
            try:
                view = model.view(decode.read(file.read_bytes(), called(file.name), limit))
            except OSError as error:
                # Without its path, which visitors of a server have no business to know.
                unreadable.append(f"{called(file.name)} can't be read: {error.strerror or type(error).__name__}.")
                continue
            except PicassoError as error:
                unreadable.append(str(error))
                continue
            seen.append(np.asarray(view, np.uint8).reshape(view.height, view.width, -1))
            kept.append(called(file.name))
            progress(done / total)
        readable[target] = len(seen) if found else len(by_class[target])
        if len(seen) >= MIN_PER_CLASS:
            views[target], names[target] = np.stack(seen), tuple(kept)
    # Again, since some may not be readable.
    taken(readable, classes)
    stored = LazyImages(views)
    answers = {key: logits(model, some) for key, some in stored.items()}
    return Folder(stored, answers, names, tuple(unreadable), left_out(readable, classes))


def encoded(model: Model, views: Images) -> Array:
    """Return the model's input for images as it sees them."""
    return model.encode([Image.fromarray(one) for one in pixels(views)])


def logits(model: Model, views: Images) -> Array:
    """Return what the model answers to images as it sees them: logits, or the logarithms of odds, ``(n, K)``."""
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
        raise ModelError("The model answered logits that are not finite numbers, which an audit can't compare.")
    return answers


def pixels(views: Images) -> NDArray[np.uint8]:
    """Return images, or one, as bytes; grey ones without their axis of channels."""
    rounded = np.round(views * 255).astype(np.uint8)
    return rounded[..., 0] if rounded.shape[-1] == 1 else rounded


def margins(answers: Array, ours: int, theirs: int) -> Margins:
    """Return by how much one class is preferred to another, ``(n,)``."""
    return np.asarray(answers[:, theirs] - answers[:, ours], np.float64)
