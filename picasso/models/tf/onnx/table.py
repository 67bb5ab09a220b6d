"""The table of operations: a small function for each kind, which gets its attributes and inputs.

Functions work on the axes of the ONNX graph. An input is a NumPy array if its value is known while the graph is
translated, such as that of a weight or a shape, and a tensor if it depends on the image. Lengths that are not known,
such as that of the batch, are tensors in an array of objects. Functions return a tensor or an array, or a tuple if an
operation has several outputs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from picasso.models.tf.runtime import tf, tf1
from picasso.models.tf.translation import Operation, Untranslatable, constant, known, registering

Attributes = Mapping[str, Any]


def without_graphs(name: str, values: Sequence[Any]) -> tuple[Any, ...]:
    """Refuse to translate the graph in an attribute.

    Raises:
        Untranslatable: always.
    """
    raise Untranslatable(f"the graph {name!r} is not available")


@dataclass(frozen=True)
class Node:
    """What an operation may need besides its inputs.

    Attributes:
        attributes: the attributes of the node.
        version: the version of its operation set.
        outputs: the number of its outputs.
        subgraph: translates the graph in an attribute, for given values of its inputs, into its outputs.
    """

    attributes: Attributes
    version: int
    outputs: int = 1
    subgraph: Callable[[str, Sequence[Any]], tuple[Any, ...]] = without_graphs

    def get(self, name: str, default: Any = None) -> Any:
        """Return an attribute, with strings as text."""
        value = self.attributes.get(name, default)
        return value.decode() if isinstance(value, bytes) else value


OPERATIONS: dict[str, Operation] = {}
operation = registering(OPERATIONS)


class Permuted:
    """A live value whose axes are stored in another order.

    Attributes:
        data: the tensor that is stored.
        order: for each axis of the value, the axis of the tensor.
    """

    def __init__(self, data: Any, order: tuple[int, ...]) -> None:
        self.data, self.order = data, order
        self._plain: tuple[Any, Any] | None = None

    @property
    def dtype(self) -> Any:
        """The type of the numbers."""
        return self.data.dtype

    @property
    def shape(self) -> Any:
        """The lengths of the axes of the value."""
        return tf.TensorShape([self.data.shape[place] for place in self.order])

    def plain(self) -> Any:
        """Return the value as a tensor with its axes in order."""
        graph = tf1.get_default_graph()
        # A tensor in the body of a loop or a condition can't be used outside.
        if self._plain is None or self._plain[0] is not graph:
            self._plain = graph, tf.transpose(self.data, self.order)
        return self._plain[1]


def tensor(value: Any) -> Any:
    """Return a value as a tensor; arrays of lengths become vectors of int64."""
    if isinstance(value, Permuted):
        return value.plain()
    if isinstance(value, np.ndarray) and value.dtype == object:
        if value.ndim == 0:
            return tf.cast(value.item(), tf.int64)
        return tf.reshape(tf.stack([tf.cast(one, tf.int64) for one in value.ravel()]), value.shape)
    return constant(value) if isinstance(value, np.ndarray) else tf.convert_to_tensor(value)


def integers(value: Any, what: str) -> list[int]:
    """Return a known value as a list of integers.

    Raises:
        Untranslatable: it depends on the image.
    """
    if not known(value) or value is None or (value.dtype == object and any(not is_integer(v) for v in value.ravel())):
        raise Untranslatable(f"{what} depends on the image")
    return [int(one) for one in np.ravel(value)]


def is_integer(value: Any) -> bool:
    """Tell whether a length is known."""
    return isinstance(value, int | np.integer)


def rank(value: Any) -> int:
    """Return the number of axes.

    Raises:
        Untranslatable: it is not known.
    """
    found = value.ndim if isinstance(value, np.ndarray | np.generic) else value.shape.rank
    if found is None:
        raise Untranslatable("the number of axes of a tensor depends on the image")
    return int(found)


def lengths(value: Any) -> list[Any]:
    """Return the length of each axis: an integer, or a scalar tensor if it is not known."""
    if isinstance(value, np.ndarray):
        return list(value.shape)
    if isinstance(value, Permuted):
        found = lengths(value.data)
        return [found[place] for place in value.order]
    dynamic: Any = None
    found = []
    for axis, side in enumerate(value.shape.as_list()):
        if side is None and dynamic is None:
            dynamic = tf.shape(value, tf.int64)
        found.append(dynamic[axis] if side is None else side)
    return found


def array_of(values: list[Any]) -> Any:
    """Return lengths as an array of int64, or of objects if some are tensors."""
    if all(is_integer(value) for value in values):
        return np.array(values, np.int64)
    made = np.empty(len(values), object)
    for place, value in enumerate(values):
        made[place] = value
    return made
