"""EfficientNet-Lite0 as it was evaluated by those who trained it."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageOps

from picasso.models.arrays import Array
from picasso.models.keras import KerasModel


class EfficientNetLite0(KerasModel):
    """A small ImageNet classifier; ``prepare_model.py`` builds its file."""

    def view(self, image: Image.Image) -> Image.Image:
        """Show the network a square from the centre, 7/8 as wide as the image's shorter side."""
        height, width, _ = self.input_shape
        # The bleed is what is cut off at each of two opposite sides.
        return ImageOps.fit(image.convert("RGB"), (width, height), Image.Resampling.BICUBIC, bleed=1 / 16)

    def encode(self, views: Sequence[Image.Image]) -> Array:
        """Turn pixel values 0..255 into (x - 127) / 128."""
        pixels = np.stack([np.asarray(view, np.float32) for view in views])
        return (pixels - np.float32(127)) / np.float32(128)

    def describe_preprocessing(self) -> str:
        """Say what :meth:`view` and :meth:`encode` do."""
        return "crop to 7/8, values (x - 127) / 128"
