"""A small application with tight limits, and a real server that is spoken to in bytes."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from flask import Flask

from picasso.web.app import create_app
from tests.cli.test_command import free_port
from tests.conftest import FAKES, PLUGINS, Visitor, close, fake_settings
from tests.jobs.test_engine import until

UPLOAD_MB = 2


@dataclass(frozen=True)
class Address:
    """A server: its port and the process behind it."""

    port: int
    process: int

    def connect(self) -> socket.socket:
        """Return a connection."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=20)

    def send(self, request: bytes) -> bytes:
        """Send bytes on a connection of their own and return all that comes back."""
        with self.connect() as connection:
            # It answers a body that is too large without waiting for its end.
            with suppress(BrokenPipeError, ConnectionResetError):
                connection.sendall(request)
            received = b""
            with suppress(ConnectionResetError):
                while piece := connection.recv(65536):
                    received += piece
            return received

    def get(self, path: str, *headers: str) -> bytes:
        """Return what comes back for a GET of a path, which is sent as it is."""
        lines = [f"GET {path} HTTP/1.1", *(headers or (f"Host: 127.0.0.1:{self.port}",)), "Connection: close", "", ""]
        return self.send("\r\n".join(lines).encode())

    def files(self) -> list[str]:
        """Return the files that the server's process has open."""
        found = []
        for one in Path(f"/proc/{self.process}/fd").iterdir():
            with suppress(OSError):
                found.append(str(one.readlink()))
        return found

    def state(self, field: str) -> int:
        """Return a number that the system keeps of the server's process."""
        status = Path(f"/proc/{self.process}/status").read_text()
        return int(status.split(f"{field}:")[1].split()[0])


@pytest.fixture(scope="package")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Address]:
    """Serve a linear model with waitress, in a process of its own, as a user does."""
    folder, port = tmp_path_factory.mktemp("server"), free_port()
    config = folder / "settings.py"
    config.write_text(
        f'MODEL_CLS_PATH = "{FAKES}"\nMODEL_CLS_NAME = "LinearModel"\nMODEL_LOAD_ARGS = {{}}\n'
        f'PLUGIN_DIRS = ["{PLUGINS}"]\nMAX_UPLOAD_MB = {UPLOAD_MB}\nWORK_DIR = "{folder / "work"}"\n'
    )
    words = [sys.executable, "-m", "picasso", "serve", "--config", str(config), "--port", str(port)]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(words, stdout=log, stderr=log)
    address = Address(port, process.pid)

    def ready() -> bool:
        assert process.poll() is None, (folder / "log").read_text()
        try:
            return b'"ready"' in address.get("/api/app_state")
        except OSError:
            return False

    try:
        until(ready, 60)
        yield address
    finally:
        process.terminate()
        process.wait(timeout=20)


@pytest.fixture
def visitor(app: Flask) -> Iterator[Visitor]:
    """A visitor whose session ends with the test: the server holds a limited number."""
    client = Visitor(app)
    yield client
    client.post("/reset")


@pytest.fixture
def narrow(narrow_app: Flask) -> Iterator[Flask]:
    """An application that holds next to nothing: two images, two sessions, one run; empty at each start and end."""
    yield narrow_app
    storage = narrow_app.extensions["picasso"].storage
    for folder in (storage.folder / "sessions").iterdir():
        if session := storage.find(folder.name):
            storage.remove(session)


@pytest.fixture(scope="package")
def narrow_app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    """The application of :func:`narrow`, made once."""
    limits = {"MAX_IMAGES": 2, "MAX_SESSIONS": 2, "QUEUE_LENGTH": 1, "WORK_DIR": str(tmp_path_factory.mktemp("work"))}
    application = create_app(fake_settings(PLUGIN_DIRS=[str(PLUGINS)], **limits))
    application.test_client_class = Visitor
    yield application
    close(application)
