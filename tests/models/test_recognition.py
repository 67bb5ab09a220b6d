"""Which format lies at a path: the same answer for what loads it and for what scans it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from picasso.errors import ModelError
from picasso.models.loading import open_file
from picasso.models.recognition import Format, Found, keras_model, recognize, tensorflow_1
from picasso.models.scan import scan

ARCHITECTURE = '{"class_name": "Sequential", "config": []}'


def write(folder: Path, *names: str) -> None:
    """Write files, each newer than the one before."""
    for age, name in enumerate(names):
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(ARCHITECTURE if name.endswith(".json") else "x")
        os.utime(file, (1000 + age, 1000 + age))


@pytest.mark.parametrize(
    ("files", "asked", "kind", "path", "weights"),
    [
        (["a.keras"], "a.keras", Format.KERAS_ARCHIVE, "a.keras", None),
        (["a.H5"], "a.H5", Format.KERAS_HDF5, "a.H5", None),
        (["a.hdf5"], "a.hdf5", Format.KERAS_HDF5, "a.hdf5", None),
        (["a.json", "old.h5", "new.weights.h5"], "a.json", Format.KERAS_JSON, "a.json", "new.weights.h5"),
        (["a.json"], "a.json", Format.KERAS_JSON, "a.json", None),
        (["a.onnx"], "a.onnx", Format.ONNX, "a.onnx", None),
        (["a.tflite"], "a.tflite", Format.TFLITE, "a.tflite", None),
        (["a.PB"], "a.PB", Format.FROZEN_GRAPH, "a.PB", None),
        (["saved_model.pb"], "saved_model.pb", Format.SAVED_MODEL, "", None),
        (["saved_model.pb", "a.keras"], "", Format.SAVED_MODEL, "", None),
        (["9/saved_model.pb", "10/saved_model.pb"], "", Format.SAVED_MODEL, "10", None),
        (["old.keras", "new.h5"], "", Format.KERAS_HDF5, "new.h5", None),
        (["a.json", "a.h5"], "", Format.KERAS_JSON, "a.json", "a.h5"),
        (["a.json", "a.h5", "new.keras"], "", Format.KERAS_ARCHIVE, "new.keras", None),
        (["a.index", "b.index"], "", Format.CHECKPOINT, "b", None),
        (["a.index", "a.meta"], "a", Format.CHECKPOINT, "a", None),
        (["a.index"], "a.data-00000-of-00001", Format.CHECKPOINT, "a", None),
        # TensorFlow looks for the files of a checkpoint whatever its prefix ends with.
        (["a.pb", "a.pb.meta"], "a.pb", Format.CHECKPOINT, "a.pb", None),
    ],
)
def test_what_lies_where(
    tmp_path: Path, files: list[str], asked: str, kind: Format, path: str, weights: str | None
) -> None:
    write(tmp_path, *files)
    found = recognize(tmp_path / asked)
    assert found == Found(kind, tmp_path / path, tmp_path / weights if weights else None)
    # What the classes find by themselves, when they are given a path or a folder.
    again = {
        "Keras": lambda: keras_model(found.path) if asked else keras_model(data_dir=tmp_path),
        "Tenso": lambda: tensorflow_1(found.path) if asked else tensorflow_1(data_dir=tmp_path),
    }.get(str(kind)[:5])
    if again and (weights or kind is not Format.KERAS_JSON):
        assert again() == found


def test_what_is_no_model(tmp_path: Path) -> None:
    write(tmp_path, "labels.txt")
    os.mkfifo(tmp_path / "pipe.onnx")
    for name, said in {
        "no.keras": "There is no model file",
        "labels.txt": r"^Picasso can't load .*labels\.txt\. Supported formats: Keras files",
        "": "There is no model in the folder",
        "pipe.onnx": "is not a regular file. Specify a model file or folder.",
    }.items():
        for ask in (recognize, open_file, scan):
            with pytest.raises(ModelError, match=said):
                ask(tmp_path / name)


def test_the_weights_that_an_argument_names(tmp_path: Path) -> None:
    write(tmp_path, "a.json", "beside.h5", "elsewhere/b.h5")
    named = tmp_path / "elsewhere" / "b.h5"
    assert keras_model(tmp_path / "a.json", weights=named) == Found(Format.KERAS_JSON, tmp_path / "a.json", named)
    assert keras_model(data_dir=tmp_path, weights=named).weights == named


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.keras", b"", "it is empty"),
        ("a.keras", b"\x89HDF\r\n\x1a\n", "the content is not in the format Keras archive (.keras)"),
        ("a.h5", b"PK\x03\x04", "the content is not in the format Keras file (.h5)"),
        ("a.tflite", b"PK\x03\x04 and more", "the content is not in the format TFLite"),
    ],
)
def test_content_that_contradicts_the_name(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    (tmp_path / name).write_bytes(content)
    report = scan(tmp_path / name)
    (finding,) = report
    assert (finding.kind, report.is_data) == ("broken", False)
    assert finding.what == said


def test_a_pipe_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.keras")
    with pytest.raises(ModelError, match=r"a\.keras is not a regular file"):
        open_file(tmp_path)


def test_the_pipe_of_an_index_is_not_opened(tmp_path: Path) -> None:
    write(tmp_path, "model.meta")
    os.mkfifo(tmp_path / "model.index")
    assert "it is not a regular file" in [one.what for one in scan(tmp_path / "model.meta")]


def test_a_json_that_takes_much_memory_is_no_architecture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "a.json", "a.h5")
    assert keras_model(data_dir=tmp_path).format is Format.KERAS_JSON
    monkeypatch.setattr("picasso.models.scan.json_reading.MAX_BYTES", 100)
    assert keras_model(data_dir=tmp_path) == Found(Format.KERAS_HDF5, tmp_path / "a.h5")
