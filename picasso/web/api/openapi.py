"""The description of the REST API as OpenAPI 3.1, generated from the views and their types, and a page to read it."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Iterator
from typing import Any, cast

import msgspec
from flask import Blueprint, Flask, Response, current_app, render_template, request
from werkzeug.routing import Rule

from picasso import __version__, errors
from picasso.targets import Prediction
from picasso.web.api.documents import Document, Error
from picasso.web.api.operations import APPLICATION, TAGS, Operation, operation
from picasso.web.api.questions import SHAPES
from picasso.web.api.validation import BINARY, binary
from picasso.web.context import cookie_name, services
from picasso.web.error_handlers import RETRY, SENTENCES

blueprint = Blueprint("openapi", __name__, url_prefix="/api")

SUMMARY = """\
Programs can do everything that the pages do. Images, runs, audits and results belong to a session. The first upload
starts a session and sets a cookie that every later request must send. All errors have the same format."""
# The errors that a request can cause.
FAMILY: list[type[errors.PicassoError]] = [
    errors.BadRequest, errors.Unauthorized, errors.Forbidden, errors.NotFound, errors.TooLarge,
    errors.UnsupportedImage, errors.TooMany, errors.RunError, errors.WorkerDied, errors.ModelError, errors.NotReady,
    errors.Busy, errors.StorageFull, errors.ConfigurationError,
]  # fmt: skip
OTHERS = {
    416: ("http_error", "The requested range is not satisfiable."),
    500: ("internal", "An internal error occurred."),
}
SETTINGS = {
    "name": "settings",
    "in": "query",
    "description": "The settings of the visualization, one parameter each; omitted ones have their defaults.",
    "schema": {"type": "object", "additionalProperties": {"type": "string"}},
    "style": "form",
    "explode": True,
    "example": {"Window": "0.30", "Strides": "10"},
}
# The schemas of responses that are files, by their media type; others are bytes.
FILES = {media: {"type": "object"} for media in ("application/json", "application/sarif+json")} | {
    media: {"type": "string"} for media in ("text/html", "text/csv", "text/markdown", "application/xml")
}
REFERENCE = "#/components/schemas/{name}"


@blueprint.get("/openapi.json")
@operation(APPLICATION, media=("application/json",), says="This description, an OpenAPI document.")
def show_description() -> Response:
    """Return the description of this API as OpenAPI 3.1, for programs."""
    made = document()
    # The same for all visitors, except for the URL under which they reach the server.
    schemes = {"session": {**made["components"]["securitySchemes"]["session"], "name": cookie_name()}}
    answer = {**made, "servers": [{"url": f"{request.script_root}/"}]}
    if services().settings.asks_for_password():
        schemes["password"] = {"type": "http", "scheme": "basic"}
        answer["paths"] = {
            path: {method: with_password(one) for method, one in found.items()} for path, found in made["paths"].items()
        }
    answer["components"] = {**made["components"], "securitySchemes": schemes}
    return Response(msgspec.json.encode(answer) + b"\n", mimetype="application/json")


def with_password(operation: dict[str, Any]) -> dict[str, Any]:
    """Return the description of an operation that needs the password in addition."""
    return {**operation, "security": [{**one, "password": []} for one in operation.get("security", [{}])]}


@blueprint.get("/docs")
@operation(APPLICATION, media=("text/html",), says="An HTML page.")
def show_docs() -> Response:
    """Show the description of this API as a page."""
    return Response(render_template("api.html", spec=document()))


def document() -> dict[str, Any]:
    """Return the description of the current application; it is generated once."""
    app = current_app
    if "picasso.openapi" not in app.extensions:
        app.extensions["picasso.openapi"] = described(app)
    return cast(dict[str, Any], app.extensions["picasso.openapi"])


def described(app: Flask) -> dict[str, Any]:
    """Generate the description of an application."""
    found = api_operations(app)
    paths: dict[str, dict[str, Any]] = {}
    for rule, method, one in found:
        path = re.sub(r"<(?:[^<>:]+:)?(\w+)>", r"{\1}", rule.rule)
        paths.setdefault(path, {})[method.lower()] = describe(app, rule, one)
    known = sorted({cls.status for cls in FAMILY} | set(SENTENCES) | set(OTHERS))
    return {
        "openapi": "3.1.1",
        "info": {
            "title": "Picasso",
            "version": __version__,
            "description": SUMMARY,
            "license": {"name": "EPL-2.0", "identifier": "EPL-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": name, "description": text} for name, text in TAGS.items()],
        "paths": paths,
        "components": {
            "schemas": dict(sorted(schemas([one for _, _, one in found]).items())),
            "responses": {f"Error{status}": error_response(status) for status in known},
            "securitySchemes": {"session": {"type": "apiKey", "in": "cookie", "name": "picasso_session"}},
        },
    }


def api_operations(app: Flask) -> list[tuple[Rule, str, Operation]]:
    """Return the routes under /api with their methods and operations, by tag and in the order of their definition.

    Raises:
        AttributeError: a view is no operation.
    """
    tags, views = list(TAGS), list(app.view_functions)
    rules = [rule for rule in app.url_map.iter_rules() if rule.rule.startswith("/api")]
    found = [
        (rule, method, cast(Any, app.view_functions[rule.endpoint]).operation)
        for rule in rules
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    ]
    return sorted(found, key=lambda one: (tags.index(one[2].tag), views.index(one[0].endpoint)))


def describe(app: Flask, rule: Rule, one: Operation) -> dict[str, Any]:
    """Return the description of one operation."""
    summary, _, more = (inspect.getdoc(app.view_functions[rule.endpoint]) or "").partition("\n")
    made: dict[str, Any] = {
        "operationId": rule.endpoint.rpartition(".")[2],
        "tags": [one.tag],
        "summary": plain(summary),
        "parameters": [*in_address(one), *in_query(one)],
        "responses": {str(one.status): answer(one)},
    }
    if more.strip():
        made["description"] = plain(more.strip())
    if one.body:
        example = msgspec.json.decode(one.example)
        content = {"application/json": {"schema": reference(one.body), "example": example}}
        made["requestBody"] = {"required": True, "content": content}
    if one.form:
        schema = components([one.form])[one.form.__name__]
        described = f"For example, with curl: `{one.example}`"
        content = {"multipart/form-data": {"schema": schema}}
        made["requestBody"] = {"required": True, "description": described, "content": content}
    if one.session != "none":
        made["security"] = [*([{}] if one.session != "needed" else []), {"session": []}]
    if one.partial:
        made["responses"] |= {
            "206": {"description": "The requested range.", "content": files(one)},
            "304": {"description": "Not modified."},
        }
    made["responses"] |= {
        str(status): {"$ref": f"#/components/responses/Error{status}"} for status in statuses(rule, one)
    }
    return made


def statuses(rule: Rule, one: Operation) -> list[int]:
    """Return the status codes of the errors that an operation can return."""
    # A rejected host name; a missing or wrong password, or too many wrong ones; another site.
    found = {400, 401, 403, 429, *one.errors}
    if rule.arguments:  # a slash in one of them makes another address, which may take other methods
        found |= {404, 405}
    if one.session == "needed":
        found.add(404)
    if one.body or one.form:
        found |= {413, 415}
    if one.partial:
        found.add(416)
    return sorted(found)


def in_address(one: Operation) -> Iterator[dict[str, Any]]:
    """Yield the descriptions of the parameters in the URL of an operation."""
    for name, kind in one.parameters.items():
        schema = msgspec.json.schema(kind)
        yield {"name": name, "in": "path", "required": True, "description": schema.pop("description"), "schema": schema}


def in_query(one: Operation) -> Iterator[dict[str, Any]]:
    """Yield the descriptions of the query parameters of an operation."""
    if one.query:
        made = components([one.query])[one.query.__name__]
        for name, schema in made["properties"].items():
            text, required = schema.pop("description"), name in made.get("required", ())
            yield {"name": name, "in": "query", "description": text, "schema": schema, "required": required}
    if one.settings:
        yield SETTINGS


def files(one: Operation) -> dict[str, Any]:
    """Return the content of a response that is a file."""
    return {media: {"schema": FILES.get(media, BINARY)} for media in one.media}


def answer(one: Operation) -> dict[str, Any]:
    """Return the description of the successful response."""
    made: dict[str, Any] = {"description": one.says, "content": files(one)}
    if one.answer:
        made["description"] = plain(docstring(one.answer.__doc__ or "")[0])
        made["content"] = {"application/json": {"schema": reference(one.answer)}}
    headers = {"Location": "The URL of its state."} if one.status == 202 else {}
    headers |= {"Set-Cookie": "The id of the session, if this started it."} if one.session == "started" else {}
    if headers:
        made["headers"] = {name: {"description": text, "schema": {"type": "string"}} for name, text in headers.items()}
    return made


def error_response(status: int) -> dict[str, Any]:
    """Return the description of the error response of one status, from the error classes."""
    known = {cls.code: (inspect.getdoc(cls) or "").partition("\n")[0] for cls in FAMILY if cls.status == status}
    for code, sentence in filter(None, (SENTENCES.get(status), OTHERS.get(status))):
        known.setdefault(code, sentence)
    examples = {
        code: {"value": {"ok": False, "error": {"code": code, "message": sentence}}} for code, sentence in known.items()
    }
    response: dict[str, Any] = {
        "description": " ".join(f"`{code}`: {sentence}" for code, sentence in known.items()),
        "content": {"application/json": {"schema": reference(Error), "examples": examples}},
    }
    if status in RETRY:
        seconds = {"description": "The number of seconds to wait before trying again.", "schema": {"type": "integer"}}
        response["headers"] = {"Retry-After": seconds}
    return response


def reference(kind: type) -> dict[str, str]:
    """Return a reference to the schema of a type."""
    return {"$ref": REFERENCE.format(name=kind.__name__)}


def schemas(operations: Iterable[Operation]) -> dict[str, Any]:
    """Return the schemas of all documents by name; in those that the server sends, no field has a default."""
    found = list(operations)
    sent = components([Error, *(one.answer for one in found if one.answer)])
    can_omit = {cls.__name__ for cls in (*subclasses(Document), Prediction)}
    for name, schema in sent.items():
        properties = schema.get("properties", {})
        required = schema.get("required", ())
        always = [
            key for key, field in properties.items() if key in required or "default" in field or name not in can_omit
        ]
        if always:
            schema["required"] = always
        for field in properties.values():
            field.pop("default", None)
    return sent | components([*(one.body for one in found if one.body), *SHAPES])


def subclasses(cls: type[Document]) -> list[type[Document]]:
    """Return all subclasses of a class."""
    direct = cls.__subclasses__()
    return [*direct, *(below for one in direct for below in subclasses(one))]


def components(types: Iterable[type]) -> dict[str, Any]:
    """Return the schemas of types, and of all that they refer to, with the descriptions in the docstrings."""
    chosen = {kind.__name__: kind for kind in types}
    _, made = msgspec.json.schema_components(chosen.values(), ref_template=REFERENCE, schema_hook=binary)
    for name, schema in made.items():
        text, fields = docstring(schema.get("description", ""))
        for base in chosen[name].__mro__[1:] if name in chosen else ():
            fields = docstring(base.__doc__ or "")[1] | fields
        schema["description"] = plain(text)
        schema.pop("title", None)
        properties = schema.get("properties", {})
        if len(fields) == len(properties):
            # msgspec sorts the fields of dictionaries by name.
            schema["properties"] = properties = {key: properties[key] for key in fields}
        for key, said in fields.items():
            properties[key]["description"] = plain(said[0].upper() + said[1:])
    return made


def docstring(text: str) -> tuple[str, dict[str, str]]:
    """Return the summary of a docstring, and the description of each field below ``Attributes:``."""
    described = inspect.cleandoc(text).partition("\n\nExamples:\n")[0]
    text, _, rest = described.partition("\n\nAttributes:\n")
    parts = re.findall(r"^ {4}(\w+): (.*(?:\n {8}.*)*)", rest, re.MULTILINE)
    return " ".join(text.split()), {name: " ".join(said.split()) for name, said in parts}


def plain(text: str) -> str:
    """Return a docstring as Markdown."""
    return re.sub(r":\w+:`~?([^`]+)`", r"`\1`", text.replace("``", "`"))
