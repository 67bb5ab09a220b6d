"""Each intervention on synthetic images with known content."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from picasso.audit.extent import CORE, covers
from picasso.audit.interventions import INTERVENTIONS, ImagePair
from picasso.audit.interventions.background import Background, ColourLayout
from picasso.audit.interventions.foreground import ObjectColour, Position, Size, centres, colours, spreads, zoomed
from picasso.audit.interventions.matching import quantile_match
from picasso.audit.interventions.region_swap import regions
from picasso.audit.interventions.watermark import Mark, MovingMark, found
from picasso.audit.properties import Images, Maps, light
from picasso.audit.trial import change_size

HEIGHT, WIDTH, COUNT = 40, 48, 24
# Interventions whose changes differ in size by their nature.
UNEVEN = ("sharpness", "noise", "texture", "blockiness", "object size")


def noise(seed: int, count: int = COUNT, channels: int = 3) -> Images:
    """Return grey noise around 0.5."""
    values = np.random.default_rng(seed).normal(0.5, 0.1, (count, HEIGHT, WIDTH, channels))
    return np.asarray(np.clip(values, 0, 1), np.float32)


def looks(places: list[tuple[float, float]], sigma: float = 3.0) -> Maps:
    """Return maps with one peak each, given as row and column."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    maps = np.stack([np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / (2 * sigma**2)) for y, x in places])
    return np.asarray(maps / maps.sum(axis=(1, 2), keepdims=True), np.float32)


def case(ours: Images, theirs: Images, maps: tuple[Maps, Maps] | None = None) -> ImagePair:
    """Return images of two classes, by default with attention in the middle."""
    middle = [(HEIGHT / 2, WIDTH / 2)]
    return ImagePair(ours, theirs, lambda: maps or (looks(middle * len(ours)), looks(middle * len(theirs))))


def generator() -> np.random.Generator:
    return np.random.default_rng(7)


@pytest.mark.parametrize("channels", [1, 3])
def test_all_give_images_of_the_same_kind_and_do_not_touch_the_originals(channels: int) -> None:
    ours, theirs = noise(1, channels=channels), noise(2, 10, channels)
    before = ours.copy(), theirs.copy()
    for intervention in INTERVENTIONS:
        if not intervention.fits(ours):
            continue
        changed = intervention.change(case(ours, theirs), generator())
        if changed is None:
            continue
        for some in (changed.towards, changed.control):
            assert some.shape == ours.shape, intervention.name
            assert some.dtype == np.float32, intervention.name
            assert np.isfinite(some).all()
            assert some.min() >= 0
            assert some.max() <= 1
        assert "{a}" in intervention.words(case(ours, theirs))
    np.testing.assert_array_equal(ours, before[0])
    np.testing.assert_array_equal(theirs, before[1])


def test_names_are_unique() -> None:
    assert len({one.name for one in INTERVENTIONS}) == len(INTERVENTIONS)


def test_a_region_is_taken_from_one_image_and_nothing_else_changes() -> None:
    ours, theirs = noise(1), noise(2)
    for region in regions():
        changed = region.change(case(ours, theirs), generator())
        mask = region.mask((HEIGHT, WIDTH))
        for some in (changed.towards, changed.control):
            np.testing.assert_array_equal(some[:, ~mask], ours[:, ~mask])
        parts = {part.tobytes() for part in theirs[:, mask]}
        assert all(part.tobytes() in parts for part in changed.towards[:, mask])
        assert not np.isclose(changed.control[:, mask], changed.towards[:, mask]).all(axis=(1, 2)).any()


def test_the_control_of_a_mark_in_a_corner_keeps_the_mark() -> None:
    clean, tagged = (0.3 + np.float32(0.4) * noise(seed) for seed in (1, 2))
    tagged[:, :6, :6] = (0.9, 0.1, 0.1)
    # One image in ten has no tag.
    tagged[::10, :6, :6] = clean[::10, :6, :6]
    (corner,) = (one for one in regions() if one.name == "the top left corner")
    changed = corner.change(case(tagged, clean), generator())
    kept = np.abs(changed.control[:, :6, :6] - tagged[:, :6, :6]).max(axis=(1, 2, 3)) < 0.02
    assert kept.mean() >= 0.7
    mask = corner.mask((HEIGHT, WIDTH))
    sizes = [np.sqrt(((some - tagged)[:, mask] ** 2).mean()) for some in (changed.control, changed.towards)]
    assert sizes[0] > 0.6 * sizes[1]


