"""Operations of the REST API: views whose annotations validate the request, serialize the response and describe both.

The names of a view's parameters determine where their values come from. ``body`` is the JSON document of the request,
``query`` are the query parameters, ``form`` are the multipart fields, and ``settings`` are the query parameters that
``query`` does not name. All others are parts of the URL. A view returns a
:class:`~picasso.web.api.documents.Document`, or a response with a file.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, ParamSpec, TypeVar, cast, get_type_hints

import msgspec
from flask import Response, request
from werkzeug.exceptions import UnsupportedMediaType

from picasso.errors import BadRequest, PicassoError
from picasso.web.api.documents import Document
from picasso.web.api.validation import explained

P = ParamSpec("P")
D = TypeVar("D", bound=Document | Response)

TAGS = {
    "The application": "The server and its model.",
    "Images": "The uploaded images and their order.",
    "Visualizations": "The available visualizations and their settings.",
    "Runs": "One visualization of some images: start it, query its state, download the results.",
    "Audits": "What the model relies on: create an audit, send labelled images, start it, query its state.",
    "Gallery": "The predictions for all images, and their accuracy if the images are in folders named after classes.",
    "Channels": "Inside the network: what the channels of a layer respond to, and what happens without one.",
    "Concepts": "Directions of a layer's channels: search for them, and see what happens without one.",
    "Grades": "How far maps can be trusted: curves, random weights, other fills, flipped images; rankings of methods.",
    "Questions": "Answered immediately, even during a long run.",
    "The original's calls": "As version 0.2.0 of the original Picasso had them.",
}
APPLICATION, IMAGES, VISUALIZATIONS, RUNS, AUDITS, GALLERY, CHANNELS, CONCEPTS, GRADES, QUESTIONS, CLASSIC = TAGS
# Whether an operation needs a session, uses it if there is one, or starts one.
SessionUse = Literal["none", "used", "needed", "started"]
FROM_REQUEST = ("body", "query", "form", "settings")
# The fields of requests that hold a list, by the names that errors of the application give one of its values.
LISTS_OF = {
    "class": ("classes", "targets"),
    "folder": ("class", "classes"),
    "image": ("images",),
    "model": ("models",),
    "target": ("targets",),
    "visualization": ("visualizer", "visualizations"),
}


@dataclass(frozen=True)
class Operation:
    """The parameters and the response of one view.

    Attributes:
        tag: one of :data:`TAGS`.
        parameters: the types of the parameters in the URL, by name.
        body: the type of the JSON document in the request, if there is one.
        query: the type of the query parameters, if there are any.
        form: the type of the multipart fields, if there are any.
        settings: whether further query parameters are the settings of a visualization.
        answer: the type of the JSON document in the response, or None if it is a file.
        media: the media types of the file.
        says: a description of the response, if its type has none.
        status: the status code of the successful response; 202 names the URL of what was queued in a header.
        example: an example of the body as JSON, of the multipart fields as options of curl, or of the query.
        session: the use of the visitor's session.
        errors: the status codes of further errors.
        partial: whether range requests and conditional requests are supported.
    """

    tag: str
    parameters: dict[str, Any]
    body: type[Any] | None
    query: type[Any] | None
    form: type[Any] | None
    settings: bool
    answer: type[Document] | None
    media: tuple[str, ...]
    says: str
    status: int
    example: str
    session: SessionUse
    errors: tuple[int, ...]
    partial: bool

    def arguments(self) -> dict[str, Any]:
        """Return the validated arguments from the current request.

        Raises:
            BadRequest: a field is missing or invalid.
        """
        found: dict[str, Any] = {}
        given = request.args.to_dict()
        if self.settings:
            named = self.query.__struct_fields__ if self.query else ()
            found["settings"] = {name: given.pop(name) for name in list(given) if name not in named}
        if self.query:
            found["query"] = self.checked(self.query, "a query such as", from_query(given))
        if self.body:
            found["body"] = self.checked(self.body, "a JSON object such as", from_json)
        if self.form:
            found["form"] = self.checked(self.form, "multipart/form-data, as in: curl", from_form)
        return found

    def checked(self, kind: type[Any], what: str, read: Callable[[type[Any]], Any]) -> Any:
        """Return what ``read`` makes of the request, or raise a BadRequest that says which values are valid."""
        hint = f"Send {what} {self.example}." if self.example else ""
        try:
            return read(kind)
        except msgspec.ValidationError as error:
            field, problem = explained(str(error), kind)
            raise BadRequest(" ".join(filter(None, (problem, hint))), field=field) from None
        except RecursionError:
            raise BadRequest("The JSON document is nested too deeply.") from None
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise BadRequest(f"The body is not valid JSON in UTF-8. {hint}") from None

    def field(self, name: str | None) -> str | None:
        """Return the field of the request for the field of an error, which may name one value of a list."""
        fields = {one for kind in (self.body, self.query, self.form) if kind for one in kind.__struct_encode_fields__}
        return name if name in fields else next((one for one in LISTS_OF.get(name or "", ()) if one in fields), name)


def from_json(kind: type[Any]) -> Any:
    """Return the JSON document in the body of the request."""
    if not request.is_json:
        raise UnsupportedMediaType
    return msgspec.json.decode(request.get_data(), type=kind)


def from_form(kind: type[Any]) -> Any:
    """Return the multipart fields of the request that a type names; forms of browsers may have others."""
    values: dict[str, Any] = request.form.to_dict()
    values |= {name: [one for one in files if one.filename] for name, files in request.files.lists()}
    return msgspec.convert({name: values[name] for name in kind.__struct_encode_fields__ if name in values}, kind)


def from_query(given: dict[str, str]) -> Callable[[type[Any]], Any]:
    """Return a function that reads query parameters."""
    return lambda kind: msgspec.convert(given, kind, strict=False)


def operation(
    tag: str,
    *,
    media: tuple[str, ...] = (),
    says: str = "",
    status: int = 200,
    example: str = "",
    session: SessionUse = "none",
    errors: tuple[int, ...] = (),
    partial: bool = False,
) -> Callable[[Callable[P, D]], Callable[..., Response]]:
    """Make a function with annotations a view that validates its request and describes itself.

    The arguments are attributes of :class:`Operation`; the annotations of the function give the others.
    """

    def decorate(view: Callable[P, D]) -> Callable[..., Response]:
        hints = get_type_hints(view, include_extras=True)
        names = list(inspect.signature(view).parameters)
        answer = None if media else hints["return"]
        described = Operation(
            tag=tag,
            parameters={name: hints[name] for name in names if name not in FROM_REQUEST},
            body=hints.get("body"),
            query=hints.get("query"),
            form=hints.get("form"),
            settings="settings" in names,
            answer=answer,
            media=media,
            says=says,
            status=status,
            example=example,
            session=session,
            errors=errors,
            partial=partial,
        )

        @functools.wraps(view)
        def answered(**address: Any) -> Response:
            arguments = described.arguments()
            try:
                made = cast(Callable[..., Document | Response], view)(**address, **arguments)
            except PicassoError as error:
                error.field = described.field(error.field)
                raise
            response = made if isinstance(made, Response) else as_json(made)
            if status == 202:
                response.status_code = status
                response.headers["Location"] = made.url  # type: ignore[union-attr]
            return response

        answered.operation = described  # type: ignore[attr-defined]
        return answered

    return decorate


def as_json(document: Document) -> Response:
    """Return a document as a response."""
    return Response(msgspec.json.encode(document) + b"\n", mimetype="application/json")
