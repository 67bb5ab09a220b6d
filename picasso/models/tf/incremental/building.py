"""Rebuild single operations of a graph with other inputs."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from picasso.models.tf.incremental.steps import Unsupported
from picasso.models.tf.runtime import tf

# The maximum size of values that are embedded as constants, so that TensorFlow can simplify ``1 * x``.
SMALL = 1


def builder(operation: Any, values: Mapping[str, Any], index: int = 0) -> Callable[..., Any]:
    """Return a function that rebuilds an operation and returns one of its outputs.

    Its arguments are the inputs that depend on the image, and ``valid=True`` for a convolution or pooling without
    padding.

    Args:
        operation: an operation of any graph.
        values: the values of its inputs that do not depend on the image, by name.
        index: the index of the output.

    Raises:
        Unsupported: TensorFlow has no function for operations of this type.
    """
    function = getattr(tf.raw_ops, operation.type, None)
    if function is None or any(argument.type_list_attr for argument in operation.op_def.input_arg):
        raise Unsupported(f"it has the operation {operation.type}")
    taken = list(inspect.signature(function).parameters)
    attributes = {one.name: operation.get_attr(one.name) for one in operation.op_def.attr if one.name in taken}
    names = [tensor.name for tensor in operation.inputs]
    # The names of some inputs differ in Python: reduction_indices is axis.
    defined = [argument.name for argument in operation.op_def.input_arg]
    renamed = [name for name in taken if name not in (*attributes, *defined, "name")]
    called = {name: name if name in taken else renamed.pop(0) for name in defined}

    known = {name: embedded(values[name]) for name in names if name in values}

    def build(dynamic: Sequence[Any], *, valid: bool = False) -> Any:
        rest, given = iter(dynamic), iter(names)
        arguments: dict[str, Any] = dict(attributes)
        if valid:
            arguments["padding"] = "VALID"
            arguments.pop("explicit_paddings", None)
        for argument in operation.op_def.input_arg:
            count = operation.get_attr(argument.number_attr) if argument.number_attr else 1
            tensors = [known[name] if (name := next(given)) in values else next(rest) for _ in range(count)]
            arguments[called[argument.name]] = tensors if argument.number_attr else tensors[0]
        answer = function(**arguments)
        return answer[index] if isinstance(answer, tuple | list) else answer

    return build


def embedded(value: Any) -> Any:
    """Return values of at most :data:`SMALL` elements as NumPy arrays, and others unchanged."""
    return value.numpy() if value.shape.num_elements() <= SMALL else value
