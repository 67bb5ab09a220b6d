"""Views of a folder with known results: planted attention, clusters of maps, flips and near-duplicates."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from picasso.audit.findings import Finding
from picasso.audit.properties import Images, Maps
from picasso.audit.reporting.clustering import clusters
from picasso.audit.reporting.evidence import Evidence, flips
from picasso.audit.reporting.mean_attention import border, cells, mean_attention
from picasso.audit.reporting.near_duplicates import near_duplicates
from picasso.audit.statistics import Effect
from picasso.audit.trial import Trial


def looks(count: int, row: float, column: float, seed: int, noise: float = 0.3, side: int = 24) -> Maps:
    """Return maps with one blob, about a ninth of the side wide, and noise."""
    generator = np.random.default_rng(seed)
    rows, columns = np.mgrid[:side, :side] / side
    blob = np.exp(-((rows - row) ** 2 + (columns - column) ** 2) / 2 / 0.11**2)
    found = blob + noise * generator.random((count, side, side))
    return np.asarray(found / found.sum(axis=(1, 2), keepdims=True), np.float32)


# ---- average attention ---------------------------------------------------------------------------------------


def test_cells_are_means_also_where_sides_do_not_divide() -> None:
    maps = np.arange(2 * 16 * 20, dtype=np.float32).reshape(2, 16, 20)
    found = cells(maps)
    assert found.shape == (2, 8, 8)
    np.testing.assert_allclose(found[0, 0, 0], maps[0, :2, :2].mean(), atol=1e-6)
    # Columns 18 and 19 are the last of eight cells: 20 / 8 = 2.5, rounded to even.
    np.testing.assert_allclose(found[1, 7, 7], maps[1, 14:, 18:].mean(), atol=1e-4)
    assert cells(maps[:, :5, :3]).shape == (2, 5, 3)


def test_a_planted_look_is_outlined_and_an_even_one_is_not() -> None:
    seen = mean_attention(looks(20, 0.2, 0.7, 0))
    assert seen.more[1, 5]
    assert not seen.more[5:, :].any()
    assert seen.mean.mean() == pytest.approx(1, abs=1e-6)
    assert divmod(int(seen.cells.argmax()), 8) in {(1, 5), (2, 5), (1, 6)}
    even = mean_attention(np.full((20, 24, 24), 1 / 24**2, np.float32))
    assert not even.more.any()
    assert even.border == pytest.approx(even.border_even, abs=1e-6)


def test_noise_is_called_more_than_even_in_one_of_twenty_folders() -> None:
    outlined = 0
    for seed in range(200):
        maps = np.random.default_rng(seed).normal(1, 0.2, (12, 16, 16))
        outlined += bool(mean_attention(np.asarray(maps / 256, np.float32)).more.any())
    # 5% for all 64 cells together: 10 of 200, and hardly ever more than 20 (binomial, 0.1%).
    assert 1 <= outlined <= 20


def test_the_share_of_the_border_is_a_number_with_an_interval() -> None:
    maps = np.zeros((4, 16, 16), np.float32)
    maps[:, 0, 0] = [0.2, 0.4, 0.2, 0.4]
    maps[:, 8, 8] = 1 - maps[:, 0, 0]
    seen = mean_attention(maps)
    assert seen.border == pytest.approx(0.3, abs=1e-6)
    # Student's t for 3 degrees of freedom, 3.182, times 0.11547 / 2.
    np.testing.assert_allclose([seen.border_low, seen.border_high], [0.1163, 0.4837], atol=1e-4)
    assert seen.border_even == pytest.approx(1 - 12**2 / 16**2, abs=1e-9)
    assert border(16, 32).sum() == 16 * 32 - 12 * 24


# ---- clusters ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("one", "other"), [(25, 25), (40, 10), (6, 6)])
def test_two_planted_groups_are_found_exactly(one: int, other: int, seed: int) -> None:
    maps = np.concatenate([looks(one, 0.25, 0.25, seed), looks(other, 0.75, 0.6, seed + 100)])
    order = np.random.default_rng(seed).permutation(len(maps))
    found = [set(order[members]) for members in clusters(maps[order])]
    assert sorted(found, key=min) == [set(range(one)), set(range(one, one + other))]


def test_three_groups_are_three() -> None:
    maps = np.concatenate([looks(15, 0.2, 0.2, 0), looks(12, 0.8, 0.3, 1), looks(20, 0.4, 0.8, 2)])
    assert [len(members) for members in clusters(maps)] == [20, 15, 12]


@pytest.mark.parametrize("count", [12, 50, 150])
@pytest.mark.parametrize("noise", [0.1, 0.3, 2.0])
def test_one_group_is_one(count: int, noise: float) -> None:
    for seed in range(4):
        assert [len(members) for members in clusters(looks(count, 0.5, 0.5, seed, noise))] == [count]


def test_maps_that_are_all_the_same_are_one_and_few_are_not_divided() -> None:
    assert [len(members) for members in clusters(np.full((30, 16, 16), 1 / 256, np.float32))] == [30]
    assert [len(members) for members in clusters(looks(3, 0.5, 0.5, 0))] == [3]


def test_the_most_typical_map_comes_first() -> None:
    maps = looks(30, 0.5, 0.5, 0, noise=0.1)
    maps[7] = looks(1, 0.5, 0.5, 1, noise=1.5)[0]
    (members,) = clusters(maps)
    assert members[-1] == 7
    assert sorted(members) == list(range(30))


# ---- near-duplicates ----------------------------------------------------------------------------------------


def scenes(count: int, seed: int) -> Images:
    """Return images that are similar like landscapes, with a light sky above dark ground, but different."""
    generator = np.random.default_rng(seed)
    found = generator.random((count, 32, 40, 3))
    found = ndimage.gaussian_filter(found, (0, 2, 2, 0))
    found = 0.5 + 2 * (found - found.mean(axis=(1, 2, 3), keepdims=True))
    found[:, :12] += 0.4
    found[:, 12:] -= 0.2
    return np.asarray(np.clip(found, 0, 1), np.float32)


def test_images_in_two_classes_are_found_though_they_were_edited() -> None:
    views = {0: scenes(30, 0), 3: scenes(20, 1), 5: scenes(20, 2)}
    views[3][4] = views[0][11]
    # Brighter, and saved at half its size.
    small = Image.fromarray(np.round(views[0][2] * 255).astype(np.uint8)).resize((20, 16)).resize((40, 32))
    views[5][9] = np.clip(np.asarray(small, np.float32) / 255 * 0.9 + 0.05, 0, 1)
    found = near_duplicates(views)
    assert [(pair.one, pair.other, pair.first, pair.second) for pair in found] == [(0, 3, 11, 4), (0, 5, 2, 9)]
    assert found[0].likeness == pytest.approx(1, abs=1e-6)
    assert 0.97 <= found[1].likeness < 1


def test_images_that_are_merely_alike_are_not_called_the_same() -> None:
    assert near_duplicates({0: scenes(60, 0), 1: scenes(60, 1)}) == []


def test_the_same_image_twice_in_one_class_is_no_wrong_label() -> None:
    views = {0: scenes(10, 0), 1: scenes(10, 1)}
    views[0][3] = views[0][4]
    assert near_duplicates(views) == []


def test_images_without_contrast_are_not_compared() -> None:
    flat = np.full((8, 16, 16, 1), 0.5, np.float32)
    assert near_duplicates({0: flat, 1: flat}) == []


# ---- flips -------------------------------------------------------------------------------------------------


def evidence(name: str, ours: int, theirs: int, flipped: dict[int, list[bool]]) -> Evidence:
    """Return evidence that contains nothing but flips."""
    effect = Effect(0.5, 0.4, 0.6, 0.0, 0.5, 0.0, 8)
    there, back = (
        Trial(
            intervention=name, kind="property", informative=False, floor=0.1, words="", ours=a, theirs=b, effect=effect
        )
        for a, b in ((ours, theirs), (theirs, ours))
    )
    which: dict[int, NDArray[np.bool_]] = {target: np.array(some) for target, some in flipped.items()}
    return Evidence(Finding(there, back, 0.0), (), np.zeros((2, 2), np.float32), which)


def test_flips_are_counted_over_all_suspects() -> None:
    exhibits = [
        evidence("brightness", 0, 1, {0: [True, False, True], 1: [False, True]}),
        evidence("the frame", 0, 1, {0: [True, False, False], 1: [False, False]}),
        evidence("noise", 1, 2, {1: [False, True], 2: [False]}),
    ]
    assert [(one.target, one.index, one.by, one.tried) for one in flips(exhibits)] == [
        (0, 0, ("brightness", "the frame"), 2),
        (1, 1, ("brightness", "noise"), 3),
        (0, 2, ("brightness",), 2),
    ]
    assert flips([]) == []
