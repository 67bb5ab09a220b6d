"""Scan TFLite files: all offsets valid, operations on the allow-list, sizes within the limits."""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator
from pathlib import Path

from picasso.models.scan.findings import Context, Finding, Kind
from picasso.models.scan.flatbuffer import Table, root
from picasso.models.scan.limits import TooMuch
from picasso.models.scan.mapping import read_mapped
from picasso.models.scan.quoting import shown
from picasso.models.scan.shapes import product
from picasso.models.scan.tflite_loops import Graph, changing, endless, read
from picasso.models.scan.tflite_operations import ALLOWED, BITS, CUSTOM, LAST_OPTION, NAMES, RUNNING, VECTORS
from picasso.models.scan.tflite_sizes import Tensor, made
from picasso.models.scan.tflite_slots import check
from picasso.models.scan.tflite_values import MAX_VALUES, computed
from picasso.models.scan.wire import Broken

# The last field of each table, as an offset in its vtable.
MODEL, OPERATION_CODE, GRAPH, TENSOR, BUFFER, OPERATION = 22, 10, 14, 24, 8, 30
QUANTIZATION, SPARSITY, DIMENSION, SIGNATURE, TENSOR_MAP, METADATA, VARIANT = 16, 8, 14, 12, 6, 6, 8
DEEPEST = 16
FIELDS_EACH = 20
MAX_SIDES = 32
# The maximum length of the name of a tensor, and how many characters of names count as one entry.
LONGEST_NAME, CHARACTERS = 100_000, 100


def scan(path: Path, context: Context) -> Iterator[Finding]:
    """Yield the findings of a TFLite file."""
    yield from read_mapped(path, context, lambda data: Scan(path, data, context).findings())


