"""Read JSON from a model file, with a limit on the memory before it is parsed."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from typing import Any

from picasso.models.scan.findings import Context, Finding, Kind
from picasso.models.scan.quoting import shown

# The approximate memory of Python for each of these characters, and the maximum memory of a document, in bytes.
COST = {b"{": 240, b"[": 72, b",": 64}
MAX_BYTES = 200_000_000
MAX_INTEGER = 2**64


class Unreadable(Exception):
    """Part of a model file can't be read; :attr:`finding` states the reason."""

    def __init__(self, kind: Kind, where: str, what: str) -> None:
        super().__init__(what)
        self.finding = Finding(kind, where, what)


class Refused(ValueError):
    """The JSON contains a value that no model needs."""


def parse(text: bytes, context: Context, where: str) -> Any:
    """Return the value of a JSON document in UTF-8.

    Keras reads the same value from the document, because everything that parsers interpret differently is rejected.

    Raises:
        Unreadable: the document is too large, no JSON, repeats a key, or contains NaN or a number of more than 64 bits.
    """
    needed = memory_of(text)
    if len(text) > context.limits.json_bytes or needed > MAX_BYTES:
        raise Unreadable(Kind.LIMIT, where, f"the JSON has {len(text):,} bytes, and reading it may take {needed:,}")
    try:
        value = json.loads(
            text.decode("utf-8"),
            object_pairs_hook=distinct,
            parse_int=integer,
            parse_float=number,
            parse_constant=constant,
        )
    except RecursionError:
        value = None
    except Refused as error:
        raise Unreadable(Kind.BROKEN, where, str(error)) from error
    except ValueError as error:
        raise Unreadable(Kind.BROKEN, where, f"the JSON can't be read ({shown(error)[1:-1]})") from error
    else:
        if depth(value, context.limits.json_depth) <= context.limits.json_depth:
            return value
    raise Unreadable(Kind.LIMIT, where, f"the JSON is nested more than {context.limits.json_depth} levels deep")


def memory_of(text: bytes) -> int:
    """Return the approximate memory for parsing a JSON document, in bytes."""
    return len(text) * (3 if text.isascii() else 6) + sum(text.count(sign) * cost for sign, cost in COST.items())


def depth(value: Any, most: int) -> int:
    """Return the nesting depth of objects and arrays, counting up to ``most + 1``."""
    level, found = [value], 0
    while level and found <= most:
        level = [part for one in level if isinstance(one, dict | list) for part in parts(one)]
        found += bool(level)
    return found


def parts(value: dict[str, Any] | list[Any]) -> Iterable[Any]:
    """Return the objects and arrays directly inside an object or array."""
    inside = value.values() if isinstance(value, dict) else value
    return [one for one in inside if isinstance(one, dict | list)]


def distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the pairs of an object as a dictionary; raise Refused for repeated keys."""
    found = dict(pairs)
    if len(found) != len(pairs):
        keys = [key for key, _ in pairs]
        raise Refused(f"the JSON contains the key {shown(next(key for key in found if keys.count(key) > 1))} twice")
    return found


def integer(digits: str) -> int:
    """Return an integer of at most 64 bits, or raise Refused."""
    if len(digits) > 21 or abs(int(digits)) > MAX_INTEGER:
        raise Refused(f"the JSON contains the number {shown(digits)}, which has more than 64 bits")
    return int(digits)


def number(digits: str) -> float:
    """Return a finite float, or raise Refused."""
    found = float(digits)
    if not math.isfinite(found):
        raise Refused(f"the JSON contains the number {shown(digits)}, which is too large")
    return found


def constant(name: str) -> float:
    """Return plus or minus infinity, which attention masks use; raise Refused for NaN."""
    if name == "NaN":
        raise Refused("the JSON contains NaN")
    return float(name.replace("Infinity", "inf"))
