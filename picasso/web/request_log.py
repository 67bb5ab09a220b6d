"""One line of JSON for each request, and a number that ties it to what else was logged; never an image's name."""

from __future__ import annotations

import hashlib
import json
import logging
import secrets
import time

from flask import Flask, Response, g, request

from picasso.config import Settings
from picasso.web.admission import granted
from picasso.web.context import cookie_name

log = logging.getLogger("picasso.requests")


def init_app(app: Flask, settings: Settings) -> None:
    """Number every request; write it to the log if the settings say so."""

    def begin() -> None:
        g.request_id, g.begun = secrets.token_hex(8), time.perf_counter()

    def end(response: Response) -> Response:
        # A request that Flask itself refuses may not have begun.
        response.headers["X-Request-Id"] = g.get("request_id") or secrets.token_hex(8)
        if settings.LOG_REQUESTS and not granted(request.environ):
            log.info("%s", json.dumps(line(response)))
        return response

    app.before_request(begin)
    app.after_request(end)


def to_standard_error() -> None:
    """Write the lines as they are to standard error, whatever else is logged how."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(message)s"))
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    log.propagate = False


def line(response: Response) -> dict[str, object]:
    """Return what is written of a request: the rule that its address matched, for addresses may hold names."""
    session = request.cookies.get(cookie_name())
    return {
        "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "request_id": response.headers["X-Request-Id"],
        "method": request.method,
        "route": request.url_rule.rule if request.url_rule else None,
        "status": response.status_code,
        "milliseconds": round(1000 * (time.perf_counter() - g.get("begun", time.perf_counter())), 1),
        "bytes": response.content_length,
        # Tells visitors apart without being of use to anybody who reads it.
        "session": hashlib.sha256(session.encode()).hexdigest()[:8] if session else None,
        "address": request.remote_addr,
    }
