"""Connections that are slow, many, or bring a body that nobody admits, against the server with a clock of our own."""

from __future__ import annotations

import base64
import socket
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from waitress import wasyncore

from picasso import config
from picasso.web.admission import Pace
from picasso.web.app import create_app
from picasso.web.connections import Channel, Limits
from picasso.web.context import Services
from picasso.web.server import fitting, keep_running, listening
from tests.cli.test_command import free_port
from tests.conftest import close, fake_settings, png
from tests.jobs.test_engine import until

UPLOAD_MB = 2
HEAD = "POST /api/images HTTP/1.1\r\nHost: localhost\r\n"
MULTIPART = "Content-Type: multipart/form-data; boundary=x\r\n"
PASSWORD = "open sesame"  # noqa: S105 - of a test


@dataclass
class Clock:
    """Time that passes when a test says so."""

    now: float = 0.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Served:
    """A server in this process: its port, its clock, and its application."""

    port: int
    clock: Clock
    services: Services
    server: Any

    def connect(self, sent: str | bytes = b"") -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=60)
        connection.sendall(sent.encode() if isinstance(sent, str) else sent)
        return connection

    def channels(self) -> list[Channel]:
        """Return the connections that the server keeps."""
        return [one for one in list(self.server._map.values()) if isinstance(one, Channel)]

    def came(self) -> int:
        """Return how many bytes of a body have come on the first connection."""
        channels = self.channels()
        request = channels[0].request if channels else None
        return request.body_bytes_received if request else 0

    def get(self, path: str) -> bytes:
        """Return what comes back for a GET on a connection of its own."""
        with self.connect(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n") as connection:
            return rest(connection)


def arrived(server: Served, count: int) -> bool:
    """Tell whether so many bytes of a body have come."""
    return server.came() >= count


def rest(connection: socket.socket) -> bytes:
    """Return all that comes until the server closes the connection."""
    received = b""
    with suppress(ConnectionResetError):
        while piece := connection.recv(65536):
            received += piece
    return received


@contextmanager
def served(app: Flask, **limits: Any) -> Iterator[Served]:
    """Serve an application in this process."""
    clock, port = Clock(), free_port()
    settings = config.build(fake_settings(PORT=port), None)
    server = listening(app, settings, Limits(clock=clock, **limits))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        yield Served(port, clock, app.extensions["picasso"], server)
    finally:
        wasyncore.close_all(server._map, ignore_all=True)
        thread.join(timeout=10)
        server.task_dispatcher.shutdown()


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    """An application with a password, a small limit for uploads, and a folder of its own."""
    work = str(tmp_path_factory.mktemp("work"))
    application = create_app(fake_settings(PASSWORD=PASSWORD, MAX_UPLOAD_MB=UPLOAD_MB, WORK_DIR=work))
    yield application
    close(application)


def authorization() -> str:
    return f"Authorization: Basic {base64.b64encode(f'a:{PASSWORD}'.encode()).decode()}\r\n"


def spooled() -> list[str]:
    """Return the files without a name that this process has open."""
    found = []
    for one in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            found.append(str(one.readlink()))
    return [name for name in found if name.endswith("(deleted)") or "/#" in name]


# ---- slow ones -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sent", "seconds"),
    [
        ("", Limits.idle),
        ("GET / HT", Limits.head),
        ("GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: ", Limits.head),
        (f"{HEAD}{MULTIPART}Content-Length: 100000\r\n\r\n--x", Limits.grace),
        (f"{HEAD}{MULTIPART}Transfer-Encoding: chunked\r\n\r\n3\r\n--x\r\n", Limits.grace),
    ],
)
def test_slow_ones_are_closed(app: Flask, sent: str, seconds: float) -> None:
    with served(app) as server, server.connect(sent) as connection:
        until(lambda: server.channels())
        if sent:
            until(lambda: server.channels()[0].request)
        if "\r\n\r\n" in sent:
            until(lambda: server.came() >= 3)
        # Before its time is over it is kept.
        server.clock.now += seconds - 1
        assert server.get("/healthz").startswith(b"HTTP/1.1 200")
        assert len(server.channels()) == 1
        server.clock.now += 2
        assert rest(connection) == b""


