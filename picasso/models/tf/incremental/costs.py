"""A cost model of steps, in units of multiply-adds of a dense convolution.

The cost includes multiplications and memory accesses, because most operations of a network are limited by memory. Their
relative weights were measured: see ``python -m benchmarks costs``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod

from picasso.models.tf.incremental import winograd
from picasso.models.tf.incremental.intervals import Rectangles
from picasso.models.tf.incremental.steps import BY_PLACE, Kind, Network, Step

# The cost of reading or writing a number.
MOVED = 13.0
# The cost of gathering a number by a table, including the copy of the rectangles into the gathered tensor.
GATHERED = 40.0
# The cost of one multiply-add of a depthwise convolution, or of one with small groups of channels.
THIN = 4.0
# A convolution that sums over fewer channels counts as thin.
FEW_CHANNELS = 8
# The cost of computing a table entry for one place of a rectangle.
LOOKED_UP = 900.0
# The cost of starting the operations of a step, shared by all windows of a chunk. For whole images it is negligible,
# because their batches are large.
STARTED = 3e6


class Costs:
    """The cost of each step of a network.

    Args:
        network: the steps.
        shapes: the shapes of the tensors for one image, including the batch axis, if they are known.
    """

    def __init__(self, network: Network, shapes: Mapping[str, Sequence[int]]) -> None:
        self._network, self._shapes = network, shapes
        self._whole = {step.output: self._computed_whole(step) for step in network.steps}
        #: The cost of one whole image.
        self.whole = sum(self._whole.values())

    def window(self, rows: Rectangles, columns: Rectangles) -> float:
        """Return the cost of one window, without the cost shared by its chunk."""
        return sum(self._step(step, rows, columns) for step in self._network.steps)

    def shared(self) -> float:
        """Return the cost of a chunk without its windows: starting operations and copying clean maps."""
        network, total = self._network, 0.0
        for step in network.steps:
            total += STARTED
            for name in step.inputs:
                if name in network.places and self._gathers(step, name):
                    total += GATHERED * self._size(name)
        return total

    def _step(self, step: Step, rows: Rectangles, columns: Rectangles) -> float:
        """Return the cost of a step for one window."""
        network = self._network
        held = step.output in network.places
        if step.kind is Kind.COUNT or (step.kind is Kind.PAD and held):
            return 0.0

        def area(name: str) -> int:
            place = network.places[name]
            return rows[place][1] * columns[place][1]

        def channels(name: str) -> int:
            return network.shapes[name][-1]

        gathered = 0.0
        for name in step.inputs:
            if name not in network.places or not self._gathers(step, name):
                continue
            places = area(name)
            if step.kind is not Kind.MEAN:
                places = self._needed(step, name, rows, columns)
            gathered += LOOKED_UP * places + GATHERED * channels(name) * (places + area(name))
        if step.kind is Kind.MEAN and step.inputs[0] in network.places:
            return gathered + 2 * MOVED * channels(step.inputs[0]) * area(step.inputs[0])
        if not held:
            return gathered + self._whole[step.output]
        place = network.places[step.output]
        height, width = rows[place][1], columns[place][1]
        if step.tile:
            inputs, filters = network.shapes[step.inputs[0]][-1], step.shape[-1]
            return gathered + winograd.cost(step.tile, height, width, inputs, filters) / 2
        share = height * width / max(1, step.shape[0] * step.shape[1])
        return gathered + share * self._computed(step, behind=False)

    def _needed(self, step: Step, name: str, rows: Rectangles, columns: Rectangles) -> int:
        """Return the number of places of an input that a step gathers for one window."""
        network = self._network
        if step.output not in network.places:
            height, width, _ = network.shapes[name]
            return height * width
        place = network.places[step.output]
        height, width = rows[place][1], columns[place][1]
        if step.samples:
            down_taps, across_taps = (int(side.places.shape[1]) for side in step.samples)
            return height * down_taps * width * across_taps
        if step.slides:
            down, across = step.slides
            return ((height - 1) * down.stride + down.reach) * ((width - 1) * across.stride + across.reach)
        return height * width

    def _gathers(self, step: Step, name: str) -> bool:
        """Tell whether a step gathers an input by a table instead of using its rectangles directly."""
        network = self._network
        if step.kind is Kind.MEAN:
            return True
        if step.kind in (Kind.COUNT, Kind.PAD) and step.output in network.places:
            return False
        slides = step.slides is not None and step.slides != BY_PLACE
        moves = (slides or step.samples is not None) and step.output in network.places
        return moves or not network.aligned(step, name)

    def _computed_whole(self, step: Step) -> float:
        """Return the cost of a step for a whole image, including the normalizations folded into it."""
        if step.kind is Kind.COUNT:
            return 0.0
        return self._computed(step, behind=True)

    def _computed(self, step: Step, *, behind: bool) -> float:
        """Return the cost of a step for its complete output; with ``behind``, including folded normalizations."""
        size = self._size(step.output)
        moved = size + sum(self._size(name) for name in step.inputs) + (2 * size * step.behind if behind else 0)
        products = step.macs * (size // max(1, step.shape[-1])) if step.macs else 0
        shapes = [self._shapes.get(name) for name in (*step.inputs, step.output)]
        if step.count and None not in shapes:
            products = step.count(shapes[:-1], shapes[-1])
        return MOVED * moved + (THIN if step.thin else 1.0) * products

    def _size(self, name: str) -> int:
        """Return the number of elements of a tensor for one image; unknown axis lengths count as 1."""
        known = self._shapes.get(name)
        return prod(known) if known else prod(max(1, side) for side in self._network.shapes[name])
