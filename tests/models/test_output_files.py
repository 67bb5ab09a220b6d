"""Outputs of ONNX and TFLite files: the runtime's own answers, whichever operations they end in."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from picasso.errors import ModelError
from picasso.models import load_model
from picasso.models.outputs import Analysis
from picasso.models.outputs.kinds import sigmoid, softmax
from picasso.models.outputs.onnx_graph import ONNXReader
from picasso.models.outputs.tflite_graph import TFLiteReader
from picasso.models.tflite_schema import TFLiteGraph
from tests.zoo.make_files import FOLDER

SIDE = 8
IMAGES = np.concatenate(
    [
        np.random.default_rng(6).random((4, SIDE, SIDE, 3), np.float32),
        np.zeros((1, SIDE, SIDE, 3), np.float32),
        np.ones((1, SIDE, SIDE, 3), np.float32),
    ]
)


def onnx_file(
    folder: Path, count: int, *ends: Any, seed: int = 0, scale: float = 2.0, outputs: Sequence[Any] = ()
) -> Path:
    """Write a network of a convolution, pooling and a dense layer, whose scores ``z`` go into nodes ``ends``.

    Args:
        folder: where to write.
        count: the number of scores.
        ends: nodes; the last gives ``y``.
        seed: of the weights.
        scale: their deviation in the dense layer.
        outputs: the descriptions of the outputs, instead of ``y``.
    """
    from onnx import TensorProto, helper, numpy_helper, save

    generator = np.random.default_rng(seed)
    weights = {
        "w": generator.normal(0, 0.3, (6, 3, 3, 3)),
        "d": generator.normal(0, scale, (6, count)),
        "b": generator.normal(0, 0.3, count),
        "half": np.array(0.5),
        "one": np.array(1.0),
        "hundred": np.array(100.0),
        "low": np.array(1e-6),
        "high": np.array(1 - 1e-6),
    }
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"]),
        helper.make_node("Relu", ["c"], ["r"]),
        helper.make_node("GlobalAveragePool", ["r"], ["g"]),
        helper.make_node("Flatten", ["g"], ["f"]),
        helper.make_node("Gemm", ["f", "d", "b"], ["z"]),
        *(ends or [helper.make_node("Identity", ["z"], ["y"])]),
    ]
    used = {name for one in nodes for name in one.input}
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3, SIDE, SIDE])],
        list(outputs) or [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(value.astype(np.float32), name) for name, value in weights.items() if name in used],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 2)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=9)
    save(model, folder / "m.onnx")
    return folder / "m.onnx"


def answer_of(file: Path) -> Any:
    """Return the runtime's last answer to IMAGES."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    return session.run(None, {"x": IMAGES.transpose(0, 3, 1, 2)})[-1].astype(np.float64)


def two(values: Any) -> Any:
    return np.concatenate([1 - values, values], axis=1)


def node(kind: str, inputs: Sequence[str], output: str = "y", **options: Any) -> Any:
    from onnx import helper

    return helper.make_node(kind, list(inputs), [output], **options)


# The number of scores, the nodes behind them, and the probabilities that the answer means.
ONNX: dict[str, tuple[int, Callable[[], list[Any]], Callable[[Any], Any]]] = {
    "logits": (4, list, softmax),
    "one logit": (1, list, lambda y: two(sigmoid(y))),
    "softmax": (4, lambda: [node("Softmax", ["z"], axis=1)], lambda y: y),
    "softmax in (N, K, 1, 1)": (
        4,
        lambda: [
            node("Softmax", ["z"], "s", axis=1),
            node("Unsqueeze", ["s", "axes"]),
        ],
        lambda y: y[:, :, 0, 0],
    ),
    "log-softmax": (4, lambda: [node("LogSoftmax", ["z"], axis=1)], np.exp),
    "sigmoids": (4, lambda: [node("Sigmoid", ["z"])], lambda y: y),
    "one sigmoid, clipped": (
        1,
        lambda: [node("Sigmoid", ["z"], "s"), node("Clip", ["s", "low", "high"])],
        two,
    ),
    "1 - sigmoid": (1, lambda: [node("Sigmoid", ["z"], "s"), node("Sub", ["one", "s"])], two),
    "mean of two sigmoids": (
        1,
        lambda: [
            node("Sigmoid", ["z"], "s"),
            node("HardSigmoid", ["z"], "h"),
            node("Add", ["s", "h"], "a"),
            node("Mul", ["a", "half"]),
        ],
        two,
    ),
    "sigmoids side by side": (
        2,
        lambda: [node("Sigmoid", ["z"], "s"), node("Concat", ["s", "s"], axis=1)],
        lambda y: y,
    ),
    "percent": (4, lambda: [node("Softmax", ["z"], "s", axis=1), node("Mul", ["s", "hundred"])], lambda y: y / 100),
    "tanh": (1, lambda: [node("Tanh", ["z"])], lambda y: two((1 + y) / 2)),
    "exponentials by their sum": (
        4,
        lambda: [
            node("Exp", ["z"], "e"),
            node("ReduceSum", ["e", "axis"], "t", keepdims=1),
            node("Div", ["e", "t"]),
        ],
        lambda y: y,
    ),
}


