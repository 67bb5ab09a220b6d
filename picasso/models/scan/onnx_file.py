"""Scan ONNX files: operations on the allow-list, external data only in the model's folder, sizes within the limits."""

from __future__ import annotations

import mmap
import stat
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from picasso.models.scan.findings import Context, Finding, Kind
from picasso.models.scan.limits import TooMuch
from picasso.models.scan.mapping import read_mapped
from picasso.models.scan.onnx_messages import (
    FUNCTION,
    GRAPH,
    MODEL,
    NEWEST_IR,
    OPSET,
    TYPE,
    Attribute,
    Kinds,
    Node,
    Reader,
    Span,
    Tensor,
)
from picasso.models.scan.onnx_operations import ALLOWED, STANDARD
from picasso.models.scan.onnx_sizes import Sizes
from picasso.models.scan.quoting import shown, shown_path
from picasso.models.scan.shapes import product
from picasso.models.scan.wire import BYTES, Broken, signed

# The maximum nesting depth of branches, loops and functions; exporters need three or four levels.
DEEPEST = 16
# The maximum number of iterations of a loop's body, including those of the enclosing loops.
MAX_PASSES = 1_000_000
MAX_PLACE_LENGTH = 200
# The allowed properties of a tensor in an external file.
EXTERNAL = {"location", "offset", "length", "checksum"}
# The prefixes of the domains that belong to ONNX or its runtime.
RUNTIMES = ("ai.onnx.", "com.microsoft", "com.ms.", "org.pytorch.aten")
# The maximum number of fields, per allowed operation.
FIELDS_EACH = 10
# The fields of a TypeProto for tensors, for nested types (with the field of the inner type) and for opaque types.
TENSOR_TYPES, NESTED_TYPES, OPAQUE_TYPE = (1, 8), {4: 1, 5: 2, 9: 1}, 7

Function = tuple[str, str, str]


def scan(path: Path, context: Context) -> Iterator[Finding]:
    """Yield the findings of an ONNX file."""
    yield from read_mapped(path, context, lambda data: Scan(path, data, context).findings())


