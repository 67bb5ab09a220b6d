"""The texts of HDF5 attributes, which lie elsewhere in the file, and how many bytes reading them takes.

The HDF5 library reads an array of texts at once, each as long as the file says: a thousand of them may be one and the
same megabyte. It also copies a text before it compares its two lengths. So both are compared here.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import IO

from picasso.models.scan.findings import Kind
from picasso.models.scan.json_reading import Unreadable

SIGNATURE = b"\x89HDF\r\n\x1a\n"
HEADER, CONTINUATION, HEAP = b"OHDR", b"OCHK", b"GCOL"
ATTRIBUTE, CONTINUED, ATTRIBUTE_INFO = 0x0C, 0x10, 0x15
NOWHERE = (1 << 64) - 1
# In front of a text in an attribute: its length, the heap that holds it, and its number there.
REFERENCE = struct.Struct("<IQI")
# A heap of texts may hold one text that is longer than this.
LARGEST_HEAP = 1 << 32


class Texts:
    """The texts of a file's attributes.

    Attributes:
        stream: the file.
        where: what it is called in findings.
        total: how many bytes all texts asked about so far take.
    """

    def __init__(self, stream: IO[bytes], where: str) -> None:
        self.stream, self.where, self.total = stream, where, 0
        self._heaps: dict[int, dict[int, int]] = {}
        start = self._read(0, 16)
        width = start[13:15] if start[8] < 2 else start[9:11]
        if not start.startswith(SIGNATURE) or width != b"\x08\x08":
            raise self._broken("its addresses do not have 64 bits")

    def count(self, address: int, name: bytes, texts: int) -> None:
        """Add the bytes that an attribute with so many texts takes, of the object with its header at an address.

        Raises:
            Unreadable: the attribute says another length of a text than the place where that lies.
        """
        for found, data in self._attributes(address):
            if found != name:
                continue
            if len(data) < texts * REFERENCE.size:
                raise self._broken("an attribute has fewer texts than it says")
            for number in range(texts):
                length, heap, index = REFERENCE.unpack_from(data, number * REFERENCE.size)
                if length and self._lengths(heap).get(index) != length:
                    raise self._broken("a text of an attribute is not as long as it says")
                self.total += length
            return
        raise self._broken("an attribute is not where it should be")

    def _broken(self, what: str) -> Unreadable:
        return Unreadable(Kind.BROKEN, self.where, what)

    def _read(self, at: int, size: int) -> bytes:
        self.stream.seek(at)
        found = self.stream.read(size)
        if len(found) < size:
            raise self._broken("an address leads out of the file")
        return found

    def _lengths(self, heap: int) -> dict[int, int]:
        """Return the lengths of the texts in a heap, by their numbers there."""
        if heap not in self._heaps:
            head = self._read(heap, 16)
            size = int.from_bytes(head[8:], "little")
            if not head.startswith(HEAP) or size > LARGEST_HEAP:
                raise self._broken("a text lies where none can")
            found: dict[int, int] = {}
            at = 16
            while at + 16 <= size:
                index, _, _, length = struct.unpack("<HHIQ", self._read(heap + at, 16))
                if index == 0:
                    break
                found[index] = length
                at += 16 + (length + 7) // 8 * 8
                if at > size:
                    raise self._broken("a text is longer than what holds it")
            self._heaps[heap] = found
        return self._heaps[heap]

    def _attributes(self, address: int) -> Iterator[tuple[bytes, bytes]]:
        """Yield the names and the values of the attributes in an object's header."""
        for kind, data in self._messages(address):
            if kind == ATTRIBUTE and len(data) > 9:
                yield attribute(data)
            elif kind == ATTRIBUTE_INFO and heap_of_attributes(data) != NOWHERE:
                raise self._broken("its attributes are stored as Keras does not store them")

    def _messages(self, address: int) -> Iterator[tuple[int, bytes]]:
        """Yield the messages of an object's header, which may go on elsewhere."""
        start = self._read(address, 16)
        if start.startswith(HEADER):
            flags, at = start[5], 6
            at += 16 * bool(flags & 0x20) + 4 * bool(flags & 0x10)
            width = 1 << (flags & 3)
            size = int.from_bytes(self._read(address + at, width), "little")
            blocks, head = [(address + at + width, size)], 6 if flags & 4 else 4
        else:
            blocks, head = [(address + 16, int.from_bytes(start[8:12], "little"))], 8
        # More blocks than any file has would be a circle.
        for number in range(10_000):
            if number >= len(blocks):
                return
            at, size = blocks[number]
            block, place = self._read(at, size), 4 if head != 8 and number else 0
            end = len(block) - (4 if place else 0)
            while place + head <= end:
                kind = block[place] if head != 8 else int.from_bytes(block[place : place + 2], "little")
                begin = place + (1 if head != 8 else 2)
                length = int.from_bytes(block[begin : begin + 2], "little")
                data = block[place + head : place + head + length]
                place += head + length
                if kind == CONTINUED:
                    blocks.append((int.from_bytes(data[:8], "little"), int.from_bytes(data[8:16], "little")))
                else:
                    yield kind, data
        raise self._broken("the header of an object does not end")


def attribute(data: bytes) -> tuple[bytes, bytes]:
    """Return the name and the value of an attribute from its message."""
    version = data[0]
    sizes = [int.from_bytes(data[at : at + 2], "little") for at in (2, 4, 6)]
    at = 9 if version == 3 else 8
    name = data[at : at + sizes[0]].rstrip(b"\0")
    # Before version 2, each part takes a multiple of 8 bytes.
    taken = [(size + 7) // 8 * 8 if version == 1 else size for size in sizes]
    return name, data[at + sum(taken) :]


def heap_of_attributes(data: bytes) -> int:
    """Return the address of the heap that holds many attributes of one object, from the message about them."""
    # After the version and the flags, the first of which says that a number of two bytes follows.
    at = 4 if data[1] & 1 else 2
    return int.from_bytes(data[at : at + 8], "little")
