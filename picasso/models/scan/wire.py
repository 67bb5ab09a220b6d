"""Reading the wire format of protocol buffers, field by field, without building anything of what is skipped.

Written by hand rather than with a protobuf library: a file of a few megabytes can make a library allocate a hundred
times as much, and what two libraries make of a malformed message differs. Here whatever no writer produces is an error.
"""

from __future__ import annotations

from collections.abc import Iterator
from mmap import mmap

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
# How many bytes each takes; -1 where a number says so.
KINDS = {VARINT: -1, FIXED64: 8, BYTES: -1, FIXED32: 4}
# A varint of 64 bits takes no more bytes.
MAX_BYTES = 10
# Libraries keep 29 bits of a field's number, and 32 of a choice: of a larger one they would read another.
MAX_FIELDS, MAX_CHOICES = 1 << 29, 1 << 31

Data = bytes | mmap


class Broken(Exception):
    """The bytes are no message of the expected kind; the text is one clause."""


def varint(data: Data, at: int, end: int) -> tuple[int, int]:
    """Return the unsigned integer at a position, and the position behind it.

    Raises:
        Broken: it does not end.
    """
    if at < end and data[at] < 0x80:
        return data[at], at + 1
    value = shift = 0
    stop = min(end, at + MAX_BYTES)
    while at < stop:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFF_FFFF_FFFF_FFFF, at
        shift += 7
    raise Broken("a number does not end")


def fields(data: Data, at: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """Yield the fields of the message between two positions, as ``(number, kind, value or start, end)``.

    Args:
        data: the file.
        at: where the message begins.
        end: where it ends.

    Yields:
        For :data:`VARINT` the value and the position behind it; for all others where the content begins and ends.

    Raises:
        Broken: it is no message.
    """
    while at < end:
        tag = data[at]
        at += 1
        if tag > 127:
            tag, at = varint(data, at - 1, end)
        kind, number = tag & 7, tag >> 3
        if not 0 < number < MAX_FIELDS or kind not in KINDS:
            raise Broken("it holds a kind of field that no writer produces")
        start, length = at, KINDS[kind]
        if length < 0:
            length, start = varint(data, at, end)
        if kind == VARINT:
            at = start
            yield number, kind, length, at
            continue
        at = start + length
        if at > end:
            raise Broken("it is cut off")
        yield number, kind, start, at


def text(data: Data, start: int, end: int) -> str:
    """Return the text between two positions.

    Raises:
        Broken: it is no UTF-8.
    """
    try:
        return str(data[start:end], "utf-8")
    except UnicodeDecodeError:
        raise Broken("a name is no text") from None


def signed(value: int) -> int:
    """Return an unsigned integer of 64 bits as the signed one with the same bits."""
    return value - (1 << 64) if value >> 63 else value


def choice(value: int) -> int:
    """Return the number of one of several things, such as a type.

    Raises:
        Broken: it is none that every library reads alike.
    """
    if value >= MAX_CHOICES:
        raise Broken("a type is given by a number that none has")
    return value


def message(
    data: Data, at: int, end: int, known: dict[int, int], repeated: frozenset[int] = frozenset()
) -> Iterator[tuple[int, int, int]]:
    """Yield the fields of a message whose fields are all known, as ``(number, value or start, end)``.

    Args:
        data: the file.
        at: where the message begins.
        end: where it ends.
        known: the kind of each field.
        repeated: those that may stand there more than once.

    Raises:
        Broken: it is no such message, or holds a field twice: of those, libraries take the last, or merge them.
    """
    seen = set()
    for number, kind, start, stop in fields(data, at, end):
        if number not in known:
            raise Broken(f"it holds a field with the number {number}, which is unknown")
        if known[number] != kind:
            raise Broken(f"its field with the number {number} is of the wrong kind")
        if number not in repeated:
            if number in seen:
                raise Broken(f"it holds the field with the number {number} twice")
            seen.add(number)
        yield number, start, stop
