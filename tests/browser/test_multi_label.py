"""A model with several labels in a real browser: they are independent bars."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import BROWSER, at, full, halves, serving_fake, upload, watched
from tests.browser.test_accessibility import violations
from tests.jobs.test_engine import until

pytestmark = BROWSER


@pytest.fixture(scope="module")
def labeller(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving_fake(tmp_path_factory.mktemp("labeller"), "MultiLabelModel") as url:
        yield url


@pytest.fixture
def choosing(page: Page, labeller: str, faults: list[str], tmp_path: Path) -> Iterator[Page]:
    """The settings of a run for one image."""
    with watched(page, labeller, faults) as visitor:
        upload(visitor, tmp_path, one=halves((250, 20, 60), (10, 90, 200)))
        visitor.goto(full(visitor, "/visualizations/ClassProbabilities"))
        yield visitor


def test_labels_are_added_and_lost(choosing: Page) -> None:
    choosing.goto(full(choosing, "/images/0/what-if"))
    verdict = choosing.locator("[data-verdict]")
    expect(verdict).to_contain_text("Labels: ")
    had = verdict.inner_text().removeprefix("Labels: ").removesuffix(".").split(", ")
    answer = choosing.request.post(full(choosing, "/api/predict"), data={}).json()["answers"][0]
    assert had == [one["name"] for one in answer["predictions"] if one["prob"] >= 0.5]
    choosing.get_by_label("Fill with").select_option("black")
    at(choosing, ".stage canvas", 0.0, 0.0, 1.0, 1.0)
    # The logits of a black image are 0, and 0.5 is enough.
    expect(choosing.locator("tbody[data-classes] td:nth-child(3)").first).to_have_text("0.5000")
    numbers = choosing.locator("tbody[data-classes] tr").all_inner_texts()
    lost = [row.split("\t")[0] for row in numbers if float(row.split("\t")[1]) < 0.5]
    until(
        lambda: (
            verdict.inner_text() == (f"Added: {', '.join(lost)}." if lost else f"The labels stay: {', '.join(had)}.")
        )
    )


def test_the_pages_speak_of_labels(choosing: Page) -> None:
    wrong = violations(choosing)
    assert choosing.locator("[data-classes] label").inner_text() == "Labels"
    choosing.get_by_role("button", name="Run").click()
    expect(choosing.locator(".again")).to_be_visible()
    expect(choosing.locator(".probabilities th").first).to_have_text("Label")
    meters = choosing.locator(".probabilities meter").evaluate_all("all => all.map(({ value }) => value)")
    assert sum(meters) > 1
    wrong += violations(choosing)
    choosing.locator(".ask").first.click()
    expect(choosing.locator("tbody[data-classes] tr").first).to_be_visible()
    assert wrong + violations(choosing) == []
