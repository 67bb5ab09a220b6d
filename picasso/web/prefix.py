"""Serving under a path prefix, as with JupyterHub or an nginx ``location /picasso/``, stripped by the proxy or not."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING
from urllib.parse import unquote

from flask import Flask

from picasso.config import Settings
from picasso.errors import ConfigurationError
from picasso.web.security import is_loopback, served_hosts

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

# Segments of unreserved characters, and the @ in user names.
PREFIX = re.compile(r"(/(?!\.{1,2}(/|$))[A-Za-z0-9._~@-]+)+")
MAX_LENGTH = 500


class Prefix:
    """Determines the path prefix of the server, with which all links begin.

    The prefix is set by ``PREFIX`` or else by the header ``X-Forwarded-Prefix``. The header is trusted if ``PROXIES``
    declares a proxy, and on loopback, where only a program on this machine can send it, such as a notebook proxy. It
    affects only the links and the path of the cookie in the response to the same request. Without ``PROXIES``, it is
    ignored together with a host name that is not served, which only the visitor can have made up.

    Args:
        app: the application, with all its routes.
        settings: ``PREFIX``, ``PROXIES`` and ``HOST``.

    Raises:
        ConfigurationError: ``PREFIX`` is not a plain path, or the application's own URLs begin like it.
    """

    def __init__(self, app: Flask, settings: Settings) -> None:
        self._app: WSGIApplication = app.wsgi_app
        self._proxies, self._served = settings.PROXIES, served_hosts(settings)
        self._heeded = settings.PROXIES > 0 or is_loopback(settings.HOST)
        # The beginnings of the application's own paths, which can't be a prefix that a proxy kept.
        self._own = {rule.rule.split("/")[1] for rule in app.url_map.iter_rules()}
        self._fixed = prefix_of(settings.PREFIX)
        if settings.PREFIX.strip("/") and (not self._fixed or self._is_own(self._fixed)):
            raise ConfigurationError(
                "The setting PREFIX must be a path such as /picasso, made of letters, digits and -._~@. It must not "
                f"begin like a URL of Picasso itself (/api, /static, /runs and so on). It is {settings.PREFIX!r}.",
                field="PREFIX",
            )

    def _is_own(self, prefix: str) -> bool:
        return prefix.split("/")[1] in self._own

    def _named(self, environ: WSGIEnvironment) -> str:
        """Return the prefix in the request if it is trusted."""
        values = environ.get("HTTP_X_FORWARDED_PREFIX", "").split(",")
        prefix = prefix_of(values[-max(1, self._proxies) :][0])
        host = environ.get("HTTP_X_FORWARDED_HOST", "").rpartition(",")[2].strip()
        return prefix if self._heeded and (self._proxies or not host or self._served(host)) else ""

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request."""
        if prefix := self._fixed or self._named(environ):
            environ["SCRIPT_NAME"] = prefix
            path = environ.get("PATH_INFO", "")
            # Some proxies strip the prefix, others keep it.
            if (path == prefix or path.startswith(f"{prefix}/")) and not self._is_own(prefix):
                environ["PATH_INFO"] = path[len(prefix) :]
        return self._app(environ, start_response)


def prefix_of(text: str) -> str:
    """Return a path such as ``/user/ann/proxy/5000`` without a trailing slash; "" if it is not valid.

    It must begin with exactly one slash, so that no link leads to another host.
    """
    path = unquote(text.strip()).removesuffix("/")
    return path if len(path) <= MAX_LENGTH and PREFIX.fullmatch(path) else ""
