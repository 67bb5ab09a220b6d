"""The request log: one JSON line per request with an id that links other log entries; never image names."""

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
    """Assign an id to every request, and log it if the settings enable that."""

    def begin() -> None:
        g.request_id, g.begun = secrets.token_hex(8), time.perf_counter()

    def end(response: Response) -> Response:
        # A request that Flask itself refuses may have no start time.
        response.headers["X-Request-Id"] = g.get("request_id") or secrets.token_hex(8)
        if settings.LOG_REQUESTS and not granted(request.environ):
            log.info("%s", json.dumps(line(response)))
        return response

    app.before_request(begin)
    app.after_request(end)


def to_standard_error() -> None:
    """Write the lines unchanged to standard error, independent of other logging."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(message)s"))
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    log.propagate = False


def line(response: Response) -> dict[str, object]:
    """Return the log entry of a request; it has the matched URL rule, because URLs may contain names."""
    session = request.cookies.get(cookie_name())
    return {
        "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "request_id": response.headers["X-Request-Id"],
        "method": request.method,
        "route": request.url_rule.rule if request.url_rule else None,
        "status": response.status_code,
        "milliseconds": round(1000 * (time.perf_counter() - g.get("begun", time.perf_counter())), 1),
        "bytes": response.content_length,
        # Distinguishes visitors without revealing the session id.
        "session": hashlib.sha256(session.encode()).hexdigest()[:8] if session else None,
        "address": request.remote_addr,
    }
