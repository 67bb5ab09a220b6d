"""What may go wrong beside a load: a worker that is killed, visitors with hostile images, connections that are held."""

from __future__ import annotations

import functools
import io
import os
import random
import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from PIL import Image

from benchmarks.serving import Client, Note, Server

# So often the address for those who watch over a server is asked.
WATCH_SECONDS = 0.1


@dataclass
class Disturbances:
    """What is done to a server.

    Attributes:
        kill_every: seconds between two times that the process that computes is killed; 0 does not.
        hostile: how many visitors send hostile images, one after the other.
        held: how many connections are held without a whole request.
        counted: what came of it.
    """

    kill_every: float = 0.0
    hostile: int = 0
    held: int = 0
    counted: Counter[str] = field(default_factory=Counter)

    def start(self, server: Server, note: Note, until: float) -> list[threading.Thread]:
        """Begin with it, and return the threads; each ends when the time is over."""
        work: list[Callable[[], None]] = [lambda: watch(server, note, until)]
        if self.kill_every:
            work.append(lambda: self._kill(server, until))
        work += [lambda: self._send(server, note, until)] * self.hostile
        work += [lambda: self._hold(server, until)] * bool(self.held)
        threads = [threading.Thread(target=one, daemon=True) for one in work]
        for thread in threads:
            thread.start()
        return threads

    def _kill(self, server: Server, until: float) -> None:
        while time.monotonic() + self.kill_every < until:
            time.sleep(self.kill_every)
            # There may be none: the last one was killed before it was there.
            with suppress(ProcessLookupError, ValueError):
                os.kill(server.worker, signal.SIGKILL)
                self.counted["kills"] += 1

    def _send(self, server: Server, note: Note, until: float) -> None:
        images = hostile_images()
        while time.monotonic() < until:
            name, body = random.choice(list(images.items()))  # noqa: S311 - no secret depends on it
            client = Client(server.address, note)
            with suppress(OSError):
                status = client.upload_parts("hostile image", [(name, body)])[0]
                self.counted[f"{name}: {status}"] += 1
            client.close()

    def _hold(self, server: Server, until: float) -> None:
        """Hold connections of every kind: silent, with half a head, with half a body; open anew what is closed."""
        parts = urlsplit(server.address)
        body = "POST /api/images HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\nx"
        beginnings = ["", "GET / HTTP/1.1\r\nX-Slow: ", body]
        held: list[socket.socket] = []
        while time.monotonic() < until:
            held = [one for one in held if not closed(one)]
            while len(held) < self.held:
                with suppress(OSError):
                    one = socket.create_connection((parts.hostname or "", parts.port or 80), timeout=5)
                    one.sendall(beginnings[self.counted["connections held"] % len(beginnings)].encode())
                    one.setblocking(False)
                    held.append(one)
                    self.counted["connections held"] += 1
            time.sleep(0.5)
        for one in held:
            one.close()


def watch(server: Server, note: Note, until: float) -> None:
    """Ask whether the server lives, again and again."""
    client = Client(server.address, note)
    while time.monotonic() < until:
        try:
            client.request("healthz", "GET", "/healthz")
        except OSError:
            # Whoever watches takes that for a server that is gone.
            note("healthz", 0, 60.0)
            client = Client(server.address, note)
        time.sleep(WATCH_SECONDS)


def closed(connection: socket.socket) -> bool:
    """Tell whether the other end has closed a connection; ours is closed then, too."""
    try:
        if connection.recv(65536):
            return False
    except BlockingIOError:
        return False
    except OSError:
        pass
    connection.close()
    return True


@functools.cache
def hostile_images() -> dict[str, bytes]:
    """Return small files that would take seconds or gigabytes to decode; making them takes seconds, too."""
    buffer = io.BytesIO()
    Image.new("L", (4000, 4000)).save(buffer, "JPEG", progressive=True)
    progressive = buffer.getvalue()
    last = progressive.rindex(b"\xff\xda")
    large = io.BytesIO()
    Image.new("RGBA", (7000, 7000)).save(large, "WEBP", lossless=True)
    return {
        "scans.jpg": progressive[:-2] + progressive[last:-2] * 3000 + b"\xff\xd9",
        "large.webp": large.getvalue(),
        "cut_off.png": b"\x89PNG\r\n\x1a\n" + bytes(100),
    }
