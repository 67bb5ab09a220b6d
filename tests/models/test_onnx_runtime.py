"""Translated ONNX operations that ONNX's own tests leave out, against ONNX Runtime."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

from onnx import helper, numpy_helper  # noqa: E402

from picasso.models.tf.onnx.translate import missing, translate  # noqa: E402
from picasso.models.tf.runtime import tf  # noqa: E402
from picasso.models.tf.translation import Untranslatable  # noqa: E402
from tests.models.onnx_graphs import graph, one_node, outputs_of  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")

ROOM = np.random.default_rng(0)


def random(*shape: int) -> Any:
    return ROOM.normal(size=shape).astype(np.float32)


def small(kind: Any, *shape: int) -> Any:
    limits = np.iinfo(kind)
    return ROOM.integers(limits.min, limits.max, shape, kind, endpoint=True)


def number(value: float, kind: Any = np.float32) -> Any:
    return np.array(value, kind)


TOKENS, IMAGE = random(2, 3, 8), random(2, 4, 6, 5)
BYTES = [small(np.uint8, 2, 3, 4, 5), number(0.02), number(120, np.uint8)]
OTHERS = [small(np.uint8, 2, 3, 4, 5), number(0.03), number(90, np.uint8)]
RESULT = [number(0.05), number(110, np.uint8)]
REGIONS = np.array([[0, 0.2, 0.3, 3.6, 4.4], [1, 1, 1, 2, 2], [1, 0, 0, 4, 5], [0, 4, 4, 9, 9]], np.float32)

CASES: list[tuple[str, dict[str, Any], list[Any], int]] = [
    ("Gelu", {}, [TOKENS], 1),
    ("BiasGelu", {}, [TOKENS, random(8)], 1),
    ("FastGelu", {}, [TOKENS, random(8)], 1),
    ("QuickGelu", {"alpha": 1.5}, [TOKENS], 1),
    (
        "FusedConv",
        {"activation": "Relu", "pads": [1, 1, 1, 1]},
        [IMAGE, random(4, 4, 3, 3), random(4), random(2, 4, 6, 5)],
        1,
    ),
    ("FusedConv", {"activation": "Clip", "activation_params": [0.0, 1.0]}, [IMAGE, random(4, 4, 3, 3), random(4)], 1),
    ("FusedConv", {"activation": "LeakyRelu", "activation_params": [0.2]}, [IMAGE, random(4, 4, 3, 3)], 1),
    ("FusedConv", {"activation": "HardSigmoid", "activation_params": [0.3, 0.4]}, [IMAGE, random(4, 4, 3, 3)], 1),
    ("FusedMatMul", {"alpha": 0.5, "transB": 1}, [TOKENS, random(2, 5, 8)], 1),
    ("FusedMatMul", {"transA": 1}, [TOKENS, random(2, 3, 5)], 1),
    (
        "FusedGemm",
        {"activation": "LeakyRelu", "activation_alpha": 0.3, "transB": 1},
        [random(3, 4), random(5, 4), random(5)],
        1,
    ),
    ("FusedGemm", {"activation": "Relu", "alpha": 0.5, "beta": 2.0}, [random(3, 4), random(4, 5), random(5)], 1),
    ("SkipLayerNormalization", {"epsilon": 1e-5}, [TOKENS, random(2, 3, 8), random(8), random(8), random(8)], 1),
    ("SkipSimplifiedLayerNormalization", {"epsilon": 1e-5}, [TOKENS, random(2, 3, 8), random(8), random(8)], 1),
    ("MultiHeadAttention", {"num_heads": 2}, [TOKENS, random(2, 5, 8), random(2, 5, 8), random(24)], 1),
    (
        "MultiHeadAttention",
        {"num_heads": 2, "scale": 0.3},
        [TOKENS, random(2, 5, 8), random(2, 5, 8), None, None, random(1, 2, 3, 5)],
        1,
    ),
    ("MultiHeadAttention", {"num_heads": 2}, [TOKENS, random(2, 2, 5, 4), random(2, 2, 5, 4)], 1),
    ("MultiHeadAttention", {"num_heads": 2, "unidirectional": 1}, [TOKENS, random(2, 3, 8), random(2, 3, 8)], 1),
    (
        "MultiHeadAttention",
        {"num_heads": 2},
        [TOKENS, random(2, 4, 8), random(2, 4, 8), None, np.array([[1, 1, 0, 1], [1, 0, 0, 1]], np.int32)],
        1,
    ),
    ("Attention", {"num_heads": 2}, [TOKENS, random(8, 24), random(24)], 1),
    ("Attention", {"num_heads": 2, "unidirectional": 1}, [TOKENS, random(8, 24), random(24)], 1),
    ("Attention", {"num_heads": 2, "qkv_hidden_sizes": [6, 6, 4]}, [TOKENS, random(8, 16), random(16)], 1),
    ("Attention", {"num_heads": 2}, [TOKENS, random(8, 24), random(24), np.array([[1, 1, 0], [1, 0, 1]], np.int32)], 1),
    ("QLinearAdd", {}, [*BYTES, *OTHERS, *RESULT], 1),
    ("QLinearMul", {}, [*BYTES, *OTHERS, *RESULT], 1),
    ("QLinearSigmoid", {}, [*BYTES, number(1 / 256), number(0, np.uint8)], 1),
    ("QLinearLeakyRelu", {"alpha": 0.2}, [*BYTES, *RESULT], 1),
    ("QLinearAveragePool", {"kernel_shape": [2, 2], "strides": [1, 2]}, [*BYTES, *RESULT], 1),
    ("QLinearGlobalAveragePool", {}, [*BYTES, *RESULT], 1),
    ("QLinearSoftmax", {"axis": -1, "opset": 13}, [*BYTES, number(1 / 256), number(0, np.uint8)], 1),
    ("QLinearConcat", {"axis": 1}, [*RESULT, *BYTES, *OTHERS], 1),
    (
        "QGemm",
        {"transB": 1},
        [
            small(np.uint8, 3, 4),
            number(0.02),
            number(120, np.uint8),
            small(np.int8, 5, 4),
            number(0.01),
            number(0, np.int8),
            small(np.int8, 5).astype(np.int32),
            number(0.05),
            number(99, np.uint8),
        ],
        1,
    ),
    (
        "MatMulIntegerToFloat",
        {},
        [
            small(np.uint8, 3, 4),
            small(np.int8, 4, 5),
            number(0.02),
            random(5) ** 2,
            number(120, np.uint8),
            None,
            random(5),
        ],
        1,
    ),
    ("DynamicQuantizeMatMul", {}, [random(3, 4), small(np.int8, 4, 5), number(0.02), number(3, np.int8), random(5)], 1),
]


def of_runtime(model: Any, values: dict[str, Any]) -> list[Any]:
    found: list[Any] = onnxruntime.InferenceSession(model.SerializeToString()).run(None, values)
    return found


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0]}-{len(str(case[1:]))}")
def test_fused_operations_are_those_of_the_runtime(case: tuple[str, dict[str, Any], list[Any], int]) -> None:
    kind, attributes, inputs, outputs = case
    model = one_node(kind, inputs, attributes, domain="com.microsoft", outputs=outputs)
    assert not missing(model.graph)
    values = {f"x{place}": one for place, one in enumerate(inputs) if one is not None}
    live = [name for name, one in values.items() if np.asarray(one).dtype == np.float32 and np.ndim(one)] or ["x0"]
    for found, expected in zip(outputs_of(model, values, live), of_runtime(model, values), strict=True):
        if expected.dtype.kind == "f":
            np.testing.assert_allclose(found, expected, rtol=1e-5, atol=2e-5)
            continue
        # Quantized results are whole numbers; a few of them may be rounded to the neighbouring step.
        difference = np.abs(found.astype(np.float64) - expected)
        assert difference.max() <= 1
        assert (difference > 0).mean() < 0.05


def test_the_largest_numbers_of_regions_are_those_of_the_runtime() -> None:
    model = one_node("MaxRoiPool", [IMAGE, REGIONS], {"pooled_shape": [2, 3], "spatial_scale": 0.9})
    values = {"x0": IMAGE, "x1": REGIONS}
    np.testing.assert_array_equal(outputs_of(model, values, ["x0"])[0], of_runtime(model, values)[0])


@pytest.mark.parametrize("ratio", [0, 3])
@pytest.mark.parametrize("mode", ["half_pixel", "output_half_pixel"])
def test_regions_are_those_of_the_runtime(mode: str, ratio: int) -> None:
    attributes = {
        "coordinate_transformation_mode": mode,
        "output_height": 2,
        "output_width": 3,
        "sampling_ratio": ratio,
    }
    values = {"x0": IMAGE, "x1": REGIONS[:, 1:], "x2": REGIONS[:, 0].astype(np.int64)}
    model = one_node("RoiAlign", list(values.values()), attributes)
    np.testing.assert_allclose(outputs_of(model, values, ["x0", "x1"])[0], of_runtime(model, values)[0], atol=1e-5)


def with_gradient(
    model: Any, output: str, values: dict[str, Any], known: dict[str, Any] | None = None
) -> tuple[Any, Any]:
    """Return an output of a model, and the gradient of its sum with respect to the first input."""

    def function(*tensors: Any) -> tuple[Any, Any]:
        with tf.GradientTape() as tape:
            tape.watch(tensors)
            found = translate(model, {**(known or {}), **dict(zip(values, tensors, strict=True))})[output]
        return found, tape.gradient(found, tensors[0])

    found, gradient = tf.function(function, autograph=False)(*map(tf.constant, values.values()))
    return found.numpy(), gradient.numpy()


def network() -> Any:
    """Return a small network: convolutions, pools, an addition and a dense layer."""
    weights = {
        "w1": random(8, 3, 3, 3) / 4, "b1": random(8) / 4, "w2": random(8, 1, 3, 3) / 3, "w3": random(8, 8, 1, 1) / 3,
        "d": random(8, 5) / 3, "e": random(5),
    }  # fmt: skip
    nodes = [
        helper.make_node("Conv", ["image", "w1", "b1"], ["a"], strides=[2, 2], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("Conv", ["b", "w2"], ["c"], group=8, pads=[1, 1, 1, 1]),
        helper.make_node("Conv", ["c", "w3"], ["f"]),
        helper.make_node("Add", ["b", "f"], ["g"]),
        helper.make_node("MaxPool", ["g"], ["h"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Sigmoid", ["h"], ["i"]),
        helper.make_node("Concat", ["h", "i"], ["k"], axis=2),
        helper.make_node("GlobalAveragePool", ["k"], ["l"]),
        helper.make_node("Flatten", ["l"], ["m"]),
        helper.make_node("MatMul", ["m", "d"], ["n"]),
        helper.make_node("Add", ["n", "e"], ["logits"]),
    ]
    made = graph(nodes, {"image": random(1, 3, 16, 16)}, [], 17)
    made.graph.output.append(helper.make_tensor_value_info("logits", onnx.TensorProto.FLOAT, [1, 5]))
    made.graph.initializer.extend(numpy_helper.from_array(one, name) for name, one in weights.items())
    return made


def quantized(folder: Path, how: str) -> Any:
    """Return the network, quantized by ONNX Runtime."""
    tools = pytest.importorskip("onnxruntime.quantization")

    class Images(tools.CalibrationDataReader):  # type: ignore[misc, name-defined]
        """Reads images for the ranges of values."""

        def __init__(self) -> None:
            self.images = iter([{"image": random(1, 3, 16, 16)} for _ in range(16)])

        def get_next(self) -> Any:
            return next(self.images, None)

    source, target = folder / "network.onnx", folder / "quantized.onnx"
    onnx.save(network(), source)
    if how == "dynamic":
        tools.quantize_dynamic(source, target)
    else:
        tools.quantize_static(source, target, Images(), quant_format=tools.QuantFormat[how], per_channel=how == "QDQ")
    return onnx.load(target)


@pytest.mark.parametrize("how", ["QDQ", "QOperator", "dynamic"])
def test_a_quantized_network_predicts_and_has_gradients(how: str, tmp_path: Path) -> None:
    model, images = quantized(tmp_path, how), random(1, 3, 16, 16)
    plain = onnx.load(tmp_path / "network.onnx")
    (expected,) = of_runtime(model, {"image": images})
    gradients = []
    for one in (plain, model):
        logits, gradient = with_gradient(one, "logits", {"image": images})
        gradients.append(gradient.ravel())
    # The last one is that of the quantized network; one step of its logits is about 0.01.
    np.testing.assert_allclose(logits, expected, atol=0.02)
    assert np.corrcoef(*gradients)[0, 1] > 0.9


def test_a_graph_of_the_optimizer_is_translated(tmp_path: Path) -> None:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    session = onnxruntime.InferenceSession(network().SerializeToString(), options)
    model, images = onnx.load(tmp_path / "optimized.onnx"), random(1, 3, 16, 16)
    assert "FusedConv" in {node.op_type for node in model.graph.node}
    found = outputs_of(model, {"image": images}, ["image"])[0]
    np.testing.assert_allclose(found, session.run(None, {"image": images})[0], atol=1e-5)


@pytest.mark.parametrize("kind", ["uint8", "int8", "uint16", "int16"])
def test_the_gradient_of_quantization_is_that_of_the_identity_within_the_range(kind: str) -> None:
    limits, scale, zero = np.iinfo(kind), np.float32(0.5), np.array(3, kind)
    low, high = ((one - 3) * 0.5 for one in (limits.min, limits.max))
    values = np.array([low - 9, low - 0.3, low + 0.1, -1.25, 0, 0.26, high - 0.1, high + 0.3, high + 9], np.float32)
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["y"]),
    ]
    model = graph(nodes, {"x": values, "scale": scale, "zero": zero}, ["y"], 21)
    found, gradient = with_gradient(model, "y", {"x": values}, {"scale": np.asarray(scale), "zero": zero})
    np.testing.assert_array_equal(found, np.clip(np.round(values / scale), limits.min - 3, limits.max - 3) * scale)
    np.testing.assert_array_equal(gradient, (values >= low) & (values <= high))


def test_branches_of_an_unknown_condition_have_gradients() -> None:
    def branch(kind: str) -> Any:
        value = helper.make_empty_tensor_value_info("z")
        return helper.make_graph([helper.make_node(kind, ["x"], ["z"])], kind, [], [value])

    nodes = [
        helper.make_node("ReduceSum", ["x"], ["s"], keepdims=0),
        helper.make_node("Greater", ["s", "limit"], ["c"]),
        helper.make_node("If", ["c"], ["y"], then_branch=branch("Exp"), else_branch=branch("Neg")),
    ]
    values = {"x": np.array([0.5, 1], np.float32), "limit": number(1)}
    model = graph(nodes, values, ["y"])

    limit = {"limit": values["limit"]}
    _, gradient = with_gradient(model, "y", {"x": values["x"]}, limit)
    np.testing.assert_allclose(gradient, np.exp(values["x"]), rtol=1e-6)
    _, gradient = with_gradient(model, "y", {"x": values["x"] / 5}, limit)
    np.testing.assert_allclose(gradient, [-1, -1])


@pytest.mark.parametrize("known", [True, False])
def test_repeated_steps_have_gradients(known: bool) -> None:
    body = helper.make_graph(
        [helper.make_node("Mul", ["z", "x"], ["after"]), helper.make_node("Identity", ["go"], ["still"])],
        "body",
        [
            helper.make_tensor_value_info("step", onnx.TensorProto.INT64, []),
            helper.make_tensor_value_info("go", onnx.TensorProto.BOOL, []),
            helper.make_tensor_value_info("z", onnx.TensorProto.FLOAT, [2]),
        ],
        [helper.make_empty_tensor_value_info(name) for name in ("still", "after")],
    )
    values: dict[str, Any] = {"x": np.array([0.5, 2], np.float32), "count": np.array(3, np.int64)}
    model = graph([helper.make_node("Loop", ["count", "", "x"], ["y"], body=body)], values, ["y"])

    count = {"count": values.pop("count")}
    found, gradient = with_gradient(model, "y", values if known else values | count, count if known else None)
    np.testing.assert_allclose(found, values["x"] ** 4)
    np.testing.assert_allclose(gradient, 4 * values["x"] ** 3)


@pytest.mark.parametrize(
    ("kind", "inputs", "attributes", "reason"),
    [
        ("Dropout", [IMAGE, number(0.5), np.array(True)], {}, "training mode"),
        (
            "Attention",
            [TOKENS, random(8, 24), random(24), np.array([2, 3], np.int32)],
            {"num_heads": 2},
            "lengths of sequences",
        ),
        ("FusedMatMul", [TOKENS, TOKENS], {"transBatchA": 1}, "transposes a batch"),
        ("FusedConv", [IMAGE, random(4, 4, 3, 3)], {"activation": "Softmax2"}, "activation Softmax2"),
        ("RNN", [random(3, 2, 4), random(1, 3, 4), random(1, 3, 3)], {"activations": ["Sine"]}, "activation Sine"),
    ],
)
def test_what_is_not_supported_is_named(kind: str, inputs: list[Any], attributes: dict[str, Any], reason: str) -> None:
    domain = "com.microsoft" if kind in ("Attention", "FusedMatMul", "FusedConv") else ""
    model = one_node(kind, inputs, attributes, domain=domain)
    with pytest.raises(Untranslatable, match=f"{kind} of the node 'y0': .*{reason}"):
        outputs_of(model, {f"x{place}": one for place, one in enumerate(inputs)}, ["x0"])
