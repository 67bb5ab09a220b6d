"""Images come in and are put in order, in every way that a browser offers."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

from playwright.sync_api import Locator, Page, Route, expect

from tests.browser.conftest import BROWSER
from tests.conftest import noise_image, png
from tests.jobs.test_engine import until

pytestmark = BROWSER

GIVE = """([kind, named]) => {
  const transfer = new DataTransfer();
  for (const [name, bytes] of named)
    transfer.items.add(new File([new Uint8Array(bytes)], name, { type: "image/png" }));
  const [how, key] = kind === "paste" ? [ClipboardEvent, "clipboardData"] : [DragEvent, "dataTransfer"];
  document.body.dispatchEvent(new how(kind, { [key]: transfer, bubbles: true, cancelable: true }));
}"""


def file(name: str, content: bytes | None = None, kind: str = "image/png") -> Any:
    """Return a file to be chosen."""
    return {"name": name, "mimeType": kind, "buffer": png(noise_image(1, (28, 28))) if content is None else content}


def thumbs(page: Page) -> Locator:
    """Return the images that the server has."""
    return page.locator(".thumbs li[data-uid]")


def names(page: Page) -> list[str]:
    """Return the names of the images in their order."""
    return page.locator(".thumbs li[data-uid] > .name").all_inner_texts()


def three(page: Page) -> None:
    """Choose three images."""
    page.locator("#file").set_input_files([file(f"{name}.png") for name in "abc"])
    expect(thumbs(page)).to_have_count(3)
    # Then the strip stays as it is.
    expect(page.locator(".thumbs .predicted-class")).to_have_count(3)


def test_a_broken_file_among_good_ones_is_named_and_the_good_ones_are_kept(visitor: Page, faults: list[str]) -> None:
    chosen = [file("a.png"), file("broken.png", b"nothing that can be read"), file("b.png")]
    visitor.locator("#file").set_input_files(chosen)
    expect(visitor.locator(".notice.wrong")).to_contain_text("broken.png")
    expect(thumbs(visitor)).to_have_count(2)
    assert sorted(names(visitor)) == ["a.png", "b.png"]
    # What the browser itself says of a request that was refused.
    assert all("Failed to load resource" in fault for fault in faults)
    assert len(faults) <= 2
    faults.clear()
    # The notice goes with the next choice.
    visitor.locator("#file").set_input_files([file("c.png")])
    expect(thumbs(visitor)).to_have_count(3)
    expect(visitor.locator(".notice.wrong")).to_have_count(0)


def test_a_refused_file_leaves_nothing_in_the_strip(visitor: Page, faults: list[str]) -> None:
    three(visitor)
    visitor.locator("#file").set_input_files([file("broken.png", b"nothing that can be read")])
    expect(visitor.locator(".notice.wrong")).to_contain_text("broken.png")
    expect(visitor.locator(".thumbs li")).to_have_count(3)
    assert all("Failed to load resource" in fault for fault in faults)
    faults.clear()


def test_files_that_are_no_images_are_not_even_sent(visitor: Page) -> None:
    visitor.locator("#file").set_input_files([file("a.png"), file("notes.txt", b"words", "text/plain")])
    expect(thumbs(visitor)).to_have_count(1)
    expect(visitor.locator(".notice.wrong")).to_have_text("1 file that is not an image was skipped.")
    visitor.locator("#file").set_input_files([file("notes.txt", b"words", "text/plain")])
    expect(visitor.locator(".notice.wrong")).to_have_text("The file that you chose is not an image.")


def test_a_whole_folder_with_folders_in_it(visitor: Page, tmp_path: Path) -> None:
    for place in ("one.png", "deeper/two.png", "deeper/still/three.png"):
        (tmp_path / "album" / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "album" / place).write_bytes(png(noise_image(2, (28, 28))))
    (tmp_path / "album" / "notes.txt").write_text("words")
    visitor.locator("input[data-folder]").set_input_files(tmp_path / "album")
    expect(thumbs(visitor)).to_have_count(3)
    assert sorted(names(visitor)) == ["one.png", "three.png", "two.png"]


def test_pasting_and_dropping(visitor: Page) -> None:
    content = list(png(noise_image(3, (28, 28))))
    visitor.locator("#file").set_input_files([file("chosen.png")])
    expect(thumbs(visitor)).to_have_count(1)
    visitor.evaluate(GIVE, ["paste", [["pasted.png", content]]])
    expect(thumbs(visitor)).to_have_count(2)
    visitor.evaluate(GIVE, ["drop", [["dropped.png", content], ["too.png", content]]])
    expect(thumbs(visitor)).to_have_count(4)
    assert names(visitor)[:2] == ["chosen.png", "pasted.png"]
    assert sorted(names(visitor)[2:]) == ["dropped.png", "too.png"]
    visitor.get_by_role("button", name="Remove dropped.png").click()
    expect(thumbs(visitor)).to_have_count(3)
    assert names(visitor) == ["chosen.png", "pasted.png", "too.png"]
    # The keyboard goes on where it was.
    expect(visitor.get_by_role("button", name="Remove too.png")).to_be_focused()


def test_the_order_is_kept_when_moved_by_buttons(visitor: Page) -> None:
    three(visitor)
    first, second, third = names(visitor)
    visitor.get_by_role("button", name=f"Move {first} to the back").click()
    until(lambda: names(visitor) == [second, first, third])
    expect(visitor.get_by_role("button", name=f"Move {first} to the back")).to_be_focused()
    visitor.keyboard.press("Enter")
    until(lambda: names(visitor) == [second, third, first])
    # At the end there is no further back: the other button of the image takes the focus.
    expect(visitor.get_by_role("button", name=f"Move {first} to the front")).to_be_focused()
    visitor.reload()
    assert names(visitor) == [second, third, first]


def test_the_order_is_kept_when_moved_by_dragging(visitor: Page) -> None:
    three(visitor)
    first, second, third = names(visitor)
    with visitor.expect_response(lambda answer: answer.request.method == "PUT"):
        thumbs(visitor).nth(2).locator("img").drag_to(thumbs(visitor).nth(0), target_position={"x": 3, "y": 20})
    until(lambda: names(visitor) == [third, first, second])
    visitor.reload()
    assert names(visitor) == [third, first, second]


def test_a_drag_that_is_taken_back_changes_nothing(visitor: Page) -> None:
    three(visitor)
    before = names(visitor)
    thumbs(visitor).nth(2).locator("img").hover()
    visitor.mouse.down()
    box = thumbs(visitor).nth(0).bounding_box()
    assert box
    visitor.mouse.move(box["x"] + 20, box["y"] + 20, steps=4)
    visitor.mouse.move(box["x"] + 3, box["y"] + 20)
    until(lambda: names(visitor) != before)
    visitor.keyboard.press("Escape")
    visitor.mouse.up()
    until(lambda: names(visitor) == before)


def test_images_that_arrive_while_others_are_predicted_are_predicted_too(visitor: Page) -> None:
    """The page asks once at a time, and learns late that the first predictions have ended."""
    held: list[Route] = []
    ended = threading.Event()

    def hold(route: Route) -> None:
        if route.request.method == "GET" and not ended.is_set():
            held.append(route)
        else:
            route.continue_()

    visitor.route("**/api/gallery", hold)
    with visitor.expect_request(lambda request: request.url.endswith("/api/gallery") and request.method == "GET"):
        visitor.locator("#file").set_input_files([file("a.png")])
    visitor.locator("#file").set_input_files([file("b.png")])
    expect(thumbs(visitor)).to_have_count(2)
    # The map of the second one is there, and nothing else would change the page.
    expect(visitor.locator("[data-watch]")).to_have_count(0)
    visitor.wait_for_timeout(500)
    ended.set()
    for route in held:
        route.continue_()
    expect(visitor.locator(".thumbs .predicted-class")).to_have_count(2, timeout=20_000)


def test_uploads_wait_for_a_server_that_is_busy_with_others(visitor: Page, faults: list[str]) -> None:
    answers: list[int] = []

    def busy_once(route: Route) -> None:
        answers.append(503 if not answers else 200)
        if answers == [503]:
            route.fulfill(status=503, json={"ok": False, "error": {"code": "busy", "message": "Try again."}})
        else:
            route.continue_()

    visitor.route("**/api/images", busy_once)
    visitor.locator("#file").set_input_files([file("a.png")])
    expect(thumbs(visitor)).to_have_count(1)
    expect(visitor.locator(".notice.wrong")).to_have_count(0)
    assert answers == [503, 200]
    assert all("Failed to load resource" in fault for fault in faults)
    faults.clear()
