"""A classifier in plain NumPy, which runs without a model file and without TensorFlow."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from picasso.models.arrays import Array, Classes
from picasso.models.base import Model
from picasso.models.edits import Edit
from picasso.models.info import OF_TRANSFORMERS, Capability, Layer, Place
from picasso.models.preprocessing import Preprocessing

# The logits of the two classes are this many times the mean brightness less a half.
SLOPES = np.array([-4.0, 4.0], np.float32)


class BrightnessModel(Model):
    """Distinguishes dark images from bright ones by their mean, so every map of it is known beforehand.

    The examples in docstrings use it. It also serves to test a visualization, because it provides everything that a
    visualization can need of a model.

    Examples:
        >>> import numpy as np
        >>> from picasso.examples.brightness import BrightnessModel
        >>> model = BrightnessModel()
        >>> model.load()
        >>> model.predict(np.full((1, 8, 8, 1), 0.5, np.float32)).tolist()
        [[0.5, 0.5]]
    """

    framework = "numpy"
    capabilities = frozenset(Capability) - OF_TRANSFORMERS
    preprocessing = Preprocessing("0..1")
    labels = ("dark", "bright")

    def load(self, side: int = 8, channels: int = 1) -> None:
        """Set the size of the input: ``(side, side, channels)``."""
        self.input_shape, self.num_classes = (side, side, channels), len(self.labels)
        self.logits_found = "computed by the model"

    def layers(self) -> list[Layer]:
        """Return the only layer, which is the input itself."""
        return [Layer("input", self.input_shape, default=True, receptive_field=(1, 1), place=Place((0.5, 0.5), (1, 1)))]

    def batch_logits(self, inputs: Array) -> Array:
        """Return the two multiples of the mean brightness."""
        return np.asarray((inputs.mean(axis=(1, 2, 3), keepdims=True)[..., 0, 0] - 0.5) * SLOPES, np.float32)

    def batch_probabilities(self, inputs: Array) -> Array:
        """Return the softmax of the logits."""
        exponentials = np.exp(self.batch_logits(inputs))
        return np.asarray(exponentials / exponentials.sum(axis=1, keepdims=True), np.float32)

    def batch_input_gradients(self, inputs: Array, classes: Classes) -> Array:
        """Return the same gradient at each pixel."""
        slopes = SLOPES[classes].reshape(-1, 1, 1, 1) / inputs[0].size
        return np.asarray(np.broadcast_to(slopes, inputs.shape), np.float32)

    def batch_feature_maps(self, inputs: Array, layer: str) -> Array:
        """Return the inputs."""
        return inputs

    def batch_feature_gradients(self, inputs: Array, classes: Classes, layer: str) -> Array:
        """Return the gradients of the inputs."""
        return self.batch_input_gradients(inputs, classes)

    def batch_map_gradients(self, inputs: Array, weights: Array, layer: str) -> Array:
        """Return the weights."""
        return weights

    def batch_edits(self, inputs: Array, layer: str, edits: Sequence[Edit]) -> Iterator[tuple[Array, Array]]:
        """Yield the answers to edited inputs."""
        for edit in edits:
            changed = edit.changed(inputs)
            yield self.batch_probabilities(changed), self.batch_logits(changed)

    def batch_predict_from(self, inputs: Array, maps: Iterable[Array], layer: str) -> Iterator[tuple[Array, Array]]:
        """Yield the answers to other inputs."""
        for one in maps:
            yield self.batch_probabilities(one), self.batch_logits(one)
