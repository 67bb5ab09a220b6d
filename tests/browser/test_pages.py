"""The bundled example in a real browser, from the first page to the maps, as a person would do it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser.conftest import BROWSER, full, take_ten, wait_for_images
from tests.conftest import noise_image, png
from tests.jobs.test_engine import until

pytestmark = BROWSER


def test_the_page_answers_while_the_model_loads(visitor: Page) -> None:
    # The server may only just have started.
    expect(visitor.locator(".model")).to_contain_text("KerasMNISTModel")
    expect(visitor.locator(".model")).to_contain_text("mnist.keras", timeout=240_000)


def test_samples_to_occlusion_maps(visitor: Page) -> None:
    visitor.get_by_role("button", name="Add ten").click()
    expect(visitor.get_by_role("list", name="Your images").locator("img")).to_have_count(10)
    visitor.get_by_role("link", name="All methods", exact=True).click()
    visitor.get_by_role("link", name="Choose settings of Partial occlusion").click()
    visitor.get_by_label("Window").select_option("0.20")
    visitor.get_by_label("Strides").select_option("20")
    visitor.get_by_role("button", name="Run").click()
    # The page is loaded once more when the run is complete.
    expect(visitor.locator("header.result")).to_be_visible(timeout=60_000)
    expect(visitor.locator("[data-run]")).to_have_count(0, timeout=60_000)
    rows = visitor.locator("article.row")
    expect(rows).to_have_count(10)
    for digit, row in enumerate(rows.all()):
        expect(row.locator(".panel")).to_have_count(6)
        expect(row.locator(".panel figcaption").nth(1)).to_contain_text(str(digit))
    # Every image, map and legend arrives: images below the fold are loaded when scrolled to.
    visitor.eval_on_selector_all("img", "images => images.forEach(image => { image.loading = 'eager' })")
    images = visitor.locator("main img")
    expect(images).to_have_count(10 * (2 + 6 + 5))
    loaded = "images => images.filter(image => image.complete && image.naturalWidth > 0).length"
    until(lambda: visitor.eval_on_selector_all("main img", loaded) == images.count())


def test_dropping_a_file_uploads_it(visitor: Page, tmp_path: Path) -> None:
    hostile = tmp_path / "<img src=x onerror=alert(1)>.png"
    hostile.write_bytes(png(noise_image(1, (40, 40))))
    visitor.locator("#file").set_input_files([hostile, hostile])
    thumbs = visitor.get_by_role("list", name="Your images").locator("li")
    expect(thumbs).to_have_count(2)
    expect(thumbs.first).to_contain_text("<img src=x onerror=alert(1)>.png")
    script = """bytes => {
      const transfer = new DataTransfer();
      transfer.items.add(new File([new Uint8Array(bytes)], "dropped.png", { type: "image/png" }));
      document.body.dispatchEvent(new DragEvent("drop", { dataTransfer: transfer, bubbles: true, cancelable: true }));
    }"""
    visitor.evaluate(script, list(png(noise_image(2, (28, 28)))))
    expect(thumbs).to_have_count(3)
    wait_for_images(visitor)
    visitor.get_by_role("button", name="Remove dropped.png").click()
    expect(thumbs).to_have_count(2)
    visitor.get_by_role("link", name="All methods", exact=True).click()
    visitor.get_by_role("button", name="Run Predictions").click()
    expect(visitor.locator("table.probabilities")).to_have_count(2)
    wait_for_images(visitor)
    visitor.get_by_role("link", name="Start over").click()
    expect(visitor.locator(".ask")).to_contain_text("This deletes your 2 images")
    visitor.get_by_role("link", name="Keep everything").click()
    expect(thumbs).to_have_count(2)
    visitor.get_by_role("link", name="Start over").click()
    visitor.get_by_role("button", name="Delete everything").click()
    expect(thumbs).to_have_count(0)
    visitor.get_by_role("button", name="Undo").click()
    expect(thumbs).to_have_count(2)
    wait_for_images(visitor)
    visitor.get_by_role("link", name="Start over").click()
    visitor.get_by_role("button", name="Delete everything").click()
    visitor.get_by_role("button", name="Delete permanently").click()
    expect(visitor.get_by_role("button", name="Undo")).to_have_count(0)


def test_a_class_that_is_entered_before_the_script_has_arrived_gets_its_next_field(visitor: Page) -> None:
    take_ten(visitor)
    held: list[Route] = []
    visitor.route("**/settings_form.js*", lambda route: held.append(route))
    with visitor.expect_request("**/settings_form.js*"):
        visitor.goto(full(visitor, "/visualizations/SaliencyMaps"))
    visitor.locator("#class").fill("4")
    fields = visitor.locator("[data-classes] input")
    expect(fields).to_have_count(1)
    held[0].continue_()
    expect(fields).to_have_count(2)
    fields.last.fill("7")
    expect(fields).to_have_count(3)


def test_progress_is_shown_and_a_run_can_be_cancelled(visitor: Page) -> None:
    for count in (10, 20, 30):
        if count > 10 and not visitor.locator(".more-samples[open]").count():
            visitor.locator(".more-samples summary").click()
        visitor.get_by_role("button", name="Add ten").click()
        expect(visitor.locator(".thumbs img")).to_have_count(count)
    visitor.goto(full(visitor, "/") + "visualizations/PartialOcclusion?Strides=30&Window=0.05")
    visitor.get_by_role("button", name="Run").click()
    expect(visitor.get_by_role("progressbar")).to_be_visible()
    expect(visitor.locator("[data-run-text]")).to_contain_text(" of 30 images done")
    visitor.get_by_role("button", name="Cancel").click()
    expect(visitor.locator("header.result")).to_contain_text("(cancelled)")


def test_everything_works_without_javascript(browser: Any, address: str) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(address)
    page.locator("#file").set_input_files(
        {"name": "digit.png", "mimeType": "image/png", "buffer": png(noise_image(3, (28, 28)))}
    )
    page.get_by_role("button", name="Upload").click()
    # The map of the image, and the four plain steps.
    page.get_by_role("button", name="Show the map").click()
    expect(page.locator(".main .map img")).to_be_visible(timeout=60_000)
    page.get_by_role("link", name="All methods", exact=True).click()
    page.get_by_role("link", name="Choose settings of Saliency maps").click()
    page.get_by_role("button", name="Run").click()
    expect(page.locator("header.result")).to_be_visible(timeout=30_000)
    expect(page.locator(".panel")).to_have_count(5)
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_and_nothing_overflows_at_phone_width(browser: Any, address: str, scheme: str) -> None:
    context = browser.new_context(color_scheme=scheme, viewport={"width": 320, "height": 640})
    page = context.new_page()
    for path in ("/", "/visualizations", "/visualizations/PartialOcclusion", "/nope"):
        page.goto(address + path)
        assert page.evaluate("document.documentElement.scrollWidth") <= 320, path
    context.close()
