"""Operations of the domain com.microsoft, which ONNX Runtime writes where it joins several standard ones into one.

Source: https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import sqrt
from typing import Any

from picasso.models.tf.onnx.attention import heads, joined, probabilities, visible
from picasso.models.tf.onnx.permuted import NATIVE, compute
from picasso.models.tf.onnx.table import OPERATIONS, Node, operation, rank, tensor
from picasso.models.tf.runtime import tf
from picasso.models.tf.translation import Untranslatable

DOMAIN = "com.microsoft"
# The names of parameters of activations, in the order in which a fused convolution lists them.
PARAMETERS = {"LeakyRelu": ["alpha"], "HardSigmoid": ["alpha", "beta"], "Clip": ["min", "max"], "Elu": ["alpha"]}


NATIVE.add(f"{DOMAIN}:FusedConv")


def fused(*names: str) -> Callable[..., Any]:
    """Register a function as the translation of operations of this domain."""
    return operation(*(f"{DOMAIN}:{name}" for name in names))


def activated(node: Node, x: Any, parameters: list[float]) -> Any:
    """Return the activation that a node names, if any.

    Raises:
        Untranslatable: the activation is unknown.
    """
    name = node.get("activation", "")
    if not name:
        return x
    if name not in OPERATIONS:
        raise Untranslatable(f"it uses the activation {name}")
    return compute(name, Node(dict(zip(PARAMETERS.get(name, []), parameters, strict=False)), 6), x)


@fused("Gelu", "BiasGelu")
def gelu(node: Node, x: Any, bias: Any = None) -> Any:
    """Return the Gaussian error linear unit, after adding a bias."""
    return tf.nn.gelu(tensor(x) if bias is None else tensor(x) + tensor(bias))


@fused("FastGelu")
def fast_gelu(node: Node, x: Any, bias: Any = None) -> Any:
    """Return the Gaussian error linear unit in the approximation by tanh, after adding a bias."""
    return tf.nn.gelu(tensor(x) if bias is None else tensor(x) + tensor(bias), approximate=True)


@fused("QuickGelu")
def quick_gelu(node: Node, x: Any) -> Any:
    """Return ``x sigmoid(alpha x)``."""
    x = tensor(x)
    return x * tf.sigmoid(node.get("alpha", 1.702) * x)


@fused("FusedConv")
def convolution(node: Node, x: Any, filters: Any, bias: Any = None, other: Any = None) -> Any:
    """Return a convolution, plus another input, after an activation."""
    found = compute("Conv", node, x, filters, *([] if bias is None else [bias]))
    found = found if other is None else compute("Add", node, found, other)
    return activated(node, found, node.get("activation_params") or [])


@fused("FusedMatMul", "TransposeMatMul")
def product(node: Node, x: Any, y: Any) -> Any:
    """Return ``alpha x y``, with matrices transposed as the attributes say.

    Raises:
        Untranslatable: the first axis of a matrix is to become the one before last.
    """
    if node.get("transBatchA", 0) or node.get("transBatchB", 0):
        raise Untranslatable("it transposes a batch")
    x, y = tensor(x), tensor(y)
    if rank(x) > 1 and rank(y) > 1:
        found = tf.matmul(x, y, transpose_a=bool(node.get("transA", 0)), transpose_b=bool(node.get("transB", 0)))
    else:
        found = OPERATIONS["MatMul"](node, x, y)
    return found * tf.cast(node.get("alpha", 1.0), found.dtype)


@fused("FusedGemm")
def general_product(node: Node, x: Any, y: Any, z: Any = None) -> Any:
    """Return ``alpha x y + beta z`` after an activation."""
    found = OPERATIONS["Gemm"](node, x, y, z)
    return activated(node, found, [node.get("activation_alpha", 0.0), node.get("activation_beta", 0.0)])


@fused("LayerNormalization")
def layer_normalization(node: Node, x: Any, scale: Any, bias: Any = None) -> Any:
    """Return the standard operation."""
    return OPERATIONS["LayerNormalization"](node, x, scale, bias)


@fused("SkipLayerNormalization")
def skip_layer_normalization(node: Node, x: Any, skip: Any, scale: Any, shift: Any = None, bias: Any = None) -> Any:
    """Return the normalized sum of two inputs and a bias, its mean and 1 / deviation, and the sum."""
    total = tensor(x) + tensor(skip)
    total = total if bias is None else total + tensor(bias)
    plain = Node({"epsilon": node.get("epsilon", 1e-12), "axis": -1}, node.version, 3)
    return (*OPERATIONS["LayerNormalization"](plain, total, scale, shift), total)


@fused("SkipSimplifiedLayerNormalization")
def skip_rms_normalization(node: Node, x: Any, skip: Any, scale: Any, bias: Any = None) -> Any:
    """Return the sum of two inputs and a bias divided by the root of its mean square; the last output is that sum."""
    total = tensor(x) + tensor(skip)
    total = total if bias is None else total + tensor(bias)
    plain = Node({"epsilon": node.get("epsilon", 1e-12), "axis": -1}, node.version)
    return OPERATIONS["RMSNormalization"](plain, total, scale), None, None, total


def attended(node: Node, parts: Sequence[Any], bias: Any) -> Any:
    """Return what queries ``(N, heads, T, D)`` gather, as ``(N, T, heads D)``."""
    query, key, value = parts
    scale = node.get("scale", 0.0) or 1 / sqrt(query.shape[-1])
    scores = tf.matmul(query, key, transpose_b=True) * scale
    scores = scores if bias is None else scores + tf.cast(bias, scores.dtype)
    hidden = None
    if node.get("unidirectional", 0):
        sides = tf.shape(scores)
        seen = visible(sides[2], sides[3], sides[3] - sides[2], -1, 0)
        hidden = tf.where(seen, tf.zeros([], scores.dtype), tf.constant(scores.dtype.min, scores.dtype))
    return joined(tf.matmul(probabilities(scores, hidden), value))


def masked(node: Node, mask: Any, kind: Any) -> Any:
    """Return what is added to the scores for a mask of keys ``(N, S)`` or of pairs ``(N, T, S)``: 0 where it is not 0.

    Raises:
        Untranslatable: the mask consists of lengths.
    """
    mask = tensor(mask)
    if rank(mask) not in (2, 3):
        raise Untranslatable("its mask consists of the lengths of sequences")
    wide = mask[:, None, None] if rank(mask) == 2 else mask[:, None]
    low = tf.constant(node.get("mask_filter_value", -10000.0), kind)
    return tf.where(wide != 0, tf.zeros([], kind), low)


def total(*parts: Any) -> Any:
    """Return the sum of those inputs that are not left out; None if all are."""
    found = None
    for part in parts:
        if part is not None:
            found = tensor(part) if found is None else found + tensor(part)
    return found


@fused("MultiHeadAttention")
def multi_head_attention(
    node: Node,
    query: Any,
    key: Any = None,
    value: Any = None,
    bias: Any = None,
    mask: Any = None,
    added: Any = None,
    *past: Any,
) -> Any:
    """Return the attention of projected inputs.

    Args:
        node: ``num_heads``, ``scale`` and ``unidirectional``.
        query: ``(N, T, heads D)``.
        key: ``(N, S, heads D)`` or ``(N, heads, S, D)``.
        value: like the key.
        bias: added to all three, ``(3 heads D,)``.
        mask: of keys, ``(N, S)``.
        added: to the scores; it broadcasts to ``(N, heads, T, S)``.
        past: keys and values of earlier calls.

    Raises:
        Untranslatable: it gets packed inputs, or keys of earlier calls.
    """
    if key is None or value is None or any(one is not None for one in past):
        raise Untranslatable("it gets packed inputs, or keys of earlier calls")
    count = node.get("num_heads")
    parts = [one if rank(one) == 4 else heads(one, count) for one in map(tensor, (query, key, value))]
    if bias is not None:
        own = tf.split(tensor(bias), [part.shape[1] * part.shape[3] for part in parts])
        parts = [one + tf.reshape(b, [1, count, 1, -1]) for one, b in zip(parts, own, strict=True)]
    hidden = None if mask is None else masked(node, mask, query.dtype)
    return attended(node, parts, total(hidden, added))


@fused("Attention")
def attention(
    node: Node, x: Any, weights: Any, bias: Any = None, mask: Any = None, past: Any = None, added: Any = None
) -> Any:
    """Return the attention of an input with itself, after its projection to queries, keys and values.

    Args:
        node: ``num_heads``, ``qkv_hidden_sizes``, ``scale`` and ``unidirectional``.
        x: ``(N, T, I)``.
        weights: ``(I, 3 heads D)``.
        bias: ``(3 heads D,)``.
        mask: of keys, ``(N, T)``, or of pairs, ``(N, T, T)``.
        past: keys and values of earlier calls.
        added: to the scores; it broadcasts to ``(N, heads, T, T)``.

    Raises:
        Untranslatable: it gets keys of earlier calls.
    """
    if node.get("do_rotary", 0):
        raise Untranslatable("it rotates queries and keys")
    if past is not None:
        raise Untranslatable("it gets keys of earlier calls")
    x = tensor(x)
    found = tf.tensordot(x, tensor(weights), 1)
    found = found if bias is None else found + tensor(bias)
    sizes = node.get("qkv_hidden_sizes") or 3
    parts = [heads(one, node.get("num_heads")) for one in tf.split(found, sizes, -1)]
    hidden = None if mask is None else masked(node, mask, x.dtype)
    return attended(node, parts, total(hidden, added))
