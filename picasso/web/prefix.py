"""Serving under a path that a proxy before the server takes off: JupyterHub's, or an nginx ``location /picasso/``."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING
from urllib.parse import unquote

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

# Segments of unreserved characters, and the @ that names of users have.
PREFIX = re.compile(r"(/(?!\.{1,2}(/|$))[A-Za-z0-9._~@-]+)+")
LONGEST = 500


class Prefix:
    """Takes the path under which visitors reach the server from ``X-Forwarded-Prefix``: all links begin with it.

    It changes nothing but the links and the path of the cookie in the answer to the very request that names it, and a
    page of another site cannot make a browser send it. So it is believed without ``PROXIES`` too, unless it comes with
    the name of a host that is not served: then whoever sent it made it up.

    Args:
        app: the application.
        proxies: how many proxies stand before the server. Of so many values, one for each, the first counts.
        served: tells whether a Host header names this server.
    """

    def __init__(self, app: WSGIApplication, proxies: int, served: Callable[[str], bool]) -> None:
        self._app, self._proxies, self._served = app, proxies, served

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request."""
        values = environ.get("HTTP_X_FORWARDED_PREFIX", "").split(",")
        prefix = prefix_of(values[-max(1, self._proxies) :][0])
        host = environ.get("HTTP_X_FORWARDED_HOST", "").rpartition(",")[2].strip()
        if prefix and (self._proxies or not host or self._served(host)):
            environ["SCRIPT_NAME"] = prefix
        return self._app(environ, start_response)


def prefix_of(header: str) -> str:
    """Return a path such as ``/user/ann/proxy/5000`` without a slash at its end; "" where it is none that can be used.

    It must begin with one slash, so that no link leads to another host.
    """
    path = unquote(header.strip()).removesuffix("/")
    return path if len(path) <= LONGEST and PREFIX.fullmatch(path) else ""
