"""Use an installed Picasso as a new user does: ``python tests/smoke.py``, with the Python that it is installed for.

It needs nothing of this folder, and is run from an empty one by ``make release``.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import closing
from pathlib import Path

BIN = Path(sys.executable).parent
SECONDS = 300


def command(*words: str) -> str:
    """Return what a subcommand of ``picasso`` prints; it has to succeed."""
    done = subprocess.run([str(BIN / "picasso"), *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, (words, done.stdout, done.stderr)
    return done.stdout


def serve_and_ask() -> None:
    """Start the server with the bundled model and wait until it is ready."""
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    server = subprocess.Popen([str(BIN / "picasso"), "serve", "--port", str(port)])
    address, deadline = f"http://127.0.0.1:{port}", time.monotonic() + SECONDS
    try:
        while True:
            assert server.poll() is None, "the server ended"
            assert time.monotonic() < deadline, "the model was not loaded"
            try:
                with urllib.request.urlopen(f"{address}/api/app_state") as answer:  # noqa: S310 - our own
                    ready = json.load(answer)["state"] == "ready"
            except OSError:
                ready = False
            if ready:
                break
            time.sleep(0.2)
        with urllib.request.urlopen(f"{address}/visualizations") as page:  # noqa: S310 - our own
            assert "PartialOcclusion" in page.read().decode()
        section = f"{address}/documentation/visualizations/class-activation"
        with urllib.request.urlopen(section) as page:  # noqa: S310 - our own
            assert 'id="gradcam"' in page.read().decode()
    finally:
        server.terminate()
        server.wait(timeout=30)


def main() -> None:
    """Try the command line, Python and the server, from an empty folder."""
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        import picasso

        package = Path(picasso.__file__).parent
        assert "site-packages" in package.parts, f"{package} is not what was installed"
        assert command("--version").strip().endswith(picasso.__version__)
        example = package / "examples" / "keras"
        digit = next((package / "examples" / "samples" / "mnist").glob("8-*.png"))
        command("scan", str(next((example / "data").glob("*.keras"))))
        command("explain", "--config", str(example / "config.py"), "--out", "out", str(digit))
        assert list(Path("out").rglob("*.png"))
        serve_and_ask()
    print(f"Picasso {picasso.__version__} works.")


if __name__ == "__main__":
    main()
