"""How long the pages take in a real browser: ``make bench-pages``, or with a folder's name to measure one example.

Everything is taken by the clock of the page, against ``picasso serve`` in a process of its own on the same machine.
"""

from __future__ import annotations

import json
import random
import statistics
import sys
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from playwright.sync_api import Browser, Page, sync_playwright

from benchmarks.measuring import markdown
from tests.browser.conftest import ARGUMENTS, CHROMIUM, serving

EXAMPLES = Path(__file__).parents[1] / "picasso" / "examples"
PHOTOGRAPHS = "keras-efficientnet-lite"
# The images of the example, and the file that it does not work without.
SAMPLES = {"keras": "mnist", PHOTOGRAPHS: "photographs"}
NEEDED = {"keras": "data", PHOTOGRAPHS: "data/efficientnet_lite0.keras"}
IMAGES = 100
RECTANGLES = 15
LONG = {"visualization": "PartialOcclusion", "settings": {"Strides": "30", "Window": "0.05"}}
LONG_RUNS = 12

Row = tuple[str, str]
T = TypeVar("T")

LOADED = "performance.getEntriesByType('navigation')[0].loadEventEnd"
# Notes when the pointer last moved, when the classes last changed, and how long the server took for each question.
NOTING = """
const noted = window.noted = { asked: 0, moved: 0, changed: 0, changes: 0, served: [] };
const plain = window.fetch;
window.fetch = async (...words) => {
  const started = performance.now();
  noted.asked += 1;
  try { return await plain(...words); } finally { noted.asked -= 1; noted.served.push(performance.now() - started); }
};
addEventListener("pointermove", () => { noted.moved = performance.now(); }, true);
addEventListener("DOMContentLoaded", () => {
  const classes = document.querySelector("[data-classes]");
  if (classes) new MutationObserver(() => { noted.changed = performance.now(); noted.changes += 1; })
    .observe(classes, { childList: true });
});
"""
# Long enough for the page to draw an answer and ask its next question.
QUIET = "!noted.asked && noted.changed > noted.moved && performance.now() - noted.changed > 200"
FRAMES = """() => {
  const frames = window.frames_noted = [];
  const next = (now) => { frames.push(now); requestAnimationFrame(next); };
  requestAnimationFrame(next);
}"""
LONGEST = "Math.max(...frames_noted.slice(1).map((one, index) => one - frames_noted[index]))"
AT_THE_END = "innerHeight + scrollY >= document.documentElement.scrollHeight - 1"


def until(read: Callable[[], T], seconds: float = 40) -> T:
    """Return the first value that is true; pages don't let Playwright wait in them."""
    deadline = time.monotonic() + seconds
    while not (value := read()):
        assert time.monotonic() < deadline, "nothing happened"
        time.sleep(0.02)
    return value


@contextmanager
def visiting(browser: Browser, address: str, script: str = "") -> Iterator[Page]:
    """Yield a page of a visitor of their own, which has opened nothing yet."""
    context = browser.new_context(viewport={"width": 1280, "height": 860}, base_url=address)
    if script:
        context.add_init_script(script)
    yield context.new_page()
    context.close()


def ask(address: str, path: str, document: object = None, cookie: str = "") -> Any:
    """Call the API as a program."""
    body = None if document is None else json.dumps(document).encode()
    request = urllib.request.Request(address + path, body, {"Content-Type": "application/json", "Cookie": cookie})  # noqa: S310
    with urllib.request.urlopen(request) as answer:  # noqa: S310
        return json.load(answer)


def upload(address: str, example: str) -> str:
    """Send 100 images in one request and return the cookie of the session that they are in."""
    files = sorted(
        path for path in (EXAMPLES / "samples" / SAMPLES[example]).iterdir() if path.suffix in (".png", ".jpg")
    )
    edge = uuid.uuid4().hex
    part = f'--{edge}\r\nContent-Disposition: form-data; name="file"; filename="{{}}"\r\n\r\n'
    parts = [(files[index % len(files)], index) for index in range(IMAGES)]
    body = b"".join(part.format(f"{index}-{path.name}").encode() + path.read_bytes() + b"\r\n" for path, index in parts)
    headers = {"Content-Type": f"multipart/form-data; boundary={edge}"}
    request = urllib.request.Request(f"{address}/api/images", body + f"--{edge}--\r\n".encode(), headers)  # noqa: S310
    with urllib.request.urlopen(request) as answer:  # noqa: S310
        return str(answer.headers["Set-Cookie"]).partition(";")[0]


def enter(page: Page, address: str, cookie: str) -> None:
    """Give a page the session of a cookie."""
    name, _, value = cookie.partition("=")
    page.context.add_cookies([{"name": name, "value": value, "url": address}])


