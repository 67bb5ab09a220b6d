"""What tests in a real browser share: the bundled example, served, and a page that notices whatever goes wrong."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urljoin, urlsplit

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Browser, ConsoleMessage, Dialog, Page, expect

from tests.cli.test_command import free_port
from tests.conftest import FAKES

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

QUIET = ["--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run"]
EXAMPLES = Path(__file__).resolve().parents[2] / "picasso" / "examples"
DIGITS = EXAMPLES / "samples" / "mnist"

# What a page shows is looked at, and not how soon: another program may keep the machine busy.
expect.set_options(timeout=180_000)

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
        deadline = time.monotonic() + 180
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


# Once for all that one process tests: between two modules of this folder it may come to others.
@pytest.fixture(scope="session")
def address() -> Iterator[str]:
    """Serve the bundled Keras example."""
    with serving() as url:
        yield url


def config_to_compare(folder: Path) -> Path:
    """Write the settings of the bundled Keras example with the TensorFlow one to compare it with."""
    other = {
        "MODEL_CLS_PATH": str(EXAMPLES / "tensorflow" / "model.py"),
        "MODEL_CLS_NAME": "TensorFlowMNISTModel",
        "MODEL_LOAD_ARGS": {
            "data_dir": str(EXAMPLES / "tensorflow" / "data"),
            "tf_input_var": "pictures:0",
            "tf_predict_var": "probabilities:0",
        },
    }
    config = folder / "config.py"
    config.write_text(f"COMPARE = {{'TensorFlow': {other!r}}}\n")
    return config


@pytest.fixture(scope="session")
def comparing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serve the bundled Keras example, with the TensorFlow one to compare it with."""
    with serving("--config", str(config_to_compare(tmp_path_factory.mktemp("comparing")))) as url:
        yield url


@pytest.fixture(scope="session")
def photographs() -> Iterator[str]:
    """Serve the example that looks at photographs, where it has been prepared."""
    example = EXAMPLES / "keras-efficientnet-lite"
    if not (example / "data" / "efficientnet_lite0.keras").exists():
        pytest.skip("make prepare EXAMPLE=keras-efficientnet-lite has not been called")
    with serving("--config", str(example / "config.py")) as url:
        yield url


@contextmanager
def serving_fake(folder: Path, name: str) -> Iterator[str]:
    """Serve a model of ``tests/fakes.py`` that sees images of 72 x 48 pixels; gives the address."""
    config = folder / "config.py"
    settings = {"MODEL_CLS_PATH": str(FAKES), "MODEL_CLS_NAME": name, "MODEL_LOAD_ARGS": {"shape": [48, 72, 3]}}
    config.write_text("".join(f"{key} = {value!r}\n" for key, value in settings.items()))
    with serving("--config", str(config)) as url:
        yield url


def upload(page: Page, folder: Path, **images: Image.Image) -> None:
    """Upload images, named after their arguments, and wait for the model."""
    files = []
    for name, image in images.items():
        files.append(folder / f"{name}.png")
        image.save(files[-1])
    page.locator("#file").set_input_files(files)
    expect(page.locator(".thumbs li[data-uid]")).to_have_count(len(files))
    expect(page.locator("[data-model-state=ready]")).to_be_visible()


def halves(left: tuple[int, int, int], right: tuple[int, int, int]) -> Image.Image:
    """Return an image of 72 x 48 pixels whose halves have one colour each."""
    image = Image.new("RGB", (72, 48), right)
    image.paste(left, (0, 0, 36, 48))
    return image


def at(page: Page, selector: str, *places: float) -> None:
    """Press the mouse at one place of an element, x and y in fractions of its sides, and release it at the last one."""
    element = page.locator(selector)
    element.scroll_into_view_if_needed()
    box = element.bounding_box()
    assert box
    points = [
        (box["x"] + x * box["width"], box["y"] + y * box["height"])
        for x, y in zip(places[::2], places[1::2], strict=True)
    ]
    page.mouse.move(*points[0])
    page.mouse.down()
    page.mouse.move(*points[-1], steps=5)
    page.mouse.up()


