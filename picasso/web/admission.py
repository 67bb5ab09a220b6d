"""Whether a request may bring its body, asked when only its head is there; and which requests take a while.

The server asks the application with the head of each request that announces a body. Whatever would refuse the request
(host name, origin, password, address, method, size) refuses it then, before a byte of the body is kept.
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

#: Where the server puts an :class:`Admission` into the WSGI environment of a request that it only asks about.
ASKED = "picasso.admission"
#: What it puts there where too many requests wait that take a while.
BUSY = "picasso.busy"
# The views that take images. No other body needs more than this many bytes.
UPLOADS = frozenset({"api_images.add_image", "pages.upload", "audits.start", "api_audits.add_audit_images"})
MAX_OTHER = 4_000_000
# Those who watch over a server ask for these.
WATCH = frozenset({"health.live", "health.ready"})
Kind = Literal["watch", "quick", "slow"]
# So many segments of an address may stand before our own.
MAX_BEFORE = 8
# They decode images, wait for their turn to do so, or put together files of many megabytes.
SLOW = UPLOADS | {
    "pages.add_samples",
    "files.sample_thumbnail",
    "keeping.results_zip",
    "keeping.results_csv",
    "keeping.report",
}


@dataclass
class Admission:
    """What the application says of a request whose head it has seen.

    Attributes:
        granted: whether the body may come; otherwise the answer says why not.
        most: how many bytes it may have.
    """

    granted: bool = False
    most: int = 0


def init_app(app: Flask, settings: Settings) -> None:
    """Bound the body of every request, and say of one whose head alone is there whether it may come."""

    def check() -> Response | None:
        if BUSY in request.environ:
            raise Busy("Too many uploads and downloads wait already; try again in a few seconds.")
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
    """Tell whether a request was only asked about, and may come; then it is answered when it has come."""
    admission = environ.get(ASKED)
    return isinstance(admission, Admission) and admission.granted


class Pace:
    """Tells which requests take a while, and which those who watch over the server send, by their address."""

    def __init__(self, app: Flask) -> None:
        self._addresses: MapAdapter = app.url_map.bind("")

    def kind(self, method: str, path: str) -> Kind:
        """Return of what kind a request is; one to an address that nobody knows is quick."""
        segments = path.split("/")
        # A proxy may have left the path on under which it serves this.
        for first in range(1, min(len(segments), MAX_BEFORE)):
            try:
                endpoint, _ = self._addresses.match("/" + "/".join(segments[first:]), method)
            except HTTPException:
                continue
            return "slow" if endpoint in SLOW else "watch" if endpoint in WATCH else "quick"
        return "quick"
