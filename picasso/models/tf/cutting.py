"""Extract functions from a large TensorFlow graph.

TensorFlow's ``WrappedFunction.prune`` copies operations one by one in Python, which takes longer than all other steps
of loading a deep network. Here the operations between two lists of tensors are copied as one GraphDef.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from picasso.models.tf.runtime import tf, tf1

CONVOLUTIONS = {"Conv2D", "Conv3D", "DepthwiseConv2dNative"}
# The name scope of the copied operations, so that their names do not collide with those of the function's inputs.
SCOPE = "cut"


class Cutter:
    """Extracts functions from one graph, which may grow between the calls.

    Args:
        wrapped: the result of ``tf.compat.v1.wrap_function``; a reference keeps its captured variables alive.
    """

    def __init__(self, wrapped: Any) -> None:
        self._wrapped = wrapped
        self._version = -1
        self._definition: Any = None
        self._nodes: dict[str, Any] = {}

    def cut(self, inputs: Sequence[Any], outputs: Sequence[Any]) -> Any:
        """Return the part of the graph between two lists of tensors as a function.

        Args:
            inputs: tensors of the graph that become the arguments.
            outputs: tensors of the graph that depend only on the inputs, constants and captured variables.

        Returns:
            a concrete function that returns a list of tensors, in the order of ``outputs``.
        """
        graph = self._wrapped.graph
        captured = {inner.name: outer for outer, inner in graph.captures}
        fed = [tensor.name for tensor in inputs]
        computed = [tensor for tensor in outputs if tensor.name not in {*fed, *captured}]
        definition, used = self.between({*fed, *captured}, [tensor.op.name for tensor in computed])
        needed = used | {tensor.name for tensor in outputs}

        def build(*given: Any) -> list[Any]:
            into, places = tf1.get_default_graph(), dict(zip(fed, given, strict=True))
            places |= {name: into.capture(captured[name]) for name in needed & captured.keys()}
            mapped = {name: places[name] for name in used}
            wanted = [tensor.name for tensor in computed]
            made = dict(zip(wanted, tf1.import_graph_def(definition, mapped, wanted, name=SCOPE), strict=True))
            return [(places | made)[tensor.name] for tensor in outputs]

        return tf1.wrap_function(build, [tf.TensorSpec(tensor.shape, tensor.dtype) for tensor in inputs])

    def between(self, given: set[str], targets: Sequence[str]) -> tuple[Any, set[str]]:
        """Return a GraphDef of the operations between given tensors and targets, and the given tensors that it uses.

        Args:
            given: the names of tensors whose operations are not copied.
            targets: the names of the target operations.
        """
        graph = self._wrapped.graph
        if graph.version != self._version:
            self._definition, self._version = graph.as_graph_def(), graph.version
            self._nodes = {node.name: node for node in self._definition.node}
        names, waiting, used = set(targets), list(targets), set[str]()
        while waiting:
            for source in self._nodes[waiting.pop()].input:
                tensor = source if ":" in source else f"{source}:0"
                if tensor in given:
                    used.add(tensor)
                elif (name := source.lstrip("^").partition(":")[0]) not in names:
                    names.add(name)
                    waiting.append(name)
        whole = self._definition
        part = tf1.GraphDef(versions=whole.versions, library=whole.library)
        part.node.extend(node for node in whole.node if node.name in names)
        for node in part.node:
            # The attribute may refer to an operation that is not copied. It only colocates operations on a device.
            node.attr.pop("_class", None)
        separate_pads(part)
        return part, used


def separate_pads(definition: Any) -> None:
    """Replace each Pad that is no input of a convolution by PadV2, which computes the same, in a GraphDef.

    TensorFlow fuses a convolution without padding, its bias and the addition of another tensor of the same shape. If a
    Pad computes that tensor, as in residual networks whose shortcuts get channels of 0, the rewriting of graphs for
    oneDNN (in TensorFlow 2.21) takes it for the padding of the image, and the process crashes. It leaves PadV2 alone.
    """
    convolved = {node.input[0].removesuffix(":0") for node in definition.node if node.op in CONVOLUTIONS}
    for node in [one for one in definition.node if one.op == "Pad" and one.name not in convolved]:
        zero = definition.node.add(name=f"{node.name}/picasso_zero", op="Const")
        dtype = node.attr["T"].type
        zero.attr["dtype"].type = dtype
        zero.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(0, dtype, ()))
        node.op = "PadV2"
        node.input.insert(2, zero.name)
