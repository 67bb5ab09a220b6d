"""Read the wire format of protocol buffers field by field, without allocating memory for skipped fields.

No protobuf library is used: a file of a few megabytes can make a library allocate a hundred times as much, and
libraries interpret malformed messages differently. Here everything that no writer produces is an error.
"""

from __future__ import annotations

from collections.abc import Iterator
from mmap import mmap

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
# The size of each wire type in bytes; -1 if it is variable.
KINDS = {VARINT: -1, FIXED64: 8, BYTES: -1, FIXED32: 4}
# The maximum size of a 64-bit varint, in bytes.
MAX_BYTES = 10
# The upper bounds of field numbers and of enum values. Libraries truncate them to 29 and 32 bits.
MAX_FIELDS, MAX_CHOICES = 1 << 29, 1 << 31

Data = bytes | mmap


class Broken(Exception):
    """The bytes are no valid message of the expected type; the message of the exception is one clause."""


def varint(data: Data, at: int, end: int) -> tuple[int, int]:
    """Return the unsigned integer at a position, and the position after it.

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
    raise Broken("a varint does not end")


def fields(data: Data, at: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """Yield the fields of the message between two positions, as ``(number, kind, value or start, end)``.

    Args:
        data: the file.
        at: the position of the beginning of the message.
        end: the position of its end.

    Yields:
        The number and the wire type of each field. For :data:`VARINT`, the value and the position after it follow; for
        the other types, the positions of the beginning and the end of the content.

    Raises:
        Broken: it is no valid message.
    """
    while at < end:
        tag = data[at]
        at += 1
        if tag > 127:
            tag, at = varint(data, at - 1, end)
        kind, number = tag & 7, tag >> 3
        if not 0 < number < MAX_FIELDS or kind not in KINDS:
            raise Broken("it contains an unsupported wire type")
        start, length = at, KINDS[kind]
        if length < 0:
            length, start = varint(data, at, end)
        if kind == VARINT:
            at = start
            yield number, kind, length, at
            continue
        at = start + length
        if at > end:
            raise Broken("it is truncated")
        yield number, kind, start, at


def text(data: Data, start: int, end: int) -> str:
    """Return the text between two positions.

    Raises:
        Broken: it is no UTF-8.
    """
    try:
        return str(data[start:end], "utf-8")
    except UnicodeDecodeError:
        raise Broken("a name is not valid UTF-8") from None


def signed(value: int) -> int:
    """Return the signed 64-bit integer with the same bits as an unsigned one."""
    return value - (1 << 64) if value >> 63 else value


def choice(value: int) -> int:
    """Return the value of an enum field, such as a type.

    Raises:
        Broken: it is too large, so that libraries would interpret it differently.
    """
    if value >= MAX_CHOICES:
        raise Broken("a type has an unknown number")
    return value


def message(
    data: Data, at: int, end: int, known: dict[int, int], repeated: frozenset[int] = frozenset()
) -> Iterator[tuple[int, int, int]]:
    """Yield the fields of a message whose fields are all known, as ``(number, value or start, end)``.

    Args:
        data: the file.
        at: the position of the beginning of the message.
        end: the position of its end.
        known: the wire type of each field.
        repeated: the fields that may be repeated.

    Raises:
        Broken: it is no such message, or contains a field twice, of which libraries use the last or merge both.
    """
    seen = set()
    for number, kind, start, stop in fields(data, at, end):
        if number not in known:
            raise Broken(f"it contains the unknown field number {number}")
        if known[number] != kind:
            raise Broken(f"its field number {number} has the wrong type")
        if number not in repeated:
            if number in seen:
                raise Broken(f"it contains field number {number} twice")
            seen.add(number)
        yield number, start, stop
