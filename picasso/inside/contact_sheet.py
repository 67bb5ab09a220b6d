"""The channels of a layer for one image: how strong each is, how much it speaks for a target, and in which order."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from picasso.errors import BadRequest
from picasso.inside.exemplars import centre
from picasso.models.arrays import Array
from picasso.models.base import Model
from picasso.models.info import Layer
from picasso.targets import Target

#: The orders of channels, with what comes first.
ORDERS = {
    "relevance": "speak most for the target",
    "against": "speak most against the target",
    "activation": "are strongest",
    "region": "respond to a region",
}
# A channel that varies less than this share of the one that varies most responds to no region.
SILENT = 1e-3

#: A part of an image in fractions of its sides: left, top, right, bottom.
Region = tuple[float, float, float, float]


@dataclass(frozen=True)
class ContactSheet:
    """All channels of a layer for one image.

    Attributes:
        layer: the layer.
        maps: the feature maps, ``(h, w, c)``.
        activations: the mean of each channel, ``(c,)``.
        relevances: the sum of each channel times the gradient of the score of the target, ``(c,)``; None without a
            target.
        size: the height and width of the image as the model sees it.

    Examples:
        >>> import numpy as np
        >>> from picasso.examples.brightness import BrightnessModel
        >>> from picasso.inside.contact_sheet import contact_sheet
        >>> model = BrightnessModel()
        >>> model.load(channels=3)
        >>> image = np.zeros((1, 8, 8, 3), np.float32)
        >>> image[0, :, :4, 1] = 1
        >>> sheet = contact_sheet(model, image, None)
        >>> sheet.order("region", (0, 0, 0.5, 1)).tolist(), sheet.activations.tolist()
        ([1, 0, 2], [0.0, 0.5, 0.0])
    """

    layer: Layer
    maps: Array
    activations: NDArray[np.float64]
    relevances: NDArray[np.float64] | None
    size: tuple[int, int]

    def order(self, by: str, region: Region | None = None) -> NDArray[np.int64]:
        """Return the channels in an order of :data:`ORDERS`; of equal ones, the first comes first.

        Args:
            by: the name of the order.
            region: a part of the image, for the order "region".

        Raises:
            BadRequest: there is no such order, or it needs a target or a region.
        """
        if by not in ORDERS:
            raise BadRequest(f"The order must be one of {', '.join(ORDERS)}, not {by[:40]!r}.", field="order")
        if by == "activation":
            values = self.activations
        elif by == "region":
            if region is None:
                raise BadRequest("The order by region needs a region: left, top, right, bottom.", field="region")
            left, top, right, bottom = region
            if left > right or top > bottom:
                raise BadRequest(
                    "The region must be left, top, right, bottom, with left at most right, and top at most bottom.",
                    field="region",
                )
            values = self.contrasts(region)
        elif self.relevances is None:
            raise BadRequest("There is nothing to be relevant for: the model predicts nothing here.", field="target")
        else:
            values = self.relevances if by == "relevance" else -self.relevances
        return np.argsort(-values, kind="stable")

    def contrasts(self, region: Region) -> NDArray[np.float64]:
        """Return by how much each channel is stronger in a part of the image than elsewhere, ``(c,)``.

        It is the difference of the means, in standard deviations over all cells. A channel that hardly varies has 0.
        """
        inside = cells_in(self.layer, self.size, region)
        maps = self.maps.astype(np.float64)
        spread = maps.std(axis=(0, 1))
        if inside.all():
            return self.activations
        differences = maps[inside].mean(axis=0) - maps[~inside].mean(axis=0)
        varies = spread > SILENT * max(float(spread.max()), float(np.finfo(np.float32).tiny))
        return np.where(varies, differences / np.where(varies, spread, 1), 0)


def contact_sheet(model: Model, inputs: Array, layer: Layer | None, target: Target | None = None) -> ContactSheet:
    """Return the channels of a layer for one image.

    Args:
        model: the model.
        inputs: the image as the model takes it, ``(1, H, W, C)``.
        layer: the layer; None for the last one before the head.
        target: what the relevances are about; None for none.

    Raises:
        ModelError: the model can't compute it.
    """
    described = layer or next(one for one in model.layers() if one.name == model.layer(None))
    if target is None:
        maps, relevances = model.feature_maps(inputs, described.name)[0], None
    else:
        found, gradients = model.features(inputs, [target], described.name)
        maps, (gradient,) = found[0], next(gradients)
        relevances = (maps.astype(np.float64) * gradient).sum(axis=(0, 1))
    size = inputs.shape[1], inputs.shape[2]
    return ContactSheet(described, maps, maps.mean(axis=(0, 1), dtype=np.float64), relevances, size)


def cells_in(layer: Layer, size: tuple[int, int], region: Region) -> NDArray[np.bool_]:
    """Return which cells ``(h, w)`` of a layer have their centre in a part of the image; at least the nearest one.

    Args:
        layer: the layer.
        size: the height and width of the image as the model sees it.
        region: left, top, right, bottom, in fractions of the sides.
    """
    rows, columns, _ = layer.shape
    places = np.empty((rows, columns, 2))
    for row, column in np.ndindex(rows, columns):
        if layer.place is None:
            places[row, column] = (row + 0.5) / rows, (column + 0.5) / columns
        else:
            places[row, column] = np.divide(centre(layer.place, (row, column)), size)
    left, top, right, bottom = region
    inside = (places >= (top, left)).all(axis=-1) & (places <= (bottom, right)).all(axis=-1)
    if not inside.any():
        away = ((places - ((top + bottom) / 2, (left + right) / 2)) ** 2).sum(axis=-1)
        inside.flat[int(away.argmin())] = True
    return np.asarray(inside, bool)
