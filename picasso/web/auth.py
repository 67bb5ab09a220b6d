"""A password for servers that others can reach: HTTP basic authentication, compared in constant time, rate-limited.

Wrong passwords are counted by the network that they come from. The right one is let in however many wrong ones came
from the same network, so that nobody is locked out by a neighbour, or by anybody behind the same proxy. What bounds
guessing is that only so many wrong passwords are looked at in a minute. Where more come, whoever has a session already,
and so has given the right one before, is not held up.
"""

from __future__ import annotations

import hmac
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable

from flask import Flask, Response, request

from picasso.config import Settings
from picasso.errors import TooMany, Unauthorized
from picasso.web.context import find_session
from picasso.web.proxies import network_of

SECONDS = 60.0
# So many wrong passwords a minute from one network are answered by asking again, and more by asking to wait.
MAX_ATTEMPTS = 10
# So many wrong ones a minute are looked at from one network, and from all of them.
MAX_CHECKS, MAX_CHECKS_IN_ALL = 300, 1_000
#: Addresses that say no more than that the server lives, for those who watch over it.
OPEN_PATHS = ("/healthz", "/readyz")


class LoginRateLimiter:
    """How many passwords from each network were wrong within the last minute.

    Args:
        clock: tells the seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        # By network, the one whose last wrong password is the longest ago first. Since no more are looked at than
        # MAX_CHECKS_IN_ALL a minute, they are few.
        self._wrong: OrderedDict[str, deque[float]] = OrderedDict()
        self._lock = threading.Lock()

    def looks(self, network: str) -> bool:
        """Tell whether a password from a network is looked at."""
        with self._lock:
            self._forget()
            in_all = sum(map(len, self._wrong.values()))
            return in_all < MAX_CHECKS_IN_ALL and len(self._wrong.get(network, ())) < MAX_CHECKS

    def note(self, network: str) -> bool:
        """Remember a wrong password; tell whether its network has to wait."""
        with self._lock:
            self._forget()
            wrong = self._wrong.setdefault(network, deque())
            wrong.append(self._clock())
            self._wrong.move_to_end(network)
            return len(wrong) > MAX_ATTEMPTS

    def _forget(self) -> None:
        """Forget what is more than a minute ago."""
        oldest = self._clock() - SECONDS
        for network, wrong in list(self._wrong.items()):
            while wrong and wrong[0] <= oldest:
                wrong.popleft()
            if not wrong:
                del self._wrong[network]


def too_many() -> TooMany:
    """Return the error for whoever has to wait."""
    return TooMany(f"Too many wrong passwords came from this network; try again in {SECONDS:.0f} seconds.")


def init_app(app: Flask, settings: Settings) -> None:
    """Ask every request for the password, if there is one; the user name may be anything."""
    password = settings.password().encode()
    if not password:
        return
    limiter = LoginRateLimiter()

    def check() -> None:
        if request.path in OPEN_PATHS:
            return
        given = request.authorization
        if given is None or given.type != "basic":
            raise Unauthorized("This server asks for a password; the user name may be anything.")
        network = network_of(request.remote_addr or "")
        if not limiter.looks(network) and find_session() is None:
            raise too_many()
        if not hmac.compare_digest((given.password or "").encode(), password):
            raise too_many() if limiter.note(network) else Unauthorized("This is not the password of this server.")

    def invite(response: Response) -> Response:
        if response.status_code == Unauthorized.status:
            response.headers["WWW-Authenticate"] = 'Basic realm="Picasso", charset="UTF-8"'
        return response

    app.before_request(check)
    app.after_request(invite)
