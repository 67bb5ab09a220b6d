"""Every page is usable by everybody: axe finds nothing, and the keyboard is never trapped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.browser.conftest import BROWSER

pytestmark = BROWSER

RULES = {
    "runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
}


def violations(page: Page) -> list[tuple[str, str, Any]]:
    """Return what axe finds wrong, with where."""
    found = Axe().run(page, options=RULES).response["violations"]
    return [(one["id"], one["nodes"][0]["html"][:200], one["nodes"][0].get("failureSummary")) for one in found]


@pytest.fixture
def places(visitor: Page, address: str) -> list[str]:
    """The address of every kind of page, of a visitor with pictures and runs."""
    expect(visitor.locator("[data-model-state=ready]")).to_be_visible(timeout=60_000)
    visitor.get_by_role("button", name="Take ten").click()
    expect(visitor.locator(".thumbs li")).to_have_count(10)
    ids = []
    for name in ("PartialOcclusion", "SaliencyMaps", "ClassProbabilities"):
        visitor.goto(f"{address}/visualizations/{name}")
        visitor.get_by_role("button", name="Run").click()
        expect(visitor.locator(".again")).to_be_visible(timeout=60_000)
        ids.append(visitor.url.rsplit("/", 1)[1])
    runs = [f"/runs/{run_id}" for run_id in ids]
    together = f"/runs/{ids[0]},{ids[1]}"
    return ["/", "/visualizations/PartialOcclusion", *runs, together, "/pictures/4/what-if", "/model"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_violation(visitor: Page, address: str, places: list[str], scheme: Any, tmp_path: Path) -> None:
    visitor.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    wrong = {}
    for place in places:
        visitor.goto(f"{address}{place}")
        if "what-if" in place:
            expect(visitor.locator("[data-classes] tr")).not_to_have_count(0)
        wrong[place] = violations(visitor)
    # The report, and the first page of somebody who has nothing yet.
    body = visitor.request.get(f"{address}/api{places[2]}/report.html").text()
    (tmp_path / "report.html").write_text(body, encoding="utf-8")
    report = visitor.context.new_page()
    report.emulate_media(color_scheme=scheme)
    report.goto(f"file://{tmp_path}/report.html")
    wrong["report"] = violations(report)
    visitor.goto(address)
    visitor.get_by_role("button", name="Start over").click()
    wrong["empty"] = violations(visitor)
    assert [f"{place}: {one}" for place, found in wrong.items() for one in found] == []


def test_the_keyboard_goes_through_every_page_and_is_never_trapped(
    visitor: Page, address: str, places: list[str]
) -> None:
    for place in ("/", places[2], "/pictures/4/what-if"):
        visitor.goto(f"{address}{place}")
        visitor.keyboard.press("Tab")
        assert visitor.evaluate("document.activeElement.className") == "skip"
        seen = set()
        for _ in range(400):
            visitor.keyboard.press("Tab")
            label = visitor.evaluate(
                "(() => { const one = document.activeElement; one.dataset.seen ??= Math.random(); "
                "return one === document.body ? '' : one.dataset.seen; })()"
            )
            if not label:
                break
            # Nothing is met twice before the end of the page: that would be a trap.
            assert label not in seen, place
            seen.add(label)
        else:
            raise AssertionError(f"the end of {place} was not reached")
        assert len(seen) > 10
