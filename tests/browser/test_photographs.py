"""Photographs and a thousand classes: from a sample to a map of a class that was searched for."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import BROWSER, full, run_of, values_of, watched
from tests.jobs.test_engine import until

pytestmark = BROWSER


@pytest.fixture
def photographer(page: Page, photographs: str, faults: list[str]) -> Iterator[Page]:
    """A visitor with one of the photographs."""
    with watched(page, photographs, faults) as visitor:
        visitor.locator(".samples button[value*=coffee]").first.click()
        expect(visitor.locator(".thumbs li[data-uid]")).to_have_count(1)
        yield visitor


@pytest.mark.slow
def test_a_class_that_was_searched_for_is_looked_at(photographer: Page) -> None:
    expect(photographer.locator("[data-model-state=ready]")).to_be_visible(timeout=180_000)
    photographer.goto(full(photographer, "/visualizations/SaliencyMaps"))
    assert photographer.locator("#class-names option").count() == 1000
    name = photographer.locator("#class-names option").nth(7).evaluate("option => option.value")
    photographer.locator("#class").fill(name)
    # Whoever names one class may name another.
    expect(photographer.locator("[data-classes] input")).to_have_count(2)
    photographer.get_by_role("button", name="Run").click()
    expect(photographer.locator(".again")).to_be_visible(timeout=180_000)
    maps = photographer.locator("a.map")
    expect(maps).to_have_count(1)
    expect(photographer.locator(".panel figcaption strong").last).to_have_text(name)
    # A map of many small cells is read as one of few large ones.
    panel = next(panel for panel in run_of(photographer)["results"][0]["panels"] if panel["kind"] == "map")
    values = values_of(photographer, panel)
    row, column = values.shape[0] // 2, values.shape[1] // 2
    maps.first.focus()
    photographer.keyboard.press("ArrowRight")
    expected = f"at column {column + 1}, row {row + 1}"
    reading = maps.first.locator(".reading")
    until(lambda: expected in reading.inner_text())
    assert float(reading.inner_text().split()[0]) == pytest.approx(float(values[row, column]), rel=1e-3, abs=1e-9)
