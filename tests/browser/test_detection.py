"""An object detector in a real browser: its boxes, and what happens to them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import BROWSER, at, chips, full, halves, run_of, serving_fake, upload, watched
from tests.browser.test_accessibility import violations
from tests.jobs.test_engine import until

pytestmark = BROWSER


@pytest.fixture(scope="module")
def detector(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving_fake(tmp_path_factory.mktemp("detector"), "DetectorModel") as url:
        yield url


@pytest.fixture
def choosing(page: Page, detector: str, faults: list[str], tmp_path: Path) -> Iterator[Page]:
    """The settings of a run for an image with a "cat <b>" on the left (score 0.8) and a "dog" on the right (0.6)."""
    with watched(page, detector, faults) as visitor:
        upload(visitor, tmp_path, both=halves((204, 0, 0), (0, 153, 0)), none=halves((0, 0, 0), (0, 0, 0)))
        visitor.goto(full(visitor, "/visualizations/PartialOcclusion?Strides=10"))
        expect(visitor.locator(".pick [role=button]")).to_have_count(2)
        yield visitor


def test_a_box_is_chosen_by_click_and_by_keyboard_and_explained(choosing: Page) -> None:
    at(choosing, ".pick [data-view]", 0.75, 0.5)
    until(lambda: chips(choosing) == ["box:1"])
    expect(choosing.locator("[data-told]")).to_have_text("box:1 is the dog with the score 0.6000.")
    choosing.locator(".pick [role=button][aria-label='cat <b> 0.80']").focus()
    choosing.keyboard.press("Enter")
    assert chips(choosing) == ["box:1", "box:0"]
    choosing.get_by_role("button", name="Run").click()
    expect(choosing.locator(".again")).to_be_visible()
    first, second = choosing.locator(".row").all()
    expect(first.locator(".panel strong")).to_have_text(["Windows", "dog (box 1)", "cat <b> (box 0)"])
    expect(second.locator(".answers")).to_contain_text("no objects")
    expect(second.locator(".note", has_text="There is no box 1 in this image")).to_be_visible()
    assert run_of(choosing)["targets"] == ["box:1", "box:0"]


def test_an_image_without_objects_offers_none(choosing: Page) -> None:
    choosing.get_by_label("On which image").select_option("none.png")
    expect(choosing.locator("[data-told]")).to_have_text("0 objects detected.")
    expect(choosing.locator(".pick [role=button]")).to_have_count(0)


def test_boxes_vanish_and_stay(choosing: Page) -> None:
    choosing.goto(full(choosing, "/images/0/what-if"))
    verdict = choosing.locator("[data-verdict]")
    expect(verdict).to_have_text("2 objects detected.")
    choosing.get_by_label("Fill with").select_option("black")
    at(choosing, ".stage canvas", 0.0, 0.0, 0.5, 1.0)
    expect(verdict).to_have_text("No longer detected: cat <b>.")
    expect(choosing.locator("tbody[data-classes] td:nth-child(3)")).to_have_text(["–", "0.6000"])
    expect(choosing.locator(".stage [stroke-dasharray]")).to_have_count(1)
    expect(choosing.get_by_role("img", name="cat <b> 0.80 → –")).to_be_visible()
    choosing.get_by_role("button", name="Hide it everywhere").click()
    expect(choosing.locator("[data-everywhere-text]")).to_have_text("1 of 2 images gains or loses objects.")
    expect(choosing.locator("[data-flip]")).to_have_text(["2 → 1 object", "0 → 0 objects"])


def test_axe_finds_nothing_on_the_pages_of_a_detector(choosing: Page) -> None:
    choosing.locator(".pick [role=button]").first.press("Enter")
    wrong = violations(choosing)
    choosing.get_by_role("button", name="Run").click()
    expect(choosing.locator(".again")).to_be_visible()
    wrong += violations(choosing)
    choosing.locator(".ask").first.click()
    expect(choosing.locator("tbody[data-classes] tr")).to_have_count(2)
    wrong += violations(choosing)
    choosing.goto(full(choosing, "/visualizations/ClassProbabilities"))
    choosing.get_by_role("button", name="Run").click()
    expect(choosing.locator(".again")).to_be_visible()
    # All objects can be reached with the keyboard.
    assert choosing.locator(".predicted [tabindex='0']").count() == 2
    assert wrong + violations(choosing) == []
