"""A server in a process of its own, what it takes of the machine, and clients that talk to it over sockets."""

from __future__ import annotations

import http.client
import json
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self
from urllib.parse import urlsplit

Note = Callable[[str, int, float], None]


class Refused(Exception):
    """An answer that is an error."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"{status} {text[:200]}")
        self.status = status


class Client:
    """One visitor: a connection that is kept, and a cookie.

    Args:
        address: of the server.
        note: called with what kind of request it was, the status and the seconds that the answer took.
    """

    def __init__(self, address: str, note: Note = lambda kind, status, seconds: None) -> None:
        parts = urlsplit(address)
        self._connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=60)
        self._note, self._cookie = note, ""

    def request(
        self, kind: str, method: str, path: str, body: bytes = b"", content: str = "application/json"
    ) -> tuple[int, bytes]:
        """Send a request and return the status and the body of the answer."""
        headers = {"Content-Type": content} if body else {}
        if self._cookie:
            headers["Cookie"] = self._cookie
        started = time.perf_counter()
        try:
            self._connection.request(method, path, body or None, headers)
            answer = self._connection.getresponse()
        except (http.client.RemoteDisconnected, ConnectionError):
            # A connection that nobody used for a while may be closed at any time; browsers ask again, too.
            self._connection.close()
            self._connection.request(method, path, body or None, headers)
            answer = self._connection.getresponse()
        text = answer.read()
        self._note(kind, answer.status, time.perf_counter() - started)
        given = answer.headers.get("Set-Cookie", "")
        if given:
            self._cookie = given.partition(";")[0]
        return answer.status, text

    def get(self, kind: str, path: str) -> bytes:
        """Return what is at an address; raise Refused where that is an error."""
        status, text = self.request(kind, "GET", path)
        if status >= 400:
            raise Refused(status, text.decode(errors="replace"))
        return text

    def json(self, kind: str, method: str, path: str, body: object = None) -> Any:
        """Return a JSON answer; raise Refused where it is an error."""
        status, text = self.request(kind, method, path, json.dumps(body).encode() if body is not None else b"")
        if status >= 400:
            raise Refused(status, text.decode(errors="replace"))
        return json.loads(text)

    def upload(self, files: Sequence[Path]) -> list[int]:
        """Upload images and return their numbers."""
        status, text = self.upload_parts("upload", [(file.name, file.read_bytes()) for file in files])
        if status >= 400:
            raise Refused(status, text.decode(errors="replace"))
        return [image["uid"] for image in json.loads(text)["images"]]

    def upload_parts(
        self,
        kind: str,
        files: Sequence[tuple[str, bytes]],
        path: str = "/api/images",
        fields: Mapping[str, str] = MappingProxyType({}),
    ) -> tuple[int, bytes]:
        """Upload files of these names and contents with other fields; return the status and the body of the answer."""
        boundary = "image-boundary"
        parts = b"".join(
            f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
            for name, value in fields.items()
        )
        parts += b"".join(
            f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n'
            f"Content-Type: image/png\r\n\r\n".encode()
            + content
            + b"\r\n"
            for name, content in files
        )
        body = parts + f"--{boundary}--\r\n".encode()
        return self.request(kind, "POST", path, body, f"multipart/form-data; boundary={boundary}")

    def hang_up(self, path: str, body: object) -> None:
        """Send a request and close the connection without waiting for the answer."""
        sent = json.dumps(body).encode()
        self._connection.request("POST", path, sent, {"Content-Type": "application/json", "Cookie": self._cookie})
        self._connection.close()

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


class Server:
    """``picasso serve`` with the bundled digits and some settings; leave the ``with`` block to end it."""

    def __init__(self, settings: dict[str, Any], folder: Path | None = None) -> None:
        self._settings, self._folder = settings, folder

    def __enter__(self) -> Self:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.address = f"http://127.0.0.1:{self.port}"
        self._own = tempfile.TemporaryDirectory()
        folder = self._folder or Path(self._own.name)
        config = Path(self._own.name) / "config.py"
        settings = {"WORK_DIR": str(folder), **self._settings}
        config.write_text("".join(f"{key} = {value!r}\n" for key, value in settings.items()))
        words = [sys.executable, "-m", "picasso", "serve", "--config", str(config), "--port", str(self.port)]
        self.process = subprocess.Popen(words, stdout=subprocess.DEVNULL)
        self.wait_until_ready()
        return self

    def __exit__(self, *exception: object) -> None:
        self.process.terminate()
        try:
            self.process.wait(timeout=20)
        finally:
            self.process.kill()
            self._own.cleanup()

    def wait_until_ready(self, seconds: float = 300) -> None:
        """Wait until the model is loaded."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                if Client(self.address).request("ready", "GET", "/readyz")[0] == 200:
                    return
            except OSError:
                pass
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit("the server did not become ready")
            time.sleep(0.1)

    @property
    def worker(self) -> int:
        """The number of the process that computes; ValueError where there is none just now."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        # Those that decode images, and Python's tracker of resources, are children, too.
        return max(int(one) for one in (*children, *self._of_threads()) if b"spawn_main" in command(int(one)))

    def _of_threads(self) -> list[str]:
        """Return the children that other threads than the first have started."""
        found: list[str] = []
        for task in Path(f"/proc/{self.process.pid}/task").iterdir():
            # A thread may end at any time.
            with suppress(OSError):
                found += (task / "children").read_text().split()
        return found

    def settle(self, seconds: float = 60) -> None:
        """Wait until nothing is computed any more."""
        before, deadline = -1.0, time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                now = cpu_seconds(self.worker)
            except (OSError, ValueError):
                # It was killed just now; another one starts.
                now = before + 1
            if now - before < 0.02:
                return
            before = now
            time.sleep(1)

    def measure(self) -> dict[str, float]:
        """Return what the server and its worker take: megabytes, open files and threads."""
        web, worker = self.process.pid, self.worker
        return {
            "server, MB": memory(web),
            "worker, MB": memory(worker),
            "server, open files": sum(1 for _ in Path(f"/proc/{web}/fd").iterdir()),
            "worker, open files": sum(1 for _ in Path(f"/proc/{worker}/fd").iterdir()),
            "server, threads": sum(1 for _ in Path(f"/proc/{web}/task").iterdir()),
            "worker, threads": sum(1 for _ in Path(f"/proc/{worker}/task").iterdir()),
        }


def command(pid: int) -> bytes:
    """Return the command line of a process, or nothing where it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def memory(pid: int) -> float:
    """Return how many megabytes a process holds."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


def cpu_seconds(pid: int) -> float:
    """Return how long a process has computed."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100
