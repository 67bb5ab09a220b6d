"""The gradients of translated ONNX operations, against differences of their values in double precision."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnx")

from picasso.models.tf.runtime import tf
from tests.models.onnx_graphs import function_of, gradients_of, graph, one_node

pytestmark = pytest.mark.filterwarnings("ignore")

STEP = 1e-6
DIRECTIONS = 4
TOLERANCE = 1e-5


def random(*shape: int, seed: int = 0, low: float = -1.0, high: float = 1.0) -> Any:
    return np.random.default_rng([seed, *shape]).uniform(low, high, shape)


def whole(*values: int) -> Any:
    return np.array(values, np.int64)


IMAGE = random(2, 4, 4, 3)
SMALL = random(1, 2, 3, 4)
GRID = random(2, 2, 3, 2, low=-1.2, high=1.2)
ROWS = random(3, 4)
POSITIVE = random(3, 4, low=0.1, high=0.9)
TOKENS = random(2, 3, 8)
CHANNELS = random(4, seed=1, low=0.5, high=2)
TIMES = random(3, 2, 4)
PLACES = np.argsort(random(4, 4), 0)[:2].astype(np.int64)

# What each operation gets: its attributes, its inputs, and which of them are asked for gradients.
Case = tuple[str, dict[str, Any], list[Any], list[int]]
CONVOLUTIONS: list[Case] = [
    ("Conv", {"pads": [1, 0, 2, 1], "strides": [2, 1]}, [IMAGE, random(3, 4, 3, 2), random(3)], [0, 1, 2]),
    ("Conv", {"group": 2, "dilations": [2, 1]}, [IMAGE, random(4, 2, 2, 3)], [0, 1]),
    ("Conv", {"group": 4, "auto_pad": "SAME_UPPER"}, [IMAGE, random(8, 1, 3, 3)], [0, 1]),
    ("ConvTranspose", {"strides": [2, 3], "pads": [1, 0, 0, 1], "group": 2}, [IMAGE, random(4, 3, 3, 2)], [0, 1]),
    (
        "ConvTranspose",
        {"dilations": [2, 1], "output_padding": [0, 0]},
        [IMAGE, random(4, 2, 2, 2), random(2)],
        [0, 1, 2],
    ),
    (
        "DeformConv",
        {"offset_group": 2, "group": 2, "pads": [1, 1, 1, 1]},
        [IMAGE, random(4, 2, 3, 3), random(2, 36, 4, 3, seed=1) / 3, random(4), random(2, 18, 4, 3)],
        [0, 1, 2, 3, 4],
    ),
]
POOLS: list[Case] = [
    ("MaxPool", {"kernel_shape": [3, 2], "strides": [2, 1], "pads": [1, 0, 1, 1]}, [IMAGE], [0]),
    ("AveragePool", {"kernel_shape": [3, 2], "strides": [2, 2], "pads": [1, 0, 1, 1], "ceil_mode": 1}, [IMAGE], [0]),
    ("AveragePool", {"kernel_shape": [3, 2], "count_include_pad": 1, "pads": [1, 0, 1, 1]}, [IMAGE], [0]),
    ("LpPool", {"kernel_shape": [2, 2], "p": 3}, [IMAGE], [0]),
    ("GlobalAveragePool", {}, [IMAGE], [0]),
    ("GlobalMaxPool", {}, [IMAGE], [0]),
    ("GlobalLpPool", {"p": 2}, [IMAGE], [0]),
]
SCALES = np.array([1, 1, 1.5, 0.6], np.float32)
RESIZINGS: list[Case] = [
    *(
        ("Resize", {"mode": mode, "coordinate_transformation_mode": how}, [SMALL, None, SCALES], [0])
        for mode in ("nearest", "linear", "cubic")
        for how in ("half_pixel", "align_corners", "asymmetric")
    ),
    ("Resize", {"mode": "linear", "antialias": 1}, [SMALL, None, SCALES], [0]),
    ("Resize", {"mode": "cubic", "exclude_outside": 1}, [SMALL, None, None, whole(1, 2, 5, 7)], [0]),
]
SAMPLINGS: list[Case] = [
    *(
        ("GridSample", {"mode": mode, "padding_mode": padding, "align_corners": align}, [IMAGE, GRID], [0, 1])
        for mode, align in (("linear", 0), ("linear", 1), ("cubic", 0))
        for padding in ("zeros", "border", "reflection")
    ),
    ("GridSample", {"mode": "nearest"}, [IMAGE, GRID], [0]),
    ("GridSample", {}, [random(1, 2, 3, 4, 2), random(1, 2, 2, 2, 3)], [0, 1]),
    ("AffineGrid", {}, [random(2, 2, 3), whole(2, 1, 3, 4)], [0]),
    (
        "RoiAlign",
        {"output_height": 2, "output_width": 2, "sampling_ratio": 2},
        [IMAGE, np.array([[0.3, 0.2, 2.1, 3.4], [0.8, 1.2, 2.7, 2.4]]), whole(1, 0)],
        [0, 1],
    ),
    ("RoiAlign", {"output_height": 2, "output_width": 1}, [IMAGE, np.array([[0.3, 0.2, 2.1, 3.4]]), whole(1)], [0, 1]),
    ("MaxRoiPool", {"pooled_shape": [2, 2]}, [IMAGE, np.array([[1, 0, 1, 2, 3.0]])], [0]),
    ("Col2Im", {"pads": [1, 0, 0, 1], "strides": [2, 1]}, [random(1, 8, 9), whole(5, 3), whole(2, 2)], [0]),
    (
        "MaxUnpool",
        {"kernel_shape": [2, 2], "strides": [2, 2]},
        [random(1, 1, 2, 2), whole(0, 3, 9, 14).reshape(1, 1, 2, 2)],
        [0],
    ),
]
NORMALIZATIONS: list[Case] = [
    ("LayerNormalization", {}, [TOKENS, random(8), random(8)], [0, 1, 2]),
    ("LayerNormalization", {"axis": 1}, [TOKENS, random(3, 8)], [0, 1]),
    ("InstanceNormalization", {}, [IMAGE, CHANNELS, CHANNELS], [0, 1, 2]),
    ("GroupNormalization", {"num_groups": 2}, [IMAGE, random(2), random(2)], [0, 1, 2]),
    ("BatchNormalization", {}, [IMAGE, CHANNELS, CHANNELS, CHANNELS, CHANNELS], [0, 1, 2, 3, 4]),
    ("MeanVarianceNormalization", {}, [IMAGE], [0]),
    ("LRN", {"size": 3}, [IMAGE], [0]),
    ("LpNormalization", {"p": 1}, [ROWS], [0]),
    ("LpNormalization", {"p": 2, "axis": 0}, [ROWS], [0]),
    ("Softmax", {}, [ROWS], [0]),
    ("LogSoftmax", {"axis": 0}, [ROWS], [0]),
]
HEADS = [random(2, 3, 8), random(2, 5, 4), random(2, 5, 4, seed=1)]
MASK = np.array([[True, True, False, True, True], [False] * 5, [True] * 5])
ATTENTIONS: list[Case] = [
    ("Attention", {"q_num_heads": 4, "kv_num_heads": 2}, [*HEADS, random(3, 5)], [0, 1, 2, 3]),
    ("Attention", {"q_num_heads": 4, "kv_num_heads": 2, "is_causal": 1, "softcap": 2.0}, [*HEADS, MASK], [0, 1, 2]),
    ("RotaryEmbedding", {"num_heads": 2}, [TOKENS, random(2, 3, 2), random(2, 3, 2)], [0, 1, 2]),
    (
        "RotaryEmbedding",
        {"num_heads": 2, "interleaved": 1},
        [TOKENS, random(5, 2), random(5, 2), whole(0, 1, 2) + whole(0, 1)[:, None]],
        [0],
    ),
    ("RMSNormalization", {}, [TOKENS, random(8)], [0, 1]),
]
LAYERS: list[Case] = [
    (
        "LSTM",
        {"hidden_size": 3, "direction": "bidirectional"},
        [
            TIMES,
            random(2, 12, 4),
            random(2, 12, 3),
            random(2, 24),
            None,
            random(2, 2, 3),
            random(2, 2, 3),
            random(2, 9),
        ],
        [0, 1, 2, 3, 5, 6, 7],
    ),
    (
        "LSTM",
        {"hidden_size": 3, "direction": "reverse", "input_forget": 1},
        [TIMES, random(1, 12, 4), random(1, 12, 3), None, np.array([2, 3], np.int32)],
        [0, 1, 2],
    ),
    (
        "GRU",
        {"hidden_size": 3, "linear_before_reset": 1},
        [TIMES, random(1, 9, 4), random(1, 9, 3), random(1, 18)],
        [0, 1, 2, 3],
    ),
    ("GRU", {"hidden_size": 3, "layout": 1}, [TIMES, random(1, 9, 4), random(1, 9, 3)], [0, 1, 2]),
    (
        "RNN",
        {"hidden_size": 3, "activations": ["Softsign"]},
        [TIMES, random(1, 3, 4), random(1, 3, 3), random(1, 6)],
        [0, 1, 2, 3],
    ),
]
PRODUCTS: list[Case] = [
    ("MatMul", {}, [TOKENS, random(8, 3)], [0, 1]),
    ("Gemm", {"transA": 1, "alpha": 2.0, "beta": 0.5}, [ROWS, random(3, 5), random(5)], [0, 1, 2]),
    ("Einsum", {"equation": "bij,bkj->bik"}, [TOKENS, random(2, 4, 8)], [0, 1]),
    ("Det", {}, [random(2, 3, 3)], [0]),
    ("DFT", {}, [random(1, 5, 2)], [0]),
]
SMOOTH = [
    "Acos",
    "Asin",
    "Asinh",
    "Atan",
    "Atanh",
    "Cos",
    "Cosh",
    "Erf",
    "Exp",
    "Log",
    "Neg",
    "Reciprocal",
    "Relu",
    "Sigmoid",
    "Sin",
    "Sinh",
    "Softplus",
    "Softsign",
    "Sqrt",
    "Tan",
    "Tanh",
    "Abs",
    "Mish",
    "HardSwish",
    "Identity",
]
ELEMENTS: list[Case] = [
    *((name, {}, [POSITIVE], [0]) for name in SMOOTH),
    ("Acosh", {}, [POSITIVE + 1], [0]),
    *(
        (name, {}, [ROWS], [0])
        for name in ("Elu", "Celu", "Selu", "Gelu", "LeakyRelu", "HardSigmoid", "Abs", "HardSwish")
    ),
    ("Gelu", {"approximate": "tanh"}, [ROWS], [0]),
    ("Swish", {"alpha": 2.0}, [ROWS], [0]),
    ("ThresholdedRelu", {"alpha": 0.3}, [ROWS], [0]),
    ("Shrink", {"bias": 0.2, "lambd": 0.3}, [ROWS], [0]),
    ("PRelu", {}, [ROWS, CHANNELS], [0, 1]),
    ("Clip", {}, [ROWS, np.array(-0.5), np.array(0.4)], [0, 1, 2]),
    *((name, {}, [POSITIVE, CHANNELS], [0, 1]) for name in ("Add", "Sub", "Mul", "Div", "Pow", "Sum", "Mean")),
    *((name, {}, [POSITIVE, POSITIVE[::-1] + 0.01, np.array(0.4)], [0, 1]) for name in ("Max", "Min")),
    ("Mod", {"fmod": 1}, [3 * ROWS, CHANNELS], [0]),
    ("Where", {}, [ROWS > 0, ROWS, CHANNELS], [1, 2]),
]
REDUCTIONS: list[Case] = [
    *(
        (f"Reduce{name}", {"keepdims": 0}, [POSITIVE, whole(1)], [0])
        for name in ("L1", "L2", "LogSum", "LogSumExp", "Max", "Mean", "Min", "Prod", "Sum", "SumSquare")
    ),
    ("CumSum", {"reverse": 1, "exclusive": 1}, [ROWS, whole(1)], [0]),
    ("CumProd", {}, [ROWS, whole(0)], [0]),
    ("TopK", {"largest": 0}, [ROWS, whole(2)], [0]),
    ("Unique", {"axis": 1}, [ROWS], [0]),
    ("Compress", {"axis": 1}, [ROWS, np.array([True, False, True])], [0]),
]
MOVES: list[Case] = [
    ("Concat", {"axis": 1}, [ROWS, random(3, 2)], [0, 1]),
    ("Split", {"axis": 1, "num_outputs": 2}, [ROWS], [0]),
    ("Slice", {}, [ROWS, whole(2, -1), whole(-9, 0), whole(0, 1), whole(-1, -2)], [0]),
    ("Gather", {"axis": 1}, [ROWS, whole(0, -1, 0)], [0]),
    ("GatherElements", {}, [ROWS, np.array([[0, 1, 2, -1]])], [0]),
    ("GatherND", {}, [ROWS, whole(0, 1, 2, 3).reshape(2, 2)], [0]),
    *(
        ("ScatterND", {"reduction": how}, [POSITIVE, whole(0, 2, 0).reshape(3, 1), random(3, 4, low=0.1)], [0, 2])
        for how in ("add", "mul", "max", "min")
    ),
    ("ScatterND", {}, [POSITIVE, whole(0, 2).reshape(2, 1), random(2, 4)], [0, 2]),
    ("ScatterElements", {"axis": 0, "reduction": "add"}, [random(4, 4), PLACES, random(2, 4)], [0, 2]),
    *(("Pad", {"mode": mode}, [ROWS, whole(1, 0, 2, 1)], [0]) for mode in ("constant", "reflect", "edge", "wrap")),
    ("Pad", {}, [ROWS, whole(-1, 0, 2, 1), np.array(0.3)], [0, 2]),
    ("CenterCropPad", {}, [ROWS, whole(5, 2)], [0]),
    ("DepthToSpace", {"blocksize": 2}, [IMAGE], [0]),
    ("SpaceToDepth", {"blocksize": 3}, [IMAGE[:, :, :3]], [0]),
    ("Transpose", {}, [ROWS], [0]),
    ("Reshape", {}, [ROWS, whole(2, -1)], [0]),
    ("Expand", {}, [ROWS[:, :1], whole(2, 3, 4)], [0]),
    ("Tile", {}, [ROWS, whole(2, 1)], [0]),
    ("Trilu", {"upper": 0}, [ROWS], [0]),
    ("ReverseSequence", {}, [ROWS, whole(1, 2, 3, 2)], [0]),
]
CASES = [
    *CONVOLUTIONS,
    *POOLS,
    *RESIZINGS,
    *SAMPLINGS,
    *NORMALIZATIONS,
    *ATTENTIONS,
    *LAYERS,
    *PRODUCTS,
    *ELEMENTS,
    *REDUCTIONS,
    *MOVES,
]


def slopes(function: Any, tensors: list[Any], asked: int, weights: Any) -> tuple[Any, Any]:
    """Return random directions of an input, and the slopes of the weighted sum of the first output along them."""
    directions = random(DIRECTIONS, *tensors[asked].shape, seed=5)
    found = []
    for direction in directions:
        both = []
        for step in (STEP, -STEP):
            moved = [*tensors[:asked], tensors[asked] + step * direction, *tensors[asked + 1 :]]
            both.append(np.sum(function(*map(tf.constant, moved))[0].numpy() * weights))
        found.append((both[0] - both[1]) / (2 * STEP))
    return directions.reshape(DIRECTIONS, -1), np.array(found)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0]}-{len(str(case[1]))}")
def test_gradients_are_those_of_the_values(case: Case) -> None:
    kind, attributes, inputs, asked = case
    version = {"Attention": 24, "RotaryEmbedding": 24, "RMSNormalization": 24, "CumProd": 26, "Swish": 24}.get(kind, 20)
    outputs = {"TopK": 2, "Split": 2, "LSTM": 3, "GRU": 2, "RNN": 2}.get(kind, 1)
    model = one_node(kind, inputs, attributes, version=version, outputs=outputs)
    values = {f"x{place}": one for place, one in enumerate(inputs) if one is not None}
    live = [f"x{place}" for place in asked]
    function, tensors = function_of(model, values, live), [values[name] for name in live]
    weights = random(*function(*map(tf.constant, tensors))[0].shape, seed=7)
    for place, gradient in enumerate(gradients_of(model, values, live, weights)):
        directions, expected = slopes(function, tensors, place, weights)
        assert np.abs(expected).max() > 0
        np.testing.assert_allclose(
            directions @ gradient.ravel(), expected, rtol=TOLERANCE, atol=TOLERANCE, err_msg=live[place]
        )


@pytest.mark.parametrize(
    "case",
    [one for one in CASES if np.ndim(one[2][0]) > 2 and one[0] not in ("RNN", "GRU", "LSTM")],
    ids=lambda case: f"{case[0]}-{len(str(case[1]))}",
)
def test_the_number_of_images_may_be_unknown(case: Case) -> None:
    kind, attributes, inputs, _ = case
    model = one_node(kind, inputs, attributes, version=24 if kind in ("Attention", "RotaryEmbedding") else 20)
    values = {f"x{place}": one for place, one in enumerate(inputs) if one is not None}
    function = function_of(model, values, ["x0"])
    (expected,) = function(tf.constant(values["x0"]))
    found = function.get_concrete_function(tf.TensorSpec([None, *values["x0"].shape[1:]], tf.float64))  # type: ignore[attr-defined]
    np.testing.assert_allclose(found(tf.constant(values["x0"]))[0], expected, rtol=1e-12, atol=1e-12)
    if kind not in ("MaxRoiPool", "RoiAlign"):
        # Layers after it need all lengths but that of the batch.
        assert None not in found.structured_outputs[0].shape[1:]


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
def test_the_number_of_sequences_may_be_unknown(kind: str) -> None:
    gates = {"LSTM": 4, "GRU": 3, "RNN": 1}[kind]
    values = {"x0": TIMES, "x1": random(1, 3 * gates, 4), "x2": random(1, 3 * gates, 3)}
    function = function_of(one_node(kind, list(values.values()), {"hidden_size": 3}), values, ["x0"])
    found = function.get_concrete_function(tf.TensorSpec([3, None, 4], tf.float64))  # type: ignore[attr-defined]
    (expected,) = function(tf.constant(TIMES))
    np.testing.assert_allclose(found(tf.constant(TIMES))[0], expected, rtol=1e-12)
    assert found.structured_outputs[0].shape.as_list() == [3, 1, None, 3]


def test_lengths_are_computed_with_an_unknown_number_of_images() -> None:
    from onnx import helper

    values = {"x": random(2, 4, 6), "first": whole(0), "last": whole(2), "two": whole(2), "none": whole(-1)}
    nodes = [
        helper.make_node("Shape", ["x"], ["sides"]),
        helper.make_node("Slice", ["sides", "first", "last"], ["front"]),
        helper.make_node("Split", ["front"], ["batch", "height"], axis=0, num_outputs=2),
        helper.make_node("Concat", ["height", "batch"], ["turned"], axis=0),
        helper.make_node("ReduceProd", ["turned"], ["rows"], keepdims=1),
        helper.make_node("Mul", ["rows", "two"], ["more"]),
        helper.make_node("Div", ["more", "two"], ["again"]),
        helper.make_node("Concat", ["again", "none"], ["wanted"], axis=0),
        helper.make_node("Equal", ["wanted", "none"], ["open"]),
        helper.make_node("Where", ["open", "none", "wanted"], ["chosen"]),
        helper.make_node("Reshape", ["x", "chosen"], ["y"]),
    ]
    model = graph(nodes, values, ["y"])
    function = function_of(model, values, ["x"])
    found = function.get_concrete_function(tf.TensorSpec([None, 4, 6], tf.float64))  # type: ignore[attr-defined]
    np.testing.assert_array_equal(found(tf.constant(values["x"]))[0], values["x"].reshape(-1, 6))


@pytest.mark.parametrize("case", [("ReduceL2", {"keepdims": 0}), ("LpNormalization", {})])
def test_zeros_have_finite_gradients(case: tuple[str, dict[str, Any]]) -> None:
    values = {"x0": np.zeros((2, 3))}
    (found,) = gradients_of(one_node(case[0], [values["x0"]], case[1], version=18), values, ["x0"], 1.0)
    assert np.isfinite(found).all()
