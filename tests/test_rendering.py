"""Arrays to pictures: scales, flat maps, alignment with the picture below."""

from __future__ import annotations

import matplotlib
import numpy as np
import pytest

from picasso import rendering
from picasso.panels import Panel

VIEW = np.zeros((6, 9), np.uint8)


def colour(name: str, value: float) -> list[int]:
    return [round(channel * 255) for channel in matplotlib.colormaps[name](value)[:3]]


def test_the_ends_of_the_scale_have_the_ends_of_the_colour_map() -> None:
    painted = rendering.paint(Panel("x", np.array([[0.0, 1.0, 2.0]], np.float32), value_range=(0.0, 1.0)))
    low, high = colour("viridis", 0.0), colour("viridis", 1.0)
    np.testing.assert_allclose(painted[0], [low, high, high], atol=1)


def test_signed_maps_have_zero_in_the_middle() -> None:
    panel = Panel("x", np.array([[-1.0, 0.0, 4.0]], np.float32), signed=True)
    assert panel.scale() == (-4.0, 4.0)
    painted = rendering.paint(panel)
    np.testing.assert_allclose(painted[0, 1], colour("RdBu_r", 0.5), atol=2)


def test_scales_of_magnitudes_start_at_zero() -> None:
    assert Panel("x", np.array([[2.0, 3.0]], np.float32)).scale() == (0.0, 3.0)


@pytest.mark.parametrize("value", [0.0, -2.5, 7.0])
def test_flat_maps_are_drawn_and_labelled(value: float) -> None:
    panel = Panel("x", np.full((3, 3), value, np.float32))
    assert rendering.draw(panel, VIEW).size == (315, 210)
    assert panel.describe()["flat"] is True


def test_a_map_covers_exactly_the_picture() -> None:
    array = np.zeros((2, 3), np.float32)
    array[1, 2] = 1
    drawn = np.asarray(rendering.draw(Panel("x", array), VIEW))
    assert drawn.shape == (210, 315, 3)
    bright = (drawn == drawn[-1, -1]).all(axis=-1)
    assert bright[105:, 210:].all()
    assert bright.sum() == 105 * 105


def test_transparency_lets_the_picture_through() -> None:
    view = np.full((6, 9), 200, np.uint8)
    array = np.array([[0.0, 1.0]], np.float32)
    opaque, half = (np.asarray(rendering.draw(Panel("x", array, transparency=t), view), float) for t in (0.0, 0.5))
    np.testing.assert_allclose(half, (opaque + 200) / 2, atol=1)


def test_pictures_are_drawn_as_they_are() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (4, 5, 3), np.uint8)
    drawn = np.asarray(rendering.draw(Panel("x", pixels), VIEW))
    assert drawn.shape == (256, 320, 3)
    np.testing.assert_array_equal(drawn[::64, ::64], pixels)


def test_the_colour_bar_runs_from_low_to_high() -> None:
    bar = np.asarray(rendering.colour_bar(Panel("x", np.zeros((1, 1), np.float32))))
    assert bar.shape == (12, 256, 3)
    np.testing.assert_allclose(bar[0, [0, -1]], [colour("viridis", 0.0), colour("viridis", 1.0)], atol=1)