@pytest.mark.parametrize("name", ONNX)
def test_onnx_outputs(name: str, tmp_path: Path) -> None:
    from onnx import helper, numpy_helper

    count, ends, truth = ONNX[name]
    constants = [
        helper.make_node("Constant", [], ["axes"], value=numpy_helper.from_array(np.array([2, 3]))),
        helper.make_node("Constant", [], ["axis"], value=numpy_helper.from_array(np.array([1]))),
    ]
    file = onnx_file(tmp_path, count, *([*constants, *ends()] if ends() else []))
    model = load_model(file, preprocess="0..1")
    np.testing.assert_allclose(model.predict(IMAGES), truth(answer_of(file)), atol=2e-6)
    # No logits are found behind the last two.
    noted = ("logits", "one logit", "tanh", "mean of two sigmoids", "exponentials by their sum")
    assert bool(model.notes) == (name in noted)


@pytest.mark.parametrize("graph", [True, False])
@pytest.mark.parametrize("count", [1, 2])
def test_untrained_scores_are_never_taken_for_probabilities(
    count: int, graph: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Small scores often lie in 0..1 for noise; with the graph, and also by distant test images alone."""
    if not graph:
        monkeypatch.setattr("picasso.models.onnx.ONNXReader", unreadable)
    for seed in range(10 if graph else 3):
        file = onnx_file(tmp_path, count, seed=seed, scale=0.3)
        answer = answer_of(file)
        expected = two(sigmoid(answer)) if count == 1 else softmax(answer)
        np.testing.assert_allclose(load_model(file, preprocess="0..1").predict(IMAGES), expected, atol=2e-6)


def unreadable(file: Path) -> None:
    """Stand for a graph that can't be analyzed."""
    raise ValueError(file)


def test_onnx_files_that_are_no_classifiers(tmp_path: Path) -> None:
    for count, ends, task, message in [
        (1, [node("Relu", ["z"])], "regression", "one value that is never negative"),
        (4, [node("LpNormalization", ["z"], axis=1)], "embedding", "4 values that are normalized"),
        (4, [node("Identity", ["f"])], "embedding", "6 pooled features"),
    ]:
        file = onnx_file(tmp_path, count, *ends)
        model = load_model(file, preprocess="0..1")
        assert model.spec.task == task
        assert message in model.notes[0]
        np.testing.assert_allclose(model.predict(IMAGES), answer_of(file), atol=2e-6)
    with pytest.raises(ModelError, match="returns 6 maps of 6 x 6 values that are no class scores"):
        load_model(onnx_file(tmp_path, 4, node("Identity", ["r"])), preprocess="0..1")
    file = onnx_file(tmp_path, 4, node("Identity", ["r"]))
    insisted = load_model(file, preprocess="0..1", task="segmentation")
    assert insisted.spec.shape == (6, 6, 6)
    file = onnx_file(tmp_path, 4, node("LpNormalization", ["z"], axis=1))
    model = load_model(file, preprocess="0..1", output_kind="logits")
    np.testing.assert_allclose(model.predict(IMAGES), softmax(answer_of(file)), atol=2e-6)


def test_several_onnx_outputs_and_maps(tmp_path: Path) -> None:
    from onnx import TensorProto, helper

    ends = [
        node("Softmax", ["z"], "scores", axis=1),
        node("ArgMax", ["scores"], "label", axis=1, keepdims=0),
        node("ZipMap", ["scores"], "named", domain="ai.onnx.ml", classlabels_int64s=[0, 1, 2]),
    ]
    pairs = helper.make_map_type_proto(TensorProto.INT64, helper.make_tensor_type_proto(TensorProto.FLOAT, []))
    outputs = [
        helper.make_tensor_value_info("label", TensorProto.INT64, ["N"]),
        helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["N", 3]),
        helper.make_value_info("named", helper.make_sequence_type_proto(pairs)),
    ]
    file = onnx_file(tmp_path, 3, *ends, outputs=outputs)
    with pytest.raises(ModelError, match=r"3 outputs: label \(N\) of int64, scores \(N, 3\), named a sequence of maps"):
        load_model(file)
    with pytest.raises(ModelError, match="named of m.onnx is a sequence of maps .* without ZipMap"):
        load_model(file, output="named")
    with pytest.raises(ModelError, match="of type int64"):
        load_model(file, output="label")
    for output in ("scores", 1):
        np.testing.assert_allclose(load_model(file, output=output).predict(IMAGES).sum(axis=1), 1, atol=1e-6)


