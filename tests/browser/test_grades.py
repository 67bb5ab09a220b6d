"""The grade of a map in a real browser: the curves, the sentence, cancelling, and access for everybody."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser.conftest import BROWSER, DIGITS, full, take_ten
from tests.browser.test_accessibility import violations
from tests.browser.test_workspace import done

pytestmark = BROWSER

CLASSES = ["of-map", "of-random-map", "of-edge-detector"]


@pytest.fixture
def mapped(visitor: Page) -> Page:
    """The workspace with the occlusion map of a 4."""
    visitor.locator("#file").set_input_files([next(DIGITS.glob("4-*.png"))])
    expect(visitor.locator(".thumbs li[data-uid]")).to_have_count(1)
    done(visitor)
    return visitor


def numbers(page: Page) -> list[list[str]]:
    """Return the cells of the table of areas."""
    return [[cell.inner_text() for cell in row.locator("td").all()] for row in page.locator(".grade tbody tr").all()]


def test_the_button_shows_the_curves_and_the_sentence(mapped: Page, faults: list[str]) -> None:
    # The keyboard reaches the button.
    mapped.get_by_role("button", name="How far can I trust this?").press("Enter")
    expect(mapped.locator("[data-grade-text]")).to_have_text("All tests are done.")
    asked: dict[str, Any] = {"image": 0, "visualization": "PartialOcclusion", "target": "4"}
    parts = [
        mapped.request.post(full(mapped, "/api/grade"), data={**asked, "part": part}).json()
        for part in ("curves", "weights", "fills", "flip")
    ]
    expect(mapped.locator("[data-grade-sentence]")).to_have_text(" ".join(one["sentence"] for one in parts))
    curves = parts[0]["curves"]
    assert numbers(mapped) == [
        [f"{one[key]:.3f}" for key in ("deletion_area", "insertion_area", "score")] for one in curves
    ]
    charts = mapped.locator(".grade svg")
    assert charts.count() == 2
    for chart, kind in zip(charts.all(), ("deletion", "insertion"), strict=True):
        words = chart.get_attribute("aria-label") or ""
        assert f"map {curves[0][f'{kind}_area']:.3f}, random map {curves[1][f'{kind}_area']:.3f}" in words
        lines = chart.locator("polyline")
        assert sorted(str(line.get_attribute("class")) for line in lines.all()) == sorted(CLASSES)
        assert all(len(str(line.get_attribute("points")).split()) == 101 for line in lines.all())
    assert violations(mapped) == []
    # Another target has another grade.
    mapped.locator(".targets-row a.target").nth(1).click()
    expect(mapped.locator(".targets-row a.target").nth(1)).to_have_attribute("aria-current", "true")
    done(mapped)
    assert mapped.locator("[data-grade-sentence]").inner_text() == ""
    assert mapped.locator(".grade svg").count() == 0
    assert faults == []


def test_a_grade_can_be_cancelled(mapped: Page) -> None:
    asked: list[str] = []

    def slow(route: Route) -> None:
        part = str((route.request.post_data_json or {})["part"])
        asked.append(part)
        if part == "curves":
            route.continue_()

    mapped.route("**/api/grade", slow)
    mapped.get_by_role("button", name="How far can I trust this?").click()
    expect(mapped.locator("[data-grade-text]")).to_contain_text("trying random weights")
    expect(mapped.locator("[data-grade-bar]")).to_have_js_property("value", 0.25)
    mapped.locator(".grade").get_by_role("button", name="Cancel").click()
    expect(mapped.locator("[data-grade-text]")).to_have_text("Cancelled.")
    expect(mapped.get_by_role("button", name="How far can I trust this?")).to_be_focused()
    assert asked == ["curves", "weights"]
    # What was found so far stays.
    assert mapped.locator(".grade svg").count() == 2


def test_an_error_is_told(mapped: Page, faults: list[str]) -> None:
    message = '{"ok": false, "error": {"code": "bad_request", "message": "It is too late."}}'
    mapped.route("**/api/grade", lambda route: route.fulfill(status=400, content_type="application/json", body=message))
    mapped.get_by_role("button", name="How far can I trust this?").click()
    expect(mapped.locator("[data-grade-text]")).to_have_text("It is too late.")
    expect(mapped.get_by_role("button", name="How far can I trust this?")).to_be_enabled()
    faults.clear()


def test_methods_are_ranked_and_the_workspace_names_the_best(visitor: Page) -> None:
    take_ten(visitor)
    visitor.goto(full(visitor, "/visualizations"))
    # The usual method is not among them, so that the better of both takes its place.
    for name in ("SaliencyMaps", "XRAI"):
        visitor.locator(f"input[name=visualization][value={name}]").check()
    visitor.get_by_role("button", name="Rank the methods").click()
    expect(visitor.get_by_role("button", name="Rank again")).to_be_visible()
    ranking = visitor.request.get(full(visitor, "/api/rankings")).json()["rankings"][0]
    rows = visitor.locator(".ranking tbody tr")
    expect(rows).to_have_count(2)
    assert [row.locator("th").inner_text() for row in rows.all()] == [one["title"] for one in ranking["methods"]]
    assert rows.first.locator("circle").count() == 10
    assert ranking["preferred"] == ranking["methods"][0]["visualization"]
    expect(visitor.locator("[data-part=ranking]")).to_contain_text(ranking["sentence"])
    assert violations(visitor) == []
    visitor.goto(full(visitor, "/"))
    note = visitor.get_by_text("It is used because it grades best for this model.")
    expect(note).to_be_visible()
    done(visitor)
    expect(visitor.locator(".settings h3")).to_have_text(ranking["methods"][0]["title"])


def test_a_ranking_shows_its_progress_and_can_be_cancelled(visitor: Page) -> None:
    take_ten(visitor)
    visitor.goto(full(visitor, "/visualizations"))
    visitor.get_by_role("button", name="Rank the methods").click()
    cancel = visitor.locator("[data-part=ranking]").get_by_role("button", name="Cancel")
    cancel.focus()
    expect(visitor.locator(".ranking tbody tr").first).to_be_visible()
    # What is found appears without taking the focus from the button.
    expect(cancel).to_be_focused()
    cancel.press("Enter")
    expect(visitor.locator("[data-part=ranking]")).to_contain_text("The ranking was cancelled.")
    # What was found stays.
    assert visitor.locator(".ranking tbody tr").count() > 0


def test_what_is_selected_while_the_model_is_loading_stays_selected(visitor: Page) -> None:
    take_ten(visitor)
    asked: list[Route] = []

    def loading(route: Route) -> None:
        page = route.fetch()
        body = page.text().replace('data-model-state="ready"', 'data-model-state="loading"')
        route.fulfill(response=page, body=body)

    visitor.route("**/visualizations", loading, times=1)
    visitor.route("**/api/app_state", lambda route: asked.append(route))
    visitor.goto(full(visitor, "/visualizations"))
    box = visitor.locator("input[name=visualization][value=XRAI]")
    box.check()
    # Marks the part that will be replaced.
    visitor.eval_on_selector("[data-part=visualizations]", "part => part.classList.add('old')")
    while not asked:
        visitor.wait_for_timeout(50)
    for route in asked:
        route.continue_()
    visitor.unroute("**/api/app_state")
    expect(visitor.locator("[data-part=visualizations].old")).to_have_count(0)
    expect(visitor.locator("[data-part=visualizations]")).to_have_count(1)
    expect(box).to_be_checked()
    assert visitor.locator("input[name=visualization]:checked").count() == 1
