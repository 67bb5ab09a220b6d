"""An embedding in a real browser: why two images are alike."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import BROWSER, at, chips, full, halves, run_of, serving_fake, upload, watched
from tests.browser.test_accessibility import violations

pytestmark = BROWSER

ONE, TWO = halves((250, 20, 60), (10, 90, 200)), halves((30, 200, 90), (240, 240, 10))


@pytest.fixture(scope="module")
def embedder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving_fake(tmp_path_factory.mktemp("embedder"), "EmbeddingModel") as url:
        yield url


@pytest.fixture
def choosing(page: Page, embedder: str, faults: list[str], tmp_path: Path) -> Iterator[Page]:
    """The settings of a run for two images."""
    with watched(page, embedder, faults) as visitor:
        upload(visitor, tmp_path, one=ONE, two=TWO)
        visitor.goto(full(visitor, "/visualizations/SaliencyMaps"))
        yield visitor


def test_the_other_image_is_chosen_and_drawn_beside_the_first(choosing: Page) -> None:
    choosing.get_by_role("button", name="like two.png").click()
    assert chips(choosing) == ["like:two.png"]
    choosing.get_by_role("button", name="Run").click()
    expect(choosing.locator(".again")).to_be_visible()
    run = run_of(choosing)
    (first, second) = (result["panels"][0]["value"] for result in run["results"])
    assert second == pytest.approx(1, abs=1e-6)
    figures = choosing.locator(".like figure")
    expect(figures.locator("figcaption")).to_have_text(
        [f"like two.png: cosine similarity {first:.2f}", "like two.png: cosine similarity 1.00"]
    )
    one, two = figures.first.locator("img").all()
    boxes = one.bounding_box(), two.bounding_box()
    assert boxes[0]
    assert boxes[1]
    assert boxes[0]["y"] == boxes[1]["y"]
    assert boxes[0]["x"] < boxes[1]["x"]


def test_hiding_lowers_the_similarity(choosing: Page) -> None:
    choosing.goto(full(choosing, "/images/0/what-if?target=like:two.png"))
    verdict = choosing.locator("[data-verdict]")
    expect(verdict).to_have_text("Nothing is hidden: the similarity with the whole image is 1.")
    choosing.get_by_label("Fill with").select_option("image")
    at(choosing, ".stage canvas", 0.0, 0.0, 1.0, 1.0)
    # The image is now the other one.
    expect(choosing.locator("[data-asked-targets] td:nth-child(3)")).to_have_text(["1.0000"])
    before = choosing.locator("[data-asked-targets] td:nth-child(2)").inner_text()
    expect(choosing.locator("tbody[data-classes] td:nth-child(3)")).to_have_text([before])
    expect(verdict).to_have_text(f"The cosine similarity with the whole image is {float(before):.3f}.")


def test_axe_finds_nothing_on_the_pages_of_an_embedding(choosing: Page) -> None:
    choosing.get_by_role("button", name="like two.png").click()
    wrong = violations(choosing)
    choosing.get_by_role("button", name="Run").click()
    expect(choosing.locator(".again")).to_be_visible()
    wrong += violations(choosing)
    choosing.locator(".ask").first.click()
    expect(choosing.locator("tbody[data-classes] tr")).to_have_count(1)
    assert wrong + violations(choosing) == []
