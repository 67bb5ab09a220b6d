"""Check the operations of a TensorFlow graph: all are on a list, and predictions depend only on harmless ones."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from picasso.models.scan.findings import Finding, Kind
from picasso.models.scan.graph_operations import ALLOWED, DORMANT, FEEDING, TEXT_FILE, describe
from picasso.models.scan.graph_reading import STRING, Function, Graph, Node
from picasso.models.scan.graph_sizes import OBJECTS, REFERENCE, base, called, place, places
from picasso.models.scan.quoting import shown

PLACEHOLDERS = ("Placeholder", "PlaceholderV2", "PlaceholderWithDefault")
ANSWER = "a prediction"
WRITING = frozenset({"MergeV2Checkpoints", "Save", "SaveSlices", "SaveV2"})
FOREIGN = "it refers to a file that is not an asset of the model"
MISSING = "it calls the function {}, which is not in the file"


@dataclass(frozen=True)
class Start:
    """A set of operations and functions that may be run, with everything that they depend on.

    Attributes:
        what: a description, such as ``"a prediction"``.
        nodes: the names of operations outside functions.
        functions: the names of functions.
        files: True if tables may be filled from the assets of the model.
        tolerated: dormant operations that are allowed here.
    """

    what: str
    nodes: Collection[str] = ()
    functions: Collection[str] = ()
    files: bool = False
    tolerated: frozenset[str] = frozenset()


def judge(graph: Graph, starts: Iterable[Start], where: str, assets: Collection[str] = ()) -> Iterator[Finding]:
    """Yield the findings about a graph's operations.

    Args:
        graph: the graph with its functions.
        starts: the operations and functions that may be run.
        where: the end of each place in messages, such as ``", saved_model.pb"``, or "".
        assets: the names of the constants that contain paths of the model's assets.
    """
    yield from unknown(graph, where)
    reported: set[str] = set()
    for start in starts:
        for finding, operation in dormant(graph, start, where, assets):
            if operation not in reported:
                reported.add(operation)
                yield finding


def unknown(graph: Graph, where: str) -> Iterator[Finding]:
    """Yield a finding for each operation on no list, for each object, and for functions named like operations."""
    seen: set[str] = set()
    for name in graph.functions:
        if name in ALLOWED or name in DORMANT:
            yield Finding(Kind.CODE, f"function {shown(name)}{where}", "it has the name of an operation")
    for nodes, inside in places(graph, where):
        for node in nodes:
            operation = node.operation
            if operation not in ALLOWED and operation not in seen:
                seen.add(operation)
                if operation not in DORMANT and operation not in graph.functions:
                    yield Finding(Kind.CODE, place(node, inside), describe(plain(operation)))
            if any(tensor.type % REFERENCE in OBJECTS for tensor in node.tensors):
                what = "a constant is not a tensor of numbers or strings but an object"
                yield Finding(Kind.CODE, place(node, inside), what)


def dormant(graph: Graph, start: Start, where: str, assets: Collection[str]) -> Iterator[tuple[Finding, str]]:
    """Yield findings for dormant operations that a start depends on, each with the name of the operation."""
    for node, function in reached(graph, start):
        inside = f", function {shown(function)}{where}" if function else where
        for name in node.functions:
            if name not in graph.functions:
                yield Finding(Kind.BROKEN, place(node, inside), MISSING.format(shown(name))), name
        if node.operation not in DORMANT or node.operation in start.tolerated:
            continue
        if node.operation in TEXT_FILE and start.files:
            if given(node, graph.functions.get(function), assets):
                continue
            what = f"the operation {node.operation} reads a file that is not an asset of the model"
        else:
            what = f"{describe(node.operation)}, and {start.what} depends on it"
        yield Finding(Kind.CODE, place(node, inside), what), node.operation
    if start.files:
        yield from foreign_files(graph, start, where, assets)


def given(node: Node, function: Function | None, assets: Collection[str]) -> bool:
    """Tell whether an operation that fills a table reads the path of its file from an asset or a function argument.

    The arguments of functions are checked at their calls.
    """
    named = base(node.inputs[1]) if len(node.inputs) > 1 else ""
    return named in assets if function is None else named in function.arguments


def foreign_files(graph: Graph, start: Start, where: str, assets: Collection[str]) -> Iterator[tuple[Finding, str]]:
    """Yield findings for text arguments of functions that fill tables from files, unless they are assets."""
    filling = fillers(graph)
    scope = {node.name: node for node in graph.nodes} if filling else {}
    for node, function in reached(graph, start) if filling else ():
        if not function and filling.intersection(called(node, graph.functions)):
            for name in map(base, node.inputs):
                source = scope.get(name)
                if source and source.name not in assets and is_text(source):
                    yield Finding(Kind.CODE, place(source, where), FOREIGN), source.name


def foreign_constants(graph: Graph, names: Collection[str], where: str, assets: Collection[str]) -> Iterator[Finding]:
    """Yield findings for text constants that loading passes to such functions, unless they are assets."""
    if not fillers(graph):
        return
    for node in graph.nodes:
        if node.name in names and node.name not in assets and is_text(node):
            yield Finding(Kind.CODE, place(node, where), FOREIGN)


def is_text(node: Node) -> bool:
    """Tell whether an operation has a string constant."""
    return any(tensor.type % REFERENCE == STRING for tensor in node.tensors)


def fillers(graph: Graph) -> set[str]:
    """Return the names of functions that fill tables from files, directly or by calls."""
    callers: dict[str, list[str]] = {}
    waiting: list[str] = []
    for name, function in graph.functions.items():
        for node in function.nodes:
            if node.operation in TEXT_FILE:
                waiting.append(name)
            for other in called(node, graph.functions):
                callers.setdefault(other, []).append(name)
    found: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += callers.get(name, ())
    return found


def reached(graph: Graph, start: Start) -> Iterator[tuple[Node, str]]:
    """Yield all operations that a start depends on, each with the name of its function or ""."""
    scope = {node.name: node for node in graph.nodes}
    waiting, seen = [base(name) for name in start.nodes], set[str]()
    functions = list(start.functions)
    while waiting:
        name = waiting.pop()
        if name in seen or name not in scope:
            continue
        seen.add(name)
        node = scope[name]
        yield node, ""
        waiting += map(base, node.inputs)
        functions += called(node, graph.functions)
    functions += graph.gradients
    entered: set[str] = set()
    while functions:
        name = functions.pop()
        if name in entered or name not in graph.functions:
            continue
        entered.add(name)
        function = graph.functions[name]
        functions += function.functions
        for node in function.nodes:
            yield node, name
            functions += called(node, graph.functions)


def answers(graph: Graph) -> Start:
    """Return the operations that may be the output, for a graph without signatures.

    These are all operations that depend on an input, except for those that only save, train or summarize. If there is
    no input, the user names the input tensor, and the operations that feed it are tolerated.
    """
    following: dict[str, list[Node]] = {}
    for node in graph.nodes:
        for name in node.inputs:
            following.setdefault(base(name), []).append(node)
    # A string placeholder is no image but the path of a checkpoint to save.
    waiting = [node.name for node in graph.nodes if node.operation in PLACEHOLDERS and type_of(node) != STRING]
    seen = set(waiting)
    while waiting:
        for node in following.get(waiting.pop(), ()):
            if node.name not in seen and node.operation not in DORMANT:
                seen.add(node.name)
                waiting.append(node.name)
    if seen:
        return Start(ANSWER, seen)
    nodes = {node.name for node in graph.nodes if node.operation not in DORMANT}
    return Start(ANSWER, nodes, tolerated=frozenset(FEEDING.split()))


def type_of(node: Node) -> int:
    """Return the type of a placeholder as a number of TensorFlow, or 0 if it is not defined."""
    return node.attributes["dtype"].number if "dtype" in node.attributes else 0


def restoring(operation: str) -> Start:
    """Return the operation that a file defines for restoring its variables; it may read files, but not write them."""
    return Start("restoring", (operation,), tolerated=DORMANT - WRITING)


def plain(operation: str) -> str:
    """Return the name of an operation for messages: unchanged if it is a valid identifier, otherwise quoted."""
    return operation if operation.isidentifier() and len(operation) < 80 else shown(operation)
