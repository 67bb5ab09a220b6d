"""The description of the REST API as OpenAPI 3.1, generated from the routes and types, and a page to read it.

apispec only collects the description: routes, errors and validation remain in this package, and it is small and
maintained. msgspec generates the schemas, because it reads TypedDicts and dataclasses directly.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import Any, cast, get_type_hints

import msgspec
from apispec import APISpec
from flask import Blueprint, Flask, Response, current_app, jsonify, render_template, request
from werkzeug.routing import Rule

from picasso import __version__, errors
from picasso.jobs import audit_documents
from picasso.models.info import Place
from picasso.web.api import schemas, schemas_audits, schemas_questions, schemas_runs
from picasso.web.api.operations import IN_ADDRESSES, OPERATIONS, TAGS, Operation
from picasso.web.context import cookie_name
from picasso.web.error_handlers import RETRY, SENTENCES

blueprint = Blueprint("openapi", __name__, url_prefix="/api")

TITLE = "Picasso"
SUMMARY = """\
Programs can do everything that the pages do. Images, runs, audits and results belong to a session. The first upload
starts a session and sets a cookie that every later request must send. All errors have the same format."""
# The errors that a request can cause, by status; start-up errors are not included.
FAMILY = [
    errors.BadRequest, errors.Unauthorized, errors.Forbidden, errors.NotFound, errors.TooLarge,
    errors.UnsupportedImage, errors.TooMany, errors.RunError, errors.WorkerDied, errors.ModelError, errors.NotReady,
    errors.Busy, errors.StorageFull,
]  # fmt: skip
OTHERS = {
    416: ("http_error", "The requested range is not satisfiable."),
    500: ("internal", "An internal error occurred."),
}
# The types by the names of their schemas.
NAMED = {**vars(schemas), **vars(schemas_runs), **vars(schemas_audits), **vars(schemas_questions)}
NAMED |= {"Direction": audit_documents.Direction, "Place": Place}
REFERENCE = "#/components/schemas/{name}"
BINARY = {"type": "string", "format": "binary"}


@blueprint.get("/openapi.json")
def show_description() -> Response:
    """Return the description of this API as OpenAPI 3.1, for programs."""
    made = document()
    schemes = {"session": {**made["components"]["securitySchemes"]["session"], "name": cookie_name()}}
    # The same for all visitors, except for the URL under which they reach the server.
    components = {**made["components"], "securitySchemes": schemes}
    return jsonify({**made, "servers": [{"url": f"{request.script_root}/"}], "components": components})


@blueprint.get("/docs")
def show_docs() -> str:
    """Show the description of this API as a page."""
    return render_template("api.html", spec=document())


def document() -> dict[str, Any]:
    """Return the description of the current application; it is generated once."""
    app = current_app
    if "picasso.openapi" not in app.extensions:
        app.extensions["picasso.openapi"] = described(app)
    return cast(dict[str, Any], app.extensions["picasso.openapi"])


def described(app: Flask) -> dict[str, Any]:
    """Generate the description of an application."""
    info = {"description": SUMMARY, "license": {"name": "EPL-2.0", "identifier": "EPL-2.0"}}
    spec = APISpec(TITLE, __version__, "3.1.1", info=info, servers=[{"url": "/"}])
    for name, text in TAGS.items():
        spec.tag({"name": name, "description": text})
    for name, schema in made_schemas():
        spec.components.schema(name, schema)
    for status in sorted({cls.status for cls in FAMILY} | set(SENTENCES) | set(OTHERS)):
        spec.components.response(f"Error{status}", error_response(status))
    spec.components.security_scheme("session", {"type": "apiKey", "in": "cookie", "name": "picasso_session"})
    for rule, method, operation in api_operations(app):
        path = re.sub(r"<(?:[^<>:]+:)?(\w+)>", r"{\1}", rule.rule)
        spec.path(path, operations={method.lower(): describe(app, rule, operation)})
    return spec.to_dict()


def api_operations(app: Flask) -> list[tuple[Rule, str, Operation]]:
    """Return the routes under /api with their methods and operations, in the order of the table.

    Raises:
        KeyError: a route is not in the table.
    """
    order = list(OPERATIONS)
    rules = [rule for rule in app.url_map.iter_rules() if rule.rule.startswith("/api")]
    found = [(rule, method) for rule in rules for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}]
    known = [(rule, method, OPERATIONS[rule.endpoint]) for rule, method in found]
    return sorted(known, key=lambda one: order.index(one[0].endpoint))


def describe(app: Flask, rule: Rule, operation: Operation) -> dict[str, Any]:
    """Return the description of one operation."""
    summary, _, more = (inspect.getdoc(app.view_functions[rule.endpoint]) or "").partition("\n")
    described: dict[str, Any] = {
        "operationId": rule.endpoint.rpartition(".")[2],
        "tags": [operation.tag],
        "summary": plain(summary),
        "parameters": [*map(in_address(operation), sorted(rule.arguments, key=rule.rule.index)), *operation.query],
        "responses": {str(operation.status): answer(operation)},
    }
    if more.strip():
        described["description"] = plain(more.strip())
    if operation.body:
        content: dict[str, Any] = {"schema": operation.body.__name__, "example": operation.example}
        described["requestBody"] = {"required": True, "content": {"application/json": content}}
    if operation.uploads:
        files = {"type": "array", "items": BINARY, "minItems": 1}
        texts = {name: {"type": "string", "description": text} for name, text in operation.texts.items()}
        properties = {**texts, operation.uploads: files}
        form = {"type": "object", "properties": properties, "required": list(properties)}
        described["requestBody"] = {"required": True, "content": {"multipart/form-data": {"schema": form}}}
    if operation.session:
        described["security"] = [*([{}] if operation.session == "used" else []), {"session": []}]
    if operation.partial:
        described["responses"] |= {
            "206": {"description": "The requested range.", "content": files_of(operation)},
            "304": {"description": "Not modified."},
        }
    described["responses"] |= {str(status): f"Error{status}" for status in statuses(rule, operation)}
    return described


def statuses(rule: Rule, operation: Operation) -> list[int]:
    """Return the status codes of the errors that an operation can return."""
    # A rejected host name; a missing or wrong password, or too many wrong ones; another site.
    found = {400, 401, 403, 429, *operation.errors}
    if rule.arguments:  # a slash in one of them makes another address, which may take other methods
        found |= {404, 405}
    if operation.session == "needed":
        found.add(404)
    if operation.body or operation.uploads:
        found |= {413, 415}
    if operation.partial:
        found.add(416)
    return sorted(found)


def in_address(operation: Operation) -> Any:
    """Return the description of a parameter in the URL of an operation."""

    def described(name: str) -> dict[str, Any]:
        known = {"name": name, "in": "path", "required": True, **IN_ADDRESSES[name]}
        return {**known, "description": operation.name} if name == "name" else known

    return described


def files_of(operation: Operation) -> dict[str, Any]:
    """Return the content of a response that is a file."""
    media = operation.answer if isinstance(operation.answer, tuple) else ()
    texts = {"application/json": {"type": "object"}, "text/html": {"type": "string"}, "text/csv": {"type": "string"}}
    texts["application/xml"] = {"type": "string"}
    return {one: {"schema": texts.get(one, BINARY)} for one in media}


def answer(operation: Operation) -> dict[str, Any]:
    """Return the description of the successful response."""
    if isinstance(operation.answer, tuple):
        content, says = files_of(operation), operation.says
    else:
        known = operation.answer is not dict
        schema: Any = operation.answer.__name__ if known else {"type": "object"}
        content = {"application/json": {"schema": schema}}
        says = operation.says or plain(docstring(operation.answer)[0])
    headers = {name: {"description": text, "schema": {"type": "string"}} for name, text in operation.headers.items()}
    return {"description": says, "content": content, **({"headers": headers} if headers else {})}


def error_response(status: int) -> dict[str, Any]:
    """Return the description of the error response of one status, from the error classes."""
    known = {cls.code: docstring(cls)[0] for cls in FAMILY if cls.status == status}
    for code, sentence in filter(None, (SENTENCES.get(status), OTHERS.get(status))):
        known.setdefault(code, sentence)
    examples = {
        code: {"value": {"ok": False, "error": {"code": code, "message": sentence}}} for code, sentence in known.items()
    }
    response: dict[str, Any] = {
        "description": " ".join(f"`{code}`: {sentence}" for code, sentence in known.items()),
        "content": {"application/json": {"schema": "Error", "examples": examples}},
    }
    if status in RETRY:
        seconds = {"description": "The number of seconds to wait before trying again.", "schema": {"type": "integer"}}
        response["headers"] = {"Retry-After": seconds}
    return response


def made_schemas() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the schemas of all documents by name, with the descriptions in the docstrings."""
    operations = OPERATIONS.values()
    wanted = [one for operation in operations for one in (operation.answer, operation.body) if isinstance(one, type)]
    types = dict.fromkeys([*(one for one in wanted if one is not dict), schemas.Error, *schemas_questions.SHAPES])
    _, made = msgspec.json.schema_components(types, ref_template=REFERENCE)
    for name, schema in sorted(made.items()):
        text, fields = docstring(NAMED[name])
        schema["description"] = plain(text)
        if "properties" in schema:
            properties = schema["properties"]
            order = [key for key in get_type_hints(NAMED[name]) if key in properties]
            schema["properties"] = {key: described_field(properties[key], fields.get(key, "")) for key in order}
            if not hasattr(NAMED[name], "__required_keys__"):
                # Dataclasses are serialized with all their fields.
                schema["required"] = order
        yield name, schema


def described_field(schema: dict[str, Any], text: str) -> dict[str, Any]:
    """Return the schema of a field with its description, and without the default of a dataclass."""
    kept = {key: value for key, value in without_tails(schema).items() if key != "default"}
    return {**kept, "description": plain(text[0].upper() + text[1:])} if text else kept


def without_tails(schema: Any) -> Any:
    """Return a schema without ``items: false`` after the items of a tuple, which apispec would read as a name."""
    if isinstance(schema, list):
        return [without_tails(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    return {key: without_tails(value) for key, value in schema.items() if not (key == "items" and value is False)}


def docstring(cls: type) -> tuple[str, dict[str, str]]:
    """Return the summary of a docstring, and the description of each field below ``Attributes:``."""
    text, _, rest = (inspect.getdoc(cls) or "").partition("\n\nAttributes:\n")
    parts = re.findall(r"^ {4}(\w+): (.*(?:\n {8}.*)*)", rest, re.MULTILINE)
    return " ".join(text.split()), {name: " ".join(said.split()) for name, said in parts}


def plain(text: str) -> str:
    """Return a docstring as Markdown."""
    return re.sub(r":\w+:`~?([^`]+)`", r"`\1`", text.replace("``", "`"))
