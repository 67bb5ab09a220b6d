"""How smooth a gallery of 5,000 images is: ``make bench-gallery``, or with another number of images.

A real browser opens it and scrolls to its end, against ``picasso serve`` with a NumPy model in a process of its own.
"""

from __future__ import annotations

import io
import statistics
import sys
import tempfile
import time
import urllib.request
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image
from playwright.sync_api import Browser, sync_playwright

from benchmarks.measuring import markdown
from benchmarks.pages import AT_THE_END, FRAMES, LONGEST, Row, ask, enter, spread, until, visiting
from tests.browser.conftest import ARGUMENTS, CHROMIUM, serving

IMAGES, PER_REQUEST, SENDERS = 5_000, 20, 2
CONFIG = """
MODEL_CLS_PATH = "{picasso}/examples/brightness.py"
MODEL_CLS_NAME = "BrightnessModel"
MODEL_LOAD_ARGS = {"side": 32}
SAMPLES_DIR = ""
"""
PAINTED = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
SLOW = "frames_noted.filter((one, index) => one - frames_noted[index - 1] > 51).length / frames_noted.length"
LOADED = "document.querySelectorAll('.gallery li').length"


def body(indices: range, edge: str) -> bytes:
    """Return images as a multipart body: noise around a brightness, in folders of which one in ten is wrong."""
    parts = []
    for index in indices:
        chance = np.random.default_rng(index)
        bright = chance.random() < 0.5
        pixels = chance.integers(0, 160, (48, 48), np.uint8) + np.uint8(90 * bright)
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "PNG")
        folder = "bright" if bright != (index % 10 == 0) else "dark"
        head = f'--{edge}\r\nContent-Disposition: form-data; name="file"; filename="set/{folder}/{index}.png"\r\n\r\n'
        parts.append(head.encode() + file.getvalue() + b"\r\n")
    return b"".join(parts) + f"--{edge}--\r\n".encode()


def send(address: str, indices: range, cookie: str = "") -> str:
    """Upload images and return the cookie of their session."""
    edge = uuid.uuid4().hex
    headers = {"Content-Type": f"multipart/form-data; boundary={edge}", "Cookie": cookie}
    request = urllib.request.Request(f"{address}/api/images", body(indices, edge), headers)  # noqa: S310
    with urllib.request.urlopen(request) as answer:  # noqa: S310
        return cookie or str(answer.headers["Set-Cookie"]).partition(";")[0]


def memory(process: int) -> float:
    """Return the resident memory of a process in megabytes."""
    lines = Path(f"/proc/{process}/status").read_text(encoding="ascii").splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) / 1000


def server() -> int:
    """Return the process of the server, which this process has started."""
    children = Path("/proc/self/task").glob("*/children")
    found = [int(one) for file in children for one in file.read_text(encoding="ascii").split()]
    return next(one for one in found if b"serve" in Path(f"/proc/{one}/cmdline").read_bytes().split(b"\0"))


def painting(browser: Browser, address: str, cookie: str) -> list[float]:
    """Measure the time to the first paint, in fresh browsers."""
    times = []
    for _ in range(5):
        with visiting(browser, address) as page:
            enter(page, address, cookie)
            page.goto("/gallery", wait_until="load")
            times.append(until(lambda: page.evaluate(PAINTED)))
    return times


def scrolling(browser: Browser, address: str, cookie: str, count: int) -> tuple[float, float, int]:
    """Scroll to the end; return the longest frame, the share of frames over 50 ms, and the images on the page then.

    The speed is seven screens in a second. Browser, driver and server share the machine: with two cores, frames wait
    for a core.
    """
    with visiting(browser, address) as page:
        enter(page, address, cookie)
        page.goto("/gallery", wait_until="networkidle")
        page.mouse.move(600, 400)
        page.evaluate(FRAMES)
        for _ in range(40 * count):
            if page.evaluate(AT_THE_END) and page.evaluate(LOADED) >= count:
                break
            page.mouse.wheel(0, 100)
            page.wait_for_timeout(16)
        page.wait_for_timeout(200)
        return page.evaluate(LONGEST), page.evaluate(SLOW), page.evaluate(LOADED)


def main() -> None:
    """Measure and print a table."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else IMAGES
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        config = Path(folder) / "config.py"
        config.write_text(CONFIG, encoding="utf-8")
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        with serving("--config", str(config)) as address:
            until(lambda: ask(address, "/api/app_state")["state"] == "ready", 120)
            idle, started = memory(server()), time.perf_counter()
            parts = [range(start, min(start + PER_REQUEST, count)) for start in range(0, count, PER_REQUEST)]
            cookie = send(address, parts[0])
            with ThreadPoolExecutor(SENDERS) as senders:
                list(senders.map(lambda part: send(address, part, cookie), parts[1:]))
            rows.append((f"{count:,} images, uploaded", f"{time.perf_counter() - started:.0f} s"))
            ask(address, "/api/gallery", {}, cookie)
            until(lambda: ask(address, "/api/gallery", None, cookie)["state"] == "finished", 900)
            state = ask(address, "/api/gallery", None, cookie)
            rows.append(("predicted", f"{state['seconds']:.1f} s, {100 * state['accuracy']['fraction']:.1f}% right"))
            rows.append(("first paint", spread(painting(browser, address, cookie))))
            longest = [scrolling(browser, address, cookie, count) for _ in range(3)]
            rows.append(("images on the page at its end", f"{min(shown for *_, shown in longest):,}"))
            rows.append(("longest frame while scrolling", spread([one for one, *_ in longest])))
            slow = ", ".join(f"{share:.2%}" for _, share, _ in longest)
            rows.append(("frames over 50 ms while scrolling, three times", slow))
            served = []
            for _ in range(10):
                began = time.perf_counter()
                ask(address, "/api/gallery", None, cookie)
                served.append(1000 * (time.perf_counter() - began))
            rows.append(("the state at the server", f"{statistics.median(served):.0f} ms"))
            rows.append(("server memory", f"{memory(server()):.0f} MB, idle {idle:.0f} MB"))
            # Deleting thousands of files at the end may take longer than this waits for.
            print(*markdown(("the gallery", ""), rows), sep="\n", flush=True)
        browser.close()


if __name__ == "__main__":
    main()
