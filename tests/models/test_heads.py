"""The last dense layer of Keras models: found, read, and replaced in a copy."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from picasso.errors import BadRequest, ModelError
from picasso.models import load_model
from picasso.models.head import HeadWeights, Link
from tests.fakes import LinearModel

# Keras warns when it writes a file.
pytestmark = pytest.mark.filterwarnings("ignore")
layers = keras.layers
SHAPE = (12, 10, 3)


def backbone() -> keras.Model:
    given = keras.Input(SHAPE)
    seen = layers.Conv2D(5, 3, activation="relu")(layers.Rescaling(1 / 255)(given))
    return keras.Model(given, layers.GlobalAveragePooling2D()(seen), name="backbone")


def plain(units: int, activation: str | None, use_bias: bool = True) -> keras.Model:
    return keras.Sequential([keras.Input(SHAPE), backbone(), layers.Dense(units, activation, use_bias=use_bias)])


def followed(*after: Any) -> keras.Model:
    return keras.Sequential([keras.Input(SHAPE), backbone(), layers.Dense(3), *after])


def nested() -> keras.Model:
    inner = keras.Sequential([keras.Input((5,)), layers.Dense(4, "relu"), layers.Dense(3, "softmax")], name="inner")
    given = keras.Input(SHAPE)
    return keras.Model(given, inner(backbone()(given)))


HEADS: dict[str, tuple[Callable[[], keras.Model], Link, str]] = {
    "softmax": (lambda: plain(3, "softmax"), Link.SOFTMAX, ""),
    "logits": (lambda: plain(3, None), Link.SOFTMAX, "logits"),
    "one sigmoid": (lambda: plain(1, "sigmoid"), Link.SOFTMAX, ""),
    "sigmoids": (lambda: plain(3, "sigmoid"), Link.SIGMOID, ""),
    "without bias": (lambda: plain(3, "softmax", use_bias=False), Link.SOFTMAX, ""),
    "activation": (lambda: followed(layers.Activation("softmax")), Link.SOFTMAX, ""),
    "softmax layer": (lambda: followed(layers.Softmax()), Link.SOFTMAX, ""),
    "nested": (nested, Link.SOFTMAX, ""),
}


def inputs() -> np.ndarray[Any, np.dtype[np.float32]]:
    return np.asarray(np.random.default_rng(1).uniform(0, 255, (7, *SHAPE)), np.float32)


@pytest.mark.slow
@pytest.mark.parametrize("name", HEADS)
def test_a_head_is_read_and_replaced_in_a_copy(name: str, tmp_path: Path) -> None:
    keras.utils.set_random_seed(0)
    build, link, kind = HEADS[name]
    file, copy = tmp_path / "model.keras", tmp_path / "copy.keras"
    build().save(file)
    digest = hashlib.sha256(file.read_bytes()).digest()
    model = load_model(file, preprocess="0..255", output_kind=kind)
    head = model.head()
    assert head.link is link
    assert head.has_bias is (name != "without bias")
    some, before = inputs(), model.predict(inputs())
    features = head.features(some)
    assert features.shape == (7, 5 if name != "nested" else 4)
    np.testing.assert_allclose(head.probabilities(head.weights.logits(features)), before, atol=1e-5)
    generator = np.random.default_rng(2)
    kernel, bias = (generator.normal(0, 1, part.shape) for part in (head.weights.kernel, head.weights.bias))
    other = HeadWeights(kernel, bias if head.has_bias else np.zeros_like(bias))
    head.write(other, copy)
    written = head.reload(copy)
    np.testing.assert_allclose(written.predict(some), head.probabilities(other.logits(features)), atol=1e-5)
    assert written.fingerprint != model.fingerprint
    assert list(written.class_names()) == list(model.class_names())
    # The model in memory and its file are as they were.
    np.testing.assert_array_equal(model.predict(some), before)
    assert hashlib.sha256(file.read_bytes()).digest() == digest
    assert keras.models.load_model(copy).name.endswith("_mended")


@pytest.mark.slow
def test_no_file_is_overwritten(tmp_path: Path) -> None:
    model = load_model(plain(3, "softmax"), preprocess="0..255")
    head, file = model.head(), tmp_path / "there.keras"
    file.write_bytes(b"something")
    with pytest.raises(BadRequest, match="exists, and no file is overwritten"):
        head.write(head.weights, file)
    assert file.read_bytes() == b"something"
    with pytest.raises(BadRequest, match=r"is written as a \.keras file"):
        head.write(head.weights, tmp_path / "copy.h5")
    assert [one.name for one in tmp_path.iterdir()] == ["there.keras"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "after",
    [
        pytest.param(lambda: [layers.Rescaling(2.0), layers.Softmax()], id="a temperature"),
        pytest.param(lambda: [layers.Dense(8), layers.Reshape((4, 2)), layers.Flatten()], id="more units than classes"),
    ],
)
def test_other_ends_are_refused(after: Callable[[], list[Any]]) -> None:
    model = load_model(followed(*after()), preprocess="0..255")
    if model.num_classes == 3:
        with pytest.raises(ModelError, match="class scores come from one dense layer"):
            model.head()
    else:
        # The last dense layer has one unit for each class: what follows only changes the shape.
        assert model.head().weights.kernel.shape == (3, 8)


def test_other_formats_say_which_models_can_be_mended() -> None:
    model = LinearModel()
    model.load()
    with pytest.raises(ModelError, match="Only Keras models that end in a dense layer can be mended"):
        model.head()


@pytest.mark.slow
def test_training_changes_all_layers_and_lowers_the_loss() -> None:
    keras.utils.set_random_seed(0)
    model = load_model(plain(3, "softmax"), preprocess="0..255")
    head, some = model.head(), inputs()
    targets = np.arange(7) % 3
    shares = np.ones(7, np.float32)

    def loss() -> float:
        return float(-np.log(model.predict(some)[np.arange(7), targets]).mean())

    before, kernels = loss(), [one.numpy() for one in model.model.trainable_variables]  # type: ignore[attr-defined]
    some_more = np.tile(some, (5, 1, 1, 1))
    for epoch in range(5):
        head.train(some_more, np.tile(targets, 5), np.tile(shares, 5), rate=1e-2, seed=epoch, between=lambda: None)
    assert loss() < before
    pairs = zip(kernels, model.model.trainable_variables, strict=True)  # type: ignore[attr-defined]
    assert all((old != new.numpy()).any() for old, new in pairs)
    np.testing.assert_allclose(
        head.probabilities(head.weights.logits(head.features(some))), model.predict(some), atol=1e-5
    )
