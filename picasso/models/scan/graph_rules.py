"""Whether a TensorFlow graph is data: each of its operations is on a list, and what is not is nowhere depended on."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from picasso.models.scan.findings import Finding, Kind
from picasso.models.scan.graph_operations import ALLOWED, DORMANT, FEEDING, TEXT_FILE, describe
from picasso.models.scan.graph_reading import STRING, Function, Graph, Node
from picasso.models.scan.graph_sizes import OBJECTS, REFERENCE, base, called, place, places
from picasso.models.scan.quoting import shown

PLACEHOLDERS = ("Placeholder", "PlaceholderV2", "PlaceholderWithDefault")
ANSWER = "an answer"
WRITING = frozenset({"MergeV2Checkpoints", "Save", "SaveSlices", "SaveV2"})
FOREIGN = "it names a file that is no asset of the model"
MISSING = "it calls the function {}, which the file does not hold"


@dataclass(frozen=True)
class Start:
    """Where something may begin to run.

    Attributes:
        what: in words, such as ``"an answer"``.
        nodes: the names of operations outside of functions.
        functions: the names of functions.
        files: whether tables may be filled from the assets of the model.
        tolerated: operations that may take part, although they have no place in an answer.
    """

    what: str
    nodes: Collection[str] = ()
    functions: Collection[str] = ()
    files: bool = False
    tolerated: frozenset[str] = frozenset()


def judge(graph: Graph, starts: Iterable[Start], where: str, assets: Collection[str] = ()) -> Iterator[Finding]:
    """Yield what a graph must not hold.

    Args:
        graph: with its functions.
        starts: where something may begin to run.
        where: the end of each place, such as ``", saved_model.pb"``, or "".
        assets: the names of the constants that name files of the model's own.
    """
    yield from unknown(graph, where)
    reported: set[str] = set()
    for start in starts:
        for finding, operation in dormant(graph, start, where, assets):
            if operation not in reported:
                reported.add(operation)
                yield finding


def unknown(graph: Graph, where: str) -> Iterator[Finding]:
    """Yield the first place of each operation that is on no list, and objects and names that are none of a model's."""
    seen: set[str] = set()
    for name in graph.functions:
        if name in ALLOWED or name in DORMANT:
            yield Finding(Kind.CODE, f"function {shown(name)}{where}", "it takes the name of an operation")
    for nodes, inside in places(graph, where):
        for node in nodes:
            operation = node.operation
            if operation not in ALLOWED and operation not in seen:
                seen.add(operation)
                if operation not in DORMANT and operation not in graph.functions:
                    yield Finding(Kind.CODE, place(node, inside), describe(plain(operation)))
            if any(tensor.type % REFERENCE in OBJECTS for tensor in node.tensors):
                what = "a constant is no tensor of numbers or texts but an object"
                yield Finding(Kind.CODE, place(node, inside), what)


def dormant(graph: Graph, start: Start, where: str, assets: Collection[str]) -> Iterator[tuple[Finding, str]]:
    """Yield what a start depends on that may only lie in the file, each with the name of the operation."""
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
            what = f"the operation {node.operation} reads a file that is no asset of the model"
        else:
            what = f"{describe(node.operation)}, and {start.what} depends on it"
        yield Finding(Kind.CODE, place(node, inside), what), node.operation
    if start.files:
        yield from foreign_files(graph, start, where, assets)


def given(node: Node, function: Function | None, assets: Collection[str]) -> bool:
    """Tell whether what fills a table takes the name of its file from an asset, or from whoever calls its function.

    What is handed to a function is looked at where it is called.
    """
    named = base(node.inputs[1]) if len(node.inputs) > 1 else ""
    return named in assets if function is None else named in function.arguments


def foreign_files(graph: Graph, start: Start, where: str, assets: Collection[str]) -> Iterator[tuple[Finding, str]]:
    """Yield the texts that are handed to functions which fill tables from files, and that name no asset."""
    filling = fillers(graph)
    scope = {node.name: node for node in graph.nodes} if filling else {}
    for node, function in reached(graph, start) if filling else ():
        if not function and filling.intersection(called(node, graph.functions)):
            for name in map(base, node.inputs):
                source = scope.get(name)
                if source and source.name not in assets and is_text(source):
                    yield Finding(Kind.CODE, place(source, where), FOREIGN), source.name


def foreign_constants(graph: Graph, names: Collection[str], where: str, assets: Collection[str]) -> Iterator[Finding]:
    """Yield the texts that loading hands to functions which fill tables from files, and that name no asset."""
    if not fillers(graph):
        return
    for node in graph.nodes:
        if node.name in names and node.name not in assets and is_text(node):
            yield Finding(Kind.CODE, place(node, where), FOREIGN)


def is_text(node: Node) -> bool:
    """Tell whether an operation is a constant text."""
    return any(tensor.type % REFERENCE == STRING for tensor in node.tensors)


def fillers(graph: Graph) -> set[str]:
    """Return the names of functions that fill tables from files, or call one that does."""
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
    """Yield all operations that a start depends on, each with the name of its function, or ""."""
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
    """Return the operations of which one may be the answer, where no signature says which.

    Those are all that an input flows into, but for what only saves, trains or sums up. Where there is no input, a
    reader names the tensor that takes the images, and what fed it before does not matter.
    """
    following: dict[str, list[Node]] = {}
    for node in graph.nodes:
        for name in node.inputs:
            following.setdefault(base(name), []).append(node)
    # A text is no image: it names the file that a checkpoint is saved to.
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
    """Return the type of a placeholder as a number of TensorFlow, or 0 where it does not say."""
    return node.attributes["dtype"].number if "dtype" in node.attributes else 0


def restoring(operation: str) -> Start:
    """Return the operation that a file names for restoring its variables: it may read, but not write."""
    return Start("restoring", (operation,), tolerated=DORMANT - WRITING)


def plain(operation: str) -> str:
    """Return the name of an operation for a sentence: as it is if it is a name, else in quotation marks."""
    return operation if operation.isidentifier() and len(operation) < 80 else shown(operation)
