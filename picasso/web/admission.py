"""Admission of request bodies, decided from the head of a request, and classification of slow requests.

The server asks the application with the head of each request that announces a body. All checks that would refuse the
request (host name, origin, password, URL, method, size) refuse it then, before a byte of the body is stored.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge
from werkzeug.routing import MapAdapter

from picasso.config import Settings
from picasso.errors import Busy

#: The WSGI key under which the server passes an :class:`Admission` when it only asks about a request.
ASKED = "picasso.admission"
#: The WSGI key that is set when too many slow requests are waiting.
BUSY = "picasso.busy"
# The views that accept images, and the maximum size of all other bodies in bytes.
UPLOADS = frozenset({"api_images.add_image", "pages.upload", "audits.start", "api_audits.add_audit_images"})
MAX_OTHER = 4_000_000
# The endpoints for monitoring.
WATCH = frozenset({"health.live", "health.ready"})
Kind = Literal["watch", "quick", "slow"]
# The maximum number of URL path segments before those of the application.
MAX_BEFORE = 8
# These decode images, wait to decode them, or create files of many megabytes.
SLOW = UPLOADS | {
    "pages.add_samples",
    "files.sample_thumbnail",
    "keeping.results_zip",
    "keeping.results_csv",
    "keeping.report",
}


@dataclass
class Admission:
    """The application's decision on a request, based on its head.

    Attributes:
        granted: whether the body is accepted; if not, the response explains why.
        most: the maximum size of the body in bytes.
    """

    granted: bool = False
    most: int = 0


def init_app(app: Flask, settings: Settings) -> None:
    """Limit the body of every request, and answer the server's questions about admission."""

    def check() -> Response | None:
        if BUSY in request.environ:
            raise Busy("Too many uploads and downloads are waiting. Try again in a few seconds.")
        if request.endpoint not in UPLOADS:
            request.max_content_length = min(MAX_OTHER, settings.MAX_UPLOAD_MB * 1_000_000)
        admission = request.environ.get(ASKED)
        if not isinstance(admission, Admission):
            return None
        if request.routing_exception:
            raise request.routing_exception
        most = request.max_content_length or 0
        if (request.content_length or 0) > most:
            raise RequestEntityTooLarge
        admission.granted, admission.most = True, most
        return Response(status=204)

    app.before_request(check)


def granted(environ: Mapping[str, Any]) -> bool:
    """Tell whether this is only a question about admission and the request is admitted."""
    admission = environ.get(ASKED)
    return isinstance(admission, Admission) and admission.granted


class Pace:
    """Classifies requests by their URL: slow ones, monitoring, and the rest."""

    def __init__(self, app: Flask) -> None:
        self._addresses: MapAdapter = app.url_map.bind("")

    def kind(self, method: str, path: str) -> Kind:
        """Return the kind of a request; one to an unknown URL counts as quick."""
        segments = path.split("/")
        # A proxy may have kept its path prefix.
        for first in range(1, min(len(segments), MAX_BEFORE)):
            try:
                endpoint, _ = self._addresses.match("/" + "/".join(segments[first:]), method)
            except HTTPException:
                continue
            return "slow" if endpoint in SLOW else "watch" if endpoint in WATCH else "quick"
        return "quick"
