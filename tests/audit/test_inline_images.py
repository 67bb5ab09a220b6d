"""Coordinates of charts and colours of maps."""

from __future__ import annotations

import base64
import io

import numpy as np
from PIL import Image

from picasso.audit.reporting import charts, inline_images
from picasso.explanation.render import table


def test_a_scale_draws_what_is_beyond_it_at_its_edge() -> None:
    scale = charts.Scale(-0.5, 1.5)
    assert [scale.at(value) for value in (-9, -0.5, 0, 0.5, 1.5, 9)] == [0, 0, 25, 50, 100, 100]


def test_a_heat_map_has_the_colours_of_its_scale() -> None:
    drawn = inline_images.heat_map(np.array([[0.0, 0.5], [1.0, 2.0]]), high=1.0)
    assert (drawn["high"], drawn["ratio"], drawn["pixels"]) == (1.0, 1.0, True)
    colours = np.asarray(_image(inline_images.scale()))[0]
    np.testing.assert_array_equal(colours, table("warm"))
    pixels = np.asarray(_image(drawn["src"]))
    assert pixels[0, 0].tolist() == colours[0].tolist()
    assert pixels[1, 0].tolist() == pixels[1, 1].tolist() == colours[255].tolist()
    # Large maps are drawn with fewer cells.
    large = inline_images.heat_map(np.random.default_rng(0).random((448, 224)))
    assert _image(large["src"]).size == (inline_images.MAP, inline_images.MAP)
    assert large["ratio"] == 0.5


def _image(address: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2])))
