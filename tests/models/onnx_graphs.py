"""Small ONNX graphs, and their translation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from picasso.models.tf.onnx.table import tensor
from picasso.models.tf.onnx.translate import translate
from picasso.models.tf.runtime import tf


def one_node(
    kind: str,
    inputs: Sequence[Any],
    attributes: Mapping[str, Any] | None = None,
    *,
    domain: str = "",
    version: int = 20,
    outputs: int = 1,
) -> Any:
    """Return a model of one node, whose inputs are called x0, x1 and so on, and its outputs y0, y1 and so on.

    Inputs that are None are left out.
    """
    from onnx import helper

    names = ["" if one is None else f"x{place}" for place, one in enumerate(inputs)]
    results = [f"y{place}" for place in range(outputs)]
    node = helper.make_node(kind, names, results, domain=domain, **(attributes or {}))
    return graph([node], dict(zip(names, inputs, strict=True)), results, version)


def graph(nodes: Sequence[Any], inputs: Mapping[str, Any], outputs: Sequence[str], version: int = 20) -> Any:
    """Return a model with inputs like those given, by name, and outputs whose types are not stated."""
    from onnx import helper

    given = [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(np.asarray(one).dtype), np.shape(one))
        for name, one in inputs.items()
        if one is not None
    ]
    made = helper.make_graph(nodes, "graph", given, [helper.make_empty_tensor_value_info(name) for name in outputs])
    domains = [helper.make_opsetid("", version), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(made, opset_imports=domains, ir_version=10)


def function_of(model: Any, values: Mapping[str, Any], live: Sequence[str]) -> Callable[..., Any]:
    """Return the outputs of a model as a function of some inputs; the others are known beforehand."""

    def function(*tensors: Any) -> list[Any]:
        found = translate(model, {**values, **dict(zip(live, tensors, strict=True))})
        return [tensor(found[one.name]) for one in model.graph.output]

    traced: Callable[..., Any] = tf.function(function, autograph=False)
    return traced


def outputs_of(model: Any, values: Mapping[str, Any], live: Sequence[str]) -> list[Any]:
    """Return the outputs of a model, of whose inputs some are tensors, and the others are known beforehand."""
    return [one.numpy() for one in function_of(model, values, live)(*(tf.constant(values[name]) for name in live))]


def gradients_of(model: Any, values: Mapping[str, Any], live: Sequence[str], weights: Any) -> list[Any]:
    """Return the gradients of the weighted sum of the first output with respect to some inputs; 0 if there is none."""
    compute = function_of(model, values, live)

    def function(*tensors: Any) -> list[Any]:
        with tf.GradientTape() as tape:
            tape.watch(tensors)
            total = tf.reduce_sum(compute(*tensors)[0] * weights)
        return list(tape.gradient(total, tensors, unconnected_gradients=tf.UnconnectedGradients.ZERO))

    found = tf.function(function, autograph=False)(*(tf.constant(values[name]) for name in live))
    return [tf.convert_to_tensor(one).numpy() for one in found]
