"""Frozen TensorFlow graphs, whose variables are constants: checks for code, and import."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from picasso import remedies
from picasso.errors import ModelError, reason
from picasso.models.outputs import class_count
from picasso.models.scan.graph_operations import ALLOWED, describe
from picasso.models.tf import variables
from picasso.models.tf.feature_layers import reach, walk
from picasso.models.tf.runtime import convert_to_constants, tf, tf1
from picasso.models.tf.variables import base

# The maximum number of tensors in a message.
MAX_LISTED = 8
PLACEHOLDERS = ("Placeholder", "PlaceholderWithDefault")
# The numbers of the graphs that this process loads.
LOADED = itertools.count(1)


class GraphError(ModelError):
    """TensorFlow can't build a graph."""


def operations_of(definition: Any) -> Iterable[str]:
    """Yield the types of all operations of a GraphDef, including those in its functions."""
    yield from (node.op for node in definition.node)
    for function in definition.library.function:
        yield from (node.op for node in function.node_def)


def pruned(definition: Any, output: str, source: Any = None) -> Any:
    """Return the part of a GraphDef that a tensor depends on, with the called functions and without devices.

    Args:
        definition: the GraphDef, which is modified.
        output: the name of the tensor.
        source: the input tensor of the images; the operations that compute it are left out.
    """
    nodes = {node.name: node for node in definition.node}
    if source is not None and source.op.type not in PLACEHOLDERS and len(source.op.outputs) == 1:
        replaced = nodes[source.op.name]
        replaced.Clear()
        replaced.name, replaced.op = source.op.name, "Placeholder"
        replaced.attr["dtype"].type = source.dtype.as_datatype_enum
        replaced.attr["shape"].shape.CopyFrom(source.shape.as_proto())
    waiting, kept = [base(output)], set[str]()
    while waiting:
        name = waiting.pop()
        if name in nodes and name not in kept:
            kept.add(name)
            waiting += map(base, nodes[name].input)
    result = tf1.GraphDef(versions=definition.versions)
    result.node.extend(node for node in definition.node if node.name in kept)
    functions = {function.signature.name: function for function in definition.library.function}
    nodes_left = list(result.node)
    while nodes_left:
        node = nodes_left.pop()
        for name in (node.op, *(one.name for one in named(node))):
            if (function := functions.pop(name, None)) is not None:
                result.library.function.append(function)
                nodes_left += function.node_def
    tidy(result)
    return result


def side_by_side(definition: Any, tensors: Mapping[str, Any]) -> str:
    """Add operations to a GraphDef that flatten and join several tensors ``(N, ...)``; return the result's name.

    Args:
        definition: the GraphDef, which is modified.
        tensors: the type and shape of each tensor, a ``TensorSpec``, by its name in the GraphDef.
    """
    with tf.Graph().as_default() as graph:
        given = {
            name: tf1.placeholder(one.dtype, one.shape, f"picasso_given_{at}")
            for at, (name, one) in enumerate(tensors.items())
        }
        sizes = [one.shape[1:].num_elements() for one in tensors.values()]
        flat = [
            tf.reshape(tf.cast(tensor, tf.float32), [-1, size])
            for tensor, size in zip(given.values(), sizes, strict=True)
        ]
        joined = tf.concat(flat, 1, name="picasso_outputs")
    placeholders = {tensor.op.name: name for name, tensor in given.items()}
    for node in graph.as_graph_def().node:
        if node.name not in placeholders:
            node.input[:] = [placeholders.get(name, name) for name in node.input]
            definition.node.append(node)
    return str(joined.name)


def tidy(definition: Any) -> None:
    """Give the functions of a GraphDef unique names, and remove devices and execution settings.

    Function names are global in a process, and another model, or the same one loaded again, may use the same names.
    """
    number = next(LOADED)
    renamed = {one.signature.name: f"{one.signature.name}_{number}" for one in definition.library.function}
    for function in definition.library.function:
        function.signature.name = renamed[function.signature.name]
    for node in itertools.chain(definition.node, *(function.node_def for function in definition.library.function)):
        node.device = ""
        node.op = renamed.get(node.op, node.op)
        # Colocated operations may be missing, and custom gradients are registered only in the process that saved it.
        for key in ("_class", "_gradient_op_type", "config", "config_proto", "executor_type"):
            node.attr.pop(key, None)
        for one in named(node):
            one.name = renamed.get(one.name, one.name)


def named(node: Any) -> Iterator[Any]:
    """Yield the references to functions in the attributes of an operation."""
    for value in node.attr.values():
        yield from (one for one in (value.func, *value.list.func) if one.name)


