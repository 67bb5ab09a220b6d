"""The model of the cost of large audits is fitted to what it was made from, and the images are those that it counts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from benchmarks import scale
from benchmarks.scale import Pools, Size, audited, chosen, expected, fit, listed, predicted, write_images
from picasso.audit.interventions import INTERVENTIONS


def test_the_parameters_of_a_linear_cost_are_found_again() -> None:
    sizes = [Size(classes, names, pairs) for classes in (2, 10, 300) for names in (20, 500) for pairs in (1, 4, 9)]
    found = []
    for number, size in enumerate(sizes):
        files, tests = size.classes * 20.0, 900.0 * size.pairs + 37 * (number % 4)
        rest = 2 + 3e-4 * files + 5e-4 * tests + 1.5 * size.pairs
        names = size.classes * size.names
        found.append(
            (size, {"files": files, "tests": tests, "listing": 4e-6 * names, "reading": 1, "trying": rest - 1})
        )
    per_name, weights = fit(found)
    assert per_name == pytest.approx(4e-6)
    assert weights == pytest.approx([2, 3e-4, 5e-4, 1.5])
    assert predicted((per_name, weights), Size(5, 1_000, 3), 100, 200) == pytest.approx(0.02 + 2 + 0.03 + 0.1 + 4.5)


def test_an_audit_counts_what_it_reads_and_tests() -> None:
    one = audited(Size(2, 30, 1), 16, ("brightness",))
    assert (one["files"], one["block"], one["tests"]) == (60, 30, 60)
    assert min(one[of] for of in ("listing", "reading", "trying")) > 0


def test_of_many_classes_few_are_held() -> None:
    one = chosen(110)
    assert one["read"] <= 20
    assert one["files"] == 110 * 10 + one["read"] * 10
    assert listed(400)["whole"] < 200


def test_images_are_linked_and_answered_with_their_class(tmp_path: Path) -> None:
    write_images(tmp_path, Size(3, 100, 1))
    files = sorted((tmp_path / "c2").iterdir())
    assert len(files) == 100
    assert len({file.stat().st_ino for file in files}) == scale.DIFFERENT
    model = Pools()
    model.load(32, 3)
    seen = [model.view(Image.open(file)) for file in files]
    assert model.viewed == 100
    assert (model.predict(model.encode(seen)).argmax(axis=1) == 2).mean() > 0.9


def test_what_is_expected_of_large_audits() -> None:
    assert expected(Size(2, 100, 1)) == (200, 200 * len(INTERVENTIONS))
    # A sample of each class, and all images of 20 of them at most.
    assert expected(Size(1_000, 1_000, 10)) == (16_000 + 20_000, 20 * 200 * len(INTERVENTIONS))


def test_the_tables_show_the_measurements(monkeypatch: pytest.MonkeyPatch) -> None:
    def elsewhere(*words: str) -> Any:
        figures = ("listing", "reading", "trying", "peak", "peak_reading", "files", "read", "block", "tests", "used")
        return dict.fromkeys((*figures, "blocks", "digest", "whole", "seconds", "left"), 4.0)

    monkeypatch.setattr(scale, "elsewhere", elsewhere)
    assert scale.names_table()[-1] == "| 1,000,000 | 4.00 | 4.00 | 4.00 | 4 |"
    assert scale.classes_table()[-1] == "| 1,000 | 499,500 | 4.0 | 4.0 | 4.00 | 4 |"
    assert scale.memory_table()[-1] == "| 224 x 224 | 4 | 4 | 4 | 1.00 |"
    lines = scale.model_table()
    assert sum("held out" in line for line in lines) == len(scale.HELD_OUT)
    assert lines[-1].startswith("| 100,000,000 | 1,000 | 10 | 2,016,000 |")