# ---- TFLite ---------------------------------------------------------------------------------------------------------


def tflite_file(
    folder: Path,
    count: int,
    *ends: str,
    outputs: int = 1,
    bias: float = 0.3,
    first: Sequence[tuple[str, float]] = (),
) -> Path:
    """Write a network of pooling and a dense layer, followed by operations of one input each.

    Before it come operations with a number, such as ``("Mul", 0.5)``.
    """
    schema: Any = importlib.import_module("ai_edge_litert.schema_py_generated")
    flatbuffers: Any = importlib.import_module("flatbuffers")
    generator = np.random.default_rng(3)
    model, graph = schema.ModelT(), schema.SubGraphT()
    model.version, model.subgraphs, model.buffers, model.operatorCodes = 3, [graph], [schema.BufferT()], []
    model.description = b"test"
    graph.tensors, graph.operators, graph.inputs, graph.name = [], [], [0], b"main"

    def tensor(name: str, shape: Sequence[int], values: Any = None) -> int:
        one = schema.TensorT()
        one.name, one.shape, one.buffer = name.encode(), list(shape), 0
        one.type = schema.TensorType.INT32 if name == "axes" else schema.TensorType.FLOAT32
        if values is not None:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(values.tobytes(), np.uint8)
            model.buffers.append(buffer)
            one.buffer = len(model.buffers) - 1
        graph.tensors.append(one)
        return len(graph.tensors) - 1

    def operation(kind: str, inputs: Sequence[int], output: int, options: str = "", **values: Any) -> int:
        code = schema.OperatorCodeT()
        code.builtinCode = getattr(schema.BuiltinOperator, kind)
        code.deprecatedBuiltinCode, code.version = min(code.builtinCode, 127), 1
        model.operatorCodes.append(code)
        one = schema.OperatorT()
        one.opcodeIndex, one.inputs, one.outputs = len(model.operatorCodes) - 1, list(inputs), [output]
        if options:
            one.builtinOptionsType = getattr(schema.BuiltinOptions, options)
            one.builtinOptions = getattr(schema, f"{options}T")()
            for name, value in values.items():
                setattr(one.builtinOptions, name, value)
        graph.operators.append(one)
        return output

    image = tensor("image", (1, SIDE, SIDE, 3))
    for kind, value in first:
        number = tensor(f"number {value}", (), np.float32(value))
        image = operation(
            kind.upper(), [image, number], tensor(kind, (1, SIDE, SIDE, 3)), f"{kind}Options", fusedActivationFunction=0
        )
    axes = tensor("axes", (2,), np.array([1, 2], np.int32))
    weights = tensor("weights", (count, 3), generator.normal(0, 2, (count, 3)).astype(np.float32))
    offset = tensor("offset", (count,), np.full(count, bias, np.float32))
    pooled = operation("MEAN", [image, axes], tensor("pooled", (1, 3)), "ReducerOptions", keepDims=False)
    fused = ends and ends[0] == "fused RELU"
    last = operation(
        "FULLY_CONNECTED",
        [pooled, weights, offset],
        tensor("scores", (1, count)),
        "FullyConnectedOptions",
        fusedActivationFunction=int(bool(fused)),
    )
    made = [pooled, last]
    for kind in ends[1:] if fused else ends:
        options = {"SOFTMAX": ("SoftmaxOptions", {"beta": 1.0})}.get(kind, ("", {}))
        made.append(operation(kind, [made[-1]], tensor(kind.lower(), (1, count)), options[0], **options[1]))
    graph.outputs = made[-outputs:]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    (folder / "m.tflite").write_bytes(bytes(builder.Output()))
    return folder / "m.tflite"


