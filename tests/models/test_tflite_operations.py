"""Each operation of TFLite files as TensorFlow computes it: the numbers of LiteRT, for several images at once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from picasso.models.tf.runtime import tf, tf1
from picasso.models.tf.tflite.table import OPERATIONS
from picasso.models.tf.tflite.translate import missing, translated
from picasso.models.tf.translation import Untranslatable
from picasso.models.tflite_schema import TFLiteGraph
from tests.models.tflite_files import answers, of_function

RANDOM = np.random.default_rng(4)
SHAPE = (9, 8, 6)
IMAGES = RANDOM.normal(size=(3, *SHAPE)).astype(np.float32)
TOLERANCE = 1e-5


def weights(*shape: int) -> Any:
    return tf.constant(RANDOM.normal(0, np.prod(shape[:-1]) ** -0.5, shape), tf.float32)


SQUARE, WIDE, THIN, DOUBLE = weights(3, 3, 6, 4), weights(2, 4, 6, 4), weights(3, 3, 6, 1), weights(2, 2, 6, 2)
GROUPS, UP, DENSE, BIAS, SLOPES = weights(3, 3, 3, 4), weights(3, 2, 5, 6), weights(6, 7), weights(4), weights(8, 6)
CHANNEL, ROW = weights(6), weights(1, 1, 8, 6)


def conv(filters: Any, strides: int | list[int] = 1, padding: str = "SAME", gaps: int = 1) -> Callable[[Any], Any]:
    return lambda x: tf.nn.bias_add(tf.nn.conv2d(x, filters, strides, padding, dilations=gaps), BIAS)


def thin(strides: list[int], padding: str = "SAME", gaps: list[int] | None = None) -> Callable[[Any], Any]:
    return lambda x: tf.nn.depthwise_conv2d(x, THIN, [1, *strides, 1], padding, dilations=gaps)


def up(shape: list[int], strides: int, padding: str) -> Callable[[Any], Any]:
    return lambda x: tf.nn.conv2d_transpose(x, UP, [1, *shape], strides, padding)


def resized(name: str, corners: bool, centres: bool, size: tuple[int, int] = (13, 5)) -> Callable[[Any], Any]:
    compute = getattr(tf.raw_ops, name)
    return lambda x: compute(images=x, size=size, align_corners=corners, half_pixel_centers=centres)


def softmax_attention(x: Any) -> Any:
    tokens = tf.reshape(x, [1, 72, 6])
    return tf.matmul(tf.nn.softmax(tf.matmul(tokens, tokens, transpose_b=True) / 3), tokens)


def windows(x: Any) -> Any:
    parts = tf.transpose(tf.reshape(x, [1, 3, 3, 2, 4, 6]), [0, 1, 3, 2, 4, 5])
    parts = tf.reshape(parts, [6, 12, 6])
    parts = tf.matmul(parts, parts, transpose_b=True)
    return tf.reshape(parts, [1, 6, 144])


def heads(x: Any) -> Any:
    parts = tf.transpose(tf.reshape(x, [1, 72, 3, 2]), [2, 0, 1, 3])
    return tf.matmul(parts[0], parts[1], transpose_a=True) + parts[2][:, :2]


def class_token(x: Any) -> Any:
    return tf.concat([tf.zeros([1, 1, 6]) + CHANNEL, tf.reshape(x, [1, 72, 6])], 1)


def dynamic_shape(x: Any) -> Any:
    shape = tf.shape(x)
    return tf.reshape(x, tf.stack([shape[0], shape[1] * shape[2], 6]))


#: The kind of operation that a file must have, with a function of images.
CASES: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "conv same": ("CONV_2D", conv(SQUARE)),
    "conv valid, strides": ("CONV_2D", conv(SQUARE, 2, "VALID")),
    "conv even, uneven strides": ("CONV_2D", conv(WIDE, [2, 3])),
    "conv dilated": ("CONV_2D", conv(SQUARE, 1, "SAME", 2)),
    "conv dilated, valid": ("CONV_2D", conv(SQUARE, 1, "VALID", 3)),
    "conv in groups": ("CONV_2D", conv(GROUPS)),
    "conv, relu6": ("CONV_2D", lambda x: tf.nn.relu6(3 * conv(SQUARE)(x))),
    "depthwise": ("DEPTHWISE_CONV_2D", thin([1, 1])),
    "depthwise strides": ("DEPTHWISE_CONV_2D", thin([2, 2], "VALID")),
    "depthwise dilated": ("DEPTHWISE_CONV_2D", thin([1, 1], "SAME", [2, 2])),
    "depthwise multiplier": ("DEPTHWISE_CONV_2D", lambda x: tf.nn.depthwise_conv2d(x, DOUBLE, [1, 2, 2, 1], "SAME")),
    "transposed same": ("TRANSPOSE_CONV", up([18, 16, 5], 2, "SAME")),
    "transposed valid": ("TRANSPOSE_CONV", up([19, 16, 5], 2, "VALID")),
    "dense": ("FULLY_CONNECTED", lambda x: tf.matmul(tf.reduce_mean(x, [1, 2]), DENSE) + 1.0),
    "dense for all places": ("FULLY_CONNECTED", lambda x: tf.tensordot(x, DENSE, 1)),
    "matmul": ("BATCH_MATMUL", softmax_attention),
    "max pool": ("MAX_POOL_2D", lambda x: tf.nn.max_pool2d(x, 2, 2, "SAME")),
    "mean pool same": ("AVERAGE_POOL_2D", lambda x: tf.nn.avg_pool2d(x, [3, 2], [2, 1], "SAME")),
    "mean pool valid": ("AVERAGE_POOL_2D", lambda x: tf.nn.avg_pool2d(x, 4, 3, "VALID")),
    "bilinear": ("RESIZE_BILINEAR", resized("ResizeBilinear", False, False)),
    "bilinear corners": ("RESIZE_BILINEAR", resized("ResizeBilinear", True, False)),
    "bilinear centres": ("RESIZE_BILINEAR", resized("ResizeBilinear", False, True)),
    "nearest": ("RESIZE_NEAREST_NEIGHBOR", resized("ResizeNearestNeighbor", False, False)),
    "nearest corners": ("RESIZE_NEAREST_NEIGHBOR", resized("ResizeNearestNeighbor", True, False)),
    "nearest centres": ("RESIZE_NEAREST_NEIGHBOR", resized("ResizeNearestNeighbor", False, True, (18, 16))),
    "add": ("ADD", lambda x: tf.nn.relu(x + ROW)),
    "sub": ("SUB", lambda x: CHANNEL - x * x),
    "div": ("DIV", lambda x: x / (1 + x * x)),
    "maximum": ("MAXIMUM", lambda x: tf.maximum(x, CHANNEL)),
    "minimum": ("MINIMUM", lambda x: tf.minimum(x, x[:, ::-1])),
    "pow": ("POW", lambda x: tf.pow(tf.abs(x) + 0.1, 1.7)),
    "floor div": ("FLOOR_DIV", lambda x: tf.math.floordiv(x, 0.37)),
    "floor mod": ("FLOOR_MOD", lambda x: tf.math.floormod(x, 0.37)),
    "squared difference": ("SQUARED_DIFFERENCE", lambda x: tf.math.squared_difference(x, CHANNEL)),
    "add n": ("ADD_N", lambda x: tf.add_n([x, x * 2, x * x])),
    "atan2": ("ATAN2", lambda x: tf.atan2(x, x[:, ::-1])),
    "compare": ("SELECT_V2", lambda x: tf.where((x > CHANNEL) | (x <= -1), x, 0.5)),
    "equal": ("NOT_EQUAL", lambda x: tf.cast(tf.not_equal(tf.round(x), 0), tf.float32)),
    "logical": ("LOGICAL_NOT", lambda x: tf.cast(~((x < 1) & (x >= 0)), tf.float32)),
    "leaky": ("LEAKY_RELU", lambda x: tf.nn.leaky_relu(x, 0.3)),
    "prelu": ("RELU", lambda x: tf.nn.relu(x) + SLOPES * (-tf.nn.relu(-x))),
    "elu": ("ELU", tf.nn.elu),
    "gelu": ("GELU", lambda x: tf.nn.gelu(x)),
    "gelu with tanh": ("GELU", lambda x: tf.nn.gelu(x, approximate=True)),
    "hard swish": ("HARD_SWISH", lambda x: x * tf.nn.relu6(x + 3) * (1 / 6)),
    "relu -1 to 1": ("RELU_N1_TO_1", lambda x: tf.minimum(tf.maximum(x, -1.0), 1.0)),
    "logistic": ("LOGISTIC", tf.sigmoid),
    "tanh": ("TANH", tf.tanh),
    "exp": ("EXP", lambda x: tf.exp(-x * x)),
    "log": ("LOG", lambda x: tf.math.log(1 + x * x)),
    "sqrt": ("SQRT", lambda x: tf.sqrt(x * x + 0.1)),
    "rsqrt": ("RSQRT", lambda x: tf.math.rsqrt(x * x + 0.1)),
    "rounding": ("CEIL", lambda x: tf.math.ceil(x) + 2 * tf.floor(x) + 3 * tf.round(x)),
    "sine": ("SIN", lambda x: tf.sin(x) + tf.cos(3 * x)),
    "sign": ("SIGN", lambda x: tf.sign(x) + tf.abs(x) - tf.negative(x)),
    "softmax": ("SOFTMAX", tf.nn.softmax),
    "log softmax": ("LOG_SOFTMAX", tf.nn.log_softmax),
    "norm": ("L2_NORMALIZATION", lambda x: tf.math.l2_normalize(x, -1)),
    "lrn": ("LOCAL_RESPONSE_NORMALIZATION", lambda x: tf.nn.lrn(x, 2, 1.0, 0.1, 0.7)),
    "mean": ("MEAN", lambda x: tf.reduce_mean(x, [1, 2])),
    "mean, negative axes": ("MEAN", lambda x: tf.reduce_mean(x, [-2, -1], keepdims=True)),
    "sum": ("SUM", lambda x: tf.reduce_sum(x, -1)),
    "largest": ("REDUCE_MAX", lambda x: tf.reduce_max(x, [1, 3], keepdims=True)),
    "smallest": ("REDUCE_MIN", lambda x: tf.reduce_min(x, 2)),
    "product": ("REDUCE_PROD", lambda x: tf.reduce_prod(x, -1)),
    "any": ("REDUCE_ANY", lambda x: tf.cast(tf.reduce_any(x > 1.5, -1), tf.float32)),
    "all": ("REDUCE_ALL", lambda x: tf.cast(tf.reduce_all(x > -1.5, -1), tf.float32)),
    "argmax": ("ARG_MAX", lambda x: tf.cast(tf.argmax(x, 1), tf.float32)),
    "argmin": ("ARG_MIN", lambda x: tf.cast(tf.argmin(x, -1), tf.float32)),
    "cumsum": ("CUMSUM", lambda x: tf.cumsum(x, 2, exclusive=True, reverse=True)),
    "top": ("TOPK_V2", lambda x: tf.math.top_k(x, 3).values),
    "reshape": ("RESHAPE", lambda x: tf.reshape(x, [1, 72, 6])),
    "reshape, -1 elsewhere": ("RESHAPE", lambda x: tf.reshape(x, [1, -1, 3])),
    "reshape by shapes": ("RESHAPE", dynamic_shape),
    "windows": ("TRANSPOSE", windows),
    "heads": ("STRIDED_SLICE", heads),
    "class token": ("CONCATENATION", class_token),
    "squeeze": ("RESHAPE", lambda x: tf.squeeze(tf.reduce_mean(x, 2, keepdims=True), 2) * 2),
    "expand": ("RESHAPE", lambda x: tf.expand_dims(x, -2) * 2),
    "split": ("SPLIT", lambda x: tf.concat(tf.split(x, 3, -1)[::-1], -1)),
    "split by sizes": ("SPLIT_V", lambda x: tf.split(x, [2, 3, 4], 1)[2]),
    "pack": ("PACK", lambda x: tf.stack([x, x * 2], 2)),
    "unpack": ("UNPACK", lambda x: tf.unstack(x, axis=2)[3]),
    "slice": ("SLICE", lambda x: tf.slice(x, [0, 1, 2, 0], [-1, 4, -1, 3])),
    "strided": ("STRIDED_SLICE", lambda x: x[:, 1:-1, ::2]),
    "strided, fixed ends": ("STRIDED_SLICE", lambda x: tf.strided_slice(x, [0, 0, 1, 0], [1, 9, 8, 6], [1, 2, 3, 1])),
    "strided, without an axis": ("STRIDED_SLICE", lambda x: x[:, -2, :, 1:]),
    "strided, new axis": ("STRIDED_SLICE", lambda x: x[:, :, tf.newaxis, 2:7:2] * 2),
    "strided, ellipsis": ("STRIDED_SLICE", lambda x: x[..., -1]),
    "gather": ("GATHER", lambda x: tf.gather(x, [2, 0, 5], axis=-1)),
    "pad": ("PAD", lambda x: tf.pad(x, [[0, 0], [1, 2], [0, 3], [0, 0]])),
    "pad channels": ("PAD", lambda x: tf.nn.relu(conv(SQUARE)(x) + tf.pad(x[..., :3], [[0, 0]] * 3 + [[0, 1]]))),
    "pad with a number": ("PADV2", lambda x: tf.pad(x, [[0, 0], [1, 1], [2, 0], [0, 0]], constant_values=-2.0)),
    "reflect": ("MIRROR_PAD", lambda x: tf.pad(x, [[0, 0], [1, 2], [2, 1], [0, 0]], "REFLECT")),
    "symmetric": ("MIRROR_PAD", lambda x: tf.pad(x, [[0, 0], [1, 2], [2, 1], [0, 0]], "SYMMETRIC")),
    "tile": ("TILE", lambda x: tf.tile(x, [1, 2, 1, 3])),
    "broadcast": ("BROADCAST_TO", lambda x: tf.broadcast_to(x[:, :, :1], [1, 9, 8, 6])),
    "reverse": ("REVERSE_V2", lambda x: tf.reverse(x, [1])),
    "one hot": ("ONE_HOT", lambda x: tf.one_hot(tf.argmax(x, -1), 6, 2.0, -1.0)),
    "space to depth": ("SPACE_TO_DEPTH", lambda x: tf.nn.space_to_depth(x[:, :8], 2)),
    "depth to space": ("DEPTH_TO_SPACE", lambda x: tf.nn.depth_to_space(x[..., :4], 2)),
    "space to batch": ("SPACE_TO_BATCH_ND", lambda x: tf.batch_to_space(
        tf.square(tf.space_to_batch(x[:, :8], [2, 2], [[0, 0], [2, 2]])), [2, 2], [[0, 0], [2, 2]])),
    "gather points": ("GATHER_ND", lambda x: tf.gather_nd(x, [[[0, 1, 2], [0, 3, 1]]], 0)),
    "fake quantization": ("QUANTIZE", lambda x: tf.quantization.fake_quant_with_min_max_args(x, -1, 1)),
}  # fmt: skip
#: These mix or select images, so they have a translation for one image only.
SINGLE = {"gather points"}


def computed(file: Path, images: Any, *, batched: bool) -> Any:
    graph = TFLiteGraph(file)
    (output,) = graph.outputs
    build = translated(graph, {"output": output}, (None if batched else 1, *images.shape[1:]), batched=batched)
    made: list[Any] = []
    wrapped = tf1.wrap_function(lambda: made.extend(build()), [])
    function = wrapped.prune([made[0]], [made[1]])
    groups = [images] if batched else [one[None] for one in images]
    return np.concatenate([function(tf.constant(group))[0].numpy() for group in groups])


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_each_operation(name: str, tmp_path: Path) -> None:
    kind, function = CASES[name]
    file = of_function(function, SHAPE, tmp_path / "m.tflite")
    graph = TFLiteGraph(file)
    assert kind in {one.kind for one in graph.steps}
    assert not missing(graph, graph.outputs)
    (expected,) = answers(file, IMAGES)
    np.testing.assert_allclose(computed(file, IMAGES, batched=False), expected, rtol=TOLERANCE, atol=TOLERANCE)
    if name not in SINGLE:
        np.testing.assert_allclose(computed(file, IMAGES, batched=True), expected, rtol=TOLERANCE, atol=TOLERANCE)


def test_parts_of_the_images_are_refused(tmp_path: Path) -> None:
    file = of_function(lambda x: x[0] * 2, SHAPE, tmp_path / "m.tflite")
    with pytest.raises(Untranslatable, match=r"STRIDED_SLICE of the tensor .*: it takes some of the images"):
        computed(file, IMAGES, batched=True)
    np.testing.assert_allclose(computed(file, IMAGES, batched=False).reshape(IMAGES.shape), IMAGES * 2)


def test_tables_name_operations_of_the_format() -> None:
    from picasso.models.scan.tflite_operations import ALLOWED

    assert OPERATIONS.keys() <= ALLOWED
