"""Deletion and insertion: how a predicted value changes while pixels are hidden, or shown, in the order of a map.

Petsiuk, Das & Saenko, *RISE: randomized input sampling for explanation of black-box models*, arXiv 1806.07421,
section 4.1: pixels are hidden by a constant fill, and shown on a blurred image; areas under the curves are compared.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from picasso.models.base import Model
from picasso.targets import Target
from picasso.visualizations.base import Input
from picasso.visualizations.panel import Panel

#: The number of steps of a curve: each hides or shows 1 % of the pixels.
STEPS = 100
#: The fill under which pixels are hidden, and the one on which they are shown.
HIDING, SHOWING = "grey", "blur"
#: What is done to the pixels, and the fill of each.
DELETION, INSERTION = KINDS = "deletion", "insertion"
FILLS = {DELETION: HIDING, INSERTION: SHOWING}
#: The names of the orders of a curve: that of the map, and the controls.
MAP, *CONTROLS = ORDERS = "map", "random map", "edge detector"
RANDOM, EDGES = CONTROLS

#: The rank of each pixel, ``(H, W)``: 0 for the one that speaks most for the target.
Ranks = NDArray[np.int64]


@dataclass(frozen=True)
class Curve:
    """How a predicted value changes with the share of the pixels that are hidden or shown in some order.

    Attributes:
        order: whose order it is: :data:`MAP`, :data:`RANDOM` or :data:`EDGES`.
        deletion: the value after each step of hiding pixels under grey, in the unit of the target.
        insertion: the value after each step of showing pixels on the blurred image.

    Examples:
        >>> from picasso.grading.curves import Curve
        >>> curve = Curve("map", deletion=(1.0, 0.0, 0.0), insertion=(0.0, 1.0, 1.0))
        >>> curve.deletion_area, curve.insertion_area, curve.score
        (0.25, 0.75, 0.5)
    """

    order: str
    deletion: tuple[float, ...]
    insertion: tuple[float, ...]

    @property
    def deletion_area(self) -> float:
        """The area under the deletion curve over shares from 0 to 1; low if the map finds what the model needs."""
        return area(self.deletion)

    @property
    def insertion_area(self) -> float:
        """The area under the insertion curve; high if the map finds what suffices for the model."""
        return area(self.insertion)

    @property
    def score(self) -> float:
        """The insertion area minus the deletion area; the higher, the better."""
        return self.insertion_area - self.deletion_area

    def as_dict(self) -> dict[str, Any]:
        """Return the curve and its areas as JSON-ready values."""
        areas = {"deletion_area": self.deletion_area, "insertion_area": self.insertion_area, "score": self.score}
        return {"order": self.order, "deletion": list(self.deletion), "insertion": list(self.insertion), **areas}


def area(values: tuple[float, ...]) -> float:
    """Return the area under a curve whose values are at equal distances from 0 to 1, by the trapezoidal rule."""
    return float(np.trapezoid(values, dx=1 / (len(values) - 1)))


def ranks_of(values: NDArray[Any]) -> Ranks:
    """Return the rank of each value of an array ``(H, W)``: 0 for the largest; equal values keep their order.

    Examples:
        >>> import numpy as np
        >>> from picasso.grading.curves import ranks_of
        >>> ranks_of(np.array([[1.0, 3.0], [2.0, 3.0]])).tolist()
        [[3, 0], [2, 1]]
    """
    ranks = np.empty(values.size, np.int64)
    ranks[np.argsort(-values.ravel(), kind="stable")] = np.arange(values.size)
    return ranks.reshape(values.shape)


def order_of(panel: Panel, size: tuple[int, int]) -> Ranks:
    """Return the order of the pixels of an image of ``size`` (W, H) according to a map, which is interpolated."""
    values = np.asarray(panel.array, np.float32) * (-1 if panel.falling else 1)
    return ranks_of(np.asarray(Image.fromarray(values).resize(size, Image.Resampling.BILINEAR)))


def edges(view: Image.Image) -> Ranks:
    """Return the order of the pixels by the magnitude of Sobel's gradient of the luminance."""
    # Imported here, because the web server reads rankings and needs no SciPy.
    from scipy import ndimage

    grey = np.asarray(view.convert("L"), np.float32)
    return ranks_of(np.hypot(ndimage.sobel(grey, axis=0), ndimage.sobel(grey, axis=1)))


def at_random(size: tuple[int, int], seed: int) -> Ranks:
    """Return a random order of the pixels of an image of ``size`` (W, H)."""
    width, height = size
    return np.random.default_rng(seed).permutation(width * height).reshape(height, width)


def controls(view: Image.Image, seed: int) -> dict[str, Ranks]:
    """Return the two orders that know nothing of the model."""
    return {RANDOM: at_random(view.size, seed), EDGES: edges(view)}


def curves(
    model: Model,
    image: Input,
    target: Target,
    orders: Mapping[str, Ranks],
    report: Callable[[float], None],
    steps: int = STEPS,
    kinds: Sequence[str] = KINDS,
) -> list[Curve]:
    """Return the deletion and insertion curves of an image in several orders.

    Both ends of a curve do not depend on the order and are predicted once.

    Args:
        model: the model.
        image: the image.
        target: what is predicted.
        orders: the orders of the pixels by name.
        report: called with the finished fraction after each batch.
        steps: the number of steps; fewer if the image has fewer pixels.
        kinds: which of both curves to measure; the other one stays empty.
    """
    pixels = image.view.width * image.view.height
    steps = min(steps, pixels)
    bounds = np.rint(np.arange(steps + 1) * (pixels / steps))
    inner, size = bounds[1:-1], model.batch_size
    total, done = len(kinds) * len(orders) * max(1, -(-len(inner) // size)), 0
    found = {name: dict[str, tuple[float, ...]](deletion=(), insertion=()) for name in orders}
    whole = float(model.values(image.array[None], [target])[0, 0])
    for kind in kinds:
        covering = image.covering(model, FILLS[kind])
        nothing = np.zeros((1, image.view.height, image.view.width), np.bool_)
        empty = float(model.values(covering.seen(nothing), [target])[0, 0])
        for name, ranks in orders.items():
            values: list[float] = []
            for start in range(0, len(inner), size):
                reached = ranks[None] < inner[start : start + size, None, None]
                seen = covering.seen(~reached if kind == DELETION else reached)
                values += model.values(seen, [target])[:, 0].tolist()
                done += 1
                report(done / total)
            first, last = (whole, empty) if kind == DELETION else (empty, whole)
            found[name][kind] = (first, *values, last)
    return [Curve(name, **one) for name, one in found.items()]
