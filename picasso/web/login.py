"""A password for servers that others can reach: HTTP basic authentication, compared in constant time, rate-limited."""

from __future__ import annotations

import hmac
import threading
import time
from collections import OrderedDict

from flask import Flask, Response, request

from picasso.configuration import Settings
from picasso.errors import TooMany, Unauthorized

# So many wrong passwords from one address in so many seconds, and no other is looked at until that time is over.
ATTEMPTS, SECONDS = 10, 60.0
# More addresses than ever guess at once; the oldest is forgotten first.
ADDRESSES = 10_000
#: Addresses that say no more than that the server lives, for those who watch over it.
OPEN_PATHS = ("/healthz", "/readyz")


class Attempts:
    """How often each address was wrong lately."""

    def __init__(self) -> None:
        self._wrong: OrderedDict[str, list[float]] = OrderedDict()
        self._lock = threading.Lock()

    def too_many(self, address: str) -> bool:
        """Tell whether an address must wait."""
        with self._lock:
            return len(self._recent(address)) >= ATTEMPTS

    def note(self, address: str) -> None:
        """Remember a wrong password."""
        with self._lock:
            self._wrong[address] = [*self._recent(address), time.monotonic()]
            self._wrong.move_to_end(address)
            while len(self._wrong) > ADDRESSES:
                self._wrong.popitem(last=False)

    def _recent(self, address: str) -> list[float]:
        oldest = time.monotonic() - SECONDS
        return [when for when in self._wrong.get(address, []) if when > oldest]


def init_app(app: Flask, settings: Settings) -> None:
    """Ask every request for the password, if there is one; the user name may be anything."""
    password = settings.password().encode()
    if not password:
        return
    attempts = Attempts()

    def check() -> None:
        if request.path in OPEN_PATHS:
            return
        address = request.remote_addr or ""
        if attempts.too_many(address):
            raise TooMany(f"Too many wrong passwords came from this address; try again in {SECONDS:.0f} seconds.")
        given = request.authorization
        if given is None or given.type != "basic":
            raise Unauthorized("This server asks for a password; the user name may be anything.")
        if not hmac.compare_digest((given.password or "").encode(), password):
            attempts.note(address)
            raise Unauthorized("This is not the password of this server.")

    def invite(response: Response) -> Response:
        if response.status_code == Unauthorized.status:
            response.headers["WWW-Authenticate"] = 'Basic realm="Picasso", charset="UTF-8"'
        return response

    app.before_request(check)
    app.after_request(invite)
