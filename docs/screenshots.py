"""Takes an image of every state of the pages, in a real browser: ``make screenshots``, or with a folder to write into.

    python docs/screenshots.py [FOLDER] [--only NAME ...]

The photographs need ``make prepare EXAMPLE=keras-efficientnet-lite``; without them those states are left out.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urljoin

from playwright.sync_api import Browser, Error, Page, sync_playwright

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.browser.conftest import ARGUMENTS, CHROMIUM, config_to_compare, serving  # noqa: E402 - of this checkout, wherever it is called

EXAMPLES = ROOT / "picasso" / "examples"
PHOTOGRAPHS = EXAMPLES / "keras-efficientnet-lite" / "config.py"
DIGITS = EXAMPLES / "samples" / "mnist"
TANKS = EXAMPLES / "tanks"

State = Callable[["Studio"], None]
STATES: dict[str, tuple[str, State]] = {}


def state(example: str) -> Callable[[State], State]:
    """Register a state of the pages of an example: "digits", "photographs", "tanks"."""

    def register(function: State) -> State:
        STATES[function.__name__] = (example, function)
        return function

    return register


class Studio:
    """A browser in front of a server, and the folder that the images go to."""

    def __init__(self, browser: Browser, address: str, folder: Path) -> None:
        self.browser, self.address, self.folder = browser, address, folder

    @contextmanager
    def page(self, width: int = 1280, height: int = 860, scheme: str = "light") -> Iterator[Page]:
        """Yield a page of a visitor of their own."""
        context = self.browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)  # type: ignore[arg-type]
        page = context.new_page()
        page.goto(self.address)
        yield page
        context.close()

    def take(self, page: Page, name: str, *, whole: bool = False) -> None:
        """Write an image of what is on the screen, or of the whole page."""
        page.wait_for_timeout(150)
        page.screenshot(path=self.folder / f"{name}.png", full_page=whole)


ENDED = "!document.querySelector('[data-run]') && document.querySelectorAll('header.result').length"
ESTIMATED = "[...document.querySelectorAll('[data-estimate]')].every(one => one.textContent)"


def wait(page: Page, condition: str, seconds: float = 240) -> None:
    """Wait until an expression is true; the page's policy does not let Playwright do it there."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            if page.evaluate(condition):
                return
        except Error:
            pass  # The page is just being loaded again.
        if time.monotonic() > deadline:
            raise TimeoutError(condition)
        page.wait_for_timeout(50)


def ready(page: Page) -> None:
    page.locator('[data-model-state="ready"]').wait_for(timeout=120_000)


def done(page: Page) -> None:
    """Wait until the map of the workspace is complete."""
    page.locator(".stage[data-complete=true]:not(:has([data-watch]))").wait_for(timeout=240_000)
    page.wait_for_load_state("networkidle")


def take_ten(page: Page) -> None:
    ready(page)
    page.get_by_role("button", name="Add ten").or_(page.get_by_role("button", name="Add all")).click()
    page.locator(".thumbs li").first.wait_for()


def run(page: Page, name: str, *, until: str = "ended", **settings: str) -> None:
    """Run a visualization with settings, and wait until it has ended or for what else is on the page."""
    page.goto(urljoin(page.url, f"/visualizations/{name}"))
    for label, value in settings.items():
        page.get_by_label(label, exact=True).select_option(value)
    page.get_by_role("button", name="Run").click()
    if until == "ended":
        page.wait_for_selector("header.result", timeout=120_000)
        wait(page, ENDED)
        page.wait_for_load_state("networkidle")
    else:
        page.wait_for_selector(until, timeout=120_000)


@state("loading")
def loading(studio: Studio) -> None:
    with studio.page() as page:
        studio.take(page, "loading")


@state("digits")
def empty(studio: Studio) -> None:
    with studio.page() as page:
        ready(page)
        studio.take(page, "empty")
        page.goto(f"{studio.address}/visualizations")
        wait(page, ESTIMATED)
        studio.take(page, "methods", whole=True)


@state("digits")
def images(studio: Studio) -> None:
    with studio.page() as page:
        take_ten(page)
        page.wait_for_timeout(500)
        studio.take(page, "images", whole=True)


@state("digits")
def uploading(studio: Studio) -> None:
    with studio.page() as page:
        ready(page)
        page.route("**/api/images", lambda route: (time.sleep(0.15), route.continue_())[1])
        page.locator("#file").set_input_files(sorted(DIGITS.glob("*.png"))[:20])
        page.locator("text=/[3-9] of 20 images/").wait_for()
        page.screenshot(path=studio.folder / "uploading.png")


@state("digits")
def error(studio: Studio) -> None:
    with studio.page() as page:
        ready(page)
        broken = {"name": "holiday.tiff", "mimeType": "image/tiff", "buffer": b"II*\0 nothing that can be read"}
        good = {"name": "7.png", "mimeType": "image/png", "buffer": (DIGITS / "7-00000.png").read_bytes()}
        page.locator("#file").set_input_files([broken, good])  # type: ignore[list-item]
        page.locator(".notice.wrong").wait_for()
        page.locator(".thumbs li[data-uid]").wait_for()
        studio.take(page, "error")
        page.goto(f"{studio.address}/nowhere")
        studio.take(page, "not-found")


