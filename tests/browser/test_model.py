"""The page of the model in a real browser: what was guessed is settled with two actions."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from tests.browser.conftest import BROWSER, serving, watched
from tests.browser.test_accessibility import violations
from tests.conftest import FAKES
from tests.fakes import LEVELS

pytestmark = BROWSER


@pytest.fixture(scope="module")
def guessing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serve a model whose value range nothing says, with labelled samples."""
    folder = tmp_path_factory.mktemp("guessing")
    for name, level in LEVELS.items():
        (folder / "samples" / name).mkdir(parents=True)
        Image.new("RGB", (72, 48), (level, level, level)).save(folder / "samples" / name / "1.png")
    settings = {"MODEL_CLS_PATH": str(FAKES), "MODEL_CLS_NAME": "RangeModel", "MODEL_LOAD_ARGS": {}}
    lines = [f"{key} = {value!r}\n" for key, value in {**settings, "SAMPLES_DIR": "samples"}.items()]
    (folder / "config.py").write_text("".join(lines))
    with serving("--config", str(folder / "config.py")) as url:
        yield url


@pytest.fixture
def guest(page: Page, guessing: str, faults: list[str]) -> Iterator[Page]:
    with watched(page, guessing, faults) as visitor:
        expect(visitor.locator("[data-model-state=ready]")).to_be_visible()
        yield visitor


def test_two_actions_settle_the_value_range(guest: Page) -> None:
    guest.get_by_role("link", name="guessed: value range").click()
    guest.get_by_role("button", name="Try all 5 value ranges").click()
    # The answer is on the screen, without another action.
    line = guest.locator("#trial figure.line").first.locator("code")
    expect(line).to_have_text('PREPROCESS = "-1..1"')
    expect(guest.locator(".trial th.best")).to_contain_text("-1..1 best", use_inner_text=True)
    expect(guest.locator("#trial")).to_be_in_viewport()
    guest.context.grant_permissions(["clipboard-read", "clipboard-write"])
    guest.get_by_role("button", name='Copy PREPROCESS = "-1..1"').click()
    assert guest.evaluate("navigator.clipboard.readText()") == 'PREPROCESS = "-1..1"'


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everybody_can_use_it(guest: Page, scheme: str) -> None:
    guest.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # type: ignore[arg-type]
    guest.get_by_role("link", name="guessed: value range").click()
    assert violations(guest) == []
    guest.get_by_role("button", name="Try both").click()
    expect(guest.locator(".trial")).to_be_visible()
    guest.locator("#trial details > summary").click()
    assert violations(guest) == []


def test_on_a_phone_the_header_has_the_name_and_the_guess_and_nothing_overflows(guest: Page) -> None:
    guest.set_viewport_size({"width": 390, "height": 800})
    expect(guest.locator(".model .guessed")).to_be_visible()
    expect(guest.locator(".model .detail")).to_be_hidden()
    guest.locator(".model .guessed").click()
    guest.get_by_role("button", name="Try all 5 value ranges").click()
    expect(guest.locator(".trial")).to_be_visible()
    assert guest.evaluate("document.documentElement.scrollWidth") == 390


JOBS = """<div data-jobs><link rel="stylesheet" href="/static/jobs.css"><details name="jobs"><summary>
  <span class="pulse"></span><span class="count">3</span><span class="words">1 running, 2 waiting</span></summary>
  <ul><li data-job="a"><a href="#">Grad-CAM</a></li></ul></details></div>"""


@pytest.mark.parametrize("width", [320, 390, 800, 1280])
def test_the_header_shows_all_links_and_keeps_its_height_when_a_job_starts(guest: Page, width: int) -> None:
    guest.set_viewport_size({"width": width, "height": 800})
    expect(guest.locator(".model .guessed")).to_be_visible()
    header, links = guest.locator("header.frame"), guest.locator(".place")
    before = header.bounding_box()
    guest.route("**/jobs", lambda route: route.fulfill(body=JOBS, content_type="text/html"))
    guest.evaluate("document.dispatchEvent(new Event('jobs'))")
    expect(guest.locator(".jobs summary")).to_have_css("display", "flex")
    assert header.bounding_box() == before
    for link in links.all():
        box = link.bounding_box()
        assert box
        assert 0 <= box["x"] < box["x"] + box["width"] <= width
