"""Hiding parts of an image in a real browser: by pointer, by brush, by keyboard, in all images."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import BROWSER, full, take_ten
from tests.jobs.test_engine import until

pytestmark = BROWSER


@pytest.fixture
def painting(visitor: Page, address: str) -> Page:
    """The page on which parts of a handwritten 4 are hidden."""
    take_ten(visitor)
    visitor.locator(".thumbs li").nth(4).locator("a").click()
    expect(visitor.locator(".thumbs li").nth(4)).to_have_class("current")
    visitor.get_by_role("link", name="What if I hide this?").click()
    expect(visitor.locator("[data-verdict]")).to_contain_text("Prediction: 4", timeout=60_000)
    return visitor


def hidden(page: Page) -> list[float]:
    """Return the probabilities with the region hidden, as the page shows them."""
    return [float(text) for text in page.locator("[data-classes] td:nth-child(3)").all_inner_texts()]


def drag(page: Page, left: float, top: float, right: float, bottom: float) -> None:
    """Drag over the image, in fractions of its sides."""
    canvas = page.locator(".stage canvas")
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    assert box
    page.mouse.move(box["x"] + left * box["width"], box["y"] + top * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + right * box["width"], box["y"] + bottom * box["height"], steps=5)
    page.mouse.up()


def test_a_rectangle_moves_the_probabilities_and_undo_restores_them(painting: Page) -> None:
    before = hidden(painting)
    drag(painting, 0.0, 0.0, 1.0, 1.0)
    until(lambda: hidden(painting) != before)
    whole: Any = painting.request.post(
        full(painting, "/api/what-if"), data={"images": [4], "shapes": [{"box": [0, 0, 1, 1]}], "fill": "grey"}
    ).json()["answers"][0]
    expected = [round(one["after"], 4) for one in whole["classes"]]
    until(lambda: hidden(painting) == pytest.approx(expected, abs=2e-3))
    assert ("The prediction flips" in painting.locator("[data-verdict]").inner_text()) == whole["flipped"]
    painting.get_by_role("button", name="Undo").click()
    until(lambda: hidden(painting) == before)


def test_the_brush_and_other_fills(painting: Page) -> None:
    before = hidden(painting)
    painting.get_by_label("a brush").check()
    drag(painting, 0.2, 0.6, 0.9, 0.6)
    until(lambda: hidden(painting) != before)
    grey = hidden(painting)
    painting.get_by_label("Fill with").select_option("image")
    expect(painting.get_by_label("Which image")).to_be_visible()
    until(lambda: hidden(painting) != grey)


def test_everything_by_keyboard(painting: Page) -> None:
    before = hidden(painting)
    for _ in range(60):
        painting.keyboard.press("Tab")
        if painting.evaluate("document.activeElement.matches('canvas')"):
            break
    for key in [*["Shift+ArrowRight"] * 6, *["Shift+ArrowDown"] * 6, "ArrowUp", "Enter"]:
        painting.keyboard.press(key)
    until(lambda: hidden(painting) != before)
    painting.keyboard.press("Control+z")
    until(lambda: hidden(painting) == before)
    painting.keyboard.press("Tab")
    assert not painting.evaluate("document.activeElement.matches('canvas')")


def test_the_same_region_of_all_images(painting: Page) -> None:
    drag(painting, 0.0, 0.0, 1.0, 1.0)
    painting.get_by_role("button", name="Hide it everywhere").click()
    text = painting.locator("[data-everywhere-text]")
    expect(text).to_contain_text("of 10 images")
    answers: Any = painting.request.post(
        full(painting, "/api/what-if"), data={"shapes": [{"box": [0, 0, 1, 1]}]}
    ).json()["answers"]
    flips = sum(one["flipped"] for one in answers)
    assert flips > 5
    expect(text).to_contain_text(f"{flips} of 10 images flip")
    expect(painting.locator("[data-flips] .flipped")).to_have_count(flips)


def test_it_is_answered_while_somebody_elses_long_run_computes(painting: Page, browser: Browser) -> None:
    context = browser.new_context()
    other = context.new_page()
    other.goto(full(painting, "/"))
    take_ten(other)
    other.goto(full(other, "/visualizations/PartialOcclusion?Strides=30&Window=0.05"))
    other.get_by_role("button", name="Run").click()
    expect(other.locator("[data-run-text]")).to_contain_text(" of 10 images done", timeout=30_000)
    run_id = other.url.rsplit("/", 1)[1]
    before = hidden(painting)
    drag(painting, 0.0, 0.0, 1.0, 1.0)
    until(lambda: hidden(painting) != before)
    assert other.request.get(full(other, f"/api/runs/{run_id}?results=false")).json()["state"] == "running"
    other.get_by_role("button", name="Cancel").click()
    context.close()


def test_probabilities_that_round_to_the_same_number_do_not_change(painting: Page) -> None:
    told: Any = painting.evaluate(
        """async () => {
            const { TOLD } = await import("/static/told.js");
            const answer = (after) => ({ before: [{ name: "4", prob: 1 }], after: [{ name: "4", prob: after }] });
            const { verdict, brief } = TOLD.classification;
            return [0.9999, 0.9].flatMap((after) => [verdict(answer(after), true), brief(answer(after))]);
        }"""
    )
    assert told == [
        "The prediction stays 4 at 100.0%: it does not change noticeably.",
        "4 100.0%",
        "The prediction stays 4: from 100.0% to 90.0%.",
        "4 100.0 → 90.0%",
    ]
