"""Error responses: a page, or a JSON document under ``/api``."""

from __future__ import annotations

import logging
from pathlib import Path
from urllib.parse import urlencode

from flask import Flask, Response, g, make_response, render_template, request, url_for
from msgspec import UNSET
from werkzeug.exceptions import HTTPException

from picasso.errors import NotFound, PicassoError, StorageFull
from picasso.fileio import is_full
from picasso.web.api.documents import Error, ErrorDetail
from picasso.web.api.operations import as_json

log = logging.getLogger(__name__)

SENTENCES = {
    400: ("bad_request", "The request is malformed."),
    404: ("not_found", "There is no page at this URL."),
    405: ("method_not_allowed", "This URL does not support the request method."),
    413: ("too_large", "The request exceeds the size limit of this server. Send fewer or smaller images."),
    415: ("unsupported_type", "The request body must be JSON. Send Content-Type: application/json."),
}
# The values of the header Retry-After, in seconds.
RETRY = {429: "60", 503: "2"}
# The maximum length of a message, in characters.
MAX_MESSAGE = 2_000
UNEXPECTED = "An internal error occurred. The server log has the details. Your images and results are kept."


def init_app(app: Flask) -> None:
    """Register handlers for all errors."""
    app.register_error_handler(PicassoError, foreseen)
    app.register_error_handler(HTTPException, http)
    app.register_error_handler(FileNotFoundError, vanished)
    app.register_error_handler(OSError, system)
    app.register_error_handler(Exception, unforeseen)


def foreseen(error: PicassoError) -> Response:
    """Return the response to a PicassoError, with its message."""
    return answer(error.status, error.code, error.message, error.field)


def http(error: HTTPException) -> Response:
    """Return the response to an error of Flask, such as an unknown URL."""
    status = error.code or 500
    if status < 400:
        return make_response(error.get_response())
    code, sentence = SENTENCES.get(status, ("http_error", error.description or UNEXPECTED))
    response = answer(status, code, sentence)
    # Such as the allowed methods or the length of the file.
    response.headers.extend((name, value) for name, value in error.get_headers() if name != "Content-Type")
    return response


def vanished(error: FileNotFoundError) -> Response:
    """Return the response to a request whose session or run was deleted or expired during the request."""
    session = g.get("session")
    if session is None or (error.filename and Path(error.filename).parent.exists()):
        return unforeseen(error)
    return foreseen(NotFound("The session or run was deleted during this request."))


def system(error: OSError) -> Response:
    """Return the response to a system error; if the disk is full, the visitor can delete runs."""
    if is_full(error):
        return foreseen(StorageFull("The server's disk is full. Delete runs that you do not need, then try again."))
    return unforeseen(error)


def unforeseen(error: Exception) -> Response:
    """Return the response to any other error, without the traceback, which is logged."""
    log.exception("%s %r failed", request.method, request.path)
    return answer(500, "internal", UNEXPECTED)


def answer(status: int, code: str, message: str, field: str | None = None) -> Response:
    """Return an error as JSON under ``/api`` and as a page elsewhere."""
    if request.path == "/api" or request.path.startswith("/api/"):
        # A message may quote what was sent, which may be long.
        detail = ErrorDetail(code=code, message=shorten(message, MAX_MESSAGE), field=shorten(field or "", 100) or UNSET)
        response = as_json(Error(error=detail))
    else:
        response = make_response(
            render_template("error.html", status=status, message=message, field=field, corrected=without(field))
        )
    response.status_code = status
    return with_retry(response)


def without(field: str | None) -> str:
    """Return the address of the requested page without an invalid field of its query, or "" if it has none."""
    if request.method != "GET" or not field or field not in request.args or request.endpoint is None:
        return ""
    kept = urlencode([(name, value) for name, value in request.args.items(multi=True) if name != field])
    # The query is no argument of url_for, which gives some names a meaning, such as _external.
    return f"{url_for(request.endpoint, **(request.view_args or {}))}?{kept}".rstrip("?")


def with_retry(response: Response) -> Response:
    """Tell when to try again, for a status that passes."""
    if response.status_code in RETRY:
        response.headers["Retry-After"] = RETRY[response.status_code]
    return response


def shorten(text: str, most: int) -> str:
    """Return a text of at most ``most`` characters; the middle of a longer one is left out."""
    return text if len(text) <= most else f"{text[: most // 2]}…{text[-(most // 2 - 1) :]}"
