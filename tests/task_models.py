"""A model of each task in plain NumPy, with gradients and feature maps, so that tests of tasks need no TensorFlow."""

from __future__ import annotations

from typing import Any

import numpy as np

from picasso.models.arrays import Array, Shape
from picasso.models.info import Capability, Layer, Place
from picasso.models.preprocessing import Preprocessing
from picasso.targets import (
    Classification,
    Detection,
    Embedding,
    MultiLabel,
    OutputSpec,
    OutputTask,
    Regression,
    Segmentation,
)
from tests.fakes import Attentive

SHAPE: Shape = (12, 16, 3)
# The side of the square of pixels that a cell of the feature maps reads, and the number of feature maps.
SIDE, MAPS = 2, 4
NAMES = {
    OutputTask.CLASSIFICATION: ("ant", "bee", "cat"),
    OutputTask.MULTI_LABEL: ("indoor", "night", "people"),
    OutputTask.REGRESSION: ("age", "income"),
    OutputTask.SEGMENTATION: ("brick", "grass", "sky"),
    OutputTask.DETECTION: ("cat", "dog"),
    OutputTask.EMBEDDING: tuple(map(str, range(5))),
}


def sigmoid(values: Array) -> Array:
    # Written so that no exponential overflows.
    return np.asarray(0.5 * (1 + np.tanh(0.5 * values)), np.float32)


