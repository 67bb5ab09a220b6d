"""Products of matrices."""

from __future__ import annotations

from typing import Any

import numpy as np

from picasso.models.tf.onnx.table import Node, integers, is_integer, lengths, operation, rank, tensor
from picasso.models.tf.runtime import tf
from picasso.models.tf.translation import Untranslatable


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


@operation("Det")
def determinant(node: Node, x: Any) -> Any:
    """Return the determinants of matrices."""
    return tf.linalg.det(tensor(x))


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


@operation("DFT")
def fourier_transform(node: Node, x: Any, length: Any = None, axis: Any = None) -> Any:
    """Return the discrete Fourier transform along an axis; the last axis has the real and the imaginary parts.

    Raises:
        Untranslatable: the length of the transform depends on the image.
    """
    x = tensor(x)
    given = node.get("axis", 1) if node.version < 20 else -2
    given = given if axis is None else integers(np.asarray(axis), "the axis")[0]
    place, inverse, half = given % rank(x), node.get("inverse", 0), node.get("onesided", 0)
    now = lengths(x)[place]
    wanted = now if length is None else integers(np.asarray(length), "its length")[0]
    if not is_integer(wanted) or not is_integer(now):
        raise Untranslatable("the length of the axis that it transforms depends on the image")
    if half and inverse:
        wanted = 2 * (now - 1) if length is None else wanted
    kept = min(wanted // 2 + 1 if half and inverse else wanted, now)
    order = [*(one for one in range(rank(x) - 1) if one != place), place]
    parts = tf.cast(x, tf.float64)
    values = tf.complex(parts[..., 0], parts[..., 1] if x.shape[-1] == 2 else tf.zeros_like(parts[..., 0]))
    values = tf.transpose(values, order)[..., :kept]
    if half and inverse:
        found = tf.signal.irfft(values, [wanted])
        return tf.cast(tf.transpose(found, np.argsort(order).tolist())[..., None], x.dtype)
    values = tf.pad(values, [*[(0, 0)] * (rank(x) - 2), (0, wanted - kept)])
    found = (tf.signal.ifft if inverse else tf.signal.fft)(values)
    found = tf.transpose(found[..., : wanted // 2 + 1] if half else found, np.argsort(order).tolist())
    return tf.cast(tf.stack([tf.math.real(found), tf.math.imag(found)], -1), x.dtype)
