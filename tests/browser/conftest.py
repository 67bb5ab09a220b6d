"""What tests in a real browser share: the bundled example, served, and a page that notices whatever goes wrong."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urljoin

import pytest
from playwright.sync_api import Dialog, Page

from tests.test_cli import free_port

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

QUIET = ["--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run"]
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", *QUIET]

# For the modules of this folder: what marks and skips them.
BROWSER = [
    pytest.mark.browser,
    # Playwright's event loop is closed by its plugin after the warnings are collected.
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.skipif(
        CHROMIUM is None and "PICASSO_REQUIRE_BROWSER" not in os.environ, reason="no Chromium is installed"
    ),
]


@pytest.fixture(scope="session")
def browser_type_launch_args() -> dict[str, Any]:
    """Use the system's Chromium, and keep it from calling home."""
    return {"executable_path": CHROMIUM, "args": ARGUMENTS}


def full(page: Page, path: str) -> str:
    """Return the address of a path on the server of a page."""
    return urljoin(page.url, path)


@contextmanager
def serving(*options: str) -> Iterator[str]:
    """Serve in a process of its own, with the options of ``picasso serve``; gives the address."""
    port = free_port()
    server = subprocess.Popen([sys.executable, "-m", "picasso", "serve", "--port", str(port), *options])
    url = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                urllib.request.urlopen(url).close()
                break
            except OSError:
                assert server.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.05)
        yield url
    finally:
        server.terminate()
        server.wait(timeout=20)


@pytest.fixture(scope="package")
def address() -> Iterator[str]:
    """Serve the bundled Keras example."""
    with serving() as url:
        yield url


@pytest.fixture
def visitor(page: Page, address: str) -> Iterator[Page]:
    """A page that fails the test on any console error, script error, dialog, or request to another host."""
    faults: list[str] = []

    def refuse(dialog: Dialog) -> None:
        faults.append(dialog.message)
        dialog.dismiss()

    page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("dialog", refuse)
    page.on(
        "request",
        lambda request: None if request.url.startswith((address, f"blob:{address}")) else faults.append(request.url),
    )
    page.set_default_timeout(60_000)
    page.goto(address)
    yield page
    assert faults == []