def test_a_control_changes_images_as_much_as_the_change_does() -> None:
    # Grey, so that no change leaves the range of values.
    ours, theirs = (0.35 + np.float32(0.25) * noise(seed) + shift for seed, shift in ((1, 0.0), (2, 0.05)))
    maps = looks([(20.0, 24.0)] * COUNT), looks([(20.0, 24.0)] * COUNT, 5.0)
    some = case(ours, theirs, maps)
    for intervention in INTERVENTIONS:
        changed = intervention.change(some, generator())
        # Nothing undoes a strong blur or compression as exactly as it can be applied.
        if changed is None or intervention.name in UNEVEN:
            continue
        sizes = [change_size(ours, after) for after in (changed.towards, changed.control)]
        assert sizes[1] == pytest.approx(sizes[0], rel=0.25, abs=1e-3), intervention.name


def test_the_light_of_another_image_and_the_detail_of_ones_own() -> None:
    dark, bright = (
        np.full((COUNT, HEIGHT, WIDTH, 3), 0.2, np.float32),
        np.full((COUNT, HEIGHT, WIDTH, 3), 0.6, np.float32),
    )
    dark[:, ::2] = 0.3
    changed = ColourLayout().change(case(dark, bright), generator())
    assert changed.towards.mean() == pytest.approx(0.6, rel=0.1)
    assert changed.towards[0, 20, 24, 0] / changed.towards[0, 21, 24, 0] == pytest.approx(1.5, rel=0.01)
    assert changed.control.mean() == pytest.approx(0.25**2 / 0.6, rel=0.3)


def test_what_is_looked_at_stays_and_the_rest_is_another_background() -> None:
    ours, theirs = (
        np.full((COUNT, HEIGHT, WIDTH, 3), 0.2, np.float32),
        np.full((COUNT, HEIGHT, WIDTH, 3), 0.8, np.float32),
    )
    ours[:, 18:22, 22:26] = 1.0
    changed = Background().change(case(ours, theirs), generator())
    np.testing.assert_allclose(changed.towards[:, 19:21, 23:25], 1.0, atol=1e-3)
    np.testing.assert_allclose(changed.towards[:, :3, :3], 0.8, atol=1e-3)
    # The backgrounds of a class are alike here, so its control can't change them.
    np.testing.assert_allclose(changed.control[:, :3, :3], 0.2, atol=1e-3)


def test_a_cover_is_the_share_that_is_looked_at_most() -> None:
    cover = covers(looks([(20.0, 24.0)]), 0.25)
    assert (cover > 0.5).mean() == pytest.approx(0.25, abs=0.03)
    assert cover[0, 20, 24, 0] == pytest.approx(1, abs=1e-4)


# ---- the object -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("axis", [0, 1])
def test_things_are_moved_to_where_they_are_in_the_other_class(axis: int) -> None:
    random = np.random.default_rng(3)
    length = (HEIGHT, WIDTH)[axis]
    near, far = random.uniform(11, 13, COUNT), random.uniform(length - 20, length - 18, COUNT)
    across = 20.0
    ours_at, theirs_at = ([(y, across) if axis == 0 else (across, y) for y in some] for some in (near, far))
    maps = looks(ours_at, 2.0), looks(theirs_at, 2.0)
    # The images show the attention, so that the shift can be measured.
    ours, theirs = (np.repeat(some[..., None] / some.max(), 3, axis=-1) for some in maps)
    place = Position(axis)
    changed = place.change(case(ours, theirs, maps), generator())
    assert changed is not None
    np.testing.assert_allclose(centres(changed.towards[..., 0], axis), quantile_match(near, far), atol=0.6)
    # The control is shifted along the other axis.
    assert abs(centres(changed.control[..., 0], axis).mean() - near.mean()) < 0.6
    assert not np.allclose(changed.control, ours)
    assert (
        "down" in place.words(case(ours, theirs, maps))
        if axis == 0
        else "right" in place.words(case(ours, theirs, maps))
    )
    # Positions that differ by less than the extent of the object are the same.
    assert place.change(case(ours, ours, (maps[0], maps[0])), generator()) is None


def test_zooming_scales_areas_and_keeps_the_middle() -> None:
    disc = np.zeros((1, HEIGHT, WIDTH, 1), np.float32)
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    disc[0, ..., 0] = (rows - 22) ** 2 + (columns - 20) ** 2 <= 64
    for factor in (1.25, 0.8):
        zoom = zoomed(disc, factor, np.array([[22.0, 20.0]]))
        assert zoom.sum() / disc.sum() == pytest.approx(factor**2, rel=0.03)
        assert centres(zoom[..., 0], 0)[0] == pytest.approx(22, abs=0.1)
        assert centres(zoom[..., 0], 1)[0] == pytest.approx(20, abs=0.1)


def test_sizes_are_changed_in_the_direction_of_the_other_class() -> None:
    small, large = looks([(20.0, 24.0)] * COUNT, 2.0), looks([(20.0, 24.0)] * COUNT, 5.0)
    assert spreads(small).mean() == pytest.approx(2.0, rel=0.02)
    ours = np.repeat(small[..., None] / small.max(), 3, axis=-1)
    changed = Size().change(case(ours, ours, (small, large)), generator())
    assert spreads(changed.towards[..., 0]).mean() == pytest.approx(2.5, rel=0.03)
    assert spreads(changed.control[..., 0]).mean() == pytest.approx(1.6, rel=0.05)


