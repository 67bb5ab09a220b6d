"""RISE: converges to the expectation over all masks, finds the patch, tells its error truly."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from picasso import explain
from picasso.errors import Cancelled
from picasso.explanation.result import Result
from picasso.models.arrays import Array
from picasso.visualizations import rise
from tests.conftest import noise_image
from tests.fakes import CLASSES, LinearModel, PatchModel


class Toy(LinearModel):
    """A model of 4 x 4 pixels whose probabilities are no linear function of what is shown."""

    def load(self, **arguments: Any) -> None:
        super().load(shape=(4, 4, 3))


def hard_mask(seed: int, index: int, size: tuple[int, int], cells: int, probability: float) -> Array:
    """Return a mask of 2 x 2 hard cells: of these, all 16 can be tried."""
    shown = np.random.default_rng([seed, index]).random((2, 2)) < probability
    return np.asarray(np.kron(shown, np.ones((2, 2))), np.float32)


def test_the_map_converges_to_the_exact_expectation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rise, "random_mask", hard_mask)
    model, share = Toy(), 0.3
    model.load()
    source = noise_image(5, (4, 4))
    (result,) = explain(model, source, "RISE", Masks=20000, Shown=share)
    array, expected = model.preprocess([source])[0], np.zeros((CLASSES, 4, 4))
    for cells in itertools.product((0, 1), repeat=4):
        mask = np.kron(np.array(cells).reshape(2, 2), np.ones((2, 2))).astype(np.float32)
        likelihood = share ** sum(cells) * (1 - share) ** (4 - sum(cells))
        probabilities = model.predict((array * mask[..., None])[None])[0]
        # The expectation where a place is shown: divided by how much of it is, which is the share.
        expected += likelihood * probabilities[:, None, None] * mask / share
    *maps, errors = result.panels
    assert errors.quantity == "standard error"
    for index, panel in enumerate(maps):
        # Four places are independent; six standard errors are never exceeded by chance.
        allowed = 6 * errors.array if index == 0 else 0.03
        assert (np.abs(panel.array - expected[panel.class_index]) < allowed).all()
    assert 0 < errors.array.max() < 0.01


def run(model: LinearModel, seed: int = 0, masks: int = 400, **more: Any) -> Result:
    (result,) = explain(model, noise_image(4), "RISE", Masks=masks, Cells=4, Seed=seed, **more)
    return result


def test_the_standard_error_is_that_of_repeated_runs(linear: LinearModel) -> None:
    repeated = np.stack([run(linear, seed, 100).panels[0].array for seed in range(60)])
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
        explain(linear, noise_image(), "RISE", Masks=2000, progress=stop)
    assert max(seen) < 0.6
