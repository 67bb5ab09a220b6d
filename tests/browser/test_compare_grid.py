"""The page Compare in a browser: two checkpoints, blink and swipe, progress, and a timeline."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from picasso.config import PACKAGE
from tests.browser.conftest import BROWSER, full, halves, serving, watched
from tests.browser.test_accessibility import CONTRAST, violations
from tests.conftest import FAKES

pytestmark = BROWSER

TANKS = PACKAGE / "examples" / "tanks" / "data"


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serve a linear model with two others to compare it with; the second takes seconds for an occlusion map."""
    folder = tmp_path_factory.mktemp("models")
    slow = folder / "slow.py"
    slow.write_text(
        "import time\n\nfrom tests.fakes import LinearModel\n\n\n"
        "class SlowModel(LinearModel):\n"
        "    def batch_logits(self, inputs):\n"
        "        time.sleep(0.5 if len(inputs) > 8 else 0)\n"
        "        return super().batch_logits(inputs)\n"
    )
    config = folder / "config.py"
    others = {
        "PatchModel": {"MODEL_CLS_NAME": "PatchModel"},
        "SlowModel": {"MODEL_CLS_PATH": str(slow), "MODEL_CLS_NAME": "SlowModel"},
    }
    config.write_text(
        f'MODEL_CLS_PATH = "{FAKES}"\nMODEL_CLS_NAME = "LinearModel"\n'
        f'MODEL_LOAD_ARGS = {{"shape": [48, 72, 3]}}\nCOMPARE = {others!r}\n'
    )
    with serving("--config", str(config)) as url:
        yield url


@pytest.fixture
def comparer(page: Page, models: str, faults: list[str], tmp_path: Path) -> Iterator[Page]:
    """A visitor with two images."""
    with watched(page, models, faults) as visitor:
        add(visitor, tmp_path)
        yield visitor


def add(page: Page, folder: Path) -> None:
    """Add two images in one action."""
    files = [folder / "one.png", folder / "two.png"]
    halves((200, 30, 30), (20, 180, 40)).save(files[0])
    halves((20, 30, 200), (220, 220, 40)).save(files[1])
    page.locator("#file").set_input_files(files)
    expect(page.locator(".thumbs li[data-uid]")).to_have_count(2)


def see(page: Page, query: str, cells: int) -> None:
    """Open an address of the page Compare, and wait for its maps; the page computes them by itself."""
    page.goto(full(page, f"/compare?{query}"))
    complete(page, cells)


def complete(page: Page, cells: int) -> None:
    """Wait until all maps are there, on a page that is loaded to its end and whose scripts have run."""
    expect(page.locator("[data-cell]")).to_have_count(cells)
    # A page that is still being parsed has neither of these, nor a script that answers a key.
    for _ in range(2):
        expect(page.locator("[data-run], [data-start]")).to_have_count(0)
        page.wait_for_load_state()


@pytest.mark.slow
def test_two_checkpoints_see_where_they_differ(page: Page, faults: list[str], tmp_path: Path) -> None:
    """Three actions after ``picasso serve a.keras b.keras``: add images, Compare, blink."""
    labels = ["--labels", str(TANKS / "labels.txt")]
    with (
        serving(str(TANKS / "cloudy.keras"), str(TANKS / "right.keras"), *labels) as url,
        watched(page, url, faults) as visitor,
    ):
        add(visitor, tmp_path)  # 1
        visitor.get_by_role("link", name="Compare", exact=True).click()  # 2
        complete(visitor, 4)
        expect(visitor.locator(".grid thead th")).to_have_text(["Image", "cloudy.keras", "right.keras"])
        expect(visitor.locator(".grid tbody tr").first).to_contain_text("predicts")
        visitor.get_by_role("button", name="Blink, swipe").first.click()  # 3
        expect(visitor.get_by_role("dialog").get_by_role("status")).to_have_text("cloudy.keras | right.keras")
        assert violations(visitor) == []


@pytest.mark.slow
def test_blink_and_swipe_by_keyboard(comparer: Page) -> None:
    see(comparer, "by=model&method=SaliencyMaps", 6)
    button = comparer.get_by_role("button", name="Blink, swipe: two maps of one.png")
    button.focus()
    comparer.keyboard.press("Enter")
    dialog, says = comparer.get_by_role("dialog"), comparer.get_by_role("dialog").get_by_role("status")
    expect(says).to_have_text("linear.npz | SlowModel")
    swipe = comparer.get_by_role("slider", name="Swipe")
    expect(swipe).to_be_focused()
    for key, value in (("ArrowRight", "52"), ("ArrowLeft", "50"), ("ArrowLeft", "48")):
        comparer.keyboard.press(key)
        expect(swipe).to_have_value(value)
    over = comparer.locator(".stacked > div").nth(1)
    expect(over).to_have_css("clip-path", "inset(0px 0px 0px 48%)")
    comparer.keyboard.press("b")
    expect(says).to_have_text("linear.npz")
    expect(over).to_have_css("clip-path", "inset(0px 0px 0px 100%)")
    comparer.keyboard.press("b")
    expect(says).to_have_text("SlowModel")
    expect(over).to_have_css("clip-path", "none")
    comparer.get_by_label("Right").select_option("PatchModel")
    expect(says).to_have_text("linear.npz | PatchModel")
    assert violations(comparer) == []
    # The address opens the same two maps in another tab.
    other = comparer.context.new_page()
    other.goto(comparer.url)
    expect(other.get_by_role("dialog").get_by_role("status")).to_have_text("linear.npz | PatchModel")
    other.close()
    comparer.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(button).to_be_focused()
    # The event that a dialog was closed comes later.
    comparer.wait_for_url(lambda url: "pair" not in url)