class Values(convert_to_constants._ConverterData):  # type: ignore[misc]
    """The argument of TensorFlow's conversion to constants: a graph, and the values of its variables."""

    def __init__(self, definition: Any, values: Mapping[str, Any]) -> None:
        super().__init__(definition)
        for name, value in values.items():
            kind = tf.as_dtype(value.dtype).as_datatype_enum
            self._tensor_data[name] = convert_to_constants._TensorData(numpy=value, dtype=kind, index=None)


def with_values(
    document: Any, output: str, prefix: Path, label: str, source: Any = None, *, trust: bool = False
) -> Any:
    """Return the part of a MetaGraphDef that a tensor depends on, with its variables replaced by constants.

    Args:
        document: the MetaGraphDef.
        output: the name of the tensor.
        prefix: the common prefix of the checkpoint's files.
        label: the name of the model in error messages.
        source: the input tensor of the images; the operations that compute it are left out.
        trust: if True, the output may depend on any operation.

    Raises:
        ModelError: the tensor depends on a forbidden operation, or a variable has no value.
    """
    definition = pruned(document.graph_def, output, source)
    refuse_dormant(definition, label, trust)
    names = [node.name for node in definition.node if node.op in variables.VARIABLES]
    values = variables.values(document, prefix, names, label)
    return convert_to_constants._replace_variables_by_constants(Values(definition, values))[0]


def refuse_dormant(definition: Any, label: str, trust: bool) -> None:
    """Raise a ModelError if predictions depend on operations that are only allowed in unused parts of a file."""
    functions = {function.signature.name for function in definition.library.function}
    found = sorted(set(operations_of(definition)) - ALLOWED - functions)
    if found and not trust:
        raise ModelError(
            f"{label} was not loaded: {describe(found[0])}, and the output depends on it. "
            f"If you trust the file: {remedies.setting('TRUST_MODEL')}."
        )


def importer(
    definition: Any,
    input_name: str,
    output_name: str,
    label: str,
    input_shape: Sequence[int] | None = None,
    learned: Sequence[int] | None = None,
    constant_feeds: Mapping[str, Any] | None = None,
    trust: bool = False,
) -> Callable[[], tuple[Any, Any]]:
    """Return a function that builds a frozen graph in the default graph and returns its input and output tensors.

    Args:
        definition: a GraphDef without variables.
        input_name: the input tensor of the images, or "" for the only placeholder.
        output_name: the output tensor, or "" for the only final softmax or sigmoid.
        label: the name of the model in error messages.
        input_shape: ``(H, W, C)`` if the user configured it.
        learned: the ``(H, W, C)`` of the arrays from preprocess(); used if neither the user nor the placeholder
            defines the shape.
        constant_feeds: the values of other placeholders, by tensor name.
        trust: if True, the output may depend on any operation.

    Raises:
        GraphError: TensorFlow can't build the graph.
        ModelError: a tensor does not exist, the names can't be guessed, or the output depends on a forbidden operation.
    """
    feeds = dict(constant_feeds or {})
    for node in definition.node:
        if node.op in PLACEHOLDERS and "learning_phase" in node.name:
            feeds.setdefault(f"{node.name}:0", 0)
    with tf.Graph().as_default() as graph:
        try:
            tf1.import_graph_def(definition, name="")
        except Exception as error:
            raise GraphError(f"TensorFlow could not build the graph of {label}: {reason(error)}.") from error
        input_name = input_name or guess_input(graph, feeds, label)
        output_name = output_name or guess_output(graph, label)
        source = find_tensor(graph, "tf_input_var", input_name)
        find_tensor(graph, "tf_predict_var", output_name)
        types = {name: find_tensor(graph, "constant_feeds", name).dtype for name in feeds}
    definition = pruned(definition, output_name, source)
    refuse_dormant(definition, label, trust)
    # Values of placeholders that the output does not depend on are ignored.
    left = {node.name for node in definition.node}
    types = {name: kind for name, kind in types.items() if base(name) in left}

    def build() -> tuple[Any, Any]:
        shape = known_shape(source.shape, input_shape, learned, label)
        images = tf1.placeholder(tf.float32, shape, "picasso_input")
        mapped = {name: tf.cast(value, types[name]) for name, value in feeds.items() if name in types}
        mapped[input_name] = tf.cast(images, source.dtype)
        (output,) = tf1.import_graph_def(definition, input_map=mapped, return_elements=[output_name], name="")
        unfed = sorted(one.name for one in reach(output.op, up=True) if one.type == "Placeholder")
        missing = [f"{name}:0" for name in unfed if name != images.op.name]
        if missing:
            values = remedies.argument("constant_feeds", dict.fromkeys(missing, 1.0))
            raise ModelError(
                f"{label} requires more than an image. Specify a value for {', '.join(missing)}: {values}.",
                field="constant_feeds",
            )
        return images, output

    return build


