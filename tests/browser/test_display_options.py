"""Results in a real browser: how maps are drawn, read, enlarged, ordered and kept."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from playwright.sync_api import Browser, Locator, Page, expect

from picasso.explanation import legend, render
from picasso.visualizations.panel import Panel
from tests.browser.conftest import BROWSER, DROPS, FINER, OCCLUSION, Past, full, run_of, values_of
from tests.jobs.test_engine import until

pytestmark = BROWSER

PIXEL = """(map, place) => {
  const canvas = map.querySelector("canvas");
  return [...canvas.getContext("2d").getImageData(...place, 1, 1).data];
}"""


@pytest.fixture
def results(returned: Page, past: Past) -> Page:
    """A page with the occlusion maps of three digits."""
    returned.goto(full(returned, past.runs[OCCLUSION]))
    expect(returned.locator("article.row")).to_have_count(3)
    return returned


def seen(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return colours ``(..., 4)`` as they are on black; canvases round those that are hardly opaque."""
    return pixels[..., :3] * (pixels[..., 3:] / 255)


def expect_painted(first: Locator, panel: Panel, name: str = "") -> None:
    """Expect the colours of a few values of a map on the page to be those of files."""
    painted = render.paint(panel, name=name)
    height, width = panel.array.shape
    for row, column in ((0, 0), (height - 1, width // 2), (height // 2, width // 3)):
        expected = seen(painted[row, column])
        until(
            lambda at=[column, row], expected=expected: np.allclose(  # type: ignore[misc]
                seen(np.array(first.evaluate(PIXEL, at))), expected, atol=2
            )
        )


def panel_of(page: Page, index: int) -> Panel:
    """Return a panel of the first result on the page."""
    document = run_of(page)["results"][0]["panels"][index]
    return Panel.from_description(document, values_of(page, document))


def test_maps_are_painted_in_the_chosen_colours_with_the_chosen_opacity(results: Page) -> None:
    results.locator("[name=signed]").select_option("PuOr_r")
    results.locator("[name=opacity]").fill("60")
    first = results.locator("a.map").first
    expect(first.locator("canvas")).to_have_count(1)
    panel = panel_of(results, 1)
    assert panel.falling
    expect_painted(first, panel, "PuOr_r")
    assert float(first.locator("canvas").evaluate("canvas => canvas.style.opacity")) == 0.6
    expect(results.locator(".legend img").first).to_have_attribute("src", re.compile("^data:image/png"))
    # The address keeps it, and a bookmark brings it back.
    assert "signed=PuOr_r" in results.url
    results.reload()
    expect(results.locator("a.map canvas").first).to_be_attached()
    expect(results.locator("[name=signed]")).to_have_value("PuOr_r")


def test_drops_are_painted_around_zero_over_a_grey_image(returned: Page, past: Past) -> None:
    returned.goto(full(returned, past.runs[DROPS]))
    expect(returned.locator("header.result")).to_contain_text("warm (positive) where the covered region raises it")
    legend = returned.locator(".legend").first
    expect(legend.locator(".ends span")).to_have_text(["against", "for"])
    # The same colours as in the server's drawing, with another opacity.
    returned.locator("[name=opacity]").fill("80")
    first = returned.locator("a.map").first
    expect(first.locator("canvas")).to_have_count(1)
    panel = panel_of(returned, 1)
    assert panel.signed
    expect_painted(first, panel)
    expect(first.locator("img")).to_have_css("filter", "grayscale(1) contrast(0.8)")


LEGEND = """async ([row, column]) => {
  const image = document.querySelector(".legend img");
  await image.decode();
  const context = new OffscreenCanvas(256, 24).getContext("2d");
  context.drawImage(image, 0, 0);
  return [...context.getImageData(column, row, 1, 1).data];
}"""


@pytest.mark.parametrize("kind", [DROPS, OCCLUSION])
def test_the_legend_of_the_page_is_that_of_the_server(returned: Page, past: Past, kind: str) -> None:
    returned.goto(full(returned, past.runs[kind]))
    strip = returned.locator(".legend img").first
    expect(strip).to_have_attribute("src", re.compile("legend-1.png"))
    returned.locator("[name=opacity]").fill("40")
    expect(strip).to_have_attribute("src", re.compile("^data:image/png"))
    bar = np.asarray(render.colour_bar(replace(panel_of(returned, 1), transparency=0.6)))
    for place in ([0, 3], [12, 40], [23, 128], [5, 200], [0, 255]):
        np.testing.assert_allclose(returned.evaluate(LEGEND, place)[:3], bar[tuple(place)], atol=2)


PAINT = """async ([shape, signed, noise, values, address]) => {
  const { paint, rangeOf } = await import("/static/maps.js");
  const map = document.createElement("a");
  map.className = "map";
  Object.assign(map.dataset, { shape, noise, floor: noise, range: "0 0", quantity: "x", transparency: "0",
    extremes: `${Math.min(...values)} ${Math.max(...values)}`, values: address, view: "/static/icon.svg" });
  if (signed) Object.assign(map.dataset, { signed: "", centre: "0" });
  map.append(document.createElement("img"));
  await paint(map, { colours: signed ? "warm-cool" : "warm", range: rangeOf(map, "each", [map]), opacity: 1 });
  const context = map.querySelector("canvas").getContext("2d");
  return [...context.getImageData(0, 0, 1, 1).data];
}"""


@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize("noise", ["0", "1e-6"])
def test_nothing_is_transparent(returned: Page, past: Past, signed: bool, noise: str) -> None:
    returned.goto(full(returned, past.runs[OCCLUSION]))

    def opacity(*values: float) -> int:
        body = np.array(values, "<f4").tobytes()
        returned.route("**/made-up-values", lambda route: route.fulfill(body=body))
        address = full(returned, "/made-up-values")
        colour: list[int] = returned.evaluate(PAINT, ["1 2", signed, noise, list(values), address])
        returned.unroute("**/made-up-values")
        return colour[3]

    assert opacity(0.0, 0.0) == 0
    assert opacity(2e-9, 0.0) == (255 if noise == "0" else 0)
    assert opacity(1.0, 0.0) == 255


def test_each_map_on_its_own_scale(results: Page) -> None:
    results.locator("[name=scale]").select_option("each")
    panel = run_of(results)["results"][0]["panels"][1]
    numbers = results.locator(".legend").first.locator("> span")
    for place, key in ((0, "minimum"), (1, "maximum")):
        until(lambda at=place, name=key: float(numbers.nth(at).inner_text()) == float(f"{panel[name]:.3g}"))  # type: ignore[misc]


def test_values_are_read_by_pointer_and_by_keyboard(results: Page) -> None:
    panel = run_of(results)["results"][0]["panels"][1]
    values = values_of(results, panel)
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
    rows = results.locator("article.row").all()

    def probabilities() -> list[float]:
        return [float(row.get_attribute("data-amount") or "nan") for row in rows]

    until(lambda: probabilities() == sorted(probabilities()))
    results.locator("[name=only]").select_option("class:4")
    expect(results.locator("article.row:visible")).to_have_count(1)
    expect(results.locator("[name=shown]")).to_have_text("1 of 3 images")


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
        numbers = row.locator(".legend > span").all_text_contents()
        assert numbers == [end for panel in maps for end in legend.ends(panel)]
        assert row.locator(".legend > p:last-child").all_text_contents() == [legend.details(panel) for panel in maps]
    assert run["results"][0]["model"]["fingerprint"] in page.content()
    assert [url for url in requests if not url.startswith(("file:", "data:"))] == []
    context.close()


def test_visualizations_side_by_side(returned: Page) -> None:
    returned.goto(full(returned, "/visualizations"))
    for name in ("PartialOcclusion", "SaliencyMaps"):
        returned.locator(f"input[name=visualization][value={name}]").check()
    returned.get_by_role("button", name="Run selected side by side").click()
    expect(returned.locator(".again")).to_be_visible(timeout=60_000)
    expect(returned.locator("article.row").first.locator("h3")).to_have_text(["Partial occlusion", "Saliency maps"])
    # Maps of two quantities have no agreement to be ordered by.
    expect(returned.locator("[data-for-agreement]")).to_be_disabled()


def test_runs_of_one_visualization_are_ordered_by_agreement(returned: Page, past: Past) -> None:
    ids = ",".join(past.runs[path].rsplit("/", 1)[1] for path in (FINER, OCCLUSION))
    returned.goto(full(returned, f"/runs/{ids}"))
    returned.locator("[name=order]").select_option("agree")
    rows = returned.locator("article.row").all()
    assert len(rows) == 3

    def agreements() -> list[float]:
        # Maps that are flat have none, and come last.
        return [float(row.get_attribute("data-agreement") or "inf") for row in rows]

    # The script that sorts them may come after the page.
    until(lambda: agreements() == sorted(agreements()))
    assert agreements()[0] < 1
    returned.locator("[name=opacity]").fill("50")
    expect(returned.locator("a.map canvas").last).to_be_attached()
    shown = [row.get_attribute("id") for row in rows]
    returned.reload()
    expect(returned.locator("[name=order]")).to_have_value("agree")
    # The browser itself brings the control's value back, a moment before the rows are in order.
    until(lambda: [row.get_attribute("id") for row in returned.locator("article.row").all()] == shown)
    expect(returned.locator("a.map canvas").first).to_be_attached()


def test_everything_can_be_kept(results: Page, tmp_path: Path) -> None:
    for name, start in (("all (zip)", b"PK"), ("CSV", b"image"), ("report", b"<!doctype html>")):
        with results.expect_download() as download:
            results.get_by_role("link", name=name).click()
        download.value.save_as(tmp_path / "kept")
        assert (tmp_path / "kept").read_bytes().lstrip(b"\xef\xbb\xbf\n").startswith(start), name


def test_what_is_saved_is_drawn_as_seen(results: Page, tmp_path: Path) -> None:
    results.locator("[name=opacity]").fill("30")
    results.locator("[name=signed]").select_option("PuOr_r")
    save = results.get_by_role("link", name="Save the map of").first
    expect(save).to_have_attribute("href", re.compile(r"/maps/0/1\.png\?opacity=30&signed=PuOr_r$"))
    with results.expect_download() as download:
        save.click()
    download.value.save_as(tmp_path / "map.png")
    assert (tmp_path / "map.png").read_bytes().startswith(b"\x89PNG")
    results.get_by_text("Report with a title and notes").click()
    results.get_by_label("Title").fill("Trial one")
    with results.expect_download() as download:
        results.get_by_role("button", name="Save report").click()
    assert "opacity=30&signed=PuOr_r" in download.value.url
    download.value.save_as(tmp_path / "report.html")
    assert "<h1>Trial one</h1>" in (tmp_path / "report.html").read_text()


def test_the_address_brings_every_choice_back(results: Page) -> None:
    chosen = {"signed": "PuOr_r", "scale": "common", "order": "unsure", "only": "class:4"}
    for name, value in chosen.items():
        results.locator(f"[name={name}]").select_option(value)
    results.locator("[name=opacity]").fill("35")
    results.locator("[name=size]").fill("300")
    expect(results.locator("a.map:visible canvas").first).to_have_css("opacity", "0.35")
    results.reload()
    for name, value in {**chosen, "opacity": "35", "size": "300"}.items():
        expect(results.locator(f"[name={name}]")).to_have_value(value)
    expect(results.locator("article.row:visible")).to_have_count(1)
    expect(results.locator("a.map:visible canvas").first).to_have_css("opacity", "0.35")
    box = results.locator("a.map:visible").first.bounding_box()
    assert box
    assert box["width"] == pytest.approx(300, abs=4)


def test_an_address_that_asks_for_what_is_not_offered_shows_the_page_as_it_is(results: Page) -> None:
    results.goto(results.url + "?signed=above&colours=plaid&order=agree&scale=&size=much&only=class:9&nonsense=1")
    rows = results.locator("article.row")
    assert [row.get_attribute("data-position") for row in rows.all()] == ["0", "1", "2"]
    for name, value in {"signed": "warm-cool", "colours": "warm", "order": "given", "scale": "own", "only": ""}.items():
        expect(results.locator(f"[name={name}]")).to_have_value(value)
    expect(rows.filter(visible=True)).to_have_count(3)
