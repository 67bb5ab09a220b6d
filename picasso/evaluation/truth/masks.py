"""Masks: for each image, a PNG whose pixels are the numbers of their classes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from picasso.evaluation.metrics import IGNORED
from picasso.evaluation.truth.files import MASKS, Images, Truth, invalid, read, shown
from picasso.imaging import decode

# The modes of Pillow in which a pixel is one number.
INDEX_MODES = ("1", "L", "P", "I", "I;16", "I;16B", "I;16L", "I;16N")


def masks(folder: Path) -> Truth[Path]:
    """Return the mask of each image: the PNG with its name in the subfolder ``masks``, or else beside it.

    The subfolder may be beside the image, or beside its folder if that is called ``images``.

    Raises:
        BadRequest: the folder is missing, or none of its images has a mask.
    """
    images = Images(folder)
    found: dict[Path, Path] = {}
    for file in images.names:
        folders = [file.parent / MASKS, file.parent]
        if file.parent.name == "images" and file.parent != folder:
            folders.insert(1, file.parent.parent / MASKS)
        candidates = [one / f"{file.stem}.png" for one in folders]
        mask = next((one for one in candidates if one != file and one.is_file()), None)
        if mask:
            found[file] = mask
    beside = set(found.values())
    own = {file: name for file, name in images.names.items() if file not in beside}
    found = {file: mask for file, mask in found.items() if file in own}
    if not found:
        raise invalid(
            f"None of the {len(own)} images in {folder} has a mask: a PNG with the name of the image in the subfolder "
            f"{MASKS}, or beside an image of another format."
        )
    return Truth(found, tuple(shown(name) for file, name in own.items() if file not in found))


def read_mask(
    file: Path, classes: int, size: tuple[int, int] | None = None, ignore: int | None = IGNORED
) -> NDArray[np.int64]:
    """Return the index of the class of each pixel, ``(H, W)``; ``ignore`` for pixels that are left out.

    Args:
        file: a PNG with one number for each pixel: grey with 1 to 16 bits, or a palette whose indices are the classes.
        classes: the number of classes.
        size: the width and height of the image, if the mask must have the same.
        ignore: the value of pixels that are left out; None for none.

    Raises:
        BadRequest: it is no such file, or has other values or another size.
        TooLarge: it has more pixels than an image may have.
    """
    name = decode.path_name(str(file))
    body = read(file)
    opened = decode.opened(body, file.name)
    image = opened.image
    if image is None or opened.header.form != "PNG" or image.mode not in INDEX_MODES:
        kind = f"a PNG of mode {image.mode}" if image and opened.header.form == "PNG" else f"a {opened.header.form}"
        raise invalid(
            f"The mask {name} is {kind}. A mask is a PNG of mode L, P or I: each pixel is the number of its class."
        )
    if size and image.size != size:
        raise invalid(
            f"The mask {name} has {image.size[0]} x {image.size[1]} pixels, but its image {size[0]} x {size[1]}. Both "
            "must be the same."
        )
    # The bit depth and the kind of colour are at fixed places of a PNG. Pillow scales greys of 2 and 4 bits to 0..255.
    bits, grey = body[24], body[25] == 0
    with decode.understood(name):
        values = np.asarray(image).astype(np.int64)
    if grey and bits in (2, 4):
        values //= 255 // (2**bits - 1)
    wrong = np.unique(values[(values < 0) | (values >= classes)])
    wrong = wrong if ignore is None else wrong[wrong != ignore]
    if len(wrong):
        left_out = "" if ignore is None else f", and {ignore} for pixels that are left out"
        raise invalid(f"The mask {name} contains the value {wrong[0]}. Valid are 0 to {classes - 1}{left_out}.")
    return values