@pytest.mark.slow
def test_maps_are_as_large_as_the_window_permits_and_the_size_can_be_set(comparer: Page) -> None:
    see(comparer, "by=model&method=SaliencyMaps&model=&model=PatchModel", 4)
    cell = comparer.locator("[data-cell] .layers").first

    def width() -> float:
        box = cell.bounding_box()
        assert box
        return box["width"]

    comparer.set_viewport_size({"width": 1280, "height": 900})
    assert width() >= 480
    comparer.set_viewport_size({"width": 390, "height": 800})
    assert 180 < width() < 390
    assert comparer.evaluate("document.documentElement.scrollWidth") <= 390, "only the grid scrolls sideways"
    comparer.set_viewport_size({"width": 1280, "height": 500})
    # The heads stay in sight.
    comparer.locator("[data-cell]").last.scroll_into_view_if_needed()
    comparer.locator(".grid").evaluate("grid => grid.scrollTo(0, grid.scrollHeight)")
    expect(comparer.locator(".grid thead th").nth(1)).to_be_in_viewport()
    comparer.locator("summary", has_text="View").click()
    comparer.get_by_label("Size").fill("200")
    assert round(width()) == 200
    comparer.get_by_label("Opacity of the maps").fill("100")
    expect(comparer.locator(".over").first).to_have_css("opacity", "1")
    comparer.reload()
    assert round(width()) == 200, "the address has the size"
    comparer.locator("summary", has_text="View").click()
    # Sorting needs no request.
    numbers = [float(row.get_attribute("data-agreement") or 0) for row in comparer.locator("tr[data-row]").all()]
    comparer.get_by_label("Rows").select_option("disagreement")
    sorted_ones = [float(row.get_attribute("data-agreement") or 0) for row in comparer.locator("tr[data-row]").all()]
    assert sorted_ones == sorted(numbers)
    assert "sort=disagreement" in comparer.url


@pytest.mark.slow
def test_progress_is_shown_and_can_be_cancelled(comparer: Page) -> None:
    slow = "by=model&method=PartialOcclusion&model=&model=SlowModel&Strides=30&Window=0.05"
    comparer.goto(full(comparer, f"/compare?{slow}"))
    expect(comparer.get_by_label("progress of SlowModel")).to_be_visible()
    comparer.get_by_role("button", name="Cancel").click()
    expect(comparer.locator("[data-run]")).to_have_count(0)
    expect(comparer.get_by_role("button", name="Try again")).to_be_visible()
    assert violations(comparer) == []


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_in_any_view(comparer: Page, scheme: str) -> None:
    comparer.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    rules = {} if scheme == "light" else {"rules": CONTRAST}
    wrong = {}
    for query, cells in (
        ("by=method&method=SaliencyMaps&method=GradCAM", 4),
        ("by=target&method=SaliencyMaps&target=bee&target=dog", 4),
        ("by=model&method=SaliencyMaps", 6),
        ("by=model&view=timeline&method=SaliencyMaps", 3),
    ):
        see(comparer, query, cells)
        for summary in comparer.locator(".choice summary").all():
            summary.click()
        wrong[query] = violations(comparer, **rules)
    assert {query: found for query, found in wrong.items() if found} == {}


@pytest.mark.slow
def test_the_page_works_without_scripts(page: Page, models: str, tmp_path: Path) -> None:
    assert page.context.browser
    context = page.context.browser.new_context(java_script_enabled=False)
    plain = context.new_page()
    plain.goto(models)
    halves((200, 30, 30), (20, 180, 40)).save(tmp_path / "one.png")
    plain.locator("#file").set_input_files(tmp_path / "one.png")
    plain.get_by_role("button", name="Upload").click()
    plain.get_by_role("link", name="Compare", exact=True).click()
    plain.locator("[name=method]").select_option("SaliencyMaps")
    plain.get_by_role("button", name="Compare").click()
    # The page reloads itself until the runs have ended.
    expect(plain.locator("[data-cell]")).to_have_count(3)
    context.close()


@pytest.mark.slow
def test_maps_of_targets_are_named_by_their_classes(comparer: Page) -> None:
    see(comparer, "by=target&method=SaliencyMaps", 6)
    names = comparer.locator("[data-row]").first.locator("figcaption strong").all_inner_texts()
    comparer.get_by_role("button", name="Blink, swipe").first.click()
    expect(comparer.get_by_role("dialog").get_by_role("status")).to_have_text(f"{names[0]} | {names[-1]}")


@pytest.mark.slow
def test_the_numbers_of_a_chart_are_whole_and_its_maps_have_legends(comparer: Page) -> None:
    see(comparer, "by=model&view=timeline&method=SaliencyMaps", 3)
    expect(comparer.locator(".checkpoints .legend")).to_have_count(3)
    assert comparer.locator(".chart svg").evaluate_all(
        """charts => charts.every(chart => {
            const low = chart.querySelectorAll("text")[1];
            low.textContent = "-0.823";
            return low.getBBox().x >= chart.viewBox.baseVal.x;
        })"""
    )
