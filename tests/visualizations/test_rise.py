"""RISE: converges to the expectation over all masks, finds the patch, tells its error truly."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from picasso import explain
from picasso.errors import Cancelled
from picasso.explanation.inputs import NamedImage, prepare
from picasso.explanation.result import Result
from picasso.visualizations import Task
from picasso.visualizations.rise import RISE, RISESettings
from tests.attribution.test_masks import every_mask
from tests.conftest import noise_image
from tests.fakes import CLASSES, LinearModel, PatchModel


class Toy(LinearModel):
    """A model of 4 x 4 pixels whose probabilities are no linear function of what is shown."""

    def load(self, **arguments: Any) -> None:
        super().load(shape=(4, 4, 3))


def test_the_map_converges_to_the_exact_expectation() -> None:
    model, share = Toy(), 0.3
    model.load()
    source = noise_image(5, (4, 4))
    (result,) = explain(model, source, "RISE", Masks=20000, Error=0, Cells=2, Shown=share)
    array, expected = model.preprocess([source])[0], np.zeros((CLASSES, 4, 4))
    for likelihood, mask in every_mask((4, 4), share):
        probabilities = model.predict((array * mask[..., None])[None])[0]
        # The expectation where a place is shown: divided by how much of it is, which is the share.
        expected += likelihood * probabilities[:, None, None] * mask / share
    *maps, errors = result.panels
    assert errors.quantity == "standard error"
    for index, panel in enumerate(maps):
        # The error is that of the differences between pixels; six standard errors are never exceeded by chance.
        allowed = 6 * errors.array + 0.01 if index == 0 else 0.03
        assert (np.abs(panel.array - expected[panel.class_index]) < allowed).all()
    assert 0 < errors.array.max() < 0.01


def run(model: LinearModel, seed: int = 0, masks: int = 400, **more: Any) -> Result:
    (result,) = explain(model, noise_image(4), "RISE", Masks=masks, Cells=4, Seed=seed, **more)
    return result


def test_the_standard_error_is_that_of_repeated_runs(linear: LinearModel) -> None:
    repeated = np.stack([run(linear, seed, 100).panels[0].array for seed in range(60)])
    repeated -= repeated.mean(axis=(1, 2), keepdims=True)
    told = run(linear, 0, 100).panels[-1].array
    ratio = repeated.std(axis=0, ddof=1).mean() / told.mean()
    assert 0.8 < ratio < 1.25


def test_the_seed_makes_it_reproducible(linear: LinearModel) -> None:
    np.testing.assert_array_equal(run(linear, 1).panels[0].array, run(linear, 1).panels[0].array)
    assert (run(linear, 1).panels[0].array != run(linear, 2).panels[0].array).any()


def test_the_patch_that_is_read_stands_out(patch: PatchModel) -> None:
    panel = run(patch, masks=2000).panels[0]
    inside = panel.array[patch.ROWS, patch.COLUMNS].mean()
    assert inside > np.delete(panel.array, range(patch.ROWS.start, patch.ROWS.stop), axis=0).max()


def test_it_stops_when_it_is_cancelled(linear: LinearModel) -> None:
    seen: list[float] = []

    def stop(fraction: float) -> None:
        seen.append(fraction)
        if fraction > 0.3:
            raise Cancelled

    with pytest.raises(Cancelled):
        explain(linear, noise_image(), "RISE", Masks=2000, Error=0, progress=stop)
    assert max(seen) < 0.6


def test_it_stops_when_the_error_is_small_enough(linear: LinearModel) -> None:
    counts = []
    for error in (0.2, 0.05, 0):
        result = run(linear, masks=5000, Error=error)
        panel = result.panels[0]
        counts.append(int(panel.note.removesuffix(" masks.").rpartition(" ")[2]))
        shown = float(panel.note.partition("average, ")[2].partition("%")[0]) / 100
        assert shown <= (error or 1) + 0.005
    assert counts[0] < counts[1] < counts[2] == 5000


def test_previews_are_coarse_and_results_are_not(linear: LinearModel) -> None:
    made: list[tuple[int, ...]] = []

    class Large(LinearModel):
        def load(self, **arguments: Any) -> None:
            super().load(shape=(100, 120, 3))

    model = Large()
    model.load()
    (image,) = prepare(model, [NamedImage("noise", noise_image(0, (120, 100)))])
    settings = RISESettings(masks=300, error=0)
    task = Task(model, [image], settings, lambda done, total: None, lambda make: made.append(make()[0].array.shape))
    (panels,) = RISE().make_visualization(task)
    assert set(made) == {(50, 60)}
    assert panels[0].array.shape == (100, 120)
