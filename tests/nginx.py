"""A real nginx before a real ``picasso serve``, with the configurations that the documentation shows."""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
from base64 import b64encode
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.cli.test_command import free_port
from tests.conftest import FAKES
from tests.docs.blocks import BLOCKS
from tests.jobs.test_engine import until

NGINX = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")

# For the modules that need it: what marks and skips them.
BEHIND_NGINX = [
    pytest.mark.slow,
    pytest.mark.skipif(NGINX is None and "PICASSO_REQUIRE_NGINX" not in os.environ, reason="no nginx is installed"),
]

HOST = "picasso.example.org"
PASSWORD = "a long sentence"  # noqa: S105 - of a server under test
# The configurations in the order of the page.
ENCRYPTED, INNER, UNDER_A_PATH = (block.text for block in BLOCKS if block.language == "nginx")


@dataclass
class Server:
    """A ``picasso serve``: its port, its process, and where its settings and its log lie."""

    port: int
    folder: Path
    process: subprocess.Popen[bytes]

    def log(self) -> list[dict[str, Any]]:
        """Return what it has logged of requests."""
        lines = (self.folder / "log").read_text().splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]


@contextmanager
def serving(folder: Path, **settings: Any) -> Iterator[Server]:
    """Serve a linear model in a process of its own."""
    folder.mkdir(exist_ok=True)
    port = free_port()
    chosen = {
        "MODEL_CLS_PATH": str(FAKES), "MODEL_CLS_NAME": "LinearModel", "MODEL_LOAD_ARGS": {},
        "LOG_REQUESTS": True, "TRUSTED_HOSTS": [HOST], "WORK_DIR": str(folder / "work"), "PORT": port, **settings,
    }  # fmt: skip
    config = folder / "settings.py"
    config.write_text("".join(f"{name} = {value!r}\n" for name, value in chosen.items()))
    with (folder / "log").open("wb") as log:
        words = [sys.executable, "-m", "picasso", "serve", "--config", str(config)]
        process = subprocess.Popen(words, stdout=log, stderr=log)

    def ready() -> bool:
        assert process.poll() is None, (folder / "log").read_text()
        return b'"ready"' in (answer(port, "/readyz") or b"")

    try:
        until(ready, 60)
        yield Server(port, folder, process)
    finally:
        process.terminate()
        process.wait(timeout=20)


def answer(port: int, path: str) -> bytes | None:
    """Return what a server on this machine answers, or None while there is none."""
    try:
        return Visitor(port, host=f"127.0.0.1:{port}").get(path).body
    except OSError:
        return None


@contextmanager
def proxy(folder: Path, upstream: int, snippet: str) -> Iterator[int]:
    """Run nginx as the documentation shows it, on a free port before the port ``upstream``; gives its port."""
    assert NGINX, "PICASSO_REQUIRE_NGINX is set, but there is no nginx"
    folder.mkdir(exist_ok=True)
    port = free_port()
    made = re.sub(r"listen \d+", f"listen 127.0.0.1:{port}", snippet).replace("127.0.0.1:5000", f"127.0.0.1:{upstream}")
    if "ssl" in made:
        certificate = trustme.CA().issue_cert(HOST, "127.0.0.1")
        certificate.private_key_pem.write_to_path(folder / "picasso.key")
        for pem in certificate.cert_chain_pems:
            pem.write_to_path(folder / "picasso.pem", append=True)
        made = made.replace("/etc/ssl/", f"{folder}/")
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    kept = "\n".join(f"{kind}_temp_path {folder / kind};" for kind in kinds)
    # Without a master process no rights are given up, so that it can write where a test may.
    config = f"daemon off; master_process off; pid {folder / 'pid'}; error_log stderr;\nevents {{}}\n"
    (folder / "nginx.conf").write_text(f"{config}http {{\naccess_log off;\n{kept}\n{made}}}\n")
    with (folder / "log").open("wb") as log:
        words = [NGINX, "-c", str(folder / "nginx.conf"), "-p", str(folder), "-e", "stderr"]
        process = subprocess.Popen(words, stdout=log, stderr=log)

    def listening() -> bool:
        assert process.poll() is None, (folder / "log").read_text()
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    try:
        until(listening, 20)
        yield port
    finally:
        process.terminate()
        process.wait(timeout=20)


@dataclass
class Answer:
    """What came back."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode()


@dataclass
class Visitor:
    """Sends requests to a port, from an address of its own on this machine, and keeps its cookies."""

    port: int
    address: str = "127.0.0.1"
    secure: bool = False
    host: str = ""
    password: str = ""
    cookies: dict[str, str] = field(default_factory=dict)

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Answer:
        """Send a request and return the answer; underscores in names of headers stand for hyphens."""
        source = (self.address, 0)
        connection: http.client.HTTPConnection
        if self.secure:
            # Made for this test, so there is nobody who vouches for it.
            context = ssl._create_unverified_context()  # noqa: S323
            connection = http.client.HTTPSConnection(
                "127.0.0.1", self.port, timeout=60, source_address=source, context=context
            )
        else:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60, source_address=source)
        sent = {"Host": self.host or f"{HOST}:{self.port}"}
        if self.password:
            sent["Authorization"] = "Basic " + b64encode(f"anybody:{self.password}".encode()).decode()
        if self.cookies:
            sent["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        try:
            connection.request(method, path, body, sent)
            response = connection.getresponse()
            got = Answer(response.status, response.headers, response.read())
        finally:
            connection.close()
        for cookie in got.headers.get_all("Set-Cookie") or []:
            name, _, value = cookie.partition(";")[0].partition("=")
            self.cookies[name] = value
        return got

    def get(self, path: str, **headers: str) -> Answer:
        """Ask for a page."""
        return self.ask("GET", path, None, **headers)

    def upload(self, path: str, body: bytes, **headers: str) -> Answer:
        """Upload an image."""
        head = 'Content-Disposition: form-data; name="file"; filename="a.png"\r\nContent-Type: image/png'
        packed = b"--x\r\n" + head.encode() + b"\r\n\r\n" + body + b"\r\n--x--\r\n"
        return self.ask("POST", path, packed, Content_Type="multipart/form-data; boundary=x", **headers)


@contextmanager
def behind(folder: Path, *snippets: str, **settings: Any) -> Iterator[tuple[Server, list[int]]]:
    """Serve, with one nginx for each configuration directly before it; gives the server and their ports."""
    with ExitStack() as stack:
        server = stack.enter_context(serving(folder / "picasso", **settings))
        ports = [
            stack.enter_context(proxy(folder / f"nginx{number}", server.port, snippet))
            for number, snippet in enumerate(snippets)
        ]
        yield server, ports
