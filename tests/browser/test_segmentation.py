"""A segmentation in a real browser: its mask, and targets that are chosen on the image."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from picasso.explanation.render import MASK_OPACITY, QUALITATIVE
from tests.browser.conftest import BROWSER, at, chips, full, halves, run_of, serving_fake, upload, watched
from tests.browser.test_accessibility import violations
from tests.jobs.test_engine import until

pytestmark = BROWSER

CANVAS = ".pick canvas"
RED, BLUE = (255, 0, 0), (0, 0, 255)


@pytest.fixture(scope="module")
def segmenter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving_fake(tmp_path_factory.mktemp("segmenter"), "SegmenterModel") as url:
        yield url


@pytest.fixture
def choosing(page: Page, segmenter: str, faults: list[str], tmp_path: Path) -> Iterator[Page]:
    """The settings of a run for an image whose left half is red, "brick", and whose right half is blue, "sky <b>"."""
    with watched(page, segmenter, faults) as visitor:
        upload(visitor, tmp_path, halves=halves(RED, BLUE), blue=halves(BLUE, BLUE))
        visitor.goto(full(visitor, "/visualizations/SaliencyMaps"))
        expect(visitor.locator("[data-shares] li")).to_have_count(2)
        yield visitor


def colour(page: Page, selector: str, x: float, y: float) -> list[int]:
    """Return the colour of a canvas at a place, in fractions of its sides."""
    found: list[int] = page.locator(selector).evaluate(
        "(canvas, [x, y]) => [...canvas.getContext('2d')"
        ".getImageData(x * canvas.width, y * canvas.height, 1, 1).data].slice(0, 3)",
        [x, y],
    )
    return found


def masked(below: tuple[int, int, int], index: int) -> list[float]:
    """Return the colour of a class over a colour."""
    above = bytes.fromhex(QUALITATIVE[index][1:])
    return [MASK_OPACITY * one + (1 - MASK_OPACITY) * other for one, other in zip(above, below, strict=True)]


def test_the_mask_is_over_the_image_until_it_is_hidden(choosing: Page) -> None:
    until(lambda: colour(choosing, CANVAS, 0.25, 0.5) == pytest.approx(masked(RED, 0), abs=2))
    assert colour(choosing, CANVAS, 0.75, 0.5) == pytest.approx(masked(BLUE, 2), abs=2)
    expect(choosing.locator("[data-shares] li")).to_have_text(["brick50.0%", "sky <b>50.0%"])
    choosing.get_by_label("Show the predicted classes").uncheck()
    until(lambda: colour(choosing, CANVAS, 0.25, 0.5) == list(RED))


def test_targets_are_chosen_by_click_drag_and_list_and_explained(choosing: Page) -> None:
    at(choosing, CANVAS, 0.26, 0.51)
    until(lambda: chips(choosing) == ["brick@18,24"])
    expect(choosing.locator("[data-told]")).to_have_text("brick at 18, 24: probability 1.00.")
    at(choosing, CANVAS, 0.51, 0.26, 0.99, 0.74)
    until(lambda: len(chips(choosing)) == 2)
    assert chips(choosing)[1] == "sky <b>@36,12,71,36"
    choosing.get_by_role("button", name="Explain sky <b>").click()
    choosing.locator("#target").fill("grass@1,2")
    choosing.keyboard.press("Tab")
    assert chips(choosing)[2:] == ["sky <b>", "grass@1,2"]
    choosing.get_by_role("button", name="Remove sky <b>@36,12,71,36").click()
    choosing.get_by_role("button", name="Run").click()
    expect(choosing.locator(".again")).to_be_visible()
    assert run_of(choosing)["targets"] == ["brick@18,24", "sky <b>", "grass@1,2"]
    row = choosing.locator(".row").first
    expect(row.locator(".panel strong")).to_have_text(["brick at 18, 24", "sky <b>", "grass at 1, 2"])
    expect(row.locator(".panel figcaption span")).to_have_text(["0.9993", "mean probability 1.00", "0.0003"])
    assert (
        choosing.locator(".row .stack img.over").evaluate_all("all => all.map((one) => one.naturalWidth)") == [288] * 2
    )
    choosing.get_by_role("link", name="Change settings").click()
    assert chips(choosing) == ["brick@18,24", "sky <b>", "grass@1,2"]


def test_a_target_is_chosen_with_the_keyboard_on_another_image(choosing: Page) -> None:
    choosing.get_by_label("On which image").select_option("blue.png")
    expect(choosing.locator("[data-shares] li")).to_have_count(1)
    choosing.locator(CANVAS).focus()
    for key in ("ArrowLeft", "Shift+ArrowDown", "Enter"):
        choosing.keyboard.press(key)
    until(lambda: chips(choosing) == ["sky <b>@25,19,40,31"])


def test_hiding_a_part_changes_the_mask(choosing: Page) -> None:
    choosing.goto(full(choosing, "/images/0/what-if?target=sky+<b>@60,20"))
    verdict = choosing.locator("[data-verdict]")
    expect(verdict).to_have_text("Largest class: brick, 50.0% of the pixels.")
    choosing.get_by_label("Fill with").select_option("black")
    at(choosing, ".stage canvas", 0.5, 0.0, 1.0, 1.0)
    expect(verdict).to_have_text("50.0% of the pixels change their class.")
    expect(choosing.locator("tbody[data-classes] td:nth-child(3)")).to_have_text(["100.0%", "0.0%"])
    expect(choosing.locator("[data-asked-targets] td:nth-child(3)")).to_have_text(["0.3333"])
    until(lambda: colour(choosing, ".stage canvas", 0.75, 0.5) == pytest.approx(masked((0, 0, 0), 0), abs=2))
    choosing.get_by_role("button", name="Hide it everywhere").click()
    expect(choosing.locator("[data-everywhere-text]")).to_have_text("1 of 2 images changes its largest class.")


def test_axe_finds_nothing_on_the_pages_of_a_segmentation(choosing: Page) -> None:
    at(choosing, CANVAS, 0.26, 0.51)
    until(lambda: len(chips(choosing)) == 1)
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
    assert wrong + violations(choosing) == []
