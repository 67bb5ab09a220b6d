"""How growth is fitted and told, and that the work of a figure is as much as the figure says."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from benchmarks import growth
from benchmarks.growth import IMAGES, PIXELS, TARGETS, Growing, cells, exponent, noise_images, work_of
from picasso.models.arrays import Array
from tests.fakes import LinearModel


def found(seconds: Sequence[float], peaks: Sequence[float], model: float = 500) -> list[dict[str, float]]:
    return [{"cpu": one, "peak": peak, "model": model} for one, peak in zip(seconds, peaks, strict=True)]


@pytest.mark.parametrize("power", [0.0, 0.5, 1.0, 2.0])
def test_the_exponent_is_that_of_a_power(power: float) -> None:
    sizes = [1, 7, 30, 200]
    assert exponent(sizes, [3 * size**power for size in sizes]) == pytest.approx(power)


def test_the_exponent_has_the_smallest_squared_error_on_logarithmic_scales() -> None:
    sizes, seconds = [1.0, 10.0, 100.0], [1.0, 5.0, 120.0]
    best = exponent(sizes, seconds)

    def error(slope: float) -> float:
        left = np.log(seconds) - slope * np.log(sizes)
        return float(((left - left.mean()) ** 2).sum())

    assert error(best) < min(error(best - 0.01), error(best + 0.01))


def test_a_row_of_linear_growth_says_so() -> None:
    row = cells(Growing(IMAGES, "RISE", (1, 10, 100)), found([0.1, 1, 10], [30, 31, 33]))
    assert row == ("images of RISE: 1, 10, 100", "0.10, 1.00, 10.00", "1.00, at last 1.00", "30, 31, 33", "1.01")


def test_growth_of_pixels_is_that_of_the_squared_side() -> None:
    row = cells(Growing(PIXELS, "LIME", (64, 128, 256)), found([1, 4, 16], [10, 40, 160], model=0))
    assert row[0] == "pixels of LIME: 64 x 64, 128 x 128, 256 x 256"
    assert row[2] == "1.00, at last 1.00"
    # Larger images may take more memory.
    assert row[4] == "16.00"


@pytest.mark.parametrize(
    ("seconds", "peaks", "time", "memory"),
    [
        ([1, 10, 1000], [1, 1, 1], "1.50, at last 2.00 (worse than linear)", "1.00"),
        # A fixed part hides it from the fit.
        ([10, 11, 200], [1, 1, 1], "0.65, at last 1.26 (worse than linear)", "1.00"),
        ([1, 10, 100], [0, 50, 500], "1.00, at last 1.00", "2.00 (not flat)"),
    ],
)
def test_a_row_says_what_is_worse(seconds: list[float], peaks: list[float], time: str, memory: str) -> None:
    row = cells(Growing(TARGETS, "RISE", (1, 10, 100)), found(seconds, peaks))
    assert (row[2], row[4]) == (time, memory)


def test_the_table_measures_each_amount_of_the_chosen_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, int]] = []

    def elsewhere(word: str, arguments: str) -> dict[str, float]:
        index, amount = json.loads(arguments)
        asked.append((index, amount))
        return {"cpu": float(amount), "peak": 5.0, "model": 500.0}

    monkeypatch.setattr(growth, "elsewhere", elsewhere)
    lines = growth.table(["Masks"])
    (index,) = (number for number, one in enumerate(growth.GROWING) if one.what == "Masks")
    assert asked == [(index, amount) for amount in growth.GROWING[index].amounts]
    assert len(lines) == 3
    assert lines[2].startswith("| Masks of RISE: 100, 500, 2500 | 100.00, 500.00, 2500.00 | 1.00, at last 1.00 |")
    asked.clear()
    growth.table()
    assert len(asked) == sum(len(one.amounts) for one in growth.GROWING)


class Counting(LinearModel):
    """A model that counts its predictions."""

    count = 0

    def batch_probabilities(self, inputs: Array) -> Array:
        self.count += len(inputs)
        return super().batch_probabilities(inputs)


@pytest.mark.parametrize(
    ("growing", "amount", "count"),
    [
        (Growing("Masks", "RISE", (), {"Error": 0}), 150, 150 + 1),
        (Growing(IMAGES, "RISE", (), {"Error": 0, "Masks": 50}), 3, 3 * (50 + 1)),
        (Growing(TARGETS, "RISE", (), {"Error": 0, "Masks": 50}), 3, 50 + 1),
        (Growing("windows", "PartialOcclusion", ()), 49, 49),
    ],
    ids=lambda one: one.what if isinstance(one, Growing) else "",
)
def test_the_work_is_as_much_as_asked_for(growing: Growing, amount: int, count: int, tmp_path: Path) -> None:
    model = Counting()
    model.load()
    files = noise_images(tmp_path, 8, amount if growing.what == IMAGES else 1)
    model.count = 0
    work_of(model, growing, amount, files)()
    assert model.count == count
