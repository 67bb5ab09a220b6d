"""Arrays to images: scales, flat maps, alignment with the image below."""

from __future__ import annotations

import matplotlib
import numpy as np
import pytest

from picasso.explanation import render
from picasso.visualizations.panel import Panel, rounding

VIEW = np.zeros((6, 9), np.uint8)


def colour(name: str, value: float) -> list[int]:
    return [round(channel * 255) for channel in matplotlib.colormaps[name](value)[:3]]


@pytest.mark.parametrize("name", [*render.SEQUENTIAL, *render.DIVERGING])
def test_colours_are_those_of_matplotlib(name: str) -> None:
    values = np.linspace(0, 1, 1025, dtype=np.float32)[None]
    expected = matplotlib.colormaps[name](values, bytes=True)[..., :3]
    np.testing.assert_array_equal(render.table(name)[np.minimum((values * 256).astype(int), 255)], expected)
    np.testing.assert_array_equal(np.asarray(render.strip(name))[0], render.table(name))


def test_the_ends_of_the_scale_have_the_ends_of_the_colour_map() -> None:
    painted = render.paint(Panel("x", np.array([[0.0, 1.0, 2.0]], np.float32), value_range=(0.0, 1.0)))
    low, high = colour("viridis", 0.0), colour("viridis", 1.0)
    np.testing.assert_allclose(painted[0], [low, high, high], atol=1)


def test_signed_maps_have_zero_in_the_middle() -> None:
    panel = Panel("x", np.array([[-1.0, 0.0, 4.0]], np.float32), signed=True)
    assert panel.scale() == (-4.0, 4.0)
    painted = render.paint(panel)
    np.testing.assert_allclose(painted[0, 1], colour("RdBu_r", 0.5), atol=2)


def test_scales_of_magnitudes_start_at_zero() -> None:
    assert Panel("x", np.array([[2.0, 3.0]], np.float32)).scale() == (0.0, 3.0)


@pytest.mark.parametrize("value", [0.0, -2.5, 7.0])
def test_flat_maps_are_drawn_and_labelled(value: float) -> None:
    panel = Panel("x", np.full((3, 3), value, np.float32))
    assert render.draw(panel, VIEW).size == (315, 210)
    assert panel.describe()["flat"] is True


def test_a_map_covers_exactly_the_image() -> None:
    array = np.zeros((2, 3), np.float32)
    array[1, 2] = 1
    drawn = np.asarray(render.draw(Panel("x", array), VIEW))
    assert drawn.shape == (210, 315, 3)
    bright = (drawn == drawn[-1, -1]).all(axis=-1)
    assert bright[105:, 210:].all()
    assert bright.sum() == 105 * 105


def test_transparency_lets_the_image_through() -> None:
    view = np.full((6, 9), 200, np.uint8)
    array = np.array([[0.0, 1.0]], np.float32)
    opaque, half = (np.asarray(render.draw(Panel("x", array, transparency=t), view), float) for t in (0.0, 0.5))
    np.testing.assert_allclose(half, (opaque + 200) / 2, atol=1)


def test_images_are_drawn_as_they_are() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (4, 5, 3), np.uint8)
    drawn = np.asarray(render.draw(Panel("x", pixels), VIEW))
    assert drawn.shape == (256, 320, 3)
    np.testing.assert_array_equal(drawn[::64, ::64], pixels)


def test_the_colour_bar_runs_from_low_to_high() -> None:
    bar = np.asarray(render.colour_bar(Panel("x", np.zeros((1, 1), np.float32))))
    assert bar.shape == (12, 256, 3)
    np.testing.assert_allclose(bar[0, [0, -1]], [colour("viridis", 0.0), colour("viridis", 1.0)], atol=1)


MIDDLE = (matplotlib.colormaps["RdBu_r"](0.5, bytes=True))[:3]


@pytest.mark.parametrize("noise", [None, 0.0, 1e-6])
def test_a_signed_map_of_nothing_has_the_colour_of_zero(noise: float | None) -> None:
    panel = Panel("x", np.zeros((3, 3), np.float32), signed=True, noise=noise)
    np.testing.assert_array_equal(render.paint(panel), np.broadcast_to(MIDDLE, (3, 3, 3)))
    assert panel.describe()["flat"]


