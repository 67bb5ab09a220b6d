"""Copies of models with random weights, which leave the weights of the model alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from picasso.config import PACKAGE
from picasso.errors import ModelError
from picasso.examples.brightness import BrightnessModel
from picasso.models import load_model
from picasso.models.arrays import Array
from picasso.models.keras import KerasModel

EXAMPLES = PACKAGE / "examples"


def digits() -> tuple[KerasModel, Array]:
    model = load_model(EXAMPLES / "keras" / "config.py")
    assert isinstance(model, KerasModel)
    return model, np.random.default_rng(0).random((3, *model.input_shape), np.float32)


def test_kernels_become_random_from_the_output_on_and_the_model_stays() -> None:
    model, inputs = digits()
    before, weights = model.predict(inputs), [np.copy(one) for one in model.model.get_weights()]
    copy = model.random_weights(seed=1)
    assert copy.model.predict(inputs) == pytest.approx(before, abs=1e-6)
    assert len(copy.kernels) == 6
    # The last layer, with which the feature maps before it do not change.
    copy.randomize(1)
    last = copy.model.predict(inputs)
    assert np.abs(last - before).max() > 0.1
    assert copy.model.feature_maps(inputs) == pytest.approx(model.feature_maps(inputs), abs=1e-5)
    copy.randomize(6)
    assert np.abs(copy.model.feature_maps(inputs) - model.feature_maps(inputs)).max() > 0.1
    assert np.abs(model.predict(inputs) - before).max() == 0
    copy.randomize(1)
    assert copy.model.predict(inputs) == pytest.approx(last, abs=1e-6)
    copy.randomize(0)
    assert copy.model.predict(inputs) == pytest.approx(before, abs=1e-6)
    assert all(np.array_equal(one, other) for one, other in zip(weights, model.model.get_weights(), strict=True))


def test_gradients_are_those_of_the_random_weights() -> None:
    model, inputs = digits()
    copy = model.random_weights()
    original = model.gradients(inputs, [3])
    assert copy.model.gradients(inputs, [3]) == pytest.approx(original, abs=1e-5)
    copy.randomize(6)
    random = copy.model.gradients(inputs, [3])
    step = np.float32(1e-2) * random[:, 0] / np.linalg.norm(random[:, 0].ravel())
    change = (copy.model.logits(inputs + step) - copy.model.logits(inputs - step))[:, 3]
    assert change == pytest.approx((2 * step * random[:, 0]).sum(axis=(1, 2, 3)), rel=0.05, abs=1e-4)
    assert model.gradients(inputs, [3]) == pytest.approx(original, abs=1e-6)


def test_random_numbers_have_the_size_of_the_kernel_and_depend_on_the_seed_alone() -> None:
    model, inputs = digits()
    one, same, other = (model.random_weights(seed) for seed in (5, 5, 6))
    for copy in (one, same, other):
        copy.randomize(3)
    assert np.array_equal(one.model.logits(inputs), same.model.logits(inputs))
    assert not np.allclose(one.model.logits(inputs), other.model.logits(inputs))
    # Logits of the same magnitude, so that neither everything nor nothing is certain.
    assert 0.1 < np.abs(one.model.logits(inputs)).mean() / np.abs(model.logits(inputs)).mean() < 10


def test_graphs_have_random_weights_too() -> None:
    model = load_model(EXAMPLES / "tensorflow" / "config.py")
    inputs = np.random.default_rng(0).random((2, *model.input_shape), np.float32)
    before = model.predict(inputs)
    copy = model.random_weights()
    copy.randomize(len(copy.kernels))
    assert len(copy.kernels) == 4
    assert np.abs(copy.model.predict(inputs) - before).max() > 0.01
    assert np.array_equal(model.predict(inputs), before)


def test_onnx_files_have_random_weights_too(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    helper, numpy = onnx.helper, onnx.numpy_helper
    generator = np.random.default_rng(0)
    kernels = [generator.normal(size=size).astype(np.float32) for size in ((4, 3, 3, 3), (4, 5))]
    nodes = [
        helper.make_node("Conv", ["image", "a"], ["maps"], pads=[1, 1, 1, 1]),
        helper.make_node("GlobalAveragePool", ["maps"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("MatMul", ["flat", "b"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["out"]),
    ]
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "g",
        [value("image", 1, ["n", 3, 16, 16])],
        [value("out", 1, ["n", 5])],
        [numpy.from_array(kernel, name) for kernel, name in zip(kernels, "ab", strict=True)],
    )
    file = tmp_path / "net.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), file)
    model = load_model(file)
    inputs = generator.random((2, 16, 16, 3), np.float32)
    copy = model.random_weights()
    assert len(copy.kernels) == 2
    assert copy.model.predict(inputs) == pytest.approx(model.predict(inputs), abs=1e-6)
    copy.randomize(2)
    assert np.abs(copy.model.predict(inputs) - model.predict(inputs)).max() > 1e-3


def test_a_class_without_random_weights_says_so() -> None:
    model = BrightnessModel()
    model.load()
    with pytest.raises(ModelError, match=r"can't be replaced by random ones: its class has no random_weights\(\)"):
        model.random_weights()
