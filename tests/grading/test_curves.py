"""Deletion and insertion curves against known answers."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from picasso.errors import Cancelled
from picasso.explanation.inputs import NamedImage
from picasso.grading.curves import EDGES, MAP, RANDOM, at_random, controls, curves, edges, order_of, ranks_of
from picasso.grading.maps import Subject
from picasso.visualizations.panel import Panel
from picasso.visualizations.partial_occlusion import PartialOcclusion
from tests.fakes import HEIGHT, WIDTH, BlackBoxModel, PatchModel

PATCH = 6
TARGET = 6


def silent(fraction: float) -> None:
    pass


@pytest.fixture(name="subject")
def one_patch() -> Subject:
    """Return an image that is white in the patch that the model reads, and black elsewhere."""
    model = PatchModel()
    model.load()
    pixels = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    pixels[model.ROWS, model.COLUMNS] = 255
    return Subject.of(model, PartialOcclusion, {}, NamedImage("patch.png", Image.fromarray(pixels)), TARGET)


def truth(subject: Subject) -> np.ndarray:
    return ranks_of(vars(subject.model)["weights"][TARGET].sum(axis=-1))


def test_the_truth_of_a_model_of_one_patch_has_the_best_possible_curves(subject: Subject) -> None:
    orders = {MAP: truth(subject)} | {str(seed): at_random((WIDTH, HEIGHT), seed) for seed in range(50)}
    best, *others = curves(subject.model, subject.image, subject.target, orders, silent)
    steps = HEIGHT * WIDTH
    assert len(best.deletion) == len(best.insertion) == steps + 1
    # Nothing outside of the patch changes the answer.
    assert best.deletion[PATCH:] == pytest.approx([best.deletion[-1]] * (steps + 1 - PATCH), abs=1e-6)
    assert best.insertion[PATCH:] == pytest.approx([best.insertion[-1]] * (steps + 1 - PATCH), abs=1e-6)
    # The patch is white and its pixels have the same weight, so that each removes as much of the logits.
    logits = 0.1 * np.arange(1, 8) * 3 * (PATCH - np.minimum(np.arange(steps + 1), PATCH) / 2)[:, None]
    expected = np.exp(logits[:, TARGET]) / np.exp(logits).sum(axis=1)
    # The grey of an image is 128 of 255.
    assert best.deletion == pytest.approx(expected, abs=2e-3)
    assert all(np.all(np.asarray(best.deletion) <= np.asarray(one.deletion) + 1e-6) for one in others)
    assert all(best.insertion_area >= one.insertion_area for one in others)
    assert best.score > max(one.score for one in others)


def test_the_map_that_says_the_opposite_has_the_worst_curves(subject: Subject) -> None:
    opposite = ranks_of(truth(subject))
    worst, random = curves(
        subject.model, subject.image, subject.target, {MAP: opposite, RANDOM: at_random((WIDTH, HEIGHT), 0)}, silent
    )
    assert worst.score < random.score
    assert worst.deletion[:-PATCH] == pytest.approx([worst.deletion[0]] * (len(worst.deletion) - PATCH), abs=1e-6)


def test_the_ends_of_all_curves_are_the_same(subject: Subject) -> None:
    found = curves(subject.model, subject.image, subject.target, controls(subject.image.view, 3), silent)
    assert [one.order for one in found] == [RANDOM, EDGES]
    whole = float(subject.image.value(subject.target))
    assert all(one.deletion[0] == one.insertion[-1] == pytest.approx(whole, abs=1e-6) for one in found)
    assert found[0].deletion[-1] == found[1].deletion[-1]


@pytest.mark.parametrize(("falling", "first"), [(False, (5, 8)), (True, (0, 0))])
def test_pixels_that_speak_for_the_target_come_first(falling: bool, first: tuple[int, int]) -> None:
    values = np.arange(6, dtype=np.float32).reshape(2, 3)
    ranks = order_of(Panel("", values, signed=not falling, falling=falling), (WIDTH, HEIGHT))
    # Interpolation repeats the values at the borders.
    assert ranks[first] < 4
    assert sorted(ranks.ravel()) == list(range(WIDTH * HEIGHT))


def test_the_edge_detector_finds_a_step() -> None:
    pixels = np.zeros((4, 8), np.uint8)
    pixels[:, 4:] = 200
    assert set(np.argwhere(edges(Image.fromarray(pixels)) < 8)[:, 1]) == {3, 4}


def test_curves_can_be_cancelled(subject: Subject) -> None:
    def cancel(fraction: float) -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        curves(subject.model, subject.image, subject.target, {MAP: truth(subject)}, cancel)


def test_steps_are_a_hundredth_of_the_pixels() -> None:
    model = BlackBoxModel()
    model.load(shape=(20, 15, 3))
    noise = np.random.default_rng(0).integers(0, 256, (20, 15, 3), np.uint8)
    subject = Subject.of(model, PartialOcclusion, {}, NamedImage("noise.png", Image.fromarray(noise)))
    order = at_random((15, 20), 1)
    (curve,) = curves(model, subject.image, subject.target, {MAP: order}, silent)
    assert len(curve.deletion) == 101
    hidden = np.where((order < 30)[..., None], np.float32(128 / 255), subject.image.array)
    assert curve.deletion[10] == pytest.approx(float(model.values(hidden[None], [subject.target])[0, 0]), abs=1e-6)