class Scan:
    """The scan of one file."""

    def __init__(self, path: Path, data: mmap.mmap, context: Context) -> None:
        self._path, self._data, self._limits = path, data, context.limits
        self._reader = Reader(data, self._count)
        self._fields, self._members, self._bytes = 0, 0, 0
        self._functions: dict[Function, Span] = {}
        # The number of calls from each function to each other one, and the number of its own operations.
        self._calls: dict[Function | None, Counter[Function]] = {}
        self._own: Counter[Function | None] = Counter()
        self._here: Function | None = None
        # The current place, for messages about broken files.
        self._place = path.name

    def findings(self) -> Iterator[Finding]:
        """Yield the findings."""
        try:
            yield from self._model((0, len(self._data)))
        except Broken as error:
            yield Finding(Kind.BROKEN, self._place, str(error))
        except TooMuch as error:
            yield Finding(Kind.LIMIT, self._place, str(error))

    # ---- bounds -----------------------------------------------------------------------------------------------

    def _count(self) -> None:
        self._fields += 1
        if self._fields > FIELDS_EACH * self._limits.members:
            raise TooMuch(f"it contains more than {FIELDS_EACH * self._limits.members} entries")

    def _member(self) -> None:
        self._members += 1
        if self._members > self._limits.members:
            raise TooMuch(f"it contains more than {self._limits.members} operations and tensors")

    def _take(self, tensor: Tensor) -> None:
        """Count the memory of a tensor, or raise TooMuch."""
        self._bytes += tensor.bytes
        if self._bytes > self._limits.megabytes * 1_000_000:
            raise TooMuch(
                f"its tensors take {self._bytes / 1e6:.0f} MB and more, and {self._limits.megabytes} MB are allowed"
            )

    # ---- the model --------------------------------------------------------------------------------------------

    def _model(self, span: Span) -> Iterator[Finding]:
        said: dict[int, list[Span]] = {7: [], 8: [], 20: [], 25: []}
        version = 0
        for number, _, start, end in self._reader.fields(span, MODEL):
            if number == 1:
                version = signed(start)
            elif number in said:
                said[number].append((start, end))
        if not said[7] or version < 1:
            raise Broken("it contains no ONNX graph")
        if version > NEWEST_IR:
            raise Broken(f"it has version {version} of the format; Picasso supports versions up to {NEWEST_IR}")
        for one in said[8]:
            list(self._reader.fields(one, OPSET))
        if said[20]:
            yield Finding(Kind.CODE, f"{self._path.name}, training_info", "it contains training graphs")
        for one in said[25]:
            self._declare(one)
        for name, one in self._functions.items():
            self._here = name
            yield from self._function(name, one)
        self._here = None
        yield from self._graph(said[7][0], "", Sizes(), 0, 1)
        self._unfold()

    def _declare(self, span: Span) -> None:
        """Store the name of a function, so that operations may call functions that are defined later."""
        said = {n: self._reader.text(a, b) for n, _, a, b in self._reader.fields(span, FUNCTION) if n in (1, 10, 13)}
        name = (said.get(10, ""), said.get(1, ""), said.get(13, ""))
        if name in self._functions:
            raise Broken(f"it contains the function {shown(name[1])} twice")
        if is_runtimes(name[0]) and name[1] not in ALLOWED.get(name[0], ()):
            # The runtime might run its own operation of this name instead.
            raise Broken(f"the function {shown(name[1])} is in a domain of ONNX or its runtime")
        self._functions[name] = span

    def _function(self, name: Function, span: Span) -> Iterator[Finding]:
        where, sizes = f", function {shown(name[1])}", Sizes()
        for number, _, start, end in self._reader.fields(span, FUNCTION):
            if number == 7:
                yield from self._node((start, end), where, sizes, 0, 1)
            elif number == 11:
                yield from self._attribute_tensors((start, end), where)

    def _attribute_tensors(self, span: Span, where: str) -> Iterator[Finding]:
        """Yield the findings about the default value of a function's attribute."""
        attribute = self._reader.attribute(span)
        if attribute.graphs:
            raise Broken("an attribute of a function has a graph as its default")
        for one in attribute.tensors:
            yield from self._tensor(self._reader.tensor(one), f"attribute {shown(attribute.name)}{where}")

    def _unfold(self) -> None:
        """Raise an error if functions are recursive, too deeply nested, or too large after inlining."""
        total: dict[Function, int] = {}
        depth: dict[Function, int] = {}
        for start in self._functions:
            stack = [(start, iter(self._calls.get(start, ())))]
            under_way = {start}
            while stack:
                name, called = stack[-1]
                following = next((one for one in called if one not in total), None)
                if following is not None:
                    if following in under_way:
                        raise Broken(f"the function {shown(following[1])} calls itself")
                    under_way.add(following)
                    stack.append((following, iter(self._calls.get(following, ()))))
                    continue
                stack.pop()
                under_way.discard(name)
                calls = self._calls.get(name, Counter())
                total[name] = self._own[name] + sum(times * total[one] for one, times in calls.items())
                depth[name] = 1 + max((depth[one] for one in calls), default=0)
        calls = self._calls.get(None, Counter())
        whole = self._own[None] + sum(times * total[one] for one, times in calls.items())
        if max([whole, *total.values()]) > self._limits.members:
            raise TooMuch(f"its functions expand to more than {self._limits.members} operations")
        if max(depth.values(), default=0) > DEEPEST:
            raise Broken(f"its functions are nested in more than {DEEPEST} levels")

    # ---- graphs -----------------------------------------------------------------------------------------------

    def _graph(self, span: Span, where: str, sizes: Sizes, depth: int, passes: int) -> Iterator[Finding]:
        """Yield the findings about a graph: first its constants and inputs, which determine other sizes."""
        if depth > DEEPEST:
            raise Broken(f"its graphs are nested in more than {DEEPEST} levels")
        for number, _, start, end in self._reader.fields(span, GRAPH):
            self._place = f"{self._path.name}{where}"
            if number == 5:
                tensor = self._reader.tensor((start, end))
                sizes.store(tensor.name, tensor)
                yield from self._tensor(tensor, f"initializer {shown(tensor.name)}{where}")
            elif number == 15:
                yield from self._sparse((start, end), f"sparse initializer{where}")
            elif number in (11, 12, 13):
                self._member()
                yield from self._value((start, end), where, sizes if number == 11 else None)
        for number, _, start, end in self._reader.fields(span, GRAPH):
            if number == 1:
                yield from self._node((start, end), where, sizes, depth, passes)

    def _value(self, span: Span, where: str, sizes: Sizes | None) -> Iterator[Finding]:
        """Yield the findings about an input, an output or an intermediate tensor."""
        name, kind = self._reader.value(span)
        place = f"input {shown(name)}{where}" if sizes else f"value {shown(name)}{where}"
        if kind is None:
            return
        for shape in self._types(kind, 0):
            if shape is None:
                yield Finding(Kind.CODE, place, "it has an opaque type, which only custom code can read")
                return
            if sizes:
                sizes.takes(name, shape)
                if product(shape) > self._limits.megabytes * 1_000_000:
                    what = f"it takes {product(shape):.3g} values, and {self._limits.megabytes} MB are allowed"
                    yield Finding(Kind.LIMIT, place, what)

    def _types(self, span: Span, depth: int) -> Iterator[tuple[int, ...] | None]:
        """Yield the shapes of the tensors in a type, and None for each opaque type."""
        if depth > DEEPEST:
            raise Broken(f"its types are nested in more than {DEEPEST} levels")
        for number, _, start, end in self._reader.fields(span, TYPE):
            if number in TENSOR_TYPES:
                yield self._reader.shape((start, end))
            elif number == OPAQUE_TYPE:
                yield None
            elif number in NESTED_TYPES:
                known: Kinds = {1: (BYTES,)} if number != 5 else {1: (0,), 2: (BYTES,)}
                for inner, _, first, last in self._reader.fields((start, end), known):
                    if inner == NESTED_TYPES[number]:
                        yield from self._types((first, last), depth + 1)

    def _node(self, span: Span, where: str, sizes: Sizes, depth: int, passes: int) -> Iterator[Finding]:
        self._member()
        self._place = f"{self._path.name}, operation {self._members}{where}"
        node = self._reader.node(span)
        label = shown(node.name or (node.outputs[0] if node.outputs else ""))
        place = f"node {label} ({shown(node.operation)[1:-1]}){where}"
        self._place = place
        passes, findings = self._judged(node, place, sizes, passes)
        yield from findings
        graphs = []
        for attribute in node.attributes.values():
            yield from self._attribute(attribute, node, place, sizes)
            # The place begins with the innermost branch and is shortened at the end.
            inner = shorten(f", branch {shown(attribute.name)} of {place}")
            graphs += [(inner, one) for one in attribute.graphs]
        values = sizes.follow(node)
        # Assumes four bytes per value. Types with fewer are not computed in large numbers.
        if values * 4 > self._limits.megabytes * 1_000_000:
            what = f"it makes {values:.3g} values, and {self._limits.megabytes} MB are allowed"
            yield Finding(Kind.LIMIT, place, what)
        for inner, one in graphs:
            yield from self._graph(one, inner, Sizes(sizes), depth + 1, passes)

    def _judged(self, node: Node, place: str, sizes: Sizes, passes: int) -> tuple[int, list[Finding]]:
        """Return the number of iterations of the graphs inside an operation, and the findings about the operation."""
        function = self._called(node)
        self._own[self._here] += 1
        if function is not None:
            self._calls.setdefault(self._here, Counter())[function] += 1
            return passes, []
        if node.operation not in ALLOWED.get(node.domain, ()):
            return passes, [Finding(Kind.CODE, place, refused(node))]
        if node.operation != "Loop" or node.domain not in STANDARD:
            return passes, []
        repeats, endless = self._repeats(node, sizes)
        if endless or passes * repeats > MAX_PASSES:
            return passes, [Finding(Kind.CODE, place, f"the loop may run more than {MAX_PASSES:,} times or forever")]
        return passes * repeats, []

    def _attribute(self, attribute: Attribute, node: Node, place: str, sizes: Sizes) -> Iterator[Finding]:
        """Yield the findings about an attribute, except for the graphs in it."""
        where = f"attribute {shown(attribute.name)}, {place}"
        for one in attribute.tensors:
            tensor = self._reader.tensor(one)
            yield from self._tensor(tensor, where)
            if node.operation == "Constant" and node.outputs:
                sizes.store(node.outputs[0], tensor)
        for one in attribute.sparse:
            yield from self._sparse(one, where)
        if any(None in self._types(one, 0) for one in attribute.types):
            yield Finding(Kind.CODE, where, "it uses an opaque type, which only custom code can read")

    def _called(self, node: Node) -> Function | None:
        """Return the function in the file that a node calls, or None for an operation."""
        name = (node.domain, node.operation, node.overload)
        return name if name in self._functions else None

    def _repeats(self, node: Node, sizes: Sizes) -> tuple[int, bool]:
        """Return the number of iterations of a loop, 1 if unknown, and whether it is unbounded."""
        if not node.inputs or not node.inputs[0]:
            return 1, True
        said = sizes.values(node.inputs[0])
        return (max(1, said[0]) if said else 1), False

    # ---- tensors ----------------------------------------------------------------------------------------------

    def _sparse(self, span: Span, where: str) -> Iterator[Finding]:
        tensors, shape = self._reader.sparse(span)
        for one in tensors:
            tensor = self._reader.tensor(one)
            yield from self._tensor(tensor, where)
            # Runtimes convert it to a dense tensor.
            self._take(Tensor("", tensor.type, shape))

    def _tensor(self, tensor: Tensor, where: str) -> Iterator[Finding]:
        self._member()
        self._place = where
        if tensor.external is not None:
            yield from self._external(tensor, tensor.external, where)
        self._take(tensor)

    def _external(self, tensor: Tensor, said: dict[str, str], where: str) -> Iterator[Finding]:
        """Yield the findings about a tensor with values in an external file."""
        if unknown := said.keys() - EXTERNAL:
            yield Finding(Kind.CODE, where, f"its values are stored elsewhere, as {shown(min(unknown))} specifies")
            return
        location = said.get("location", "")
        if (wrong := misplaced(self._path, location)) is not None:
            yield Finding(Kind.CODE, where, f"its values are in {shown_path(location)}, {wrong}")
            return
        size = (self._path.parent / location).stat().st_size
        try:
            offset, length = (int(said.get(key, usual), 10) for key, usual in (("offset", "0"), ("length", "-1")))
        except ValueError:
            raise Broken("the offset or length of its values is not a number") from None
        length = tensor.bytes if length == -1 else length
        if offset < 0 or length != tensor.bytes or offset + length > size or tensor.type not in RAW:
            raise Broken(f"its values are outside {shown(location)}, which has {size} bytes")


