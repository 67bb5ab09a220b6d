"""Results in a real browser: how maps are drawn, read, enlarged, ordered and kept."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import BROWSER, full
from tests.test_engine import until

pytestmark = BROWSER

PIXEL = """(map, place) => {
  const canvas = map.querySelector("canvas");
  return [...canvas.getContext("2d").getImageData(...place, 1, 1).data];
}"""


def run_of(page: Page) -> dict[str, Any]:
    """Return what the API says of the run on the page."""
    run_id = re.search(r"/runs/(\w+)", page.url)
    assert run_id
    answer: dict[str, Any] = page.request.get(full(page, f"/api/runs/{run_id[1]}")).json()
    return answer


@pytest.fixture
def results(visitor: Page, address: str) -> Page:
    """A page with the occlusion maps of ten digits."""
    visitor.get_by_role("button", name="Take ten").click()
    expect(visitor.locator(".thumbs li")).to_have_count(10)
    visitor.goto(f"{address}/visualizations/PartialOcclusion?Window=0.20&Strides=10")
    visitor.get_by_role("button", name="Run").click()
    expect(visitor.locator(".again")).to_be_visible(timeout=60_000)
    return visitor


def test_maps_are_painted_over_the_picture_in_the_chosen_colours(results: Page) -> None:
    results.locator("[name=layout]").select_option("over")
    results.locator("[name=colours]").select_option("magma")
    first = results.locator("a.map").first
    expect(first.locator("canvas")).to_have_count(1)
    panel = run_of(results)["results"][0]["panels"][1]
    values = np.frombuffer(results.request.get(full(results, panel["values_url"])).body(), "<f4").reshape(
        panel["shape"]
    )
    import matplotlib

    for row, column in ((0, 0), (9, 4), (5, 5)):
        colour = matplotlib.colormaps["magma"](values[row, column], bytes=True)
        until(lambda at=[column, row], colour=colour: first.evaluate(PIXEL, at) == list(colour))  # type: ignore[misc]
    assert float(first.locator("canvas").evaluate("canvas => canvas.style.opacity")) == 0.6
    expect(results.locator(".legend img").first).to_have_attribute("src", "/colours/magma.png")
    # The address keeps it, and a bookmark brings it back.
    assert "colours=magma" in results.url
    results.reload()
    expect(results.locator("a.map canvas").first).to_be_attached()
    expect(results.locator("[name=colours]")).to_have_value("magma")


def test_each_map_on_its_own_scale(results: Page) -> None:
    results.locator("[name=scale]").select_option("each")
    panel = run_of(results)["results"][0]["panels"][1]
    numbers = results.locator(".legend").first.locator("span")
    for place, key in ((0, "minimum"), (1, "maximum")):
        until(lambda at=place, name=key: float(numbers.nth(at).inner_text()) == float(f"{panel[name]:.3g}"))  # type: ignore[misc]


def test_values_are_read_by_pointer_and_by_keyboard(results: Page) -> None:
    panel = run_of(results)["results"][0]["panels"][1]
    values = np.frombuffer(results.request.get(full(results, panel["values_url"])).body(), "<f4").reshape(
        panel["shape"]
    )
    first = results.locator("a.map").first
    box = first.bounding_box()
    assert box
    first.hover(position={"x": box["width"] * 0.45, "y": box["height"] * 0.95})
    expect(first.locator(".reading")).to_have_text(f"{float(f'{values[9, 4]:.4g}'):g} at column 5, row 10")
    results.mouse.move(0, 0)
    first.focus()
    results.keyboard.press("ArrowUp")
    # The first key shows the cursor in the middle, the next one moves it.
    expect(first.locator(".reading")).to_contain_text("at column 6, row 6")
    results.keyboard.press("ArrowUp")
    expect(first.locator(".reading")).to_contain_text("at column 6, row 5")
    results.keyboard.press("Enter")
    expect(results.get_by_role("dialog")).to_be_visible()
    results.keyboard.press("Escape")
    expect(results.get_by_role("dialog")).not_to_be_visible()
    expect(first).to_be_focused()


def test_rows_are_ordered_and_chosen(results: Page) -> None:
    results.locator("[name=order]").select_option("unsure")
    rows = results.locator("article.row")
    probabilities = [float(row.get_attribute("data-probability") or "nan") for row in rows.all()]
    assert probabilities == sorted(probabilities)
    results.locator("[name=only]").select_option("class:4")
    expect(results.locator("article.row:visible")).to_have_count(1)
    expect(results.locator("[name=shown]")).to_have_text("1 of 10 pictures")


def test_the_report_opens_from_disk_without_javascript(results: Page, browser: Browser, tmp_path: Path) -> None:
    with results.expect_download() as download:
        results.get_by_role("link", name="report").click()
    file = tmp_path / "report.html"
    download.value.save_as(file)
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.goto(f"file://{file}")
    run = run_of(results)
    for row, result in zip(page.locator("article.row").all(), run["results"], strict=True):
        assert row.locator(".answers dd").all_text_contents() == [
            f"{one['name']} {one['prob']:.4f}" for one in result["predictions"][:3]
        ]
        maps = [panel for panel in result["panels"] if panel["kind"] == "map"]
        ends = row.locator(".legend span").all_text_contents()
        assert [float(end) for end in ends] == [end for panel in maps for end in panel["value_range"]]
    assert run["results"][0]["model"]["fingerprint"] in page.content()
    assert [url for url in requests if not url.startswith(("file:", "data:"))] == []
    context.close()


def test_visualizations_side_by_side(visitor: Page, address: str) -> None:
    visitor.get_by_role("button", name="Take ten").click()
    expect(visitor.locator(".thumbs li")).to_have_count(10)
    for name in ("PartialOcclusion", "SaliencyMaps"):
        visitor.locator(f"input[name=visualization][value={name}]").check()
    visitor.get_by_role("button", name="Run the ticked ones side by side").click()
    expect(visitor.locator(".again")).to_be_visible(timeout=60_000)
    expect(visitor.locator("article.row").first.locator("h3")).to_have_text(["PartialOcclusion", "SaliencyMaps"])
    # Two runs of one visualization have maps of the same quantity, whose agreement means something.
    ids = []
    for window in ("0.10", "0.20"):
        visitor.goto(f"{address}/visualizations/PartialOcclusion?Strides=10&Window={window}")
        visitor.get_by_role("button", name="Run").click()
        expect(visitor.locator(".again")).to_be_visible(timeout=60_000)
        ids.append(visitor.url.rsplit("/", 1)[1])
    visitor.goto(f"{address}/runs/{','.join(ids)}")
    visitor.locator("[name=order]").select_option("agree")
    agreements = [float(row.get_attribute("data-agreement") or "nan") for row in visitor.locator("article.row").all()]
    assert len(agreements) == 10
    assert agreements == sorted(agreements)