def tflite_answer(file: Path) -> Any:
    """Return the interpreter's last answer to each of IMAGES."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(file))
    interpreter.allocate_tensors()
    answers = []
    for image in IMAGES:
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], image[None])
        interpreter.invoke()
        answers.append(interpreter.get_tensor(interpreter.get_output_details()[-1]["index"])[0].copy())
    return np.stack(answers).astype(np.float64)


@pytest.mark.parametrize(
    ("count", "ends", "truth"),
    [
        (4, [], softmax),
        (1, [], lambda y: two(sigmoid(y))),
        (2, [], softmax),
        (4, ["SOFTMAX"], lambda y: y),
        (1, ["LOGISTIC"], two),
        (3, ["LOGISTIC"], lambda y: y),
        (3, ["LOG_SOFTMAX"], np.exp),
        (1, ["TANH"], lambda y: two((1 + y) / 2)),
    ],
)
def test_tflite_outputs(count: int, ends: list[str], truth: Callable[[Any], Any], tmp_path: Path) -> None:
    file = tflite_file(tmp_path, count, *ends)
    model = load_model(file, preprocess="0..1")
    np.testing.assert_allclose(model.predict(IMAGES), truth(tflite_answer(file)), atol=2e-6)
    assert bool(model.notes) == (not ends or ends == ["TANH"])


def test_tflite_files_that_are_no_classifiers_or_have_several_outputs(tmp_path: Path) -> None:
    for count, end, task, message in [
        (1, "fused RELU", "regression", "one value that is never negative"),
        (4, "L2_NORMALIZATION", "embedding", "4 values that are normalized"),
    ]:
        file = tflite_file(tmp_path, count, end)
        model = load_model(file, preprocess="0..1")
        assert model.spec.task == task
        assert message in model.notes[0]
        np.testing.assert_allclose(model.predict(IMAGES), tflite_answer(file), atol=2e-6)
    file = tflite_file(tmp_path, 4, "SOFTMAX", outputs=2)
    with pytest.raises(ModelError, match=r"2 outputs: scores \(1, 4\), softmax \(1, 4\). Specify the one"):
        load_model(file)
    for output in ("softmax", 1):
        model = load_model(file, output=output, preprocess="0..1")
        np.testing.assert_allclose(model.predict(IMAGES), tflite_answer(file), atol=2e-6)


@pytest.mark.parametrize(
    ("first", "expected"),
    [
        ([("Mul", 1 / 127.5), ("Sub", 1.0)], "0..255 (the model rescales its input itself)"),
        ([("Sub", 0.485), ("Div", 0.229)], "0..1 (the model rescales its input itself)"),
        ([("Mul", 255.0), ("Div", 255.0)], "0..1 (a guess)"),
        ([], "0..1 (a guess)"),
    ],
)
def test_the_first_operations_of_tflite(first: list[tuple[str, float]], expected: str, tmp_path: Path) -> None:
    model = load_model(tflite_file(tmp_path, 3, "SOFTMAX", first=first))
    assert model.card().preprocessing == f"stretch, values {expected}"


def test_files_of_the_converters_are_followed() -> None:
    """Files that TensorFlow's converter and an exporter wrote, quantized ones too."""
    for name in ("float.tflite", "quantized.tflite"):
        reader = TFLiteReader(TFLiteGraph(FOLDER / name))
        (output,) = reader._graph.outputs
        found = Analysis(reader).of(output)
        assert (found.low, found.high, found.link) == (0, 1, "softmax")
    assert Analysis(ONNXReader(FOLDER / "logits.onnx")).of("logits").source == "linear"
