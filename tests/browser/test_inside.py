"""The inside of the network in a real browser: channels in order, switched off, searched for, and named."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import BROWSER, at, full, take_ten
from tests.jobs.test_engine import until

pytestmark = BROWSER


@pytest.fixture
def inside(visitor: Page, address: str) -> Page:
    """The page about the inside of the network, for a handwritten 4."""
    take_ten(visitor)
    visitor.locator(".thumbs li").nth(4).locator("a").click()
    expect(visitor.locator(".thumbs li").nth(4)).to_have_class("current")
    visitor.get_by_role("link", name="What do its channels respond to?").click()
    expect(visitor.locator(".maps button").first).to_be_visible(timeout=60_000)
    return visitor


def order(page: Page) -> list[int]:
    """Return the channels in their order on the page."""
    return [int(one.get_attribute("data-of") or "") for one in page.locator(".maps button").all()]


def sheet(page: Page, **question: Any) -> Any:
    """Return what the server answers about the channels of the image."""
    return page.request.post(full(page, "/api/channels"), data={"image": 4, "count": 128, **question}).json()


def channel(page: Page, **question: Any) -> Any:
    return page.request.post(full(page, "/api/channel"), data=question).json()["answers"]


def test_the_channels_are_in_the_chosen_order(inside: Page, faults: list[str]) -> None:
    found = sheet(inside)
    assert order(inside) == [one["channel"] for one in found["channels"]][:48]
    expect(inside.locator("[data-sheet-text]")).to_contain_text("the score of 4")
    inside.get_by_label("First, those that").select_option("activation")
    expected = [one["channel"] for one in sheet(inside, order="activation")["channels"]][:48]
    until(lambda: order(inside) == expected)
    # Which channels tell two classes apart.
    inside.get_by_label("First, those that").select_option("relevance")
    inside.get_by_role("combobox", name="Target").fill("4 vs 9")
    inside.keyboard.press("Enter")
    expect(inside.locator("[data-sheet-text]")).to_contain_text("4 rather than 9")
    assert order(inside) == [one["channel"] for one in sheet(inside, target="4 vs 9")["channels"]][:48]
    inside.get_by_role("combobox", name="Target").fill("unicorn")
    inside.keyboard.press("Enter")
    expect(inside.locator("[data-sheet-text]")).to_contain_text("unicorn")
    # What the browser itself says of the request that was refused.
    assert ["400" in fault for fault in faults] == [True]
    faults.clear()


def test_a_region_brings_the_channels_that_respond_there(inside: Page) -> None:
    def drawn() -> str:
        return str(inside.locator(".stage canvas").evaluate("(canvas) => canvas.toDataURL()"))

    bare = drawn()
    at(inside, ".stage canvas", 0.1, 0.1, 0.5, 0.5)
    expect(inside.get_by_label("First, those that")).to_have_value("region")
    expected = [one["channel"] for one in sheet(inside, order="region", region=[0.1, 0.1, 0.5, 0.5])["channels"]]
    until(lambda: order(inside)[:5] == expected[:5])
    # Its outline is there as long as the order is that of the region.
    assert drawn() != bare
    inside.get_by_label("First, those that").select_option("activation")
    until(lambda: drawn() == bare)
    inside.get_by_label("First, those that").select_option("region")
    until(lambda: drawn() != bare)
    # A click chooses no region.
    at(inside, ".stage canvas", 0.7, 0.7)
    expect(inside.get_by_label("First, those that")).to_have_value("relevance")
    # It leaves another order as it is.
    inside.get_by_label("First, those that").select_option("against")
    at(inside, ".stage canvas", 0.7, 0.7)
    expect(inside.get_by_label("First, those that")).to_have_value("against")


def test_the_keyboard_stays_at_the_channels_that_are_added(inside: Page) -> None:
    inside.get_by_role("button", name="More channels").press("Enter")
    expect(inside.locator(".maps button")).to_have_count(64)
    expect(inside.locator(".maps button").nth(48)).to_be_focused()


def test_the_order_and_the_target_stay_with_another_layer(inside: Page, faults: list[str]) -> None:
    inside.get_by_label("First, those that").select_option("against")
    inside.get_by_role("combobox", name="Target").fill("4 vs 9")
    inside.keyboard.press("Enter")
    expect(inside.locator("[data-sheet-text]")).to_contain_text("4 rather than 9")
    inside.reload()
    expect(inside.locator("[data-sheet-text]")).to_contain_text("4 rather than 9")
    inside.locator(".layers details:not([open]) summary").first.click()
    inside.locator(".layers a:not([aria-current])").first.click()
    expect(inside.locator("[data-sheet-text]")).to_contain_text("4 rather than 9")
    expect(inside.get_by_label("First, those that")).to_have_value("against")
    # A region is not in the address.
    inside.goto(f"{inside.url.split('?')[0]}?order=region")
    expect(inside.locator(".maps button").first).to_be_visible()
    expect(inside.get_by_label("First, those that")).to_have_value("relevance")
    assert not faults


def test_an_image_that_was_removed_is_left_out(inside: Page, faults: list[str]) -> None:
    inside.locator(".maps button").first.click()
    assert inside.evaluate("fetch('/api/images/0', {method: 'DELETE'}).then((answer) => answer.ok)")
    inside.get_by_role("button", name="What does it respond to?").click()
    expect(inside.locator("[data-strongest] li").first).to_be_visible()
    strongest = max(
        channel(inside, channel=order(inside)[0], scale=0), key=lambda one: (one["activation"] or {"value": 0})["value"]
    )
    expect(inside.locator("[data-strongest] li").first).to_contain_text(strongest["name"])
    assert not faults


def test_predictions_move_with_the_slider(inside: Page, faults: list[str]) -> None:
    first = order(inside)[0]
    inside.locator(".maps button").first.click()
    expect(inside.get_by_role("heading", name=f"Channel {first} of")).to_be_visible()
    expect(inside.locator("[data-verdict]")).to_contain_text(f"Without channel {first}: the prediction")

    def numbers() -> list[float]:
        return [float(text) for text in inside.locator("[data-classes] td:nth-child(3)").all_inner_texts()]

    for scale in (0, 2):
        inside.locator("#scale").fill(str(scale))
        (answer,) = channel(inside, channel=first, scale=scale, images=[4])
        expected = [round(one["after"], 4) for one in answer["classes"]]
        until(lambda expected=expected: numbers() == pytest.approx(expected, abs=1e-4))  # type: ignore[misc]
    expect(inside.locator("[data-verdict]")).to_contain_text(f"With channel {first} multiplied by 2")
    # The address has the channel.
    inside.reload()
    expect(inside.get_by_role("heading", name=f"Channel {first} of")).to_be_visible()
    assert not faults


def test_exemplars_and_effects_in_all_images(inside: Page, tmp_path: Path) -> None:
    first = order(inside)[0]
    inside.locator(".maps button").first.click()
    inside.get_by_role("button", name="What does it respond to?").click()
    expect(inside.locator("[data-strongest] li").first).to_be_visible()
    answers = channel(inside, channel=first, scale=0)
    strongest = max((one for one in answers if one["activation"]), key=lambda one: one["activation"]["value"])
    expect(inside.locator("[data-strongest] li").first).to_contain_text(strongest["name"])
    expect(inside.locator("[data-strongest] img").first).to_have_attribute("src", re.compile("^data:image/png"))
    flips = sum(one["flipped"] for one in answers)
    said = inside.locator("[data-found]").inner_text()
    assert sum(map(int, re.findall(r", (\d+) of \d+ images? predicted", said))) == flips
    assert flips or f"Without channel {first}, no predicted class changes in 10 images." in said
    # The card is a page of its own, with the name of the channel.
    inside.get_by_label("Name", exact=True).fill("a <stroke>")
    inside.keyboard.press("Tab")
    expect(inside.get_by_role("heading", name=f"a <stroke> ({first}) of")).to_be_visible()
    with inside.expect_download() as download:
        inside.get_by_role("button", name="Save the card").click()
    assert download.value.suggested_filename.endswith(f"-channel-{first}.html")
    download.value.save_as(tmp_path / "card.html")
    card = inside.context.new_page()
    card.goto(f"file://{tmp_path}/card.html")
    expect(card.get_by_role("heading", name=f"a <stroke> ({first}) of")).to_be_visible()
    expect(card.get_by_text(said)).to_be_visible()
    assert card.locator("figure").count() == inside.locator(".crops li").count()
    card.close()
    # The mean is known now.
    inside.get_by_label("Set it to its mean instead").check()
    expect(inside.locator("[data-verdict]")).to_contain_text(f"With channel {first} set to")


def test_a_name_is_kept(inside: Page) -> None:
    first = order(inside)[0]
    inside.locator(".maps button").first.click()
    inside.get_by_label("Name", exact=True).fill("upper <b>stroke</b>")
    inside.keyboard.press("Tab")
    expect(inside.locator(f"[data-of='{first}']")).to_contain_text(f"upper <b>stroke</b> ({first})")
    expect(inside.locator(".layers a", has_text="upper <b>stroke</b>")).to_have_count(1)
    inside.reload()
    expect(inside.locator(f"[data-of='{first}']")).to_contain_text(f"upper <b>stroke</b> ({first})")
    expect(inside.get_by_label("Name", exact=True)).to_have_value("upper <b>stroke</b>")


def test_the_preferred_input_of_a_channel_is_shown_on_the_first_page(inside: Page) -> None:
    first = order(inside)[0]
    inside.locator(".maps button").first.click()
    expect(inside.get_by_role("heading", name=f"Channel {first} of")).to_be_visible()
    inside.get_by_role("link", name="Make an image that it responds to").click()
    expect(inside.get_by_text("after 64 steps")).to_be_visible(timeout=120_000)
    expect(inside.get_by_text(f"channel {first} of layer").first).to_be_visible()


def test_layers_are_chosen_from_the_list(inside: Page) -> None:
    layers = inside.locator(".layers a")
    assert layers.count() > 1
    inside.locator(".layers details:not([open]) summary").first.click()
    other = inside.locator(".layers a:not([aria-current])").first
    name = other.inner_text()
    other.click()
    expect(inside.get_by_role("heading", name=f"Channels of {name}")).to_be_visible()
    expect(inside.locator(".maps button").first).to_be_visible()
    assert sheet(inside, layer=name)["layer"] == name


def all_drawn(within: Locator) -> bool:
    """Tell whether all images in an element are there."""
    return all(one.evaluate("(image) => image.naturalWidth > 0") for one in within.locator("img").all())


def test_concepts_are_searched_for_and_looked_at(inside: Page, faults: list[str]) -> None:
    inside.get_by_label("Number of concepts").fill("3")
    inside.get_by_role("button", name="Find concepts in all 10 images").click()
    concepts = inside.locator(".concepts article")
    expect(concepts).to_have_count(3, timeout=60_000)
    expect(inside.locator("[data-concepts-text]")).to_contain_text("3 concepts of layer")
    (found,) = inside.request.get(full(inside, "/api/concepts")).json()["searches"]
    for shown, one in zip(concepts.all(), found["found"]["concepts"], strict=True):
        expect(shown).to_contain_text(f"Importance {one['importance']:.2f}")
        expect(shown.locator("img")).to_have_count(2 * len(one["exemplars"]))
        shown.scroll_into_view_if_needed()
        until(partial(all_drawn, shown))
    # Its map is on the image, and the table is about it.
    concepts.nth(1).get_by_role("button", name="Look at it in this image").click()
    expect(inside.locator("[data-channel-title]")).to_have_text(f"Concept 2 of {found['layer']}")
    expect(inside.locator("[data-legend]")).to_contain_text("The colours range from 0 to")
    change = full(inside, f"{found['url']}/change")
    (answer,) = inside.request.post(change, data={"concept": 2, "images": [4]}).json()["answers"]
    first = inside.locator("tbody[data-classes] tr").first
    expect(first).to_contain_text(f"{answer['classes'][0]['after']:.4f}")
    expect(inside.get_by_label("Name")).to_be_hidden()
    inside.locator("#scale").fill("1")
    expect(inside.locator("[data-verdict]")).to_contain_text("With concept 2 multiplied by 1: the prediction stays")
    # A channel of it, and back.
    concepts.first.locator("p.note button").first.click()
    channel = found["found"]["concepts"][0]["channels"][0]["channel"]
    expect(inside.locator("[data-channel-title]")).to_contain_text(f"Channel {channel}")
    expect(inside.get_by_label("Name")).to_be_visible()
    # What was found is there again, also if a later search found nothing.
    later = inside.request.post(full(inside, "/api/concepts"), data={"count": 1}).json()["url"]
    inside.request.post(full(inside, f"{later}/cancel"))
    until(lambda: inside.request.get(full(inside, later)).json()["state"] == "cancelled")
    inside.reload()
    expect(concepts).to_have_count(3, timeout=60_000)
    assert not faults


def test_the_map_is_that_of_the_last_channel_that_was_chosen(inside: Page) -> None:
    """Also if the images of an earlier one are decoded later."""

    def drawn() -> str:
        return str(inside.locator(".stage canvas").evaluate("(canvas) => canvas.toDataURL()"))

    first, second = (inside.locator(".maps button").nth(place) for place in (0, 1))
    before = drawn()
    second.click()
    until(lambda: drawn() != before)
    expected = drawn()
    inside.evaluate(
        """() => {
          const { decode } = HTMLImageElement.prototype;
          let left = 2;
          HTMLImageElement.prototype.decode = async function () {
            left -= 1;
            if (left >= 0) await new Promise((done) => setTimeout(done, 700));
            if (left < 0) document.body.dataset.fast = "";
            return decode.call(this);
          };
        }"""
    )
    first.click()
    second.click()
    inside.wait_for_timeout(1500)
    assert inside.locator("body[data-fast]").count() == 1
    assert drawn() == expected


def test_a_search_for_concepts_says_what_is_wrong(inside: Page, faults: list[str]) -> None:
    inside.get_by_label("Only images predicted as").fill("unicorn")
    inside.get_by_role("button", name="Find concepts in all 10 images").click()
    expect(inside.locator("[data-concepts-text]")).to_contain_text("unicorn")
    expect(inside.get_by_role("button", name="Find concepts in all 10 images")).to_be_enabled()
    assert ["400" in fault for fault in faults] == [True]
    faults.clear()
