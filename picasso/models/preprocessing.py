"""From a picture to a model's input, by name: how it is resized, and what its pixel values become."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageOps

from picasso.errors import ConfigurationError, ModelError
from picasso.models.arrays import Array, Shape

# Pixel values 0..255 become (value - mean) / deviation; one number for all channels, or one for each of R, G, B.
# The last three are what Keras calls the modes tf, torch and caffe; caffe also puts the channels in the order B, G, R.
RANGES: dict[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "0..1": ((0.0,), (255.0,)),
    "0..255": ((0.0,), (1.0,)),
    "-1..1": ((127.5,), (127.5,)),
    "torch": ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375)),
    "caffe": ((123.68, 116.779, 103.939), (1.0, 1.0, 1.0)),
}
ALIASES = {"tf": "-1..1", "imagenet": "torch"}
RESIZES = ("stretch", "fit", "crop")

GUESS = (
    "That pixel values become 0..1 is a guess. If the model was trained on other values, its answers mean nothing: say "
    "which with PREPROCESS or --preprocess, such as -1..1, 0..255, torch or caffe."
)


@dataclass(frozen=True)
class Preprocessing:
    """How any picture becomes an input of a given shape.

    Attributes:
        values: a key of :data:`RANGES`, or "" where nobody has said; then 0..1 is a guess.
        resize: ``stretch`` to the input size, ``fit`` into it with black bars, or ``crop`` the centre.
    """

    values: str = ""
    resize: str = "stretch"

    @classmethod
    def parse(cls, text: str) -> Preprocessing:
        """Read words such as ``"-1..1 crop"``, in any order; each may be left out.

        Raises:
            ConfigurationError: a word is unknown, or two of them say the same thing.
        """
        chosen: dict[str, str] = {}
        for word in text.split():
            name = ALIASES.get(word, word)
            kind = "values" if name in RANGES else "resize" if name in RESIZES else ""
            if not kind:
                known = ", ".join([*RANGES, *ALIASES, *RESIZES])
                raise ConfigurationError(f"Unknown preprocessing {word!r}; the words are {known}.", field="PREPROCESS")
            if kind in chosen:
                raise ConfigurationError(
                    f"Preprocessing can't be both {chosen[kind]} and {word}; choose one.", field="PREPROCESS"
                )
            chosen[kind] = name
        return cls(**chosen)

    def view(self, image: Image.Image, shape: Shape) -> Image.Image:
        """Return the picture resized to ``shape`` (H, W, C), in mode L for one channel and RGB for three.

        Raises:
            ModelError: the model takes another number of channels.
        """
        height, width, channels = shape
        if channels not in (1, 3):
            raise ModelError(
                f"The model takes {channels} channels; override view() and encode() in a model class to say how a "
                "picture becomes its input."
            )
        mode = "L" if channels == 1 else "RGB"
        image = image if image.mode == mode else image.convert(mode)
        if image.size == (width, height):
            return image
        resample = Image.Resampling.BICUBIC
        if self.resize == "fit":
            return ImageOps.pad(image, (width, height), resample)
        if self.resize == "crop":
            return ImageOps.fit(image, (width, height), resample)
        return image.resize((width, height), resample)

    def encode(self, views: Sequence[Image.Image], shape: Shape) -> Array:
        """Return pictures of the model's size as its input ``(N, H, W, C)``.

        Raises:
            ModelError: the value range is for colour and the model takes grey pictures.
        """
        mean, deviation = RANGES[self.values or "0..1"]
        if len(mean) > shape[2]:
            raise ModelError(f"The value range {self.values} is for colour pictures; this model takes grey ones.")
        pixels = np.stack([np.asarray(view, np.float32) for view in views]).reshape(len(views), *shape)
        pixels -= np.asarray(mean, np.float32)
        pixels /= np.asarray(deviation, np.float32)
        return np.ascontiguousarray(pixels[..., ::-1]) if self.values == "caffe" else pixels

    def describe(self) -> str:
        """Say in a few words what happens to a picture."""
        return f"{self.resize}, values {self.values or '0..1 (a guess)'}"
