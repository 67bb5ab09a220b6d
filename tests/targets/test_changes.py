"""What changes in an output, for each task, on outputs that can be compared by hand."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from picasso.targets import (
    Classification,
    Detection,
    Embedding,
    MultiLabel,
    OutputSpec,
    OutputTask,
    Regression,
    Segmentation,
)
from picasso.targets.base import Array
from picasso.targets.changes import BY_TASK, Answer, Changes, changes

NAMES = ["ant", "bee", "cat"]


def answer(spec: OutputSpec, output: Sequence[object], top: int = 5) -> Answer:
    array: Array = np.array(output, np.float32)
    (best,) = spec.decode(array[None], NAMES, top)
    return Answer(array, best)


def compared(spec: OutputSpec, before: Sequence[object], after: Sequence[object], top: int = 5) -> Changes:
    return changes(spec, answer(spec, before, top), answer(spec, after, top))


def numbers(found: Changes) -> list[tuple[str, float | None, float | None]]:
    return [
        (one["name"], one["before"] and round(one["before"], 5), one["after"] and round(one["after"], 5))
        for one in found.entries
    ]


def test_all_tasks_are_known() -> None:
    assert set(BY_TASK) == set(OutputTask)


def test_another_class_flips_and_brings_its_probability() -> None:
    spec = Classification((3,))
    found = compared(spec, [0.5, 0.25, 0.25], [0.25, 0.125, 0.625], top=1)
    assert numbers(found) == [("ant", 0.5, 0.25), ("cat", 0.25, 0.625)]
    assert found.flipped
    assert found.share is None
    assert not compared(spec, [0.5, 0.25, 0.25], [0.375, 0.25, 0.375]).flipped


def test_labels_flip_where_one_passes_one_half() -> None:
    spec = MultiLabel((3,))
    assert not compared(spec, [0.75, 0.625, 0.25], [0.625, 0.75, 0.25]).flipped
    # The label is not among the shown ones, and the best one stays.
    found = compared(spec, [0.75, 0.625, 0.25], [0.75, 0.375, 0.25], top=1)
    assert found.flipped
    assert numbers(found) == [("ant", 0.75, 0.75)]


def test_values_keep_their_order_and_unit() -> None:
    found = compared(Regression((3,), unit="mm"), [1.0, -2.0, 3.0], [0.5, 4.0, 3.0])
    assert numbers(found) == [("ant", 1, 0.5), ("bee", -2, 4), ("cat", 3, 3)]
    assert {one["unit"] for one in found.entries} == {"mm"}
    assert not found.flipped


def test_shares_of_pixels() -> None:
    ant, bee, cat = np.eye(3).tolist()
    spec = Segmentation((1, 4, 3))
    found = compared(spec, [[ant, ant, ant, bee]], [[ant, cat, cat, cat]])
    assert numbers(found) == [("ant", 0.75, 0.25), ("bee", 0.25, 0.0), ("cat", 0.0, 0.75)]
    assert (found.share, found.flipped) == (0.75, True)
    # Pixels change although the shares stay.
    found = compared(spec, [[ant, ant, ant, bee]], [[bee, ant, ant, ant]])
    assert (found.share, found.flipped) == (0.5, False)


def detector(count: int) -> Detection:
    """Return the specification of a detector whose raw output is a list of boxes with the scores of two classes."""

    def decode(outputs: dict[str, Array]) -> list[tuple[Array, Array]]:
        return [(rows[:, :4], rows[:, 4:]) for rows in outputs["boxes"]]

    return Detection((count * 6,), "", "", "", (("boxes", (count, 6)),), (20, 20), "custom", 2, decode)


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        # Its intersection over union with the box before is exactly one half.
        ([0, 0, 10, 5, 0.625, 0.0], [("ant", 0.75, 0.625)]),
        ([0, 0, 10, 4.9, 0.625, 0.0], [("ant", 0.75, None), ("ant", None, 0.625)]),
        # The same place, but another class.
        ([0, 0, 10, 10, 0.0, 0.625], [("ant", 0.75, None), ("bee", None, 0.625)]),
        # Below the score from which on objects are shown.
        ([0, 0, 10, 10, 0.125, 0.0], [("ant", 0.75, None)]),
    ],
)
def test_objects_are_matched_by_class_and_overlap(
    box: list[float], expected: list[tuple[str, float | None, float | None]]
) -> None:
    found = compared(detector(1), [0, 0, 10, 10, 0.75, 0.0], box)
    assert numbers(found) == expected
    assert found.flipped == (len(expected) > 1 or expected[0][2] is None)
    assert found.entries[0]["box"] == [0, 0, 10, 10]


def test_each_object_is_matched_once_and_no_objects_are_none() -> None:
    one, two = [0, 0, 10, 10, 0.75, 0.0], [10, 0, 20, 10, 0.5, 0.0]
    found = compared(detector(2), [*one, *two], [*two, *one])
    assert numbers(found) == [("ant", 0.75, 0.75), ("ant", 0.5, 0.5)]
    assert not found.flipped
    nothing = [0, 0, 1, 1, 0.0, 0.0] * 2
    assert compared(detector(2), nothing, nothing) == Changes(())


def test_the_similarity_of_two_vectors() -> None:
    spec = Embedding((2,))
    found = compared(spec, [3.0, 4.0], [4.0, 3.0])
    assert numbers(found) == [("similarity with the whole image", 1, 0.96)]
    assert not found.flipped
    assert compared(spec, [3.0, 4.0], [0.0, 0.0]).entries[0]["after"] == 0
