"""Geometry: tilt, slant, distortion and direction."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from picasso.audit.interventions.geometry import AspectRatio, Barrel, Slant, Tilt, Warp, bent
from picasso.audit.interventions.mirror import Mirror
from picasso.audit.properties import Images
from tests.audit.planted import COUNT, HEIGHT, WIDTH, Margin, effects, even, pair

WARPS = {"tilt": Tilt(), "slant": Slant(), "aspect ratio": AspectRatio(), "barrel distortion": Barrel()}


def walls(seed: int, count: int = COUNT) -> Images:
    """Return walls of bricks of random size, place and brightness, a scene of vertical and horizontal edges."""
    random, found = np.random.default_rng(seed), np.empty((count, HEIGHT, WIDTH, 3), np.float32)
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    for image in found:
        high, wide = random.integers(6, 10), random.integers(8, 13)
        row = (rows + random.integers(0, high)) // high
        column = (columns + random.integers(0, wide) + row % 2 * (wide // 2)) // wide
        image[...] = random.uniform(0.2, 0.8, (20, 20))[row, column][..., None]
    return np.asarray(ndimage.gaussian_filter(found, (0, 0.5, 0.5, 0)), np.float32)


@pytest.mark.parametrize(
    ("name", "size"), [("tilt", 15), ("slant", 0.35), ("aspect ratio", 0.2), ("barrel distortion", 0.3)]
)
def test_the_step_between_the_classes_is_found_and_undone(name: str, size: float) -> None:
    one = WARPS[name]
    plain, changed = walls(1), one.edit(walls(2), even(walls(2)), size)
    there, back = one.step(pair(plain, changed)), one.step(pair(changed, plain))
    assert there == pytest.approx(size, rel=0.45)
    assert back == pytest.approx(-there, rel=0.01)
    made = one.change(pair(changed, plain), np.random.default_rng(0))
    assert made is not None
    measured = [
        np.median(one.measure(some, even(some)), axis=0) for some in (plain, made.towards, changed, made.control)
    ]
    # Towards the other class, and as far beyond their own.
    best = int(np.argmax(np.abs(measured[2] - measured[0])))
    goal, towards, own, control = (float(some[best]) for some in measured)
    assert abs(towards - goal) < 0.5 * abs(own - goal)
    assert abs(control - goal) > abs(own - goal)


@pytest.mark.parametrize("one", [*WARPS.values(), Mirror()], ids=lambda one: one.name)
def test_classes_of_the_same_geometry_are_skipped(one: Warp) -> None:
    found = [one.change(pair(walls(seed), walls(seed + 1)), np.random.default_rng(0)) for seed in range(10, 22, 2)]
    assert sum(made is not None for made in found) <= 1


@pytest.mark.parametrize("one", WARPS.values(), ids=lambda one: one.name)
def test_a_step_of_nothing_changes_nothing(one: Warp) -> None:
    np.testing.assert_allclose(one.edit(walls(1, 4), even(walls(1, 4)), 0.0), walls(1, 4), atol=1e-5)


def leaning(images: Images) -> NDArray[np.float64]:
    """Return a margin: how much rows resemble those shifted to the right below them more than to the left."""
    seen = images.mean(axis=-1, dtype=np.float64)
    seen = seen - seen.mean(axis=(1, 2), keepdims=True)
    right, left = ((seen[:, :-4, 4:-4] * seen[:, 4:, part]).mean(axis=(1, 2)) for part in (slice(2, -6), slice(6, -2)))
    return np.asarray((right - left) / seen.var(axis=(1, 2)))


def proportions(images: Images) -> NDArray[np.float64]:
    """Return a margin: how much more the image resembles itself four rows below than four columns to the right."""
    seen = images.mean(axis=-1, dtype=np.float64)
    seen = seen - seen.mean(axis=(1, 2), keepdims=True)
    below = (seen[:, :-4] * seen[:, 4:]).mean(axis=(1, 2))
    right = (seen[:, :, :-4] * seen[:, :, 4:]).mean(axis=(1, 2))
    return np.asarray((below - right) / seen.var(axis=(1, 2)))


@pytest.mark.parametrize(("name", "margin", "least"), [("slant", leaning, 0.6), ("aspect ratio", proportions, 0.3)])
def test_a_model_that_relies_on_the_geometry_alone(name: str, margin: Margin, least: float) -> None:
    one, plain = WARPS[name], walls(1)
    changed = one.edit(walls(2), even(walls(2)), 0.4)
    assert min(effects(one, plain, changed, margin)) > least
    darker = np.asarray(changed * 0.7, np.float32)
    mean = effects(one, plain, darker, lambda some: -np.asarray(some.mean(axis=(1, 2, 3), dtype=np.float64)))
    assert max(map(abs, mean)) < 0.15


def test_a_distortion_is_undone() -> None:
    places = np.stack(np.meshgrid(np.linspace(-0.8, 0.8, 9), np.linspace(-0.8, 0.8, 9)))
    np.testing.assert_allclose(bent(bent(places, 0.5), -0.5), places, atol=1e-4)


def test_directions() -> None:
    line = np.zeros((1, 41, 41, 1), np.float32)
    line[:, 8:33, 20] = 1
    turned = Tilt().edit(line, even(line), 20.0)[0, ..., 0]
    leaning = Slant().edit(line, even(line), 0.3)[0, ..., 0]
    square = np.zeros((1, 41, 41, 1), np.float32)
    square[:, 13:28, 13:28] = 1
    higher = AspectRatio().edit(square, even(square), 0.6)[0, ..., 0]
    assert higher.any(axis=1).sum() > 18 > 13 > higher.any(axis=0).sum()
    # Anticlockwise, the upper end moves to the left; slanted to the right, it moves to the right.
    assert turned[12].argmax() < 20 < turned[28].argmax()
    assert leaning[12].argmax() > 20 > leaning[28].argmax()


def flags(seed: int, *, right: bool) -> Images:
    """Return poles on rough ground with a flag on one side."""
    random = np.random.default_rng(seed)
    found = random.normal(0.4, 0.03, (COUNT, HEIGHT, WIDTH, 3)).astype(np.float32)
    for image in found:
        top, height = random.integers(12, 15), random.integers(7, 11)
        image[12:38, 26:29] = 0.9
        image[top : top + height, 29:40] = random.uniform(0.7, 0.9)
    return np.clip(found if right else found[:, :, ::-1], 0, 1)


def side(images: Images) -> NDArray[np.float64]:
    """Return a margin: how much brighter the left of the pole is."""
    left, right = (images[:, :, part].mean(axis=(1, 2, 3), dtype=np.float64) for part in (slice(14, 25), slice(31, 42)))
    return np.asarray(left - right)


def test_objects_that_look_the_other_way_are_mirrored() -> None:
    right, left = flags(1, right=True), flags(2, right=False)
    made = Mirror().change(pair(right, left), np.random.default_rng(0))
    assert made is not None
    before, towards, control = (side(some).mean() for some in (right, made.towards, made.control))
    way = side(left).mean() - before
    assert (towards - before) / way == pytest.approx(1, abs=0.15)
    assert (control - before) / way == pytest.approx(0, abs=0.1)


def test_objects_that_look_the_same_way_are_not_mirrored() -> None:
    assert Mirror().change(pair(flags(1, right=True), flags(2, right=True)), np.random.default_rng(0)) is None
