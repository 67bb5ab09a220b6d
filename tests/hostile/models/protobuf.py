"""Writing protocol buffers from nothing, so that no library stands between a test and the bytes."""

from __future__ import annotations


def varint(value: int) -> bytes:
    """Return an integer as a varint; negative ones take ten bytes."""
    value &= 0xFFFF_FFFF_FFFF_FFFF
    parts = bytearray()
    while value > 127:
        parts.append(value & 127 | 128)
        value >>= 7
    return bytes([*parts, value])


def field(number: int, value: bytes | str | int) -> bytes:
    """Return a field: an integer as a varint, a text or a message with its length."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    content = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(content)) + content


def entry(number: int, key: str, value: bytes) -> bytes:
    """Return an entry of a map from texts to messages."""
    return field(number, field(1, key) + field(2, value))
