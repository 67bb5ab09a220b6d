"""Models in plain NumPy whose maps are known beforehand, so that most tests need no TensorFlow."""

from __future__ import annotations

import copy
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from picasso.models.arrays import Array, Classes
from picasso.models.base import Model
from picasso.models.edits import Edit
from picasso.models.info import Capability, Layer, Place
from picasso.models.preprocessing import Preprocessing
from picasso.models.random_weights import RandomWeights
from picasso.models.tokens import TokenGrid
from picasso.targets import Detection, Embedding, MultiLabel, Regression, Segmentation

HEIGHT, WIDTH, CHANNELS, CLASSES = 6, 9, 3, 7


def softmax(logits: Array) -> Array:
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(exponentials / exponentials.sum(axis=1, keepdims=True), np.float32)


class Attentive(Model):
    """The tokens are the cells of the default layer; all attend to the largest, and relevance is gradient x input."""

    def token_grid(self) -> TokenGrid:
        (layer,) = (one for one in self.layers() if one.default)
        height, width, _ = layer.shape
        return TokenGrid(height * width, 0, height, width, layer.place, tuple(range(height * width)))

    def batch_attention(self, inputs: Array, cotangents: Array) -> tuple[list[Array], Iterator[list[Array]]]:
        count = self.token_grid().count
        maps, gradients = self.batch_features(inputs, cotangents, self.layer(None))
        looks = softmax(np.asarray(maps.sum(axis=-1).reshape(-1, count), np.float32))
        weights = np.repeat(looks[:, None, None], count, axis=2)
        evidence = ((maps * one).sum(axis=-1).reshape(-1, 1, 1, count) for one in gradients)
        return [weights], ([np.broadcast_to(one, weights.shape)] for one in evidence)

    def batch_relevance(self, inputs: Array, cotangents: Array) -> Array:
        return self.batch_gradients(inputs, cotangents)


class LinearModel(Attentive):
    """Logits are a linear function of the pixels: the gradient is the weights, whatever the input."""

    framework = "numpy"
    capabilities = frozenset(Capability)
    preprocessing = Preprocessing("0..1")

    def load(self, **arguments: Any) -> None:
        height, width, channels = arguments.get("shape", (HEIGHT, WIDTH, CHANNELS))
        self.input_shape, self.num_classes = (height, width, channels), CLASSES
        generator = np.random.default_rng(3)
        self.weights = generator.normal(size=(CLASSES, *self.input_shape)).astype(np.float32)
        self.checkpoint, self.checkpoint_time = "linear.npz", "2026-01-02 03:04:05"
        self.logits_found = "known"

    def class_names(self) -> list[str]:
        return ["ant", "bee", "cat <b>", "dog", "elk", "fox", "gnu"]

    def layers(self) -> list[Layer]:
        pixels = Place((0.5, 0.5), (1.0, 1.0))
        return [Layer("input", self.input_shape, default=True, receptive_field=(1, 1), place=pixels)]

    def batch_logits(self, inputs: Array) -> Array:
        return np.asarray(np.einsum("nhwc,khwc->nk", inputs, self.weights), np.float32)

    def batch_probabilities(self, inputs: Array) -> Array:
        return softmax(self.batch_logits(inputs))

    def batch_input_gradients(self, inputs: Array, classes: Classes) -> Array:
        assert len(inputs) == len(classes)
        return np.asarray(self.weights[classes])

    def batch_feature_maps(self, inputs: Array, layer: str) -> Array:
        assert layer == "input"
        return inputs

    def batch_feature_gradients(self, inputs: Array, classes: Classes, layer: str) -> Array:
        assert layer == "input"
        return self.batch_input_gradients(inputs, classes)

    def batch_map_gradients(self, inputs: Array, weights: Array, layer: str) -> Array:
        assert layer == "input"
        return weights

    def batch_edits(self, inputs: Array, layer: str, edits: Sequence[Edit]) -> Iterator[tuple[Array, Array]]:
        assert layer == "input"
        for edit in edits:
            changed = edit.changed(inputs)
            yield self.batch_probabilities(changed), self.batch_logits(changed)

    def batch_predict_from(self, inputs: Array, maps: Iterable[Array], layer: str) -> Iterator[tuple[Array, Array]]:
        assert layer == "input"
        for one in maps:
            yield self.batch_probabilities(one), self.batch_logits(one)

    def random_weights(self, seed: int = 0) -> RandomWeights:
        other, own = copy.copy(self), self.weights

        def randomize(count: int) -> None:
            drawn = np.random.default_rng(seed).normal(size=own.shape).astype(np.float32)
            other.weights = drawn if count else own

        return RandomWeights(other, ("linear",), randomize)

    def dropping_grid(self) -> TokenGrid:
        return TokenGrid(6, 0, 2, 3, Place((1.5, 1.5), (3.0, 3.0)))

    def batch_dropped(self, image: Array, kept: NDArray[np.int64]) -> tuple[Array, Array]:
        shown = np.zeros((len(kept), 6), np.float32)
        np.put_along_axis(shown, kept, 1, axis=1)
        pixels = shown.reshape(-1, 2, 3).repeat(3, axis=1).repeat(3, axis=2)
        inputs = image * pixels[..., None]
        return self.batch_probabilities(inputs), self.batch_logits(inputs)


