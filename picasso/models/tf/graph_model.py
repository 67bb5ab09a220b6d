"""The common base class of Keras models and TensorFlow graphs, which run on one compiled graph."""

from __future__ import annotations

import copy
import logging
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from picasso.models.arrays import Array, Classes
from picasso.models.base import Model
from picasso.models.edits import Edit
from picasso.models.info import Capability, Layer
from picasso.models.layer_pass import LayerPass
from picasso.models.newest import written
from picasso.models.occlusion import Box, Occlusion
from picasso.models.outputs import contradictions, parse, parse_decoder, parse_task
from picasso.models.random_weights import RandomWeights
from picasso.models.tf.graph import Graph
from picasso.models.tf.incremental.checked import TOLERANCE, Checked
from picasso.models.tf.incremental.occlusion import Incremental
from picasso.models.tf.incremental.steps import Unsupported
from picasso.models.tf.interpretation import Said
from picasso.models.tokens import TokenGrid
from picasso.targets import Detection, OutputTask

log = logging.getLogger(__name__)


class GraphModel(Model):
    """A model that runs on a :class:`~picasso.models.tf.graph.Graph`."""

    reads_output_kind = reads_task = takes_fast = True
    _graph: Graph

    def adopt(self, graph: Graph, file: Path, *, in_memory: bool = False) -> None:
        """Use ``graph`` for predictions and name the model after the checkpoint ``file``.

        Args:
            graph: the graph.
            file: the checkpoint.
            in_memory: if True, there is no such file, and its name is only the name of the model.
        """
        self._graph = graph
        self.input_shape, self.spec, self.num_classes = graph.input_shape, graph.spec, graph.spec.shape[-1]
        if isinstance(graph.spec, Detection):
            self.num_classes = graph.spec.classes or len(self.class_names())
        self.fixed_batch = graph.fixed_batch
        self.logits_found, self.notes = graph.found, self.notes + graph.notes
        self.output_found = graph.decision.describe()
        if in_memory:
            self.checkpoint, self.checkpoint_time, self.files = f"{file.name} (in memory)", "", ()
        else:
            self.checkpoint, self.checkpoint_time, self.files = file.name, written(file), (file,)
        self.capabilities = frozenset({Capability.PREDICTIONS})
        if graph.differentiable:
            self.capabilities |= {Capability.GRADIENTS}
        if graph.differentiable and graph.layers():
            self.capabilities |= {Capability.FEATURE_MAPS}
        if graph.differentiable and graph.transformer:
            self.capabilities |= {Capability.ATTENTION}
        if not graph.dropping.reason:
            self.capabilities |= {Capability.DROPPING}
        if graph.integers:
            self.takes_integers(graph.integers)
        elif found := graph.value_range():
            self.takes_values(found, "the model rescales its input itself")

    def said(self) -> Said:
        """Return what the user configured about the output."""
        decode = getattr(self, "decode_boxes", None)
        task = OutputTask.DETECTION if decode else parse_task(self.task)
        classes = len(self.labels) or None
        return Said(parse(self.output_kind), task, self.unit, parse_decoder(self.task), classes, decode)

    def random_weights(self, seed: int = 0) -> RandomWeights:
        """Return a copy whose kernels can become random; it computes exactly, and whole images only."""
        graph, random = self._graph.random_kernels(seed)
        other = copy.copy(self)
        for name in ("_occluder", "_guided", "_tokens"):
            other.__dict__.pop(name, None)
        other._graph, other.imprecision = graph, None
        return RandomWeights(other, random.names, random.randomize)

    def check_output(self, inputs: Array) -> tuple[str, ...]:
        """Return warnings if the output for inputs contradicts the assumption that it consists of logits."""
        decision = self._graph.decision
        scores = lambda: self.logits(inputs).reshape(-1, self.num_classes)[:, -decision.count :]  # noqa: E731
        return contradictions(decision, scores)

    def occlude(self, image: Array, fill: Array, boxes: Sequence[Box]) -> Occlusion:
        """Return the outputs for windows, by recomputing only what each changes if that is faster."""
        return self._occluder.occlude(image, fill, boxes)

    def occlusion_passes(self, boxes: Sequence[Box]) -> float:
        """Return the cost of windows in predictions of whole images; it is lower if only changes are computed."""
        return self._occluder.passes(boxes)

    @cached_property
    def _occluder(self) -> Checked:
        """The incremental computation of occlusion maps with its fallback, built on first access."""
        memory = self.occlusion_mb * 1_000_000
        plain = super().occlude
        tolerance = TOLERANCE
        if self._graph.fast:
            # Other images may differ more than the test images whose difference the limit is for. While that difference
            # is measured, nothing is refused.
            tolerance = max(TOLERANCE, 2 * self.precision_limit) if self.imprecision else np.inf

        def build() -> Incremental:
            if self.weights_change:
                raise Unsupported("its weights may change")
            return self._graph.incremental()

        exact = self._predict_exactly
        return Checked(self.checkpoint, build, plain, exact, self._probe, memory, self.spec, tolerance)

    def compute_fast(self, *, fast: bool) -> None:
        """Compute outputs, scores and occlusion with bfloat16 from now on, or exactly."""
        self._graph.fast = fast
        self.__dict__.pop("_occluder", None)

    def _predict_exactly(self, inputs: Array) -> Array:
        """Return the exact outputs of inputs."""
        return self._batched(self._graph.exact_outputs, inputs)

    def _probe(self) -> tuple[Array, Array]:
        """Return two different inputs ``(H, W, C)`` made of images of noise."""
        height, width, channels = self.input_shape
        generator = np.random.default_rng(0)
        try:
            small = generator.integers(0, 256, (2, 8, 8, 3), np.uint8)
            images = [Image.fromarray(one).resize((width, height), Image.Resampling.NEAREST) for one in small]
            image, fill = self.inputs_of(images)
        except Exception:
            log.warning("preprocess() failed on an image of noise; the fast occlusion is tried on plain numbers")
            image, fill = generator.random((2, height, width, channels), np.float32)
        return image, fill

    def layers(self) -> Sequence[Layer]:
        """Return the layers of the graph with feature maps."""
        return self._graph.layers()

    def batch_probabilities(self, inputs: Array) -> Array:
        """Return the outputs ``(n, *spec.shape)`` of one batch."""
        return self._graph.outputs(inputs)

    def batch_logits(self, inputs: Array) -> Array:
        """Return the scores ``(n, *spec.shape)`` of one batch."""
        return self._graph.scores(inputs)

    def batch_gradients(self, inputs: Array, cotangents: Array) -> Array:
        """Return the gradients ``(n, T, H, W, C)`` of T functions of the scores."""
        return self._graph.gradients(inputs, cotangents)

    def batch_input_gradients(self, inputs: Array, classes: Classes) -> Array:
        """Return d logit[class] / d input of one batch, ``(n, H, W, C)``."""
        return self.batch_class_gradients(inputs, classes[:, None])[:, 0]

    def batch_class_gradients(self, inputs: Array, classes: Classes) -> Array:
        """Return the gradients ``(n, k, H, W, C)`` of one batch for k classes of each input."""
        return self._graph.gradients(inputs, self._one_hot(classes))

    def batch_guided(self, inputs: Array, cotangents: Array) -> Array:
        """Return the guided gradients ``(n, T, H, W, C)``, by a second graph that is built on first use."""
        return self._guided.gradients(inputs, cotangents)

    def batch_guided_gradients(self, inputs: Array, classes: Classes) -> Array:
        """Return the guided gradients ``(n, k, H, W, C)`` of k classes of each input."""
        return self.batch_guided(inputs, self._one_hot(classes))

    @cached_property
    def _guided(self) -> Graph:
        return self._graph.guided()

    def batch_feature_maps(self, inputs: Array, layer: str) -> Array:
        """Return the feature maps ``(n, h, w, c)`` of one batch."""
        return self._graph.inside.feature_maps(inputs, layer)

    def batch_layer_gradients(self, inputs: Array, cotangents: Array, layer: str) -> Array:
        """Return the gradients ``(n, T, h, w, c)`` of T functions of the scores at a layer."""
        return self._graph.inside.feature_gradients(inputs, cotangents, layer)

    def batch_features(self, inputs: Array, cotangents: Array, layer: str) -> tuple[Array, Iterator[Array]]:
        """Return the feature maps of one batch, and the gradients of T functions there, by one forward pass."""
        return self._graph.inside.features(inputs, cotangents, layer)

    def batch_map_gradients(self, inputs: Array, weights: Array, layer: str) -> Array:
        """Return the gradients ``(n, H, W, C)`` of weighted sums of a layer's feature maps."""
        return self._graph.inside.map_gradients(inputs, weights, layer)

    def batch_unrectified_gradients(self, inputs: Array, weights: Array, layer: str) -> Array:
        """Return the same of what goes into the rectifier of the layer."""
        return self._graph.inside.map_gradients(inputs, weights, layer, before=True)

    def batch_edits(self, inputs: Array, layer: str, edits: Sequence[Edit]) -> Iterator[tuple[Array, Array]]:
        """Return the outputs and the scores of one batch for each edit of a layer."""
        return self._graph.inside.edits(inputs, layer, edits, self.batch_size // len(inputs))

    def batch_predict_from(self, inputs: Array, maps: Iterable[Array], layer: str) -> Iterator[tuple[Array, Array]]:
        """Return the outputs and the scores of one batch for each replacement of a layer's feature maps."""
        return self._graph.inside.predict_from(inputs, layer, maps, self.batch_size // len(inputs))

    def batch_layer_pass(self, inputs: Array, layer: str, *, differentiate: bool) -> LayerPass:
        """Return what one forward pass of one batch says of a layer."""
        return self._graph.inside.layer_pass(inputs, layer, self.batch_size // len(inputs), differentiate=differentiate)

    def token_grid(self) -> TokenGrid:
        """Return the grid of the tokens between which there is attention."""
        return self._tokens

    @cached_property
    def _tokens(self) -> TokenGrid:
        grid, gradient = self._graph.token_gradient() or (None, np.zeros((0, 0), np.float32))
        return self._graph.transformer.grid(grid, gradient)

    def batch_attention(self, inputs: Array, cotangents: Array) -> tuple[list[Array], Iterator[list[Array]]]:
        """Return the attention weights of each block for one batch, and the gradients of T functions there."""
        return self._graph.transformer.attention(self._graph.fed(inputs), cotangents)

    def batch_relevance(self, inputs: Array, cotangents: Array) -> Array:
        """Return the factors of relevance ``(n, T, H, W, C)`` of T functions by AttnLRP."""
        return self._graph.transformer.relevance(self._graph.fed(inputs), cotangents)

    def dropping_grid(self) -> TokenGrid:
        """Return the grid of the tokens that can be left out."""
        return self._graph.dropping.grid

    def batch_dropped(self, image: Array, kept: NDArray[np.int64]) -> tuple[Array, Array]:
        """Return the outputs and the scores for one image with n choices of its tokens."""
        outputs, scores = self._graph.dropping(self._graph.fed(image[None]), kept)
        return outputs.reshape(-1, *self.spec.shape), scores.reshape(-1, *self.spec.shape)

    def batch_feature_gradients(self, inputs: Array, classes: Classes, layer: str) -> Array:
        """Return d logit[class] / d feature map of one batch, ``(n, h, w, c)``."""
        return self.batch_layer_gradients(inputs, self._one_hot(classes[:, None]), layer)[:, 0]

    def _one_hot(self, classes: Classes) -> Array:
        """Return 1 for each of k classes per input, ``(n, k, K)``."""
        return np.asarray(classes[..., None] == np.arange(self.num_classes), np.float32)
