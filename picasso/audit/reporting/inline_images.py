"""Images and maps as small data URLs, so that the report is a single file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from picasso.audit.dataset import pixels
from picasso.audit.properties import Images
from picasso.audit.reporting.mean_attention import cells
from picasso.explanation import render
from picasso.imaging import decode
from picasso.visualizations.panel import Panel

# The largest side of photographs in pixels, twice that on the page, and of maps in cells.
PHOTOGRAPH, MAP = 192, 64
# Smaller images are drawn with visible pixels.
COARSE = 64

Drawn = dict[str, Any]


def photograph(view: Images) -> Drawn:
    """Return an image ``(H, W, C)`` of values from 0 to 1 for templates."""
    image = Image.fromarray(pixels(view))
    return drawn(decode.data_address(decode.thumbnail(image, PHOTOGRAPH), "image/webp"), image.size)


def heat_map(values: NDArray[np.floating[Any]], high: float | None = None) -> Drawn:
    """Return a map ``(H, W)`` of values >= 0 in colours; ``high`` is the end of the scale, by default their maximum."""
    coarse = cells(np.asarray(values, np.float32)[None], MAP)[0] if max(values.shape) > MAP else values
    top = float(coarse.max()) if high is None else high
    panel = Panel("", np.asarray(coarse, np.float32), value_range=(0.0, top))
    body = decode.encode(Image.fromarray(render.paint(panel)))
    return {**drawn(decode.data_address(body), values.shape[::-1]), "pixels": True, "high": top}


def scale() -> str:
    """Return the colour scale of heat maps as a data URL, from low to high."""
    return decode.data_address(decode.encode(Image.fromarray(render.table(render.SEQUENTIAL[0])[None])))


def drawn(address: str, size: Sequence[int]) -> Drawn:
    """Return an image for templates; ``ratio`` is width divided by height."""
    return {"src": address, "ratio": round(size[0] / size[1], 4), "pixels": max(size) < COARSE}
