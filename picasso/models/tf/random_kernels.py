"""Build a TensorFlow graph once more with kernels that can be replaced by random numbers.

The new graph reads each kernel from a variable of its own, so that the weights of the model are never written to.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from picasso.errors import ModelError
from picasso.models.arrays import Array
from picasso.models.tf.backward import ordered
from picasso.models.tf.feature_layers import reach
from picasso.models.tf.integer_inputs import redirect
from picasso.models.tf.runtime import tf, tf1

# Which inputs of an operation can be a kernel.
KERNELS: Mapping[str, Sequence[int]] = {
    "BatchMatMul": (0, 1),
    "BatchMatMulV2": (0, 1),
    "Conv2D": (1,),
    "Conv2DBackpropInput": (1,),
    "DepthwiseConv2dNative": (1,),
    "Einsum": (0, 1),
    "MatMul": (0, 1),
}


def kernels(image: Any, answered: Any) -> list[Any]:
    """Return the tensors that are kernels of convolutions and dense layers, the one next to the output first.

    A kernel has at least two axes of floating-point numbers, and does not depend on the image.

    Args:
        image: the input tensor of the graph.
        answered: its output tensor.
    """
    downstream, found = reach(image.op, up=False), dict[str, Any]()
    for operation in reversed(ordered([answered.op])):
        for index in KERNELS.get(operation.type, ()) if operation in downstream else ():
            tensor = operation.inputs[index]
            if tensor.dtype.is_floating and (tensor.shape.rank or 0) > 1 and tensor.op not in downstream:
                found.setdefault(tensor.name, tensor)
    return list(found.values())


class RandomKernels:
    """The kernels of a graph in variables of their own.

    Args:
        build: builds the operations of the graph and returns its input and its output.
        values: the values of the kernels by the names of their tensors, the one next to the output first.
        seed: the seed of the random numbers.
    """

    def __init__(self, build: Callable[[], tuple[Any, Any]], values: Mapping[str, Array], seed: int) -> None:
        self._original, self._values, self._seed, self._random = build, values, seed, 0
        self._variables = {name: tf.Variable(value, trainable=False) for name, value in values.items()}

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the kernels, the one next to the output first."""
        return tuple(self._values)

    def build(self) -> tuple[Any, Any]:
        """Build the operations in the default graph, with each kernel read from its variable."""
        image, answered = self._original()
        graph = tf1.get_default_graph()
        for name, variable in self._variables.items():
            try:
                old = graph.get_tensor_by_name(name)
            except (KeyError, ValueError) as error:
                raise ModelError(f"The kernel {name} is missing in a second graph of this model.") from error
            redirect(old, variable.read_value(), old.consumers())
        return image, answered

    def randomize(self, count: int) -> None:
        """Replace the first ``count`` kernels by random numbers, and restore the others.

        The numbers have a normal distribution with mean 0 and the root mean square of the kernel.
        """
        for index, (name, value) in enumerate(self._values.items()):
            if (index < count) == (index < self._random):
                continue
            if index < count:
                drawn = np.random.default_rng([self._seed, index]).standard_normal(value.shape, np.float32)
                value = (drawn * np.sqrt(np.mean(np.square(value, dtype=np.float64)))).astype(value.dtype)
            self._variables[name].assign(value)
        self._random = count
