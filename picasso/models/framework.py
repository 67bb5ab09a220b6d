"""The interface that a framework implements: predictions and gradients of one batch, as NumPy arrays."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np

from picasso.errors import ModelError
from picasso.models.arrays import Array, Classes
from picasso.models.info import Capability


class Framework(ABC):
    """The part of a model that differs between frameworks.

    A class lists in its ``capabilities`` what it implements; the other methods raise a ModelError.
    """

    @abstractmethod
    def batch_probabilities(self, inputs: Array) -> Array:
        """Return the probabilities ``(n, K)``, 0..1, of one batch of at most :attr:`batch_size` inputs."""

    def batch_logits(self, inputs: Array) -> Array:
        """Return the logits ``(n, K)`` of one batch."""
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

    def _cannot(self, capability: Capability) -> ModelError:
        return ModelError(f"The model {type(self).__name__} can't give {capability.value}.")
