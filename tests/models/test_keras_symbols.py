"""The lists of what a Keras file may name, against what the installed Keras has."""

from __future__ import annotations

import importlib
import inspect
import json
import pkgutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from picasso.models.scan import keras_symbols as symbols
from picasso.models.scan import scan
from picasso.models.scan.findings import Context
from picasso.models.scan.keras_config import judge

# What a package offers besides, to those who write programs.
TOOLS = {"deserialize", "get", "serialize"}
# Functions that build a layer and call it; a file holds the layer.
CALLS = {"Input", "add", "average", "concatenate", "dot", "maximum", "minimum", "multiply", "subtract"}
BASES = {
    "constraints": {"Constraint"},
    "initializers": {"Initializer"},
    "losses": {"Loss"},
    "metrics": {"Metric"},
    "optimizers": {"Optimizer"},
    "quantizers": {"Quantizer"},
    "regularizers": {"Regularizer"},
}


PACKAGES = """
    activations constraints dtype_policies initializers layers losses metrics optimizers quantizers regularizers
"""


@pytest.mark.parametrize("package", PACKAGES.split())
def test_every_symbol_of_keras_is_allowed_or_refused_for_a_reason(package: str) -> None:
    from picasso.models.tf.runtime import keras

    module = getattr(keras, package)
    names = {name for name in dir(module) if not name.startswith("_") and not inspect.ismodule(getattr(module, name))}
    classes = {name for name in names if inspect.isclass(getattr(module, name))}
    allowed = symbols.PACKAGES[package]
    assert (
        classes - allowed == {"layers": set(symbols.REFUSED_LAYERS)}.get(package, BASES.get(package, set())) & classes
    )
    functions = names - classes - TOOLS - (CALLS if package == "layers" else set())
    # Quantizers are named by class; what computes inside of one is no part of a file.
    if package != "quantizers":
        assert functions <= symbols.FUNCTIONS.get(package, frozenset())


def test_every_schedule_is_allowed() -> None:
    from picasso.models.tf.runtime import keras

    schedules = {name for name in dir(keras.optimizers.schedules) if name[0].isupper()} - {"LearningRateSchedule"}
    assert schedules <= symbols.OPTIMIZERS


def test_every_operation_of_keras_is_allowed_or_refused() -> None:
    operation = importlib.import_module("keras.src.ops.operation").Operation
    found = set()
    for name in ("core", "einops", "function", "image", "linalg", "math", "nn", "numpy"):
        module = importlib.import_module(f"keras.src.ops.{name}")
        found |= {one for one, kind in vars(module).items() if inspect.isclass(kind) and issubclass(kind, operation)}
    # GPTQ and the like import layers there; those are no operations.
    assert found - symbols.OPERATIONS - symbols.REFUSED_OPERATIONS == set()
    assert not symbols.OPERATIONS & symbols.REFUSED_OPERATIONS
    assert {"Map", "Scan", "WhileLoop", "Cond"} <= symbols.REFUSED_OPERATIONS


def operations(keras: Any) -> Any:
    """Return a model of operations, attention and wrappers."""
    layers, ops = keras.layers, keras.ops
    inputs = keras.Input((8, 8, 3))
    x = ops.add(inputs, 1.0) * 2 - ops.mean(inputs, axis=-1, keepdims=True)
    x = ops.where(x[:, :4, ::2] > 0, x[:, :4, ::2], -np.inf)
    x = ops.clip(ops.einsum("bijc,bijd->bijd", x, x), 0, 1) / np.array([1.0, 2, 3], np.float32)
    x = layers.Activation(ops.gelu)(layers.Activation(keras.activations.silu)(x))
    x = layers.Reshape((16, -1))(x)
    x = layers.LayerNormalization()(layers.Add()([layers.MultiHeadAttention(2, 4)(x, x), x]))
    x = layers.Bidirectional(layers.LSTM(3, return_sequences=True))(x)
    dense = layers.Dense(3, kernel_regularizer="l2", bias_initializer=keras.initializers.Constant(0.1))
    x = layers.TimeDistributed(keras.Sequential([dense]))(x)
    inner = keras.Sequential([keras.Input((3,)), layers.Dense(3, "relu", dtype="mixed_float16")])
    inner.compile("adam", "mse", metrics=["accuracy", keras.metrics.AUC()])
    x = layers.Dense(4, activation="softmax", dtype="float32")(inner(ops.max(x, axis=1)))
    model = keras.Model(inputs, x)
    schedule = keras.optimizers.schedules.CosineDecay(0.1, 10)
    model.compile(keras.optimizers.AdamW(schedule), keras.losses.CategoricalCrossentropy(from_logits=True))
    return model