@state("digits")
def settings(studio: Studio) -> None:
    with studio.page() as page:
        take_ten(page)
        page.goto(f"{studio.address}/visualizations/PartialOcclusion?Window=0.20&Strides=20")
        wait(page, ESTIMATED)
        studio.take(page, "settings", whole=True)


@state("digits")
def queued_and_running(studio: Studio) -> None:
    with studio.page() as first, studio.page() as second:
        for page in (first, second):
            ready(page)
            page.locator("#file").set_input_files(sorted(DIGITS.glob("*.png")))
            page.locator(".thumbs li[data-uid]").nth(29).wait_for()
        run(first, "PartialOcclusion", until="[data-run]", Window="0.05", Strides="30")
        run(second, "PartialOcclusion", until="[data-run]", Strides="20", Window="0.20")
        second.locator("text=Waiting for 1 other run").wait_for()
        studio.take(second, "queued")
        first.locator("text=/left/").wait_for(timeout=60_000)
        studio.take(first, "running")
        first.get_by_role("button", name="Cancel").click()
        second.get_by_role("button", name="Cancel").click()


@state("digits")
def results(studio: Studio) -> None:
    with studio.page(height=1000) as page:
        ready(page)
        page.locator("#file").set_input_files(sorted(DIGITS.glob("*.png"))[:20])
        page.locator(".thumbs li[data-uid]").nth(19).wait_for()
        run(page, "PartialOcclusion", Window="0.20", Strides="20")
        studio.take(page, "results-20")
        page.locator(".again summary").click()
        page.locator(".again").scroll_into_view_if_needed()
        studio.take(page, "again")
        page.goto(f"{studio.address}/visualizations")
        studio.take(page, "history", whole=True)


@state("digits")
def side_by_side(studio: Studio) -> None:
    with studio.page(height=1000) as page:
        take_ten(page)
        page.goto(f"{studio.address}/visualizations")
        for name in ("PartialOcclusion", "SaliencyMaps"):
            page.locator(f"input[name=visualization][value={name}]").check()
        page.get_by_role("button", name="Run selected").click()
        wait(page, f"{ENDED} == 2")
        page.wait_for_load_state("networkidle")
        studio.take(page, "side-by-side")


@state("digits")
def phone(studio: Studio) -> None:
    with studio.page(width=360, height=760) as page:
        take_ten(page)
        done(page)
        studio.take(page, "phone-images")
        run(page, "SaliencyMaps")
        studio.take(page, "phone-results")
        page.goto(f"{studio.address}/images/4/what-if")
        page.locator("[data-classes] tr").first.wait_for()
        studio.take(page, "phone-what-if", whole=True)


@state("digits")
def dark(studio: Studio) -> None:
    with studio.page(scheme="dark", height=1000) as page:
        take_ten(page)
        done(page)
        studio.take(page, "dark-images")
        run(page, "PartialOcclusion", Window="0.20", Strides="20")
        studio.take(page, "dark-results")


@state("digits")
def huge(studio: Studio) -> None:
    with studio.page(width=3840, height=2160) as page:
        take_ten(page)
        run(page, "PartialOcclusion", Window="0.20", Strides="20")
        studio.take(page, "4k")


def photograph(page: Page, *names: str) -> None:
    """Put some of the photographs into the session."""
    ready(page)
    for name in names:
        page.locator(f'.samples button[value*="{name}"]').first.click()
        page.wait_for_load_state("networkidle")


@state("photographs")
def photographs(studio: Studio) -> None:
    with studio.page() as page:
        take_ten(page)
        page.wait_for_timeout(1500)
        studio.take(page, "photographs", whole=True)
        run(page, "SaliencyMaps")
        studio.take(page, "photographs-saliency")


@state("photographs")
def workspace(studio: Studio) -> None:
    with studio.page(width=1440, height=900) as page:
        photograph(page, "coffee")
        done(page)
        studio.take(page, "workspace")


@state("digits")
def ranking(studio: Studio) -> None:
    with studio.page(width=1000) as page:
        take_ten(page)
        page.locator("[data-model-state=ready]").wait_for(timeout=120_000)
        page.goto(urljoin(studio.address, "/visualizations"))
        page.get_by_role("button", name="Rank the methods").click()
        page.get_by_role("button", name="Rank again").wait_for(timeout=600_000)
        page.locator("[data-part=ranking]").screenshot(path=studio.folder / "ranking.png")


@state("photographs")
def grade(studio: Studio) -> None:
    with studio.page(width=1280, height=860) as page:
        photograph(page, "coffee")
        done(page)
        page.get_by_role("button", name="How far can I trust this?").click()
        page.locator("[data-grade-text]", has_text="All tests are done.").wait_for(timeout=240_000)
        page.locator(".main").screenshot(path=studio.folder / "grade.png")


