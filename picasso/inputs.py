"""From pictures to what a model takes: read, named, preprocessed, predicted, and visible as the model sees them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from picasso import images as door
from picasso.errors import BadRequest
from picasso.models.arrays import Array
from picasso.models.base import Model
from picasso.models.card import Prediction
from picasso.visualizations.base import Input

Source = str | Path | Image.Image | NDArray[np.uint8]


@dataclass(frozen=True)
class Picture:
    """A picture and what the user calls it."""

    name: str
    image: Image.Image


def names_of(files: Sequence[str | Path]) -> list[str]:
    """Return what files are called: by the last part of their path, and by as many folders as tell them apart.

    The same file twice has the same name.
    """
    paths = [Path(os.path.abspath(file)).parts for file in files]  # noqa: PTH100 - links have names of their own
    lengths = dict.fromkeys(paths, 1)
    while True:
        called: dict[tuple[str, ...], list[tuple[str, ...]]] = {}
        for path, length in lengths.items():
            called.setdefault(path[-length:], []).append(path)
        alike = [path for group in called.values() if len(group) > 1 for path in group]
        if not alike:
            return ["/".join(path[-lengths[path] :]) for path in paths]
        for path in alike:
            lengths[path] = min(lengths[path] + 1, len(path))


def named(sources: Sequence[Source]) -> list[str | None]:
    """Return the names of those sources that are files; None for the others."""
    names = iter(names_of([source for source in sources if isinstance(source, str | Path)]))
    return [next(names) if isinstance(source, str | Path) else None for source in sources]


def picture_from(source: Source, index: int, name: str | None = None) -> Picture:
    """Return what a caller passed as an upright picture with a name.

    Args:
        source: a file, a PIL picture or an array.
        index: its number among the others.
        name: what a file is called, where the last part of its path does not tell it from the others.
    """
    if isinstance(source, str | Path):
        try:
            body = Path(source).read_bytes()
        except OSError as error:
            raise BadRequest(f"The picture {source} can't be read: {error.strerror}.") from error
        called = name or Path(source).name
        return Picture(called, door.read(body, called))
    if isinstance(source, Image.Image):
        return Picture(f"picture {index}", door.upright(source))
    if source.dtype != np.uint8:
        raise BadRequest(f"Picture {index} is an array of {source.dtype}; pictures are arrays of uint8, 0..255.")
    if source.ndim != 2 and source.shape[2:] not in ((3,), (4,)):
        shapes = "(H, W), (H, W, 3) or (H, W, 4)"
        raise BadRequest(f"Picture {index} is an array of shape {source.shape}; pictures are {shapes}.")
    return Picture(f"picture {index}", door.upright(Image.fromarray(source)))


def prepare(model: Model, pictures: Sequence[Picture], classes: Sequence[int] = ()) -> list[Input]:
    """Preprocess the pictures, predict their classes, and make each visible as the model sees it.

    Raises:
        BadRequest: the model has no class of such a number.
    """
    originals = [picture.image for picture in pictures]
    arrays = model.inputs_of(originals)
    probabilities = model.predict(arrays)
    best = model.best_classes(probabilities)
    asked = chosen(model, probabilities, classes) if classes else best
    views = [model.view(image) for image in originals]
    encoded = model.encode(views)
    inputs = []
    for index, (picture, array, again, view) in enumerate(zip(pictures, arrays, encoded, views, strict=True)):
        exact = bool(np.allclose(array, again, atol=1e-3 * max(1.0, float(np.ptp(array)))))
        seen = view if exact else visible(array)
        inputs.append(Input(picture.name, picture.image, seen, array, asked[index], exact, best[index]))
    return inputs


def chosen(model: Model, probabilities: Array, classes: Sequence[int]) -> list[tuple[Prediction, ...]]:
    """Return the predictions for classes of the user's choice, in this order, for each row of probabilities."""
    wrong = [index for index in classes if not 0 <= index < model.num_classes]
    if wrong:
        raise BadRequest(f"There is no class {wrong[0]}; the model has {model.num_classes}.", field="class")
    names = model.class_names()
    return [
        tuple(Prediction(index=index, name=str(names[index]), prob=float(row[index])) for index in classes)
        for row in probabilities
    ]


def visible(array: Array) -> Image.Image:
    """Return a model's input ``(H, W, C)`` as a picture, its smallest value black and its largest white."""
    low, span = float(array.min()), float(np.ptp(array)) or 1.0
    pixels = np.round((array - low) / span * 255).astype(np.uint8)
    return Image.fromarray(pixels[..., :3] if pixels.shape[-1] >= 3 else pixels[..., 0])
