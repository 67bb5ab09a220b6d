"""TensorBoard itself shows what Picasso writes, in a real browser."""

from __future__ import annotations

import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

import picasso
from picasso.summaries.event_writer import EventWriter
from picasso.summaries.existing import write_existing
from picasso.summaries.records import write_epoch, write_panel
from tests.browser.conftest import BROWSER
from tests.cli.test_command import free_port
from tests.conftest import noise_image
from tests.fakes import LinearModel
from tests.summaries.test_existing import audit_folder

pytest.importorskip("tensorboard")
pytestmark = [*BROWSER, pytest.mark.slow]


@pytest.fixture
def board(linear: LinearModel, tmp_path: Path) -> Iterator[str]:
    """Serve a training of three epochs and an audit by TensorBoard; gives the address."""
    (result,) = picasso.explain(linear, noise_image(), "SaliencyMaps", classes="dog")
    with EventWriter(tmp_path / "logs" / "training") as events:
        for epoch, confidence in enumerate((0.2, 0.5, 0.9), 1):
            one = {"image": "a.png", "confidence": confidence, "agreement": 0.5}
            write_epoch(events, {"epoch": epoch, "images": [one]})
            write_panel(events, "map/a.png", result.panels[-1], result, epoch)
    audit_folder(tmp_path / "audit")
    write_existing(tmp_path / "audit", tmp_path / "logs" / "audit", "https://example.org/report.html")
    port = free_port()
    options = ["--logdir", str(tmp_path / "logs"), "--port", str(port), "--host", "127.0.0.1", "--load_fast", "false"]
    server = subprocess.Popen([sys.executable, "-m", "tensorboard.main", *options], stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 120
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/data/runs").close()
                break
            except OSError:
                assert server.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(timeout=20)


def test_tensorboard_shows_maps_curves_and_the_text(board: str, page: Page, tmp_path: Path) -> None:
    page.set_viewport_size({"width": 1280, "height": 900})
    page.goto(f"{board}/?tagFilter=confidence#timeseries")
    expect(page.locator("scalar-card")).to_have_count(1)
    expect(page.locator("scalar-card")).to_contain_text("confidence/a.png")
    page.goto(f"{board}/?tagFilter=map|before#timeseries")
    expect(page.locator("image-card")).to_have_count(2)
    for number, name in enumerate(("evidence/Brightness (“none” and “tank”)/0/before", "map/a.png")):
        card = page.locator("image-card").nth(number)
        expect(card).to_contain_text(name)
        expect(card.locator("img")).to_be_visible()
        assert card.locator("img").evaluate("image => image.decode().then(() => image.naturalWidth)") > 0
    page.screenshot(path=tmp_path / "timeseries.png")
    page.goto(f"{board}/#text")
    page.reload()
    frame = page.locator("tf-text-dashboard")
    expect(frame.get_by_text("The model appears to rely on brightness").first).to_be_visible()
    expect(frame.locator("a", has_text="Report").first).to_have_attribute("href", "https://example.org/report.html")
    page.screenshot(path=tmp_path / "text.png")
