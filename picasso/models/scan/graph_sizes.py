"""Check the cost of a TensorFlow graph, as far as it is constant: large tensors, endless recursion and loops."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from picasso.models.scan.findings import Finding, Kind
from picasso.models.scan.graph_operations import RANDOM, VARIABLES
from picasso.models.scan.graph_reading import Function, Graph, Node, Tensor
from picasso.models.scan.limits import Limits
from picasso.models.scan.quoting import shown

MEGABYTE = 1_000_000
# The size of a value in bytes, by the number of its type; for a text, the overhead.
ITEM_BYTES = {
    1: 4, 2: 8, 3: 4, 4: 1, 5: 2, 6: 1, 7: 24, 8: 8, 9: 8, 10: 1, 11: 1, 12: 1, 13: 4, 14: 2, 15: 2, 16: 2, 17: 2,
    18: 16, 19: 2, 22: 4, 23: 8,
}  # fmt: skip
USUAL_BYTES = 4
# Resource handles, and objects (variants) that TensorFlow decodes by functions registered under a name in the file.
OBJECTS = (20, 21)
REFERENCE = 100

# The maximum depth of function calls.
DEEPEST_CALLS = 200
# The maximum distance of a constant in operations, the maximum size of a condition that is analysed, and the maximum
# length of a chain of copies.
STEPS = 6
CONDITION_SIZE = 500
COPIED = 50
# A condition that depends on more arguments is assumed to change.
MAX_NEEDED = 20
COPIES = ("Identity", "Cast", "StopGradient", "Enter")

# The index of the input that determines the size of the output: its shape, or the number of its values.
SIZES = {
    "Fill": 0, "BroadcastTo": 1, "Tile": 1, "ScatterNd": 2, "SparseToDense": 1, "LinSpace": 2, "OneHot": 1,
    "Bincount": 1, "DenseBincount": 1, "UnsortedSegmentSum": 2, "UnsortedSegmentMax": 2, "UnsortedSegmentMin": 2,
    "UnsortedSegmentProd": 2, "TensorListReserve": 1, "TensorArrayV3": 0, "TensorListResize": 1, "CropAndResize": 3,
    "ResizeArea": 1, "ResizeBicubic": 1, "ResizeBilinear": 1, "ResizeNearestNeighbor": 1, "ScaleAndTranslate": 1,
    "ImageProjectiveTransformV2": 2, "ImageProjectiveTransformV3": 2, "ExtractGlimpse": 1, "ExtractGlimpseV2": 1,
    "RandomUniform": 0, "RandomStandardNormal": 0, "RandomUniformInt": 0, "TruncatedNormal": 0, "Multinomial": 1,
    "ParameterizedTruncatedNormal": 0, "RandomGamma": 0, "RandomPoissonV2": 0, "StatelessMultinomial": 1,
    "StatefulStandardNormal": 1, "StatefulStandardNormalV2": 2, "StatefulTruncatedNormal": 2, "StatefulUniform": 2,
    "StatefulUniformFullInt": 2, "StatefulUniformInt": 2, "StatelessRandomUniform": 0, "StatelessRandomNormal": 0,
    "StatelessTruncatedNormal": 0, "StatelessRandomUniformInt": 0, "StatelessRandomUniformFullInt": 0,
    "StatelessRandomUniformV2": 0, "StatelessRandomNormalV2": 0, "StatelessTruncatedNormalV2": 0,
    "StatelessRandomUniformIntV2": 0, "StatelessRandomUniformFullIntV2": 0, "StatelessRandomBinomial": 0,
    "StatelessRandomGammaV2": 0, "StatelessRandomPoisson": 0, "StatelessParameterizedTruncatedNormal": 0,
    "MatrixDiagV2": 2, "MatrixDiagV3": 2, "EmptyTensorList": 1,
}  # fmt: skip
PADDINGS = ("Pad", "PadV2", "SpaceToBatchND")

LOOPS = ("While", "StatelessWhile", "LoopCond")
STATED = ("Placeholder", "VarHandleOp", "VariableV2", "Variable")
COSTLY = {*SIZES, *PADDINGS, *LOOPS, *STATED, "Range"}

ENDLESS = "the condition of its loop never changes, so the loop may never end"

Scope = Mapping[str, Node]


def base(name: str) -> str:
    """Return the name of the operation of an input: ``a`` for ``^a``, ``a:0`` and ``a:output:0``."""
    return name.lstrip("^").partition(":")[0]


def costs(graph: Graph, file_bytes: int, limits: Limits, where: str) -> Iterator[Finding]:
    """Yield findings for everything that makes a graph larger or slower than the limits allow.

    Args:
        graph: the graph with its functions.
        file_bytes: the size of its file.
        limits: the limits.
        where: the end of each place in messages, such as ``", saved_model.pb"``, or "".
    """
    most = limits.megabytes * MEGABYTE
    total = 0
    loops = Loops(graph.functions)
    for nodes, inside in places(graph, where):
        scope = {node.name: node for node in nodes}
        for node in nodes:
            if not (node.tensors or node.operation in COSTLY):
                continue
            sizes = [bytes_of(tensor) for tensor in node.tensors] + [result_bytes(node, scope)]
            total += sum(sizes[:-1])
            if any(size < 0 for tensor in node.tensors for size in tensor.shape or ()):
                yield Finding(Kind.BROKEN, place(node, inside), "a constant has an invalid shape")
            elif max(sizes) > most:
                yield too_large(place(node, inside), max(sizes), limits)
            if node.operation in LOOPS and loops.endless(node, scope):
                yield Finding(Kind.LIMIT, place(node, inside), ENDLESS)
    free = max(limits.free_megabytes * MEGABYTE, limits.ratio * file_bytes)
    if total > min(most, free):
        what = f"its constants take {amount(total)}, and {amount(min(most, free))} are allowed"
        yield Finding(Kind.LIMIT, f"the graph{where}", what)
    yield from calls(graph, limits, where)


def places(graph: Graph, where: str) -> Iterator[tuple[Sequence[Node], str]]:
    """Yield the operations outside functions and those in each function, with the end of their place in messages."""
    yield graph.nodes, where
    for function in graph.functions.values():
        yield function.nodes, f", function {shown(function.name)}{where}"


def place(node: Node, inside: str) -> str:
    """Return the place of an operation for messages."""
    return f"node {shown(node.name)}{inside}"


def too_large(where: str, size: int, limits: Limits) -> Finding:
    """Return the finding for a tensor of ``size`` bytes."""
    return Finding(Kind.LIMIT, where, f"its result takes {amount(size)}, and {limits.megabytes:,} MB are allowed")


def amount(size: int) -> str:
    """Return a number of bytes as text, in MB."""
    return f"{size // MEGABYTE:,} MB" if size < 10**18 else "more memory than is available"


def bytes_of(tensor: Tensor) -> int:
    """Return the size of a constant in memory, in bytes."""
    return math.prod(tensor.shape or ()) * ITEM_BYTES.get(tensor.type, USUAL_BYTES)


def result_bytes(node: Node, scope: Scope) -> int:
    """Return a lower bound of the size of an operation's result, in bytes; 0 if no constant determines it."""
    if node.operation in STATED:
        shape = node.attributes["shape"].shape if "shape" in node.attributes else None
        return math.prod(max(size, 1) for size in shape or ()) * USUAL_BYTES
    if node.operation == "Range":
        start, limit, step = (constant(node, index, scope) for index in range(3))
        if start and limit and step and step[0]:
            return max(0, math.ceil((limit[0] - start[0]) / step[0])) * USUAL_BYTES
        return 0
    if node.operation in PADDINGS:
        sizes = constant(node, 1 if node.operation != "SpaceToBatchND" else 2, scope)
        pairs = zip(sizes[::2], sizes[1::2], strict=False)
        return math.prod(max(1, before + after) for before, after in pairs) * USUAL_BYTES
    if node.operation in SIZES:
        sizes = constant(node, SIZES[node.operation], scope)
        return math.prod(max(size, 1) for size in sizes) * USUAL_BYTES if sizes else 0
    return 0


