"""What an image is sought for: the score of a target, or a weighted sum of the feature maps of a layer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from picasso.attribution.pixel_inputs import PixelInputs
from picasso.errors import ModelError
from picasso.models.arrays import Array
from picasso.models.base import Model
from picasso.models.info import Layer
from picasso.targets import Target

__all__ = ["MapSum", "Objective", "TargetScore", "slope"]

Floats = NDArray[np.float64]


class Objective(ABC):
    """A number that is computed from an input.

    Attributes:
        name: what it is, such as "the logit of zebra".

    Examples:
        >>> import numpy as np
        >>> from picasso.attribution.objectives import Objective
        >>> class Brightness(Objective):
        ...     name = "the mean brightness"
        ...
        ...     def values(self, inputs):
        ...         return inputs.mean(axis=(1, 2, 3))
        ...
        ...     def gradients(self, inputs):
        ...         return np.full_like(inputs, 1 / inputs[0].size)
        >>> Brightness().values(np.ones((2, 4, 4, 3))).tolist()
        [1.0, 1.0]
    """

    name: str

    @abstractmethod
    def values(self, inputs: Array) -> Floats:
        """Return its values ``(N,)`` for inputs ``(N, H, W, C)``."""

    @abstractmethod
    def gradients(self, inputs: Array) -> Array:
        """Return its gradients ``(N, H, W, C)`` for inputs of this shape."""


class TargetScore(Objective):
    """The score of a target, such as the logit of a class.

    Examples:
        >>> import numpy as np
        >>> from picasso.attribution.objectives import TargetScore
        >>> from picasso.examples.brightness import BrightnessModel
        >>> from picasso.targets import ClassLogit
        >>> model = BrightnessModel()
        >>> model.load()
        >>> score = TargetScore(model, ClassLogit("1", "bright", 1))
        >>> score.name, score.gradients(np.ones((1, 8, 8, 1), np.float32)).shape
        ('the logit of bright', (1, 8, 8, 1))
    """

    def __init__(self, model: Model, target: Target) -> None:
        self._model, self._target = model, target
        self.name = f"the {target.score_quantity} of {target.name}"

    def values(self, inputs: Array) -> Floats:
        """Return the scores."""
        return self._model.scores(inputs, [self._target])[:, 0]

    def gradients(self, inputs: Array) -> Array:
        """Return the gradients of the scores."""
        return self._model.gradients(inputs, [self._target])[:, 0]


class MapSum(Objective):
    """A weighted sum of channels of a layer, of one of its cells, or its mean over all cells.

    Args:
        model: the model.
        layer: the layer.
        channels: the weight of each channel, by its index.
        cell: the row and column of a cell, or None for the mean.

    Attributes:
        weights: the weight of each value of the feature maps, ``(h, w, c)``.

    Examples:
        >>> import numpy as np
        >>> from picasso.attribution.objectives import MapSum
        >>> from picasso.examples.brightness import BrightnessModel
        >>> model = BrightnessModel()
        >>> model.load(channels=3)
        >>> red = MapSum(model, model.layers()[0], {0: 1.0, 2: -0.5}, (3, 4))
        >>> red.name, red.values(np.ones((1, 8, 8, 3), np.float32)).tolist()
        ('channel 0 - 0.5 channel 2 of layer input in cell (3, 4)', [0.5])
    """

    def __init__(
        self, model: Model, layer: Layer, channels: Mapping[int, float], cell: tuple[int, int] | None = None
    ) -> None:
        self._model, self.layer = model, layer
        rows, columns, _ = layer.shape
        self.weights = np.zeros(layer.shape, np.float32)
        for channel, weight in channels.items():
            if cell is None:
                self.weights[..., channel] = weight / (rows * columns)
            else:
                self.weights[(*cell, channel)] = weight
        where = f"{in_words(channels)} of layer {layer.name}"
        self.name = f"the mean of {where}" if cell is None else f"{where} in cell ({cell[0]}, {cell[1]})"

    def values(self, inputs: Array) -> Floats:
        """Return the sums."""
        return self.sums(self._model.feature_maps(inputs, self.layer.name))

    def sums(self, maps: Array) -> Floats:
        """Return the values ``(N,)`` of feature maps ``(N, h, w, c)``."""
        return np.asarray((maps * self.weights).sum(axis=(1, 2, 3), dtype=np.float64), np.float64)

    def gradients(self, inputs: Array) -> Array:
        """Return the gradients of the sums; of one that is 0 because of a ReLU, those of what goes into the ReLU.

        Otherwise a search could not begin where a channel responds to nothing yet.
        """
        weights = np.broadcast_to(self.weights, (len(inputs), *self.layer.shape))
        found = self._model.map_gradients(inputs, weights, self.layer.name)
        if (silent := ~found.any(axis=(1, 2, 3))).any():
            found = found.copy()
            found[silent] = self._model.map_gradients(
                inputs[silent], weights[silent], self.layer.name, unrectified=True
            )
        return found


def in_words(channels: Mapping[int, float]) -> str:
    """Return a weighted sum of channels in words, such as "channel 3 - 0.5 channel 17"."""
    parts = list[str]()
    for channel, weight in channels.items():
        sign = ("-" if weight < 0 else "") if not parts else (" - " if weight < 0 else " + ")
        factor = "" if abs(weight) == 1 else f"{abs(weight):g} "
        parts.append(f"{sign}{factor}channel {channel}")
    return "".join(parts)


def slope(pixels: PixelInputs, name: str, gradients: Callable[[Array], Array]) -> Callable[[Floats], Floats]:
    """Return the function from images ``(N, H, W, channels)``, 0..1, to gradients of this shape.

    It raises a ModelError if they are not finite.

    Args:
        pixels: how the input depends on pixels.
        name: what the gradients are of, for this error.
        gradients: returns the gradients for inputs, both ``(N, H, W, C)``.

    Examples:
        >>> import numpy as np
        >>> from PIL import Image
        >>> from picasso.attribution.objectives import slope
        >>> from picasso.attribution.pixel_inputs import PixelInputs
        >>> from picasso.examples.brightness import BrightnessModel
        >>> model = BrightnessModel()
        >>> model.load()
        >>> pixels = PixelInputs.of(model, Image.new("L", (8, 8)))
        >>> uphill = slope(pixels, "the sum", np.ones_like)
        >>> uphill(np.zeros((1, 8, 8, 1)))[0, 0, 0].tolist()
        [1.0]
    """

    def of_images(images: Floats) -> Floats:
        found = gradients(pixels.encode(images))
        if not np.isfinite(found).all():
            raise ModelError(f"The gradient of {name} is not finite, so no image can be sought.")
        return pixels.backward(found)

    return of_images
