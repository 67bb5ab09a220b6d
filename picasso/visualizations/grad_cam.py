"""Grad-CAM: each feature map is weighted by its average influence on the score.

Selvaraju et al., *Grad-CAM: visual explanations from deep networks via gradient-based localization*, arXiv 1610.02391.
"""

from __future__ import annotations

import numpy as np

from picasso.models.arrays import Array
from picasso.visualizations.class_activation import ClassActivation


class GradCAM(ClassActivation):
    """Weight each channel by the mean of its gradient: equations 1 and 2 of the paper."""

    DESCRIPTION = "Which coarse regions are evidence for a class, from any convolutional layer."
    REFERENCE_LINK = "https://arxiv.org/abs/1610.02391"

    @staticmethod
    def weigh(maps: Array, gradients: Array) -> Array:
        """Return ``sum over c of A_c * mean(G_c)``."""
        return np.asarray(maps @ gradients.mean(axis=(0, 1)))