@pytest.mark.parametrize("span", [None, (-0.0, 0.0)])
def test_rounding_is_pale_and_said_to_be_nothing(span: tuple[float, float] | None) -> None:
    values = np.array([[2e-9, -2e-9, 0.0, 1e-9]], np.float32)
    panel = Panel("x", values, signed=True, value_range=span)
    assert (panel.flat, panel.empty) == (True, True)
    assert np.abs(render.paint(panel).astype(int) - MIDDLE).max() < 20
    magnitudes = Panel("x", np.abs(values))
    low = matplotlib.colormaps["viridis"](0, bytes=True)[:3]
    assert np.abs(render.paint(magnitudes).astype(int) - low).max() < 20
    assert magnitudes.empty


def test_small_values_are_shown_where_a_panel_says_that_they_mean_something() -> None:
    values = np.array([[2e-9, -2e-9]], np.float32)
    panel = Panel("x", values, signed=True, noise=1e-12)
    assert panel.scale() == pytest.approx((-2e-9, 2e-9))
    assert not panel.flat
    assert Panel.from_description(panel.describe(), values).noise == 1e-12


def test_a_probability_that_moves_by_rounding_only_is_flat_but_not_empty() -> None:
    values = np.float32(0.5) + np.array([[0, 1e-7], [2e-7, 0]], np.float32)
    panel = Panel("x", values, value_range=(float(values.min()), float(values.max())), noise=rounding(1))
    assert (panel.flat, panel.empty) == (True, False)
    low, high = panel.scale()
    assert high - low == pytest.approx(10 * rounding(1))


def test_a_constant_that_is_not_zero_keeps_its_colour() -> None:
    panel = Panel("x", np.full((2, 2), 0.7, np.float32), signed=True)
    assert panel.flat
    np.testing.assert_allclose(render.paint(panel)[0, 0], colour("RdBu_r", 1.0), atol=1)


def luminance(colour: str) -> float:
    """Return the relative luminance of a colour, 0..1, as in WCAG 2."""
    channels = np.array(list(bytes.fromhex(colour[1:]))) / 255
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def test_classes_have_different_colours_until_they_repeat() -> None:
    colours = [render.class_colour(index) for index in range(22)]
    assert len(set(colours)) == 22
    assert colours[:8] == list(render.QUALITATIVE)
    assert render.class_colour(22) == colours[0]
    for pure, darker, paler in zip(colours[1:8], colours[8:15], colours[15:], strict=True):
        assert luminance(darker) < luminance(pure) < luminance(paler)


def test_a_mask_is_drawn_over_the_enlarged_view() -> None:
    mask = np.array([[0, 1, 2]] * 2, np.uint16)
    drawn = render.draw_mask(mask, (9, 6))
    assert (drawn.size, drawn.mode) == ((9, 6), "P")
    pixels = np.asarray(drawn.convert("RGBA"))
    assert [f"#{bytes(pixels[0, column, :3]).hex()}" for column in (0, 2, 3, 8)] == [
        render.class_colour(index) for index in (0, 0, 1, 2)
    ]
    assert set(pixels[..., 3].ravel()) == {round(255 * render.MASK_OPACITY)}
    whole = np.asarray(render.masked(VIEW, mask))
    assert whole.shape == (np.asarray(render.enlarge(VIEW)).shape[0], np.asarray(render.enlarge(VIEW)).shape[1], 3)
    # On black, the colours are darkened to their opacity.
    np.testing.assert_allclose(whole[0, -1], render.MASK_OPACITY * pixels[0, 8, :3], atol=1)


def test_classes_beyond_the_colours_are_drawn() -> None:
    drawn = render.draw_mask(np.array([[1, 22, 23, 1000]], np.uint16), (4, 1)).convert("RGBA")
    colours = [f"#{bytes(colour[:3]).hex()}" for colour in np.asarray(drawn)[0]]
    assert colours == [render.class_colour(index) for index in (1, 0, 1, 1000)]
