"""A real browser before a real nginx with TLS, which serves Picasso under a path and passes two visitors on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import BROWSER, wait_for_images, watched
from tests.conftest import noise_image
from tests.fakes import LinearModel
from tests.nginx import BEHIND_NGINX, ENCRYPTED, PASSWORD, UNDER_A_PATH, Server, Visitor, behind

pytestmark = BROWSER + BEHIND_NGINX

CERTIFICATE = "    ssl_certificate /etc/ssl/picasso.pem;\n    ssl_certificate_key /etc/ssl/picasso.key;\n"
# Both configurations of the documentation in one.
BOTH = UNDER_A_PATH.replace("    listen 80;\n", f"    listen 443 ssl;\n{CERTIFICATE}")


@dataclass
class Site:
    """Where visitors reach the server, and the server itself."""

    port: int
    server: Server

    @property
    def address(self) -> str:
        """The address of the first page."""
        return f"https://127.0.0.1:{self.port}/picasso/"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A server with a password, encrypted and under a path."""
    assert CERTIFICATE in ENCRYPTED
    folder = tmp_path_factory.mktemp("site")
    with behind(folder, BOTH, PASSWORD=PASSWORD, PROXIES=1) as (server, (port,)):
        yield Site(port, server)


@contextmanager
def visiting(browser: Browser, site: Site) -> Iterator[Page]:
    """Visit as somebody who knows the password; nothing may go wrong on any page."""
    known = {"username": "anybody", "password": PASSWORD}
    context = browser.new_context(ignore_https_errors=True, http_credentials=known)  # type: ignore[arg-type]
    with ExitStack() as stack:
        stack.callback(context.close)
        yield stack.enter_context(watched(context.new_page(), site.address, []))


def files(folder: Path, count: int, target: int = 0) -> list[Path]:
    """Write images that the model takes for a class."""
    folder.mkdir(parents=True)
    model = LinearModel()
    model.load()
    made = [folder / f"{seed}.png" for seed in range(count)]
    for seed, file in enumerate(made):
        noise = np.asarray(noise_image(100 * target + seed)) // 2
        Image.fromarray((noise + 100 * (model.weights[target] > 0)).astype(np.uint8)).save(file)
    return made


def test_everything_works_behind_the_proxy(browser: Browser, site: Site, tmp_path: Path) -> None:
    for target, name in enumerate(("ant", "bee")):
        files(tmp_path / "classes" / name, 8, target)
    with visiting(browser, site) as page:
        page.locator("#file").set_input_files(files(tmp_path / "some", 3))
        expect(page.locator(".thumbs li[data-uid]")).to_have_count(3)
        wait_for_images(page)
        (cookie,) = page.context.cookies()
        assert (cookie["path"], cookie["secure"], cookie["httpOnly"]) == ("/picasso/", True, True)
        assert str(site.server.port) in cookie["name"]

        expect(page.locator(".main a.map img")).to_be_visible()
        assert urlsplit(page.url).path == "/picasso/"
        page.get_by_role("link", name="All methods", exact=True).click()
        page.get_by_role("button", name="Run Predictions").click()
        expect(page.locator("table.probabilities")).to_have_count(3)
        wait_for_images(page)
        assert urlsplit(page.url).path.startswith("/picasso/runs/")
        page.get_by_role("link", name="Audit").click()
        expect(page.locator("[data-model-state=ready]")).to_be_visible()
        page.locator("#folder").set_input_files(tmp_path / "classes")
        page.get_by_role("button", name="Start the audit").click()
        page.wait_for_url("**/picasso/audits/*")
        verdict = page.locator(".verdict")
        expect(verdict).to_be_visible(timeout=120_000)
        with page.context.expect_page() as opened:
            page.get_by_role("link", name="Open the report").click()
        expect(opened.value.locator("body")).to_contain_text(verdict.locator("p").first.inner_text())
        opened.value.close()
        page.get_by_role("link", name="REST API").click()
        expect(page.locator("main")).to_contain_text("/api/visualize")


def test_two_visitors_and_one_who_guesses(browser: Browser, site: Site, tmp_path: Path) -> None:
    with visiting(browser, site) as ann, visiting(browser, site) as bob:
        ann.locator("#file").set_input_files(files(tmp_path / "ann", 2))
        bob.locator("#file").set_input_files(files(tmp_path / "bob", 1))
        expect(ann.locator(".thumbs li[data-uid]")).to_have_count(2)
        stranger = Visitor(site.port, "127.0.0.9", secure=True, password="guess")  # noqa: S106
        assert {stranger.get("/picasso/").status for _ in range(15)} == {401, 429}
        ann.reload()
        bob.reload()
        expect(ann.locator(".thumbs li[data-uid]")).to_have_count(2)
        expect(bob.locator(".thumbs li[data-uid]")).to_have_count(1)
        for page in (ann, bob):
            wait_for_images(page)
    assert {line["address"] for line in site.server.log()} == {"127.0.0.1", "127.0.0.9"}
