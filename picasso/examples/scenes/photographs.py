"""The photographs behind the digits. Some are only for test scenes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from picasso.errors import ModelError
from picasso.examples import preparing
from picasso.examples.scenes.scenes import Pixels

# All of these are installed with scikit-image.
TESTING = ("astronaut.png", "chelsea.png")
TRAINING = ("brick.png", "grass.png", "gravel.png")


def photographs(test: bool) -> list[Pixels]:
    """Return the photographs for training or for tests: ``(H, W, 3)`` each.

    Raises:
        ModelError: they are not there.
    """
    try:
        import skimage
    except ImportError as error:
        raise ModelError("The photographs are installed with scikit-image: pip install scikit-image.") from error
    installed = Path(skimage.__file__).parent / "data"
    files = [installed / name for name in (TESTING if test else TRAINING)]
    if not test:
        preparing.photographs()
        files += sorted(file for file in preparing.PHOTOGRAPHS.glob("*.[pj][np]g") if file.name not in TESTING)
    return [np.asarray(Image.open(file).convert("RGB")) for file in files]
