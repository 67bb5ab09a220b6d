"""What Keras models and TensorFlow graphs share: all answers come from one compiled graph."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from picasso.models.arrays import Array, Classes
from picasso.models.base import Model
from picasso.models.card import Capability, Layer
from picasso.models.checkpoints import written
from picasso.models.graph import Graph


class GraphModel(Model):
    """A model whose answers come from a :class:`~picasso.models.graph.Graph`."""

    _graph: Graph

    def adopt(self, graph: Graph, file: Path) -> None:
        """Take the answers from ``graph`` and name the model after the checkpoint ``file``."""
        self._graph = graph
        self.input_shape, self.num_classes = graph.input_shape, graph.num_classes
        self.fixed_batch = graph.fixed_batch
        self.logits_found, self.notes = graph.found, self.notes + graph.notes
        self.checkpoint, self.checkpoint_time = file.name, written(file)
        self.capabilities = frozenset({Capability.PREDICTIONS})
        if graph.differentiable:
            self.capabilities |= {Capability.GRADIENTS}
        if graph.differentiable and graph.layers():
            self.capabilities |= {Capability.FEATURE_MAPS}

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

    def batch_feature_maps(self, inputs: Array, layer: str) -> Array:
        """Ask the compiled graph."""
        return self._graph.feature_maps(inputs, layer)

    def batch_feature_gradients(self, inputs: Array, classes: Classes, layer: str) -> Array:
        """Ask the compiled graph."""
        return self._graph.feature_gradients(inputs, classes, layer)
