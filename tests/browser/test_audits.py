"""An audit in a real browser: choosing or dropping a folder, uploading, progress, cancelling and the report."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, Route, expect

from tests.browser.conftest import BROWSER, DIGITS, full
from tests.browser.test_accessibility import CONTRAST, RULES, violations
from tests.jobs.test_engine import until

pytestmark = BROWSER

SHIFTS = (-1, 0, 1)


def variants(digit: int) -> Iterator[bytes]:
    """Yield nine images of a digit: its three samples, each slightly shifted."""
    for file in sorted(DIGITS.glob(f"{digit}-*.png")):
        pixels = np.asarray(Image.open(file).convert("L"))
        for shift in SHIFTS:
            buffer = io.BytesIO()
            Image.fromarray(np.roll(pixels, shift, axis=1)).save(buffer, "PNG")
            yield buffer.getvalue()


@pytest.fixture
def digits(tmp_path: Path) -> Path:
    """A folder of three digits and unrelated files."""
    root = tmp_path / "digits"
    for digit in (3, 6, 8):
        (root / str(digit)).mkdir(parents=True)
        for index, body in enumerate(variants(digit)):
            (root / str(digit) / f"{index}<b>.png").write_bytes(body)
    (root / "1").mkdir()
    (root / "1" / "only.png").write_bytes(next(variants(1)))
    (root / "notes.txt").write_text("nothing")
    (root / ".trash").mkdir()
    (root / ".trash" / "old.png").write_bytes(b"x")
    return root


@pytest.fixture
def auditor(visitor: Page) -> Page:
    """A visitor on the page that starts an audit."""
    visitor.goto(full(visitor, "/audit"))
    expect(visitor.locator("[data-model-state=ready]")).to_be_visible(timeout=60_000)
    expect(visitor.locator("#folder-help code")).to_have_count(10)
    return visitor


def choose(page: Page, folder: Path) -> None:
    page.locator("#folder").set_input_files(folder)
    expect(page.locator("[data-gathered] tbody tr")).not_to_have_count(0)


def start(page: Page) -> None:
    page.get_by_role("button", name="Start the audit").click()
    page.wait_for_url("**/audits/*")


def shown(page: Page) -> list[list[str]]:
    rows = page.locator("[data-gathered] tbody tr").all()
    return [row.locator("th, td").all_inner_texts() for row in rows]


@pytest.mark.slow
@pytest.mark.parametrize(("scheme", "rules"), [("light", RULES), ("dark", CONTRAST)], ids=["light", "dark"])
def test_from_a_folder_to_the_report(auditor: Page, digits: Path, scheme: Any, rules: Any) -> None:
    auditor.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    expect(auditor.get_by_role("button", name="Start the audit")).to_be_disabled()
    choose(auditor, digits)
    assert shown(auditor) == [["1", "1", "too few"], ["3", "9", "9"], ["6", "9", "9"], ["8", "9", "9"]]
    expect(auditor.locator("[data-left-out]")).to_have_text("Left out: 2 files that are not images.")
    expect(auditor.locator("[data-cost]")).to_contain_text("3 pairs of classes, up to")
    auditor.get_by_text("Options", exact=True).click()
    auditor.get_by_label("Pairs of classes").fill("1")
    expect(auditor.locator("[data-cost]")).to_contain_text("One pair of classes")
    assert violations(auditor, rules) == []
    start(auditor)
    verdict = auditor.locator(".verdict")
    expect(verdict).to_be_visible(timeout=60_000)
    expect(auditor.locator(".result dl")).to_contain_text("9 images")
    assert violations(auditor, rules) == []
    with auditor.context.expect_page() as opened:
        auditor.get_by_role("link", name="Open the report").click()
    report = opened.value
    report.wait_for_load_state()
    # The report's own style is allowed, and no script can run.
    assert report.evaluate("[...document.styleSheets].length") == 1
    assert report.evaluate("document.scripts.length") == 0
    said = verdict.locator("p").first.inner_text()
    expect(report.locator("body")).to_contain_text(said)
    report.close()
    with auditor.expect_download() as saved:
        auditor.get_by_role("link", name="Save as JSON").click()
    assert saved.value.suggested_filename == "audit.json"
    auditor.goto(full(auditor, "/audit"))
    expect(auditor.locator(".history li")).to_contain_text("27 images")


@pytest.mark.slow
def test_on_a_phone_nothing_sticks_out(auditor: Page, digits: Path) -> None:
    auditor.set_viewport_size({"width": 360, "height": 740})
    choose(auditor, digits)
    wide = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
    assert not auditor.evaluate(wide)
    auditor.locator("#pairs").evaluate("field => { field.value = 1 }")
    start(auditor)
    expect(auditor.locator(".verdict")).to_be_visible(timeout=60_000)
    assert not auditor.evaluate(wide)


def test_a_folder_of_another_world_is_explained(auditor: Page, tmp_path: Path, faults: list[str]) -> None:
    folder = tmp_path / "zoo" / "<img src=x onerror=alert(1)>"
    folder.mkdir(parents=True)
    (folder / "a.png").write_bytes(next(variants(3)))
    auditor.locator("#folder").set_input_files(tmp_path / "zoo")
    notice = auditor.locator("[data-notices]")
    expect(notice).to_contain_text("is named after no class; the classes are 0, 1, 2, 3")
    expect(notice).to_contain_text("<img src=x onerror=alert(1)>")
    expect(auditor.get_by_role("button", name="Start the audit")).to_be_disabled()
    # The browser logs the status of the error response.
    assert ["status of 400" in fault for fault in faults] == [True]
    faults.clear()


DROP = """folders => {
  const entry = (name, path, children) => ({
    isFile: !children, isDirectory: Boolean(children), fullPath: path,
    file: (resolve) => resolve(new File([new Uint8Array(folders.body)], name, { type: "image/png" })),
    createReader: () => {
      const rest = [...(children ?? [])];
      return { readEntries: (resolve) => resolve(rest.splice(0, 5)) };
    },
  });
  const files = (folder) => Array.from({ length: folders.count }, (_, at) => entry(`${at}.png`, `${folder}/${at}.png`));
  const given = folders.names.map((name) => entry(name, `/${name}`, files(`/${name}`)));
  const transfer = new DataTransfer();
  folders.names.forEach((name) => transfer.items.add(new File([], name)));
  DataTransferItem.prototype.webkitGetAsEntry = () => given.shift();
  document.body.dispatchEvent(new DragEvent("drop", { dataTransfer: transfer, bubbles: true, cancelable: true }));
}"""


def test_by_keyboard(auditor: Page, digits: Path) -> None:
    choose(auditor, digits)
    auditor.locator("#folder").focus()
    reached = []
    for _ in range(6):
        auditor.keyboard.press("Tab")
        reached.append(auditor.evaluate("document.activeElement.textContent.trim()"))
        if reached[-1] == "Options":
            auditor.keyboard.press("Enter")
        if reached[-1] == "Start the audit":
            break
    assert reached == ["Options", "", "", "Start the audit"]
    auditor.keyboard.press("Enter")
    auditor.wait_for_url("**/audits/*")
    auditor.get_by_role("button", name="Cancel").press("Enter")
    expect(auditor.get_by_role("button", name="Go on")).to_be_visible()


def test_folders_that_are_dropped(auditor: Page) -> None:
    auditor.evaluate(DROP, {"names": ["3", "6"], "count": 230, "body": list(next(variants(3)))})
    expect(auditor.locator("[data-gathered] tbody tr")).to_have_count(2)
    # Images beyond the limit are not uploaded.
    assert shown(auditor) == [["3", "230", "200"], ["6", "230", "200"]]


def test_images_that_are_too_large_to_be_sent_are_left_out(auditor: Page, digits: Path) -> None:
    # What is allowed, less what goes with an image.
    auditor.locator("form[data-gather]").evaluate("form => { form.dataset.mostBytes = 50000 }")
    for name, more in (("large", 30_001), ("not so large", 29_000)):
        body = next(variants(3))
        (digits / "3" / f"{name}.png").write_bytes(body + b"x" * (more - len(body)))
    choose(auditor, digits)
    expect(auditor.locator("[data-left-out]")).to_have_text(
        "Left out: 2 files that are not images, 1 image larger than the 0.05 MB allowed."
    )
    assert shown(auditor)[1] == ["3", "10", "10"]
    start(auditor)
    expect(auditor.locator(".result dl")).to_contain_text("10 images")
    auditor.get_by_role("button", name="Cancel").click()
    expect(auditor.locator("[data-audit]")).to_have_count(0)


def test_sending_that_is_interrupted_goes_on(auditor: Page, digits: Path, faults: list[str]) -> None:
    sent = []

    def once(route: Route) -> None:
        sent.append(route.request.url)
        if len(sent) == 2:
            route.abort()
        else:
            route.continue_()

    auditor.route("**/images", once)
    choose(auditor, digits)
    auditor.get_by_role("button", name="Start the audit").click()
    expect(auditor.locator("[data-notices]")).to_contain_text("The server does not respond.")
    assert ["ERR_FAILED" in fault for fault in faults] == [True]
    faults.clear()
    auditor.get_by_role("button", name="Continue the upload").click()
    auditor.wait_for_url("**/audits/*")
    assert len(sent) == 4
    expect(auditor.locator(".result dl")).to_contain_text("9 images")
    auditor.get_by_role("button", name="Cancel").click()
    expect(auditor.locator("[data-audit]")).to_have_count(0)


@pytest.mark.slow
def test_cancelled_and_gone_on(auditor: Page, digits: Path) -> None:
    choose(auditor, digits)
    start(auditor)
    expect(auditor.locator("[data-audit-text]")).to_contain_text("Pair 1 of 3", timeout=30_000)
    auditor.get_by_role("button", name="Cancel").click()
    expect(auditor.get_by_text("The audit was cancelled after")).to_be_visible()
    expect(auditor.get_by_role("button", name="Cancel")).to_have_count(0)
    auditor.wait_for_timeout(300)
    auditor.get_by_role("button", name="Go on").click()
    expect(auditor.locator(".verdict")).to_be_visible(timeout=60_000)


@pytest.mark.slow
def test_without_javascript(browser: Browser, address: str, digits: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{address}/audit")
    until(lambda: page.reload() and page.locator("#folder-help code").count(), 60)
    page.locator("#folder").set_input_files(digits)
    page.get_by_role("button", name="Upload the folder and start").click()
    # The page reloads itself.
    expect(page.locator(".verdict")).to_be_visible(timeout=60_000)
    expect(page.locator(".result dl")).to_contain_text("9 images")
    context.close()
