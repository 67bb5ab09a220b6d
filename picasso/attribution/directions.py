"""Channels, directions and cells of a layer as users write them: ``17``, ``3:1, 17:-0.5``, and ``4, 7``."""

from __future__ import annotations

import numpy as np

from picasso.errors import BadRequest
from picasso.models.info import Layer

__all__ = ["CELL", "CENTRE", "CHANNELS", "cell_of", "channels_of"]

NUMBER = r"[-+]?(\d+(\.\d*)?|\.\d+)(e[-+]?\d+)?"
CHANNEL = rf"\d{{1,9}}(\s*:\s*{NUMBER})?"
#: The regular expression of channels with weights.
CHANNELS = rf"{CHANNEL}(\s*,\s*{CHANNEL})*"
CENTRE = "centre"
#: The regular expression of a cell.
CELL = rf"{CENTRE}|\d{{1,9}}\s*,\s*\d{{1,9}}"


def channels_of(text: str, layer: Layer, field: str = "Channels") -> dict[int, float]:
    """Return the weight of each channel of a direction, by its index; without a weight, it is 1.

    Args:
        text: matches :data:`CHANNELS`.
        layer: the layer.
        field: the name of the setting, for messages.

    Raises:
        BadRequest: the layer has no such channel, one is named twice, or a weight is 0 or too large.

    Examples:
        >>> from picasso.attribution.directions import channels_of
        >>> from picasso.models.info import Layer
        >>> channels_of("3, 17:-0.5", Layer("conv", (7, 7, 64)))
        {3: 1.0, 17: -0.5}
    """
    found: dict[int, float] = {}
    for part in text.split(","):
        index, _, weight = (one.strip() for one in part.partition(":"))
        channel, number = int(index), float(weight or 1)
        if channel >= layer.shape[-1]:
            raise BadRequest(
                f"Layer {layer.name} has {layer.shape[-1]} channels, from 0 to {layer.shape[-1] - 1}, and no channel "
                f"{channel}. Choose some of these as {field}.",
                field=field,
            )
        if channel in found:
            raise BadRequest(f"{field} names channel {channel} more than once. Name each once.", field=field)
        if not 0 < abs(number) <= float(np.finfo(np.float32).max):
            raise BadRequest(
                f"The weight of channel {channel} in {field} must be a number other than 0 that 32 bits can hold, not "
                f"{weight}.",
                field=field,
            )
        found[channel] = number
    return found


def cell_of(text: str, layer: Layer, field: str = "Cell") -> tuple[int, int]:
    """Return the row and the column of a cell.

    Args:
        text: matches :data:`CELL`.
        layer: the layer.
        field: the name of the setting, for messages.

    Raises:
        BadRequest: the layer has no such cell.

    Examples:
        >>> from picasso.attribution.directions import cell_of
        >>> from picasso.models.info import Layer
        >>> cell_of("4, 6", Layer("conv", (7, 7, 64))), cell_of("centre", Layer("conv", (7, 7, 64)))
        ((4, 6), (3, 3))
    """
    rows, columns, _ = layer.shape
    if text == CENTRE:
        return rows // 2, columns // 2
    row, column = (int(one) for one in text.split(","))
    if row >= rows or column >= columns:
        raise BadRequest(
            f"Layer {layer.name} has {rows} x {columns} cells, rows 0 to {rows - 1} and columns 0 to {columns - 1}, "
            f"and none at {row}, {column}. Choose one of these as {field}.",
            field=field,
        )
    return row, column
