"""Sentences for validation errors: the invalid field, and its valid values, which are read from the type's schema."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import msgspec
from werkzeug.datastructures import FileStorage

BINARY = {"type": "string", "format": "binary"}


def explained(error: str, kind: type[Any]) -> tuple[str | None, str]:
    """Return the field that a validation error of msgspec is about, and a sentence with its valid values."""
    _, parts = msgspec.json.schema_components((kind,), schema_hook=binary)
    properties = parts[kind.__name__]["properties"]
    place = re.search(r"`\$\.(\w+)", error)
    if place and place[1] in properties:
        return place[1], f"{place[1]} must be {valid_values(properties[place[1]])}."
    missing = re.search("missing required field `(.+?)`", error)
    if missing:
        return missing[1], f"{missing[1]} is missing."
    unknown = re.search("unknown field `(.*?)`", error, re.DOTALL)
    if unknown:
        return unknown[1], f"There is no field {unknown[1]!r}; the fields are {', '.join(properties)}."
    return None, "The request must hold an object with named fields."


def valid_values(schema: dict[str, Any]) -> str:
    """Return the values that a schema allows, in words."""
    if "anyOf" in schema:
        kinds = [one.get("type") for one in schema["anyOf"]]
        chosen = [one for one in schema["anyOf"] if not (one.get("type") == "integer" and "number" in kinds)]
        # Null comes first, so that it does not seem to belong to the values of a list.
        *most, last = map(valid_values, sorted(chosen, key=lambda one: one.get("type") != "null"))
        return f"{', '.join(most)} or {last}" if most else last
    if "enum" in schema:
        return f"one of {', '.join(map(str, schema['enum']))}"
    kind = schema.get("type", "object")
    if kind == "array" and schema["items"] == BINARY:
        return "one or more files"
    most_values = schema.get("maxItems", schema.get("maxProperties"))
    bound = "" if most_values == schema.get("minItems") else "at most "
    size = f" of {bound}{most_values:,} values" if most_values else ""
    words = {"integer": "a whole number", "number": "a number", "boolean": "true or false", "null": "null"}
    characters = f" of at most {schema['maxLength']:,} characters" if "maxLength" in schema else ""
    words |= {"string": f"text{characters}" + (" that is not empty" if "minLength" in schema else "")}
    words |= {"array": f"a list{size}{each_value(schema.get('items') or same(schema.get('prefixItems', ())))}"}
    words |= {"object": f"an object{size}{each_value(schema.get('additionalProperties'))}"}
    return words[kind] + limits(schema) + "".join(f" such as {one!r}" for one in schema.get("examples", ()))


def each_value(schema: dict[str, Any] | None) -> str:
    """Return what each value in a list or an object must be, in words."""
    return f" in which each value is {valid_values(schema)}" if schema else ""


def same(schemas: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """Return the schema of all values of a list of fixed length, or None if they differ."""
    return schemas[0] if schemas and all(one == schemas[0] for one in schemas) else None


def limits(schema: dict[str, Any]) -> str:
    """Return the limits of a number in words."""
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None and high is not None:
        return f" from {low} to {high}"
    bounds = {"at least": low, "above": schema.get("exclusiveMinimum"), "at most": high}
    said = [f"{word} {bound}" for word, bound in bounds.items() if bound is not None]
    return f" {', '.join(said)}" if said else ""


def binary(kind: type) -> dict[str, Any]:
    """Return the schema of an uploaded file."""
    if kind is not FileStorage:
        raise NotImplementedError
    return BINARY
