"""How a model's input depends on the pixel values of the image as the model sees it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from picasso.errors import BadRequest
from picasso.models.arrays import Array
from picasso.models.base import Model

__all__ = ["PixelInputs"]

# How far the input for a random image may be from what the formula gives, as a share of the range of the input: more
# than half a step of 8 bits.
TOLERANCE = 4e-3


@dataclass(frozen=True)
class PixelInputs:
    """An input that is a linear function of each pixel: ``black + sum over c of pixels[c] * colours[c]``.

    Attributes:
        black: the input for a black image, ``(H, W, C)``.
        colours: what each channel of a pixel adds, ``(channels, H, W, C)``.

    Examples:
        >>> import numpy as np
        >>> from PIL import Image
        >>> from picasso.attribution.pixel_inputs import PixelInputs
        >>> from picasso.examples.brightness import BrightnessModel
        >>> model = BrightnessModel()
        >>> model.load()
        >>> inputs = PixelInputs.of(model, Image.new("L", (8, 8)))
        >>> inputs.shape, float(inputs.encode(np.full((1, 8, 8, 1), 0.5))[0, 0, 0, 0])
        ((8, 8, 1), 0.5)
    """

    black: Array
    colours: Array

    @classmethod
    def of(cls, model: Model, view: Image.Image) -> Self:
        """Find the formula for a model by encoding plain images.

        Args:
            model: the model.
            view: an image as the model sees it, from which the size and the number of channels are taken.

        Raises:
            BadRequest: the input is no linear function of each pixel, or the class of the model opens images itself.
        """
        if model.opens_images():
            raise BadRequest(
                "An image can't be sought for this model, because its class opens images itself, so it isn't known how "
                "its input depends on the pixels."
            )
        channels = 1 if view.mode == "L" else 3
        random = np.random.default_rng(0).integers(0, 256, (view.height, view.width, channels), np.uint8)
        plain = 255 * np.vstack([np.zeros(channels, np.uint8), np.eye(channels, dtype=np.uint8)])
        shown = [*(np.broadcast_to(colour, random.shape) for colour in plain), random]
        images = [Image.fromarray(one.squeeze(-1) if channels == 1 else np.array(one)) for one in shown]
        try:
            # Custom preprocessing may divide by the contrast, which is 0 for a plain image.
            with np.errstate(all="ignore"):
                encoded = np.asarray(model.encode(images), np.float32)
        except Exception:
            encoded = np.full((len(images), *model.input_shape), np.nan, np.float32)
        black, *others, expected = encoded
        found = cls(black, np.stack(others) - black)
        fits = found.shape[:2] == black.shape[:2] == (view.height, view.width)
        if not (fits and np.isfinite(encoded).all()):
            raise refusal(model)
        limit = TOLERANCE * max(float(np.ptp(encoded)), 1e-12)
        if np.abs(found.encode(random[None] / 255.0)[0] - expected).max() > limit:
            raise refusal(model)
        return found

    @property
    def shape(self) -> tuple[int, int, int]:
        """The shape of the image, ``(H, W, channels)``."""
        return self.black.shape[0], self.black.shape[1], len(self.colours)

    def encode(self, pixels: NDArray[np.floating]) -> Array:
        """Return the inputs ``(N, H, W, C)``, float32, for pixels ``(N, H, W, channels)``, 0..1."""
        return np.asarray(self.black + np.einsum("nhwk,khwc->nhwc", pixels, self.colours, optimize=True), np.float32)

    def backward(self, gradients: Array) -> NDArray[np.float64]:
        """Return the gradients ``(N, H, W, channels)`` with respect to the pixels, from those for the inputs."""
        return np.asarray(np.einsum("nhwc,khwc->nhwk", gradients, self.colours, optimize=True), np.float64)


def refusal(model: Model) -> BadRequest:
    """Return the reason why no image can be sought."""
    return BadRequest(
        "An image can't be sought for this model, because each value of its input must be a linear function of one "
        f"pixel, and its preprocessing ({model.describe_preprocessing()}) isn't. Choose a preprocessing by name, or "
        "map pixel values linearly in preprocess()."
    )
