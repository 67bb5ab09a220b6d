"""Decoding WebP with the libwebp that is bundled with Pillow.

Pillow uses its animation decoder even for single images, which needs 20 bytes per pixel; decoding a single frame needs
8. The library is found through Pillow's own module, which is linked with it.
"""

from __future__ import annotations

import ctypes
from functools import cache
from typing import Any

import numpy as np
from PIL import Image

from picasso.imaging.headers.base import Header


@cache
def library() -> Any:
    """Return the library, or None if it can't be called directly; then Pillow decodes."""
    try:
        from PIL import _webp

        found = ctypes.CDLL(_webp.__file__)
        for function in (found.WebPDecodeRGBInto, found.WebPDecodeRGBAInto):
            function.restype = ctypes.c_void_p
            function.argtypes = [ctypes.c_char_p, ctypes.c_size_t, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    except (ImportError, OSError, AttributeError):
        return None
    return found


def found() -> bool:
    """Tell whether libwebp can be called directly."""
    return library() is not None


def decode(header: Header) -> Image.Image:
    """Return the first frame of a WebP, on a transparent canvas if it is smaller than the image.

    Raises:
        ValueError: it is truncated or damaged.
    """
    body = bytes(header.body)
    transparent = body[12:16] == b"VP8X" or (body[12:16] == b"VP8L" and bool(body[24] & 0x10))
    width, height = header.frame
    pixels = np.empty((height, width, 4 if transparent else 3), np.uint8)
    function = library().WebPDecodeRGBAInto if transparent else library().WebPDecodeRGBInto
    place = pixels.ctypes.data
    if not function(body, len(body), place, pixels.nbytes, pixels.strides[0]):
        raise ValueError("libwebp refuses it")
    image = Image.fromarray(pixels)
    if header.frame == header.size:
        return image
    del pixels
    whole = Image.new("RGBA", header.size)
    whole.paste(image, header.offset)
    return whole
