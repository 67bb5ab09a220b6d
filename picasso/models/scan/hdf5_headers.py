"""Read the headers of objects in HDF5 files, and the texts of their attributes, which are stored in heaps.

The HDF5 library reads an array of texts at once, each with the length stated in the file, so a thousand texts may refer
to the same megabyte. It also copies a text before it compares its two stated lengths. So they are compared here.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from typing import IO

from picasso.models.scan.findings import Context, Finding, Kind
from picasso.models.scan.json_reading import Unreadable

SIGNATURE = b"\x89HDF\r\n\x1a\n"
HEADER, HEAP = b"OHDR", b"GCOL"
ATTRIBUTE, CONTINUED, ATTRIBUTE_INFO = 0x0C, 0x10, 0x15
NOWHERE = (1 << 64) - 1
# The reference to a text in an attribute: its length, the address of its heap, and its index there.
REFERENCE = struct.Struct("<IQI")
MAX_BLOCKS, MAX_HEADER, MAX_HEAP = 10_000, 1 << 24, 1 << 32
VERSION_1 = 1


class UnknownStructure(Exception):
    """A file has a structure that Keras does not write and that only the HDF5 library reads."""


class Headers:
    """A reader of object headers.

    Attributes:
        stream: the file.
        where: its name in findings.
    """

    def __init__(self, stream: IO[bytes], where: str) -> None:
        self.stream, self.where = stream, where
        self._end = stream.seek(0, io.SEEK_END)
        start = self.read(0, 16)
        width = start[13:15] if start[8] < 2 else start[9:11]
        if not start.startswith(SIGNATURE) or width != b"\x08\x08":
            raise self.broken("its addresses are not 64-bit")

    def broken(self, what: str) -> Unreadable:
        """Return the error for an inconsistent file."""
        return Unreadable(Kind.BROKEN, self.where, what)

    def read(self, at: int, size: int) -> bytes:
        """Return ``size`` bytes of the file from an address."""
        if at + size > self._end:
            raise self.broken("an address is outside the file")
        self.stream.seek(at)
        return self.stream.read(size)

    def messages(self, address: int) -> Iterator[tuple[int, int, bytes]]:
        """Yield the type, flags and content of the messages in an object's header, including continuation blocks."""
        start = self.read(address, 16)
        if start.startswith(HEADER):
            yield from self._messages_2(address, start[5])
            return
        if start[0] != VERSION_1:
            raise self.broken("an object has no header")
        blocks = [(address + 16, int.from_bytes(start[8:12], "little"))]
        for at, size in blocks:
            block, place = self._block(at, size, blocks), 0
            while place + 8 <= len(block):
                kind, length, flags = struct.unpack_from("<HHB", block, place)
                data = block[place + 8 : place + 8 + length]
                place += 8 + length
                if place > len(block):
                    raise self.broken("the header of an object is truncated")
                if kind == CONTINUED:
                    blocks.append(struct.unpack_from("<QQ", data.ljust(16, b"\xff")))
                yield kind, flags, data

    def _messages_2(self, address: int, flags: int) -> Iterator[tuple[int, int, bytes]]:
        """Yield the messages of a header of version 2."""
        at, width, head = (
            address + 6 + 16 * (flags >> 5 & 1) + 4 * (flags >> 4 & 1),
            1 << (flags & 3),
            4 + 2 * (flags >> 2 & 1),
        )
        blocks = [(at + width, int.from_bytes(self.read(at, width), "little"))]
        for number, (start, size) in enumerate(blocks):
            # Continuation blocks begin with a signature and end with a checksum.
            block = self._block(start, size, blocks)[4 * bool(number) : size - 4 * bool(number)]
            place = 0
            while place + head <= len(block):
                kind, length, mark = struct.unpack_from("<BHB", block, place)
                data = block[place + head : place + head + length]
                place += head + length
                if kind == CONTINUED:
                    blocks.append(struct.unpack_from("<QQ", data.ljust(16, b"\xff")))
                yield kind, mark, data

    def _block(self, at: int, size: int, blocks: list[tuple[int, int]]) -> bytes:
        """Return one block of a header."""
        # Too many blocks mean a cycle.
        if len(blocks) > MAX_BLOCKS or size > MAX_HEADER:
            raise self.broken("the header of an object does not end")
        return self.read(at, size)


