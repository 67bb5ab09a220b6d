"""The browser's border: which hosts are served, which sites may act, and what pages may load."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from urllib.parse import urlsplit

from flask import Flask, Response, request

from picasso.config import Settings
from picasso.errors import BadRequest, Forbidden
from picasso.web import proxies
from picasso.web.auth import OPEN_PATHS
from picasso.web.context import release_session, send_cookie

POLICY = "; ".join(
    [
        "default-src 'none'",
        # Pico draws its icons, and the what-if page what it shows, as data: images; an image that is being uploaded
        # is a blob: of the page's own.
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
# A name that can be put into a sentence.
HOST = re.compile(r"[a-z0-9.:-]{1,120}")
# Pages that a link on another site may open: they start no work and change nothing. Whatever is not named here is only
# for our own pages and for programs, whatever its method.
LINKABLE = frozenset(
    {
        "pages.index",
        "pages.settings",
        "pages.show_model",
        "pages.show_runs",
        "pages.together",
        "pages.what_if",
        "audits.index",
        "audits.show_audit",
        "openapi.show_docs",
    }
)
# What starts work or deletes something when it is asked for by GET, as the original has it.
ACTING = frozenset({"api.visualize", "api.reset", "api_questions.estimate"})


def is_loopback(host: str) -> bool:
    """Tell whether a host name or address is this machine's own."""
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
    """Return what tells whether a Host header names this server."""
    # Bound to loopback, only loopback names are ours: another name is a page that rebinds its DNS to us.
    names_are_open = not is_loopback(settings.HOST) and not settings.TRUSTED_HOSTS
    trusted = {name.lower() for name in settings.TRUSTED_HOSTS}

    def served(header: str) -> bool:
        name = host_name(header)
        return names_are_open or is_loopback(name) or name in trusted

    return served


def init_app(app: Flask, settings: Settings) -> None:
    """Check every request and protect every answer."""
    served = served_hosts(settings)

    def check() -> None:
        # With proxies, this is the name that the visitor typed.
        header = request.headers.get("Host", "")
        if not proxies.HOST.fullmatch(header) and request.path not in OPEN_PATHS:
            # Also where there are two of them: who reads the one may not be who reads the other.
            raise BadRequest("The request needs one Host header, of a host name or an address and perhaps a port.")
        # A page that rebinds its name to loopback comes past the proxy, and can write any header but this one.
        connected = request.environ.get(proxies.CONNECTED, header) if is_loopback(settings.HOST) else header
        header = header if served(connected) else connected
        if not (served(header) or request.path in OPEN_PATHS):
            name = host_name(header)
            setting = f'TRUSTED_HOSTS = ["{name}"]' if HOST.fullmatch(name) else "TRUSTED_HOSTS"
            raise BadRequest(
                f"This host name is not served. If visitors are to reach the server by it, write {setting} into its "
                f"settings file; at this machine, open http://127.0.0.1:{settings.PORT} instead."
            )
        if request.path not in OPEN_PATHS:
            check_origin(settings.PROXIES)

    def protect(response: Response) -> Response:
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        # Pages are their visitor's own, with links to where that visitor reaches the server.
        response.headers.setdefault("Cache-Control", "private, no-cache")
        return send_cookie(response)

    app.before_request(check)
    app.after_request(protect)
    app.teardown_request(release_session)


def check_origin(proxies: int) -> None:
    """Refuse what another site sends, unless it is a link to a page that may be linked to.

    Programs send neither header and pass.
    """
    site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")
    if site is None:
        # Over plain http, browsers do not say where a link comes from. They send the cookie with what opens in a tab,
        # for which they ask as a page. Our own pages link to nothing that starts work, and programs ask for no page.
        link = request.endpoint in ACTING and "text/html" in request.headers.get("Accept", "")
        ours = not link and (origin is None or origin == f"{request.scheme}://{request.host}")
    else:
        ours = site in ("same-origin", "none")
    if not (ours or follows_a_link()):
        raise foreign(proxies)


def follows_a_link() -> bool:
    """Tell whether a browser opens one of our pages, or an address where there is nothing, in a tab of its own."""
    opens = (request.headers.get("Sec-Fetch-Mode"), request.headers.get("Sec-Fetch-Dest")) == ("navigate", "document")
    return opens and request.method == "GET" and (request.endpoint is None or request.endpoint in LINKABLE)


def foreign(proxies: int) -> Forbidden:
    """Return the error for an action of another site, with the setting that is missing if a proxy came between."""
    hint = ""
    if not proxies and ("X-Forwarded-For" in request.headers or "Forwarded" in request.headers):
        hint = " If it was your own page, behind a proxy, write PROXIES = 1 into the settings file."
    return Forbidden(f"Another site sent this request, so it was refused.{hint}")
