"""A model in plain NumPy whose concepts are known: colours, each with its own direction of the layer's channels."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from picasso.models.arrays import Array
from picasso.models.base import Model
from picasso.models.info import Capability, Layer, Place
from picasso.models.preprocessing import Preprocessing

SIDE, CELL = 8, 2
#: The directions of red, green and blue; they overlap.
DIRECTIONS = np.array([[3, 2, 0, 1, 0], [0, 2, 4, 0, 1], [1, 0, 0, 2, 5]], np.float32)
DIRECTIONS /= np.linalg.norm(DIRECTIONS, axis=1, keepdims=True)
#: What turns feature maps into the amounts of the three colours.
READ = np.linalg.pinv(DIRECTIONS).astype(np.float32)


class PlantedModel(Model):
    """Predicts "red" if there is some red in the image, "green" if there is more green, and "none" without both.

    The score of "red" is 9 times the mean of red, that of "green" 9 times the mean of green, and that of "none" is 0.1.
    That of "both" is less 5, plus the product of both means.
    """

    framework = "numpy"
    capabilities = frozenset({Capability.PREDICTIONS, Capability.FEATURE_MAPS})
    preprocessing = Preprocessing("0..1")
    labels = ("none", "red", "green", "both")
    offset: float = 0

    def load(self, **arguments: Any) -> None:
        self.input_shape, self.num_classes = (SIDE, SIDE, 3), 4

    def layers(self) -> list[Layer]:
        count = SIDE // CELL
        place = Place((CELL / 2, CELL / 2), (CELL, CELL))
        shape = (count, count, DIRECTIONS.shape[1])
        return [Layer("maps", shape, default=True, receptive_field=(CELL, CELL), place=place)]

    def batch_feature_maps(self, inputs: Array, layer: str) -> Array:
        count = SIDE // CELL
        cells = inputs.reshape(len(inputs), count, CELL, count, CELL, 3).mean(axis=(2, 4))
        return np.asarray(cells @ DIRECTIONS + self.offset, np.float32)

    def from_maps(self, maps: Array) -> Array:
        red, green, _ = ((maps - self.offset) @ READ).mean(axis=(1, 2)).T
        return np.stack([0 * red + 0.1, 9 * red, 9 * green, 9 * red * green - 5], axis=1).astype(np.float32)

    def batch_logits(self, inputs: Array) -> Array:
        return self.from_maps(self.batch_feature_maps(inputs, "maps"))

    def batch_probabilities(self, inputs: Array) -> Array:
        exponentials = np.exp(self.batch_logits(inputs))
        return np.asarray(exponentials / exponentials.sum(axis=1, keepdims=True), np.float32)

    def batch_predict_from(self, inputs: Array, maps: Iterable[Array], layer: str) -> Iterator[tuple[Array, Array]]:
        for one in maps:
            scores = self.from_maps(one)
            exponentials = np.exp(scores)
            yield exponentials / exponentials.sum(axis=1, keepdims=True), scores


def images(reds: int = 6, greens: int = 4, blues: int = 3) -> list[NDArray[np.uint8]]:
    """Return images with a rectangle of one colour each, in other places and strengths, and a spot of blue in most."""
    random, found = np.random.default_rng(2), []
    for colour in [0] * reds + [1] * greens + [2] * blues:
        image = np.zeros((SIDE, SIDE, 3), np.uint8)
        top, left = 2 * random.integers(0, 2, 2)
        image[top : top + 4, left : left + 4, colour] = random.integers(150, 255)
        image[6:, 6:, 2] = random.integers(0, 255)
        found.append(image)
    return found
