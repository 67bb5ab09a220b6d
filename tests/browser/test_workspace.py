"""The workspace in a real browser: one action to a map, to another class, method or image; addresses; keys."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import BROWSER, DIGITS, full
from tests.conftest import noise_image, png
from tests.jobs.test_engine import until

pytestmark = BROWSER

DONE = ".stage[data-complete=true]:not(:has([data-watch]))"


def query(page: Page) -> dict[str, str]:
    """Return the fields of the address."""
    return {key: values[0] for key, values in parse_qs(urlsplit(page.url).query).items()}


def done(page: Page) -> None:
    """Wait until nothing is missing from the view."""
    expect(page.locator(DONE)).to_be_visible(timeout=240_000)
    expect(page.locator("[data-workspace]:not([data-busy])")).to_be_visible()


@pytest.fixture
def begun(visitor: Page) -> Page:
    """The workspace with two digits, a 4 and a 7, of which the first is shown."""
    visitor.locator("#file").set_input_files([next(DIGITS.glob(f"{digit}-*.png")) for digit in (4, 7)])
    expect(visitor.locator(".thumbs li[data-uid]")).to_have_count(2)
    done(visitor)
    return visitor


def test_one_click_on_a_sample_shows_a_map(visitor: Page) -> None:
    visitor.get_by_role("button", name="sample 4-00004.png").click()
    expect(visitor.locator(".main a.map img")).to_be_visible(timeout=240_000)
    expect(visitor.locator(".targets-row [aria-current]")).to_contain_text("4")
    done(visitor)
    # The quick map is replaced by the exact one.
    expect(visitor.locator(".settings h3")).to_have_text("Partial occlusion")
    expect(visitor.locator(".main .legend")).to_contain_text("drop of the")
    assert query(visitor) == {"image": "0"}


def test_one_drop_of_a_folder_shows_the_map_of_its_first_image(visitor: Page, tmp_path: Path) -> None:
    for seed in range(3):
        (tmp_path / f"{seed}.png").write_bytes(png(noise_image(seed, (28, 28))))
    visitor.locator("input[data-folder]").set_input_files(tmp_path)
    expect(visitor.locator(".main a.map img")).to_be_visible(timeout=240_000)
    expect(visitor.locator(".thumbs li[data-uid]")).to_have_count(3)
    # The predictions of all images come by themselves.
    expect(visitor.locator(".thumbs .predicted-class")).to_have_count(3)


def test_every_change_has_an_address_and_back_works(begun: Page) -> None:
    first = begun.url
    begun.locator(".targets-row a").nth(1).click()
    expect(begun.locator(".targets-row a").nth(1)).to_have_attribute("aria-current", "true")
    other_class = begun.url
    assert set(query(begun)) == {"image", "target"}
    begun.get_by_role("link", name="Fine detail").click()
    expect(begun.locator("#stage")).to_have_text("Fine detail")
    done(begun)
    assert query(begun)["question"] == "detail"
    begun.locator("summary", has_text="More methods").click()
    begun.get_by_role("link", name="Grad-CAM", exact=True).click()
    expect(begun.locator("#stage")).to_have_text("Grad-CAM")
    done(begun)
    assert query(begun)["method"] == "GradCAM"
    begun.get_by_label("Rectified").select_option("no")
    expect(begun.locator(".main .legend")).to_contain_text("against")
    assert query(begun)["Rectified"] == "false"
    settled = begun.url
    # The same address shows the same view in another tab.
    tab = begun.context.new_page()
    tab.goto(settled)
    assert tab.locator(".main .map").get_attribute("data-values") == begun.locator(".main .map").get_attribute(
        "data-values"
    )
    tab.close()
    begun.go_back()
    expect(begun.get_by_label("Rectified")).to_have_value("true")
    begun.go_back()
    expect(begun.locator("#stage")).to_have_text("Fine detail")
    begun.go_back()
    expect(begun.locator("#stage")).to_have_text("What does it look at?")
    assert begun.url == other_class
    begun.go_back()
    expect(begun.locator(".targets-row a").first).to_have_attribute("aria-current", "true")
    assert begun.url == first


def test_why_one_class_and_not_another(begun: Page) -> None:
    begun.get_by_role("link", name="Why this and not that?").click()
    done(begun)
    rows = begun.locator(".targets-row")
    expect(rows).to_have_count(2)
    expect(begun.locator(".main figcaption strong")).to_contain_text("4 rather than")
    rows.nth(1).locator("a:not([aria-current])").last.click()
    done(begun)
    chosen = rows.nth(1).locator("[aria-current]").inner_text()
    expect(begun.locator(".main figcaption strong")).to_have_text(f"4 rather than {chosen}")
    # The class of the other row turns the question round.
    rows.first.get_by_role("link", name=chosen, exact=True).click()
    expect(begun.locator(".main figcaption strong")).to_have_text(f"{chosen} rather than 4")


def test_the_keyboard_alone(begun: Page) -> None:
    begun.locator("body").press("ArrowRight")
    expect(begun.locator(".thumbs li").nth(1)).to_have_class(re.compile("current"))
    done(begun)
    expect(begun.locator(".targets-row [aria-current]")).to_contain_text("7")
    begun.keyboard.press("2")
    expect(begun.locator(".targets-row a").nth(1)).to_have_attribute("aria-current", "true")
    begun.keyboard.press("ArrowLeft")
    expect(begun.locator(".thumbs li").first).to_have_class(re.compile("current"))
    done(begun)
    drawn = begun.locator(".main .map img").get_attribute("src")
    begun.keyboard.down("o")
    expect(begun.locator(".main .map img")).not_to_have_attribute("src", drawn or "")
    begun.keyboard.up("o")
    expect(begun.locator(".main .map img")).to_have_attribute("src", drawn or "")
    begun.keyboard.press("?")
    expect(begun.get_by_role("dialog", name="Keys")).to_contain_text("previous or next image")
    begun.keyboard.press("Escape")
    # Each question is a link; the focus stays on it.
    link = begun.get_by_role("link", name="Which parts matter if hidden?")
    link.focus()
    begun.keyboard.press("Enter")
    expect(begun.locator("#stage")).to_have_text("Which parts matter if hidden?")
    done(begun)
    expect(link).to_be_focused()


def test_the_opacity_is_part_of_the_address(begun: Page) -> None:
    begun.get_by_label("Opacity of the map").fill("20")
    expect(begun.locator(".main .map canvas")).to_be_visible()
    begun.wait_for_url("**opacity=20*")
    begun.reload()
    expect(begun.locator(".main .map canvas")).to_be_visible()
    expect(begun.get_by_label("Opacity of the map")).to_have_value("20")
    begun.locator(".targets-row a").nth(1).click()
    begun.wait_for_url("**target=*")
    assert query(begun)["opacity"] == "20"
    expect(begun.locator(".main .map canvas")).to_be_visible()


def test_wrong_settings_are_told_beside_the_field_and_kept(begun: Page) -> None:
    begun.goto(full(begun, "/?image=0&method=IntegratedGradients"))
    done(begun)
    begun.get_by_label("Steps").fill("99999999")
    begun.get_by_label("Steps").press("Enter")
    expect(begun.locator(".settings .problem")).to_contain_text("Steps must be a whole number from 8 to 8192")
    expect(begun.get_by_label("Steps")).to_have_value("99999999")
    begun.get_by_label("Steps").fill("16")
    begun.get_by_label("Steps").press("Enter")
    done(begun)
    expect(begun.locator(".settings .problem")).to_have_count(0)


def test_cancelling_stays_cancelled_until_it_is_asked_for_again(begun: Page) -> None:
    begun.goto(full(begun, "/?image=0&method=RISE&Masks=20000&Cells=32&Error=0"))
    expect(begun.locator("[data-run-text]")).to_have_text(re.compile("[1-9]%"), timeout=60_000)
    # Pressed for as long as previews take: the button stays where it is.
    cancel = begun.locator("[data-cancel] button")
    cancel.hover()
    begun.mouse.down()
    begun.wait_for_timeout(1000)
    begun.mouse.up()
    button = begun.get_by_role("button", name="Show the map")
    expect(button).to_be_visible()
    expect(begun.locator("[data-watch]")).to_have_count(0)
    button.click()
    expect(begun.locator("[data-watch]")).to_be_visible()
    # Leaving a view stops what only it waited for.
    run = begun.locator("[data-run-id]").get_attribute("data-run-id")
    begun.get_by_role("link", name="What does it look at?").click()
    done(begun)
    begun.wait_for_timeout(500)
    state = begun.request.get(full(begun, f"/api/runs/{run}?results=false")).json()["state"]
    assert state == "cancelled"


def test_files_stay_in_the_order_of_the_user(visitor: Page, tmp_path: Path) -> None:
    names = [f"{index}.png" for index in range(12)]
    for index, name in enumerate(names):
        # The early ones take longer.
        (tmp_path / name).write_bytes(png(noise_image(index, (900, 700) if index < 3 else (28, 28))))
    visitor.locator("#file").set_input_files([tmp_path / name for name in names])
    expect(visitor.locator(".thumbs li[data-uid]")).to_have_count(12)
    expect(visitor.locator(".thumbs .name")).to_have_text(names)
    listed = visitor.request.get(full(visitor, "/api/images")).json()["images"]
    assert [one["name"] for one in listed] == names


def test_keys_pressed_fast_go_on_from_the_last(begun: Page) -> None:
    begun.locator(".more-samples summary").click()
    begun.get_by_role("button", name="Add ten").click()
    done(begun)
    begun.goto(full(begun, "/?image=0"))
    done(begun)
    begun.locator("[data-key=question-parts]").click()
    for _ in range(4):
        begun.keyboard.press("ArrowRight")
    begun.wait_for_url("**image=4*")
    assert query(begun) == {"image": "4", "question": "parts"}
    expect(begun.locator("h1")).to_contain_text(begun.locator(".subject-line .file").inner_text())


def test_two_visitors_do_not_disturb_each_other(begun: Page, browser: Browser, address: str) -> None:
    context = browser.new_context()
    other = context.new_page()
    other.goto(address)
    expect(other.locator(".start")).to_be_visible()
    other.get_by_role("button", name="sample 7-00000.png").click()
    done(other)
    expect(other.locator(".thumbs li[data-uid]")).to_have_count(1)
    begun.reload()
    expect(begun.locator(".thumbs li[data-uid]")).to_have_count(2)
    context.close()


@pytest.mark.parametrize("width", [390, 1280, 2560])
def test_the_image_comes_first_and_fills_the_window(begun: Page, width: int) -> None:
    begun.set_viewport_size({"width": width, "height": 844 if width < 500 else width * 9 // 16})
    begun.reload()
    done(begun)
    shown = begun.locator(".main .map")
    # A refined map may just be taking its place.
    until(lambda: shown.bounding_box() is not None)
    box = shown.bounding_box()
    assert box
    viewport = begun.viewport_size
    assert viewport
    # All of the map lies above the fold.
    assert box["y"] + box["height"] <= viewport["height"]
    if width < 500:
        assert box["width"] > 0.9 * width
    else:
        assert box["height"] > 0.55 * viewport["height"]
    assert begun.evaluate("document.documentElement.scrollWidth") <= width