class FileModel(LinearModel):
    """Read from a file, so that its results may be reused; each byte of the file changes the weights."""

    repeatable = True

    def load(self, **arguments: Any) -> None:
        super().load(**arguments)
        file = Path(arguments["file"])
        self.files = () if arguments.get("unsaid") else (file,)
        self.weights = self.weights * np.float32(1 + sum(file.read_bytes()))
        self.spec = Embedding((CLASSES,)) if arguments.get("embedding") else self.spec
        self.jitter, self.chance = arguments.get("jitter", 0.0), np.random.default_rng(1)

    def class_names(self) -> list[str]:
        return list(self.labels) or super().class_names()

    def batch_logits(self, inputs: Array) -> Array:
        logits = super().batch_logits(inputs)
        return np.asarray(logits + self.jitter * self.chance.normal(size=logits.shape), np.float32)

    def batch_probabilities(self, inputs: Array) -> Array:
        return self.batch_logits(inputs) if isinstance(self.spec, Embedding) else super().batch_probabilities(inputs)


class UndeclaredModel(FileModel):
    """Read from a file, too; that its base class is repeatable says nothing about it."""


class NumberedModel(LinearModel):
    """The names of its classes are the indices of other classes."""

    def class_names(self) -> list[str]:
        return ["1", "2", "3", "4", "5", "6", "0"]


class PatchModel(LinearModel):
    """Reads one patch only, rows 2 to 3 and columns 5 to 7: nothing else can change its answer."""

    ROWS, COLUMNS = slice(2, 4), slice(5, 8)

    def load(self, **arguments: Any) -> None:
        super().load(**arguments)
        weights = np.zeros_like(self.weights)
        weights[:, self.ROWS, self.COLUMNS] = np.arange(1, CLASSES + 1, dtype=np.float32)[:, None, None, None] / 10
        self.weights = weights


