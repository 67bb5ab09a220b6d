"""A TensorFlow MetaGraphDef, read without TensorFlow: a graph, and what is to be run of it when, by name."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from picasso.models.scan.graph_reading import Budget, Graph, Reader
from picasso.models.scan.wire import BYTES, VARINT, Broken, Data, fields, message, text, varint

META_GRAPH = dict.fromkeys(range(1, 8), BYTES)
# The fields of a SavedObject.
CHILDREN, FUNCTION, BARE_FUNCTION, CONSTANT = (1, 15), 6, 8, 9
# How a resource, such as a table, names the functions that loading it calls.
RESOURCE_FUNCTIONS = frozenset({"_create_resource", "_initialize", "_destroy_resource", "initializer"})


@dataclass
class MetaGraph:
    """What a MetaGraphDef holds.

    Attributes:
        graph: its operations and functions.
        filename: the tensor that takes the prefix of a checkpoint, or "".
        restore: the operation that restores the variables, or "".
        collections: the names that each collection lists.
        signatures: by name, the tensors of the inputs and of the outputs.
        assets: the tensor of each asset with the name of its file.
        loading: the names of functions that loading a TensorFlow 2 model calls.
        bound: the names of operations whose values those functions are given.
        modern: whether there is a graph of objects, as in TensorFlow 2.
    """

    graph: Graph = field(default_factory=Graph)
    filename: str = ""
    restore: str = ""
    collections: dict[str, list[str]] = field(default_factory=dict)
    signatures: dict[str, tuple[list[str], list[str]]] = field(default_factory=dict)
    assets: list[tuple[str, str]] = field(default_factory=list)
    loading: set[str] = field(default_factory=set)
    bound: set[str] = field(default_factory=set)
    modern: bool = False


def read(data: Data, at: int, end: int, members: int) -> MetaGraph:
    """Return the MetaGraphDef between two positions of a file.

    Args:
        data: the file.
        at: where it begins.
        end: where it ends.
        members: the most operations, and the most objects.

    Raises:
        Broken: it is none.
        TooLarge: it has too many operations.
    """
    found, budget = MetaGraph(), Budget(members)
    for number, start, stop in message(data, at, end, META_GRAPH, frozenset({4, 5, 6})):
        if number == 2:
            found.graph = Reader(data, budget).graph(start, stop)
        elif number == 3:
            saver = dict(texts(data, start, stop, (1, 3)))
            found.filename, found.restore = saver.get(1, ""), saver.get(3, "")
        elif number == 4:
            budget.entry()
            name, inner = entry(data, start, stop)
            found.collections[name] = list(listed(data, *inner, budget))
        elif number == 5:
            budget.entry()
            name, inner = entry(data, start, stop)
            found.signatures[name] = signature(data, *inner, budget)
        elif number == 6:
            budget.member()
            found.assets.append(asset(data, start, stop))
        elif number == 7:
            found.modern = True
            objects(data, start, stop, budget, found)
    return found


def texts(data: Data, at: int, end: int, numbers: tuple[int, ...]) -> Iterator[tuple[int, str]]:
    """Yield the fields of a message that are texts, each at most once.

    Raises:
        Broken: one is there twice.
    """
    seen = set()
    for number, kind, start, stop in fields(data, at, end):
        if number in numbers and kind == BYTES:
            if number in seen:
                raise Broken(f"it holds the field with the number {number} twice")
            seen.add(number)
            yield number, text(data, start, stop)


def entry(data: Data, at: int, end: int) -> tuple[str, tuple[int, int]]:
    """Return one entry of a map: its key, and where its value begins and ends."""
    key, value = "", (at, at)
    for number, start, stop in message(data, at, end, {1: BYTES, 2: BYTES}):
        if number == 1:
            key = text(data, start, stop)
        else:
            value = (start, stop)
    return key, value


def listed(data: Data, at: int, end: int, budget: Budget) -> Iterator[str]:
    """Yield the names in a CollectionDef that lists nodes."""
    for number, kind, start, stop in fields(data, at, end):
        if number == 1 and kind == BYTES:
            for inner, wire, first, last in fields(data, start, stop):
                budget.entry()
                if inner == 1 and wire == BYTES:
                    yield text(data, first, last)


def signature(data: Data, at: int, end: int, budget: Budget) -> tuple[list[str], list[str]]:
    """Return the names of the tensors of a SignatureDef: of its inputs, and of its outputs."""
    lists: dict[int, list[str]] = {1: [], 2: []}
    for number, kind, start, stop in fields(data, at, end):
        if number in lists and kind == BYTES:
            budget.entry()
            lists[number] += tensors(data, *entry(data, start, stop)[1])
    return lists[1], lists[2]


def tensors(data: Data, at: int, end: int) -> Iterator[str]:
    """Yield the names of tensors in a TensorInfo, also of sparse ones and of those in parts."""
    for number, kind, start, stop in fields(data, at, end):
        if number == 1 and kind == BYTES:
            yield text(data, start, stop)
        elif number == 4 and kind == BYTES:
            yield from (value for _, value in texts(data, start, stop, (1, 2, 3)))
        elif number == 5 and kind == BYTES:
            for inner, wire, first, last in fields(data, start, stop):
                if inner == 2 and wire == BYTES:
                    yield from (value for _, value in texts(data, first, last, (1,)))


def asset(data: Data, at: int, end: int) -> tuple[str, str]:
    """Return the tensor and the file name in an AssetFileDef."""
    tensor = name = ""
    for number, start, stop in message(data, at, end, {1: BYTES, 2: BYTES}):
        if number == 2:
            name = text(data, start, stop)
        else:
            tensor = next((value for _, value in texts(data, start, stop, (1,))), "")
    return tensor, name


def objects(data: Data, at: int, end: int, budget: Budget, found: MetaGraph) -> None:
    """Find the functions that loading calls in a SavedObjectGraph, and what they are given."""
    nodes: list[Object] = []
    bound: dict[str, list[int]] = {}
    for number, kind, start, stop in fields(data, at, end):
        if number == 1 and kind == BYTES:
            budget.member()
            nodes.append(read_object(data, start, stop))
        elif number == 2 and kind == BYTES:
            name, inner = entry(data, start, stop)
            bound[name] = []
            for one in numbers(data, *inner):
                budget.entry()
                bound[name].append(one)
    called = {child for node in nodes for child in node.called if child < len(nodes)}
    found.loading = {name for child in called for name in nodes[child].functions}
    given = {one for name in found.loading for one in bound.get(name, ()) if one < len(nodes)}
    found.bound = {nodes[one].constant for one in given if nodes[one].constant}


class Object(NamedTuple):
    """An object of a TensorFlow 2 model: its functions, those that loading it calls, and the constant that it is."""

    functions: tuple[str, ...]
    called: tuple[int, ...]
    constant: str


def read_object(data: Data, at: int, end: int) -> Object:
    """Return a SavedObject."""
    functions: list[str] = []
    called: list[int] = []
    constant = ""
    for number, kind, start, stop in fields(data, at, end):
        if kind != BYTES:
            continue
        if number in CHILDREN:
            child, name = reference(data, start, stop)
            called += [child] if name in RESOURCE_FUNCTIONS else []
        elif number in (FUNCTION, BARE_FUNCTION):
            inner = fields(data, start, stop)
            functions += [text(data, first, last) for one, wire, first, last in inner if one == 1 and wire == BYTES]
        elif number == CONSTANT:
            constant = next((value for _, value in texts(data, start, stop, (1,))), "")
    return Object(tuple(functions), tuple(called), constant)


def reference(data: Data, at: int, end: int) -> tuple[int, str]:
    """Return the number of an object and the name by which another refers to it."""
    child, name = 0, ""
    for number, kind, start, stop in fields(data, at, end):
        if number == 1 and kind == VARINT:
            child = start
        elif number == 2 and kind == BYTES:
            name = text(data, start, stop)
    return child, name


def numbers(data: Data, at: int, end: int) -> Iterator[int]:
    """Yield the numbers of the objects whose values a SavedConcreteFunction is given."""
    for number, kind, start, stop in fields(data, at, end):
        if number == 2 and kind == VARINT:
            yield start
        elif number == 2 and kind == BYTES:
            while start < stop:
                value, start = varint(data, start, stop)
                yield value