def preprocessing(keras: Any) -> Any:
    """Return a model of layers that change images, compiled with a function of somebody's own."""
    layers = keras.layers
    cells = [layers.GRUCell(3), layers.LSTMCell(4)]
    model = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            layers.Rescaling([1 / 2, 1 / 3, 1.0], offset=[0.0, 1, 2]),
            layers.Normalization(mean=[1.0, 2, 3], variance=[1.0, 1, 1]),
            layers.RandomFlip(),
            layers.RandAugment((0, 255)),
            layers.Resizing(4, 4),
            layers.Conv2D(3, 3, padding="same", kernel_constraint="max_norm"),
            layers.BatchNormalization(),
            layers.PReLU(),
            layers.SpectralNormalization(layers.Conv2D(3, 1)),
            layers.GlobalAveragePooling2D(),
            layers.RepeatVector(3),
            layers.RNN(cells),
            layers.Dense(3, activation="softmax"),
        ]
    )
    model.compile("sgd", loss=own_loss, metrics=[own_loss])
    return model


def own_loss(true: Any, found: Any) -> Any:
    """Return how far an answer is off."""
    return found - true


def quantized(keras: Any) -> Any:
    """Return a model of 8-bit weights."""
    model = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Flatten(), keras.layers.Dense(4)])
    model.quantize("int8")
    return model


def half(keras: Any) -> Any:
    """Return a model whose weights have 16 bits."""
    layers = keras.layers
    return keras.Sequential([keras.Input((8, 8, 3)), layers.Flatten(), layers.Dense(4, dtype="bfloat16")])


# Keras itself uses what NumPy and TensorFlow are about to drop.
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("build", [operations, preprocessing, quantized, half])
def test_what_keras_writes_is_data(build: Any, tmp_path: Path) -> None:
    from picasso.models.tf.runtime import keras

    model = build(keras)
    model.save(tmp_path / "model.keras")
    model.save_weights(tmp_path / "model.weights.h5")
    (tmp_path / "model.json").write_text(model.to_json())
    files = ["model.keras", "model.weights.h5", "model.json"]
    if build is not operations:
        # Keras does not find operations in its old format again, and says so.
        model.save(tmp_path / "model.h5")
        files.append("model.h5")
    for file in files:
        assert scan(tmp_path / file).findings == (), file


def test_every_layer_that_keras_applications_brings_is_allowed() -> None:
    from picasso.models.tf.runtime import keras

    source = importlib.import_module("keras.src.applications")
    names = [one.name for one in pkgutil.iter_modules(source.__path__) if not one.name.endswith("_test")]
    modules = [importlib.import_module(f"{source.__name__}.{name}") for name in names]
    found = {
        name
        for module in modules
        for name, kind in vars(module).items()
        if inspect.isclass(kind) and issubclass(kind, keras.layers.Layer) and kind.__module__ == module.__name__
    }
    assert found <= symbols.PACKAGES["applications"]


# Those that bring layers of their own, and one of the largest configurations.
@pytest.mark.slow
@pytest.mark.parametrize("name", ["ConvNeXtTiny", "InceptionResNetV2", "MobileNetV3Small", "NASNetMobile"])
def test_networks_of_keras_applications_are_data(name: str) -> None:
    from picasso.models.tf.runtime import keras

    network = getattr(keras.applications, name)(weights=None)
    assert list(judge(json.loads(network.to_json()), Context(), name)) == []
    keras.backend.clear_session()