def first_page(browser: Browser, address: str) -> list[Row]:
    """Measure what the first visit transfers, and how long it takes."""
    sizes, times, plain, again, server = [], [], [], [], []
    for _ in range(7):
        with visiting(browser, address) as page:
            # What a browser takes for a new tab and a few words, whatever the server.
            page.goto("/api/", wait_until="networkidle")
            plain.append(page.evaluate(LOADED))
        with visiting(browser, address) as page:
            network = page.context.new_cdp_session(page)
            parts: list[float] = []
            network.on("Network.loadingFinished", lambda event, into=parts: into.append(event["encodedDataLength"]))
            network.send("Network.enable")
            page.goto("/", wait_until="networkidle")
            sizes.append(sum(parts))
            count = len(parts)
            times.append(page.evaluate(LOADED))
            page.goto("/", wait_until="networkidle")
            again.append(page.evaluate(LOADED))
    for _ in range(20):
        started = time.perf_counter()
        urllib.request.urlopen(address).read()  # noqa: S310
        server.append(1000 * (time.perf_counter() - started))
    return [
        ("first page, transferred", f"{statistics.median(sizes) / 1000:.0f} kB in {count} files"),
        ("first page in a new tab, to the load event", spread(times)),
        ("the same for one line of text", spread(plain)),
        ("first page again in the same tab", spread(again)),
        ("first page, the server alone", spread(server)),
    ]


def many_images(browser: Browser, address: str, cookie: str) -> list[Row]:
    """Measure opening and scrolling a first page with 100 images."""
    times, longest = [], []
    for _ in range(5):
        with visiting(browser, address) as page:
            enter(page, address, cookie)
            page.goto("/", wait_until="load")
            times.append(page.evaluate(LOADED))
            page.wait_for_load_state("networkidle")
            page.mouse.move(600, 400)
            page.evaluate(FRAMES)
            for _ in range(400):
                if page.evaluate(AT_THE_END):
                    break
                page.mouse.wheel(0, 100)
                page.wait_for_timeout(16)
            page.wait_for_timeout(200)
            longest.append(page.evaluate(LONGEST))
    return [
        (f"{IMAGES} images, opened the first time", f"{times[0]:.0f} ms"),
        (f"{IMAGES} images, opened again", spread(times[1:])),
        (f"{IMAGES} images, longest frame while scrolling", spread(longest)),
    ]


def what_if(browser: Browser, address: str, cookie: str, name: str) -> list[Row]:
    """Measure from the last movement that paints a rectangle to the probabilities that answer it."""
    chance = random.Random(0)  # noqa: S311
    times, served = [], []
    with visiting(browser, address, NOTING) as page:
        enter(page, address, cookie)
        first = ask(address, "/api/images", cookie=cookie)["images"][0]["uid"]
        page.goto(f"/images/{first}/what-if")

        def quiet() -> bool:
            page.wait_for_timeout(100)
            return bool(page.evaluate(QUIET))

        until(quiet)
        box = page.locator(".stage canvas").bounding_box()
        assert box is not None
        for _ in range(RECTANGLES):
            left, top, wide, high = (chance.uniform(0.05, 0.45) for _ in range(4))
            places = [(left + wide * part / 8, top + high * part / 8) for part in range(9)]
            places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in places]
            page.mouse.move(*places[0])
            page.mouse.down()
            page.evaluate("noted.served.length = 0")
            for place in places[1:]:
                page.mouse.move(*place)
                page.wait_for_timeout(16)
            page.mouse.up()
            until(quiet)
            times.append(page.evaluate("noted.changed - noted.moved"))
            served += page.evaluate("noted.served")
            changes = page.evaluate("noted.changes")
            page.locator("[data-clear]").click()
            until(
                lambda: page.evaluate(f"!noted.asked && noted.changes > {changes}")  # noqa: B023
            )
    rows = [(f"{name}, from the pointer to the probabilities", spread(times))]
    return [*rows, (f"{name}, one question at the server", spread(served))]


def beside_a_run(browser: Browser, address: str, cookie: str, other: str) -> list[Row]:
    """Measure the same while another visitor's long run is computed."""
    runs = [ask(address, "/api/runs", LONG, other)["id"] for _ in range(LONG_RUNS)]
    until(lambda: ask(address, f"/api/runs/{runs[0]}?results=false", cookie=other)["state"] == "running")
    rows = what_if(browser, address, cookie, "what if beside a long run")
    last = ask(address, f"/api/runs/{runs[-1]}?results=false", cookie=other)["state"]
    for run in reversed(runs):
        ask(address, f"/api/runs/{run}/cancel", {}, other)
    return rows if last in ("waiting", "running") else [*rows, ("the long run", "ended too early: not valid")]


def spread(values: list[float]) -> str:
    """Return the median and the largest of milliseconds."""
    return f"{statistics.median(values):.0f} ms (at most {max(values):.0f})"


def main() -> None:
    """Measure the examples, or those that are named, and print a table of each."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        for example in sys.argv[1:] or SAMPLES:
            if not (EXAMPLES / example / NEEDED[example]).exists():
                print(f"{example} is left out: make prepare EXAMPLE={example}")
                continue
            with serving("--config", str(EXAMPLES / example / "config.py")) as address:
                until(lambda: ask(address, "/api/app_state")["state"] == "ready")
                # What the server does in the background after loading would be measured, too.
                time.sleep(5)
                mine, other = upload(address, example), upload(address, example)
                rows = first_page(browser, address)
                rows += many_images(browser, address, mine)
                rows += what_if(browser, address, mine, "what if")
                rows += beside_a_run(browser, address, mine, other)
            print("", *markdown((example, ""), rows), sep="\n", flush=True)
        browser.close()


if __name__ == "__main__":
    main()