class Scan:
    """The scan of one file."""

    def __init__(self, path: Path, data: mmap.mmap, context: Context) -> None:
        self._name, self._data, self._limits = path.name, data, context.limits
        self._counted = self._members = self._bytes = 0
        self._place = path.name
        self._codes: list[int] = []
        # The offset and the size of the values of each buffer, or None for a buffer without values.
        self._buffers: list[tuple[int, int] | None] = []

    def findings(self) -> Iterator[Finding]:
        """Yield the findings."""
        try:
            yield from self._model()
        except Broken as error:
            yield Finding(Kind.BROKEN, self._place, str(error))
        except TooMuch as error:
            yield Finding(Kind.LIMIT, self._place, str(error))

    def _count(self, entries: int) -> None:
        self._counted += entries
        if self._counted > FIELDS_EACH * self._limits.members:
            raise TooMuch(f"it contains more than {FIELDS_EACH * self._limits.members} entries")

    def _member(self) -> None:
        self._members += 1
        if self._members > self._limits.members:
            raise TooMuch(f"it contains more than {self._limits.members} operations and tensors")

    def _allowed(self) -> int:
        return self._limits.megabytes * 1_000_000

    # ---- the model --------------------------------------------------------------------------------------------

    def _model(self) -> Iterator[Finding]:
        model = root(self._data, MODEL, self._count)
        if model.number(4, "<I") != 3:
            raise Broken(f"it has version {model.number(4, '<I')} of the format; Picasso supports version 3")
        for code in model.tables(6, OPERATION_CODE):
            yield from self._operation_code(code)
        if model.span(20, 4) is not None or model.span(22, 4) is not None:
            yield Finding(Kind.CODE, self._name, "the values of its tensors are in other files")
        for buffer in model.tables(12, BUFFER):
            self._member()
            self._buffers.append(self._buffer(buffer))
        self._rest(model)
        graphs = []
        for index, graph in enumerate(model.tables(8, GRAPH)):
            found = Graph(graph.numbers(8, "<i"), graph.numbers(6, "<i"))
            graphs.append(found)
            yield from self._graph(graph, found, f", graph {index}" if index else "")
        if not graphs:
            raise Broken("it contains no graph")
        for one in model.tables(18, SIGNATURE):
            self._signature(one, graphs)
        yield from self._runs(graphs)

    def _rest(self, model: Table) -> None:
        """Check the parts that do not affect the computation, because runtimes follow their offsets too."""
        model.text(10)
        model.numbers(14, "<i")
        for one in model.tables(16, METADATA):
            one.text(4)
            if one.number(6, "<I") >= max(1, len(self._buffers)):
                raise Broken("its metadata refers to a buffer that does not exist")
        for one in model.tables(18, SIGNATURE):
            one.text(8)
            for slot in (4, 6):
                for mapped in one.tables(slot, TENSOR_MAP):
                    mapped.text(4)

    def _signature(self, table: Table, graphs: list[Graph]) -> None:
        """Check the references of a signature."""
        graph = table.number(12, "<I")
        if graph >= len(graphs):
            raise Broken("a signature refers to a graph that does not exist")
        for slot in (4, 6):
            for mapped in table.tables(slot, TENSOR_MAP):
                if mapped.number(6, "<I") >= graphs[graph].tensors:
                    raise Broken("a signature refers to a tensor that does not exist")

    def _operation_code(self, code: Table) -> Iterator[Finding]:
        number = max(code.number(4, "<b"), code.number(10, "<i"))
        self._codes.append(number)
        name = NAMES[number] if 0 <= number < len(NAMES) else ""
        custom = code.text(6)
        if number == CUSTOM:
            kind = "an operation of TensorFlow (Flex)" if custom.startswith("Flex") else "a custom operation"
            yield Finding(Kind.CODE, f"operation {shown(custom)}", f"it is {kind}, code that is not in the file")
        elif name not in ALLOWED:
            label = shown(name or f"number {number}")
            what = f"the operation {label} is not among those that Picasso runs untrusted"
            yield Finding(Kind.CODE, f"operation {label}", what)

    def _buffer(self, buffer: Table) -> tuple[int, int] | None:
        """Return the offset and the size in bytes of the values of a buffer, or None if there are none."""
        found, offset, size = buffer.span(4), buffer.number(6, "<Q"), buffer.number(8, "<Q")
        # In files larger than 2 GB, the values are stored after the tables.
        if offset > 1:
            if offset + size > len(self._data):
                raise Broken("the values of a tensor are outside the file")
            return offset, size
        return found if found and found[1] else None

    # ---- graphs -----------------------------------------------------------------------------------------------

    def _graph(self, graph: Table, found: Graph, where: str) -> Iterator[Finding]:
        tensors: list[Tensor] = []
        graph.text(12)
        for index, one in enumerate(graph.tables(4, TENSOR)):
            self._member()
            self._place = f"tensor {index}{where}"
            tensor, findings = self._tensor(one, self._place)
            tensors.append(tensor)
            yield from findings
        found.tensors = len(tensors)
        self._within((*found.inputs, *found.outputs), tensors, 0)
        if not where and any(not product(tensors[index].shape) for index in found.inputs):
            self._place = self._name
            raise Broken("its input has a side of length 0")
        ready = {index for index, one in enumerate(tensors) if one.constant} | set(found.inputs)
        for index, one in enumerate(graph.tables(10, OPERATION)):
            self._member()
            self._place = f"operation {index}{where}"
            yield from self._operation(one, tensors, found, ready, self._place)

    def _within(self, numbers: tuple[int, ...], tensors: list[Tensor], least: int) -> None:
        if any(not least <= number < len(tensors) for number in numbers):
            raise Broken("it refers to a tensor that does not exist")

    def _tensor(self, table: Table, where: str) -> tuple[Tensor, list[Finding]]:
        """Return the description of a tensor, and the findings about it."""
        shape, kind, buffer = table.numbers(4, "<i"), table.number(6, "<b"), table.number(8, "<I")
        self._named(table)
        if len(shape) > MAX_SIDES or any(side < 0 for side in shape):
            raise Broken("it has an invalid shape")
        if kind not in BITS or buffer >= max(1, len(self._buffers)):
            raise Broken("it has an unknown type, or missing values")
        self._quantization(table.table(12, QUANTIZATION))
        sparse = self._sparsity(table.table(16, SPARSITY))
        for one in table.tables(22, VARIANT):
            one.numbers(4, "<i")
        if len(table.numbers(18, "<i")) > MAX_SIDES:
            raise Broken("it has an invalid shape")
        stored = self._buffers[buffer] if buffer < len(self._buffers) else None
        size = -(-product(shape) * BITS[kind] // 8)
        findings = []
        if table.number(24, "<I"):
            findings.append(Finding(Kind.CODE, where, "its values are in another file"))
        if sparse:
            what = "its values are sparse, with positions that the runtime does not check"
            findings.append(Finding(Kind.CODE, where, what))
        if stored is not None and not sparse and BITS[kind] and stored[1] != size:
            raise Broken(f"its shape requires {size} bytes, and it has {stored[1]}")
        if stored is not None:
            self._bytes += max(size, stored[1])
        if max(size, self._bytes) > self._allowed():
            what = f"it takes {max(size, self._bytes) / 1e6:.0f} MB with those before, and"
            findings.append(Finding(Kind.LIMIT, where, f"{what} {self._limits.megabytes} MB are allowed"))
        # Variables and tensors without values need no operation that computes them.
        constant = stored is not None or bool(table.number(14, "<B")) or not size
        return Tensor(shape, self._values(kind, stored), constant), findings

    def _named(self, table: Table) -> None:
        """Check the name of a tensor."""
        length = (table.span(10) or (0, 0))[1]
        if length > LONGEST_NAME:
            raise TooMuch(f"its name has {length} characters, and {LONGEST_NAME} are allowed")
        # Counted, because many tensors may share one name.
        self._count(length // CHARACTERS)

    def _values(self, kind: int, stored: tuple[int, int] | None) -> tuple[int, ...] | None:
        """Return the values of a constant of few integers, or None."""
        code = {2: "i", 4: "q"}.get(kind)
        if stored is None or code is None or stored[1] > MAX_VALUES * 8 or stored[1] % struct.calcsize(f"<{code}"):
            return None
        return struct.unpack_from(f"<{stored[1] // struct.calcsize(f'<{code}')}{code}", self._data, stored[0])

    def _quantization(self, table: Table | None) -> None:
        """Check the offsets of the quantization parameters of a tensor."""
        if table is None:
            return
        for slot, size in ((4, 4), (6, 4), (8, 4), (10, 8)):
            table.span(slot, size)
        kind, details = table.number(12, "<B"), table.table(14, 10)
        if kind and details is not None:
            # The first field of custom details is a vector; in other details, the last field may be one.
            if kind == 1:
                details.span(4)
            else:
                details.span(10, 4)

    def _sparsity(self, table: Table | None) -> bool:
        """Check the offsets of the sparsity parameters of a tensor; return whether it is sparse."""
        if table is None:
            return False
        table.numbers(4, "<i")
        table.numbers(6, "<i")
        sizes = {1: 4, 2: 2, 3: 1}
        for one in table.tables(8, DIMENSION):
            for kind, slot in ((8, 10), (12, 14)):
                vector = one.table(slot, 4)
                if vector is not None:
                    vector.span(4, sizes.get(one.number(kind, "<B"), 8))
        return True

    def _operation(
        self, table: Table, tensors: list[Tensor], graph: Graph, ready: set[int], where: str
    ) -> Iterator[Finding]:
        code = table.number(4, "<I")
        if code >= len(self._codes):
            raise Broken("it refers to an operator code that does not exist")
        number = self._codes[code]
        name = NAMES[number] if 0 <= number < len(NAMES) else ""
        inputs, outputs = table.numbers(6, "<i"), table.numbers(8, "<i")
        # -1 marks an omitted optional input.
        self._within(inputs, tensors, -1)
        self._within(outputs, tensors, 0)
        self._within(table.numbers(20, "<i"), tensors, -1)
        table.span(14)
        table.span(18)
        if any(index >= 0 and index not in ready for index in inputs):
            raise Broken("it uses a tensor that no operation before it computes")
        ready.update(outputs)
        graph.steps.append((inputs, outputs))
        options = self._options(table)
        if table.number(22, "<Q") + table.number(24, "<Q") > len(self._data):
            raise Broken("its options are outside the file")
        if name in RUNNING:
            chosen = tuple(options.number(slot, "<i") if options else 0 for slot in RUNNING[name])
            graph.runs.append((name, chosen))
        given = [tensors[index] if index >= 0 else None for index in inputs]
        check(name, given, len(outputs), options)
        size = made(name, given, options)
        if size * 4 > self._allowed():
            what = f"it makes {size:.3g} values, and {self._limits.megabytes} MB are allowed"
            yield Finding(Kind.LIMIT, f"{where} ({name})", what)
        known = computed(name, given, options)
        if known is not None and len(outputs) == 1 and not tensors[outputs[0]].constant:
            tensors[outputs[0]] = Tensor((len(known),), known, False)

    def _options(self, table: Table) -> Table | None:
        """Return the options of an operation after checking their offsets."""
        if table.number(26, "<B") or table.table(28, LAST_OPTION) is not None:
            raise Broken("its options belong to an operation that Picasso does not run")
        options = table.table(12, LAST_OPTION)
        if options is not None:
            for slot, size in VECTORS.get(table.number(10, "<B"), ()):
                options.span(slot, size)
        return options

    # ---- graphs that run graphs ---------------------------------------------------------------------------------

    def _runs(self, graphs: list[Graph]) -> Iterator[Finding]:
        """Yield findings for endless loops; raise Broken for missing, recursive or too deeply nested graphs."""
        depths: dict[int, int] = {}
        for graph in graphs:
            for _, chosen in graph.runs:
                if any(not 0 <= one < len(graphs) for one in chosen):
                    raise Broken("it calls a graph that does not exist")
        yield from self._loops(graphs)
        # Each iteration computes the depths of the graphs that only run graphs of known depth.
        while len(depths) < len(graphs):
            before = len(depths)
            for index, graph in enumerate(graphs):
                own = {one for _, chosen in graph.runs for one in chosen}
                if index not in depths and own <= depths.keys():
                    depths[index] = 1 + max((depths[one] for one in own), default=0)
            if len(depths) == before:
                raise Broken("a graph calls itself")
            if max(depths.values()) > DEEPEST:
                raise Broken(f"its graphs are nested in more than {DEEPEST} levels")

    def _loops(self, graphs: list[Graph]) -> Iterator[Finding]:
        """Yield findings for endless loops."""
        # Once for each graph, because many loops may share one.
        conditions, bodies = dict[int, list[int]](), dict[int, list[bool]]()
        for condition, body in (chosen for graph in graphs for name, chosen in graph.runs if name == "WHILE"):
            if condition not in conditions:
                conditions[condition] = read(graphs[condition])
            if body not in bodies:
                bodies[body] = changing(graphs[body])
            if endless(conditions[condition], bodies[body]):
                yield Finding(Kind.CODE, f"graph {condition}, the condition of a loop", "the loop never ends")
