"""Errors of msgspec in words: which field is wrong, and which values are valid for it, from the type's own schema."""

from __future__ import annotations

import re
from typing import Any

import msgspec
from werkzeug.datastructures import FileStorage

BINARY = {"type": "string", "format": "binary"}


def explained(error: str, kind: type[Any]) -> tuple[str, str]:
    """Return the field that an error of msgspec is about, and a sentence with the values that are valid for it."""
    _, parts = msgspec.json.schema_components((kind,), schema_hook=binary)
    properties = parts[kind.__name__]["properties"]
    missing = re.search("missing required field `(.+?)`", error)
    place = re.search(r"`\$\.(\w+)", error)
    if place:
        return place[1], f"{place[1]} must be {valid_values(properties[place[1]])}."
    if missing:
        return missing[1], f"{missing[1]} is missing."
    # It is no object at all, and the example says what to send.
    return next(iter(properties)), ""


def valid_values(schema: dict[str, Any]) -> str:
    """Return the values that a schema allows, in words."""
    if "anyOf" in schema:
        kinds = [one.get("type") for one in schema["anyOf"]]
        chosen = [one for one in schema["anyOf"] if not (one.get("type") == "integer" and "number" in kinds)]
        # Null comes first, so that it does not seem to belong to the values of a list.
        *most, last = map(valid_values, sorted(chosen, key=lambda one: one.get("type") != "null"))
        return ", ".join(most) + f" or {last}"
    if "enum" in schema:
        return f"one of {', '.join(map(str, schema['enum']))}"
    kind = schema.get("type", "object")
    if kind == "array":
        size = f" of at most {schema['maxItems']} values" if "maxItems" in schema else ""
        return "one or more files" if schema["items"] == BINARY else f"a list{size}{each_value(schema['items'])}"
    words = {"integer": "a whole number", "number": "a number", "boolean": "true or false", "null": "null"}
    words |= {"string": "text", "object": f"an object{each_value(schema.get('additionalProperties'))}"}
    return words[kind] + limits(schema) + "".join(f" such as {one!r}" for one in schema.get("examples", ()))


def each_value(schema: dict[str, Any] | None) -> str:
    """Return what each value in a list or an object must be, in words."""
    return f" in which each value is {valid_values(schema)}" if schema else ""


def limits(schema: dict[str, Any]) -> str:
    """Return the limits of a number in words."""
    if "minimum" in schema:
        return f" from {schema['minimum']} to {schema['maximum']}"
    if "exclusiveMinimum" in schema:
        return f" above {schema['exclusiveMinimum']}, at most {schema['maximum']}"
    return ""


def binary(kind: type) -> dict[str, Any]:
    """Return the schema of an uploaded file."""
    if kind is not FileStorage:
        raise NotImplementedError
    return BINARY
