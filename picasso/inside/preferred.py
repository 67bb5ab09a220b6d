"""The preferred input of a channel: an image for which it is high."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from PIL import Image

from picasso.attribution.ascent import NOISE, Ascent, smallest_part
from picasso.attribution.objectives import MapSum, slope
from picasso.attribution.pixel_inputs import PixelInputs
from picasso.attribution.spectra import Spectrum, Waves
from picasso.inside.exemplars import field_of
from picasso.models.base import Model
from picasso.models.info import Layer

# The number of parts of the image in each step, and their smallest side as a fraction of it.
CROPS, SMALLEST = 2, 0.4


class Preferred(NamedTuple):
    """The preferred input of a channel.

    Attributes:
        image: the image, or the part of it that one value of the channel depends on.
        value: that value, or the mean over all cells.
        mean: whether it is the mean.
    """

    image: Image.Image
    value: float
    mean: bool


def preferred_input(
    model: Model,
    layer: Layer,
    channel: int,
    steps: int,
    seed: int = 0,
    progress: Callable[[int], None] = lambda done: None,
) -> Preferred:
    """Return an image for which a channel is high, by activation maximization.

    If the receptive field is less than half as wide and high as the image, the value of the cell in the middle is
    maximized, and the image is its receptive field. Otherwise it is the mean over all cells. The strengths and phases
    of waves are optimized; see :class:`picasso.attribution.spectra.Waves`.

    Args:
        model: the model.
        layer: the layer.
        channel: the index of the channel.
        steps: the number of steps.
        seed: the random seed.
        progress: called after each step with their number so far.

    Raises:
        BadRequest: the input of the model is no linear function of each pixel.
        ModelError: the model can't differentiate its layers, or its gradients are not finite.

    Examples:
        The layer of this model is its input, so that the preferred input is one pixel that is bright in that colour:

        >>> import numpy as np
        >>> from picasso.examples.brightness import BrightnessModel
        >>> from picasso.inside.preferred import preferred_input
        >>> model = BrightnessModel()
        >>> model.load(channels=3)
        >>> image, value, mean = preferred_input(model, model.layers()[0], 1, steps=40)
        >>> image.size, value > 0.9, mean
        ((1, 1), True, False)
    """
    height, width, channels = model.input_shape
    view = model.view(Image.new("L" if channels == 1 else "RGB", (width, height)))
    pixels = PixelInputs.of(model, view)
    rows, columns, _ = layer.shape
    field = layer.receptive_field
    # Over many small fields, the mean asks for a pattern that may fit none of them well.
    single = field is not None and layer.place is not None and 2 * field[0] < height and 2 * field[1] < width
    cell = rows // 2, columns // 2
    objective = MapSum(model, layer, {channel: 1.0}, cell if single else None)
    uphill = slope(pixels, objective.name, objective.gradients)
    smallest = 1.0 if single else SMALLEST
    ascent = Ascent(Waves(Spectrum.natural(pixels.shape)), uphill, CROPS, smallest, NOISE, seed)
    for step in range(steps):
        ascent.smallest = smallest_part(smallest, step, steps)
        ascent.step()
        progress(step + 1)
    found = ascent.pixels
    shown = np.rint(255 * found).astype(np.uint8)
    image = Image.fromarray(shown[..., 0] if shown.shape[2] == 1 else shown)
    part = image.crop(field_of(layer, cell, image.size)) if single else image
    return Preferred(part, float(objective.values(pixels.encode(found[None]))[0]), not single)