def known_shape(described: Any, given: Sequence[int] | None, learned: Sequence[int] | None, label: str) -> Any:
    """Return the shape ``[N or None, H, W, C]`` of an input.

    Args:
        described: the shape in the graph.
        given: ``(H, W, C)`` if the user configured it.
        learned: the ``(H, W, C)`` of the arrays from preprocess(), if known.
        label: the name of the model in error messages.

    Raises:
        ModelError: the shape is unknown.
    """
    if given:
        return [None, *given]
    known = described.rank is not None and None not in described.as_list()[1:]
    if learned and not known:
        return [None, *learned]
    if described.rank is None or (described.rank == 4 and not known):
        how = remedies.argument("input_shape", [224, 224, 3])
        raise ModelError(
            f"The input of {label} has no known size. Specify its height, width and channels: {how}; or override "
            "preprocess() in a model class.",
            field="input_shape",
        )
    return described


def find_tensor(graph: Any, key: str, name: str) -> Any:
    """Return a tensor by name, or raise a ModelError that lists likely ones."""
    try:
        return graph.get_tensor_by_name(name)
    except (KeyError, ValueError, TypeError) as error:
        kinds = ("Softmax", "Sigmoid") if key == "tf_predict_var" else PLACEHOLDERS
        tensors = [operation.outputs[0] for operation in graph.get_operations() if operation.type in kinds]
        likely = [tensor.name for tensor in tensors if key != "tf_input_var" or tensor.shape.rank in (None, 4)]
        hint = f"likely ones are {', '.join(likely)}" if likely else "specify it as operation:0"
        raise ModelError(f"{key} = {name!r} is not a tensor of this graph; {hint}.", field=key) from error


def guess_input(graph: Any, feeds: Mapping[str, Any], label: str) -> str:
    """Return the name of the only placeholder that can be the input of images, or raise a ModelError."""
    names = [
        tensor.name
        for operation in graph.get_operations()
        if operation.type == "Placeholder" and (tensor := operation.outputs[0]).name not in feeds
        and tensor.shape.rank in (None, 4)
    ]  # fmt: skip
    return only(names, "tf_input_var", "placeholders", label)


def guess_output(graph: Any, label: str) -> str:
    """Return the name of the only final softmax or sigmoid, or else of the only result, or raise a ModelError.

    A softmax is final if only copies follow. Results are unused tensors that depend on a placeholder for images and
    have the shape of class scores.
    """
    names = [
        operation.outputs[0].name
        for operation in graph.get_operations()
        if operation.type in ("Softmax", "Sigmoid")
        and all(other.type == "Identity" for other in walk(operation, up=False) if other is not operation)
    ]
    if len(names) == 1:
        return str(names[0])
    results = list(results_of(graph))
    if not names and len(results) == 1:
        return str(results[0].name)
    likely = {tensor.name: tensor.shape for tensor in map(graph.get_tensor_by_name, names)}
    likely |= {tensor.name: tensor.shape for tensor in results}
    listed = ", ".join(f"{name} {shape}" for name, shape in itertools.islice(likely.items(), MAX_LISTED)) or "none"
    how = remedies.argument("tf_predict_var", next(iter(likely), "operation:0"))
    raise ModelError(
        f"{label} has no single tensor that could hold the class scores; likely ones are: {listed}. Specify the "
        f"right one: {how}.",
        field="tf_predict_var",
    )


def results_of(graph: Any) -> Iterator[Any]:
    """Yield the unused floating-point tensors that depend on images and have the shape of class scores."""
    placeholders = [one for one in graph.get_operations() if one.type in PLACEHOLDERS]
    images = [one for one in placeholders if one.outputs[0].shape.rank in (None, 4)]
    seen = {operation for image in images for operation in walk(image, up=False)} - set(images)
    for operation in graph.get_operations():
        if operation not in seen or any(tensor.consumers() for tensor in operation.outputs):
            continue
        for tensor in operation.outputs:
            scores = tensor.shape.rank and class_count(tensor.shape.as_list(), None)
            if tensor.dtype.is_floating and scores:
                yield tensor


def only(names: Sequence[str], key: str, what: str, label: str) -> str:
    """Return the only name, or raise a ModelError that asks for a choice."""
    if len(names) == 1:
        return names[0]
    found = f"has {len(names)} {what} ({', '.join(names)})" if names else f"has no {what}"
    how = remedies.argument(key, names[0] if names else "operation:0")
    raise ModelError(f"{label} {found}; specify the right tensor: {how}.", field=key)
