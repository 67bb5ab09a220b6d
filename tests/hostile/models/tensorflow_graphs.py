"""TensorFlow graphs as bytes: operations, functions, MetaGraphDefs, SavedModels and the files of checkpoints."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.hostile.models.protobuf import entry, field, varint

FLOAT, INT32, UINT8, STRING, INT64, BOOL, RESOURCE, VARIANT = 1, 3, 4, 7, 9, 10, 20, 21
SIDE, CLASSES = 8, 3
# A block ends in its kind of compression and a checksum.
TRAILER = 5
IMAGES = (-1, SIDE, SIDE, 3)


def shape(*sizes: int) -> bytes:
    """Return a TensorShapeProto."""
    return b"".join(field(2, field(1, size)) for size in sizes)


def tensor(kind: int, sizes: Sequence[int], content: bytes = b"", *more: bytes) -> bytes:
    """Return a TensorProto; ``more`` are further fields."""
    return field(1, kind) + field(2, shape(*sizes)) + (field(4, content) if content else b"") + b"".join(more)


# ---- attributes: what stands in an AttrValue -----------------------------------------------------------------------


def kind(value: int) -> bytes:
    """Return an attribute that is a type."""
    return field(6, value)


def sized(*sizes: int) -> bytes:
    """Return an attribute that is a shape."""
    return field(7, shape(*sizes))


def text(value: str | bytes) -> bytes:
    """Return an attribute that is a text."""
    return field(2, value)


def calls(name: str) -> bytes:
    """Return an attribute that is a function."""
    return field(10, field(1, name))


def value(made: bytes) -> bytes:
    """Return an attribute that is a tensor."""
    return field(8, made)


def kinds(*values: int) -> bytes:
    """Return an attribute that lists types."""
    return field(1, b"".join(field(6, one) for one in values))


def shapes(*values: Sequence[int]) -> bytes:
    """Return an attribute that lists shapes."""
    return field(1, b"".join(field(7, shape(*one)) for one in values))


# ---- operations ----------------------------------------------------------------------------------------------------


def node(name: str, operation: str, *inputs: str, **attributes: bytes) -> bytes:
    """Return a NodeDef."""
    parts = [field(1, name), field(2, operation), *(field(3, one) for one in inputs)]
    return b"".join([*parts, *(entry(5, key, made) for key, made in attributes.items())])


def constant(name: str, made: bytes, of: int) -> bytes:
    """Return a constant of a type."""
    return node(name, "Const", dtype=kind(of), value=value(made))


def string(name: str, content: str | bytes) -> bytes:
    """Return a constant text."""
    return constant(name, tensor(STRING, (), b"", field(8, content)), STRING)


def strings(name: str, *contents: str) -> bytes:
    """Return a constant list of texts."""
    return constant(name, tensor(STRING, (len(contents),), b"", *(field(8, one) for one in contents)), STRING)


def integers(name: str, *values: int) -> bytes:
    """Return a constant list of integers."""
    return constant(name, tensor(INT32, (len(values),), struct.pack(f"<{len(values)}i", *values)), INT32)


def integer(name: str, number: int) -> bytes:
    """Return a constant integer."""
    return constant(name, tensor(INT32, (), struct.pack("<i", number)), INT32)


def scalar(name: str, number: float) -> bytes:
    """Return a constant number."""
    return constant(name, tensor(FLOAT, (), struct.pack("<f", number)), FLOAT)


def placeholder(name: str = "x", of: int = FLOAT, sizes: Sequence[int] = IMAGES) -> bytes:
    """Return the input."""
    return node(name, "Placeholder", dtype=kind(of), shape=sized(*sizes))


def answer(extra: str = "zero", *waits: str) -> list[bytes]:
    """Return what classifies: the mean of each channel of x, plus ``extra``, through a softmax named p."""
    return [
        integers("axes", 1, 2),
        node("mean", "Mean", "x", "axes", T=kind(FLOAT), Tidx=kind(INT32)),
        node("sum", "AddV2", "mean", extra, *(f"^{one}" for one in waits), T=kind(FLOAT)),
        node("p", "Softmax", "sum", T=kind(FLOAT)),
    ]


def classifier(*nodes: bytes, extra: str = "zero", waits: Sequence[str] = ()) -> list[bytes]:
    """Return the nodes of a classifier, to whose scores ``extra`` is added, and that waits for operations."""
    return [placeholder(), scalar("zero", 0.0), *nodes, *answer(extra, *waits)]


def function(
    name: str, takes: Mapping[str, int], gives: Mapping[str, tuple[int, str]], *nodes: bytes, more: bytes = b""
) -> bytes:
    """Return a FunctionDef: the types of its arguments, and the types of its outputs and where they come from."""
    arguments = [field(2, field(1, one) + field(3, of)) for one, of in takes.items()]
    outputs = [field(3, field(1, one) + field(3, of)) for one, (of, _) in gives.items()]
    signature = b"".join([field(1, name), *arguments, *outputs])
    returned = [field(4, field(1, one) + field(2, source)) for one, (_, source) in gives.items()]
    return b"".join([field(1, signature), *(field(3, one) for one in nodes), *returned, more])


def call(name: str, called: str, *inputs: str, takes: Sequence[int] = (), gives: Sequence[int] = (FLOAT,)) -> bytes:
    """Return a call of a function."""
    return node(name, "StatefulPartitionedCall", *inputs, f=calls(called), Tin=kinds(*takes), Tout=kinds(*gives))


def graph(nodes: Sequence[bytes], functions: Sequence[bytes] = (), gradients: Sequence[tuple[str, str]] = ()) -> bytes:
    """Return a GraphDef."""
    library = b"".join(field(1, one) for one in functions)
    library += b"".join(field(2, field(1, name) + field(2, gradient)) for name, gradient in gradients)
    return b"".join([*(field(1, one) for one in nodes), field(2, library), field(4, field(1, 1882))])


# ---- MetaGraphDefs and SavedModels ---------------------------------------------------------------------------------


def signature(outputs: Mapping[str, str], inputs: Mapping[str, str] | None = None) -> bytes:
    """Return a SignatureDef."""
    parts = [entry(1, key, field(1, one) + field(2, FLOAT)) for key, one in (inputs or {"x": "x:0"}).items()]
    parts += [
        entry(2, key, field(1, one) + field(2, FLOAT) + field(3, shape(-1, CLASSES))) for key, one in outputs.items()
    ]
    return b"".join(parts)


def saver(filename: str, save: str, restore: str) -> bytes:
    """Return a SaverDef."""
    return field(1, filename) + field(2, save) + field(3, restore) + field(7, 2)


def meta_graph(content: bytes, *, saving: bytes = b"", signatures: bytes = b"", more: bytes = b"") -> bytes:
    """Return a MetaGraphDef."""
    parts = [field(1, field(4, "serve")), field(2, content)]
    return b"".join([*parts, field(3, saving) if saving else b"", signatures, more])


SERVING = entry(5, "serving_default", signature({"p": "p:0"}))


def saved(
    content: bytes, *, signatures: bytes = SERVING, saving: bytes = b"", objects: bytes = b"", more: bytes = b""
) -> bytes:
    """Return a SavedModel of TensorFlow 2: with a graph of objects, which is empty by default."""
    rest = field(7, objects or field(1, b"")) + more
    return field(1, 1) + field(2, meta_graph(content, saving=saving, signatures=signatures, more=rest))


def asset(tensor_name: str, file: str) -> bytes:
    """Return the field of a MetaGraphDef that is an asset."""
    return field(6, field(1, field(1, tensor_name)) + field(2, file))


# ---- checkpoints ---------------------------------------------------------------------------------------------------


def checksum(content: bytes) -> bytes:
    """Return the masked CRC-32C that TensorFlow writes behind a block, and with a tensor."""
    crc = 0xFFFF_FFFF
    for byte in content:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    crc ^= 0xFFFF_FFFF
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFF_FFFF)


def block(entries: Sequence[tuple[bytes, bytes]]) -> bytes:
    """Return a block of a table without shared beginnings of keys."""
    body = b"".join(varint(0) + varint(len(key)) + varint(len(one)) + key + one for key, one in entries)
    return body + struct.pack("<II", 0, 1)


def block_of(entries: Mapping[str, bytes], header: bytes = b"") -> bytes:
    """Return the block of an index that holds a header, by default that of one data file, and BundleEntryProtos."""
    header = header or field(1, 1) + field(3, field(1, 1))
    return block([(b"", header), *((key.encode(), one) for key, one in sorted(entries.items()))])


def index(data: bytes) -> bytes:
    """Return the index of a checkpoint with one block of entries."""
    places = block([(b"~", varint(0) + varint(len(data)))])
    empty = block([])
    content = b"".join(part + b"\0" + checksum(part + b"\0") for part in (data, empty, places))
    first, second = len(data) + TRAILER, len(data) + len(empty) + 2 * TRAILER
    handles = varint(first) + varint(len(empty)) + varint(second) + varint(len(places))
    return content + handles.ljust(40, b"\0") + struct.pack("<Q", 0xDB4775248B80FB57)


def stored(of: int, sizes: Sequence[int], offset: int, size: int, shard: int = 0, content: bytes = b"") -> bytes:
    """Return a BundleEntryProto; its checksum is that of ``content``."""
    place = field(3, shard) + field(4, offset) + field(5, size)
    return field(1, of) + field(2, shape(*sizes)) + place + varint(6 << 3 | 5) + checksum(content)


def checkpoint(
    prefix: Path, meta: bytes, entries: Mapping[str, bytes] | None = None, data: bytes = bytes(12), listed: bytes = b""
) -> None:
    """Write the three files of a checkpoint; ``listed`` is a block of the index instead of the one for the entries."""
    known = {"w": stored(FLOAT, (3,), 0, 12, content=data)} if entries is None else entries
    prefix.with_name(f"{prefix.name}.meta").write_bytes(meta)
    prefix.with_name(f"{prefix.name}.index").write_bytes(index(listed or block_of(known)))
    prefix.with_name(f"{prefix.name}.data-00000-of-00001").write_bytes(data)


def variable() -> list[bytes]:
    """Return a variable, and what restores it from the file that ``save/Const`` names."""
    return [
        node("w", "VariableV2", dtype=kind(FLOAT), shape=sized(CLASSES)),
        node("w/read", "Identity", "w", T=kind(FLOAT)),
        string("save/Const", "model"),
        strings("save/names", "w"),
        strings("save/slices", ""),
        node("save/RestoreV2", "RestoreV2", "save/Const", "save/names", "save/slices", dtypes=kinds(FLOAT)),
        node("save/Assign", "Assign", "w", "save/RestoreV2", T=kind(FLOAT)),
        node("save/restore_all", "NoOp", "^save/Assign"),
    ]
