"""Reading a graph takes as many operations again for each layer that is added: counted, not timed."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from picasso.models.tf.feature_layers import describe, feature_layers
from picasso.models.tf.incremental.steps import Kind, Network, Step

pytestmark = pytest.mark.filterwarnings("ignore")


class Operation:
    """An operation of a graph that counts how often anything is asked of it, its hash included."""

    asked: Counter[str] = Counter()
    _output: Any

    def __init__(self, graph: Graph, kind: str, sources: list[Operation]) -> None:
        self.graph, self.type, self.name = graph, kind, f"layer_{len(graph.operations)}/{kind}"
        self._inputs = [one._output for one in sources]
        self._takers: list[Operation] = []
        shape = SimpleNamespace(rank=4, as_list=lambda: [3, 8, 8, 4])
        number = SimpleNamespace(is_floating=True)
        self.node_def = SimpleNamespace(attr={})
        self._output = SimpleNamespace(
            op=self, value_index=0, shape=shape, dtype=number, consumers=lambda: self._takers
        )
        for one in sources:
            one._takers.append(self)
        graph.operations.append(self)

    def __hash__(self) -> int:
        Operation.asked["hash"] += 1
        return id(self)

    @property
    def inputs(self) -> list[Any]:
        Operation.asked["inputs"] += 1
        return self._inputs

    @property
    def outputs(self) -> list[Any]:
        Operation.asked["outputs"] += 1
        return [self._output]

    def get_attr(self, name: str) -> Any:
        Operation.asked["get_attr"] += 1
        return b"NHWC" if name == "data_format" else [1, 1, 1, 1]


class Graph:
    """Operations in the order in which they were built."""

    def __init__(self) -> None:
        self.operations: list[Operation] = []

    def get_operations(self) -> list[Operation]:
        return list(self.operations)

    def add(self, kind: str, *sources: Operation) -> Operation:
        return Operation(self, kind, list(sources))

    def convolve(self, tensor: Operation) -> Operation:
        return self.add("Conv2D", tensor, self.add("Const"))


def chain(graph: Graph, tensor: Operation, blocks: int) -> Operation:
    for _ in range(blocks):
        tensor = graph.add("Relu", graph.add("BiasAdd", graph.convolve(tensor)))
    return tensor


def pointwise(graph: Graph, tensor: Operation, blocks: int) -> Operation:
    """One layer of many operations, a single tensor of which leads on only at its end."""
    first = graph.convolve(tensor)
    tensor = graph.add("Relu", first)
    for _ in range(blocks):
        tensor = graph.add("Mul", tensor, graph.add("Sigmoid", tensor))
    return graph.add("AddV2", tensor, first)


def nested(graph: Graph, tensor: Operation, blocks: int) -> Operation:
    """A U: what the first layer gives is taken again by the last one, and so on inwards."""
    down = []
    for _ in range(blocks):
        tensor = graph.add("Relu", graph.convolve(tensor))
        down.append(tensor)
    for skipped in reversed(down):
        tensor = graph.add("AddV2", graph.convolve(tensor), skipped)
    return tensor


def dense(graph: Graph, tensor: Operation, blocks: int) -> Operation:
    for _ in range(blocks):
        tensor = graph.add("ConcatV2", tensor, graph.convolve(graph.add("Relu", tensor)))
    return tensor


@pytest.mark.parametrize("build", [chain, pointwise, nested, dense])
def test_finding_layers_is_linear_in_the_graph(build: Callable[[Graph, Operation, int], Operation]) -> None:
    def asked(blocks: int) -> int:
        graph = Graph()
        inputs = graph.add("Placeholder")
        scores = graph.add("Mean", build(graph, inputs, blocks))
        Operation.asked.clear()
        layers = feature_layers(inputs, scores)
        assert len(describe(inputs, layers)) == len(layers) >= 1
        return Operation.asked.total()

    first, second, third = asked(50), asked(100), asked(200)
    # Of a straight line, twice the distance is twice the rise.
    assert third - second <= 2.1 * (second - first)


def calls(function: Callable[[], Any]) -> int:
    """Return how many functions were called, those of the framework included."""
    count = 0

    def note(_: Any, event: str, __: Any) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(note)
    try:
        function()
    finally:
        sys.setprofile(None)
    return count


@pytest.fixture(scope="module")
def keras() -> Iterator[Any]:
    from picasso.models.tf.runtime import keras

    yield keras
    keras.backend.clear_session()


@pytest.mark.slow
@pytest.mark.slow
def test_taking_a_model_is_linear_in_the_graph(keras: Any) -> None:
    """Building the graph, finding logits and layers, and cutting out what answers."""
    from picasso.models.keras import KerasModel

    layers = keras.layers

    def taken(blocks: int) -> int:
        inputs = tensor = keras.Input((8, 8, 3))
        for _ in range(blocks):
            tensor = layers.Concatenate()([tensor, layers.Conv2D(1, 3, padding="same", activation="relu")(tensor)])
        head = layers.Dense(2, activation="softmax")(layers.GlobalAveragePooling2D()(tensor))
        model = KerasModel()
        model.model = keras.Model(inputs, head)
        count = calls(lambda: model.use(Path(__file__)))
        assert len(model.layers()) >= 2 * blocks
        return count

    taken(2)
    first, second, third = taken(4), taken(8), taken(16)
    assert third - second <= 2.3 * (second - first)


def steps(count: int, skip: int) -> Network:
    """Return a row of steps; the last one also takes what the one at ``skip`` gives."""
    made = [
        Step(Kind.WHOLE, f"s{index}", (f"s{index - 1}" if index else "in",), (4,), lambda inputs: inputs[0])
        for index in range(count)
    ]
    made[-1].inputs += (f"s{skip}",)
    return Network(made, "in", made[-1].output, {}, {})


@pytest.mark.parametrize("skip", [0, 3, 7])
def test_the_head_begins_where_one_vector_leads_on(skip: int) -> None:
    network = steps(10, skip)
    for maps, expected in ((0, 1), (skip, skip + 1), (skip + 2, 10)):
        for step in network.steps[:maps]:
            step.shape = (4, 4, 4)
        # In the last case the first vector comes behind what the last step takes again.
        assert network.neck == expected
