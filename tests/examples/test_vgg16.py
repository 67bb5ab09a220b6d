"""VGG16 without its half gigabyte of weights: how it is prepared, and what it is fed."""

from __future__ import annotations

import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from picasso.examples import imagenet, preparing
from picasso.models import load_model

pytestmark = pytest.mark.filterwarnings("ignore")

VGG = Path(preparing.__file__).parent / "keras-vgg16"

Script = Callable[..., Any]


@pytest.fixture
def vgg(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Script:
    """The script of VGG16, writing to a folder of the test's, with nothing cached and nobody answering."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    main = runpy.run_path(str(VGG / "prepare_model.py"))["main"]
    names = main.callback.__wrapped__.__globals__
    monkeypatch.setitem(names, "DATA", tmp_path / "data")
    monkeypatch.setitem(names, "MODEL", tmp_path / "data" / "vgg16.keras")
    monkeypatch.setitem(names, "ADDRESS", "http://127.0.0.1:9/")
    return lambda *arguments: CliRunner().invoke(main, arguments)


def test_vgg16_without_network(vgg: Script, tmp_path: Path) -> None:
    answer = vgg()
    assert answer.exit_code == 2
    assert answer.stderr.count("\n") == 1
    assert "can't be downloaded" in answer.stderr
    assert answer.stderr.endswith(f"put it into {tmp_path / 'data'}.\n")


def test_vgg16_with_broken_weights(vgg: Script, tmp_path: Path) -> None:
    name = "vgg16_weights_tf_dim_ordering_tf_kernels.h5"
    for folder in (tmp_path / "keras" / "models", tmp_path / "data"):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"half of it")
        answer = vgg()
        assert answer.exit_code == 2
        assert f"{folder / name} is broken" in answer.stderr, "the file in data/ is preferred to Keras' own"
    assert f"There is no file {tmp_path / 'none'}" in vgg("--weights", str(tmp_path / "none")).stderr


def test_vgg16_is_built_of_weights_that_are_there(vgg: Script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a small network in VGG16's place; the real one takes half a gigabyte."""
    import keras

    def small(weights: str) -> keras.Model:
        assert Path(weights).read_bytes() == b"0123456789"
        return keras.Sequential([keras.Input((4, 4, 3)), keras.layers.Flatten(), keras.layers.Dense(3, "softmax")])

    def show(*_: object) -> None:
        shown.append(True)

    shown: list[bool] = []
    monkeypatch.setattr(keras.applications, "VGG16", small)
    monkeypatch.setattr(preparing, "photographs", show)
    monkeypatch.setattr(preparing, "check", lambda *_: None)
    (tmp_path / "given.h5").write_bytes(b"0123456789")
    answer = vgg("--weights", str(tmp_path / "given.h5"))
    assert answer.exit_code == 0, answer.output
    assert (tmp_path / "data" / "vgg16.keras").exists()
    assert shown


def test_vgg16_is_fed_what_keras_feeds_it(tmp_path: Path) -> None:
    import keras

    keras.Sequential([keras.Input((224, 224, 3)), keras.layers.GlobalAveragePooling2D(), keras.layers.Softmax()]).save(
        tmp_path / "any.keras"
    )
    model = load_model(tmp_path / "any.keras", preprocess="caffe crop")
    pixels = np.random.default_rng(0).integers(0, 256, (224, 224, 3), np.uint8)
    expected = keras.applications.vgg16.preprocess_input(pixels[None].astype(np.float32))
    np.testing.assert_allclose(model.preprocess([Image.fromarray(pixels)]), expected, atol=1e-4)


def test_imagenet_names() -> None:
    every = {"0": "tench, Tinca tinca", "1": "crane", "2": "crane, bird", "3": "goldfish"}
    assert imagenet.names(every, ["t", "construction crane", "crane bird", "g"]) == [
        "tench", "construction crane", "crane bird", "goldfish",
    ]  # fmt: skip
    lines = imagenet.LABELS.read_text(encoding="utf-8").splitlines()
    assert len(lines) == len(set(lines)) == 1000
    assert (lines[0], lines[281], lines[999]) == ("tench", "tabby", "toilet tissue")
