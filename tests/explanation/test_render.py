"""Arrays to images: scales, flat maps, alignment with the image below."""

from __future__ import annotations

import matplotlib
import numpy as np
import pytest

from picasso.explanation import legend, render
from picasso.visualizations.panel import Panel, rounding

VIEW = np.zeros((6, 9), np.uint8)


def colour(name: str, value: float) -> list[int]:
    return [round(channel * 255) for channel in matplotlib.colormaps[name](value)[:3]]


@pytest.mark.parametrize("name", [*render.SEQUENTIAL[1:], *render.DIVERGING[1:]])
def test_opaque_colours_are_those_of_matplotlib(name: str) -> None:
    values = np.linspace(0, 1, 1025, dtype=np.float32)[None]
    expected = matplotlib.colormaps[name](values, bytes=True)
    np.testing.assert_array_equal(render.table(name)[np.minimum((values * 256).astype(int), 255)], expected)


@pytest.mark.parametrize("name", [*render.SEQUENTIAL, *render.DIVERGING])
def test_the_page_gets_colours_and_opacities(name: str) -> None:
    colours, opacities = np.asarray(render.strip(name))
    np.testing.assert_array_equal(colours, render.table(name)[:, :3])
    np.testing.assert_array_equal(opacities, render.table(name)[:, 3:].repeat(3, axis=1))


def test_warm_means_the_same_in_all_maps() -> None:
    values = np.linspace(0, 1, 9, dtype=np.float32)[None]
    magnitudes, signed = (render.paint(Panel("x", values, signed=one)) for one in (False, True))
    # Half as many colours for each sign.
    np.testing.assert_allclose(magnitudes.astype(int), signed, atol=4)
    assert render.table("warm")[-1].tolist() == render.table("warm-cool")[-1].tolist() == [240, 20, 40, 255]
    assert render.table("warm-cool")[0].tolist() == [42, 88, 255, 255]


def test_opacity_is_proportional_to_the_value_and_nothing_is_transparent() -> None:
    values = np.array([[-1, -0.5, -0.25, 0, 0.25, 0.5, 1]], np.float32)
    np.testing.assert_allclose(render.paint(Panel("x", values, signed=True))[0, :, 3], 255 * np.abs(values[0]), atol=3)
    assert render.table("warm-cool")[127:129, 3].tolist() == [0, 0]
    assert render.table("warm")[0, 3] == 0