def test_a_body_that_keeps_coming_is_taken_however_long_it_takes(app: Flask) -> None:
    body = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n\r\n' + png() + b"\r\n"
    body += b"--x--\r\n" + b" " * 200_000
    with served(app) as server:
        connection = server.connect(f"{HEAD}{MULTIPART}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n")
        pieces = [body[start : start + 50_000] for start in range(0, len(body), 50_000)]
        for number, piece in enumerate(pieces[:-1], 1):
            connection.sendall(piece)
            until(partial(arrived, server, number * 50_000))
            server.clock.now += 50_000 / Limits.rate
        connection.sendall(pieces[-1])
        answer = rest(connection)
        connection.close()
    assert answer.startswith(b"HTTP/1.1 200"), answer
    session = server.services.storage.find(answer.split(b"Set-Cookie: ")[1].split(b"=")[1].split(b";")[0].decode())
    assert session
    server.services.storage.remove(session)


def test_one_that_does_not_take_its_answer_is_closed_and_holds_no_thread(app: Flask) -> None:
    def large(*_: object) -> bytes:
        return bytes(30_000_000)

    with pytest.MonkeyPatch.context() as patched:
        patched.setitem(app.view_functions, "health.live", large)
        with served(app) as server, ExitStack() as held:
            # More than there are threads; the windows of their connections are soon full.
            greedy = [
                held.enter_context(server.connect("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n" * 2))
                for _ in range(10)
            ]
            until(lambda: sum(one._answer is not None and not one.requests for one in server.channels()) == 10)
            assert server.get("/api/").startswith(b"HTTP/1.1 200")
            server.clock.now += 1_000_000
            until(lambda: not server.channels())
            assert greedy


# ---- many ----------------------------------------------------------------------------------------------------


def test_another_client_is_served_while_two_hundred_connections_are_held(app: Flask) -> None:
    with served(app, total=60, each=40) as server, ExitStack() as held:
        for number in range(200):
            held.enter_context(server.connect("GET / HT" if number % 2 else ""))
        # What waits for nothing goes first; one that was served stays until others need its place.
        for _ in range(5):
            assert server.get("/healthz").startswith(b"HTTP/1.1 200")
        until(lambda: len(server.channels()) <= 40)