def chips(page: Page) -> list[str]:
    """Return the chosen targets."""
    return page.locator("[data-chips] .tick span").all_text_contents()


@pytest.fixture
def faults() -> list[str]:
    """What has gone wrong on the page so far; a test that provokes something takes it out again."""
    return []


@contextmanager
def watched(page: Page, address: str, faults: list[str]) -> Iterator[Page]:
    """Note any console error, script error, dialog, or request to another host; at the end there must be none."""

    def refuse(dialog: Dialog) -> None:
        faults.append(dialog.message)
        dialog.dismiss()

    def note(message: ConsoleMessage) -> None:
        if message.type == "error":
            faults.append(f"{message.text} {message.location['url']}")

    page.on("console", note)
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("dialog", refuse)
    page.on(
        "request",
        lambda request: None if request.url.startswith((address, f"blob:{address}")) else faults.append(request.url),
    )
    page.set_default_timeout(180_000)
    page.goto(address)
    yield page
    assert faults == []


@pytest.fixture
def visitor(page: Page, address: str, faults: list[str]) -> Iterator[Page]:
    """A visitor of the bundled example."""
    with watched(page, address, faults) as visitor:
        yield visitor


class Past(NamedTuple):
    """What a visitor has done: the cookies that bring it back, and the addresses of the runs by their settings."""

    cookies: list[Any]
    runs: dict[str, str]


OCCLUSION = "PartialOcclusion?Window=0.20&Strides=10&Show=probability"
FINER = "PartialOcclusion?Window=0.10&Strides=10&Show=probability"
DROPS = "PartialOcclusion?Strides=5"


@pytest.fixture(scope="session")
def past(browser: Browser, address: str) -> Past:
    """Three digits, and runs of every visualization on them; for tests that only look."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(address)
    page.locator("#file").set_input_files([next(DIGITS.glob(f"{digit}-*.png")) for digit in (0, 4, 7)])
    expect(page.locator(".thumbs li[data-uid]")).to_have_count(3)
    runs = {}
    for path in (OCCLUSION, FINER, DROPS, "SaliencyMaps", "ClassProbabilities"):
        run(page, path)
        runs[path] = urlsplit(page.url).path
    cookies: list[Any] = context.cookies()
    context.close()
    return Past(cookies, runs)


@pytest.fixture
def returned(page: Page, address: str, past: Past, faults: list[str]) -> Iterator[Page]:
    """A visitor who has been there before."""
    page.context.add_cookies(past.cookies)
    with watched(page, address, faults) as visitor:
        yield visitor


def wait_for_images(page: Page) -> None:
    """Wait until all images are drawn: one that is removed before that is asked for in vain."""
    page.evaluate(
        """() => Promise.all([...document.images].map((image) => {
          image.loading = "eager";
          return image.decode().catch(() => null);
        }))"""
    )


def take_ten(page: Page) -> None:
    """Take ten of the samples."""
    page.get_by_role("button", name="Add ten").click()
    expect(page.locator(".thumbs li")).to_have_count(10)


def run(page: Page, path: str) -> dict[str, Any]:
    """Run a visualization from the page of its settings until it has ended; gives what the API says of the run."""
    page.goto(full(page, f"/visualizations/{path}"))
    page.get_by_role("button", name="Run").click()
    # The first run waits for the model, which loads slowly on a machine that has much else to do.
    expect(page.locator(".again")).to_be_visible(timeout=240_000)
    return run_of(page)


def run_of(page: Page) -> dict[str, Any]:
    """Return what the API says of the run on the page."""
    run_id = re.search(r"/runs/(\w+)", page.url)
    assert run_id
    answer: dict[str, Any] = page.request.get(full(page, f"/api/runs/{run_id[1]}")).json()
    return answer


def values_of(page: Page, panel: dict[str, Any]) -> NDArray[np.float32]:
    """Return the values of a map."""
    values = np.frombuffer(page.request.get(full(page, panel["values_url"])).body(), "<f4")
    return values.reshape(panel["shape"])
