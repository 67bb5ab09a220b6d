"""Segments that recur by appearance: logos of any size, colour and place."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy import ndimage

from picasso.audit.interventions.base import Regions
from picasso.audit.interventions.segment import RecurringSegment, found
from picasso.audit.interventions.segment_paste import as_much, filled
from picasso.audit.properties import Images, Maps
from tests.audit.planted import COUNT, HEIGHT, WIDTH, effects, pair, scenes

Places = list[tuple[int, int, int]]


def with_logos(images: Images, seed: int, share: float = 1.0, turn: float = 0.0) -> tuple[Images, Places]:
    """Return images with a triangle on a disc, of a side of 9 to 15 pixels and of varying colours, and its places.

    It is turned by up to ``turn`` degrees to either side.
    """
    random, made, places = np.random.default_rng(seed), images.copy(), []
    for image in made:
        if random.random() >= share:
            continue
        side = int(random.integers(9, 16))
        top, left = random.integers(0, HEIGHT - side), random.integers(0, WIDTH - side)
        sheet = Image.new("RGBA", (8 * side, 8 * side))
        pen = ImageDraw.Draw(sheet)
        pen.ellipse((0, 0, 8 * side - 1, 8 * side - 1), fill=(int(random.integers(0, 30)), 110, 150, 255))
        corners = [(0.5, 0.15), (0.82, 0.7), (0.18, 0.7)]
        pen.polygon([(8 * side * x, 8 * side * y) for x, y in corners], fill=(255, 255, 255, 255))
        sheet = sheet.rotate(random.uniform(-turn, turn))
        logo = np.asarray(sheet.resize((side, side), Image.Resampling.BOX), np.float32) / 255
        spot = image[top : top + side, left : left + side]
        spot += logo[..., 3:] * (logo[..., :3] - spot)
        places.append((int(top), int(left), side))
    return made, places


def looks_at(places: Places) -> Maps:
    """Return maps of attention to the logos."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    maps = [np.exp(-((rows - y - side / 2) ** 2 + (columns - x - side / 2) ** 2) / (2 * side)) for y, x, side in places]
    return np.asarray(np.stack(maps) / np.sum(maps, axis=(1, 2), keepdims=True), np.float32)


def teal(images: Images) -> NDArray[np.float64]:
    """Return a margin that grows with the bluest spot of the image."""
    blue = np.clip(images[..., 2] - images[..., 0] - 0.2, 0, None)
    spots = ndimage.gaussian_filter(blue, (0, 1.5, 1.5)).max(axis=(1, 2))
    return np.asarray(np.minimum(spots, 0.08), np.float64)


def blue(images: Images) -> NDArray[np.float64]:
    """Return a margin that grows with how much of the image is blue."""
    return np.asarray(np.clip(images[..., 2] - images[..., 0] - 0.2, 0, None).mean(axis=(1, 2)), np.float64)


def grey(seed: int) -> Images:
    """Return grey scenes, in which nothing is blue."""
    return np.repeat(scenes(seed).mean(axis=-1, keepdims=True), 3, axis=-1)


def test_a_logo_of_any_size_is_transplanted_and_removed() -> None:
    plain, (marked, places) = grey(1), with_logos(grey(2), 3)

    def looks(images: Images) -> Maps:
        return looks_at(places)

    there, back = effects(RecurringSegment(), plain, marked, teal, looks)
    assert there > 0.8
    assert back > 0.7
    changed = RecurringSegment().change(pair(plain, marked, looks), np.random.default_rng(1))
    assert changed is not None
    assert "pasting" in changed.words
    amounts = [np.abs(some - plain).mean() for some in (changed.towards, changed.control)]
    assert amounts[1] == pytest.approx(amounts[0], rel=0.25)
    # The outlined pixels are those that change.
    assert changed.region is not None
    differs = (np.abs(changed.towards - plain) > 0.02).any(axis=-1)
    assert differs[~changed.region].mean() < 0.02
    assert differs[changed.region].mean() > 0.6


