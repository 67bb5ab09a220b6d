"""Inline the function calls of a graph.

Separately compiled functions, as Keras uses for grouped convolutions, hide their operations. The definition of the
graph is rewritten and imported again; the user's model is neither called again nor changed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from picasso.models.tf.runtime import function_def_to_graph_def, tf, tf1

CALLS = {"PartitionedCall", "StatefulPartitionedCall"}


def has_calls(graph: Any) -> bool:
    """Tell whether a graph calls functions."""
    return any(operation.type in CALLS for operation in graph.get_operations())


def inlined(graph: Any, source: str, target: str) -> tuple[Any, Any, Any]:
    """Return the part of a graph between two tensors, with function calls inlined.

    Args:
        graph: a function's graph; the new graph captures the same tensors, such as variables.
        source: the name of the input.
        target: the name of the output.

    Returns:
        the new graph, wrapped as a function, and its input and output tensors.
    """
    definition, target = without_calls(graph.as_graph_def(), target)
    names = {node.name for node in definition.node}
    found: list[Any] = []

    def build() -> None:
        here = tf1.get_default_graph()
        captured = {inner.name: here.capture(outer) for outer, inner in graph.captures if inner.op.name in names}
        found.extend(tf.graph_util.import_graph_def(definition, captured, [source, target], name=""))

    return tf1.wrap_function(build, []), found[0], found[1]


def without_calls(definition: Any, target: str) -> tuple[Any, str]:
    """Return the GraphDef that a tensor depends on, with each call of a function in the library inlined.

    Control dependencies are dropped: they only order side effects.

    Returns:
        the new GraphDef, and the tensor's name in it.
    """
    functions = {function.signature.name: function for function in definition.library.function}
    nodes: dict[str, Any] = {}
    renamed: dict[str, str] = {}
    for node in definition.node:
        nodes.update((one.name, one) for one in expanded(node, functions, renamed))
    flat = tf1.GraphDef(versions=definition.versions)
    flat.library.CopyFrom(definition.library)
    target = followed(target, renamed)
    waiting, seen = [target], set()
    while waiting:
        name = waiting.pop().split(":")[0]
        if name in seen:
            continue
        seen.add(name)
        node = flat.node.add()
        node.CopyFrom(nodes[name])
        # Names are resolved only now, because a call may precede its inputs in the definition.
        inputs = [followed(one, renamed) for one in node.input if not one.startswith("^")]
        del node.input[:]
        node.input.extend(inputs)
        waiting += inputs
    return flat, target


def expanded(node: Any, functions: Mapping[str, Any], renamed: dict[str, str]) -> Iterator[Any]:
    """Yield a node, or the nodes of the function that it calls, and add the new names of its outputs to ``renamed``."""
    name = node.attr["f"].func.name if node.op in CALLS else ""
    if name not in functions:
        yield node
        return
    body, flat_names = function_def_to_graph_def(functions[name])
    signature = functions[name].signature
    given = [one for one in node.input if not one.startswith("^")]
    inside = {argument.name: one for argument, one in zip(signature.input_arg, given, strict=True)}
    for one in body.node:
        if one.name not in inside:
            inner = type(one)()
            inner.CopyFrom(one)
            inner.name = f"{node.name}/{one.name}"
            del inner.input[:]
            inner.input.extend(placed(known, node.name, inside) for known in one.input)
            yield from expanded(inner, functions, renamed)
    for index, argument in enumerate(signature.output_arg):
        target = flat_names[functions[name].ret[argument.name]]
        renamed[f"{node.name}:{index}"] = placed(target, node.name, inside)


def placed(name: str, scope: str, inside: Mapping[str, str]) -> str:
    """Return the name outside of a function of an input inside it."""
    if name.startswith("^"):
        return name
    operation, _, index = name.partition(":")
    return inside.get(operation, f"{scope}/{operation}:{index or 0}")


def followed(name: str, renamed: Mapping[str, str]) -> str:
    """Return the final name of a tensor after all renamings."""
    full = name if ":" in name else f"{name}:0"
    while full in renamed:
        full = renamed[full] if ":" in renamed[full] else f"{renamed[full]}:0"
    return full
