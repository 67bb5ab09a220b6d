"""Gradients of functions of a graph's scores: one forward pass, and one backward pass for each function.

The two passes are compiled apart, once each, whatever the number of functions. Between them, the values that the
backward pass needs are kept.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from picasso.models.tf.runtime import gradient_registry, tf, tf1

log = logging.getLogger(__name__)

# Stateful operations whose values are the same each time, unless weights change.
VARIABLES = {"ReadVariableOp", "VarHandleOp", "VarIsInitializedOp", "Variable", "VariableV2"}
# Operations of TensorFlow 1's branches and loops, whose values can't leave the graph.
CONTROL = {"Enter", "Exit", "LoopCond", "Merge", "NextIteration", "RefMerge", "RefSwitch", "Switch"}
# Operations that have a gradient with respect to each of their inputs of real numbers.
SMOOTH = frozenset(
    """
    Add AddN AddV2 AvgPool BatchMatMulV2 BiasAdd Cast ConcatV2 Conv2D DepthwiseConv2dNative Elu Exp ExpandDims
    FusedBatchNormV3 Identity LeakyRelu Log MatMul MaxPool Maximum Mean Minimum MirrorPad Mul Neg Pad PadV2 Pow
    QuantizeAndDequantizeV2 RealDiv
    Relu Relu6 Reshape ResizeBilinear ResizeNearestNeighbor Rsqrt Selu Sigmoid Slice Softmax Softplus Sqrt Square
    SquaredDifference Squeeze StridedSlice Sub Sum Tanh Transpose
    """.split()  # noqa: SIM905
)


class Pass(NamedTuple):
    """What a forward pass leaves behind.

    Attributes:
        value: the value of the tensor with respect to which is differentiated.
        kept: the values that the backward passes need.
    """

    value: Any
    kept: Sequence[Any]


class Backward:
    """The gradients of functions of the scores with respect to one tensor.

    Args:
        cut: returns the part of the graph between two lists of tensors as a compiled function.
        inputs: the input of the graph, ``(N, H, W, C)``.
        scores: the scores, ``(N, S)``.
        tensor: the tensor with respect to which is differentiated, ``(N, ...)``.

    Attributes:
        needed: the tensors whose values make a :class:`Pass`.

    Raises:
        ValueError: the scores do not depend on the tensor in a differentiable way.
    """

    def __init__(
        self, cut: Callable[[Sequence[Any], Sequence[Any]], Any], inputs: Any, scores: Any, tensor: Any
    ) -> None:
        with scores.graph.as_default():
            given = tf1.placeholder(tf.float32, [None, scores.shape[1]])
            try:
                product = tf.gradients(scores, tensor, grad_ys=tf.identity(given))[0]
            except LookupError as error:
                raise ValueError(f"an operation has no gradient: {error}") from error
            if product is None:
                raise ValueError(f"the scores do not depend on {tensor.name}")
            product = tf.convert_to_tensor(product)
        kept = between(inputs.op, given.op, ordered([product.op]))
        # If values can't leave the graph, every backward pass repeats the forward pass.
        kept = [inputs] if kept is None else kept
        self.needed = [tensor, *kept]
        self._forward, self._back = cut([inputs], self.needed), cut([given, *kept], [product])

    def forward(self, inputs: Any) -> Pass:
        """Return what the backward passes of a batch of inputs, ``(n, H, W, C)``, need."""
        value, *kept = self._forward(inputs)
        return Pass(value, kept)

    def back(self, passed: Pass, cotangents: Any) -> Any:
        """Return the gradients ``(n, ...)`` of one function of the scores of each input.

        Args:
            passed: the result of :meth:`forward`.
            cotangents: the gradients of the function with respect to the scores, ``(n, S)``.
        """
        return self._back(cotangents, *passed.kept)[0]


def between(inputs: Any, given: Any, needed: Sequence[Any]) -> list[Any] | None:
    """Return the tensors that a backward pass needs of the forward pass, each once.

    What depends on neither the images nor the cotangents, such as weights, belongs to the backward pass. So do values
    that are computed again when the cotangents are known, to save memory, which control dependencies say.

    Args:
        inputs: the operation of the images.
        given: the operation of the cotangents.
        needed: the operations that the gradient needs, in topological order.

    Returns:
        the tensors, or None if the passes can't be separated.
    """
    # What is drawn at random is drawn once.
    of_images, backward = following([inputs, *drawn(needed)], needed), following([given], needed)
    if any(operation.type in CONTROL for operation in of_images):
        return None
    before = of_images.keys() - backward.keys()
    if any(not before.isdisjoint(operation.control_inputs) for operation in backward):
        return None
    found = {tensor.name: tensor for operation in backward for tensor in operation.inputs}
    return [tensor for tensor in found.values() if tensor.op in before]


def differentiable(source: Any, scores: Any) -> bool:
    """Tell whether scores have a gradient with respect to the input of a graph.

    Building the gradient may take as long as loading the model. It is not necessary if a path of well-known operations
    leads from the input to the scores, and all other operations on real numbers have gradients, too.
    """
    operations = ordered([scores.op])
    reached, doubtful = {source.name} if source.dtype.is_floating else set(), False
    for operation in following([source.op], operations):
        real = {tensor.name for tensor in operation.outputs if tensor.dtype.is_floating}
        if operation.type in SMOOTH and any(tensor.name in reached for tensor in operation.inputs):
            reached |= real
        doubtful |= bool(real) and operation is not source.op and not has_gradient(operation.type)
    if scores.name in reached and not doubtful:
        return True
    try:
        return tf.gradients(scores, source)[0] is not None
    except LookupError:
        log.info("the scores have no gradient, because an operation has none", exc_info=True)
        return False


def has_gradient(kind: str) -> bool:
    """Tell whether a gradient is registered for operations of a kind, even one of 0."""
    try:
        gradient_registry.lookup(kind)
    except LookupError:
        return False
    return True


def before_last_product(source: Any, targets: Sequence[Any]) -> Any:
    """Return the tensor on whose values alone targets depend, and from which the last product of a network is computed.

    Args:
        source: the input of the graph.
        targets: the answers of the network, which depend on it.

    Raises:
        ValueError: there is no such tensor.
    """
    operations = ordered([tensor.op for tensor in targets])
    of_images = following([source.op], operations)
    for product in reversed([one for one in of_images if one.type in ("MatMul", "Conv2D")]):
        (middle,) = {tensor.name: tensor for tensor in product.inputs if tensor.op in of_images}.values()
        others = following([source.op], [one for one in operations if one is not product])
        if middle.op is not source.op and not any(tensor.op in others for tensor in targets):
            return middle
    raise ValueError("the network has no last product")


def drawn(operations: Iterable[Any]) -> list[Any]:
    """Return the operations whose values may differ from call to call, such as random numbers."""
    return [one for one in operations if one.op_def.is_stateful and one.type not in VARIABLES]


def following(first: Iterable[Any], operations: Sequence[Any]) -> dict[Any, None]:
    """Return those of some operations, in topological order, that depend on any of ``first``, and these."""
    found = dict.fromkeys(first)
    for operation in operations:
        if not found.keys().isdisjoint([*(tensor.op for tensor in operation.inputs), *operation.control_inputs]):
            found[operation] = None
    return found


def ordered(operations: Sequence[Any]) -> list[Any]:
    """Return operations and all that they depend on, by tensors or control dependencies, in topological order.

    The order of a graph is that of construction, which differs where inputs of operations were replaced since.
    """
    seen, found = set[Any](), list[Any]()
    for first in operations:
        waiting = [(first, False)]
        while waiting:
            current, complete = waiting.pop()
            if complete:
                found.append(current)
            elif current not in seen:
                seen.add(current)
                sources = [*(tensor.op for tensor in current.inputs), *current.control_inputs]
                waiting += [(current, True), *((one, False) for one in sources if one not in seen)]
    return found
