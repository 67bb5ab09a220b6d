"""A regression in a real browser: numbers with their unit."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import BROWSER, at, chips, full, halves, serving_fake, upload, watched
from tests.browser.test_accessibility import violations

pytestmark = BROWSER

WHITE, BLACK = (255, 255, 255), (0, 0, 0)


@pytest.fixture(scope="module")
def regressor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving_fake(tmp_path_factory.mktemp("regressor"), "RegressorModel") as url:
        yield url


@pytest.fixture
def choosing(page: Page, regressor: str, faults: list[str], tmp_path: Path) -> Iterator[Page]:
    """The settings of a run for an image that is half white, age 40, and a black one, age 0."""
    with watched(page, regressor, faults) as visitor:
        upload(visitor, tmp_path, black=halves(BLACK, BLACK), half=halves(WHITE, BLACK))
        visitor.goto(full(visitor, "/visualizations/SaliencyMaps"))
        yield visitor


def test_a_value_is_chosen_and_rows_are_sorted_by_it(choosing: Page) -> None:
    choosing.locator("#target").fill("value:age")
    choosing.keyboard.press("Tab")
    assert chips(choosing) == ["value:age"]
    choosing.get_by_role("button", name="Run").click()
    expect(choosing.locator(".again")).to_be_visible()
    numbers = choosing.locator(".panel figcaption span")
    expect(numbers).to_have_text(["0 years", "40 years"])
    choosing.locator("select[name=order]").select_option("largest value first")
    expect(numbers).to_have_text(["40 years", "0 years"])
    expect(choosing.locator("select[name=only] option")).to_have_text(["all images"])


def test_the_number_before_and_after(choosing: Page, faults: list[str]) -> None:
    choosing.goto(full(choosing, "/images/1/what-if"))
    verdict = choosing.locator("[data-verdict]")
    expect(verdict).to_have_text("age: 40 years. experience: 20 years.")
    choosing.get_by_label("Fill with").select_option("black")
    at(choosing, ".stage canvas", 0.0, 0.0, 0.25, 1.0)
    expect(verdict).to_have_text("age: 40 → 20 years (−20). experience: 20 → 10 years (−10).")
    expect(choosing.locator("[data-asked]")).to_be_hidden()
    choosing.locator("#target").fill("experience")
    choosing.keyboard.press("Tab")
    expect(choosing.locator("[data-asked-targets] tr")).to_have_text(["experience (years)20.000010.0000"])
    choosing.locator("#target").fill("shoe size")
    choosing.keyboard.press("Tab")
    expect(verdict).to_contain_text("The model has no value shoe size.")
    # The browser itself complains about the answer.
    assert ["400" in fault for fault in faults] == [True]
    faults.clear()


def test_axe_finds_nothing_on_the_pages_of_a_regression(choosing: Page) -> None:
    wrong = violations(choosing)
    choosing.get_by_role("button", name="Run").click()
    expect(choosing.locator(".again")).to_be_visible()
    wrong += violations(choosing)
    choosing.locator(".ask").first.click()
    expect(choosing.locator("tbody[data-classes] tr")).to_have_count(2)
    assert wrong + violations(choosing) == []
