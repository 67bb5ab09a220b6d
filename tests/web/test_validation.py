"""Errors of a request name the field and the values that are valid for it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
import pytest
from flask import Flask, Response
from msgspec import Meta

from picasso.errors import BadRequest, PicassoError
from picasso.web import error_handlers
from picasso.web.api.documents import Document, Fraction, Number, Request, Uid
from picasso.web.api.operations import RUNS, operation
from picasso.web.api.validation import explained, valid_values


class Body(Request):
    """Everything that a request can hold."""

    name: str
    uids: Annotated[list[Uid], Meta(max_length=3)] | None = None
    values: dict[str, str | int | float | bool] = {}
    count: Number = 0
    budget: Annotated[float, Meta(gt=0, le=9)] | None = None
    show: Literal["true", "false"] = "true"


@pytest.mark.parametrize(
    ("text", "field", "sentence"),
    [
        ("[]", None, "The request must hold an object with named fields."),
        ("{}", "name", "name is missing."),
        ('{"name": 3}', "name", "name must be text."),
        ('{"name": null}', "name", "name must be text."),
        (
            '{"name": "a", "uids": [1.5]}',
            "uids",
            "uids must be null or a list of at most 3 values in which each value is a whole number from 0 to 999999999 "
            "or text such as '7'.",
        ),
        (
            '{"name": "a", "values": {"b": []}}',
            "values",
            "values must be an object in which each value is text, a number or true or false.",
        ),
        ('{"name": "a", "count": true}', "count", "count must be a whole number from 0 to 999999999."),
        ('{"name": "a", "budget": 0}', "budget", "budget must be null or a number above 0, at most 9."),
        ('{"name": "a", "show": "no"}', "show", "show must be one of false, true."),
        (
            '{"name": "a", "uid": [0]}',
            "uid",
            "There is no field 'uid'; the fields are name, uids, values, count, budget, show.",
        ),
    ],
)
def test_the_field_and_its_values_are_named(text: str, field: str | None, sentence: str) -> None:
    with pytest.raises(msgspec.ValidationError) as caught:
        msgspec.json.decode(text, type=Body)
    assert explained(str(caught.value), Body) == (field, sentence)


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"$ref": "#/components/schemas/Box"}, "an object"),
        ({"type": "integer", "minimum": 0}, "a whole number at least 0"),
        ({"anyOf": [{"type": "integer"}, {"type": "number"}]}, "a number"),
        ({"type": "string", "minLength": 1}, "text that is not empty"),
        ({"type": "string", "maxLength": 60}, "text of at most 60 characters"),
        ({"type": "object", "maxProperties": 5000}, "an object of at most 5,000 values"),
        (
            msgspec.json.schema(tuple[Fraction, Fraction]),
            "a list of 2 values in which each value is a number from 0 to 1",
        ),
        (msgspec.json.schema(tuple[Fraction, str]), "a list of 2 values"),
        ({"type": "array", "items": {"type": "string", "format": "binary"}}, "one or more files"),
    ],
)
def test_schemas_in_words(schema: dict[str, Any], words: str) -> None:
    assert valid_values(schema) == words


def test_an_error_names_the_field_that_holds_the_value(served: Any) -> None:
    answer = served.get("/api/which?models=a")
    assert (answer.status_code, answer.json["error"]["field"]) == (400, "models")


def test_long_messages_are_cut_in_the_middle() -> None:
    assert error_handlers.shorten("short", 5) == "short"
    cut = error_handlers.shorten("a" * 5000 + "b" * 5000, 2000)
    assert (len(cut), cut[0], cut[-1]) == (2000, "a", "b")


class Query(Request):
    """A query with a list."""

    models: str = ""


class Answer(Document):
    """What was asked."""

    name: str
    count: int


@pytest.fixture
def served() -> Any:
    app = Flask("served")
    app.register_error_handler(PicassoError, error_handlers.foreseen)

    @app.post("/api/things/<thing>")
    @operation(RUNS, example='{"name": "a"}')
    def view(thing: str, body: Body) -> Answer:
        """Answer."""
        return Answer(name=f"{thing} {body.name}", count=body.count)

    @app.get("/api/which")
    @operation(RUNS)
    def which(query: Query) -> Answer:
        """Refuse a model."""
        raise BadRequest(f"There is no model {query.models}.", field="model")

    @app.get("/api/file")
    @operation(RUNS, media=("text/csv",), says="A table.")
    def file(settings: dict[str, str]) -> Response:
        """Answer with a file."""
        return Response(str(settings), mimetype="text/csv")

    return app.test_client()


def test_a_view_takes_the_types_that_it_names(served: Any) -> None:
    answer = served.post("/api/things/one", json={"name": "a", "count": 3})
    assert answer.json == {"name": "one a", "count": 3}
    assert served.get("/api/file?a=1&b=2").text == "{'a': '1', 'b': '2'}"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"[]", 'The request must hold an object with named fields. Send a JSON object such as {"name": "a"}.'),
        (b"{", 'The body is not valid JSON in UTF-8. Send a JSON object such as {"name": "a"}.'),
        (b"\xff", 'The body is not valid JSON in UTF-8. Send a JSON object such as {"name": "a"}.'),
        (b'{"name": "\xff"}', 'The body is not valid JSON in UTF-8. Send a JSON object such as {"name": "a"}.'),
        (b'{"\xed\xa0\x80": 1}', 'The body is not valid JSON in UTF-8. Send a JSON object such as {"name": "a"}.'),
        (b'{"name": 1e999}', 'name must be text. Send a JSON object such as {"name": "a"}.'),
    ],
)
def test_what_is_no_document_is_refused_in_words(served: Any, body: bytes, message: str) -> None:
    answer = served.post("/api/things/one", data=body, content_type="application/json")
    assert (answer.status_code, answer.json["error"]["message"]) == (400, message)
