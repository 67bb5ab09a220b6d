"""LayerCAM: every value is multiplied by its own positive gradient, so that early layers can be used too.

Jiang et al., *LayerCAM: exploring hierarchical class activation maps for localization*, IEEE Transactions on Image
Processing 30 (2021), doi 10.1109/TIP.2021.3089943.
"""

from __future__ import annotations

import numpy as np

from picasso.models.arrays import Array
from picasso.visualizations.class_activation import ClassActivation


class LayerCAM(ClassActivation):
    """Multiply every value by its positive gradient and sum over the channels."""

    DESCRIPTION = "Like Grad-CAM, but also for early layers: finer maps of the evidence for a class."
    REFERENCE_LINK = "https://doi.org/10.1109/TIP.2021.3089943"

    @staticmethod
    def weigh(maps: Array, gradients: Array) -> Array:
        """Return ``sum over c of A_c * relu(G_c)``."""
        return np.asarray((maps * np.maximum(gradients, 0)).sum(axis=-1))