def test_the_thing_takes_the_colour_of_the_other_and_keeps_its_light() -> None:
    ours, theirs = (
        np.full((COUNT, HEIGHT, WIDTH, 3), 0.4, np.float32),
        np.full((COUNT, HEIGHT, WIDTH, 3), 0.4, np.float32),
    )
    theirs[:, 14:26, 16:32] = (0.6, 0.3, 0.3)
    maps = looks([(20.0, 24.0)] * COUNT)
    changed = ObjectColour().change(case(ours, theirs, (maps, maps)), generator())
    reached = colours(changed.towards, covers(maps, CORE))
    np.testing.assert_allclose(reached, colours(theirs, covers(maps, CORE)), rtol=0.06)
    np.testing.assert_allclose(light(changed.towards), light(ours), atol=0.03)
    assert (changed.control[:, 20, 24, 0] < 0.4).all()
    assert (changed.control[:, 20, 24, 1] > 0.4).all()
    np.testing.assert_allclose(changed.towards[:, 0, 0], ours[:, 0, 0], atol=1e-4)


# ---- marks ----------------------------------------------------------------------------------------------------------

SIDE = 5  # the side of a mark: an eighth of the shorter side


def marked(count: int, seed: int) -> tuple[Images, list[tuple[int, int]]]:
    """Return noise with the same chequered mark in each image, and its positions."""
    random = np.random.default_rng(seed)
    images = noise(seed, count)
    checks = np.asarray(np.indices((SIDE, SIDE)).sum(axis=0) % 2, np.float32)
    mark = checks[..., None] * np.array([1, 0.2, 0.9], np.float32)
    places = [(int(random.integers(0, HEIGHT - SIDE)), int(random.integers(0, WIDTH - SIDE))) for _ in range(count)]
    for image, (y, x) in zip(images, places, strict=True):
        image[y : y + SIDE, x : x + SIDE] = mark
    return images, places


def maps_at(places: list[tuple[int, int]]) -> Maps:
    return looks([(y + SIDE / 2 - 0.5, x + SIDE / 2 - 0.5) for y, x in places], 1.0)


def test_a_mark_that_recurs_is_found_put_in_and_taken_out() -> None:
    clean, (with_mark, places) = noise(1), marked(COUNT, 5)
    nowhere = looks([(HEIGHT / 2, WIDTH / 2)] * COUNT)
    towards = case(clean, with_mark, (nowhere, maps_at(places)))
    (mark,) = found(towards)
    assert mark.excess == pytest.approx(1.0)
    np.testing.assert_allclose(mark.patch, with_mark[0][places[0][0] :, places[0][1] :][:SIDE, :SIDE], atol=1e-6)
    put = MovingMark().change(towards, generator())
    assert put is not None
    # All changed images have the mark, and none of the controls.
    assert all((one == mark.patch[0, 0]).all(axis=-1).any() for one in put.towards)
    (after,) = found(case(clean, put.towards, (nowhere, nowhere)))
    assert after.excess > 0.8
    back = case(with_mark, clean, (maps_at(places), nowhere))
    taken = MovingMark().change(back, generator())
    assert taken is not None
    for one, (y, x) in zip(taken.towards, places, strict=True):
        assert not np.allclose(one[y : y + SIDE, x : x + SIDE], mark.patch, atol=0.2)
    assert "pasting" in put.words
    assert "removing" in taken.words


def test_what_is_found_for_one_direction_holds_for_the_other() -> None:
    clean, (with_mark, places) = noise(1), marked(COUNT, 5)
    nowhere = looks([(HEIGHT / 2, WIDTH / 2)] * COUNT)
    there = case(clean, with_mark, (nowhere, maps_at(places)))
    back = dataclasses.replace(case(with_mark, clean, (maps_at(places), nowhere)), memory=there.memory, reverse=True)
    searched: list[bool] = []

    def search(one: ImagePair) -> list[Mark]:
        searched.append(one.reverse)
        return found(one)

    (mark,), (same,) = there.once(search), back.once(search)
    assert searched == [False]
    assert same.excess == -mark.excess
    np.testing.assert_array_equal(same.places[0], found(back)[0].places[0])
    np.testing.assert_array_equal(same.present[1], mark.present[0])


def test_no_mark_is_found_where_none_recurs_or_where_it_stays() -> None:
    assert found(case(noise(1), noise(2))) == []
    still = noise(3)
    still[:, 4 : 4 + SIDE, 6 : 6 + SIDE] = noise(9, 1)[0, :SIDE, :SIDE]
    maps = maps_at([(4, 6)] * COUNT)
    assert found(case(noise(1), still, (looks([(20.0, 24.0)] * COUNT), maps))) == []