class PooledModel(LinearModel):
    """Ends in average pooling and a dense layer, behind feature maps ``relu(pixels of 3 x 3 squares, mixed)``."""

    SQUARE, MAPS = 3, 4

    def load(self, **arguments: Any) -> None:
        super().load(**arguments)
        generator = np.random.default_rng(5)
        self.mixing = generator.normal(size=(self.input_shape[2], self.MAPS)).astype(np.float32)
        self.dense = generator.normal(size=(self.MAPS, CLASSES)).astype(np.float32)
        self.bias = generator.normal(size=CLASSES).astype(np.float32)

    def layers(self) -> list[Layer]:
        height, width, _ = self.input_shape
        shape = (height // self.SQUARE, width // self.SQUARE, self.MAPS)
        return [Layer("input", self.input_shape), Layer("maps", shape, default=True)]

    def batch_feature_maps(self, inputs: Array, layer: str) -> Array:
        if layer == "input":
            return inputs
        count, height, width, channels = inputs.shape
        side = self.SQUARE
        squares = inputs.reshape(count, height // side, side, width // side, side, channels).mean(axis=(2, 4))
        return np.asarray(np.maximum(squares @ self.mixing, 0), np.float32)

    def batch_logits(self, inputs: Array) -> Array:
        return self.head_logits(self.batch_feature_maps(inputs, "maps"))

    def head_logits(self, maps: Array) -> Array:
        return np.asarray(maps.mean(axis=(1, 2)) @ self.dense + self.bias, np.float32)

    def batch_edits(self, inputs: Array, layer: str, edits: Sequence[Edit]) -> Iterator[tuple[Array, Array]]:
        if layer == "input":
            yield from super().batch_edits(inputs, layer, edits)
            return
        maps = self.batch_feature_maps(inputs, layer)
        for edit in edits:
            logits = self.head_logits(edit.changed(maps))
            yield softmax(logits), logits

    def batch_predict_from(self, inputs: Array, maps: Iterable[Array], layer: str) -> Iterator[tuple[Array, Array]]:
        if layer == "input":
            yield from super().batch_predict_from(inputs, maps, layer)
            return
        for one in maps:
            logits = self.head_logits(one)
            yield softmax(logits), logits

    def batch_feature_gradients(self, inputs: Array, classes: Classes, layer: str) -> Array:
        if layer == "input":
            return self.batch_input_gradients(inputs, classes)
        maps = self.batch_feature_maps(inputs, layer)
        _, height, width, _ = maps.shape
        gradients = self.dense[:, classes].T[:, None, None, :] / (height * width)
        return np.asarray(np.broadcast_to(gradients, maps.shape), np.float32)

    def batch_input_gradients(self, inputs: Array, classes: Classes) -> Array:
        return self.batch_map_gradients(inputs, self.batch_feature_gradients(inputs, classes, "maps"), "maps")

    def batch_map_gradients(self, inputs: Array, weights: Array, layer: str) -> Array:
        if layer == "input":
            return weights
        squares = (weights * (self.batch_feature_maps(inputs, layer) > 0)) @ self.mixing.T / self.SQUARE**2
        return np.asarray(squares.repeat(self.SQUARE, axis=1).repeat(self.SQUARE, axis=2), np.float32)


class SlowModel(LinearModel):
    """Takes a few milliseconds for each batch."""

    def batch_logits(self, inputs: Array) -> Array:
        time.sleep(0.004)
        return super().batch_logits(inputs)


class HeldModel(LinearModel):
    """Answers no question while a file exists, so that a test decides how long a job runs."""

    def load(self, held: str = "", **arguments: Any) -> None:
        super().load(**arguments)
        self.held = Path(held)

    def batch_logits(self, inputs: Array) -> Array:
        while self.held.is_file():
            time.sleep(0.01)
        return super().batch_logits(inputs)


class BlackBoxModel(LinearModel):
    """Gives predictions only."""

    capabilities = frozenset({Capability.PREDICTIONS})


class GuessModel(LinearModel):
    """Does not say which pixel values it was trained on."""

    preprocessing = Preprocessing()


# The grey levels that RangeModel, with its own range of values, takes for some of its classes.
LEVELS = {"ant": 0, "bee": 42, "dog": 128, "fox": 212, "gnu": 255}


class RangeModel(GuessModel):
    """Was trained on pixel values -1..1, which nothing says: black is the first class and white the last."""

    SHARPNESS = 20.0

    def batch_logits(self, inputs: Array) -> Array:
        centres = np.linspace(-1, 1, CLASSES, dtype=np.float32)
        distances = inputs.mean(axis=(1, 2, 3))[:, None] - centres
        return np.asarray(-self.SHARPNESS * np.clip(distances, -9, 9) ** 2, np.float32)


class GreyModel(LinearModel):
    """Takes grey images."""

    def load(self, **arguments: Any) -> None:
        super().load(**{"shape": (HEIGHT, WIDTH, 1), **arguments})


class MultiLabelModel(LinearModel):
    """Its labels are independent."""

    def load(self, **arguments: Any) -> None:
        super().load(**arguments)
        self.spec = MultiLabel((CLASSES,))

    def batch_probabilities(self, inputs: Array) -> Array:
        return np.asarray((1 + np.tanh(self.batch_logits(inputs) / 2)) / 2, np.float32)


class RegressorModel(LinearModel):
    """Two numbers in years: 80 times the mean brightness, and 40 times the mean of red."""

    def load(self, **arguments: Any) -> None:
        super().load(**arguments)
        height, width, channels = self.input_shape
        brightness = np.full(self.input_shape, 80 / (height * width * channels), np.float32)
        red = np.where(np.arange(channels) == 0, np.float32(40 / (height * width)), np.zeros(self.input_shape))
        self.weights = np.stack([brightness, red]).astype(np.float32)
        self.num_classes, self.spec = 2, Regression((2,), unit="years")

    def class_names(self) -> list[str]:
        return ["age", "experience"]

    def batch_probabilities(self, inputs: Array) -> Array:
        return self.batch_logits(inputs)


class EmbeddingModel(LinearModel):
    """A vector of seven numbers that are linear functions of the pixels."""

    def load(self, **arguments: Any) -> None:
        super().load(**arguments)
        self.spec = Embedding((CLASSES,))

    def batch_probabilities(self, inputs: Array) -> Array:
        return self.batch_logits(inputs)


class SegmenterModel(Model):
    """The class of each pixel is its strongest colour: the logits are eight times its red, green and blue."""

    framework = "numpy"
    capabilities = frozenset({Capability.PREDICTIONS, Capability.GRADIENTS})
    preprocessing = Preprocessing("0..1")
    SLOPE = 8

    def load(self, **arguments: Any) -> None:
        height, width, channels = arguments.get("shape", (HEIGHT, WIDTH, CHANNELS))
        self.input_shape = (height, width, channels)
        self.num_classes, self.spec = CHANNELS, Segmentation(self.input_shape)
        self.checkpoint, self.checkpoint_time = "segmenter.npz", "2026-01-02 03:04:05"
        self.logits_found = "known"

    def class_names(self) -> list[str]:
        return ["brick", "grass", "sky <b>"]

    def batch_logits(self, inputs: Array) -> Array:
        return np.asarray(self.SLOPE * inputs, np.float32)

    def batch_probabilities(self, inputs: Array) -> Array:
        exponentials = np.exp(self.batch_logits(inputs))
        return np.asarray(exponentials / exponentials.sum(axis=-1, keepdims=True), np.float32)

    def batch_input_gradients(self, inputs: Array, classes: Classes) -> Array:
        """Return the gradients of the mean logits."""
        cells = inputs.shape[1] * inputs.shape[2]
        return np.asarray((np.arange(CHANNELS) == classes[:, None, None, None]) * self.SLOPE / cells + 0 * inputs)

    def batch_gradients(self, inputs: Array, cotangents: Array) -> Array:
        return np.asarray(self.SLOPE * cotangents, np.float32)


class DetectorModel(Model):
    """Finds one object in the left half of an image and one in the right half; its score is the mean of red or green.

    Objects of the left half are "cat <b>"s, those of the right half "dog"s.
    """

    framework = "numpy"
    preprocessing = Preprocessing("0..1")

    def load(self, **arguments: Any) -> None:
        height, width, channels = arguments.get("shape", (HEIGHT, WIDTH, CHANNELS))
        self.input_shape = (height, width, channels)
        self.num_classes, self.middle = 2, width // 2
        self.boxes = np.array([[1, 1, self.middle, height - 1], [self.middle, 0, width, height]], np.float32)
        shapes = (("scores", (2,)),)
        self.spec = Detection((2,), "", "", "", shapes, (height, width), "custom", 2, self.decode_boxes)
        self.checkpoint, self.checkpoint_time = "detector.npz", "2026-01-02 03:04:05"

    def class_names(self) -> list[str]:
        return ["cat <b>", "dog"]

    def batch_probabilities(self, inputs: Array) -> Array:
        halves = (inputs[:, :, : self.middle, 0], inputs[:, :, self.middle :, 1])
        return np.stack([half.mean(axis=(1, 2)) for half in halves], axis=1).astype(np.float32)

    def decode_boxes(self, outputs: dict[str, Array]) -> list[tuple[Array, Array]]:
        return [(self.boxes, np.diag(row).astype(np.float32)) for row in outputs["scores"]]
