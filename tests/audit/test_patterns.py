"""Interventions on patterns of whole images: lines and frequencies."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from picasso.audit.interventions import Intervention
from picasso.audit.interventions.frequency_band import FrequencyBand
from picasso.audit.interventions.line_profile import LineProfile
from picasso.audit.properties import Images
from tests.audit.planted import HEIGHT, WIDTH, Margin, effects, pair, scenes


def scan_lines(images: Images, axis: int, *, factors: bool) -> Images:
    """Return images in which every third line is darker, from a random line on."""
    found, random = images.copy(), np.random.default_rng(3)
    for image in found:
        some = (slice(random.integers(3), None, 3), slice(None))
        lines = image[some if axis == 1 else some[::-1]]
        lines[...] = lines * 0.75 if factors else lines - 0.12
    return np.clip(found, 0, 1)


def third_lines(axis: int) -> Margin:
    """Return a margin that grows with the amplitude of a period of three lines."""

    def margin(images: Images) -> NDArray[np.float64]:
        profile = images.mean(axis=(3 - axis, 3), dtype=np.float64)
        wave = np.exp(2j * np.pi * np.arange(profile.shape[1]) / 3)
        return np.asarray(np.abs(profile @ wave))

    return margin


@pytest.mark.parametrize("axis", [1, 2])
@pytest.mark.parametrize("factors", [True, False])
def test_lines_are_exchanged_along_the_axis_in_which_they_differ(axis: int, factors: bool) -> None:
    plain, lined = scenes(1), scan_lines(scenes(2), axis, factors=factors)
    there, back = effects(LineProfile(), plain, lined, third_lines(axis))
    assert there > 0.6
    assert back > 0.8
    changed = LineProfile().change(pair(plain, lined), np.random.default_rng(0))
    assert changed is not None
    assert ("rows", "columns")[axis - 1] in changed.words
    # The control changes pixels as much as the change does.
    amounts = [np.sqrt(((some - plain) ** 2).mean()) for some in (changed.towards, changed.control)]
    assert amounts[1] == pytest.approx(amounts[0], rel=0.1)


def test_a_fixed_pattern_of_both_signs_is_exchanged_too() -> None:
    # The strength of the lines is the same in both classes; only their places differ.
    first, second = (np.random.default_rng(seed).normal(0, 0.04, (HEIGHT, 1, 1)) for seed in (7, 8))
    way = first - second
    ours, theirs = (
        np.asarray(np.clip(scenes(seed) + pattern, 0, 1), np.float32) for seed, pattern in ((1, first), (2, second))
    )

    def margin(images: Images) -> NDArray[np.float64]:
        return -np.asarray((images.mean(axis=(2, 3), dtype=np.float64)) @ way[:, 0, 0])

    assert min(effects(LineProfile(), ours, theirs, margin)) > 0.5


def moire(images: Images) -> Images:
    """Return images with a slanted wave of a period of about 3.5 pixels, and of any phase."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    random = np.random.default_rng(4)
    wave = [
        np.sin(2 * np.pi * (11 * rows / HEIGHT + 10 * columns / WIDTH) + phase)
        for phase in random.uniform(0, 6.3, len(images))
    ]
    return np.asarray(np.clip(images + 0.06 * np.stack(wave)[..., None], 0, 1), np.float32)


def slanted_wave(images: Images) -> NDArray[np.float64]:
    """Return a margin that grows with the amplitude of this wave."""
    seen = np.abs(np.fft.fft2(images.mean(axis=-1, dtype=np.float64)))
    return np.asarray(seen[:, 11, 10])


def test_the_band_in_which_the_classes_differ_is_exchanged() -> None:
    there, back = effects(FrequencyBand(), scenes(1), moire(scenes(2)), slanted_wave)
    assert 0.4 < there < 1.6
    assert back > 0.7
    changed = FrequencyBand().change(pair(scenes(1), moire(scenes(2))), np.random.default_rng(0))
    assert changed is not None
    assert "finest frequencies" in changed.words


@pytest.mark.parametrize(
    ("one", "planted"), [(LineProfile(), lambda some: scan_lines(some, 1, factors=True)), (FrequencyBand(), moire)]
)
def test_models_that_ignore_the_pattern_show_no_effect(one: Intervention, planted: object) -> None:
    def coarse(images: Images) -> NDArray[np.float64]:
        return np.asarray(images.mean(axis=(1, 2, 3), dtype=np.float64))

    # The classes also differ in brightness, which this model uses. Dark lines lower it a little.
    brighter = np.clip(planted(scenes(2)) + np.float32(0.1), 0, 1)  # type: ignore[operator]
    assert max(map(abs, effects(one, scenes(1), brighter, coarse))) < 0.15


@pytest.mark.parametrize("one", [LineProfile(), FrequencyBand()], ids=lambda one: one.name)
def test_nothing_is_exchanged_between_classes_that_do_not_differ(one: Intervention) -> None:
    found = [one.change(pair(scenes(seed), scenes(seed + 1)), np.random.default_rng(0)) for seed in range(10, 40, 2)]
    assert sum(changed is not None for changed in found) <= 1
