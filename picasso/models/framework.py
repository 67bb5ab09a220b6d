"""The interface that a framework implements: predictions and gradients of one batch, as NumPy arrays."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from picasso.errors import ModelError
from picasso.models.arrays import Array, Classes
from picasso.models.edits import Edit, Edited
from picasso.models.info import Capability
from picasso.models.layer_pass import LayerPass
from picasso.models.tokens import TokenGrid


class Framework(ABC):
    """The part of a model that differs between frameworks.

    A class lists in its ``capabilities`` what it implements; the other methods raise a ModelError.
    """

    capabilities: frozenset[Capability] = frozenset({Capability.PREDICTIONS})

    @abstractmethod
    def batch_probabilities(self, inputs: Array) -> Array:
        """Return the outputs ``(n, *spec.shape)`` of one batch of at most :attr:`batch_size` inputs.

        For a classifier, these are probabilities ``(n, K)``, 0..1.
        """

    def batch_logits(self, inputs: Array) -> Array:
        """Return the scores ``(n, *spec.shape)`` of one batch; for a classifier, the logits ``(n, K)``."""
        raise self._cannot(Capability.GRADIENTS)

    def batch_input_gradients(self, inputs: Array, classes: Classes) -> Array:
        """Return d logit[class] / d input of one batch, shaped like ``inputs``."""
        raise self._cannot(Capability.GRADIENTS)

    def batch_class_gradients(self, inputs: Array, classes: Classes) -> Array:
        """Return the gradients ``(n, k, H, W, C)`` of one batch for k classes of each input."""
        return np.stack([self.batch_input_gradients(inputs, one) for one in classes.T], axis=1)

    def batch_guided_gradients(self, inputs: Array, classes: Classes) -> Array:
        """Return the guided gradients ``(n, k, H, W, C)`` of one batch for k classes of each input."""
        raise ModelError(f"The model {type(self).__name__} can't give guided gradients; take the gradient instead.")

    def batch_feature_maps(self, inputs: Array, layer: str) -> Array:
        """Return the feature maps ``(n, h, w, c)`` of one batch at a layer."""
        raise self._cannot(Capability.FEATURE_MAPS)

    def batch_feature_gradients(self, inputs: Array, classes: Classes, layer: str) -> Array:
        """Return d logit[class] / d feature map of one batch, shaped like the maps."""
        raise self._cannot(Capability.FEATURE_MAPS)

    def batch_map_gradients(self, inputs: Array, weights: Array, layer: str) -> Array:
        """Return d sum(weights * feature maps) / d input of one batch, ``(n, H, W, C)``.

        Args:
            inputs: ``(n, H, W, C)``.
            weights: ``(n, h, w, c)``.
            layer: the name of the layer.
        """
        if Capability.FEATURE_MAPS not in self.capabilities:
            raise self._cannot(Capability.FEATURE_MAPS)
        raise ModelError(
            f"The model {type(self).__name__} can't differentiate its layers; its class has no batch_map_gradients()."
        )

    def batch_unrectified_gradients(self, inputs: Array, weights: Array, layer: str) -> Array:
        """Return :meth:`batch_map_gradients` of the values that go into the ReLU at the end of the layer.

        Classes that don't know these values leave this method out; the gradients are 0 then.
        """
        return np.zeros_like(inputs)

    def batch_edits(self, inputs: Array, layer: str, edits: Sequence[Edit]) -> Iterator[tuple[Array, Array]]:
        """Return the outputs and the scores ``(n, *spec.shape)`` of one batch for each edit of a layer.

        What comes before the layer is computed once. The answer to an edit is computed when it is asked for.
        """
        if Capability.FEATURE_MAPS not in self.capabilities:
            raise self._cannot(Capability.FEATURE_MAPS)
        raise ModelError(f"The model {type(self).__name__} can't edit its layers; its class has no batch_edits().")

    def batch_predict_from(self, inputs: Array, maps: Iterable[Array], layer: str) -> Iterator[tuple[Array, Array]]:
        """Return the outputs and the scores ``(n, *spec.shape)`` of one batch for each replacement of a layer's maps.

        What comes before the layer is computed once. A replacement is taken when its answer is asked for.

        Args:
            inputs: ``(n, H, W, C)``; what skips around the layer is computed from them.
            maps: the replacements, ``(n, h, w, c)`` each.
            layer: the name of the layer.
        """
        if Capability.FEATURE_MAPS not in self.capabilities:
            raise self._cannot(Capability.FEATURE_MAPS)
        raise ModelError(
            f"The model {type(self).__name__} can't replace its feature maps; its class has no batch_predict_from()."
        )

    def batch_layer_pass(self, inputs: Array, layer: str, *, differentiate: bool) -> LayerPass:
        """Return what one forward pass of one batch says of a layer.

        The default computes a pass for each part of the answer.

        Args:
            inputs: ``(n, H, W, C)``.
            layer: the name of the layer.
            differentiate: whether gradients will be asked for.
        """
        return LayerPass(
            self.batch_feature_maps(inputs, layer),
            self.batch_probabilities(inputs),
            self.batch_logits(inputs),
            lambda classes: self.batch_feature_gradients(inputs, classes, layer),
            lambda edits: (Edited(*one) for one in self.batch_edits(inputs, layer, edits)),
        )

    # ---- targets: gradients of any scalar function of the scores ------------------------------------------

    def batch_gradients(self, inputs: Array, cotangents: Array) -> Array:
        """Return the gradients ``(n, T, H, W, C)`` of T scalar functions of the scores.

        This is a vector-Jacobian product. The default adds up the gradients of classes.

        Args:
            inputs: ``(n, H, W, C)``.
            cotangents: the gradients of the T functions with respect to the scores, ``(n, T, *spec.shape)``.
        """
        return self._of_classes(self.batch_class_gradients, inputs, cotangents)

    def batch_guided(self, inputs: Array, cotangents: Array) -> Array:
        """Return the guided gradients ``(n, T, H, W, C)``; see :meth:`batch_gradients`."""
        return self._of_classes(self.batch_guided_gradients, inputs, cotangents)

    def batch_layer_gradients(self, inputs: Array, cotangents: Array, layer: str) -> Array:
        """Return the gradients ``(n, T, h, w, c)`` with respect to the feature maps; see :meth:`batch_gradients`."""

        def answer(images: Array, classes: Classes) -> Array:
            return np.stack([self.batch_feature_gradients(images, one, layer) for one in classes.T], axis=1)

        return self._of_classes(answer, inputs, cotangents)

    def batch_features(self, inputs: Array, cotangents: Array, layer: str) -> tuple[Array, Iterator[Array]]:
        """Return the feature maps at a layer, and the gradients there, one of T functions after the other.

        The functions are those of :meth:`batch_gradients`; maps and gradients are ``(n, h, w, c)``. A gradient is
        computed when it is asked for. The default computes the forward pass anew for each.
        """
        one_by_one = (cotangents[:, index : index + 1] for index in range(cotangents.shape[1]))
        gradients = (self.batch_layer_gradients(inputs, one, layer)[:, 0] for one in one_by_one)
        return self.batch_feature_maps(inputs, layer), gradients

    # ---- transformers ---------------------------------------------------------------------------------------

    def token_grid(self) -> TokenGrid:
        """Return the grid of the tokens between which there is attention.

        Raises:
            ModelError: the model is no transformer, or it attends only within windows.
        """
        raise self._cannot(Capability.ATTENTION)

    def batch_attention(self, inputs: Array, cotangents: Array) -> tuple[list[Array], Iterator[list[Array]]]:
        """Return the attention weights of each block, and their gradients, of one of T functions after the other.

        The functions are those of :meth:`batch_gradients`; weights and gradients are ``(n, heads, queries, keys)``.
        """
        raise self._cannot(Capability.ATTENTION)

    def batch_relevance(self, inputs: Array, cotangents: Array) -> Array:
        """Return the factors of relevance ``(n, T, H, W, C)`` of T functions by AttnLRP; see batch_gradients()."""
        raise self._cannot(Capability.ATTENTION)

    def dropping_grid(self) -> TokenGrid:
        """Return the grid of the tokens that can be left out.

        Raises:
            ModelError: the model is no transformer, or its computation needs all tokens.
        """
        raise self._cannot(Capability.DROPPING)

    def batch_dropped(self, image: Array, kept: NDArray[np.int64]) -> tuple[Array, Array]:
        """Return the outputs and the scores for one image ``(H, W, C)`` with n choices of its tokens.

        Args:
            image: the image.
            kept: the indices of the k tokens of the image that are left in each choice, row by row, ``(n, k)``.
        """
        raise self._cannot(Capability.DROPPING)

    def _of_classes(self, answer: Callable[[Array, Classes], Array], inputs: Array, cotangents: Array) -> Array:
        """Return combinations ``(n, T, ...)`` of the gradients of single classes."""
        if cotangents.ndim != 3:
            raise self._cannot(Capability.GRADIENTS)
        used = np.flatnonzero(cotangents.any(axis=(0, 1)))
        # The similarity of an image with itself is at its maximum: its gradient is zero.
        used = used if len(used) else np.zeros(1, np.int64)
        single = answer(inputs, np.tile(used, (len(inputs), 1)))
        return np.asarray(np.einsum("ntk,nk...->nt...", cotangents[..., used], single), np.float32)

    def _cannot(self, capability: Capability) -> ModelError:
        return ModelError(f"The model {type(self).__name__} can't give {capability.value}.")
