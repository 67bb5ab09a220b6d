"""Check the structure of HDF5 files as Keras writes them, without the HDF5 library.

Structures that Keras does not write, such as chunks, filters, links and later versions of the format, are left to the
library. The result is the same as that of the library; if the format is ambiguous, the file is left to it too.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from typing import IO, NamedTuple

from picasso.models.scan.findings import Context, Finding, Kind
from picasso.models.scan.hdf5_headers import (
    ATTRIBUTE,
    CONTINUED,
    HEADER,
    NOWHERE,
    REFERENCE,
    Texts,
    UnknownStructure,
    faults_of_totals,
    parts_of_attribute,
)
from picasso.models.scan.json_reading import Unreadable
from picasso.models.scan.quoting import shown

EMPTY, SPACE, TYPE, OLD_FILL, FILL, LAYOUT, TABLE, TIME = 0x00, 0x01, 0x03, 0x04, 0x05, 0x08, 0x11, 0x12
KNOWN = (EMPTY, SPACE, TYPE, OLD_FILL, FILL, LAYOUT, ATTRIBUTE, CONTINUED, TABLE, TIME)
# The messages of which an object has at most one.
SINGLE = (SPACE, TYPE, LAYOUT, TABLE)
# The only allowed flag of a message: its content is constant. The other flags affect its location or its meaning.
CONSTANT = 1
INTEGER, FLOAT, STRING, BITS, OPAQUE, ENUM, VARIABLE = 0, 1, 3, 4, 5, 8, 9
NUMBERS = (INTEGER, FLOAT, BITS, ENUM)
MAX_NUMBER, MAX_OPAQUE = 16, 2
COMPACT, CONTIGUOUS = 0, 1
# The maximum length of a path inside the file, in characters.
MAX_LETTERS = 10_000
SYMBOL = struct.Struct("<QQI20x")
# The allowed cache types of a symbol table entry: none, or the symbol table of a group.
REMEMBERED = (0, 1)


class Attribute(NamedTuple):
    """The stored datatype, dataspace and value of an attribute."""

    type: bytes
    space: bytes
    value: bytes


class PlainFile:
    """A check of the groups and datasets of a file, without reading their values.

    Attributes:
        attributes: the attributes of the root group, by name.
    """

    def __init__(self, stream: IO[bytes], size: int, context: Context, where: str) -> None:
        self._size, self._context, self._where = size, context, where
        self._texts = Texts(stream, where)
        self._declared = self._stored = 0
        start = self._texts.read(0, 96)
        base, end, driver, _, self._root, remembered = struct.unpack_from("<Q8xQQQQI", start, 24)
        if start[8] or start[10] or start[12] or base or driver != NOWHERE:
            raise UnknownStructure
        if end > size:
            raise self._texts.broken(f"it is truncated: it has {size:,} of {end:,} bytes")
        self._messages, self.attributes = self._object(self._root)
        if remembered not in REMEMBERED or (remembered and self._messages.get(TABLE, b"")[:16] != start[80:96]):
            raise UnknownStructure

    def text(self, name: str) -> bytes:
        """Return the text in an attribute of the root group, or raise Unreadable."""
        attribute = self.attributes[name]
        if not is_text(attribute.type) or count(attribute.space) != 1:
            raise Unreadable(Kind.BROKEN, f"{self._where}, attribute {name}", "it is not text")
        if attribute.type[0] & 0x0F == STRING:
            return attribute.value[: size_of(attribute.type)].rstrip(b"\0")
        return self._texts.read(*self._texts.place_of(attribute.value, 0))

    def faults(self) -> Iterator[Finding]:
        """Yield the findings about the structure.

        Raises:
            UnknownStructure: Keras does not write such a structure.
            Unreadable: the file is inconsistent.
        """
        yield from self._of_attributes("/", self.attributes)
        groups = [("", self._messages)] if TABLE in self._messages else []
        seen = {self._root}
        while groups:
            path, messages = groups.pop()
            for name, address in self._members(messages[TABLE]):
                if address in seen:
                    continue
                seen.add(address)
                if len(seen) > self._context.limits.members:
                    raise Unreadable(Kind.LIMIT, self._where, f"the file contains more than {len(seen) - 1:,} objects")
                place = f"{path}/{name}"
                if len(place) > MAX_LETTERS:
                    raise Unreadable(Kind.LIMIT, self._where, "its groups are nested too deeply")
                inside, attributes = self._object(address)
                yield from self._of_attributes(place, attributes)
                if TABLE in inside:
                    groups.append((place, inside))
                else:
                    yield from self._of_dataset(place, inside)
        yield from faults_of_totals(
            self._declared, self._stored, self._texts.total, self._size, self._context, self._where
        )

    def _object(self, address: int) -> tuple[dict[int, bytes], dict[str, Attribute]]:
        """Return the messages in the header of a group or dataset, by type, and its attributes."""
        if self._texts.read(address, 4) == HEADER:
            raise UnknownStructure
        messages: dict[int, bytes] = {}
        attributes: dict[str, Attribute] = {}
        for kind, flags, data in self._texts.messages(address):
            if kind not in KNOWN or flags & ~CONSTANT or kind in messages:
                raise UnknownStructure
            if kind in SINGLE:
                messages[kind] = data
            elif kind == ATTRIBUTE:
                # In later versions, the datatype and the dataspace may be shared messages.
                if len(data) < 16 or data[0] not in (1, 2, 3) or (data[0] > 1 and data[1]):
                    raise UnknownStructure
                name, *parts = parts_of_attribute(data)
                text = name.decode("utf-8", "replace")
                if text in attributes or b"\0" in name:
                    raise UnknownStructure
                attributes[text] = Attribute(*parts)
        if set(messages) not in ({TABLE}, {SPACE, TYPE, LAYOUT}):
            raise UnknownStructure
        return messages, attributes

    def _members(self, table: bytes) -> Iterator[tuple[str, int]]:
        """Yield the names and the addresses of the objects in a group."""
        tree, heap = struct.unpack_from("<QQ", table.ljust(16, b"\xff"))
        head = self._texts.read(heap, 32)
        size, _, data = struct.unpack_from("<QQQ", head, 8)
        if not head.startswith(b"HEAP\0"):
            raise self._texts.broken("a group has no names")
        if size > self._size:
            raise self._texts.broken("the names of a group are larger than the file")
        names, known = self._texts.read(data, size), set()
        for node in self._leaves(tree):
            start = self._texts.read(node, 8)
            number = int.from_bytes(start[6:], "little")
            if not start.startswith(b"SNOD\x01"):
                raise self._texts.broken("the members of a group are not at their address")
            for at, address, remembered in SYMBOL.iter_unpack(self._texts.read(node + 8, number * SYMBOL.size)):
                name = names[at : max(at, names.find(b"\0", at))].decode("utf-8", "replace")
                if remembered not in REMEMBERED or name in known or not name or "/" in name:
                    raise UnknownStructure
                known.add(name)
                if len(known) > self._context.limits.members:
                    raise Unreadable(Kind.LIMIT, self._where, f"a group contains more than {len(known) - 1:,} objects")
                yield name, address

    def _leaves(self, root: int) -> Iterator[int]:
        """Yield the addresses of the symbol table nodes of a group, the leaves of its B-tree."""
        nodes: list[tuple[int, int | None]] = [(root, None)]
        seen = {root}
        while nodes:
            address, expected = nodes.pop()
            start = self._texts.read(address, 24)
            level, number = start[5], int.from_bytes(start[6:8], "little")
            if not start.startswith(b"TREE\0") or (expected is not None and level != expected):
                raise self._texts.broken("the list of a group's members is not at its address")
            # The node alternates keys of 8 bytes and addresses of children.
            below = self._texts.read(address + 24, number * 16 + 8)
            for (child,) in struct.iter_unpack("<8xQ", below[: number * 16]):
                if child in seen:
                    raise self._texts.broken("a group lists the same members twice")
                seen.add(child)
                if level:
                    nodes.append((child, level - 1))
                else:
                    yield child

    def _of_attributes(self, place: str, attributes: dict[str, Attribute]) -> Iterator[Finding]:
        """Yield the findings about the attributes of an object."""
        for name, attribute in attributes.items():
            kind, number = attribute.type[0] & 0x0F, count(attribute.space)
            if not is_text(attribute.type) and kind not in NUMBERS:
                what = "the attribute is neither text nor numbers"
                yield Finding(Kind.CODE, f"{self._where}, {shown(f'{place}.{name}')}", what)
            elif number * size_of(attribute.type) > len(attribute.value):
                raise self._texts.broken("an attribute is shorter than it declares")
            elif kind == VARIABLE:
                if size_of(attribute.type) != REFERENCE.size:
                    raise UnknownStructure
                self._texts.add(attribute.value, number)

    def _of_dataset(self, place: str, messages: dict[int, bytes]) -> Iterator[Finding]:
        """Yield the findings about a dataset."""
        kind, layout = messages[TYPE], messages[LAYOUT]
        width = size_of(kind)
        largest = {OPAQUE: MAX_OPAQUE}.get(kind[0] & 0x0F, MAX_NUMBER)
        if kind[0] & 0x0F not in (*NUMBERS, OPAQUE) or width > largest:
            raise UnknownStructure
        size = math.prod(sides(messages[SPACE])) * width
        if size > self._context.limits.megabytes * 1_000_000:
            yield Finding(Kind.LIMIT, f"{self._where}, {shown(place)}", f"it takes {size:,} bytes")
        elif layout[:2] == bytes([3, COMPACT]):
            stored = int.from_bytes(layout[2:4], "little")
            if stored != size or len(layout) < 4 + stored:
                raise UnknownStructure
        elif layout[:2] == bytes([3, CONTIGUOUS]):
            address, stored = struct.unpack_from("<QQ", layout.ljust(18, b"\xff"), 2)
            if stored != size or (address == NOWHERE and size):
                raise UnknownStructure
            if size and address + size > self._size:
                raise self._texts.broken(f"the values of {shown(place)} are outside the file")
        else:
            raise UnknownStructure
        self._declared += size
        self._stored += size


def is_text(kind: bytes) -> bool:
    """Tell whether a datatype is a string of fixed or variable length."""
    return kind[0] & 0x0F == STRING or (kind[0] & 0x0F == VARIABLE and kind[1] & 0x0F == 1)


def size_of(kind: bytes) -> int:
    """Return the size of a value of a datatype, in bytes."""
    return int.from_bytes(kind[4:8], "little")


def sides(space: bytes) -> tuple[int, ...]:
    """Return the shape of a dataset or attribute from its dataspace."""
    version, rank = space[0], space[1]
    # In version 2, the type 2 is a null dataspace without values.
    if version not in (1, 2) or (version == 2 and space[3] == 2):
        raise UnknownStructure
    start = 8 if version == 1 else 4
    if len(space) < start + 8 * rank:
        raise UnknownStructure
    return struct.unpack_from(f"<{rank}Q", space, start)


def count(space: bytes) -> int:
    """Return the number of values of an attribute, which has at most one axis."""
    found = sides(space)
    if len(found) > 1:
        raise UnknownStructure
    return math.prod(found)
