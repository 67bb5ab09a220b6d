"""The outlines of regions, and the examples of findings that they are drawn on."""

from __future__ import annotations

import re

import numpy as np
import pytest

from picasso.audit.interventions import INTERVENTIONS, ImagePair
from picasso.audit.interventions.base import Regions
from picasso.audit.interventions.geometry import Warp
from picasso.audit.interventions.mirror import Mirror
from picasso.audit.reporting.outlines import outline

HEIGHT, WIDTH = 32, 48


def enclosed(path: str, height: int, width: int) -> Regions:
    """Return the pixels inside an outline, by counting the vertical lines to the left of each."""
    crossings = np.zeros((height, width + 1), np.int64)
    for x, top, bottom in re.findall(r"M(\d+) (\d+)V(\d+)", path):
        crossings[int(top) : int(bottom), int(x)] += 1
    return np.asarray(crossings.cumsum(axis=1)[:, :-1] % 2 == 1)


def test_an_outline_encloses_exactly_the_region() -> None:
    region = np.random.default_rng(0).random((20, 30)) < 0.4
    found = outline(region)
    assert found is not None
    assert (found["width"], found["height"]) == (30, 20)
    np.testing.assert_array_equal(enclosed(found["path"], 20, 30), region)
    # The horizontal lines enclose it as well.
    turned = re.sub(r"M(\d+) (\d+)H(\d+)", r"M\2 \1V\3", "".join(re.findall(r"M\d+ \d+H\d+", found["path"])))
    np.testing.assert_array_equal(enclosed(turned, 30, 20), region.T)


def test_a_large_region_is_outlined_in_cells() -> None:
    region = np.zeros((300, 401), np.bool_)
    region[100:200, 40:401] = True
    found = outline(region)
    assert found is not None
    assert (enclosed(found["path"], 300, 401) != region).mean() < 0.02
    assert len(found["path"]) < 200


@pytest.mark.parametrize("region", [None, np.zeros((4, 4), np.bool_), np.ones((4, 4), np.bool_)])
def test_nothing_and_everything_have_no_outline(region: Regions | None) -> None:
    assert outline(region) is None


@pytest.fixture(scope="module")
def case() -> ImagePair:
    """Images of two classes with a mark in one of them, and attention to different rows and columns."""
    generator = np.random.default_rng(1)
    ours, theirs = (generator.random((12, HEIGHT, WIDTH, 3)).astype(np.float32) for _ in range(2))
    mark = generator.random((4, 4, 3)).astype(np.float32).round()
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    maps = np.empty((2, 12, HEIGHT, WIDTH), np.float32)
    maps[0] = np.exp(-((rows - 6) ** 2 + (columns - 6) ** 2) / 50)
    for index, image in enumerate(theirs):
        row, column = 2 * (index % 6) + 14, 3 * (index % 7) + 22
        image[row : row + 4, column : column + 4] = mark
        maps[1, index] = np.exp(-((rows - row - 2) ** 2 + (columns - column - 2) ** 2) / 90)
    maps /= maps.sum(axis=(2, 3), keepdims=True)
    return ImagePair(ours, theirs, lambda: (maps[0], maps[1]))


# tests/audit/test_segments.py tests recurring segments, of which these images have none.
OUTLINED = [
    one for one in INTERVENTIONS if one.kind in {"region", "edge", "mark"} and one.name != "a recurring segment"
]


@pytest.mark.parametrize("one", OUTLINED, ids=lambda one: one.name)
def test_what_is_changed_is_what_is_outlined(case: ImagePair, one: object) -> None:
    for each in (case, ImagePair(case.theirs, case.ours, lambda: case.attention()[::-1])):
        changed = one.change(each, np.random.default_rng(0))  # type: ignore[attr-defined]
        assert changed is not None
        assert changed.region.shape == each.ours.shape[:3]
        differs = (changed.towards != each.ours).any(axis=-1)
        # A covered mark also changes a narrow rim around the square.
        removes = "removing" in (changed.words or "")
        assert differs[changed.region].mean() > 0.8
        assert differs[~changed.region].mean() < (0.1 if removes else 1e-9)


def test_moved_objects_are_outlined_where_they_are_after_the_change(case: ImagePair) -> None:
    tested = set()
    for one in INTERVENTIONS:
        # Those that change geometry are skipped here, since noise has none.
        if one.kind == "object" and not isinstance(one, Warp | Mirror):
            changed = one.change(case, np.random.default_rng(0))
            assert changed is not None
            assert changed.region is not None
            # The most attended quarter.
            assert changed.region.mean() == pytest.approx(0.25, abs=0.1)
            if changed.region_after is not None:
                assert (changed.region_after != changed.region).any()
                tested.add(one.name)
            if one.name == "horizontal position":
                assert changed.region_after is not None
                columns = np.arange(WIDTH)
                before, after = ((some * columns).sum() / some.sum() for some in (changed.region, changed.region_after))
                assert after > before + 3
    assert tested == {"horizontal position", "vertical position", "object size"}


def test_the_background_is_outside_of_the_most_attended_part(case: ImagePair) -> None:
    (background,) = (one for one in INTERVENTIONS if one.name == "the background")
    changed = background.change(case, np.random.default_rng(0))
    assert changed is not None
    assert changed.region is not None
    assert not changed.region[:, 4:8, 4:8].any()
    differs = (changed.towards != case.ours).any(axis=-1)
    assert differs[changed.region].mean() > 0.95
