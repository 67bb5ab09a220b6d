"""Read the values of a TensorFlow graph's variables from a checkpoint.

A graph contains operations that restore its variables, and these could do anything. So they are parsed instead of run:
they define the key of each variable in the checkpoint, and a checkpoint reader reads the values by these keys.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from picasso.errors import ModelError
from picasso.models.arrays import Array
from picasso.models.tf.runtime import tf, tf1

VARIABLES = ("VarHandleOp", "Variable", "VariableV2")
ASSIGNING = ("Assign", "AssignVariableOp")
CALLS = ("PartitionedCall", "StatefulPartitionedCall")
# The operations that are allowed between a restored value and its variable.
BETWEEN = ("Identity", "Reshape", "Cast")

Nodes = Mapping[str, Any]


class Source(NamedTuple):
    """The source of a variable's value: its key in the checkpoint, and the part of the tensor, see :func:`part_of`."""

    key: str
    part: str = ""


def values(graph: Any, prefix: Path, names: Collection[str], label: str) -> dict[str, Array]:
    """Return the values of variables by name.

    Args:
        graph: a MetaGraphDef.
        prefix: the common prefix of the checkpoint's files.
        names: the names of the variables' operations.
        label: the name of the model in error messages.

    Raises:
        ModelError: the checkpoint has no index, or no value for one of them.
    """
    if not names:
        return {}
    # Without an index, TensorFlow would look for files of an older format, which are not scanned.
    if not Path(f"{prefix}.index").is_file():
        raise ModelError(
            f"The values of the variables of {label} are missing: there is no {prefix.name}.index; copy the model "
            "again."
        )
    found = sources(graph.graph_def, graph.saver_def.restore_op_name)
    reader = tf1.train.NewCheckpointReader(str(prefix))
    nodes = {node.name: node for node in graph.graph_def.node}
    read = {}
    for name in names:
        shared = nodes[name].attr["shared_name"].s.decode()
        named = (Source(key) for key in (shared, name) if key and reader.has_tensor(key))
        source = found.get(name) or next(named, None)
        if source is None or not reader.has_tensor(source.key):
            raise ModelError(f"The checkpoint of {label} contains no value for the variable {name}.")
        read[name] = part_of(reader.get_tensor(source.key), source.part)
    return read


def part_of(value: Array, part: str) -> Array:
    """Return the part of a tensor that belongs to a partitioned variable.

    Args:
        value: the whole tensor.
        part: the shape of the whole, then ``start,length`` for each axis or ``-`` for all of it, such as
            ``"20 10 0,5:-"``; "" for the whole tensor.
    """
    if not part:
        return value
    spans = part.split()[-1].split(":")
    places = [slice(None) if span == "-" else slice(start := int(span.split(",")[0]), start + int(span.split(",")[1]))
              for span in spans]  # fmt: skip
    return value[tuple(places)]


def sources(definition: Any, operation: str) -> dict[str, Source]:
    """Return the source of each variable's value, according to the operation that restores all variables.

    Args:
        definition: a GraphDef.
        operation: the name of the operation, or "" for none.
    """
    nodes = {node.name: node for node in definition.node}
    functions = {function.signature.name: function for function in definition.library.function}
    found: dict[str, Source] = {}
    waiting, seen = [base(operation)], set[str]()
    while waiting:
        name = waiting.pop()
        if name in seen or name not in nodes:
            continue
        seen.add(name)
        node = nodes[name]
        waiting += map(base, node.input)
        if node.op in ASSIGNING:
            found.update(assigned(node, nodes))
        function = functions.get(node.attr["f"].func.name) if node.op in CALLS else None
        if function is not None:
            inner = {one.name: one for one in function.node_def}
            given = dict(zip((one.name for one in function.signature.input_arg), node.input, strict=False))
            for one in function.node_def:
                if one.op in ASSIGNING:
                    found.update(
                        (base(given[variable]), source)
                        for variable, source in assigned(one, inner)
                        if variable in given
                    )
    return {origin(name, nodes): source for name, source in found.items()}


def assigned(node: Any, nodes: Nodes) -> Iterator[tuple[str, Source]]:
    """Yield the variable that an operation assigns to, with the source of its value, if that is a checkpoint."""
    if len(node.input) < 2:
        return
    restored, source = followed(node.input[1], nodes, BETWEEN)
    if source is None or source.op != "RestoreV2":
        return
    # Outputs are named ``save/RestoreV2:3``, or in a function ``RestoreV2:tensors:3``.
    number = restored.rpartition(":")[2]
    position = int(number) if ":" in restored and number.isdecimal() else 0
    keys, parts = (texts(nodes.get(base(name))) for name in source.input[1:3])
    if position < len(keys):
        part = parts[position] if position < len(parts) else ""
        yield origin(base(node.input[0]), nodes), Source(keys[position], part)


def texts(node: Any) -> list[str]:
    """Return the values of a string constant; [] for other nodes."""
    if node is None or node.op != "Const":
        return []
    return [value.decode("utf-8", "replace") for value in tf.make_ndarray(node.attr["value"].tensor).ravel()]


def origin(name: str, nodes: Nodes) -> str:
    """Return the name of the operation whose result an input refers to, through copies."""
    return base(followed(name, nodes, ("Identity",))[0])


def followed(name: str, nodes: Nodes, between: Collection[str]) -> tuple[str, Any]:
    """Return the tensor at the start of a chain of operations of some kinds, and its operation, if any."""
    seen = set[str]()
    # A file may contain a cycle.
    while (node := nodes.get(base(name))) is not None and node.op in between and node.input and node.name not in seen:
        seen.add(node.name)
        name = node.input[0]
    return name, node


def base(name: str) -> str:
    """Return the name of the operation of an input, without the index of the output."""
    return name.lstrip("^").partition(":")[0]
