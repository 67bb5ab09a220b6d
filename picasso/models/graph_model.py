"""What Keras models and TensorFlow graphs share: all answers come from one compiled graph."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from itertools import chain
from pathlib import Path

import numpy as np

from picasso.models.arrays import Array, Classes
from picasso.models.base import Model
from picasso.models.card import Capability, Layer
from picasso.models.checkpoints import written
from picasso.models.graph import Graph
from picasso.models.incremental.occlusion import ENOUGH, Incremental
from picasso.models.incremental.steps import Unsupported
from picasso.models.occlusion import Box, Occlusion, covered

log = logging.getLogger(__name__)

# By how much probabilities may differ between two ways of computing them; rounding stays far below.
TOLERANCE = 1e-4


class GraphModel(Model):
    """A model whose answers come from a :class:`~picasso.models.graph.Graph`."""

    _graph: Graph

    def adopt(self, graph: Graph, file: Path) -> None:
        """Take the answers from ``graph`` and name the model after the checkpoint ``file``."""
        self._graph = graph
        self.input_shape, self.num_classes = graph.input_shape, graph.num_classes
        self.fixed_batch = graph.fixed_batch
        self.logits_found, self.notes = graph.found, self.notes + graph.notes
        self.checkpoint, self.checkpoint_time, self.files = file.name, written(file), (file,)
        self.capabilities = frozenset({Capability.PREDICTIONS})
        if graph.differentiable:
            self.capabilities |= {Capability.GRADIENTS}
        if graph.differentiable and graph.layers():
            self.capabilities |= {Capability.FEATURE_MAPS}

    def occlude(self, picture: Array, fill: Array, boxes: Sequence[Box]) -> Occlusion:
        """Compute only what each window changes, where the graph allows it and it saves enough.

        The first windows are computed both ways; should they differ, the plain way is taken.
        """
        plain = super().occlude(picture, fill, boxes)
        engine = self._engine
        if isinstance(engine, str):
            return replace(plain, method=f"{plain.method}, because {engine}")
        plan = engine.plan(boxes, self.occlusion_mb * 1_000_000)
        if plan.gain < ENOUGH:
            method = f"{plain.method}, because a window changes nearly all of the feature maps"
            parts = engine.run_whole(picture, fill, boxes, self.batch_size)
        else:
            method = f"only what a window changes, {plan.gain:.1f} times less work"
            parts = engine.run(picture, fill, boxes, plan)
        first = next(parts)
        some = slice(None, None, max(1, len(first[0]) - 1))
        expected = self.predict(covered(picture, fill, [boxes[index] for index in first[0][some]]))
        error = float(np.abs(first[1][some] - expected).max())
        if not error < TOLERANCE:
            log.error("incremental occlusion of %s is off by %.2g; taking whole pictures", self.checkpoint, error)
            self.__dict__["_engine"] = "its parts did not give what the whole gives"
            return self.occlude(picture, fill, boxes)
        return Occlusion(chain([first], parts), method)

    def occlusion_passes(self, boxes: Sequence[Box]) -> float:
        """Return how many whole pictures the windows are worth, less where only what changes is computed."""
        engine = self._engine
        gain = 1.0 if isinstance(engine, str) else engine.plan(boxes, self.occlusion_mb * 1_000_000).gain
        return len(boxes) / gain

    @cached_property
    def _engine(self) -> Incremental | str:
        """What computes occlusion maps faster, or why there is none."""
        try:
            return self._graph.incremental()
        except Unsupported as reason:
            return str(reason)

    def layers(self) -> Sequence[Layer]:
        """Return the layers of the graph that have feature maps."""
        return self._graph.layers()

    def batch_probabilities(self, inputs: Array) -> Array:
        """Ask the compiled graph."""
        return self._graph.probabilities(inputs)

    def batch_logits(self, inputs: Array) -> Array:
        """Ask the compiled graph."""
        return self._graph.logits(inputs)

    def batch_input_gradients(self, inputs: Array, classes: Classes) -> Array:
        """Ask the compiled graph."""
        return self._graph.input_gradients(inputs, classes)

    def batch_class_gradients(self, inputs: Array, classes: Classes) -> Array:
        """Ask the compiled graph."""
        return self._graph.class_gradients(inputs, classes)

    def batch_guided_gradients(self, inputs: Array, classes: Classes) -> Array:
        """Ask a second graph, whose rectifiers are guided; it is built when this is first asked."""
        return self._guided.class_gradients(inputs, classes)

    @cached_property
    def _guided(self) -> Graph:
        return self._graph.guided()

    def batch_feature_maps(self, inputs: Array, layer: str) -> Array:
        """Ask the compiled graph."""
        return self._graph.feature_maps(inputs, layer)

    def batch_feature_gradients(self, inputs: Array, classes: Classes, layer: str) -> Array:
        """Ask the compiled graph."""
        return self._graph.feature_gradients(inputs, classes, layer)
