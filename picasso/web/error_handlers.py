"""Errors as answers: a friendly page, or one JSON shape under ``/api``."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from flask import Flask, Response, g, jsonify, make_response, render_template, request
from werkzeug.exceptions import HTTPException

from picasso.errors import NotFound, PicassoError, StorageFull
from picasso.fileio import is_full

log = logging.getLogger(__name__)

SENTENCES = {
    400: ("bad_request", "The request could not be understood."),
    404: ("not_found", "There is no page at this address."),
    405: ("method_not_allowed", "This address does not take requests of that kind."),
    413: ("too_large", "The upload is larger than this server allows; send fewer or smaller images."),
    415: ("unsupported_type", "This address takes JSON; send Content-Type: application/json."),
}
# After how many seconds it is worth to try again.
RETRY = {429: "60", 503: "2"}
UNEXPECTED = "Something went wrong on our side; the log of the server says what. Nothing of yours is lost."


def init_app(app: Flask) -> None:
    """Answer every error, foreseen or not."""
    app.register_error_handler(PicassoError, foreseen)
    app.register_error_handler(HTTPException, http)
    app.register_error_handler(FileNotFoundError, vanished)
    app.register_error_handler(OSError, system)
    app.register_error_handler(Exception, unforeseen)


def foreseen(error: PicassoError) -> Response:
    """Answer an error of our own family with its sentence."""
    return answer(error.status, error.code, error.message, error.field)


def http(error: HTTPException) -> Response:
    """Answer an error that Flask found, such as an unknown address."""
    status = error.code or 500
    if status < 400:
        return make_response(error.get_response())
    code, sentence = SENTENCES.get(status, ("http_error", error.description or UNEXPECTED))
    response = answer(status, code, sentence)
    # Which methods are allowed, or how long the file is.
    response.headers.extend((name, value) for name, value in error.get_headers() if name != "Content-Type")
    return response


def vanished(error: FileNotFoundError) -> Response:
    """Answer a request whose session or run was deleted while it was at work, by its visitor or by time."""
    session = g.get("session")
    if session is None or (error.filename and Path(error.filename).parent.exists()):
        return unforeseen(error)
    return foreseen(NotFound("That was deleted while this request was at work."))


def system(error: OSError) -> Response:
    """Answer what the system refused: that the disk is full is nobody's mistake, and whoever asked can make room."""
    if is_full(error):
        return foreseen(StorageFull("The server's disk is full; delete runs that you do not need, and try again."))
    return unforeseen(error)


def unforeseen(error: Exception) -> Response:
    """Answer anything else without a word of its traceback, which goes to the log."""
    log.exception("%s %s failed", request.method, request.path)
    return answer(500, "internal", UNEXPECTED)


def answer(status: int, code: str, message: str, field: str | None = None) -> Response:
    """Return the error as JSON to programs and as a page to people."""
    if request.path == "/api" or request.path.startswith("/api/"):
        error: dict[str, Any] = {"code": code, "message": message}
        if field:
            error["field"] = field
        response = jsonify(ok=False, error=error)
    else:
        response = make_response(render_template("error.html", status=status, message=message))
    response.status_code = status
    if status in RETRY:
        response.headers["Retry-After"] = RETRY[status]
    return response
