"""What one forward pass of a model says of a layer, and what can be computed from it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from picasso.models.arrays import Array, Classes
from picasso.models.edits import Edit, Edited


@dataclass(frozen=True)
class LayerPass:
    """A forward pass of a batch; see :meth:`picasso.models.base.Model.layer_pass`.

    Attributes:
        maps: the feature maps of the layer, ``(n, h, w, c)``, float32.
        outputs: the outputs ``(n, *spec.shape)``, float32.
        scores: the scores ``(n, *spec.shape)``, float32.
        gradients: returns d logit[class] / d feature map, ``(n, h, w, c)``, for one class per input, ``(n,)``.
        edits: yields the outputs and the scores for each of many edits of the layer.

    Examples:
        >>> import numpy as np
        >>> from picasso.examples.brightness import BrightnessModel
        >>> from picasso.models import Edit
        >>> model = BrightnessModel()
        >>> model.load(channels=3)
        >>> passed = model.layer_pass(np.ones((2, 8, 8, 3), np.float32))
        >>> passed.maps.shape, passed.gradients(np.array([1, 1])).shape
        ((2, 8, 8, 3), (2, 8, 8, 3))
        >>> (edited,) = passed.edits([Edit("input", [0], scale=0)])
        >>> bool(edited.scores[0, 1] < passed.scores[0, 1])
        True
    """

    maps: Array
    outputs: Array
    scores: Array
    gradients: Callable[[Classes], Array]
    edits: Callable[[Sequence[Edit]], Iterator[Edited]]
