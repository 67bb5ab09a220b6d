"""Recurrent layers: the steps of a sequence, one after the other, in one direction or in both."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from picasso.models.tf.onnx.table import Node, is_integer, lengths, operation, tensor
from picasso.models.tf.runtime import tf
from picasso.models.tf.translation import Untranslatable

Activation = Callable[[Any], Any]
# Hands the values of a step, and the state, to the next state.
Cell = Callable[[Any, tuple[Any, ...]], tuple[Any, ...]]

# The functions, and the default values of their parameters alpha and beta.
ACTIVATIONS: dict[str, tuple[Callable[[Any, float, float], Any], float, float]] = {
    "relu": (lambda x, a, b: tf.nn.relu(x), 0, 0),
    "tanh": (lambda x, a, b: tf.tanh(x), 0, 0),
    "sigmoid": (lambda x, a, b: tf.sigmoid(x), 0, 0),
    "affine": (lambda x, a, b: a * x + b, 1, 0),
    "leakyrelu": (lambda x, a, b: tf.where(x >= 0, x, a * x), 0.01, 0),
    "thresholdedrelu": (lambda x, a, b: tf.where(x >= a, x, tf.zeros_like(x)), 1, 0),
    "scaledtanh": (lambda x, a, b: a * tf.tanh(b * x), 1, 1),
    "hardsigmoid": (lambda x, a, b: tf.clip_by_value(a * x + b, 0, 1), 0.2, 0.5),
    "elu": (lambda x, a, b: tf.where(x >= 0, x, a * (tf.exp(tf.minimum(x, 0)) - 1)), 1, 0),
    "softsign": (lambda x, a, b: tf.math.softsign(x), 0, 0),
    "softplus": (lambda x, a, b: tf.math.softplus(x), 0, 0),
}
# Those that take a parameter alpha from the attributes, and those that take beta.
WITH_ALPHA = {"affine", "leakyrelu", "thresholdedrelu", "scaledtanh", "hardsigmoid", "elu"}
WITH_BETA = {"affine", "scaledtanh", "hardsigmoid"}


def activations(node: Node, defaults: Sequence[str], directions: int) -> list[list[Activation]]:
    """Return the functions of each direction, with their parameters and the clipping before them.

    Raises:
        Untranslatable: a function is unknown.
    """
    given = node.get("activations")
    names = [one.decode() for one in given] if given else list(defaults) * directions
    alphas, betas = iter(node.get("activation_alpha") or ()), iter(node.get("activation_beta") or ())
    limit = node.get("clip", 0.0)
    found = []
    for name in names:
        kind = name.lower()
        if kind not in ACTIVATIONS:
            raise Untranslatable(f"it uses the activation {name}")
        function, alpha, beta = ACTIVATIONS[kind]
        alpha = next(alphas, alpha) if kind in WITH_ALPHA else alpha
        beta = next(betas, beta) if kind in WITH_BETA else beta
        found.append(activation(function, alpha, beta, limit))
    each = len(defaults)
    return [found[start : start + each] for start in range(0, len(found), each)]


def activation(function: Callable[[Any, float, float], Any], alpha: float, beta: float, limit: float) -> Activation:
    """Return an activation of numbers that are clipped to ``[-limit, limit]``, or of all for a limit of 0."""
    return lambda x: function(tf.clip_by_value(x, -limit, limit) if limit else x, alpha, beta)


def backwards(node: Node) -> list[bool]:
    """Return whether each direction starts at the end.

    Raises:
        Untranslatable: the direction is unknown.
    """
    try:
        return {"forward": [False], "reverse": [True], "bidirectional": [False, True]}[node.get("direction", "forward")]
    except KeyError:
        raise Untranslatable(f"its direction is {node.get('direction')}") from None


def run(x: Any, cell: Cell, state: tuple[Any, ...], back: bool, ends: Any) -> tuple[Any, tuple[Any, ...]]:
    """Return the first part of the state after each step, ``(T, N, H)``, and the last state.

    Args:
        x: what a cell takes of each step, ``(T, N, ...)``; T must be known.
        cell: computes the next state.
        state: the first state, parts of ``(N, H)``.
        back: whether it starts at the end.
        ends: the length of each sequence, ``(N,)``, after which the state stays and the output is 0; None for all of T.

    Raises:
        Untranslatable: the number of steps depends on the image.
    """
    steps = lengths(x)[0]
    if not is_integer(steps):
        raise Untranslatable("the number of its steps depends on the image")
    if ends is not None and back:
        x = tf.reverse_sequence(x, ends, seq_axis=0, batch_axis=1)
    made = []
    for step in range(steps)[:: -1 if back and ends is None else 1]:
        after = cell(x[step], state)
        if ends is None:
            state = after
            made.append(state[0])
        else:
            inside = (step < ends)[:, None]
            state = tuple(tf.where(inside, new, old) for new, old in zip(after, state, strict=True))
            made.append(tf.where(inside, state[0], tf.zeros_like(state[0])))
    outputs = tf.stack(made[::-1] if back and ends is None else made)
    if ends is not None and back:
        outputs = tf.reverse_sequence(outputs, ends, seq_axis=0, batch_axis=1)
    return outputs, state


def layer(
    node: Node, x: Any, weights: Any, ends: Any, states: Sequence[Any], cells: Callable[[int], tuple[Any, Cell]]
) -> Any:
    """Return all outputs of a recurrent layer.

    Args:
        node: its direction and ``layout``: time first, or the batch first.
        x: ``(T, N, I)``, or ``(N, T, I)``.
        weights: of the recurrence, ``(D, gates H, H)`` for D directions.
        ends: the length of each sequence, or None.
        states: the first states, ``(D, N, H)`` or ``(N, D, H)``, or None for 0.
        cells: returns, for a direction, what to multiply x by and to add, and its cell.

    Returns:
        All outputs, ``(T, D, N, H)`` or ``(N, T, D, H)``, and the last states like the first ones.
    """
    x = tensor(x)
    batch_first = bool(node.get("layout", 0))
    x = tf.transpose(x, [1, 0, 2]) if batch_first else x
    ends = None if ends is None else tf.cast(tensor(ends), tf.int32)
    hidden = tensor(weights).shape[-1]
    given = [None if one is None else tensor(one) for one in states]
    given = [tf.transpose(one, [1, 0, 2]) if one is not None and batch_first else one for one in given]
    sequences, last = [], []
    for direction, back in enumerate(backwards(node)):
        (kernel, shift), cell = cells(direction)
        # The products with x of all steps at once.
        products = tf.tensordot(x, kernel, [[2], [1]]) + shift
        zeros = tf.zeros([tf.shape(x)[1], hidden], x.dtype)
        first = tuple(zeros if one is None else one[direction] for one in given)
        outputs, state = run(products, cell, first, back, ends)
        sequences.append(outputs)
        last.append(state)
    whole = tf.stack(sequences, 1)
    finals = [tf.stack(column) for column in zip(*last, strict=True)]
    if batch_first:
        whole = tf.transpose(whole, [2, 0, 1, 3])
        finals = [tf.transpose(one, [1, 0, 2]) for one in finals]
    return (whole, *finals)


def halves(bias: Any, direction: int, like: Any) -> tuple[Any, Any]:
    """Return the biases of the input and of the recurrence in a direction, 0 if there are none."""
    if bias is None:
        zero = tf.zeros([like.shape[1]], like.dtype)
        return zero, zero
    first, second = tf.split(tensor(bias)[direction], 2)
    return first, second


@operation("RNN")
def simple(node: Node, x: Any, w: Any, r: Any, bias: Any = None, ends: Any = None, first: Any = None) -> Any:
    """Return a layer of ``h = f(x W + h R + b)``."""
    w, r = tensor(w), tensor(r)
    functions = activations(node, ["Tanh"], len(backwards(node)))

    def cells(direction: int) -> tuple[Any, Cell]:
        (f,) = functions[direction]
        own = r[direction]

        def cell(product: Any, state: tuple[Any, ...]) -> tuple[Any, ...]:
            return (f(product + tf.matmul(state[0], own, transpose_b=True)),)

        return (w[direction], tf.add(*halves(bias, direction, w))), cell

    return layer(node, x, r, ends, [first], cells)


@operation("GRU")
def gated(node: Node, x: Any, w: Any, r: Any, bias: Any = None, ends: Any = None, first: Any = None) -> Any:
    """Return a layer of gated recurrent units, with the gates update, reset and hidden."""
    w, r = tensor(w), tensor(r)
    functions = activations(node, ["Sigmoid", "Tanh"], len(backwards(node)))
    linear = node.get("linear_before_reset", 0)

    def cells(direction: int) -> tuple[Any, Cell]:
        f, g = functions[direction]
        gates, hidden = tf.split(r[direction], [2 * r.shape[-1], r.shape[-1]])
        of_input, of_recurrence = halves(bias, direction, w)
        to_gates, to_hidden = tf.split(of_recurrence, [2 * r.shape[-1], r.shape[-1]])

        def cell(product: Any, state: tuple[Any, ...]) -> tuple[Any, ...]:
            (h,) = state
            of_gates, of_hidden = tf.split(product, [2 * r.shape[-1], r.shape[-1]], -1)
            update, reset = tf.split(f(of_gates + tf.matmul(h, gates, transpose_b=True) + to_gates), 2, -1)
            if linear:
                new = g(of_hidden + reset * (tf.matmul(h, hidden, transpose_b=True) + to_hidden))
            else:
                new = g(of_hidden + tf.matmul(reset * h, hidden, transpose_b=True) + to_hidden)
            return ((1 - update) * new + update * h,)

        return (w[direction], of_input), cell

    return layer(node, x, r, ends, [first], cells)


@operation("LSTM")
def long_memory(
    node: Node,
    x: Any,
    w: Any,
    r: Any,
    bias: Any = None,
    ends: Any = None,
    first: Any = None,
    first_cell: Any = None,
    peepholes: Any = None,
) -> Any:
    """Return a layer of long short-term memory, with the gates input, output and forget, and the cell."""
    w, r = tensor(w), tensor(r)
    functions = activations(node, ["Sigmoid", "Tanh", "Tanh"], len(backwards(node)))
    coupled = node.get("input_forget", 0)

    def cells(direction: int) -> tuple[Any, Cell]:
        f, g, h = functions[direction]
        own = r[direction]
        views = [0, 0, 0] if peepholes is None else tf.split(tensor(peepholes)[direction], 3)

        def cell(product: Any, state: tuple[Any, ...]) -> tuple[Any, ...]:
            hidden, memory = state
            parts = tf.split(product + tf.matmul(hidden, own, transpose_b=True), 4, -1)
            enter = f(parts[0] + views[0] * memory)
            keep = 1 - enter if coupled else f(parts[2] + views[2] * memory)
            memory = keep * memory + enter * g(parts[3])
            leave = f(parts[1] + views[1] * memory)
            return leave * h(memory), memory

        return (w[direction], tf.add(*halves(bias, direction, w))), cell

    return layer(node, x, r, ends, [first, first_cell], cells)