class TaskModel(Attentive):
    """Feature maps of rectified means of squares, and a linear layer: of their mean, or of each cell.

    The output is the scores, or their softmax or sigmoid, as usual for the task. A detector has the outputs of
    CenterNet: a heat map of sigmoids, sizes and offsets.
    """

    framework = "numpy"
    capabilities = frozenset(Capability)
    preprocessing = Preprocessing("0..1")
    #: The factor and the offset of the numbers of a regression.
    SCALE, OFFSET = 1.0, 0.0

    def load(self, task: str = "classification", shape: Shape = SHAPE, unit: str = "") -> None:
        kind, generator = OutputTask(task), np.random.default_rng(7)
        self.input_shape, self.labels = shape, NAMES[kind]
        self.num_classes, self.checkpoint = len(self.labels), f"{task}.npz"
        self.cells = shape[0] // SIDE, shape[1] // SIDE
        self.mixing = generator.normal(size=(shape[2], MAPS)).astype(np.float32)
        channels = self.num_classes + (4 if kind is OutputTask.DETECTION else 0)
        self.dense = 3 * generator.normal(size=(MAPS, channels)).astype(np.float32)
        self.spec = self._spec_of(kind, unit)

    def _spec_of(self, kind: OutputTask, unit: str) -> OutputSpec:
        vector = (self.num_classes,)
        if kind is OutputTask.SEGMENTATION:
            return Segmentation((*self.cells, self.num_classes))
        if kind is OutputTask.DETECTION:
            heads = (("heatmap", self.num_classes), ("size", 2), ("offset", 2))
            outputs = tuple((name, (*self.cells, count)) for name, count in heads)
            total = self.cells[0] * self.cells[1] * (self.num_classes + 4)
            size = self.input_shape[:2]
            return Detection((total,), outputs=outputs, size=size, decoder="centernet", classes=self.num_classes)
        if kind is OutputTask.REGRESSION:
            return Regression(vector, unit=unit)
        specs = {OutputTask.MULTI_LABEL: MultiLabel, OutputTask.EMBEDDING: Embedding}
        return specs.get(kind, Classification)(vector)

    def layers(self) -> list[Layer]:
        place = Place((SIDE / 2, SIDE / 2), (SIDE, SIDE))
        return [Layer("maps", (*self.cells, MAPS), default=True, receptive_field=(SIDE, SIDE), place=place)]

    # ---- forward ------------------------------------------------------------------------------------------

    def _mixed(self, inputs: Array) -> Array:
        count, height, width, channels = inputs.shape
        squares = inputs.reshape(count, height // SIDE, SIDE, width // SIDE, SIDE, channels).mean(axis=(2, 4))
        return np.asarray((squares - 0.5) @ self.mixing, np.float32)

    def batch_feature_maps(self, inputs: Array, layer: str) -> Array:
        assert layer == "maps"
        return np.maximum(self._mixed(inputs), 0)

    def batch_logits(self, inputs: Array) -> Array:
        maps = self.batch_feature_maps(inputs, "maps")
        if isinstance(self.spec, Segmentation):
            return np.asarray(maps @ self.dense)
        if isinstance(self.spec, Detection):
            values = maps @ self.dense
            heat, size, offset = self._heads(values)
            heads = (sigmoid(2 * heat), np.abs(size) + 1, sigmoid(offset))
            return np.concatenate([one.reshape(len(inputs), -1) for one in heads], axis=1)
        answer = maps.mean(axis=(1, 2)) @ self.dense
        return np.asarray(self.SCALE * answer + self.OFFSET if isinstance(self.spec, Regression) else answer)

    def _heads(self, values: Array) -> tuple[Array, Array, Array]:
        heat, size, offset = np.split(values, [self.num_classes, self.num_classes + 2], axis=-1)
        return heat, size, offset

    def batch_probabilities(self, inputs: Array) -> Array:
        scores = self.batch_logits(inputs)
        if isinstance(self.spec, MultiLabel):
            return sigmoid(scores)
        if isinstance(self.spec, Classification | Segmentation):
            exponentials = np.exp(scores - scores.max(axis=-1, keepdims=True))
            return np.asarray(exponentials / exponentials.sum(axis=-1, keepdims=True), np.float32)
        return scores

    # ---- backward -----------------------------------------------------------------------------------------

    def batch_layer_gradients(self, inputs: Array, cotangents: Array, layer: str) -> Array:
        count, targets = cotangents.shape[:2]
        rows, columns = self.cells
        if isinstance(self.spec, Segmentation):
            behind = cotangents
        elif isinstance(self.spec, Detection):
            heat, _, _ = self._heads(self.batch_feature_maps(inputs, layer) @ self.dense)
            own = cotangents[..., : rows * columns * self.num_classes].reshape(count, targets, *heat.shape[1:])
            slopes = 2 * sigmoid(2 * heat) * (1 - sigmoid(2 * heat))
            behind = np.concatenate([own * slopes[:, None], np.zeros((*own.shape[:-1], 4), np.float32)], axis=-1)
        else:
            scale = self.SCALE if isinstance(self.spec, Regression) else 1.0
            even = np.full((1, 1, rows, columns, 1), 1 / (rows * columns), np.float32)
            behind = scale * cotangents[:, :, None, None, :] * even
        return np.asarray(behind @ self.dense.T, np.float32)

    def _to_pixels(self, gradients: Array) -> Array:
        squares = gradients @ self.mixing.T / SIDE**2
        return np.asarray(squares.repeat(SIDE, axis=2).repeat(SIDE, axis=3), np.float32)

    def batch_gradients(self, inputs: Array, cotangents: Array) -> Array:
        behind = self.batch_layer_gradients(inputs, cotangents, "maps")
        return self._to_pixels(behind * (self._mixed(inputs) > 0)[:, None])

    def batch_guided(self, inputs: Array, cotangents: Array) -> Array:
        behind = self.batch_layer_gradients(inputs, cotangents, "maps")
        return self._to_pixels(np.maximum(behind, 0) * (self._mixed(inputs) > 0)[:, None])

    def batch_feature_gradients(self, inputs: Array, classes: Any, layer: str) -> Array:
        cotangents = np.zeros((len(inputs), 1, *self.spec.shape), np.float32)
        cotangents.reshape(len(inputs), -1)[np.arange(len(inputs)), classes] = 1
        return self.batch_layer_gradients(inputs, cotangents, layer)[:, 0]


def loaded(task: str, shape: Shape = SHAPE, **options: Any) -> TaskModel:
    """Return a loaded model of a task."""
    model = TaskModel()
    model.load(task, shape, **options)
    return model
