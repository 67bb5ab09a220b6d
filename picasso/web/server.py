"""The waitress server: one process, several threads; Ctrl-C, SIGTERM or a model that can't be loaded stops it."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from flask import Flask
from waitress.server import create_server

from picasso.config import Settings
from picasso.errors import ConfigurationError, ModelError, PicassoError
from picasso.web import request_log
from picasso.web.admission import Pace
from picasso.web.app import create_app
from picasso.web.connections import Acceptor, Limits
from picasso.web.context import Services
from picasso.web.prefix import prefix_of
from picasso.web.proxies import visitor_behind
from picasso.web.security import is_loopback
from picasso.web.thread_pools import ThreadPools

log = logging.getLogger(__name__)

# The maximum number of restarts of the server loop after errors, and the delay.
MAX_FAULTS, PAUSE_SECONDS = 100, 0.1


def serve(settings: Settings, say: Callable[[str], Any]) -> None:
    """Serve until stopped.

    Args:
        settings: the settings.
        say: prints a line for the operator.

    Raises:
        ConfigurationError: the server can't listen on the address.
        ModelError: the model could not be loaded.
    """
    if not (is_loopback(settings.HOST) or settings.password() or settings.OPEN):
        raise ConfigurationError(
            f"{settings.HOST} can be reached from other machines, and anyone who reaches it can use the model and this "
            "machine. Set PASSWORD, or set OPEN = True to allow this.",
            field="HOST",
        )
    app = create_app(settings)
    services: Services = app.extensions["picasso"]
    if settings.LOG_REQUESTS:
        request_log.to_standard_error()
    # Requests occasionally wait for a thread, and a busy server would fill its log with warnings about it.
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(0))
    failure: list[str] = []
    elsewhere = tempfile.tempdir
    try:
        # Request bodies and responses that are too large for memory go to the server's own folder.
        tempfile.tempdir = str(services.storage.temporary)
        try:
            server = listening(app, settings)
        except OSError as error:
            raise ConfigurationError(
                f"Can't listen on {settings.HOST}:{settings.PORT}: {error.strerror}. Choose another port with --port.",
                field="PORT",
            ) from error
        if not (is_loopback(settings.HOST) or settings.password()):
            say(f"WARNING: {settings.HOST} can be reached from other machines, and there is no password.")
        if exposed := settings.exposed_password_file():
            say(f"WARNING: all users of this machine can read {exposed}. To fix this, run: chmod 600 {exposed}")
        host = f"[{settings.HOST}]" if ":" in settings.HOST else settings.HOST
        say(f"Open http://{host}:{settings.PORT}{prefix_of(settings.PREFIX)} in your browser. Stop with Ctrl-C.")
        threading.Thread(target=watch, args=(services, failure, say), daemon=True).start()
        keep_running(server)
    finally:
        tempfile.tempdir = elsewhere
        services.runner.close()
        services.storage.close()
    if failure:
        raise ModelError(failure[0])


def listening(app: Flask, settings: Settings, limits: Limits | None = None) -> Any:
    """Return a listening waitress server with limits on every connection.

    Args:
        app: the application.
        settings: the settings, including the address and the number of threads.
        limits: the limits of connections; None for limits that suit the machine.

    Raises:
        OSError: the server can't listen on the address.
    """
    limits = limits or fitting(settings)
    sockets: dict[int, Any] = {}
    server = create_server(
        app,
        map=sockets,
        host=settings.HOST,
        port=settings.PORT,
        # The pools below provide the threads.
        threads=0,
        # The limits above apply first: otherwise clients that hold all connections would block the server.
        connection_limit=limits.total + 100,
        asyncore_use_poll=True,
        max_request_header_size=64_000,
        # Never reached, because the application limits each body.
        max_request_body_size=2**62,
        # No thread waits for a slow client: responses that do not fit into memory go to a file.
        outbuf_high_watermark=2**40,
        # Lets a request that waits for a run detect that its client has disconnected.
        channel_request_lookahead=1,
        # The application decides which proxies to trust; see the setting PROXIES.
        clear_untrusted_proxy_headers=False,
        ident="picasso",
    )
    pools = ThreadPools(
        Pace(app).kind,
        {"watch": 1, "quick": settings.THREADS, "slow": max(2, settings.THREADS // 4)},
        visitor_behind(settings.PROXIES, settings.PROXY_HEADERS),
    )
    for one in {server, *sockets.values()}:
        if hasattr(one, "task_dispatcher"):
            one.task_dispatcher = pools
        if hasattr(one, "channel_class"):
            Acceptor(one, limits)
    return server


def keep_running(server: Any) -> None:
    """Serve until stopped; unexpected errors are logged, and the connections continue.

    Raises:
        Exception: an error that occurs repeatedly.
    """
    for _ in range(MAX_FAULTS):
        try:
            server.run()
            return
        except Exception:
            log.exception("the server goes on after an error")
            time.sleep(PAUSE_SECONDS)
    server.run()


def fitting(settings: Settings) -> Limits:
    """Return limits of connections that suit the maximum number of open files and the number of proxies."""
    total = Limits.total
    with suppress(ImportError):
        import resource

        # Each connection may need a file for data that does not fit into memory.
        total = max(20, min(total, (resource.getrlimit(resource.RLIMIT_NOFILE)[0] - 64) // 2))
    # Behind a proxy, all visitors come from one address.
    return Limits(total=total, each=total if settings.PROXIES else total // 2)


def watch(services: Services, failure: list[str], say: Callable[[str], Any]) -> None:
    """Report when the model is ready; stop the server if it can't be loaded."""
    started = time.monotonic()
    # The first visitor gets a message if no decoder process can be started.
    with contextlib.suppress(OSError, PicassoError):
        services.storage.decoders.warm()
    while (status := services.model.status())["state"] == "loading":
        time.sleep(0.1)
    if status["state"] == "ready":
        say(f"{status['card']['name']} is ready after {time.monotonic() - started:.1f} s.")
    else:
        failure.append(status["error"])
        os.kill(os.getpid(), signal.SIGTERM)
