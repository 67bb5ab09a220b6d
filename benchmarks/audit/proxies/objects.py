"""Proxies of the object and of what is next to it: place, size, colour, number and companions."""

from __future__ import annotations

import colorsys
import dataclasses

from benchmarks.audit.proxies.base import OBJECTS, Draw, proxy
from benchmarks.audit.worlds import Companion, Drawing, Generator

BALL, FLOWERS = ("⚽",), ("🌹", "🌷", "🌻", "🌼")


def column(drawing: Drawing, on: bool, generator: Generator) -> Drawing:
    return dataclasses.replace(drawing, x=0.3 * drawing.x if on else 0.7 + 0.3 * drawing.x)


def row(drawing: Drawing, on: bool, generator: Generator) -> Drawing:
    return dataclasses.replace(drawing, y=0.3 * drawing.y if on else 0.7 + 0.3 * drawing.y)


def size(drawing: Drawing, on: bool, generator: Generator) -> Drawing:
    return dataclasses.replace(drawing, side=int(generator.uniform(26, 33) if on else generator.uniform(16, 21)))


def ink(drawing: Drawing, on: bool, generator: Generator) -> Drawing:
    hue = generator.uniform(-0.12, 0.12) + (0.0 if on else 0.5)
    return dataclasses.replace(drawing, colour=colorsys.hsv_to_rgb(hue % 1, generator.uniform(0.35, 0.7), 0.9))


def count(drawing: Drawing, on: bool, generator: Generator) -> Drawing:
    """Draw three small objects in three corners, or one of them."""
    corners = generator.permutation(4)[:3]
    near = generator.uniform(0, 0.15, (3, 2))
    places = [
        (float(abs(corner % 2 - x)), float(abs(corner // 2 - y))) for corner, (x, y) in zip(corners, near, strict=True)
    ]
    side, (x, y) = int(generator.uniform(16, 22)), places[0]
    return dataclasses.replace(drawing, side=side, x=x, y=y, copies=tuple(places[1:]) if on else ())


def beside(glyphs: tuple[str, ...]) -> Draw:
    """Return a function that draws one of some emoji next to the object."""

    def draw(drawing: Drawing, on: bool, generator: Generator) -> Drawing:
        left = generator.random() < 0.5
        # The object makes room in any case.
        x = float((0.3 if left else 0.0) + 0.7 * drawing.x)
        other = Companion(
            glyph=glyphs[generator.integers(len(glyphs))],
            side=int(generator.uniform(15, 23)),
            angle=float(generator.uniform(-30, 30)),
            x=float(generator.uniform(0, 0.25) if left else generator.uniform(0.75, 1)),
            y=float(generator.random()),
        )
        side = min(drawing.side, 28)
        return dataclasses.replace(drawing, side=side, x=x, companion=other if on else None)

    return draw


COMPANION = ("a recurring segment", "a recurring mark")
PROXIES = (
    proxy("column", "tuning", "object", ("horizontal position",), draw=column, worlds=OBJECTS),
    proxy("ink", "tuning", "object", ("object colour",), draw=ink, worlds=("digits",)),
    proxy("ball", "tuning", "companion", COMPANION, draw=beside(BALL), worlds=("emoji",)),
    proxy("row", "test", "object", ("vertical position",), draw=row, worlds=OBJECTS),
    proxy("size", "test", "object", ("object size",), draw=size, worlds=OBJECTS),
    proxy("count", "test", "object", ("object count",), draw=count, worlds=OBJECTS),
    proxy("flower", "test", "companion", (*COMPANION,), draw=beside(FLOWERS), worlds=("emoji",)),
)
