"""Password protection for public servers: HTTP basic authentication with constant-time comparison and a rate limit.

Wrong passwords are counted per network. The right password is accepted regardless of the number of wrong ones from the
same network, so that nobody is locked out by a neighbour or by another user of the same proxy. Guessing is limited
because only a certain number of passwords is checked per minute. Beyond that limit, visitors with a session, who have
given the right password before, are still checked.
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
# The number of wrong passwords per minute and network that are answered with 401; further ones are answered with 429.
MAX_ATTEMPTS = 10
# The maximum number of wrong passwords per minute that are checked, per network and in total.
MAX_CHECKS, MAX_CHECKS_IN_ALL = 300, 1_000
#: The paths for monitoring, which need no password because they reveal only the server's health.
OPEN_PATHS = ("/healthz", "/readyz")


class LoginRateLimiter:
    """Counts the wrong passwords of each network within the last minute.

    Args:
        clock: returns the time in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        # By network, the one with the oldest last wrong password first. Since at most MAX_CHECKS_IN_ALL are checked per
        # minute, they are few.
        self._wrong: OrderedDict[str, deque[float]] = OrderedDict()
        self._lock = threading.Lock()

    def looks(self, network: str) -> bool:
        """Tell whether a password from a network is checked."""
        with self._lock:
            self._forget()
            in_all = sum(map(len, self._wrong.values()))
            return in_all < MAX_CHECKS_IN_ALL and len(self._wrong.get(network, ())) < MAX_CHECKS

    def note(self, network: str) -> bool:
        """Count a wrong password; tell whether its network must wait."""
        with self._lock:
            self._forget()
            wrong = self._wrong.setdefault(network, deque())
            wrong.append(self._clock())
            self._wrong.move_to_end(network)
            return len(wrong) > MAX_ATTEMPTS

    def _forget(self) -> None:
        """Discard entries older than a minute."""
        oldest = self._clock() - SECONDS
        for network, wrong in list(self._wrong.items()):
            while wrong and wrong[0] <= oldest:
                wrong.popleft()
            if not wrong:
                del self._wrong[network]


def too_many() -> TooMany:
    """Return the error for networks that must wait."""
    return TooMany(f"Too many wrong passwords from this network. Try again in {SECONDS:.0f} seconds.")


def init_app(app: Flask, settings: Settings) -> None:
    """Require the password for every request, if there is one; any user name is accepted."""
    password = settings.password().encode()
    if not password:
        return
    limiter = LoginRateLimiter()

    def check() -> None:
        if request.path in OPEN_PATHS:
            return
        given = request.authorization
        if given is None or given.type != "basic":
            raise Unauthorized("This server requires a password. Any user name is accepted.")
        network = network_of(request.remote_addr or "")
        if not limiter.looks(network) and find_session() is None:
            raise too_many()
        if not hmac.compare_digest((given.password or "").encode(), password):
            raise too_many() if limiter.note(network) else Unauthorized("The password is wrong.")

    def invite(response: Response) -> Response:
        if response.status_code == Unauthorized.status:
            response.headers["WWW-Authenticate"] = 'Basic realm="Picasso", charset="UTF-8"'
        return response

    app.before_request(check)
    app.after_request(invite)
