"""Masks of the object, which the user has drawn: a folder with a PNG for each image of the folder of an audit."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from picasso.errors import BadRequest, PicassoError
from picasso.imaging import decode, pixels
from picasso.models.base import Model

# The folder of masks beside the folder of images.
NAME = "masks"


def folder_of(images: Path, given: Path | None = None) -> Path | None:
    """Return the folder of masks: the given one, or ``masks`` beside the folder of images; None if there is none.

    Raises:
        BadRequest: the given folder does not exist.
    """
    if given is None:
        beside = images.resolve().parent / NAME
        return beside if beside.is_dir() and beside != images.resolve() else None
    if not given.is_dir():
        raise BadRequest(f"The folder of masks {given} does not exist.", field="masks")
    return given


def cover(folder: Path, images: Sequence[Path]) -> bool:
    """Tell whether all images of a class have a mask, of their size; only the headers of the files are read.

    Args:
        folder: the folder of masks.
        images: the images of the class.

    Raises:
        BadRequest: a mask has another size than its image, or its header can't be read.
    """
    if not all(file_of(folder, one).is_file() for one in images):
        return False
    for image in images:
        mask, size = file_of(folder, image), _size(image)
        # An image that can't be read will be left out.
        if size is None:
            continue
        seen = _size(mask)
        if seen is None:
            raise BadRequest(f"The mask {mask.parent.name}/{mask.name} can't be read.", field="masks")
        if seen != size:
            raise BadRequest(_misfit(mask, seen, size), field="masks")
    return True


def file_of(folder: Path, image: Path) -> Path:
    """Return the path of the mask of an image."""
    return folder / image.parent.name / f"{image.stem}.png"


def _size(file: Path) -> tuple[int, int] | None:
    try:
        with Image.open(file, formats=decode.FORMATS) as image:
            width, height = image.size
            turned = pixels.orientation(image) in pixels.TURNS
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None
    return (height, width) if turned else (width, height)


def _misfit(mask: Path, seen: tuple[int, int], size: tuple[int, int]) -> str:
    return (
        f"The mask {mask.parent.name}/{mask.name} has {seen[0]} x {seen[1]} pixels; its image has "
        f"{size[0]} x {size[1]}."
    )


def read(
    model: Model, folder: Path, images: Sequence[Path], limit: int = decode.DEFAULT_MEGAPIXELS
) -> NDArray[np.bool_] | None:
    """Return the pixels of the object in the images of a class as the model sees them, ``(n, H, W)``.

    The mask of ``CLASS/NAME.jpg`` is ``CLASS/NAME.png`` in the folder of masks. Every pixel that is not black is
    part of the object.

    Args:
        model: crops and resizes masks as it does images.
        folder: the folder of masks.
        images: the images of the class.
        limit: the largest mask, in megapixels.

    Returns:
        None if an image has no mask.

    Raises:
        BadRequest: a mask can't be read, or has another size than its image.
    """
    files = [file_of(folder, one) for one in images]
    if not all(file.is_file() for file in files):
        return None
    return np.stack([_seen(model, file, image, limit) for file, image in zip(files, images, strict=True)])


def _seen(model: Model, file: Path, image: Path, limit: int) -> NDArray[np.bool_]:
    try:
        mask = decode.read(file.read_bytes(), file.name, limit)
    except PicassoError as error:
        raise BadRequest(f"The mask {file.parent.name}/{file.name} can't be read: {error}", field="masks") from error
    size = decode.read(image.read_bytes(), image.name, limit).size
    if mask.size != size:
        raise BadRequest(_misfit(file, mask.size, size), field="masks")
    drawn = np.where(np.asarray(mask.convert("RGB")).any(axis=-1, keepdims=True), np.uint8(255), np.uint8(0))
    view = model.view(Image.fromarray(np.repeat(drawn, 3, axis=-1)))
    return np.asarray(np.asarray(view.convert("L")) > 127, np.bool_)
