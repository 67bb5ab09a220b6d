"""Operations that contain graphs: a choice between two, and repetitions of one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from picasso.models.tf.onnx.table import Node, integers, is_integer, lengths, operation, tensor
from picasso.models.tf.runtime import tf
from picasso.models.tf.translation import Untranslatable, known

# A repetition with a known count becomes so many copies of its graph; more of them use a loop of TensorFlow.
COPIES = 512


@operation("If")
def choice(node: Node, condition: Any) -> Any:
    """Return the outputs of the branch that a condition selects; only that branch is translated if it is known."""
    if known(condition):
        return node.subgraph("then_branch" if np.ravel(condition)[0] else "else_branch", ())
    branches = [branch(node, name) for name in ("then_branch", "else_branch")]
    return tuple(tf.cond(tf.reshape(condition, []), *branches))


def branch(node: Node, name: str) -> Callable[[], list[Any]]:
    """Return a function that translates a branch into a list of tensors."""

    def translated() -> list[Any]:
        found = node.subgraph(name, ())
        if any(isinstance(one, list) for one in found):
            raise Untranslatable("it chooses between sequences by a condition that depends on the image")
        return [tensor(one) for one in found]

    return translated


@operation("Loop")
def loop(node: Node, count: Any = None, condition: Any = None, *state: Any) -> Any:
    """Repeat a graph; the outputs are its final state, and the values of each step stacked.

    Args:
        node: contains ``body``: step, condition and state become condition, state and values of the step.
        count: the largest number of steps; there is no limit without it.
        condition: whether the first step is taken; always without it.
        state: the values that a step hands to the next.

    Raises:
        Untranslatable: the number of steps depends on the image and a state is a sequence, or no step is taken and the
            values of the steps have no shape.
    """
    if condition is None:
        condition = np.array(True)
    unrolled = unroll(node, count, condition, state)
    return repeated(node, count, condition, state) if unrolled is None else unrolled


def unroll(node: Node, count: Any, condition: Any, state: Sequence[Any]) -> tuple[Any, ...] | None:
    """Return what ``loop`` does, as copies of its graph; None if there are too many, or their number is not known."""
    limit = None if count is None else integers(np.asarray(count), "")[0] if known(count) else COPIES + 1
    if limit is not None and limit > COPIES:
        return None
    values, stacked = list(state), list[list[Any]]()
    for step in range(COPIES + 1):
        if not known(condition):
            return None
        if step == limit or not np.ravel(condition)[0]:
            return finished(node, values, stacked, len(state))
        condition, *rest = node.subgraph("body", (np.array(step, np.int64), np.array(True), *values))
        values = rest[: len(state)]
        stacked.append(rest[len(state) :])
    return None


def finished(node: Node, values: Sequence[Any], stacked: Sequence[Sequence[Any]], states: int) -> tuple[Any, ...]:
    """Return the final state and the stacked values of the steps.

    Raises:
        Untranslatable: no step was taken, so that the lengths of the values are not known.
    """
    if not stacked and node.outputs > states:
        raise Untranslatable("it takes no step, and its outputs have no shape")
    return (*values, *(stack(column) for column in zip(*stacked, strict=True)))


def stack(values: Sequence[Any], axis: int = 0) -> Any:
    """Return the values of all steps along a new axis."""
    return np.stack(values, axis) if known(*values) else tf.stack([tensor(one) for one in values], axis)


def repeated(node: Node, count: Any, condition: Any, state: Sequence[Any]) -> tuple[Any, ...]:
    """Return what ``loop`` does, with a loop of TensorFlow, because the number of steps is not known."""
    if any(isinstance(one, list) for one in state):
        raise Untranslatable("it repeats steps on a sequence, and their number depends on the image")
    limit = tf.constant(np.iinfo(np.int64).max) if count is None else tf.reshape(tf.cast(tensor(count), tf.int64), [])
    first = tuple(tensor(one) for one in state)
    kinds = step_types(node, first)
    arrays = tuple(tf.TensorArray(kind, 0, dynamic_size=True, element_shape=shape) for kind, shape in kinds)

    def going(step: Any, still: Any, values: Any, made: Any) -> Any:
        return tf.logical_and(step < limit, still)

    def body(step: Any, still: Any, values: Any, made: Any) -> Any:
        again, *rest = node.subgraph("body", (step, still, *values))
        after = tuple(tf.cast(tensor(one), old.dtype) for one, old in zip(rest, values, strict=False))
        written = tuple(
            array.write(tf.cast(step, tf.int32), tensor(one))
            for array, one in zip(made, rest[len(first) :], strict=True)
        )
        return step + 1, tf.reshape(tensor(again), []), after, written

    shapes = tuple(loose(one) for one in first)
    start = (tf.constant(0, tf.int64), tf.reshape(tensor(condition), []), first, arrays)
    invariants = (tf.TensorShape([]), tf.TensorShape([]), shapes, tuple(tf.TensorShape(None) for _ in arrays))
    _, _, values, made = tf.while_loop(going, body, start, shape_invariants=invariants)
    return (*values, *(one.stack() for one in made))


def loose(value: Any) -> Any:
    """Return the shape of a value, whose lengths may change from step to step."""
    return tf.TensorShape([None] * value.shape.rank)


def step_types(node: Node, first: Sequence[Any]) -> list[tuple[Any, Any]]:
    """Return the type and the shape of each value that a step adds to the outputs."""

    def once(*values: Any) -> list[Any]:
        found = node.subgraph("body", (tf.constant(0, tf.int64), tf.constant(True), *values))
        return [tensor(one) for one in found[1 + len(first) :]]

    traced = tf.function(once, autograph=False).get_concrete_function(
        *(tf.TensorSpec([None] * one.shape.rank, one.dtype) for one in first)
    )
    return [(one.dtype, one.shape) for one in traced.structured_outputs]


@operation("Scan")
def scan(node: Node, *inputs: Any) -> Any:
    """Apply a graph to each place along an axis of some inputs, with a state that goes from place to place."""
    if node.version < 9:
        return scan_batch(node, *inputs[1:])
    scanned = node.get("num_scan_inputs")
    states = len(inputs) - scanned
    in_axes = node.get("scan_input_axes") or [0] * scanned
    outputs = node.outputs - states
    return scan_along(
        node,
        list(inputs[:states]),
        list(inputs[states:]),
        in_axes,
        node.get("scan_input_directions") or [0] * scanned,
        node.get("scan_output_axes") or [0] * outputs,
        node.get("scan_output_directions") or [0] * outputs,
    )


def scan_batch(node: Node, *inputs: Any) -> Any:
    """Return the result of version 8, which scans each member of a batch for itself."""
    scanned = node.get("num_scan_inputs")
    states = len(inputs) - scanned
    count = lengths(inputs[0])[0]
    if not is_integer(count):
        raise Untranslatable("it scans each image of a batch for itself")
    members = []
    for place in range(count):
        own = [one[place] for one in inputs]
        directions = node.get("directions") or [0] * scanned
        zeros = [0] * (node.outputs - states)
        members.append(scan_along(node, own[:states], own[states:], [0] * scanned, directions, zeros, zeros))
    return tuple(stack(column) for column in zip(*members, strict=True))


def scan_along(
    node: Node,
    state: list[Any],
    scanned: list[Any],
    in_axes: Sequence[int],
    in_directions: Sequence[int],
    out_axes: Sequence[int],
    out_directions: Sequence[int],
) -> tuple[Any, ...]:
    """Return the final state and the stacked values of the steps.

    Raises:
        Untranslatable: the number of steps depends on the image, or is above ``COPIES``.
    """
    count = lengths(scanned[0])[in_axes[0]]
    if not is_integer(count) or count > COPIES:
        raise Untranslatable(f"it takes {count if is_integer(count) else 'an unknown number of'} steps")
    stacked = []
    for step in range(count):
        places = [count - 1 - step if back else step for back in in_directions]
        now = [taken(one, place, axis) for one, place, axis in zip(scanned, places, in_axes, strict=True)]
        found = node.subgraph("body", (*state, *now))
        state, made = list(found[: len(state)]), found[len(state) :]
        stacked.append(made)
    columns = [
        stack(column[::-1] if back else column, axis)
        for column, axis, back in zip(zip(*stacked, strict=True), out_axes, out_directions, strict=True)
    ]
    return (*state, *columns)


def taken(value: Any, place: int, axis: int) -> Any:
    """Return what lies at one place of an axis."""
    return np.take(value, place, axis) if known(value) else tf.gather(value, place, axis=axis)