@state("photographs")
def one_result(studio: Studio) -> None:
    with studio.page() as page:
        photograph(page, "coffee")
        run(page, "PartialOcclusion", until="a.map", Window="0.20", Strides="30")
        studio.take(page, "partial-map")
        wait(page, ENDED)
        page.wait_for_load_state("networkidle")
        studio.take(page, "result-1")
        page.locator("[name=colours]").select_option("magma")
        page.locator("[name=size]").fill("300")
        page.wait_for_selector("a.map canvas")
        page.locator("a.map").first.hover(position={"x": 150, "y": 120})
        studio.take(page, "result-over")
        page.locator("a.map").first.click()
        studio.take(page, "zoom")


@state("photographs")
def what_if(studio: Studio) -> None:
    with studio.page(height=1100) as page:
        take_ten(page)
        page.locator('.thumbs a[title*="coffee"]').click()
        page.locator(".thumbs .current", has_text="coffee").wait_for()
        page.get_by_role("link", name="What if I hide this?").click()
        page.locator("[data-classes] tr").first.wait_for(timeout=30_000)
        box = page.locator(".stage canvas").bounding_box()
        if box is None:
            raise RuntimeError("there is no canvas")
        page.mouse.move(box["x"] + 0.3 * box["width"], box["y"] + 0.2 * box["height"])
        page.mouse.down()
        page.mouse.move(box["x"] + 0.8 * box["width"], box["y"] + 0.75 * box["height"], steps=8)
        page.mouse.up()
        page.get_by_label("Fill with").select_option("blur")
        page.wait_for_timeout(1000)
        page.get_by_role("button", name="Hide it everywhere").click()
        page.locator("text=/images? flips?/").wait_for(timeout=60_000)
        studio.take(page, "what-if", whole=True)


@state("photographs")
def inside(studio: Studio) -> None:
    with studio.page(width=1400, height=1000) as page:
        take_ten(page)
        page.locator('.thumbs a[title*="chelsea"]').click()
        page.locator(".thumbs .current", has_text="chelsea").wait_for()
        page.get_by_role("link", name="What do its channels respond to?").click()
        page.locator(".maps button").first.click()
        page.locator("[data-classes] tr").first.wait_for()
        page.get_by_role("button", name="What does it respond to?").click()
        page.locator("[data-strongest] img").first.wait_for(timeout=60_000)
        page.wait_for_timeout(1000)
        page.evaluate("scrollTo(0, 0)")
        studio.take(page, "inside")


@state("photographs")
def concepts(studio: Studio) -> None:
    with studio.page(width=1300, height=1150) as page:
        take_ten(page)
        page.locator('.thumbs a[title*="chelsea"]').click()
        page.locator(".thumbs .current", has_text="chelsea").wait_for()
        page.get_by_role("link", name="What do its channels respond to?").click()
        page.locator(".maps button").first.wait_for()
        page.get_by_role("button", name="Find concepts in all").click()
        page.locator(".concepts article").first.wait_for(timeout=120_000)
        page.locator(".concepts").scroll_into_view_if_needed()
        page.evaluate("document.querySelector('.concepts').scrollIntoView()")
        page.wait_for_timeout(2000)
        studio.take(page, "concepts")


@state("compared")
def compared(studio: Studio) -> None:
    with studio.page(height=1100) as page:
        take_ten(page)
        page.goto(f"{studio.address}/visualizations/PartialOcclusion?Window=0.20&Strides=10&model=TensorFlow")
        page.get_by_role("button", name="Run").click()
        wait(page, ENDED)
        page.wait_for_load_state("networkidle")
        studio.take(page, "compared")


@state("tanks")
def audit(studio: Studio) -> None:
    with studio.page(width=1100, height=900) as page:
        ready(page)
        page.get_by_role("link", name="Audit", exact=True).click()
        page.locator("input[type=file]").set_input_files(TANKS / "images")
        page.get_by_role("button", name="Start the audit").click()
        page.locator(".verdict").wait_for(timeout=240_000)
        page.wait_for_timeout(300)
        studio.take(page, "audit")
        report = page.get_by_role("link", name="Open the report").get_attribute("href")
        page.goto(studio.address + str(report))
        page.locator("#verdict").scroll_into_view_if_needed()
        page.evaluate("document.querySelector('#verdict').scrollIntoView()")
        studio.take(page, "audit-report")


def options(example: str, folder: Path) -> list[str]:
    """Return the options of ``picasso serve`` for an example."""
    if example == "photographs":
        return ["--config", str(PHOTOGRAPHS)]
    if example == "tanks":
        return ["--config", str(TANKS / "config.py")]
    if example == "compared":
        return ["--config", str(config_to_compare(folder))]
    return []


def main() -> None:
    """Take all images, or those asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, default=ROOT / "docs" / "_build" / "screenshots")
    parser.add_argument("--only", nargs="*", choices=list(STATES), default=list(STATES))
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    wanted = [(example, name, make) for name, (example, make) in STATES.items() if name in arguments.only]
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as temporary:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        for example in dict.fromkeys(example for example, _, _ in wanted):
            with serving(*options(example, Path(temporary))) as address:
                for name in (name for its, name, _ in wanted if its == example):
                    print(name, flush=True)
                    STATES[name][1](Studio(browser, address, arguments.folder))
        browser.close()


if __name__ == "__main__":
    main()
