"""HiResCAM: every value is multiplied by its own gradient, so that the map shows only contributions to the score.

Draelos & Carin, *Use HiResCAM instead of Grad-CAM for faithful explanations of convolutional neural networks*,
arXiv 2011.08891.
"""

from __future__ import annotations

import numpy as np

from picasso.models.arrays import Array
from picasso.visualizations.class_activation import ClassActivation


class HiResCAM(ClassActivation):
    """Multiply every value by its gradient and sum over the channels."""

    DESCRIPTION = "Like Grad-CAM, but faithful at each position: gradients are not averaged over the image."
    REFERENCE_LINK = "https://arxiv.org/abs/2011.08891"

    @staticmethod
    def weigh(maps: Array, gradients: Array) -> Array:
        """Return ``sum over c of A_c * G_c``."""
        return np.asarray((maps * gradients).sum(axis=-1))