def test_a_request_that_is_answered_is_not_closed_for_others(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    at_work, go_on = threading.Event(), threading.Event()

    def waits(*_: object) -> str:
        at_work.set()
        go_on.wait(60)
        return "answered"

    monkeypatch.setitem(app.view_functions, "api.root", waits)
    with served(app, total=4, each=4) as server, ExitStack() as held:
        first = held.enter_context(server.connect("GET /api/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"))
        assert at_work.wait(60)
        others = [held.enter_context(server.connect()) for _ in range(10)]
        assert server.get("/healthz").startswith(b"HTTP/1.1 200")
        go_on.set()
        assert rest(first).endswith(b"answered")
        assert others


def test_an_error_of_the_loop_ends_no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("picasso.web.server.PAUSE_SECONDS", 0)

    class Loop:
        """Fails a few times."""

        def __init__(self, faults: int) -> None:
            self.faults, self.runs = faults, 0

        def run(self) -> None:
            self.runs += 1
            if self.runs <= self.faults:
                raise RuntimeError("nobody foresaw that")

    loop = Loop(3)
    keep_running(loop)
    assert loop.runs == 4
    with pytest.raises(RuntimeError):
        keep_running(Loop(1000))


def test_a_connection_that_fails_ends_no_other(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    overdue = Channel.overdue

    def fails(channel: Channel) -> bool:
        if channel.request is not None:
            raise RuntimeError("nobody foresaw that")
        return overdue(channel)

    monkeypatch.setattr(Channel, "overdue", fails)
    with served(app) as server:
        idle = server.connect()
        with server.connect("GET / HT") as connection:
            assert rest(connection) == b""
        idle.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        assert rest(idle).startswith(b"HTTP/1.1 200")
        idle.close()


def test_behind_a_proxy_one_address_may_hold_all() -> None:
    alone, behind = (fitting(config.build(fake_settings(PROXIES=count), None)) for count in (0, 1))
    assert alone.each < alone.total
    assert behind.each == behind.total == alone.total


# ---- bodies --------------------------------------------------------------------------------------------------


REFUSED = {
    "no password": (f"{HEAD}{MULTIPART}Content-Length: 1500000\r\n\r\n", b"401"),
    "a wrong one": (
        f"{HEAD}Authorization: Basic {base64.b64encode(b'a:b').decode()}\r\n{MULTIPART}Content-Length: 1500000\r\n\r\n",
        b"401",
    ),
    "in chunks": (f"{HEAD}{MULTIPART}Transfer-Encoding: chunked\r\n\r\n", b"401"),
    "asks first": (f"{HEAD}Expect: 100-continue\r\n{MULTIPART}Content-Length: 1500000\r\n\r\n", b"401"),
    "another host": (
        f"POST /api/images HTTP/1.1\r\nHost: evil.com\r\n{authorization()}Content-Length: 1500000\r\n\r\n",
        b"400",
    ),
    "another site": (f"{HEAD}{authorization()}Origin: http://evil.com\r\nContent-Length: 1500000\r\n\r\n", b"403"),
    "too large": (f"{HEAD}{authorization()}{MULTIPART}Content-Length: 2500000\r\n\r\n", b"413"),
    "far too large": (f"{HEAD}{authorization()}{MULTIPART}Content-Length: {10**15}\r\n\r\n", b"413"),
    "no upload": (f"POST /nowhere HTTP/1.1\r\nHost: localhost\r\n{authorization()}Content-Length: 9\r\n\r\n", b"404"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_a_body_is_refused_before_it_comes(locked: Flask, kind: str) -> None:
    head, status = REFUSED[kind]
    before = spooled()
    # Not a byte of the body is sent: the answer comes all the same.
    with served(locked) as server, server.connect(head) as connection:
        answer = rest(connection)
        assert answer.startswith(b"HTTP/1.1 " + status), answer
        assert b"100 Continue" not in answer
        assert b"Connection: close" in answer
        assert not list(server.services.storage.folder.glob("sessions/*"))
        assert set(spooled()) <= set(before)


def test_what_follows_a_refused_head_is_no_request(locked: Flask) -> None:
    inside = f"GET /healthz HTTP/1.1\r\nHost: localhost\r\n{authorization()}\r\n"
    with served(locked) as server:
        with server.connect(f"{HEAD}Content-Length: {len(inside)}\r\n\r\n{inside}") as connection:
            answer = rest(connection)
        assert answer.startswith(b"HTTP/1.1 401")
        assert answer.count(b"HTTP/1.1") == 1


MALFORMED = {
    "two lengths": "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /healthz HTTP/1.1\r\n\r\n",
    "a length of many digits": f"Content-Length: {'9' * 5_000}\r\n\r\n",
    "a chunk whose size does not end": "Transfer-Encoding: chunked\r\n\r\n" + "0" * 40_000,
    "a trailer that does not end": "Transfer-Encoding: chunked\r\n\r\n0\r\n" + "a" * 40_000,
}


@pytest.mark.parametrize("kind", MALFORMED)
def test_malformed_bodies_are_refused_and_what_follows_is_no_request(
    locked: Flask, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    with served(locked) as server, server.connect(f"{HEAD}{authorization()}{MULTIPART}{MALFORMED[kind]}") as connection:
        answer = rest(connection)
        assert server.get("/healthz").startswith(b"HTTP/1.1 200")
    assert answer.startswith(b"HTTP/1.1 400"), answer
    assert answer.count(b"HTTP/1.1") == 1
    assert "exception" not in caplog.text


def test_chunks_that_are_too_many_are_refused_in_our_own_words(locked: Flask) -> None:
    head = f"{HEAD}{authorization()}{MULTIPART}Transfer-Encoding: chunked\r\n\r\n"
    with served(locked) as server, server.connect(head) as connection:
        piece = b"10000\r\n" + bytes(0x10000) + b"\r\n"
        for _ in range(40):
            connection.sendall(piece)
        answer = rest(connection)
    assert answer.startswith(b"HTTP/1.1 413")
    assert b'"code":"too_large"' in answer


def test_what_is_no_upload_may_not_be_large(app: Flask) -> None:
    for path in ("/api/runs", "/samples", "/api/what-if"):
        head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5000000\r\n\r\n"
        with served(app) as server, server.connect(head) as connection:
            assert rest(connection).startswith(b"HTTP/1.1 413"), path


def test_a_client_that_asks_first_is_told_to_go_on(locked: Flask) -> None:
    body = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n\r\n' + png() + b"\r\n--x--\r\n"
    head = f"{HEAD}{authorization()}Expect: 100-continue\r\n{MULTIPART}Content-Length: {len(body)}\r\n"
    with served(locked) as server, server.connect(f"{head}Connection: close\r\n\r\n") as connection:
        assert connection.recv(1000).startswith(b"HTTP/1.1 100 Continue")
        connection.sendall(body)
        assert rest(connection).startswith(b"HTTP/1.1 200")


def test_a_large_body_lies_in_the_folder_of_the_server(
    locked: Flask, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    services: Services = locked.extensions["picasso"]
    # As serve() sets it.
    monkeypatch.setattr(tempfile, "tempdir", str(services.storage.temporary))
    before = spooled()
    head = f"{HEAD}{authorization()}{MULTIPART}Content-Length: 1500000\r\n\r\n"
    with served(locked) as server:
        with server.connect(head) as connection:
            connection.sendall(bytes(1_000_000))
            until(lambda: set(spooled()) - set(before))
            (file,) = set(spooled()) - set(before)
            assert file.startswith(str(services.storage.temporary))
        # It is gone with its connection.
        until(lambda: not server.channels())
        assert set(spooled()) <= set(before)


# ---- threads -------------------------------------------------------------------------------------------------


def test_requests_that_take_a_while_are_known_by_their_address(app: Flask) -> None:
    kind = Pace(app).kind
    for method, path in (
        ("POST", "/api/images"),
        ("POST", "/images"),
        ("POST", "/audit"),
        ("GET", "/thumbnails/samples/0-00003.png"),
        ("GET", "/api/runs/0123/results.zip"),
        ("GET", "/user/ann/proxy/5000/api/runs/0123/report.html"),
    ):
        assert kind(method, path) == "slow", path
    for method, path in (
        ("GET", "/"),
        ("GET", "/api/images"),
        ("GET", "/api/visualize"),
        ("GET", "/picasso/api/runs/0123"),
        ("POST", "/healthz"),
        ("GET", "/a" * 30_000),
        ("GET", "*"),
    ):
        assert kind(method, path) == "quick", path
    assert kind("GET", "/healthz") == kind("GET", "/picasso/readyz") == "watch"


def test_uploads_at_work_keep_no_page_waiting(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[None] = []
    go_on = threading.Event()

    def decodes(*_: object) -> str:
        begun.append(None)
        go_on.wait(60)
        return "done"

    monkeypatch.setitem(app.view_functions, "api_images.add_image", decodes)
    monkeypatch.setattr("picasso.web.thread_pools.MAX_SLOW", 10)
    sent = f"{HEAD}Connection: close\r\nContent-Length: 2\r\n\r\n{{}}"
    with served(app) as server, ExitStack() as held:
        uploads = [held.enter_context(server.connect(sent)) for _ in range(2)]
        until(lambda: len(begun) == 2)
        # As many as may wait, now that these two do not wait any more.
        uploads += [held.enter_context(server.connect(sent)) for _ in range(10)]
        until(lambda: server.server.task_dispatcher.waiting("slow") == 10)
        # One more than may wait is told when to come back, and pages are served.
        with server.connect(sent) as one_more:
            answer = rest(one_more)
            assert answer.startswith(b"HTTP/1.1 503")
            assert b"Retry-After" in answer
        assert server.get("/").startswith(b"HTTP/1.1 200")
        go_on.set()
        assert all(rest(one).endswith(b"done") for one in uploads)
