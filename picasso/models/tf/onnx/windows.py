"""The windows of convolutions and pools, which slide over the places of values with their channels last."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from picasso.models.tf.onnx.table import Node, Permuted, is_integer, lengths, rank, tensor
from picasso.models.tf.runtime import tf
from picasso.models.tf.translation import Untranslatable

Pads = list[tuple[int, int]]


def last_order(axes: int) -> tuple[int, ...]:
    """Return the order of the axes ``(N, C, ...)`` stored as ``(N, ..., C)``."""
    return (0, axes - 1, *range(1, axes - 1))


def channels_last(x: Any) -> Any:
    """Return ``(N, C, ...)`` as a tensor ``(N, ..., C)``."""
    order = last_order(rank(x))
    if isinstance(x, Permuted):
        moved = [x.order[axis] for axis in np.argsort(order)]
        return x.data if moved == sorted(moved) else tf.transpose(x.data, moved)
    return tf.transpose(tensor(x), np.argsort(order).tolist())


def channels_first(x: Any) -> Any:
    """Return a tensor ``(N, ..., C)`` as a value ``(N, C, ...)`` that is stored as it is."""
    return Permuted(x, last_order(rank(x)))


class Window:
    """The attributes of a window that slides over the places of a value ``(N, C, ...)``.

    Args:
        node: the operation.
        x: its input.
        kernel: the length of each side of the window.

    Attributes:
        kernel: the length of each side.
        strides: the distance between neighbouring windows along each axis.
        spread: the distance between neighbouring values of a window.
        pads: the places that are added before and after each axis.
        beyond: the further places at the end of each axis that rounding up the size of the result needs.
    """

    def __init__(self, node: Node, x: Any, kernel: Sequence[int]) -> None:
        axes = len(kernel)
        self.kernel = list(kernel)
        self.strides: list[int] = list(node.get("strides") or [1] * axes)
        self.spread: list[int] = list(node.get("dilations") or [1] * axes)
        self.sides = lengths(x)[2:]
        self.pads = self._padding(node)
        self.beyond = self._beyond() if node.get("ceil_mode", 0) else [0] * axes

    @property
    def spans(self) -> list[int]:
        """The length of each side with its gaps."""
        return [(width - 1) * step + 1 for width, step in zip(self.kernel, self.spread, strict=True)]

    @property
    def whole(self) -> Pads:
        """All places that are added before and after each axis."""
        return [(before, after + more) for (before, after), more in zip(self.pads, self.beyond, strict=True)]

    def known_sides(self) -> list[int]:
        """Return the lengths of the axes.

        Raises:
            Untranslatable: they depend on the image.
        """
        if not all(map(is_integer, self.sides)):
            raise Untranslatable("its result depends on the size of the image, which is not fixed")
        return [int(side) for side in self.sides]

    def _padding(self, node: Node) -> Pads:
        how, axes = node.get("auto_pad", "NOTSET"), len(self.kernel)
        if how == "NOTSET":
            pads = node.get("pads") or [0] * 2 * axes
            return list(zip(pads[:axes], pads[axes:], strict=True))
        if how == "VALID":
            return [(0, 0)] * axes
        found = self._same(self.known_sides())
        return [(more, less) for less, more in found] if how == "SAME_LOWER" else found

    def _beyond(self) -> list[int]:
        found = []
        for side, span, stride, (before, after) in zip(
            self.known_sides(), self.spans, self.strides, self.pads, strict=True
        ):
            rest = side + before + after - span
            count = -(-rest // stride) + 1
            # A window that begins beyond the padded image is left out.
            count -= (count - 1) * stride >= side + before
            found.append(max(0, (count - 1) * stride - rest))
        return found

    def padding(self) -> Any:
        """Return TensorFlow's argument for the padding of ``(N, H, W, C)``."""
        if not any(map(any, self.whole)):
            return "VALID"
        if all(map(is_integer, self.sides)) and self.whole == self._same(self.sides):
            return "SAME"
        return [[0, 0], *map(list, self.whole), [0, 0]]

    def _same(self, sides: Sequence[int]) -> Pads:
        """Return the padding with which as many windows fit as the stride allows, the larger part at the end."""
        found = []
        for side, span, stride in zip(sides, self.spans, self.strides, strict=True):
            total = max(0, (-(-side // stride) - 1) * stride + span - side)
            found.append((total // 2, total - total // 2))
        return found


def padded(images: Any, pads: Pads, value: float = 0.0) -> Any:
    """Return ``(N, ..., C)`` with places added around."""
    if not any(map(any, pads)):
        return images
    if value == 0:
        return tf.pad(images, [(0, 0), *pads, (0, 0)])
    return tf.pad(images, [(0, 0), *pads, (0, 0)], constant_values=tf.cast(value, images.dtype))
