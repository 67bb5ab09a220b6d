"""Tables of the documentation that are generated from the code."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from flask import Flask

from picasso import config
from picasso.explanation.registry import Registry
from picasso.visualizations import BaseVisualization
from picasso.web.api import openapi

# Parts of a help text that are marked as code: an assignment, a dotted name, a call, a key.
CODE = re.compile(r"[A-Z_]{5,} = \{.*\}|\b(?:\w+\.){2,}\w+|\b\w+\(\)|\b[A-Z]+(?:_[A-Z]+)+\b|\"\"")


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def code(text: str) -> str:
    """Return ``text`` as Markdown code."""
    return f"`{text}`"


def with_code(sentence: str) -> str:
    """Return a sentence with its keys, names and assignments marked as code."""
    return CODE.sub(lambda match: code(match.group()), sentence)


def settings() -> str:
    """Return the table of all settings."""
    rows = [
        (code(name), type(default).__name__, code(config.format_value(default)), with_code(help_of(name)))
        for name, default in config.DEFAULTS.items()
    ]
    return table(("Setting", "Type", "Default", "Description"), rows)


def help_of(name: str) -> str:
    """Return the help text of a setting."""
    return str(config.FIELDS[name].metadata["help"])


def replaced() -> str:
    """Return the table of the keys of the original Picasso that changed."""
    rows = [(code(key), with_code(now)) for key, now in config.REPLACED.items()]
    return table(("Key of the original", "Now"), rows)


def settings_of(visualization: type[BaseVisualization[Any]]) -> str:
    """Return the table of a visualization's settings."""
    rows = [
        (code(name), code(control.show(control.default)), control.allowed(), control.help)
        for name, control in visualization.ALLOWED_SETTINGS.controls().items()
    ]
    return table(("Setting", "Default", "Values", "Description"), rows)


def fields_of(schema: dict[str, Any]) -> str:
    """Return the table of the fields of a JSON document of the REST API."""
    required = schema.get("required", ())
    rows = [
        (code(name), kind(field) + ("" if name in required else ", optional"), meaning(field))
        for name, field in schema["properties"].items()
    ]
    return table(("Field", "Type", "Meaning"), rows)


def meaning(field: dict[str, Any]) -> str:
    """Return the description of a field, with its default."""
    text, default = str(field.get("description", "")), field.get("default")
    said = f" Default: {code(str(default).lower() if isinstance(default, bool) else str(default))}."
    return text + (said if default or default is False else "")


def kind(schema: dict[str, Any]) -> str:
    """Return the type of a field in words."""
    if "$ref" in schema:
        return code(str(schema["$ref"]).rpartition("/")[2])
    alternatives = schema.get("anyOf") or schema.get("oneOf")
    if alternatives:
        # A whole number is a number; null comes last, behind a comma, so that it does not seem to be in a list.
        kinds = list(dict.fromkeys(map(kind, alternatives)))
        chosen = [one for one in kinds if one != "null" and not (one == "integer" and "number" in kinds)]
        return " or ".join(chosen) + (", or null" if "null" in kinds else "")
    if "const" in schema:
        return code(str(schema["const"]).lower())
    if "enum" in schema:
        return ", ".join(map(code, schema["enum"]))
    if schema.get("type") == "array":
        if "prefixItems" in schema:
            return f"{len(schema['prefixItems'])} of {kind(schema['prefixItems'][0])}"
        return f"list of {kind(schema['items'])}"
    if schema.get("type") == "object" and schema.get("additionalProperties"):
        return f"object of {kind(schema['additionalProperties'])}"
    return str(schema.get("type", "any"))


def rest(app: Flask) -> dict[str, str]:
    """Return the tables of the REST API: the documents in the body of a request, and all others together."""
    description = openapi.described(app)
    bodies = {
        content["schema"]["$ref"].rpartition("/")[2]
        for operations in description["paths"].values()
        for operation in operations.values()
        for content in operation.get("requestBody", {}).get("content", {}).values()
        if "$ref" in content["schema"]
    }
    schemas: dict[str, dict[str, Any]] = description["components"]["schemas"]
    made = {f"fields_of_{name}": fields_of(schemas[name]) for name in bodies}
    others = [
        f"**{code(name)}**: {schema['description']}\n\n{fields_of(schema)}"
        for name, schema in schemas.items()
        if name not in bodies and "properties" in schema
    ]
    return {**made, "documents": "\n\n".join(others)}


def substitutions(app: Flask) -> dict[str, str]:
    """Return every table by its name in the pages.

    Args:
        app: an application whose views are registered.
    """
    made = {"settings": settings(), "replaced": replaced(), **rest(app)}
    for entry in Registry().entries():
        if entry.cls and entry.cls.ALLOWED_SETTINGS.controls():
            made[f"settings_of_{entry.name}"] = settings_of(entry.cls)
        elif entry.cls is None:
            # Its settings are known once the extra is installed.
            made[f"settings_of_{entry.name}"] = f"{entry.name} {entry.reason}"
    return made