class Texts(Headers):
    """A reader of the texts of a file's attributes.

    Attributes:
        total: the size of all texts counted so far, in bytes.
    """

    def __init__(self, stream: IO[bytes], where: str) -> None:
        super().__init__(stream, where)
        self.total = 0
        self._heaps: dict[int, dict[int, tuple[int, int]]] = {}

    def count(self, address: int, name: bytes, texts: int) -> None:
        """Add the size of the texts of one attribute to :attr:`total`.

        Args:
            address: the address of the object's header.
            name: the name of the attribute.
            texts: the number of its texts.

        Raises:
            Unreadable: the lengths of a text in the attribute and in its heap differ.
        """
        for kind, _, data in self.messages(address):
            if kind == ATTRIBUTE and len(data) > 9:
                found, value = attribute(data)
                if found == name:
                    self.add(value, texts)
                    return
            elif kind == ATTRIBUTE_INFO and heap_of_attributes(data) != NOWHERE:
                raise self.broken("its attributes are not stored as in Keras files")
        raise self.broken("an attribute is not at its address")

    def add(self, value: bytes, texts: int) -> None:
        """Add the size of ``texts`` texts of an attribute with this value to :attr:`total`."""
        if len(value) < texts * REFERENCE.size:
            raise self.broken("an attribute has fewer strings than it declares")
        for number in range(texts):
            self.total += self.place_of(value, number)[1]

    def place_of(self, value: bytes, number: int) -> tuple[int, int]:
        """Return the address and the length of a text of an attribute."""
        length, heap, index = REFERENCE.unpack_from(value, number * REFERENCE.size)
        if not length:
            return 0, 0
        found = self._in_heap(heap).get(index, (0, -1))
        if found[1] != length:
            raise self.broken("a string of an attribute does not have its declared length")
        return found

    def _in_heap(self, heap: int) -> dict[int, tuple[int, int]]:
        """Return the addresses and lengths of the texts in a heap, by their indices."""
        if heap not in self._heaps:
            head = self.read(heap, 16)
            size = int.from_bytes(head[8:], "little")
            if not head.startswith(HEAP) or size > MAX_HEAP:
                raise self.broken("a string is stored outside a valid heap")
            found: dict[int, tuple[int, int]] = {}
            at = 16
            while at + 16 <= size:
                index, _, _, length = struct.unpack("<HHIQ", self.read(heap + at, 16))
                if index == 0:
                    break
                if index in found or at + 16 + length > size:
                    raise self.broken("a string is longer than its heap object")
                found[index] = (heap + at + 16, length)
                at += 16 + (length + 7) // 8 * 8
            self._heaps[heap] = found
        return self._heaps[heap]


def attribute(data: bytes) -> tuple[bytes, bytes]:
    """Return the name and the value of an attribute from its message."""
    name, _, _, value = parts_of_attribute(data)
    return name, value


def parts_of_attribute(data: bytes) -> tuple[bytes, bytes, bytes, bytes]:
    """Return the name, the datatype, the dataspace and the value of an attribute from its message."""
    version = data[0]
    sizes = [int.from_bytes(data[at : at + 2], "little") for at in (2, 4, 6)]
    at, parts = 9 if version == 3 else 8, []
    for size in sizes:
        parts.append(data[at : at + size])
        # In version 1, each part is padded to a multiple of 8 bytes.
        at += (size + 7) // 8 * 8 if version == 1 else size
    return parts[0].rstrip(b"\0"), parts[1], parts[2], data[at:]


def heap_of_attributes(data: bytes) -> int:
    """Return the address of the heap of an object's attributes, from its attribute info message."""
    # After the version and the flags. The first flag means that an index of two bytes follows.
    at = 4 if data[1] & 1 else 2
    return int.from_bytes(data[at : at + 8], "little")


def faults_of_totals(
    declared: int, stored: int, texts: int, size: int, context: Context, where: str
) -> Iterator[Finding]:
    """Yield findings if the datasets or the texts of a file are larger in total than what it stores.

    Args:
        declared: the size of the datasets in memory, in bytes.
        stored: the size of the datasets in the file, in bytes.
        texts: the size of the attributes' texts, in bytes.
        size: the size of the file, in bytes.
        context: the settings of the scan.
        where: the name of the file in findings.
    """
    limits = context.limits
    if stored > size:
        yield Finding(Kind.BROKEN, where, f"its datasets share stored data: {stored:,} bytes")
    if texts > limits.json_bytes:
        yield Finding(Kind.LIMIT, where, f"the strings of its attributes take {texts:,} bytes")
    elif texts > size:
        yield Finding(Kind.BROKEN, where, f"its attributes share stored data: {texts:,} bytes")
    free, most = limits.free_megabytes * 1_000_000, limits.megabytes * 1_000_000
    if declared > most or (declared > free and declared > limits.ratio * stored):
        yield Finding(Kind.LIMIT, where, f"its datasets take {declared:,} bytes and store {stored:,}")
