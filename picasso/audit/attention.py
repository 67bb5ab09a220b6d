"""Coarse and fast attribution maps of many images, for interventions that must locate the object."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from scipy import ndimage

from picasso.audit.dataset import encoded, logits
from picasso.audit.properties import Images, Maps, blurred
from picasso.models.base import Model
from picasso.models.info import Capability

# The number of cells along each side of the occlusion maps of models without gradients.
CELLS = 6


def attention(model: Model, views: Images, target: int) -> Maps:
    """Return the attribution maps for a class, ``(n, H, W)``; each map sums to 1.

    The maps are the magnitude of gradient x (input - blurred input): the rate at which the logit falls as the image
    moves towards its blurred version. For a model without gradients, they are the drop of the logit when a cell is
    blurred.
    """
    height, width = views.shape[1:3]
    scale = min(height, width) / 24
    soft = blurred(views, 2 * scale)
    if Capability.GRADIENTS in model.capabilities:
        inputs, coarse = encoded(model, views), encoded(model, soft)
        found = np.abs(model.input_gradients(inputs, [target] * len(inputs)) * (inputs - coarse)).sum(axis=-1)
    else:
        found = hidden(model, views, soft, target)
    found = ndimage.gaussian_filter(found, (0, scale, scale)) + np.float32(1e-12)
    return np.asarray(found / found.sum(axis=(1, 2), keepdims=True), np.float32)


def looks(model: Model) -> int:
    """Return the number of model evaluations per attribution map."""
    return 1 if Capability.GRADIENTS in model.capabilities else CELLS**2 + 1


def hidden(model: Model, views: Images, soft: Images, target: int) -> Maps:
    """Return the drop of the logit of a class when each of ``CELLS x CELLS`` cells is hidden, ``(n, H, W)``."""
    count, height, width, _ = views.shape
    rows, columns = (np.linspace(0, side, CELLS + 1).round().astype(int) for side in (height, width))
    whole, found = logits(model, views)[:, target], np.zeros((count, height, width), np.float32)
    for top, bottom in pairwise(rows):
        for left, right in pairwise(columns):
            covered = views.copy()
            covered[:, top:bottom, left:right] = soft[:, top:bottom, left:right]
            lowered = np.maximum(0, whole - logits(model, covered)[:, target])
            found[:, top:bottom, left:right] = lowered[:, None, None]
    return found
