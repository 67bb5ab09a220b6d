"""Protection against other sites: allowed hosts, allowed origins, and the content that pages can load."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from urllib.parse import urlsplit

from flask import Flask, Response, request
from werkzeug.exceptions import MethodNotAllowed

from picasso.config import Settings
from picasso.errors import BadRequest, Forbidden
from picasso.web import proxies
from picasso.web.auth import OPEN_PATHS
from picasso.web.context import release_session, send_cookie

POLICY = "; ".join(
    [
        "default-src 'none'",
        # Pico's icons and the what-if page use data: URLs for images; an image that is being uploaded is a blob: URL.
        "img-src 'self' data: blob:",
        "style-src 'self'",
        "script-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    ]
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
# A host name that can be shown in a message.
HOST = re.compile(r"[a-z0-9.:-]{1,120}")
# The pages that links on other sites can open: they start no work and change nothing. All other endpoints accept only
# requests from Picasso's own pages and from programs, regardless of the method.
LINKABLE = frozenset(
    {
        "pages.choose",
        "pages.index",
        "pages.settings",
        "pages.show_runs",
        "pages.together",
        "pages.what_if",
        "inside.show",
        "gallery.show",
        "model.show",
        "audits.index",
        "audits.show_audit",
        "compare.show",
        "documentation.index",
        "documentation.show",
        "openapi.show_docs",
    }
)
# GET endpoints that start work or delete something, as in the original.
ACTING = frozenset({"api.visualize", "api.reset", "api_questions.estimate"})


def is_loopback(host: str) -> bool:
    """Tell whether a host name or address is a loopback one."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def host_name(header: str) -> str:
    """Return the name in a Host header without its port, or "" if it can't be read."""
    try:
        return urlsplit(f"//{header}").hostname or ""
    except ValueError:
        return ""


def served_hosts(settings: Settings) -> Callable[[str], bool]:
    """Return a function that tells whether a Host header is allowed."""
    # On loopback, only loopback names are allowed: any other name indicates DNS rebinding.
    names_are_open = not is_loopback(settings.HOST) and not settings.TRUSTED_HOSTS
    trusted = {name.lower() for name in settings.TRUSTED_HOSTS}

    def served(header: str) -> bool:
        name = host_name(header)
        return names_are_open or is_loopback(name) or name in trusted

    return served


def init_app(app: Flask, settings: Settings) -> None:
    """Check every request, and add security headers to every response."""
    served = served_hosts(settings)

    def check() -> None:
        # With proxies, this is the host name that the visitor used.
        header = request.headers.get("Host", "")
        if not proxies.HOST.fullmatch(header) and request.path not in OPEN_PATHS:
            # Two Host headers are refused too, because a proxy might read the other one.
            raise BadRequest(
                "The request must have exactly one Host header: a host name or an address, optionally with a port."
            )
        # A DNS rebinding attack bypasses the proxy and can set any header except this one.
        connected = request.environ.get(proxies.CONNECTED, header) if is_loopback(settings.HOST) else header
        header = header if served(connected) else connected
        if not (served(header) or request.path in OPEN_PATHS):
            name = host_name(header)
            setting = f'TRUSTED_HOSTS = ["{name}"]' if HOST.fullmatch(name) else "TRUSTED_HOSTS"
            raise BadRequest(
                f"This server does not accept requests for this host name. To allow it, add {setting} to the settings "
                f"file. On the machine itself, open http://127.0.0.1:{settings.PORT} instead."
            )
        if request.path not in OPEN_PATHS:
            check_origin(settings.PROXIES)
        if request.method == "HEAD" and request.endpoint in ACTING:
            # HEAD promises to change nothing.
            raise MethodNotAllowed(["GET", "OPTIONS"])

    def protect(response: Response) -> Response:
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        # Pages are private and contain links with the URL that the visitor uses.
        if response.headers.get("Cache-Control", "no-cache") == "no-cache":
            response.headers["Cache-Control"] = "private, no-cache"
        return send_cookie(response)

    app.before_request(check)
    app.after_request(protect)
    app.teardown_request(release_session)


def check_origin(proxies: int) -> None:
    """Refuse requests from other sites, except links to pages in ``LINKABLE``.

    Programs send neither header and are accepted.
    """
    site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")
    if site is None:
        # Over plain http, browsers do not send the origin of a link, but they send the cookie and accept text/html.
        # Picasso's own pages have no links that start work, and programs do not accept text/html.
        link = request.endpoint in ACTING and "text/html" in request.headers.get("Accept", "")
        ours = not link and (origin is None or origin == f"{request.scheme}://{request.host}")
    else:
        ours = site in ("same-origin", "none")
    if not (ours or follows_a_link()):
        raise foreign(proxies)


def follows_a_link() -> bool:
    """Tell whether a browser opens a linkable page or an unknown URL as a document."""
    opens = (request.headers.get("Sec-Fetch-Mode"), request.headers.get("Sec-Fetch-Dest")) == ("navigate", "document")
    return opens and request.method == "GET" and (request.endpoint is None or request.endpoint in LINKABLE)


def foreign(proxies: int) -> Forbidden:
    """Return the error for a request from another site, with a hint if an undeclared proxy is in between."""
    hint = ""
    if not proxies and ("X-Forwarded-For" in request.headers or "Forwarded" in request.headers):
        hint = " If your server is behind a proxy, set PROXIES = 1 in the settings file."
    return Forbidden(f"The request was refused because it came from another site.{hint}")
