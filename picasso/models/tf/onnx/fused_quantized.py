"""Operations on quantized numbers of the domain com.microsoft, which ONNX Runtime's quantizer and optimizer write.

Source: https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md
"""

from __future__ import annotations

from typing import Any

import numpy as np

from picasso.models.tf.onnx.fused import fused
from picasso.models.tf.onnx.quantized import centred, dequantize, kind_of, quantize, quantize_by_range, quantized, whole
from picasso.models.tf.onnx.table import OPERATIONS, Node, operation, tensor
from picasso.models.tf.runtime import tf
from picasso.models.tf.translation import Operation, Untranslatable

operation("com.microsoft:QuantizeLinear")(quantize)
operation("com.microsoft:DequantizeLinear")(dequantize)


def real(x: Any, scale: Any, zero: Any) -> Any:
    """Return the numbers that quantized ones stand for."""
    return tensor(centred(x, zero)) * tf.cast(tensor(scale), tf.float32)


def requantized(node: Node, x: Any, scale: Any, zero: Any) -> Any:
    """Return numbers quantized by a scale and a zero point, which is 0 of uint8 if it is left out."""
    return quantized(tensor(x), tensor(scale), np.float32(0) if zero is None else zero, kind_of(node, zero))


def pair(name: str) -> Operation:
    """Return the translation of an operation on pairs of quantized numbers."""

    def both(
        node: Node, x: Any, x_scale: Any, x_zero: Any, y: Any, y_scale: Any, y_zero: Any, scale: Any, zero: Any = None
    ) -> Any:
        found = OPERATIONS[name](node, real(x, x_scale, x_zero), real(y, y_scale, y_zero))
        return requantized(node, found, scale, zero)

    return both


def single(name: str) -> Operation:
    """Return the translation of an operation on quantized numbers."""

    def compute(node: Node, x: Any, x_scale: Any, x_zero: Any, scale: Any, zero: Any = None) -> Any:
        if node.get("channels_last", 0):
            raise Untranslatable("its channels are last")
        return requantized(node, OPERATIONS[name](node, real(x, x_scale, x_zero)), scale, zero)

    return compute


for kind in ("Add", "Mul"):
    fused(f"QLinear{kind}")(pair(kind))
for kind in ("Sigmoid", "LeakyRelu", "AveragePool", "GlobalAveragePool"):
    fused(f"QLinear{kind}")(single(kind))


@fused("QLinearSoftmax")
def softmax(node: Node, x: Any, x_scale: Any, x_zero: Any, scale: Any, zero: Any = None) -> Any:
    """Return a quantized softmax; ``opset`` tells whose rules for axes it follows."""
    plain = Node(node.attributes, node.get("opset", 13))
    return requantized(node, OPERATIONS["Softmax"](plain, real(x, x_scale, x_zero)), scale, zero)


@fused("QLinearConcat")
def concat(node: Node, scale: Any, zero: Any, *inputs: Any) -> Any:
    """Join inputs, each with its scale and its zero point, along an axis."""
    parts = [real(*inputs[place : place + 3]) for place in range(0, len(inputs), 3)]
    return requantized(node, tf.concat(parts, node.get("axis")), scale, zero)


@fused("QGemm")
def general_product(
    node: Node,
    x: Any,
    x_scale: Any,
    x_zero: Any,
    y: Any,
    y_scale: Any,
    y_zero: Any,
    bias: Any = None,
    scale: Any = None,
    zero: Any = None,
) -> Any:
    """Return ``alpha x y + bias``, quantized if a scale is given; the bias counts steps of the product."""
    columns = 0 if node.get("transB", 0) else None
    other = tensor(centred(y, y_zero, columns))
    found = tf.matmul(
        tensor(centred(x, x_zero)),
        other,
        transpose_a=bool(node.get("transA", 0)),
        transpose_b=bool(node.get("transB", 0)),
    )
    found = found if bias is None else found + tensor(whole(bias))
    found = found * (node.get("alpha", 1.0) * tensor(x_scale) * tensor(y_scale))
    return found if scale is None else requantized(node, found, scale, zero)


@fused("MatMulIntegerToFloat")
def product(
    node: Node, x: Any, y: Any, x_scale: Any, y_scale: Any, x_zero: Any = None, y_zero: Any = None, bias: Any = None
) -> Any:
    """Return the product of the numbers that two quantized matrices stand for, plus a bias."""
    found = tf.matmul(tensor(centred(x, x_zero)), tensor(centred(y, y_zero)))
    found = found * (tensor(x_scale) * tensor(y_scale))
    return found if bias is None else found + tensor(bias)


@fused("DynamicQuantizeMatMul")
def product_by_range(node: Node, x: Any, y: Any, y_scale: Any, y_zero: Any = None, bias: Any = None) -> Any:
    """Return the product of x, quantized by its own range, with a quantized matrix, plus a bias."""
    steps, scale, zero = quantize_by_range(node, x)
    return product(node, steps, y, scale, y_scale, zero, y_zero, bias)
