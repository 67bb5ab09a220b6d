"""The shift of colour channels against each other."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from picasso.audit.interventions.channel_shift import ChannelShift, shifted, shifts
from picasso.audit.properties import Images
from tests.audit.planted import effects, pair, scenes


@pytest.mark.parametrize("shift", [(0.0, 1.6, 0.0), (-2.3, 0.7, 0.0), (0.0, 0.0, 1.5), (0.5, 0.0, -1.2)])
def test_a_shift_is_measured(shift: tuple[float, float, float]) -> None:
    grey = np.repeat(scenes(1).mean(axis=-1, keepdims=True), 3, axis=-1)
    np.testing.assert_allclose(np.median(shifts(shifted(grey, np.array(shift))), axis=0), shift, atol=0.15)
    np.testing.assert_allclose(shifts(grey), 0, atol=1e-6)


def fringed(images: Images) -> Images:
    """Return images whose red is shifted by about 2 pixels to the right of blue."""
    ways = np.random.default_rng(2).normal(2, 0.3, len(images))
    return shifted(images, np.stack([0 * ways, ways, 0 * ways], axis=1))


def grey(seed: int) -> Images:
    """Return scenes in almost the same three colours."""
    images = scenes(seed)
    return np.asarray(images.mean(axis=-1, keepdims=True) + 0.2 * (images - images.mean(axis=-1, keepdims=True)))


def fringes(images: Images) -> NDArray[np.float64]:
    """Return a margin that is larger if red follows blue to the right than if it precedes it."""
    red, blue = (images[..., one] - images[..., one].mean(axis=(1, 2), keepdims=True) for one in (0, 2))
    after, before = ((red[:, :, 2:] * blue[:, :, :-2]).mean((1, 2)), (red[:, :, :-2] * blue[:, :, 2:]).mean((1, 2)))
    return np.asarray((after - before) / (red.std(axis=(1, 2)) * blue.std(axis=(1, 2))), np.float64)


def test_colour_fringes_are_added_and_removed() -> None:
    there, back = effects(ChannelShift(), grey(1), fringed(grey(2)), fringes)
    assert there == pytest.approx(1, abs=0.2)
    assert back == pytest.approx(1, abs=0.2)
    changed = ChannelShift().change(pair(grey(1), fringed(grey(2))), np.random.default_rng(0))
    assert changed is not None
    assert "red 2.0 pixels to the right of blue" in changed.words
    amounts = [np.abs(some - grey(1)).mean() for some in (changed.towards, changed.control)]
    assert amounts[1] == pytest.approx(amounts[0], rel=0.05)


def test_a_model_that_ignores_the_fringes_shows_no_effect() -> None:
    def mean(images: Images) -> NDArray[np.float64]:
        return np.asarray(images.mean(axis=(1, 2, 3), dtype=np.float64))

    brighter = np.clip(fringed(grey(2)) + np.float32(0.1), 0, 1)
    assert max(map(abs, effects(ChannelShift(), grey(1), brighter, mean))) < 0.05


@pytest.mark.parametrize("seed", range(5))
def test_classes_without_fringes_are_skipped(seed: int) -> None:
    assert ChannelShift().change(pair(scenes(seed), scenes(20 + seed)), np.random.default_rng(0)) is None


def test_greyscale_images_have_no_fringes() -> None:
    assert not ChannelShift().fits(scenes(1, channels=1))
    assert not ChannelShift().fits(np.repeat(scenes(1, channels=1), 3, axis=-1))
