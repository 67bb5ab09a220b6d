"""Every page is usable by everybody: axe finds nothing, and the keyboard is never trapped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.browser.conftest import BROWSER, Past, full

pytestmark = BROWSER

WHAT_IF = "/images/1/what-if"
INSIDE = "/images/1/inside?channel=0"
NOWHERE = "/nowhere"

RULES = {
    "runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
}


# The scheme changes nothing but colours.
CONTRAST = {"runOnly": {"type": "rule", "values": ["color-contrast", "link-in-text-block"]}}


# Resolves when no link or control has moved for a while, or after some seconds: images and answers may still arrive.
SETTLED = """async () => {
  const places = () => [...document.querySelectorAll("a, button, input, select, summary")].map((one) => {
    const { left, top, width, height } = one.getBoundingClientRect();
    return [left, top, width, height].join();
  }).join(" ");
  for (let tries = 0, same = 0, last = ""; tries < 200 && same < 4; tries += 1) {
    await new Promise((resolve) => setTimeout(resolve, 50));
    const now = places();
    const loaded = [...document.images].every((one) => one.complete || one.loading === "lazy");
    same = now === last && loaded ? same + 1 : 0;
    last = now;
  }
}"""


def violations(page: Page, rules: dict[str, Any] = RULES) -> list[tuple[str, str, Any]]:
    """Return what axe finds wrong, with where."""
    page.evaluate(SETTLED)
    found = Axe().run(page, options=rules).response["violations"]
    return [(one["id"], one["nodes"][0]["html"][:200], one["nodes"][0].get("failureSummary")) for one in found]


@pytest.fixture
def places(past: Past) -> list[str]:
    """The address of every kind of page, of a visitor with images and runs."""
    occlusion, finer, *others = past.runs.values()
    together = f"{occlusion},{finer.rsplit('/', 1)[1]}"
    return [
        "/",
        "/visualizations/PartialOcclusion",
        occlusion,
        "/visualizations",
        "/?image=1&question=parts",
        "/?image=1&question=why",
        "/?image=1&method=GradCAM",
        "/documentation/",
        *others,
        together,
        WHAT_IF,
        INSIDE,
        "/audit",
        "/model",
        "/reset",
        "/documentation/visualizations/class-activation",
        "/documentation/architecture",
        "/documentation/python",
        NOWHERE,
    ]


@pytest.mark.slow
@pytest.mark.parametrize(("scheme", "rules"), [("light", RULES), ("dark", CONTRAST)], ids=["light", "dark"])
def test_axe_finds_no_violation(
    visitor: Page, past: Past, places: list[str], scheme: Any, rules: Any, faults: list[str], tmp_path: Path
) -> None:
    visitor.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    visitor.reload()
    # The first page of somebody who has nothing yet.
    expect(visitor.locator("[data-model-state=ready]")).to_be_visible()
    wrong = {"empty": violations(visitor, rules)}
    visitor.context.add_cookies(past.cookies)
    for place in places:
        visitor.goto(full(visitor, place))
        if place in (WHAT_IF, INSIDE):
            expect(visitor.locator("[data-classes] tr")).not_to_have_count(0)
        if place == INSIDE:
            visitor.locator("[data-concepts-start]").click()
            expect(visitor.locator(".concepts article")).not_to_have_count(0, timeout=60_000)
        wrong[place] = violations(visitor, rules)
    # The browser itself complains about the page that is not there.
    assert ["404" in fault for fault in faults] == [True]
    faults.clear()
    visitor.goto(full(visitor, places[2]))
    visitor.locator("a.map").first.click()
    expect(visitor.get_by_role("dialog")).to_be_visible()
    wrong["enlarged"] = violations(visitor, rules)
    body = visitor.request.get(full(visitor, f"/api{places[2]}/report.html")).text()
    (tmp_path / "report.html").write_text(body, encoding="utf-8")
    report = visitor.context.new_page()
    report.emulate_media(color_scheme=scheme)
    report.goto(f"file://{tmp_path}/report.html")
    wrong["report"] = violations(report, rules)
    assert [f"{place}: {one}" for place, found in wrong.items() for one in found] == []


@pytest.mark.slow
def test_the_keyboard_goes_through_every_page_and_is_never_trapped(returned: Page, places: list[str]) -> None:
    for place in ("/", places[1], places[2], WHAT_IF):
        returned.goto(full(returned, place))
        returned.keyboard.press("Tab")
        assert returned.evaluate("document.activeElement.className") == "skip"
        seen = set()
        for _ in range(400):
            returned.keyboard.press("Tab")
            label = returned.evaluate(
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
        assert len(seen) > 8, place


def test_nothing_moves_for_those_who_do_not_want_it(returned: Page, places: list[str]) -> None:
    returned.emulate_media(reduced_motion="reduce")
    for place in ("/", places[2], WHAT_IF):
        returned.goto(full(returned, place))
        assert returned.evaluate("document.getAnimations().length") == 0
    # What is being worked on turns a wheel, which is a moving image and none of the page's animations.
    returned.goto(full(returned, "/"))
    wheel = "getComputedStyle(document.querySelector('h2'), '::before').backgroundImage"
    returned.evaluate("document.querySelector('h2').setAttribute('aria-busy', 'true')")
    assert returned.evaluate(wheel) == "none"
    returned.emulate_media(reduced_motion="no-preference")
    assert returned.evaluate(wheel) != "none"
