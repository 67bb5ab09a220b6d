"""The thread that looks after the workers of an engine."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

log = logging.getLogger(__name__)


def supervised(name: str, look: Callable[[], object], seconds: float, closing: threading.Event) -> threading.Thread:
    """Start a thread that calls a function again and again, whatever fails, and return it.

    Args:
        name: the name of the thread.
        look: the function.
        seconds: the time between two calls.
        closing: ends the thread when it is set.
    """

    def supervise() -> None:
        while not closing.wait(seconds):
            try:
                look()
            except Exception:
                log.exception("the engine continues after an error")

    thread = threading.Thread(target=supervise, name=name, daemon=True)
    thread.start()
    return thread