def constant(node: Node, index: int, scope: Scope, steps: int = STEPS) -> tuple[int, ...]:
    """Return the integers of an input if they are constant; otherwise ()."""
    if index >= len(node.inputs) or not steps:
        return ()
    source = scope.get(base(node.inputs[index]))
    if source is None:
        return ()
    if source.operation == "Const" and "value" in source.attributes:
        tensors = source.attributes["value"].tensors
        return filled(tensors[0]) if tensors else ()
    if source.operation in COPIES:
        return constant(source, 0, scope, steps - 1)
    if source.operation in ("Pack", "ConcatV2"):
        parts = [constant(source, number, scope, steps - 1) for number in range(len(source.inputs))]
        parts = parts[: -1 if source.operation == "ConcatV2" else None]
        # An unknown part, such as the batch size, counts as 1.
        return tuple(value for part in parts for value in part or (1,)) if any(parts) else ()
    return ()


def filled(tensor: Tensor) -> tuple[int, ...]:
    """Return the values of a constant; the last stored value is repeated for all omitted ones."""
    count = math.prod(tensor.shape or ())
    if not tensor.values or count > 64:
        return ()
    return tensor.values + tensor.values[-1:] * (count - len(tensor.values))


# ---- loops and calls -----------------------------------------------------------------------------------------------


