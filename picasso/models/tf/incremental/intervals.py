"""The part of each feature map that a window changes, computed independently for rows and columns.

Intervals are half-open, ``[start, stop)``, and stored as two integer arrays with one element per window. Tensors that
change at the same places share the intervals of one of them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from picasso.models.tf.incremental.resampling import Samples
from picasso.models.tf.incremental.steps import Kind, Network, Slide

Ints = NDArray[np.int64]
Interval = tuple[Ints, Ints]
#: For each map, the starts of intervals of equal length, and that length.
Rectangles = dict[str, tuple[Ints, int]]


def changed(network: Network, spans: Interval, axis: int) -> dict[str, Interval]:
    """Return the exact changed interval of every map if the input changes in ``spans``.

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
        elif step.samples:
            start, stop = sampled(step.samples[axis], start, stop)
        elif step.slides:
            start, stop = behind(step.slides[axis], start, stop, step.shape[axis])
        found[step.output] = start, stop
    return found


def behind(slide: Slide, start: Ints, stop: Ints, length: int) -> Interval:
    """Return the changed interval of the output of a sliding window, extended to at least one place."""
    first = -((slide.reach - 1 - slide.before - start) // slide.stride)
    last = (stop - 1 + slide.before) // slide.stride
    first = np.clip(first, 0, length - 1)
    return first, np.clip(last + 1, first + 1, length)


def sampled(samples: Samples, start: Ints, stop: Ints) -> Interval:
    """Return the changed interval of the output of a resize, extended to at least one place."""
    length = len(samples.places)
    # The first place that reads a changed one, and the first place behind it that reads only places beyond.
    first = np.clip(np.searchsorted(samples.places[:, -1], start), 0, length - 1)
    last = np.searchsorted(samples.places[:, 0], stop)
    return first, np.clip(last, first + 1, length)


def common(network: Network, intervals: dict[str, Interval], members: Ints, axis: int) -> Rectangles:
    """Return, for each map, intervals of equal length that contain those of the windows ``members``."""
    found: Rectangles = {}
    moved = {step.output: step for step in network.steps if step.kind is Kind.PAD}
    for name, (start, stop) in intervals.items():
        if name in moved:
            # The rectangle of the padded map is that of its input, shifted.
            first, length = found[network.places[moved[name].inputs[0]]]
            found[name] = first + moved[name].shift[axis], length
        else:
            length = int((stop[members] - start[members]).max())
            found[name] = np.clip(start[members], 0, network.shapes[name][axis] - length), length
    return found
