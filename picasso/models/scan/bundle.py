"""Scan the index of a TensorFlow checkpoint (``.index``) without TensorFlow.

It is a table of sorted keys in blocks, as in LevelDB. Each key has an entry with the type and the shape of a tensor and
its position in the ``.data`` files.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NamedTuple

from picasso.models.scan.findings import Context, Finding, Kind
from picasso.models.scan.graph_reading import MAX_AXES, STRING
from picasso.models.scan.graph_sizes import ITEM_BYTES, MEGABYTE, OBJECTS, USUAL_BYTES, amount
from picasso.models.scan.quoting import shown
from picasso.models.scan.wire import BYTES, FIXED32, VARINT, Broken, choice, fields, message, signed, varint

FOOTER, MAGIC, TRAILER = 48, 0xDB4775248B80FB57, 5
# The maximum size of an index, which needs some hundred bytes per variable.
MAX_INDEX = 200 * MEGABYTE
MAX_KEY_LENGTH = 4096


class Entry(NamedTuple):
    """One tensor: its type as a number of TensorFlow, its shape, and its data file, offset and size in bytes."""

    key: str
    type: int
    shape: tuple[int, ...]
    shard: int
    offset: int
    size: int

    @property
    def needed(self) -> int:
        """Its size in memory, in bytes."""
        return math.prod(self.shape) * ITEM_BYTES.get(self.type, USUAL_BYTES)


def scan(prefix: Path, context: Context, model: Path) -> Iterator[Finding]:
    """Yield the findings in the index and the data files of a checkpoint.

    Args:
        prefix: the path without ``.index``.
        context: the limits.
        model: the file of the graph. It may be a link into a cache that contains the other files.
    """
    index = prefix.with_name(prefix.name + ".index")
    folders = {prefix.parent.resolve(), model.resolve().parent}
    try:
        if index.exists() and index.resolve().parent not in folders:
            yield Finding(Kind.CODE, index.name, "it is a link to a place outside the model's folder")
            return
        if index.exists() and not index.is_file():
            yield Finding(Kind.BROKEN, index.name, "it is not a regular file")
            return
        if index.stat().st_size > MAX_INDEX:
            yield Finding(Kind.LIMIT, index.name, f"the index takes more than {MAX_INDEX // MEGABYTE} MB")
            return
        yield from judge(prefix, index, context, folders)
    except FileNotFoundError:
        yield Finding(Kind.BROKEN, index.name, "there is no such file")
    except OSError as error:
        yield Finding(Kind.BROKEN, index.name, f"it can't be read ({error.strerror})")
    except Broken as error:
        yield Finding(Kind.BROKEN, index.name, f"it is not the index of a checkpoint: {error}")


def judge(prefix: Path, index: Path, context: Context, folders: Collection[Path]) -> Iterator[Finding]:
    """Yield the findings about all entries."""
    shards, total, count = 1, 0, 0
    sizes: dict[int, int | None] = {}
    for key, start, end, data in table(index.read_bytes()):
        if not key:
            # The header has the empty key, which is always the first one, because keys ascend.
            shards = header(data, start, end)
            continue
        count += 1
        if count > context.limits.members:
            yield Finding(Kind.LIMIT, index.name, f"it lists more than {context.limits.members:,} tensors")
            return
        entry = read_entry(key, data, start, end)
        if entry.shard not in sizes:
            sizes[entry.shard] = shard_size(prefix, entry.shard, shards, folders)
        total += entry.needed
        for kind, what in wrong(entry, sizes[entry.shard]):
            yield Finding(kind, f"tensor {shown(entry.key)}, {index.name}", what)
    if total > context.limits.megabytes * MEGABYTE:
        what = f"its tensors take {amount(total)}, and {context.limits.megabytes:,} MB are allowed"
        yield Finding(Kind.LIMIT, index.name, what)


def wrong(entry: Entry, available: int | None) -> Iterator[tuple[Kind, str]]:
    """Yield the problems of an entry whose data file has ``available`` bytes, or is missing (None)."""
    if entry.type in OBJECTS:
        yield Kind.CODE, "it is not a tensor of numbers or strings but an object"
    if any(size < 0 for size in entry.shape):
        yield Kind.BROKEN, "its shape is invalid"
    # The entry of a whole partitioned variable has no content, and so the size 0.
    elif entry.size and entry.type in ITEM_BYTES and entry.type != STRING and entry.needed != entry.size:
        yield Kind.BROKEN, "its size does not match its shape"
    elif entry.size and available is None:
        yield Kind.BROKEN, "its data file is missing, or outside the folder"
    elif entry.size and entry.offset + entry.size > (available or 0):
        yield Kind.BROKEN, "the data file is truncated before it; copy the checkpoint again"


def shard_name(prefix: Path, shard: int, shards: int) -> str:
    """Return the name of a data file."""
    return f"{prefix.name}.data-{shard:05d}-of-{shards:05d}"


def shard_size(prefix: Path, shard: int, shards: int, folders: Collection[Path]) -> int | None:
    """Return the size of a data file in bytes, or None if it is in none of the folders."""
    if not 0 <= shard < shards <= 100_000:
        return None
    file = prefix.with_name(shard_name(prefix, shard, shards))
    if not file.is_file() or file.resolve().parent not in folders:
        return None
    return file.stat().st_size


def header(data: bytes, at: int, end: int) -> int:
    """Return the number of data files from a BundleHeaderProto.

    Raises:
        Broken: it is no such message, or the values are big-endian.
    """
    values = {1: 0, 2: 0}
    for number, start, _ in message(data, at, end, {1: VARINT, 2: VARINT, 3: BYTES}):
        if number in values:
            values[number] = choice(start)
    if values[2]:
        raise Broken("its values are stored in big-endian byte order")
    return values[1]


def read_entry(key: str, data: bytes, at: int, end: int) -> Entry:
    """Parse a BundleEntryProto, or raise Broken."""
    values = {1: 0, 3: 0, 4: 0, 5: 0}
    shape: list[int] = []
    for number, kind, start, stop in fields(data, at, end):
        if number in values and kind == VARINT:
            # Offsets and sizes have 64 bits; the type and the number of the file have 32.
            values[number] = signed(start) if number in (4, 5) else choice(start)
        elif number == 2 and kind == BYTES:
            for inner, wire, first, last in fields(data, start, stop):
                if inner == 2 and wire == BYTES:
                    sizes = [signed(value) for one, _, value, _ in fields(data, first, last) if one == 1]
                    shape.append(sizes[-1] if sizes else 0)
        elif not (number == 6 and kind == FIXED32) and number != 7:
            raise Broken(f"it contains the unknown field number {number}")
    if len(shape) > MAX_AXES:
        raise Broken("a shape has too many axes")
    if values[1] not in ITEM_BYTES and values[1] not in OBJECTS:
        raise Broken(f"a tensor has the unknown type {values[1]}")
    if values[4] < 0 or values[5] < 0:
        raise Broken("an offset is negative")
    return Entry(key, values[1], tuple(shape), values[3], values[4], values[5])


def table(data: bytes) -> Iterator[tuple[str, int, int, bytes]]:
    """Yield the entries of the table: the key, the start and the end of the value, and the block that contains it.

    Raises:
        Broken: it is no valid table.
    """
    if len(data) < FOOTER or int.from_bytes(data[-8:], "little") != MAGIC:
        raise Broken("it is truncated or in another format")
    at = len(data) - FOOTER
    for _ in range(2):
        _, at = varint(data, at, len(data))
    start, at = varint(data, at, len(data))
    size, _ = varint(data, at, len(data))
    last_key: bytes | None = None
    for _, first, last, index in block(data, start, size):
        place, first = varint(index, first, last)
        length, _ = varint(index, first, last)
        for key, begin, end, content in block(data, place, length):
            # TensorFlow uses binary search, which could find other entries if keys were not sorted.
            if last_key is not None and key <= last_key:
                raise Broken("its keys are not in ascending order")
            if last_key is None and key:
                raise Broken("its header entry is missing")
            last_key = key
            # The keys of parts of partitioned variables contain binary data.
            yield key.decode("utf-8", "replace"), begin, end, content


def block(data: bytes, start: int, size: int) -> Iterator[tuple[bytes, int, int, bytes]]:
    """Yield the keys of a block, with the start and the end of their values, and the block itself."""
    if start + size + TRAILER > len(data) or size < 4:
        raise Broken("it is truncated")
    if data[start + size]:
        raise Broken("it is compressed, which TensorFlow does not support")
    content = data[start : start + size]
    restarts = int.from_bytes(content[-4:], "little")
    end = size - 4 - 4 * restarts
    if end < 0:
        raise Broken("it is truncated")
    # TensorFlow may start reading at these restart points, so they must be entries with complete keys.
    begins = {int.from_bytes(content[place : place + 4], "little") for place in range(end, size - 4, 4)} - {end}
    at, key = 0, b""
    while at < end:
        whole, is_begin = content[at] == 0, at in begins
        begins.discard(at)
        if is_begin and not whole:
            raise Broken("the key of a restart entry is incomplete")
        shared, at = varint(content, at, end)
        fresh, at = varint(content, at, end)
        length, at = varint(content, at, end)
        if shared > len(key) or at + fresh + length > end:
            raise Broken("it is truncated")
        if shared + fresh > MAX_KEY_LENGTH:
            raise Broken("the name of a tensor is too long")
        key = key[:shared] + content[at : at + fresh]
        at += fresh + length
        yield key, at - length, at, content
    if begins:
        raise Broken("a restart offset does not point to an entry")
