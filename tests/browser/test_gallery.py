"""A labelled folder in a real browser: to its mistakes, and where the model looks in them, with counted actions."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import BROWSER, full, serving_fake, watched
from tests.browser.test_accessibility import CONTRAST, RULES, violations
from tests.conftest import noise_image
from tests.fakes import LinearModel

pytestmark = BROWSER

IMAGES = 300


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images in folders named after classes; one in ten is in another folder than the class that is predicted."""
    model = LinearModel()
    model.load(shape=(48, 72, 3))
    root = tmp_path_factory.mktemp("labelled") / "set"
    for number in range(IMAGES):
        image = noise_image(number, (72, 48))
        predicted = int(model.predict(model.inputs_of([image])).argmax())
        # A folder may also be called by the number of a class, such as that of "cat <b>".
        name = ["ant", "bee", "2", "dog", "elk", "fox", "gnu"][(predicted + (number % 10 == 0)) % 7]
        place = root / name / f"{number:03d}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        image.save(place)
    return root


@pytest.fixture(scope="module")
def fake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving_fake(tmp_path_factory.mktemp("fake"), "LinearModel") as url:
        yield url


@pytest.fixture
def entered(page: Page, fake: str, faults: list[str]) -> Iterator[Page]:
    with watched(page, fake, faults) as visitor:
        yield visitor


class Actions:
    """Counts what a visitor does."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, act: Callable[[], None]) -> None:
        self.count += 1
        act()


def test_from_a_labelled_folder_to_where_it_looks_in_the_mistakes_in_four_actions(entered: Page, folder: Path) -> None:
    act = Actions()
    act(lambda: entered.locator("input[data-folder]").set_input_files(folder))
    expect(entered.get_by_text(f"{IMAGES} images in ")).to_be_visible()
    act(lambda: entered.get_by_role("button", name="Open the gallery").click())
    expect(entered.locator("[data-gallery]")).to_have_count(0)
    expect(entered.locator(".accuracy")).to_have_text("90.0%")
    act(lambda: entered.get_by_role("link", name="Show the 30 mistakes").click())
    expect(entered.locator(".gallery li.mistake")).to_have_count(30)
    act(lambda: entered.get_by_role("button", name="Where does it look in").click())
    expect(entered.locator("article.row")).to_have_count(24)
    expect(entered.locator("article.row a.map img").first).to_be_visible()
    assert act.count <= 4

    # The gallery of the same visitor: cells, filters, the order, and all pages by scrolling.
    entered.goto(full(entered, "/gallery"))
    expect(entered.locator(".gallery li")).to_have_count(100)
    cell = entered.locator(".matrix td.mistake a").first
    count = int(cell.inner_text())
    cell.click()
    expect(entered.locator(".gallery li.mistake")).to_have_count(count)
    entered.go_back()
    for _ in range(60):
        entered.mouse.wheel(0, 1000)
        entered.wait_for_timeout(50)
    expect(entered.locator(".gallery li")).to_have_count(IMAGES)
    entered.locator("select[name=sort]").select_option("least")
    entered.wait_for_url("**/gallery?*sort=least*")
    # Images that are not on the screen have no rendered text.
    found = entered.locator(".gallery li a > span:first-of-type").all_text_contents()
    confidences = [float(text.split()[-1]) for text in found]
    assert confidences == sorted(confidences)
    for scheme, rules in (("light", RULES), ("dark", CONTRAST)):
        entered.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # type: ignore[arg-type]
        for place in ("/gallery", "/gallery?show=mistakes", "/gallery?show=mistakes&predicted=ant&label=ant"):
            entered.goto(full(entered, place))
            assert violations(entered, rules) == [], place


def test_without_javascript(browser: Browser, fake: str, folder: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.set_default_timeout(180_000)
    page.goto(fake)
    files = sorted(folder.rglob("*.png"))[:30]
    page.locator("#file").set_input_files(files)
    page.get_by_role("button", name="Upload").click()
    page.goto(f"{fake}/gallery")
    page.get_by_role("button", name="Predict them").click()
    expect(page.locator(".gallery li").first).to_contain_text(re.compile(r"\d\.\d\d"))
    page.locator("select[name=sort]").select_option("least")
    page.get_by_role("button", name="Apply").click()
    page.wait_for_url("**sort=least*")
    expect(page.locator(".gallery li")).to_have_count(30)
    context.close()