# The types whose values can be in an external file.
RAW = frozenset(range(1, 29)) - {8}


def is_runtimes(domain: str) -> bool:
    """Tell whether ONNX or its runtime defines the operations of a domain."""
    return domain in STANDARD or domain.startswith(RUNTIMES)


def shorten(where: str) -> str:
    """Return a place shortened to :data:`MAX_PLACE_LENGTH` characters."""
    return where if len(where) <= MAX_PLACE_LENGTH else f"{where[:MAX_PLACE_LENGTH]}…"


def refused(node: Node) -> str:
    """Return the reason why an operation is rejected."""
    name = shown(node.operation)
    if node.domain in ALLOWED:
        return f"the operation {name} is not among those that Picasso runs untrusted"
    return f"the operation {name} of the domain {shown(node.domain)} is code that is not in the file"


def misplaced(model: Path, location: str) -> str | None:
    """Return the reason why an external file may not be read, or None if it is a regular file in the model's folder.

    Args:
        model: the model's file.
        location: the name of the external file in the model.
    """
    # Path separators of all systems and drives are excluded, so that the name can't lead out of the folder.
    if (
        not location
        or location in (".", "..")
        or any(letter in "/\\:" or not letter.isprintable() for letter in location)
    ):
        return "which is not the name of a file beside the model"
    file = model.parent / location
    try:
        target = file.resolve(strict=True)
        found = target.stat()
    except (OSError, RuntimeError):
        return "which does not exist"
    # The model itself may be a link into a cache that contains the external files.
    if target.parent not in (model.parent.resolve(), model.resolve().parent):
        return "a link to a place outside the model's folder"
    if not stat.S_ISREG(found.st_mode):
        return "which is not a regular file"
    if found.st_nlink > 1:
        return "which is a hard link to another file"
    return None
