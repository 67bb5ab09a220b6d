"""How any image of a digit becomes what an MNIST network expects: white ink on black, 28 by 28 pixels."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageOps

SIDE = 28


def as_mnist(image: Image.Image) -> Image.Image:
    """Return an image as a grey 28 x 28 one, inverted if its border is bright, padded if it is not square.

    A digit written with a dark pen on paper is turned into white on black, as the training digits are.
    """
    grey = image.convert("L")
    pixels = np.asarray(grey)
    border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    if np.median(border) > 127:
        grey = ImageOps.invert(grey)
    return grey if grey.size == (SIDE, SIDE) else ImageOps.pad(grey, (SIDE, SIDE), Image.Resampling.BICUBIC)
