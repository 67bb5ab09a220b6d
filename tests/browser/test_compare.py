"""Two models in one page: the same images through both, their differences, and where they disagree."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import BROWSER, DIGITS, full, run, watched
from tests.browser.test_accessibility import violations
from tests.conftest import noise_image, png

pytestmark = BROWSER


@pytest.fixture
def comparer(page: Page, comparing: str, faults: list[str]) -> Iterator[Page]:
    """A visitor who has two digits, on which models agree, and noise, on which they may not."""
    with watched(page, comparing, faults) as visitor:
        noise: list[Any] = [
            {"name": f"noise{seed}.png", "mimeType": "image/png", "buffer": png(noise_image(seed, (28, 28), "L"))}
            for seed in range(3)
        ]
        digits: list[Any] = [
            {"name": path.name, "mimeType": "image/png", "buffer": path.read_bytes()}
            for path in sorted(DIGITS.glob("[47]-*.png"))[:2]
        ]
        visitor.locator("#file").set_input_files([*noise, *digits])
        expect(visitor.locator(".thumbs li[data-uid]")).to_have_count(5)
        yield visitor


@pytest.mark.slow
def test_both_models_their_differences_and_where_they_disagree(comparer: Page) -> None:
    comparer.goto(full(comparer, "/visualizations/PartialOcclusion?Window=0.20&Strides=10"))
    expect(comparer.get_by_label("TensorFlow")).not_to_be_checked()
    answer = run(comparer, "PartialOcclusion?Window=0.20&Strides=10&model=TensorFlow")
    results = answer["results"]
    groups = comparer.locator("article.row").first.locator("h3")
    given = list(dict.fromkeys(panel["group"] for panel in results[0]["panels"] if panel["group"]))
    assert len(given) == 3
    expect(groups).to_have_text(given)
    # Every image has the answers of both.
    answers = comparer.locator("article.row").first.locator(".answers")
    expect(answers.locator("dt").last).to_have_text("TensorFlow")
    other = results[0]["compared"]["TensorFlow"][0]
    expect(answers).to_contain_text(f"{other['prob']:.4f}")
    disagreeing = [one for one in results if one["compared"]["TensorFlow"][0]["name"] != one["predictions"][0]["name"]]
    comparer.locator("[name=only]").select_option(label="models disagree")
    expect(comparer.locator("article.row:visible")).to_have_count(len(disagreeing))
    comparer.locator("[name=only]").select_option(label="models agree")
    expect(comparer.locator("article.row:visible")).to_have_count(5 - len(disagreeing))
    # How far both agree orders the rows.
    agreements = [one["agreement"] for one in results]
    assert all(agreements)
    comparer.locator("[name=order]").select_option(label="least agreement first")
    expect(comparer.locator("article.row").first).to_have_attribute("data-agreement", str(min(agreements)))
    # Differences have colours of their own, which can be chosen.
    comparer.locator("[name=only]").select_option("")
    expect(comparer.locator("[name=signed]")).to_be_visible()
    comparer.locator("[name=signed]").select_option(index=1)
    # The legend is drawn anew, as the maps are seen.
    expect(comparer.locator(".legend img[src^='data:image/png']").first).to_be_visible()
    # The bar above the rows stays in sight, over whatever is scrolled under it.
    comparer.evaluate("scrollTo(0, 0)")
    assert violations(comparer) == []
