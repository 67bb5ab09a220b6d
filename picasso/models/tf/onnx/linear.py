"""Products of matrices."""

from __future__ import annotations

from typing import Any

from picasso.models.tf.onnx.table import Node, operation, rank, tensor
from picasso.models.tf.runtime import tf


@operation("MatMul")
def product(node: Node, x: Any, y: Any) -> Any:
    """Return the product of matrices; vectors are rows or columns."""
    x, y = tensor(x), tensor(y)
    row, column = rank(x) == 1, rank(y) == 1
    x, y = (x[None] if row else x), (y[:, None] if column else y)
    found = tf.matmul(x, y)
    found = tf.squeeze(found, -2) if row else found
    return tf.squeeze(found, -1) if column else found


@operation("Gemm")
def general_product(node: Node, x: Any, y: Any, z: Any = None) -> Any:
    """Return ``alpha x y + beta z``, with matrices transposed as the attributes say."""
    transposed = {"transpose_a": bool(node.get("transA", 0)), "transpose_b": bool(node.get("transB", 0))}
    found = tf.matmul(tensor(x), tensor(y), **transposed)
    alpha, beta = node.get("alpha", 1.0), node.get("beta", 1.0)
    found = found if alpha == 1 else tf.cast(alpha, found.dtype) * found
    if z is None or beta == 0:
        return found
    return found + (tensor(z) if beta == 1 else tf.cast(beta, found.dtype) * tensor(z))


@operation("Einsum")
def einsum(node: Node, *inputs: Any) -> Any:
    """Return a sum of products as Einstein writes it."""
    equation = node.get("equation").replace(" ", "")
    if "->" not in equation:
        # Then the axes that occur once remain, in alphabetical order.
        letters = equation.replace(",", "").replace("...", "")
        once = "".join(sorted(one for one in set(letters) if letters.count(one) == 1))
        equation += "->" + ("..." if "..." in equation else "") + once
    return tf.einsum(equation, *(tensor(one) for one in inputs))