class Loops:
    """Detects loops whose condition never changes; the results for functions are cached.

    Args:
        functions: the functions of the graph, by name.
    """

    def __init__(self, functions: Mapping[str, Function]) -> None:
        self._functions = functions
        self._scopes: dict[str, Scope] = {}
        self._needed: dict[str, tuple[int, ...] | None] = {}

    def endless(self, node: Node, scope: Scope) -> bool:
        """Tell whether an operation is a loop whose condition never changes."""
        if node.operation == "LoopCond":
            return unchanged_in_frame(node, scope)
        named = [node.attributes[key].functions for key in ("cond", "body") if key in node.attributes]
        found = [self._functions[names[0]] for names in named if names and names[0] in self._functions]
        if len(found) != 2:
            return False
        condition, body = found
        if condition.name not in self._needed:
            self._needed[condition.name] = needed_by(condition, self._scope(condition))
        needed, scope = self._needed[condition.name], self._scope(body)
        return needed is not None and all(kept(body, position, scope) for position in needed)

    def _scope(self, function: Function) -> Scope:
        if function.name not in self._scopes:
            self._scopes[function.name] = {node.name: node for node in function.nodes}
        return self._scopes[function.name]


def needed_by(condition: Function, scope: Scope) -> tuple[int, ...] | None:
    """Return the positions of the arguments that a condition depends on; None if it may change without them."""
    answer = condition.returns.get(condition.outputs[0], "") if condition.outputs else ""
    positions = {name: position for position, name in enumerate(condition.arguments)}
    waiting, seen, needed = [base(answer)], set[str](), []
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        if name in scope:
            if scope[name].operation in CHANGING or len(seen) > CONDITION_SIZE:
                return None
            waiting += map(base, scope[name].inputs)
        elif name in positions:
            needed.append(positions[name])
    return tuple(needed) if len(needed) <= MAX_NEEDED else None


def kept(body: Function, position: int, scope: Scope) -> bool:
    """Tell whether the body of a loop returns an argument unchanged."""
    if position >= min(len(body.outputs), len(body.arguments)):
        return False
    return origin(base(body.returns.get(body.outputs[position], "")), scope) == body.arguments[position]


# Operations whose value may differ in each evaluation.
CHANGING = frozenset(" ".join((RANDOM, VARIABLES)).split())


def origin(name: str, scope: Scope) -> str:
    """Return the name of the original of a value that is only copied."""
    for _ in range(COPIED):
        node = scope.get(name)
        if node is None or node.operation != "Identity" or not node.inputs:
            break
        name = base(node.inputs[0])
    return name


def unchanged_in_frame(condition: Node, scope: Scope) -> bool:
    """Tell whether the condition of a TensorFlow 1 loop depends on nothing that changes between iterations."""
    waiting, seen = [base(name) for name in condition.inputs], set[str]()
    while waiting:
        name = waiting.pop()
        node = scope.get(name)
        if name in seen or node is None:
            continue
        seen.add(name)
        if node.operation in CHANGING or len(seen) > CONDITION_SIZE:
            return False
        if node.operation in ("Merge", "RefMerge"):
            if not handed_on(node, scope):
                return False
        else:
            waiting += map(base, node.inputs)
    return True


def handed_on(merge: Node, scope: Scope) -> bool:
    """Tell whether a variable of a TensorFlow 1 loop has the same value in the next iteration."""
    for name in merge.inputs:
        node = scope.get(base(name))
        if node is None or node.operation not in ("NextIteration", "RefNextIteration") or not node.inputs:
            continue
        source = scope.get(origin(base(node.inputs[0]), scope))
        if source is None or source.operation not in ("Switch", "RefSwitch") or not source.inputs:
            return False
        return origin(base(source.inputs[0]), scope) == merge.name
    return True


def called(node: Node, functions: Mapping[str, Function]) -> tuple[str, ...]:
    """Return the names of the functions that an operation may call."""
    return (*node.functions, node.operation) if node.operation in functions else node.functions


def calls(graph: Graph, limits: Limits, where: str) -> Iterator[Finding]:
    """Yield findings for recursive functions, too deeply nested calls, and too many operations after all calls."""
    sizes: dict[str, int] = {}
    depths: dict[str, int] = {}
    inner = {
        name: [other for node in function.nodes for other in called(node, graph.functions) if other in graph.functions]
        for name, function in graph.functions.items()
    }
    for root in graph.functions:
        stack = [(root, iter(inner[root]))] if root not in sizes else []
        active = {root}
        while stack:
            name, rest = stack[-1]
            following = next((other for other in rest if other not in sizes), None)
            if following in active:
                found = f"function {shown(following)}{where}"
                yield Finding(Kind.LIMIT, found, "it calls itself, so it may never end")
                return
            if following is not None:
                active.add(following)
                stack.append((following, iter(inner[following])))
                continue
            stack.pop()
            active.discard(name)
            sizes[name] = len(graph.functions[name].nodes) + sum(sizes[other] for other in inner[name])
            depths[name] = 1 + max((depths[other] for other in inner[name]), default=0)
            if depths[name] > DEEPEST_CALLS:
                found = f"function {shown(name)}{where}"
                yield Finding(Kind.LIMIT, found, f"its calls are nested more than {DEEPEST_CALLS} deep")
                return
    total = sum(sizes[name] for node in graph.nodes for name in called(node, graph.functions) if name in sizes)
    if total > 10 * limits.members:
        what = f"the nested calls of its functions amount to {total:,} operations"
        yield Finding(Kind.LIMIT, f"the graph{where}", what if total < 10**15 else what.partition(" that they come")[0])
