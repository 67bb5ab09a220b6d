"""Find the token maps of a transformer in a graph: tensors ``(N, T, D)`` whose tokens lie on a grid on the image.

Where a token lies follows from the operations between the image and the tokens (see :mod:`picasso.models.tf.places`).
If these do not tell, it is measured which tokens change with which rows and columns of the image. Tokens that do not
lie on the grid, such as class tokens and registers, are left out.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping
from functools import reduce
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np

from picasso.models.arrays import Array, Shape, fill_up
from picasso.models.tf.feature_layers import FOLLOWING, FeatureLayer, consumers_of, layer_name, reach, sources
from picasso.models.tf.layouts import COLUMNS, ROWS, Factor, Layout, merged, place_in, plain, tokens_of
from picasso.models.tf.place_operations import sizes
from picasso.models.tf.places import WEIGHTED, Probe, Walk
from picasso.models.tf.probing import tried
from picasso.models.tokens import TokenGrid

log = logging.getLogger(__name__)

ADDITIONS = {"Add", "AddN", "AddV2"}
# The operations that a normalization consists of, and those that leave tokens out.
NORMALIZING = {*FOLLOWING, "Cast", "Mean", "Slice", "SquaredDifference", "StopGradient", "StridedSlice"}
#: The maximum number of tokens that are not on the grid.
EXTRA = 8
# The fraction of the tokens that must have gradients. Not all, because those of some may be rounded to 0.
LIVE = 0.5
# The maximum ratio of the sides of a cell for which a grid is tried.
OBLONG = 1.25

#: Returns a function that computes a tensor ``(n, ...)`` for inputs ``(n, H, W, C)``.
Compute = Callable[[Any], Callable[[Array], Array]]


class TokenMaps(NamedTuple):
    """The token maps of a transformer.

    Attributes:
        layers: the token maps by name, first to last.
        first: the tokens ``(N, T, D)`` that the first block is given; None if there are no blocks.
        layouts: the layouts of all tensors that depend on the image; None if there are no blocks.
    """

    layers: dict[str, FeatureLayer]
    first: Any = None
    layouts: Walk | None = None

    def among(self, layers: Mapping[str, FeatureLayer]) -> dict[str, FeatureLayer]:
        """Return layers with feature maps and, among them, these, first to last."""
        if not self.layers:
            return dict(layers)
        order = {one: place for place, one in enumerate(self.first.graph.get_operations())}
        return dict(sorted([*layers.items(), *self.layers.items()], key=lambda one: order[one[1].tensor.op]))


def token_maps(inputs: Any, scores: Any, known: Collection[str], probe: Probe, compute: Compute) -> TokenMaps:
    """Return the token maps between two operations.

    These are the results of residual blocks, and the same behind the normalizations that follow.

    Args:
        inputs: the input operation of the images.
        scores: the operation that computes the logits.
        known: the framework's names of its layers, which are used if possible.
        probe: measures the position of a tensor's values in the image if it can't be derived from the graph.
        compute: returns a function that computes a tensor.
    """
    downstream = reach(inputs, up=False)
    between = downstream & reach(scores, up=True)
    order = {one: place for place, one in enumerate(one for one in inputs.graph.get_operations() if one in between)}
    blocks = {one: inside for one in order if (inside := residual(one, order, downstream))}
    if not blocks:
        return TokenMaps({})
    layouts = Walk(inputs, probe)
    layouts.follow(downstream)
    first = min((one for one in sources(next(iter(blocks)), downstream)), key=lambda one: order[one])
    if grid_of(layouts, first.outputs[0]) is None and (assumed := measured(first.outputs[0], inputs, compute)):
        layouts = Walk(inputs, probe, {first: assumed})
        layouts.follow(downstream)
    found = {one: inside for one, inside in blocks.items() if grid_of(layouts, one.outputs[0])}
    normalized = [normalization(one, blocks, order, layouts) for one in found]
    found |= {inside[-1]: inside for inside in normalized if inside}
    layers: dict[str, FeatureLayer] = {}
    # A layer that contains a block of several additions gives its name to the last one.
    for operation, inside in sorted(found.items(), key=lambda one: -order[one[0]]):
        tensor = operation.outputs[0]
        layers[layer_name(operation.name, known, layers)] = FeatureLayer(tensor, inside, grid_of(layouts, tensor))
    return TokenMaps(dict(reversed(layers.items())), first.outputs[0], layouts)


def last_live(layers: Mapping[str, FeatureLayer], gradients: Callable[[str], Array]) -> str | None:
    """Return the last layer whose values all reach the scores, or None if there is none from the first token maps on.

    A head that reads only the class token ignores the other tokens of the last block.

    Args:
        layers: the layers by name, first to last, some of them token maps.
        gradients: returns the gradients of a score at a layer, ``(n, h, w, c)``.
    """
    names = list(layers)
    first = next(place for place, name in enumerate(names) if layers[name].grid)
    for name in reversed(names[first:]):
        if not layers[name].grid or float((gradients(name) != 0).any(axis=-1).mean()) > LIVE:
            return name
    return None


def residual(operation: Any, order: Mapping[Any, int], downstream: Collection[Any]) -> list[Any]:
    """Return the operations of a block that an operation adds to the block's input, itself included; [] if none.

    A block contains a product with weights. Normalizations and activations may end in an addition of two terms, too,
    but in the former no term depends on the other, and neither has a product.

    Args:
        operation: an operation in ``order``.
        order: the operations between the input and the scores, with their positions in a topological order.
        downstream: all operations that depend on the image.
    """
    tensor = operation.outputs[0]
    if operation.type not in ADDITIONS or tensor.shape.rank != 3 or not tensor.dtype.is_floating:
        return []
    terms = sources(operation, downstream)
    if len(terms) < 2 or not terms <= order.keys():
        return []
    start = min(terms, key=lambda one: order[one])
    inside, waiting, closed = {operation}, list(terms - {start}), False
    while waiting:
        current = waiting.pop()
        closed |= current is start
        if current not in inside and order.get(current, -1) > order[start]:
            inside.add(current)
            waiting += [tensor.op for tensor in current.inputs]
    whole = closed and any(one.type in WEIGHTED for one in inside)
    return sorted(inside, key=lambda one: order[one]) if whole else []


def normalization(operation: Any, blocks: Collection[Any], order: Mapping[Any, int], layouts: Walk) -> list[Any]:
    """Return the operations on all tokens that follow a block before the next product with weights; [] if none.

    If a token is read only through a normalization, which ignores its length, its product with its gradient is 0: the
    maps of some methods are empty before it, and right behind it.

    Args:
        operation: the last operation of the block.
        blocks: the last operations of all blocks.
        order: the operations between the input and the scores, with their positions in a topological order.
        layouts: the layouts of all tensors.
    """
    width = sizes(operation.outputs[0])[-1]
    inside, waiting = {operation}, [operation]
    while waiting:
        for one in consumers_of(waiting.pop(), order):
            inner = one not in inside and one not in blocks and one.type in NORMALIZING
            if inner and one.outputs[0].shape.rank == 3:
                inside.add(one)
                waiting.append(one)
    on_grid = [one for one in inside if sizes(one.outputs[0])[-1] == width and grid_of(layouts, one.outputs[0])]
    last = max(order[one] for one in on_grid)
    return sorted((one for one in inside - {operation} if order[one] <= last), key=lambda one: order[one])


def grid_of(layouts: Walk, tensor: Any) -> TokenGrid | None:
    """Return the grid of the tokens of a tensor ``(N, T, D)``, or None if it has none."""
    layout, shape = layouts.layout(tensor), sizes(tensor)
    if layout is None or len(layout) != 3 or len(shape) != 3 or None in shape[1:]:
        return None
    tokens = tokens_of(layout[1])
    if tokens is None:
        return None
    first, factors = tokens
    # Rows or columns may have several factors, for example after windows were put together again.
    parts = [reduce(merged, list(same)) for _, same in groupby(factors, key=lambda factor: factor.side)]
    if len(parts) != 2 or (place := place_in(*parts)) is None:
        return None
    (height, width), count = (part.size or 1 for part in parts), shape[1] or 0
    return TokenGrid(count, first, height, width, place) if count - height * width <= EXTRA else None


def measured(tensor: Any, inputs: Any, compute: Compute) -> Layout | None:
    """Return the layout of tokens ``(N, T, D)`` of which none depends on the whole image, or None if it has no grid.

    Class tokens and registers are those that do not depend on the image.
    """
    count, (batch, *image) = sizes(tensor)[1], sizes(inputs.outputs[0])
    if count is None or count < 4:
        return None
    shape: Shape = (image[0] or 0, image[1] or 0, image[2] or 0)
    noise = np.random.default_rng(0).random((2, *shape), np.float32) * np.float32(255)
    try:
        answer = compute(tensor)
        answers = answer(fill_up(noise, batch) if batch else noise)[:2]
    except Exception:
        log.info("where the tokens of %s come from can't be measured", tensor.name, exc_info=True)
        return None
    varying = np.flatnonzero((answers[0] != answers[1]).any(axis=-1))
    if len(varying) < 4 or len(varying) < count - EXTRA or varying[-1] - varying[0] + 1 != len(varying):
        return None
    first, some = int(varying[0]), len(varying)
    for height in (height for height in range(2, some // 2 + 1) if some % height == 0):
        grid = TokenGrid(count, first, height, some // height)
        cell = (shape[0] / grid.height) / (shape[1] / grid.width)
        if not 1 / OBLONG <= cell <= OBLONG:
            continue
        place = tried(lambda images, grid=grid: grid.maps(answer(images)), shape, batch)  # type: ignore[misc]
        if place:
            sides = zip((grid.height, grid.width), (ROWS, COLUMNS), place.start, place.step, strict=True)
            factors = tuple(Factor(*side) for side in sides)
            axis = factors if some == count else (Factor(count, grid=factors, first=first),)
            return (plain(batch), axis, plain(sizes(tensor)[2]))
    return None
