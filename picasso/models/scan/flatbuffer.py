"""Read FlatBuffers with a check of every offset, which runtimes do not do."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from mmap import mmap

from picasso.models.scan.wire import Broken

Data = bytes | mmap
# The maximum number of bytes of a text in a message.
SHOWN = 200


class Table:
    """A table of a FlatBuffer; every read is checked against the bounds of the file.

    Args:
        data: the file.
        at: the offset of the table.
        last: the last field of the format, as an offset in the vtable; tables with later fields are rejected.
        count: called with the number of tables or values that are read; it may raise an exception to stop.

    Raises:
        Broken: it is not within the file, or has fields that the format does not define.
    """

    def __init__(self, data: Data, at: int, last: int, count: Callable[[int], None]) -> None:
        count(1)
        self._data, self._at, self._count = data, at, count
        self._directory = at - self._number("<i", at)
        self._size = self._number("<H", self._directory)
        self._inline = self._number("<H", self._directory + 2)
        if self._size < 4 or self._size % 2 or self._inline < 4:
            raise Broken("a table has an invalid vtable")
        self._check(self._directory, self._size)
        self._check(at, self._inline)
        for slot in range(last + 2, self._size, 2):
            if self._number("<H", self._directory + slot):
                raise Broken("a table has a field that is not in the format")

    def _check(self, at: int, size: int) -> None:
        if at < 0 or size < 0 or at + size > len(self._data):
            raise Broken("an offset is outside the file")

    def _number(self, code: str, at: int) -> int:
        self._check(at, struct.calcsize(code))
        value: int = struct.unpack_from(code, self._data, at)[0]
        return value

    def _place(self, slot: int, size: int) -> int:
        """Return the offset of a field; 0 if it is omitted."""
        inside = self._number("<H", self._directory + slot) if slot < self._size else 0
        if inside and not 4 <= inside <= self._inline - size:
            raise Broken("a field is outside its table")
        return self._at + inside if inside else 0

    def _target(self, at: int) -> int:
        """Return the target of the offset stored at ``at``."""
        target = at + self._number("<I", at)
        self._check(target, 4)
        return target

    def number(self, slot: int, code: str, usual: int = 0) -> int:
        """Return a number of a type in :mod:`struct`'s codes, or ``usual`` if the field is omitted."""
        at = self._place(slot, struct.calcsize(code))
        return self._number(code, at) if at else usual

    def span(self, slot: int, size: int = 1) -> tuple[int, int] | None:
        """Return the offset of a vector's or text's first value and its length; None if the field is omitted."""
        at = self._place(slot, 4)
        if not at:
            return None
        start = self._target(at)
        length = self._number("<I", start)
        self._check(start + 4, length * size)
        return start + 4, length

    def numbers(self, slot: int, code: str) -> tuple[int, ...]:
        """Return a vector of numbers of a type in :mod:`struct`'s codes; empty if the field is omitted."""
        found = self.span(slot, struct.calcsize(code))
        if found is None:
            return ()
        # Counted here, because many tables may share one vector.
        self._count(found[1])
        return struct.unpack_from(f"<{found[1]}{code[-1]}", self._data, found[0])

    def text(self, slot: int) -> str:
        """Return the beginning of a text, with replacement characters for invalid UTF-8; "" if it is omitted."""
        start, length = self.span(slot) or (0, 0)
        return bytes(self._data[start : start + min(length, SHOWN)]).decode("utf-8", "replace")

    def table(self, slot: int, last: int) -> Table | None:
        """Return the table of a field; None if it is omitted."""
        at = self._place(slot, 4)
        return Table(self._data, self._target(at), last, self._count) if at else None

    def tables(self, slot: int, last: int) -> Iterator[Table]:
        """Yield the tables of a vector."""
        start, length = self.span(slot, 4) or (0, 0)
        for index in range(length):
            yield Table(self._data, self._target(start + 4 * index), last, self._count)


def root(data: Data, last: int, count: Callable[[int], None]) -> Table:
    """Return the root table of a file."""
    if len(data) < 8:
        raise Broken("it is truncated")
    return Table(data, struct.unpack_from("<I", data, 0)[0], last, count)