def test_colour_blind_people_can_tell_for_from_against() -> None:
    # Linear simulations of complete protanopia, deuteranopia and tritanopia: Machado et al. 2009, severity 1.
    protan = [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    deutan = [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    tritan = [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    # Opacity below a tenth is hardly visible to anyone.
    colours = render.table("warm-cool")[:, :3].astype(float)
    against, towards = colours[:115][::-1], colours[141:]
    for matrix in (np.eye(3), protan, deutan, tritan):
        seen = [np.clip(some @ np.asarray(matrix).T, 0, 255) for some in (against, towards)]
        assert np.linalg.norm(seen[0][:, None] - seen[1][None], axis=-1).min() > 90


def test_the_ends_of_the_scale_have_the_ends_of_the_colour_map() -> None:
    painted = render.paint(Panel("x", np.array([[0.0, 1.0, 2.0]], np.float32), value_range=(0.0, 1.0)), name="viridis")
    low, high = colour("viridis", 0.0), colour("viridis", 1.0)
    np.testing.assert_allclose(painted[0, :, :3], [low, high, high], atol=1)


def test_signed_maps_have_zero_in_the_middle() -> None:
    panel = Panel("x", np.array([[-1.0, 0.0, 4.0]], np.float32), signed=True)
    assert panel.scale() == (-4.0, 4.0)
    np.testing.assert_allclose(render.paint(panel, name="RdBu_r")[0, 1, :3], colour("RdBu_r", 0.5), atol=2)


def test_what_remains_is_warm_where_little_remains() -> None:
    array = np.array([[0.0, 0.8, 1.0]], np.float32)
    panel = Panel("x", array, value_range=(0.0, 1.0), centre=float(array[0, 1]), falling=True, target="0")
    little, same, more = render.paint(panel)[0]
    assert little.tolist() == render.table("warm")[-1].tolist()
    assert same[3] == 0
    # As far from the middle as a fourth of the other side.
    np.testing.assert_allclose(more, render.table("warm-cool")[96], atol=4)
    assert panel.meanings == ("for", "against")
    bar = render.paint(panel, np.array([panel.scale()]))[0]
    np.testing.assert_array_equal(bar, [little, more])


def test_the_scale_of_a_map_with_a_middle_stays_within_its_values() -> None:
    array = np.array([[0.1, 0.3, 0.9]], np.float32)
    panel = Panel("x", array, centre=0.3)
    assert panel.scale() == pytest.approx((0.1, 0.9))
    low, middle, high = render.paint(panel)[0]
    # The opacity of both sides is comparable: 0.2 of 0.6, and all.
    assert (low[3], middle[3], high[3]) == (pytest.approx(85, abs=3), 0, 255)
    assert Panel("x", np.full((2, 2), 0.5, np.float32), centre=0.5, noise=0.01).scale() == pytest.approx((0.4, 0.6))


def test_a_few_extreme_values_do_not_make_the_others_pale() -> None:
    array = np.ones((10, 40), np.float32)
    array[0, :3] = 1000
    for signed in (True, False):
        panel = Panel("x", array, signed=signed)
        assert panel.scale()[1] == 1.0
        assert (panel.describe()["minimum"], panel.describe()["maximum"]) == (1.0, 1000.0)
    # Of few values, none is clipped, and zeros do not count.
    assert Panel("x", array[:, :5]).scale()[1] == 1000
    array = np.zeros((100, 100), np.float32)
    array[0, :50] = np.arange(1, 51)
    assert Panel("x", array).scale() == (0.0, 50.0)


@pytest.mark.parametrize(("noise", "uncertainty"), [(0.1, 0.0), (0.0, 0.1)])
def test_what_chance_explains_is_transparent(noise: float, uncertainty: float) -> None:
    array = np.array([[-0.1, 0.05, 0.1, 0.2, 1]], np.float32) * np.float32(0.99)
    for centre in (0.0, 3.0):
        panel = Panel("x", array + np.float32(centre), centre=centre, noise=noise, uncertainty=uncertainty)
        assert (render.paint(panel)[0, :, 3] > 0).tolist() == [False, False, False, True, True]


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
    warm = (drawn == drawn[-1, -1]).all(axis=-1)
    assert warm[105:, 210:].all()
    assert warm.sum() == 105 * 105


def test_the_image_shows_through_in_grey_where_the_map_is_weak() -> None:
    view = np.full((6, 9, 3), (200, 100, 50), np.uint8)
    grey = (0.2126 * 200 + 0.7152 * 100 + 0.0722 * 50 - 127.5) * 0.8 + 127.5
    array = np.array([[0.0, 0.5, 1.0]], np.float32)
    nothing, half, full = np.asarray(render.draw(Panel("x", array, transparency=0.25), view), float)[0, [0, 150, 314]]
    np.testing.assert_allclose(nothing, [grey] * 3, atol=1)
    warm = render.table("warm")[[128, 255], :3]
    np.testing.assert_allclose(half, grey + (warm[0] - grey) * 0.75 / 2, atol=2)
    np.testing.assert_allclose(full, grey + (warm[1] - grey) * 0.75, atol=2)
    opaque = np.asarray(render.draw(Panel("x", array, transparency=0.0), view))
    np.testing.assert_array_equal(opaque[0, -1], warm[1])


def test_images_are_drawn_as_they_are() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (4, 5, 3), np.uint8)
    drawn = np.asarray(render.draw(Panel("x", pixels), VIEW))
    assert drawn.shape == (256, 320, 3)
    np.testing.assert_array_equal(drawn[::64, ::64], pixels)


def test_the_legend_has_the_colours_of_the_map() -> None:
    array = np.array([[-1.0, -0.5, 0.0, 0.25, 1.0]], np.float32)
    panel = Panel("x", array, signed=True)
    bar = np.asarray(render.colour_bar(panel))
    assert bar.shape == (24, 256, 3)
    for shade, row in ((255, 0), (0, -1)):
        drawn = np.asarray(render.draw(panel, np.full((1, 5), shade, np.uint8)))
        for column, value in enumerate(array[0]):
            place = min(255, int((float(value) + 1) * 128))
            np.testing.assert_allclose(drawn[0, column * 64].astype(int), bar[row, place], atol=3)


@pytest.mark.parametrize("noise", [None, 0.0, 1e-6])
def test_a_signed_map_of_nothing_is_transparent(noise: float | None) -> None:
    panel = Panel("x", np.zeros((3, 3), np.float32), signed=True, noise=noise)
    assert not render.paint(panel)[..., 3].any()
    assert panel.describe()["flat"]


@pytest.mark.parametrize("span", [None, (-0.0, 0.0)])
def test_rounding_is_transparent_and_said_to_be_nothing(span: tuple[float, float] | None) -> None:
    values = np.array([[2e-9, -2e-9, 0.0, 1e-9]], np.float32)
    panel = Panel("x", values, signed=True, value_range=span)
    assert (panel.flat, panel.empty) == (True, True)
    assert not render.paint(panel)[..., 3].any()
    magnitudes = Panel("x", np.abs(values))
    assert not render.paint(magnitudes)[..., 3].any()
    assert magnitudes.empty


def test_small_values_are_shown_where_a_panel_says_that_they_mean_something() -> None:
    values = np.array([[2e-9, -2e-9]], np.float32)
    panel = Panel("x", values, signed=True, noise=1e-12)
    assert panel.scale() == pytest.approx((-2e-9, 2e-9))
    assert not panel.flat
    again = Panel.from_description(panel.describe(), values)
    assert again.noise == 1e-12
    assert again.describe() == panel.describe()


def test_a_probability_that_moves_by_rounding_only_is_flat_but_not_empty() -> None:
    values = np.float32(0.5) + np.array([[0, 1e-7], [2e-7, 0]], np.float32)
    panel = Panel("x", values, value_range=(float(values.min()), float(values.max())), noise=rounding(1))
    assert (panel.flat, panel.empty) == (True, False)
    low, high = panel.scale()
    assert high - low == pytest.approx(10 * rounding(1))


def test_a_constant_that_is_not_zero_keeps_its_colour() -> None:
    panel = Panel("x", np.full((2, 2), 0.7, np.float32), signed=True)
    assert panel.flat
    assert render.paint(panel)[0, 0].tolist() == render.table("warm")[-1].tolist()


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


def test_the_legend_states_no_rounding_errors() -> None:
    values = np.r_[5e-8, np.linspace(0.01, 0.1, 300), 0.5].astype(np.float32)[None]
    panel = Panel("x", values, signed=True, quantity="drop").describe()
    assert legend.details(panel) == "drop; values from 0 to 0.5"
