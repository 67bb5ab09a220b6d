"""The checkpoints of a folder: which they are, and in which order."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from picasso.errors import ModelError
from picasso.models.checkpoints import MAX_CHECKPOINTS, in_order, models_at, spread


def touch(folder: Path, *names: str) -> None:
    """Create empty files, each a second newer than the one before."""
    for age, name in enumerate(names):
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
        os.utime(file, (1_000_000 + age, 1_000_000 + age))


def names(folder: Path) -> list[str]:
    return [file.relative_to(folder).as_posix() for file, _ in models_at(folder)]


def test_numbers_in_names_count_as_numbers_and_not_as_text(tmp_path: Path) -> None:
    touch(tmp_path, "epoch_10-0.9.keras", "epoch_9-0.91.h5", "epoch_100.keras", "epoch_2.hdf5", ".epoch_1.keras")
    assert names(tmp_path) == ["epoch_2.hdf5", "epoch_9-0.91.h5", "epoch_10-0.9.keras", "epoch_100.keras"]


def test_without_a_number_in_each_name_the_time_counts(tmp_path: Path) -> None:
    touch(tmp_path, "start.keras", "epoch_2.keras", "best.keras")
    assert names(tmp_path) == ["start.keras", "epoch_2.keras", "best.keras"]
    assert in_order([]) == []


def test_every_format_and_saved_models_in_folders(tmp_path: Path) -> None:
    touch(tmp_path, "1.onnx", "2.tflite", "3.index", "3.meta", "3.data-00000-of-00001", "4/saved_model.pb", "notes.txt")
    assert names(tmp_path) == ["1.onnx", "2.tflite", "3.index", "4"]


def test_weights_beside_an_architecture(tmp_path: Path) -> None:
    (tmp_path / "model.json").write_text(json.dumps({"class_name": "Sequential", "config": {}}))
    touch(tmp_path, "w1.weights.h5", "w2.weights.h5", "3.keras")
    (whole, one), (first, settings), (_, last) = models_at(tmp_path)
    assert (whole.name, one["MODEL_LOAD_ARGS"]) == ("3.keras", {})
    assert (first.name, settings["MODEL"]) == ("w1.weights.h5", str(tmp_path / "model.json"))
    assert settings["MODEL_LOAD_ARGS"] == {"weights": str(tmp_path / "w1.weights.h5")}
    assert last["MODEL_LOAD_ARGS"] == {"weights": str(tmp_path / "w2.weights.h5")}


def test_one_file_and_one_saved_model_are_one_model(tmp_path: Path) -> None:
    touch(tmp_path, "a.keras", "saved/saved_model.pb", "saved/2.keras")
    assert models_at(tmp_path / "a.keras")[0][1] == {"MODEL": str(tmp_path / "a.keras"), "MODEL_LOAD_ARGS": {}}
    assert names(tmp_path / "saved") == ["."]


def test_many_checkpoints_are_thinned_out_evenly(tmp_path: Path) -> None:
    touch(tmp_path, *(f"epoch_{number}.keras" for number in range(100)))
    found = names(tmp_path)
    assert len(found) == len(set(found)) == MAX_CHECKPOINTS
    assert (found[0], found[-1]) == ("epoch_0.keras", "epoch_99.keras")
    assert spread([1, 2, 3, 4, 5], 3) == [1, 3, 5]


@pytest.mark.parametrize("name", ["missing.keras", "notes.txt", "empty"])
def test_the_error_names_the_path(name: str, tmp_path: Path) -> None:
    touch(tmp_path, "notes.txt")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelError, match=name):
        models_at(tmp_path / name)


def test_very_long_numbers_are_no_problem(tmp_path: Path) -> None:
    touch(tmp_path, f"{'9' * 200}.keras", "1.keras")
    assert names(tmp_path)[0] == "1.keras"
