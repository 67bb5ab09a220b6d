"""ONNX files as TensorFlow graphs: the same numbers, with gradients, feature maps and incremental occlusion."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from picasso.errors import ModelError
from picasso.models.arrays import Array
from picasso.models.base import Model
from picasso.models.info import Capability
from picasso.models.loading import load_model
from picasso.models.onnx import ONNXModel
from picasso.models.tf.onnx.names import layer_name, layer_names
from picasso.models.translated import apart, verdict

onnx = pytest.importorskip("onnx")
SIDE, CLASSES = 24, 5
RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.random((3, SIDE, SIDE, 3), np.float32)


def weights(*shape: int, seed: int = 0) -> Any:
    generator = np.random.default_rng(seed)
    return (generator.normal(size=shape) / np.sqrt(np.prod(shape[1:]))).astype(np.float32)


def node(kind: str, inputs: Sequence[str], output: str, name: str = "", **attributes: Any) -> Any:
    return onnx.helper.make_node(kind, inputs, [output], name=name, **attributes)


def residual(folder: Path, batch: int | str = "N", half: bool = False, ends: Sequence[Any] = ()) -> Path:
    """Write a residual network with a strided, a depthwise and a dilated convolution and a squeeze-and-excitation."""
    kind, values = (onnx.TensorProto.FLOAT16, np.float16) if half else (onnx.TensorProto.FLOAT, np.float32)
    named = {
        "w1": weights(8, 3, 3, 3, seed=1),
        "b1": weights(8, 1, seed=2)[:, 0],
        "w2": weights(8, 1, 3, 3, seed=3),
        "w3": weights(8, 8, 3, 3, seed=4),
        "s1": weights(4, 8, 1, 1, seed=5),
        "s2": weights(8, 4, 1, 1, seed=6),
        "d": weights(CLASSES, 8, seed=7) * 3,
        "e": weights(CLASSES, 1, seed=8)[:, 0],
        "half": np.array(0.5, np.float32),
        "three": np.full((1, 1, 1, 1), 3, np.float32),
    }
    nodes = [
        node("Conv", ["x", "w1", "b1"], "c1", "/stem/conv/Conv", strides=[2, 2], pads=[1, 1, 1, 1]),
        node("Relu", ["c1"], "r1", "/stem/act/Relu"),
        node("MaxPool", ["r1"], "p1", "/stem/pool/MaxPool", kernel_shape=[3, 3], strides=[1, 1], pads=[1, 1, 1, 1]),
        node("Conv", ["p1", "w2"], "c2", "/block/dw/Conv", group=8, pads=[1, 1, 1, 1]),
        node("Conv", ["c2", "w3"], "c3", "/block/conv/Conv", pads=[2, 2, 2, 2], dilations=[2, 2]),
        node("GlobalAveragePool", ["c3"], "g", "/block/se/GlobalAveragePool"),
        node("Conv", ["g", "s1"], "q1", "/block/se/fc1/Conv"),
        node("Relu", ["q1"], "q2", "/block/se/act/Relu"),
        node("Conv", ["q2", "s2"], "q3", "/block/se/fc2/Conv"),
        node("HardSigmoid", ["q3"], "q4", "/block/se/gate/HardSigmoid"),
        node("Mul", ["c3", "q4"], "m", "/block/se/Mul"),
        node("Add", ["m", "p1"], "a", "/block/Add"),
        node("Mul", ["a", "half"], "h", "/block/Mul"),
        node("Div", ["h", "three"], "v", "/block/Div"),
        node("Relu", ["v"], "r2", "/block/act/Relu"),
        node("GlobalAveragePool", ["r2"], "gp", "/pool/GlobalAveragePool"),
        node("Flatten", ["gp"], "f", "/Flatten"),
        node("Gemm", ["f", "d", "e"], "y", "/fc/Gemm", transB=1),
        *ends,
    ]
    graph = onnx.helper.make_graph(
        nodes,
        "g",
        [onnx.helper.make_tensor_value_info("x", kind, [batch, 3, SIDE, SIDE])],
        [onnx.helper.make_tensor_value_info("y", kind, [batch, CLASSES])],
        [onnx.numpy_helper.from_array(value.astype(values), name) for name, value in named.items()],
    )
    file = folder / "residual.onnx"
    onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8), str(file))
    return file


def runtime(file: Path, images: Array = IMAGES) -> Array:
    """Return the output of ONNX Runtime, one image after the other."""
    onnxruntime = pytest.importorskip("onnxruntime")
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    (source,) = session.get_inputs()
    kind = np.float16 if "16" in source.type else np.float32
    images = np.ascontiguousarray(images.transpose(0, 3, 1, 2)).astype(kind)
    return np.concatenate([session.run(None, {source.name: one[None]})[0] for one in images]).astype(np.float32)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return load_model(residual(tmp_path_factory.mktemp("onnx")), preprocess="0..1")


def test_a_file_gives_what_the_runtime_gives_and_gradients(model: Model) -> None:
    assert model.capabilities == {Capability.PREDICTIONS, Capability.GRADIENTS, Capability.FEATURE_MAPS}
    assert isinstance(model, ONNXModel)
    np.testing.assert_allclose(model.logits(IMAGES), runtime(model._file), atol=2e-6)
    assert model.fixed_batch is None
    assert not any("gradients" in note for note in model.notes)


def test_gradients_are_differences(model: Model) -> None:
    """In the direction of the gradient, and in a random direction, at a point where no rectifier switches."""
    image, step = IMAGES[:1], 2e-3
    gradient = model.input_gradients(image, np.array([2]))[0]
    for direction in (gradient, RANDOM.normal(size=gradient.shape)):
        unit = (direction / np.linalg.norm(direction)).astype(np.float32)
        up, down = (model.logits(image + sign * step * unit)[0, 2] for sign in (1, -1))
        assert (up - down) / (2 * step) == pytest.approx(float((gradient * unit).sum()), rel=0.02, abs=2e-3)


def test_layers_have_the_names_of_modules_and_channels_last(model: Model) -> None:
    layers = {layer.name: layer for layer in model.layers()}
    assert next(iter(layers)) == "stem.act"
    assert list(layers)[-1] == "block.act"
    assert layers["block.act"].shape == (12, 12, 8)
    place = layers["stem.act"].place
    assert place is not None
    # Each value is at the centre of its window: one pixel of padding, and a stride of 2.
    assert (place.start, place.step) == ((0.5, 0.5), (2.0, 2.0))
    assert layers["stem.act"].receptive_field == (3, 3)
    maps = model.feature_maps(IMAGES, "block.act")
    assert maps.shape == (3, 12, 12, 8)
    pooled = maps.mean(axis=(1, 2)) @ (weights(CLASSES, 8, seed=7) * 3).T + weights(CLASSES, 1, seed=8)[:, 0]
    np.testing.assert_allclose(pooled, model.logits(IMAGES), atol=1e-5)


def test_no_image_is_transposed(model: Model) -> None:
    kinds = [one.type for one in model._graph._built.wrapped.graph.get_operations()]  # type: ignore[attr-defined]
    assert "Conv2D" in kinds
    assert "Transpose" not in kinds


def test_occlusion_is_incremental_and_exact(tmp_path: Path) -> None:
    plain = load_model(residual(tmp_path), preprocess="0..1")
    image, fill = IMAGES[0], np.zeros_like(IMAGES[0])
    boxes = [(left, top, left + 6, top + 6) for top in range(0, 19, 3) for left in range(0, 19, 3)]

    def all_of(parts: Any) -> Array:
        found = np.zeros((len(boxes), CLASSES), np.float32)
        for indices, values in parts:
            found[indices] = values
        return found

    found = all_of(plain.occlude(image, fill, boxes).parts)
    np.testing.assert_allclose(found, all_of(Model.occlude(plain, image, fill, boxes).parts), atol=2e-6)
    plain._graph.incremental()  # type: ignore[attr-defined]  # The structure is supported.


def test_a_file_for_one_image_computes_batches(tmp_path: Path) -> None:
    shape = onnx.numpy_helper.from_array(np.array([1, CLASSES]), "sides")
    file = residual(tmp_path, batch=1)
    made = onnx.load(str(file))
    made.graph.initializer.append(shape)
    made.graph.node[-1].output[0] = "z"
    made.graph.node.append(node("Reshape", ["z", "sides"], "y"))
    onnx.save(made, str(file))
    model = load_model(file, preprocess="0..1")
    assert model.fixed_batch is None
    np.testing.assert_allclose(model.logits(IMAGES), runtime(file), atol=2e-6)


def test_a_file_that_mixes_the_images_of_a_batch_keeps_its_batch(tmp_path: Path) -> None:
    """The mean over the batch is the image itself if there is one."""
    file = residual(tmp_path, batch=1)
    made = onnx.load(str(file))
    made.graph.node[-1].output[0] = "z"
    made.graph.node.append(node("ReduceMean", ["z"], "y", axes=[0], keepdims=1))
    onnx.save(made, str(file))
    model = load_model(file, preprocess="0..1")
    assert model.fixed_batch == 1
    np.testing.assert_allclose(model.logits(IMAGES), runtime(file), atol=2e-6)


def test_numbers_of_16_bits_are_computed_with_32(tmp_path: Path) -> None:
    file = residual(tmp_path, half=True)
    model = load_model(file, preprocess="0..1")
    assert Capability.FEATURE_MAPS in model.capabilities
    np.testing.assert_allclose(model.logits(IMAGES), runtime(file), atol=5e-3)
    assert np.abs(model.input_gradients(IMAGES, np.array([0, 1, 2]))).max() > 0


def test_what_has_no_translation_predicts_and_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from picasso.models.tf.onnx.table import OPERATIONS

    monkeypatch.delitem(OPERATIONS, "HardSigmoid")
    file = residual(tmp_path)
    model = load_model(file, preprocess="0..1")
    assert model.capabilities == {Capability.PREDICTIONS}
    np.testing.assert_allclose(model.logits(IMAGES), runtime(file), atol=2e-6)
    assert model.fixed_batch is None
    said = "gives only predictions, .*: HardSigmoid of the node '/block/se/gate/HardSigmoid': .* no translation. If it"
    assert any(re.search(said, note) for note in model.notes)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ModelError, match="can't be translated .*HardSigmoid of the node"):
        load_model(file)


def test_a_wrong_translation_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from picasso.models.tf.onnx.table import OPERATIONS

    right = OPERATIONS["HardSigmoid"]
    monkeypatch.setitem(OPERATIONS, "HardSigmoid", lambda node, x: right(node, x) * 1.01)
    file = residual(tmp_path)
    model = load_model(file, preprocess="0..1")
    assert model.capabilities == {Capability.PREDICTIONS}
    assert any("differ from those of ONNX Runtime by" in note for note in model.notes)
    np.testing.assert_allclose(model.logits(IMAGES), runtime(file), atol=2e-6)


def test_without_the_runtime_the_translation_is_said_to_be_unchecked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = residual(tmp_path)
    expected = runtime(file)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    model = load_model(file, preprocess="0..1")
    np.testing.assert_allclose(model.logits(IMAGES), expected, atol=2e-6)
    assert any("was not compared with ONNX Runtime" in note for note in model.notes)


def test_an_output_that_does_not_depend_on_the_image_is_refused(tmp_path: Path) -> None:
    file = residual(tmp_path)
    made = onnx.load(str(file))
    made.graph.initializer.append(onnx.numpy_helper.from_array(np.zeros((1, CLASSES), np.float32), "fixed"))
    made.graph.node[-1].output[0] = "z"
    made.graph.node.append(node("Identity", ["fixed"], "y"))
    onnx.save(made, str(file))
    with pytest.raises(ModelError, match=r"The output y of \w+\.onnx does not depend on its input\."):
        load_model(file)


def test_class_names_are_read_from_the_metadata(tmp_path: Path) -> None:
    file = residual(tmp_path)
    made = onnx.load(str(file))
    for names, expected in [
        ("{0: 'a', 1: 'b', 2: 'c', 3: 'd', 4: 'e'}", ("a", "b", "c", "d", "e")),
        ("['v', 'w', 'x', 'y', 'z']", ("v", "w", "x", "y", "z")),
        ("{0: 'a'}", ("0", "1", "2", "3", "4")),
        ("__import__('os').system('true')", ("0", "1", "2", "3", "4")),
    ]:
        del made.metadata_props[:]
        made.metadata_props.add(key="names", value=names)
        onnx.save(made, str(file))
        assert tuple(load_model(file, preprocess="0..1").class_names()) == expected
    assert load_model(file, labels=list("klmno")).class_names() == tuple("klmno")


def test_channel_shuffles_and_images_with_channels_last(tmp_path: Path) -> None:
    """The shuffle needs one transposition; a file that takes ``(N, H, W, C)`` and turns it over needs none."""
    for last in (False, True):
        first = [node("Transpose", ["x"], "t", perm=[0, 3, 1, 2])] if last else []
        nodes = [
            *first,
            node("Conv", ["t" if last else "x", "w"], "c", pads=[1, 1, 1, 1]),
            node("Reshape", ["c", "split"], "s1"),
            node("Transpose", ["s1"], "s2", perm=[0, 2, 1, 3, 4]),
            node("Reshape", ["s2", "merged"], "s3"),
            node("Conv", ["s3", "g"], "o", group=2),
            node("ReduceMean", ["o"], "y", axes=[2, 3], keepdims=0),
        ]
        stored = {
            "w": weights(6, 3, 3, 3, seed=1),
            "g": weights(4, 3, 1, 1, seed=2),
            "split": np.array([0, 2, 3, SIDE, SIDE]),
            "merged": np.array([-1, 6, SIDE, SIDE]),
        }
        sides = [SIDE, SIDE, 3] if last else [3, SIDE, SIDE]
        graph = onnx.helper.make_graph(
            nodes,
            "g",
            [onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["N", *sides])],
            [onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, ["N", 4])],
            [onnx.numpy_helper.from_array(value, name) for name, value in stored.items()],
        )
        file = tmp_path / "shuffle.onnx"
        opsets = [onnx.helper.make_opsetid("", 17)]
        onnx.save(onnx.helper.make_model(graph, opset_imports=opsets, ir_version=8), str(file))
        model = load_model(file, preprocess="0..1", output_kind="logits")
        session = pytest.importorskip("onnxruntime").InferenceSession(str(file), providers=["CPUExecutionProvider"])
        given = IMAGES if last else np.ascontiguousarray(IMAGES.transpose(0, 3, 1, 2))
        np.testing.assert_allclose(model.logits(IMAGES), session.run(None, {"x": given})[0], atol=2e-6)
        operations = model._graph._built.wrapped.graph.get_operations()  # type: ignore[attr-defined]
        turned = [one for one in operations if one.type == "Transpose" and not one.name.startswith("gradients")]
        assert len(turned) == 1


@pytest.mark.parametrize(
    ("name", "kind", "expected"),
    [
        ("/layer4/layer4.1/conv2/Conv", "Conv", "layer4.1.conv2"),
        ("/layer1/layer1.0/relu_1/Relu", "Relu", "layer1.0.relu_1"),
        ("/layer1/layer1.0/Add_1", "Add", "layer1.0"),
        ("Conv_12", "Conv", "Conv_12"),
        ("model/conv1/Conv2D", "Conv", "model.conv1.Conv2D"),
        ("", "Conv", "out"),
        ("/a b/%$/Conv", "Conv", "a.b..."),
    ],
)
def test_names_of_layers(name: str, kind: str, expected: str) -> None:
    assert layer_name(onnx.helper.make_node(kind, ["x"], ["out"], name=name)) == expected


def test_names_of_modules_are_read_from_the_metadata() -> None:
    nodes = []
    for path, kind in [("layer1.0.relu", "Relu"), ("layer1.0.conv2", "Conv"), ("layer1.0.relu", "Relu")]:
        one = onnx.helper.make_node(kind, ["x"], ["y"], name="node_7")
        one.metadata_props.add(key="pkg.torch.onnx.name_scopes", value=str(["", "layer1", "layer1.0", path, "op"]))
        nodes.append(one)
    assert layer_names(nodes) == ["layer1.0.relu", "layer1.0.conv2", "layer1.0.relu_1"]
    nodes[0].metadata_props[0].value = "__import__('os')"
    assert layer_names(nodes[:1]) == ["node_7"]


def test_class_scores_are_not_hidden_behind_the_coordinates_of_boxes() -> None:
    generator = np.random.default_rng(0)
    boxes, scores = generator.uniform(0, 600, (2, 4, 50)), generator.uniform(0, 0.03, (2, 3, 50))
    expected = np.concatenate([boxes, scores], 1).astype(np.float32)
    without = np.concatenate([boxes, 0 * scores], 1).astype(np.float32)
    assert apart(without, expected) > 1e-2
    assert apart(expected * np.float32(1 + 1e-6), expected) < 1e-5

    # What rounding leaves of 0 is no difference.
    assert apart(np.full((2, 5), 2e-7), np.full((2, 5), 1e-7)) < 1e-4

    def moved() -> list[Array]:
        return [expected * np.float32(2)]

    flat = expected.reshape(2, -1)
    assert verdict(flat, [expected], 1e-4, moved) == ""
    assert "differ" in verdict(without.reshape(2, -1), [expected], 1e-4, moved)
    assert "another number" in verdict(flat[:, 1:], [expected], 1e-4, moved)
    assert "too few finite" in verdict(flat, [np.full_like(expected, np.nan)], 1e-4, moved)
    assert "not finite" in verdict(np.full_like(flat, np.inf), [expected], 1e-4, moved)


def simple(file: Path, nodes: Sequence[Any], stored: dict[str, Any], opset: int = 17) -> Path:
    """Write a graph behind a convolution to 8 channels of 24 x 24 places, "c", whose last value "y" is the output."""
    graph = onnx.helper.make_graph(
        [node("Conv", ["x", "w"], "c"), *nodes],
        "g",
        [onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["N", 3, SIDE, SIDE])],
        [onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, None)],
        [
            onnx.numpy_helper.from_array(value, name)
            for name, value in {"w": weights(SIDE, 3, 1, 1, seed=1), **stored}.items()
        ],
    )
    opsets = [onnx.helper.make_opsetid("ai.onnx", opset)]
    onnx.save(onnx.helper.make_model(graph, opset_imports=opsets, ir_version=8), str(file))
    return file


@pytest.mark.parametrize(
    ("nodes", "opset"),
    [
        # The size is computed from that of another value, with the batch.
        (
            [
                node("Shape", ["c"], "s"),
                node("Slice", ["s", "zero", "two"], "n"),
                node("Concat", ["n", "sides"], "z", axis=0),
                node("Resize", ["c", "", "", "z"], "r", mode="linear"),
                node("ReduceMean", ["r"], "y", axes=[2, 3], keepdims=0),
            ],
            17,
        ),
        # Before version 13, all axes behind the first were taken together.
        ([node("Hardmax", ["c"], "h"), node("ReduceMean", ["h"], "y", axes=[2, 3], keepdims=0)], 11),
        # A softmax over channels in a file that calls the standard domain by its name.
        ([node("Softmax", ["c"], "h", axis=1), node("ReduceMax", ["h"], "y", axes=[2, 3], keepdims=0)], 13),
        (
            [node("LpPool", ["c"], "p", kernel_shape=[3, 3]), node("ReduceMean", ["p"], "y", axes=[2, 3], keepdims=0)],
            17,
        ),
    ],
)
def test_meanings_that_depend_on_versions_and_lengths(nodes: Sequence[Any], opset: int, tmp_path: Path) -> None:
    stored = {
        "zero": np.array([0]),
        "two": np.array([2]),
        "sides": np.array([48, 40]),
        "far": weights(2, SIDE, 1, 1) * 4,
    }
    model = load_model(simple(tmp_path / "m.onnx", nodes, stored, opset), preprocess="0..1", output_kind="logits")
    assert not any("only predictions" in note for note in model.notes)
    np.testing.assert_allclose(model.logits(IMAGES), runtime(tmp_path / "m.onnx"), atol=2e-6)


def test_slopes_of_old_files_are_those_of_channels(tmp_path: Path) -> None:
    """There are as many channels as columns, so that they can be confused."""
    slopes = np.linspace(-1, 1, SIDE).astype(np.float32)
    nodes = [node("PRelu", ["c", "a"], "p"), node("ReduceMean", ["p"], "y", axes=[2, 3], keepdims=0)]
    model = load_model(simple(tmp_path / "m.onnx", nodes, {"a": slopes}, 6), preprocess="0..1", output_kind="logits")
    maps = IMAGES @ weights(SIDE, 3, 1, 1, seed=1)[:, :, 0, 0].T
    expected = np.where(maps >= 0, maps, slopes * maps).mean(axis=(1, 2))
    np.testing.assert_allclose(model.logits(IMAGES), expected, atol=2e-6)
    # ONNX Runtime has no such operation, so nothing can be compared.
    assert any("was not compared with ONNX Runtime: m.onnx can't be read" in note for note in model.notes)


def test_a_file_for_one_image_without_an_axis_for_images_keeps_its_batch(tmp_path: Path) -> None:
    """The optimizer removes the two reshapes from the predictions, but not from the gradients."""
    file = residual(tmp_path, batch=1)
    made = onnx.load(str(file))
    for name, sides in (("alone", [8]), ("again", [1, 8])):
        made.graph.initializer.append(onnx.numpy_helper.from_array(np.array(sides), name))
    gemm = made.graph.node.pop()
    made.graph.node.extend([node("Reshape", ["f", "alone"], "a1"), node("Reshape", ["a1", "again"], "a2"), gemm])
    gemm = made.graph.node[-1]
    gemm.input[0] = "a2"
    onnx.save(made, str(file))
    model = load_model(file, preprocess="0..1")
    assert model.fixed_batch == 1
    assert model.input_gradients(IMAGES, np.array([0, 1, 2])).shape == IMAGES.shape


def test_nodes_may_be_in_any_order_and_values_may_be_added_to_themselves(tmp_path: Path) -> None:
    nodes = [node("Add", [f"r{index}", f"r{index}"], f"r{index + 1}") for index in range(60)]
    nodes += [node("Mul", ["r60", "small"], "m"), node("ReduceMean", ["m"], "y", axes=[2, 3], keepdims=0)]
    stored = {"small": np.array(2.0**-60, np.float32)}
    file = simple(tmp_path / "m.onnx", [node("Relu", ["c"], "r0"), *nodes], stored)
    expected = load_model(file, preprocess="0..1", output_kind="logits").logits(IMAGES)
    np.testing.assert_allclose(expected, runtime(file), atol=2e-6)
    made = onnx.load(str(file))
    backwards = list(reversed(made.graph.node))
    del made.graph.node[:]
    made.graph.node.extend(backwards)
    onnx.save(made, str(file))
    model = load_model(file, preprocess="0..1", output_kind="logits")
    assert Capability.GRADIENTS in model.capabilities
    np.testing.assert_allclose(model.logits(IMAGES), expected, atol=1e-6)


def test_a_grouped_convolution_is_one_layer(tmp_path: Path) -> None:
    nodes = [
        node("Conv", ["c", "g", "b"], "o", "/body/conv/Conv", group=4),
        node("Relu", ["o"], "r", "/body/act/Relu"),
        node("ReduceMean", ["r"], "y", axes=[2, 3], keepdims=0),
    ]
    stored = {"g": weights(8, SIDE // 4, 1, 1, seed=2), "b": weights(8, 1, seed=3)[:, 0]}
    model = load_model(simple(tmp_path / "m.onnx", nodes, stored), preprocess="0..1", output_kind="logits")
    np.testing.assert_allclose(model.logits(IMAGES), runtime(tmp_path / "m.onnx"), atol=2e-6)
    layers = model.layers()
    assert [layer.name for layer in layers][1:] == ["body.act"]
    assert layers[-1].parameters == stored["g"].size + 8
    assert layers[-1].receptive_field == (1, 1)


def test_texts_of_the_metadata_are_bounded_and_cleaned(tmp_path: Path) -> None:
    made = onnx.load(str(residual(tmp_path)))
    made.graph.node[0].name = "/" + 10_000 * "long" + "/Conv"
    for names, expected in [(["\ud800", "b\x00", "c", "d", "e"], "\ufffd"), (["a" * 300_000, *"bcde"], "0")]:
        del made.metadata_props[:]
        made.metadata_props.add(key="names", value=ascii(names))
        onnx.save(made, str(tmp_path / "m.onnx"))
        model = load_model(tmp_path / "m.onnx", preprocess="0..1")
        assert model.class_names()[0] == expected
        assert all(len(layer.name) <= 100 for layer in model.layers())


def test_feature_maps_whose_axes_are_windows_are_not_the_default(tmp_path: Path) -> None:
    """The last sum has an axis of windows and an axis of the tokens in them."""
    sides = {"cut": [0, 8, 3, 8, 3, SIDE], "apart": [0, 64, 9, SIDE], "flat": [0, 576, SIDE]}
    nodes = [
        node("Transpose", ["c"], "t", perm=[0, 2, 3, 1]),
        node("Reshape", ["t", "cut"], "p"),
        node("Transpose", ["p"], "q", perm=[0, 1, 3, 2, 4, 5]),
        node("Reshape", ["q", "apart"], "windows"),
        node("Transpose", ["windows"], "k", perm=[0, 1, 3, 2]),
        node("MatMul", ["windows", "k"], "scores"),
        node("Softmax", ["scores"], "weights", axis=-1),
        node("MatMul", ["weights", "windows"], "mixed"),
        node("Add", ["windows", "mixed"], "sum", "/windows/Add"),
        node("ReduceMean", ["sum"], "y", axes=[1, 2], keepdims=0),
    ]
    stored = {name: np.array(value) for name, value in sides.items()}
    model = load_model(simple(tmp_path / "m.onnx", nodes, stored), preprocess="0..1", output_kind="logits")
    default = next(layer for layer in model.layers() if layer.default)
    assert default.place is not None
    assert default.shape == (SIDE, SIDE, SIDE)
