"""Images that are sought together and have to differ: by the Gram matrices of their feature maps.

The penalty on images of the same style is that of Olah, Mordvintsev & Schubert, *Feature visualization*, Distill 2017,
section *Diversity*. Gram matrices describe the style of an image, wherever in it something is (Gatys, Ecker & Bethge,
arXiv 1508.06576).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from picasso.attribution.objectives import MapSum, Objective
from picasso.models.arrays import Array
from picasso.models.base import Model

__all__ = ["Diverse", "similarity"]

Floats = NDArray[np.float64]


class Diverse(Objective):
    """The value of an objective, less a share of it that grows with the similarity of K images.

    For K images, it is ``mean(v) - strength * |mean(v)| * s``: ``v`` are the values of the objective and ``s`` is their
    :func:`similarity`. In the gradient, ``|mean(v)|`` is a constant, so that the same strength fits all layers.

    Args:
        model: the model.
        objective: the objective.
        layer: the name of the layer whose feature maps are compared.
        strength: how strong the penalty is; 0 for none.
        count: K.

    Examples:
        >>> import numpy as np
        >>> from picasso.attribution.diversity import Diverse
        >>> from picasso.attribution.objectives import MapSum
        >>> from picasso.examples.brightness import BrightnessModel
        >>> model = BrightnessModel()
        >>> model.load(channels=3)
        >>> red = MapSum(model, model.layers()[0], {0: 1.0})
        >>> diverse = Diverse(model, red, "input", strength=1.0, count=2)
        >>> images = np.zeros((2, 8, 8, 3), np.float32)
        >>> images[0, ..., 0], images[1, ..., 1] = 1, 1
        >>> images[1, ..., 0] = 0.5
        >>> gradients = diverse.gradients(images)
        >>> bool(gradients[0, 0, 0, 1] > 0), bool(gradients[1, 0, 0, 1] > 0)
        (False, True)
    """

    def __init__(self, model: Model, objective: Objective, layer: str, strength: float, count: int) -> None:
        self._model, self._objective, self._layer = model, objective, layer
        self._strength, self._count = strength, count
        self.name = objective.name

    def values(self, inputs: Array) -> Floats:
        """Return the values of the objective, without the penalty."""
        return self._objective.values(inputs)

    def gradients(self, inputs: Array) -> Array:
        """Return the gradients, each K times that of the mean, so that they are those of the objective without penalty.

        Args:
            inputs: as many parts of each image, image by image, ``(K * n, H, W, C)``.
        """
        maps, objective = self._model.feature_maps(inputs, self._layer), self._objective
        own = isinstance(objective, MapSum) and objective.layer.name == self._layer
        values = objective.sums(maps) if isinstance(objective, MapSum) and own else objective.values(inputs)
        if not values.any():
            # The penalty is a share of the objective.
            return objective.gradients(inputs)
        _, slopes = similarity(maps.reshape(self._count, -1, *maps.shape[1:]))
        # The gradient for an image is the mean of those for its n parts.
        penalty = -self._strength * abs(float(values.mean())) * len(inputs) * slopes.reshape(maps.shape)
        weights = np.asarray(penalty, np.float32)
        if isinstance(objective, MapSum) and own:
            return self._model.map_gradients(inputs, weights + objective.weights, self._layer)
        away = self._model.map_gradients(inputs, weights, self._layer)
        return np.asarray(objective.gradients(inputs) + away, np.float32)


def similarity(maps: NDArray[np.floating]) -> tuple[float, Floats]:
    """Return the mean cosine similarity of the Gram matrices of K images, 0..1, and its gradient.

    The Gram matrix of an image is ``G = sum over cells of a * a^T``, where ``a`` are the values of the channels of a
    cell. Those of images without any value other than 0 are similar to none.

    Args:
        maps: the feature maps of n parts of each image, ``(K, n, h, w, c)``, for at least 2 images.

    Returns:
        the similarity and its gradient with respect to the maps, of their shape.

    Examples:
        >>> import numpy as np
        >>> from picasso.attribution.diversity import similarity
        >>> maps = np.zeros((3, 1, 1, 1, 2))
        >>> maps[0, ..., 0] = maps[1, ..., 0] = maps[2, ..., 1] = 1
        >>> round(similarity(maps)[0], 3)
        0.333
    """
    count, channels = len(maps), maps.shape[-1]
    cells = np.asarray(maps, np.float64).reshape(count, -1, channels)
    grams = cells.transpose(0, 2, 1) @ cells
    norms = np.sqrt((grams**2).sum(axis=(1, 2), keepdims=True))
    norms[norms == 0] = np.inf
    units = grams / norms
    flat = units.reshape(count, -1)
    cosines = flat @ flat.T
    np.fill_diagonal(cosines, 0)
    pairs = count * (count - 1)
    across = units.sum(axis=0) - units - cosines.sum(axis=1)[:, None, None] * units
    gradient = 2 * cells @ (2 / pairs * across / norms)
    return float(cosines.sum()) / pairs, gradient.reshape(maps.shape)
