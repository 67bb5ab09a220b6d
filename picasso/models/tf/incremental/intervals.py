"""Which part of each feature map a window changes. Rows and columns are independent, so all is one-dimensional.

Intervals are half open, ``[start, stop)``, one for each window: pairs of integer arrays. They are kept for one tensor
of those that change at the same places.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from picasso.models.tf.incremental.steps import Kind, Network, Slide

Ints = NDArray[np.int64]
Interval = tuple[Ints, Ints]
#: Of each map the starts of intervals that all have one length, and that length.
Rectangles = dict[str, tuple[Ints, int]]


def changed(network: Network, spans: Interval, axis: int) -> dict[str, Interval]:
    """Return the exact interval of every map that changes when the input changes in ``spans``.

    Args:
        network: the steps.
        spans: the windows along this axis.
        axis: 0 for rows, 1 for columns.
    """
    found = {network.source: spans}
    for step in network.steps:
        if network.places.get(step.output) != step.output:
            continue
        known = [found[network.places[name]] for name in step.inputs]
        start, stop = known[0]
        if step.kind is Kind.JOIN:
            start, stop = np.min([one[0] for one in known], axis=0), np.max([one[1] for one in known], axis=0)
        elif step.kind is Kind.PAD:
            start, stop = start + step.shift[axis], stop + step.shift[axis]
        elif step.slides:
            start, stop = behind(step.slides[axis], start, stop, step.shape[axis])
        found[step.output] = start, stop
    return found


def behind(slide: Slide, start: Ints, stop: Ints, length: int) -> Interval:
    """Return where the output of a sliding window changes if its input does; at least one place, to be simple."""
    first = -((slide.reach - 1 - slide.before - start) // slide.stride)
    last = (stop - 1 + slide.before) // slide.stride
    first = np.clip(first, 0, length - 1)
    return first, np.clip(last + 1, first + 1, length)


def common(network: Network, intervals: dict[str, Interval], members: Ints, axis: int) -> Rectangles:
    """Return for some windows the start of an interval of the same length around each of theirs, and that length."""
    found: Rectangles = {}
    moved = {step.output: step for step in network.steps if step.kind is Kind.PAD}
    for name, (start, stop) in intervals.items():
        if name in moved:
            # What is held is the rectangle of the input, so this is the same one at another place.
            first, length = found[network.places[moved[name].inputs[0]]]
            found[name] = first + moved[name].shift[axis], length
        else:
            length = int((stop[members] - start[members]).max())
            found[name] = np.clip(start[members], 0, network.shapes[name][axis] - length), length
    return found