def test_with_masks_similar_things_beside_the_object_are_segments() -> None:
    plain, (marked, places) = grey(1), with_logos(grey(2), 3, turn=120)
    each = pair(plain, marked, lambda _: looks_at(places))
    assert not found(each)
    own, none = np.zeros((COUNT, HEIGHT, WIDTH), bool), np.zeros((COUNT, HEIGHT, WIDTH), bool)
    for mask, (top, left, side) in zip(own, places, strict=True):
        mask[top : top + side, left : left + side] = True

    def informative(masks: Regions) -> bool:
        """Paste and remove what is similar, and return whether it may be the object."""
        back = replace(pair(marked, plain, lambda _: looks_at(places)), masks=(masks, none))
        pasted, removed = (
            RecurringSegment().change(case, np.random.default_rng(0))
            for case in (replace(each, masks=(none, masks)), back)
        )
        assert pasted is not None
        assert removed is not None
        assert blue(pasted.towards).mean() > 0.3 * blue(marked).mean() > 5 * blue(pasted.control).mean()
        assert blue(removed.towards).mean() < 0.7 * blue(removed.control).mean()
        assert pasted.informative == removed.informative
        return pasted.informative

    assert informative(own)
    # The object is elsewhere.
    assert not informative(np.roll(own, (HEIGHT // 2, WIDTH // 2), axis=(1, 2)))
    assert not informative(none)


def test_a_model_that_ignores_the_logo_shows_no_effect() -> None:
    plain, (marked, places) = grey(1), with_logos(grey(2), 3)

    def bar(images: Images) -> NDArray[np.float64]:
        return np.asarray(images[:, :4].mean(axis=(1, 2, 3), dtype=np.float64))

    marked[:, :4] *= np.float32(0.5)
    assert max(map(abs, effects(RecurringSegment(), plain, marked, bar, lambda _: looks_at(places)))) < 0.1


def test_a_logo_in_half_of_the_images_of_both_classes_is_no_segment_of_one() -> None:
    ours, theirs = (with_logos(scenes(seed), seed, 0.5)[0] for seed in (1, 2))
    assert not found(pair(ours, theirs))


@pytest.mark.parametrize("seed", range(4))
def test_nothing_recurs_in_scenes_of_the_same_kind(seed: int) -> None:
    assert not found(pair(scenes(10 + seed), scenes(20 + seed)))


def test_an_object_on_plain_ground_is_no_segment() -> None:
    # The ground is the same everywhere, so a segment would not end.
    discs = np.zeros((COUNT, HEIGHT, WIDTH, 3), np.float32)
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    random = np.random.default_rng(5)
    for image in discs:
        y, x = random.integers(14, 34, 2)
        image[(rows - y) ** 2 + (columns - x) ** 2 <= 49] = 1
    squares = np.zeros_like(discs)
    squares[:, 18:30, 20:34] = 1
    assert not found(pair(squares, discs))


def test_a_covered_place_continues_its_surroundings() -> None:
    rows = np.linspace(0.2, 0.8, 40, dtype=np.float32)
    ramp = np.repeat(np.broadcast_to(rows[:, None, None], (40, 40, 1)), 3, axis=-1).copy()
    marked, cover = ramp.copy(), np.zeros((40, 40), np.float32)
    marked[14:24, 10:20] = (1, 0, 1)
    cover[13:25, 9:21] = 1
    np.testing.assert_allclose(filled(marked, cover), ramp, atol=0.06)


def test_the_control_changes_as_much() -> None:
    before = np.full((4, 4, 3), 0.5, np.float32)
    chosen = as_much([before + np.float32(0.02), before + np.float32(0.05)], before, before - np.float32(0.1))
    np.testing.assert_allclose(chosen, 0.6, atol=1e-6)
