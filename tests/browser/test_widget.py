"""The widget in a real JupyterLab: choosing images, targets and methods with the mouse and the keyboard."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import BROWSER, DIGITS
from tests.cli.test_command import free_port

pytestmark = [
    *BROWSER,
    pytest.mark.slow,
    pytest.mark.skipif(importlib.util.find_spec("jupyterlab") is None, reason="JupyterLab is not installed"),
]

CELLS = (
    f"""\
import picasso
from picasso.examples.brightness import BrightnessModel

model = BrightnessModel()
model.load()
shown = picasso.widget(model, [{str(DIGITS / "4-00004.png")!r}, {str(DIGITS / "5-00008.png")!r}, b"torn"])
shown""",
    "print(shown.result)",
)


def notebook(*cells: str) -> dict[str, Any]:
    """Return a notebook as its file has it."""
    known: dict[str, Any] = {"cell_type": "code", "execution_count": None, "metadata": {}, "outputs": []}
    return {
        "cells": [{**known, "id": f"cell-{number}", "source": text} for number, text in enumerate(cells)],
        "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serve JupyterLab with one notebook; gives the address of the notebook."""
    folder, home = tmp_path_factory.mktemp("notebooks"), tmp_path_factory.mktemp("home")
    (folder / "shown.ipynb").write_text(json.dumps(notebook(*CELLS)), encoding="utf-8")
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    options = ["--no-browser", "--ip=127.0.0.1", f"--port={port}", "--allow-root", "--IdentityProvider.token="]
    # It must not ask for news, nor read or change the settings of who runs the tests.
    options += ["--LabApp.news_url=", "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate"]
    places = {f"JUPYTER_{name}_DIR": str(home / name.lower()) for name in ("CONFIG", "DATA", "RUNTIME")}
    environment = os.environ | places | {"JUPYTERLAB_SETTINGS_DIR": str(home), "JUPYTERLAB_WORKSPACES_DIR": str(home)}
    server = subprocess.Popen([sys.executable, "-m", "jupyterlab", *options], cwd=folder, env=environment)
    try:
        deadline = time.monotonic() + 120
        while True:
            try:
                urllib.request.urlopen(f"{url}/lab").close()  # noqa: S310 - the server of this test
                break
            except OSError:
                assert server.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.2)
        yield f"{url}/lab/tree/shown.ipynb"
    finally:
        server.terminate()
        server.wait(timeout=30)


@pytest.fixture
def widget(page: Page, lab: str) -> Iterator[Locator]:
    """Run the first cell, and give the widget below it; nothing may be written to the console as an error."""
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.goto(f"{lab}?reset")
    expect(page.get_by_text("Python 3 (ipykernel) | Idle")).to_be_visible(timeout=60_000)
    page.locator(".jp-Cell .cm-content").first.click()
    page.keyboard.press("Shift+Enter")
    shown = page.locator(".picasso-widget")
    expect(shown.locator(".large img")).to_be_visible(timeout=60_000)
    yield shown
    assert faults == []


def pressed(widget: Locator, part: str) -> Locator:
    return widget.locator(f".{part} button[aria-pressed=true]")


def test_one_action_leads_to_another_image_target_method_and_question(page: Page, widget: Locator) -> None:
    figure = widget.locator(".large")
    expect(figure.locator("figcaption")).to_have_text("4-00004.png Grad-CAM")
    expect(pressed(widget, "questions")).to_have_text("What does it look at?")
    first = figure.locator("img").get_attribute("src")

    widget.get_by_role("button", name="Exact map: Partial occlusion").click()
    expect(figure.locator("figcaption")).to_have_text("4-00004.png Partial occlusion")
    assert figure.locator("img").get_attribute("src") != first
    expect(widget.get_by_label("Method")).to_have_value("PartialOcclusion")
    expect(widget.locator(".legend").first).to_contain_text("against")

    widget.locator(".chips button").nth(1).click()
    expect(pressed(widget, "chips")).to_contain_text("bright")
    expect(figure.locator("img")).to_have_attribute("alt", "Partial occlusion of 4-00004.png: bright")
    widget.get_by_role("button", name="5-00008.png").click()
    expect(figure.locator("figcaption")).to_have_text("5-00008.png Partial occlusion")
    widget.get_by_label("Method").select_option("SaliencyMaps")
    expect(figure.locator("figcaption")).to_have_text("5-00008.png Saliency maps")
    widget.get_by_role("button", name="Why this and not that?").click()
    expect(pressed(widget, "chips")).to_contain_text("rather than")

    # The kernel knows what is shown.
    page.locator(".jp-Cell .cm-content").nth(1).click()
    page.keyboard.press("Shift+Enter")
    expect(page.locator(".jp-Cell").nth(1)).to_contain_text("<Result: GradCAM of 5-00008.png")


def test_an_image_without_its_map_and_one_that_is_torn(widget: Locator) -> None:
    image, bare = widget.locator(".large img"), widget.get_by_role("button", name="Image only")
    map_ = image.get_attribute("src")
    bare.click()
    expect(bare).to_have_attribute("aria-pressed", "true")
    assert image.get_attribute("src") != map_
    bare.click()
    expect(image).to_have_attribute("src", map_ or "")
    widget.get_by_role("button", name="image 2").click()
    expect(widget.get_by_role("alert")).to_contain_text("image 2")
    expect(image).to_have_count(0)
    widget.get_by_role("button", name="4-00004.png").click()
    expect(widget.get_by_role("alert")).to_have_count(0)
    expect(image).to_have_attribute("src", map_ or "")


def test_the_keyboard_is_enough(page: Page, widget: Locator) -> None:
    pressed(widget, "strip").focus()
    page.keyboard.press("ArrowDown")
    # JupyterLab would edit the cell with Enter.
    page.keyboard.press("Enter")
    expect(pressed(widget, "strip")).to_contain_text("5-00008.png")
    expect(widget.locator(".large figcaption")).to_contain_text("5-00008.png")
    expect(pressed(widget, "strip")).to_be_focused()
    page.keyboard.press("Tab")
    expect(pressed(widget, "chips")).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    expect(widget.locator(".large img")).to_have_attribute("alt", "Grad-CAM of 5-00008.png: bright")
    expect(pressed(widget, "chips")).to_be_focused()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 700])
def test_axe_finds_nothing(page: Page, widget: Locator, scheme: str, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    if scheme == "dark":
        page.keyboard.press("Control+Shift+C")
        page.locator(".lm-CommandPalette-input").fill("JupyterLab Dark")
        page.keyboard.press("Enter")
        expect(page.locator("body[data-jp-theme-light=false]")).to_be_attached()
    found = Axe().run(page, context=".picasso-widget").response["violations"]
    assert [(one["id"], one["nodes"][0]["html"][:200]) for one in found] == []
