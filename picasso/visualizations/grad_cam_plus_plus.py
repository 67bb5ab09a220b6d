"""Grad-CAM++: positions that share their evidence with few others weigh more, so that several objects are visible.

Chattopadhay et al., *Grad-CAM++: improved visual explanations for deep convolutional networks*, arXiv 1710.11063.
"""

from __future__ import annotations

import numpy as np

from picasso.models.arrays import Array
from picasso.visualizations.class_activation import ClassActivation


class GradCAMPlusPlus(ClassActivation):
    """Weight each channel by its positive gradients, each multiplied by its share ``alpha``.

    As in the paper, the score is the exponential of the logit, whose second and third derivatives are powers of the
    first; its value, the same factor everywhere, is left out.
    """

    DESCRIPTION = "Like Grad-CAM, but several objects of a class, and small parts of them, are all highlighted."
    REFERENCE_LINK = "https://arxiv.org/abs/1710.11063"

    @staticmethod
    def weigh(maps: Array, gradients: Array) -> Array:
        """Return ``sum over c of A_c * sum(alpha * relu(G_c))``, alpha = G^2 / (2 G^2 + G^3 sum(A_c))."""
        squares = gradients**2
        denominator = 2 * squares + squares * gradients * maps.sum(axis=(0, 1))
        # A position without a gradient has the share 0, whatever the denominator.
        alpha = np.divide(squares, denominator, out=np.zeros_like(squares), where=denominator != 0)
        return np.asarray(maps @ (alpha * np.maximum(gradients, 0)).sum(axis=(0, 1)))
