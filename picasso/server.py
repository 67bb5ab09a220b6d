"""Serving with waitress: one process, several threads, ended by Ctrl-C, SIGTERM or a model that can't be loaded."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from waitress.server import create_server

from picasso.app import create_app
from picasso.configuration import Settings
from picasso.errors import ConfigurationError, ModelError
from picasso.web import logs
from picasso.web.guard import is_loopback
from picasso.web.prefix import prefix_of
from picasso.web.services import Services


def serve(settings: Settings, say: Callable[[str], Any]) -> None:
    """Serve until told to stop.

    Args:
        settings: where to listen, and everything else.
        say: prints a line for the operator.

    Raises:
        ConfigurationError: the address can't be listened on.
        ModelError: the model could not be loaded.
    """
    if not (is_loopback(settings.HOST) or settings.password() or settings.OPEN):
        raise ConfigurationError(
            f"{settings.HOST} can be reached from other machines, and whoever reaches it can use the model and this "
            "machine's time. Set PASSWORD, or OPEN = True if that is what you want.",
            field="HOST",
        )
    app = create_app(settings)
    services: Services = app.extensions["picasso"]
    if settings.LOG_REQUESTS:
        logs.to_standard_error()
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(0))
    failure: list[str] = []
    try:
        try:
            # A little above the application's own limit, so that it can answer in its own words.
            limit = (settings.MAX_UPLOAD_MB + 1) * 1_000_000
            server = create_server(
                app,
                host=settings.HOST,
                port=settings.PORT,
                threads=settings.THREADS,
                max_request_body_size=limit,
                # Lets a request that waits for a run see that its client has hung up.
                channel_request_lookahead=1,
                # The application decides which proxies it believes; see the setting PROXIES.
                clear_untrusted_proxy_headers=False,
                ident="picasso",
            )
        except OSError as error:
            raise ConfigurationError(
                f"Can't listen on {settings.HOST}:{settings.PORT}: {error.strerror}. Choose another with --port.",
                field="PORT",
            ) from error
        if not (is_loopback(settings.HOST) or settings.password()):
            say(f"WARNING: {settings.HOST} can be reached from other machines, and there is no password.")
        host = f"[{settings.HOST}]" if ":" in settings.HOST else settings.HOST
        say(f"Open http://{host}:{settings.PORT}{prefix_of(settings.PREFIX)} in your browser; Ctrl-C ends the server.")
        threading.Thread(target=watch, args=(services, failure, say), daemon=True).start()
        server.run()
    finally:
        services.runner.close()
        services.storage.close()
    if failure:
        raise ModelError(failure[0])


def watch(services: Services, failure: list[str], say: Callable[[str], Any]) -> None:
    """Say when the model is ready; end the server if it can't be loaded."""
    started = time.monotonic()
    while (status := services.runner.model_status())["state"] == "loading":
        time.sleep(0.1)
    if status["state"] == "ready":
        say(f"{status['card']['name']} is ready after {time.monotonic() - started:.1f} s.")
    else:
        failure.append(status["error"])
        os.kill(os.getpid(), signal.SIGTERM)
