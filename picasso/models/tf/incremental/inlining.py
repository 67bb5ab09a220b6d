"""A graph without calls: the operations of functions in the place where they are called.

Functions that the framework compiles on their own, as Keras does for grouped convolutions, hide their operations. The
definition of the graph is rewritten and imported again; the user's model is neither called again nor changed.
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
    """Return what leads from one tensor of a graph to another, without calls.

    Args:
        graph: a function's graph; what it captured, such as variables, the new one captures too.
        source: the name of the input.
        target: the name of the output.

    Returns:
        the new graph, wrapped as a function, and its two tensors.
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
    """Return what a tensor depends on, with each call of a function in the library replaced by what it does.

    Control dependencies are left out: they only order what has side effects.

    Returns:
        the new definition, and the tensor's name in it.
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
        # A call may come before what it depends on, so names are put right only now.
        inputs = [followed(one, renamed) for one in node.input if not one.startswith("^")]
        del node.input[:]
        node.input.extend(inputs)
        waiting += inputs
    return flat, target


def expanded(node: Any, functions: Mapping[str, Any], renamed: dict[str, str]) -> Iterator[Any]:
    """Yield a node, or the nodes of the function that it calls; note what the outputs of the call are called now."""
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
    """Return what an input inside a function is called outside of it."""
    if name.startswith("^"):
        return name
    operation, _, index = name.partition(":")
    return inside.get(operation, f"{scope}/{operation}:{index or 0}")


def followed(name: str, renamed: Mapping[str, str]) -> str:
    """Return the name of the tensor that stands for another one."""
    full = name if ":" in name else f"{name}:0"
    while full in renamed:
        full = renamed[full] if ":" in renamed[full] else f"{renamed[full]}:0"
    return full
