"""What the translations of ONNX and TFLite files share."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
from numpy.typing import NDArray

from picasso.models.tf.built_graph import Several
from picasso.models.tf.runtime import tf, tf1

# Weights of more bytes are not constants of the graph, but captured by it.
CAPTURED_BYTES = 1024
# The maximum length of the name of a layer, of which the end is kept.
LONGEST = 100

#: Returns the value of an operation, or those of its outputs, from a node and the values of its inputs.
Operation = Callable[..., Any]


class Untranslatable(Exception):
    """An operation, or one of its attributes, is not supported."""


def known(*values: Any) -> bool:
    """Tell whether all values are known, apart from those that are left out."""
    return all(value is None or isinstance(value, np.ndarray | np.generic) for value in values)


def constant(value: NDArray[Any]) -> Any:
    """Return known numbers as a tensor."""
    if value.nbytes > CAPTURED_BYTES and not tf.executing_eagerly():
        # A large constant in the graph would be copied and looked at for each function that is cut out of it.
        with tf.init_scope():
            return tf.constant(value)
    return tf.convert_to_tensor(value)


def numbered(names: Iterable[str]) -> list[str]:
    """Return the names of the layers of operations, in order.

    A layer that is used again after others gets a number: ``relu``, ``relu_1``.
    """
    found, seen, last = list[str](), dict[str, int](), ""
    for name in names:
        if name != last:
            seen[name] = seen.get(name, -1) + 1
        last = name
        found.append(f"{name}_{seen[name]}" if seen[name] else name)
    return found


def readable(name: str) -> str:
    """Return the name of a layer with only characters that TensorFlow allows in a scope, without slashes."""
    name = re.sub(r"[^A-Za-z0-9_.-]", ".", name)[-LONGEST:]
    return re.sub(r"^[^A-Za-z0-9.]", "x", name or "x")


def registering(table: dict[str, Operation]) -> Callable[..., Callable[[Operation], Operation]]:
    """Return a decorator that registers a function in a table as the translation of operations of some kinds."""

    def operation(*names: str) -> Callable[[Operation], Operation]:
        def register(function: Operation) -> Operation:
            table.update(dict.fromkeys(names, function))
            return function

        return register

    return operation


def scope_of(layer: str) -> AbstractContextManager[Any]:
    """Return the scope of the operations of a layer, which has its name."""
    if tf.executing_eagerly():
        return nullcontext()
    # With the slash, TensorFlow does not number a scope that is opened again. Picasso takes one number from the end of
    # the name, because Keras' layers have one.
    scope: AbstractContextManager[Any] = tf.name_scope(f"{layer}_0/")
    return scope


def called(
    run: Callable[[NDArray[Any]], list[NDArray[Any]]], shape: Sequence[int | None], answers: Mapping[str, NDArray[Any]]
) -> Callable[[], tuple[Any, Any]]:
    """Return a function that builds an operation that calls a function in Python; see :func:`translated`.

    Args:
        run: returns the outputs for images ``(N, H, W, C)``.
        shape: ``(N or None, H, W, C)``.
        answers: the outputs for some images, by name.
    """

    def build() -> tuple[Any, Any]:
        images = tf1.placeholder(tf.float32, shape, "picasso_input")
        kinds = [tf.as_dtype(one.dtype) for one in answers.values()]
        found = tf.numpy_function(run, [images], kinds, stateful=False)
        for one, example in zip(found, answers.values(), strict=True):
            one.set_shape([shape[0], *example.shape[1:]])
        return images, found[0] if len(answers) == 1 else Several.of(dict(zip(answers, found, strict=True)))

    return build
