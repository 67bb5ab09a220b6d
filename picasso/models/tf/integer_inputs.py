"""Bypass the cast of an input to integers, so that there are gradients with respect to the image.

A cast to integers has no gradient. If a graph only moves the integers, or resizes and rounds them, and casts them back
to floats, the same operations are rebuilt for floats, and the consumers of the second cast use those. The values stay
the same: only integers are fed, and rounding is replaced by a straight-through estimator, whose gradient is 1.
"""

from __future__ import annotations

from typing import Any

from picasso.models.tf.feature_layers import reach
from picasso.models.tf.input_values import MOVING, SHAPES, is_shape
from picasso.models.tf.runtime import tf

# Operations whose output is float for any type of input.
TO_FLOATS = {"CropAndResize", "ResizeArea", "ResizeBicubic", "ResizeBilinear", "ScaleAndTranslate"}

# Operations that round or clip floats before a cast to integers.
ROUNDING = {"ClipByValue", "Floor", "Maximum", "Minimum", "Rint", "Round"}


def integer_type(inputs: Any) -> Any:
    """Return the integer type to which a graph immediately casts its input, or None if it works on floats."""
    users = [operation for operation in inputs.consumers() if operation.type not in SHAPES]
    types = {operation.outputs[0].dtype for operation in users if operation.type == "Cast"}
    only_casts = all(operation.type == "Cast" for operation in users)
    return types.pop() if only_casts and len(types) == 1 and all(one.is_integer for one in types) else None


def bypass(inputs: Any) -> None:
    """Connect the float input to the operations on floats, in the default graph, if integers are only moved between.

    Args:
        inputs: the float tensor that is cast to integers.
    """
    downstream = reach(inputs.op, up=False)
    # The float replacements of tensors, and the tensors among them that were rounded.
    floats, rounded = {inputs.ref(): inputs}, set()
    for operation in inputs.graph.get_operations():
        sources = [tensor for tensor in operation.inputs if tensor.op in downstream and not is_shape(tensor)]
        if not sources or not all(tensor.ref() in floats for tensor in sources):
            continue
        source, target = sources[0], operation.outputs[0]
        users = [user for tensor in operation.outputs for user in tensor.consumers()]
        if operation.type in ROUNDING or (operation.type == "Cast" and target.dtype.is_integer):
            floats[target.ref()] = floats[source.ref()]
            if operation.type != "Cast" or source.ref() in rounded:
                rounded.add(target.ref())
        elif operation.type == "Cast" and source.dtype.is_integer and target.dtype.is_floating:
            new = tf.cast(floats[source.ref()], target.dtype)
            redirect(target, new + tf.stop_gradient(target - new) if source.ref() in rounded else new, users)
        elif operation.type in MOVING and source.dtype.is_integer:
            built = again(operation, [floats.get(tensor.ref(), tensor) for tensor in operation.inputs])
            for old, new in zip(operation.outputs, built, strict=True):
                if operation.type in TO_FLOATS:
                    redirect(old, new, users)
                    floats[new.ref()] = new
                    downstream.add(new.op)
                else:
                    floats[old.ref()] = new
                    if source.ref() in rounded:
                        rounded.add(old.ref())


def again(operation: Any, inputs: list[Any]) -> list[Any]:
    """Return the outputs of a copy of an operation on integers, rebuilt for floats."""
    graph, changed = operation.graph, operation.inputs[0].dtype
    attributes = {
        name: type(value)(type=tf.float32.as_datatype_enum) if value.type == changed.as_datatype_enum else value
        for name, value in operation.node_def.attr.items()
        if not name.startswith("_")
    }
    types = [tf.float32 if tensor.dtype == changed else tensor.dtype for tensor in operation.outputs]
    built = graph.create_op(operation.type, inputs, types, attrs=attributes, name=f"{operation.name}_of_floats")
    return list(built.outputs)


def redirect(old: Any, new: Any, users: list[Any]) -> None:
    """Replace a tensor by another in the inputs of operations."""
    for operation in users:
        for index, tensor in enumerate(operation.inputs):
            if tensor is old:
                operation._update_input(index, new)
