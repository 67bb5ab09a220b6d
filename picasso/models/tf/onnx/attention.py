"""Attention between the places of sequences, and the rotation of their embeddings by position."""

from __future__ import annotations

from math import sqrt
from typing import Any

import numpy as np

from picasso.models.tf.onnx.shapes import typed
from picasso.models.tf.onnx.table import Node, lengths, operation, rank, tensor
from picasso.models.tf.runtime import tf


def heads(x: Any, count: int) -> Any:
    """Return ``(N, T, heads D)`` as ``(N, heads, T, D)``."""
    return tf.transpose(tf.reshape(x, [-1, tf.shape(x)[1], count, x.shape[-1] // count]), [0, 2, 1, 3])


def joined(x: Any) -> Any:
    """Return ``(N, heads, T, D)`` as ``(N, T, heads D)``."""
    return tf.reshape(tf.transpose(x, [0, 2, 1, 3]), [-1, tf.shape(x)[2], x.shape[1] * x.shape[3]])


def visible(queries: Any, keys: Any, offset: Any, before: int, after: int) -> Any:
    """Tell which keys each query may attend: ``(queries, keys)``, or ``(N, 1, queries, keys)``.

    Args:
        queries: their number.
        keys: their number.
        offset: the number of keys before the first query, for all images or for each.
        before: how many keys before its own place a query sees; -1 for all.
        after: how many after it; -1 for all.
    """
    places = tf.range(queries)[:, None] + tf.reshape(offset, [-1, 1, 1, 1] if rank(offset) else [])
    distance = places - tf.range(keys)
    seen = tf.ones_like(distance, tf.bool)
    seen = seen if before < 0 else tf.logical_and(seen, distance <= before)
    return seen if after < 0 else tf.logical_and(seen, distance >= -after)


def added(allowed: Any, kind: Any) -> Any:
    """Return 0 where a condition holds, and minus infinity elsewhere."""
    return tf.where(allowed, tf.zeros([], kind), tf.constant(-np.inf, kind))


def probabilities(scores: Any, bias: Any) -> Any:
    """Return the softmax of scores with a bias added; rows of which everything is hidden become 0."""
    if bias is None:
        return tf.nn.softmax(scores)
    hidden = tf.reduce_all(tf.equal(bias, tf.constant(-np.inf, bias.dtype)), -1, keepdims=True)
    found = tf.nn.softmax(scores + tf.cast(tf.where(hidden, tf.zeros_like(bias), bias), scores.dtype))
    return tf.where(hidden, tf.zeros_like(found), found)


@operation("Attention")
def attention(
    node: Node,
    query: Any,
    key: Any,
    value: Any,
    mask: Any = None,
    past_key: Any = None,
    past_value: Any = None,
    ends: Any = None,
) -> Any:
    """Return what each query gathers from the values (Vaswani et al., 2017, arXiv:1706.03762).

    Args:
        node: ``scale``, ``is_causal``, ``softcap``, windows, and the numbers of heads of inputs with three axes.
        query: ``(N, heads, T, D)`` or ``(N, T, heads D)``.
        key: ``(N, heads, S, D)`` or ``(N, S, heads D)``; it may have fewer heads, each of which serves several queries.
        value: like the key.
        mask: what may be attended, or what is added to the scores; it broadcasts to ``(N, heads, T, S)``.
        past_key: keys before, ``(N, heads, P, D)``.
        past_value: values before.
        ends: the number of keys of each image, ``(N,)``.

    Returns:
        The result like the query, all keys and values, and the scores at a point that ``qk_matmul_output_mode`` names.
    """
    query, key, value = tensor(query), tensor(key), tensor(value)
    flat, kind = rank(query) == 3, query.dtype
    if flat:
        query = heads(query, node.get("q_num_heads"))
        key, value = (heads(one, node.get("kv_num_heads")) for one in (key, value))
    if past_key is not None:
        key, value = tf.concat([tensor(past_key), key], 2), tf.concat([tensor(past_value), value], 2)
    present, groups = (key, value), query.shape[1] // key.shape[1]
    if groups > 1:
        key, value = tf.repeat(key, groups, 1), tf.repeat(value, groups, 1)
    root = tf.cast(sqrt(node.get("scale") or 1 / sqrt(query.shape[-1])), kind)
    scores = tf.matmul(query * root, key * root, transpose_b=True)
    shown = [scores]
    if node.get("softcap", 0.0):
        scores = node.get("softcap") * tf.tanh(scores / node.get("softcap"))
    bias = bias_of(node, scores, mask, past_key, ends)
    shown += [scores, scores if bias is None else scores + bias]
    wide = typed(node.get("softmax_precision")) if node.get("softmax_precision") else kind
    shares = tf.cast(probabilities(tf.cast(scores, wide), bias), kind)
    found = tf.matmul(shares, value)
    shown.append(shares)
    return joined(found) if flat else found, *present, shown[node.get("qk_matmul_output_mode", 0)]


def bias_of(node: Node, scores: Any, mask: Any, past: Any, ends: Any) -> Any:
    """Return what is added to the scores: 0 where a query may attend, minus infinity elsewhere; None for no limit."""
    kind, sides = scores.dtype, tf.shape(scores)
    queries, keys = sides[2], sides[3]
    parts = []
    if mask is not None:
        mask = tensor(mask)
        mask = added(mask, kind) if mask.dtype == tf.bool else mask
        gap = keys - tf.shape(mask)[-1]
        parts.append(tf.pad(mask, [*[[0, 0]] * (rank(mask) - 1), [0, gap]], constant_values=tf.constant(-np.inf, kind)))
    offset: Any = tf.constant(0)
    if past is not None:
        offset = tf.shape(tensor(past))[2]
    elif ends is not None:
        offset = tf.cast(tensor(ends), tf.int32) - queries
    before, after = node.get("left_window_size", -1), node.get("right_window_size", -1)
    if node.get("is_causal", 0):
        after = 0
    if before >= 0 or after >= 0:
        parts.append(added(visible(queries, keys, offset, before, after), kind))
    if ends is not None:
        inside = tf.range(keys) < tf.cast(tensor(ends), tf.int32)[:, None]
        parts.append(added(inside, kind)[:, None, None, :])
    found = None
    for part in parts:
        found = part if found is None else found + part
    return found


@operation("RotaryEmbedding")
def rotary_embedding(node: Node, x: Any, cosines: Any, sines: Any, positions: Any = None) -> Any:
    """Return embeddings whose pairs of numbers are rotated by their positions (Su et al., 2021, arXiv:2104.09864).

    Args:
        node: ``interleaved``, ``rotary_embedding_dim`` and ``num_heads``.
        x: ``(N, heads, T, D)`` or ``(N, T, heads D)``.
        cosines: of each position, ``(positions, D / 2)``, or of each place, ``(N, T, D / 2)``.
        sines: like the cosines.
        positions: of each place, ``(N, T)``.
    """
    x, cosines, sines = tensor(x), tensor(cosines), tensor(sines)
    flat = rank(x) == 3
    parts = heads(x, node.get("num_heads")) if flat else x
    if positions is not None:
        cosines, sines = tf.gather(cosines, tensor(positions)), tf.gather(sines, tensor(positions))
    cosines, sines = cosines[:, None], sines[:, None]
    width = node.get("rotary_embedding_dim", 0) or lengths(parts)[-1]
    turned, rest = parts[..., :width], parts[..., width:]
    if node.get("interleaved", 0):
        one, other = turned[..., ::2], turned[..., 1::2]
    else:
        one, other = tf.split(turned, 2, -1)
    pair = [cosines * one - sines * other, sines * one + cosines * other]
    turned = tf.reshape(tf.stack(pair, -1), tf.shape(turned)) if node.get("interleaved", 0) else tf.concat(pair, -1)
    found = tf.concat([turned, rest], -1)
    return joined(found) if flat else found
