"""Images that are changed at random: what changes, how far, and what stays."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from picasso.audit.interventions import INTERVENTIONS, Intervention
from picasso.audit.properties import Images
from picasso.mending.randomised import PLAIN, SHIFT, Randomisation, log_amplitudes, with_hue

SIDE, COUNT = 20, 300


def named(*names: str) -> list[Intervention]:
    return [one for one in INTERVENTIONS if one.name in names]


def rough(channels: int = 3) -> Images:
    """Return images of noise around a middle grey."""
    drawn = np.random.default_rng(0).normal(0.5, 0.12, (40, SIDE, SIDE, channels))
    return np.asarray(drawn.clip(0, 1), np.float32)


def smooth(channels: int = 3) -> Images:
    """Return blurred images."""
    return np.asarray(ndimage.gaussian_filter(rough(channels), (0, 1.5, 1.5, 0)), np.float32)


def changed(views: dict[int, Images], names: tuple[str, ...], image: NDArray[np.floating], target: int) -> Images:
    """Return an image, changed many times."""
    many = np.repeat(np.asarray(image, np.float32)[None], COUNT, axis=0)
    return Randomisation(views, named(*names))(many, np.full(COUNT, target), np.random.default_rng(1))


@pytest.mark.parametrize("name", ["a recurring mark", "the top left corner", "horizontal position"])
def test_only_the_place_changes_for_marks_and_places(name: str) -> None:
    image = np.zeros((SIDE, SIDE, 3), np.float32)
    image[9, 12] = (1, 0.5, 0.2)
    found = changed({0: rough(), 1: smooth()}, (name,), image, 0)
    places = np.argwhere(found[..., 0] == 1)
    assert len(places) == COUNT
    far = places[:, 1:] - (9, 12)
    assert np.abs(far).max() == int(SHIFT * SIDE)
    assert np.unique(far[:, 0]).size == np.unique(far[:, 1]).size == 2 * int(SHIFT * SIDE) + 1
    np.testing.assert_allclose(found.sum(axis=(1, 2)), np.tile([1, 0.5, 0.2], (COUNT, 1)), atol=1e-6)


def test_detail_becomes_that_of_the_other_class_in_both_directions() -> None:
    views = {0: rough(), 1: smooth()}
    random, detail = Randomisation(views, named("sharpness")), [np.diff(views[one], axis=1).std() for one in (0, 1)]
    for target in (0, 1):
        many = np.repeat(views[target], 8, axis=0)
        made = random.with_spectrum(many, np.full(len(many), target), np.random.default_rng(1))
        found = np.diff(made, axis=1).std(axis=(1, 2, 3))
        low, high = np.quantile(found, [0.1, 0.9])
        # From the own detail to that of the other class, and beyond both.
        assert low < 1.6 * detail[1] < 0.2 * detail[0]
        assert high > 0.4 * detail[0]
        np.testing.assert_allclose(made.mean(axis=(1, 2)), many.mean(axis=(1, 2)), atol=0.02)


def test_levels_and_contrast_become_those_of_images_of_the_folder() -> None:
    views = {0: smooth(), 1: np.float32(0.3) * smooth()}
    many = np.repeat(views[0], 8, axis=0)
    made = Randomisation(views, named("brightness")).with_moments(many, np.random.default_rng(1))
    new, dark, bright = (some.mean(axis=(1, 2, 3)) for some in (made, views[1], views[0]))
    # About half of the images are like those of each class, whatever class they are of.
    assert new.min() < dark.mean() + 0.02
    assert np.quantile(new, 0.75) == pytest.approx(bright.mean(), rel=0.1)
    assert abs((new < (dark.mean() + bright.mean()) / 2).mean() - 0.5) < 0.1
    # The contrast falls with the level.
    assert np.corrcoef(new, made.std(axis=(1, 2, 3)))[0, 1] > 0.9


def test_the_spectrum_is_that_of_the_folder() -> None:
    stripes = np.broadcast_to(np.sin(np.arange(SIDE) * np.pi / 2) * 0.1 + 0.5, (1, SIDE, SIDE))[..., None]
    found = log_amplitudes(np.asarray(np.repeat(stripes, 3, axis=0), np.float32))
    assert found.shape == (SIDE, SIDE // 2 + 1, 1)
    # The mean, and the frequency of the stripes.
    assert set(map(tuple, np.argwhere(found[..., 0] > 1))) == {(0, 0), (0, SIDE // 4)}


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_light_goes_beyond_both_classes_and_some_images_stay(channels: int) -> None:
    views = {0: 0.8 * rough(channels), 1: 0.8 * rough(channels) + np.float32(0.2)}
    image = views[0][0]
    found = changed(views, ("brightness",), image, 0)
    levels = found.mean(axis=(1, 2, 3))
    assert levels.min() < 0.3
    assert levels.max() > 0.7
    assert found.min() >= 0
    assert found.max() <= 1
    stayed = (found == image).all(axis=(1, 2, 3)).mean()
    assert abs(stayed - PLAIN) < 0.06


def test_hue_is_changed_for_the_colour_of_objects_only() -> None:
    red = np.full((SIDE, SIDE, 3), (0.8, 0.3, 0.3), np.float32)
    views = {0: np.repeat(red[None], 4, axis=0), 1: np.repeat(red[None, ..., ::-1], 4, axis=0)}
    blue = {}
    for name in ("brightness", "object colour"):
        means = changed({0: views[0], 1: views[0]}, (name,), red, 0).mean(axis=(1, 2))
        blue[name] = (means[:, 2] > means[:, 0] + 0.2).mean()
    assert blue["object colour"] > 0.1
    assert blue["object colour"] > 3 * blue["brightness"]
    grey = np.full((5, 4, 4, 3), 0.4, np.float32)
    np.testing.assert_allclose(with_hue(grey, np.random.default_rng(0)), grey, atol=1e-6)


def test_the_same_generator_gives_the_same_images() -> None:
    views = {0: rough(), 1: smooth()}
    one, other = (changed(views, ("sharpness", "object colour"), views[0][0], 0) for _ in range(2))
    np.testing.assert_array_equal(one, other)
