"""Whether many users share the workers fairly: ``python -m benchmarks.sharing [--workers 2] [--rounds 3]``.

Twenty users work at the same time on a server with one interactive worker and two others: eleven with a short run, six
with a run of 50 images, two with a gallery and one with an audit. The long work begins first; the short runs begin
one after the other in the middle of it. One further user asks for maps of the first page meanwhile.

The *fair share* is processor sharing: at any moment, the users who have work left get the same part of the workers, and
nobody more than the tasks of their work can use. :func:`fluid` computes when each would be done so. The *slowdown* of a
user is the time from the start to the end, divided by the time that it would take with the fair share; so 1 is ideal.
No scheduler that completes the task it has begun can be ideal, because whoever comes meanwhile waits for that task.

Time is counted by a clock that other programs of the machine don't change: the processor time of the workers, divided
by their number. The work of a user is the processor time of the workers for the same work while nobody else is there.
"""

from __future__ import annotations

import argparse
import io
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from PIL import Image

from benchmarks.measuring import markdown
from benchmarks.serving import Client, Server, command, cpu_seconds
from picasso.jobs.worker_loop import NICENESS

DIGITS = sorted((Path(__file__).parents[1] / "picasso" / "examples" / "samples" / "mnist").glob("*.png"))
SHORT = "PartialOcclusion", {"Strides": 20, "Window": 0.2}
LONG = "RISE", {"Masks": 250}
MAPS = 200
GALLERY_IMAGES, AUDIT_CLASSES, AUDIT_IMAGES, AUDIT_PAIRS = 4000, 4, 30, 4
# How many users do what. The long work begins first.
USERS = {"run of 50 images": 6, "gallery": 2, "audit": 1, "short run": 11}
ENDED = ("finished", "failed", "cancelled")


@dataclass
class User:
    """One user with one piece of work.

    Attributes:
        kind: one of :data:`USERS`.
        client: a session of its own.
        prepared: the address of the audit, or "".
        images: the numbers of the images.
        began: when the work began, by the clock of the workers.
        ended: when it ended.
        waited: the same in seconds of the wall clock.
    """

    kind: str
    client: Client
    prepared: str = ""
    images: list[int] = field(default_factory=list)
    began: float = 0.0
    ended: float = 0.0
    waited: float = 0.0

    def work(self, clock: Callable[[], float]) -> None:
        """Start the work and wait for its end."""
        started, self.began = time.monotonic(), clock()
        url = self._start()
        # The end is noticed late by a twentieth at most.
        while (state := self.client.json("poll", "GET", url)["state"]) not in ENDED:
            time.sleep(max(0.02, (time.monotonic() - started) / 20))
        self.ended, self.waited = clock(), time.monotonic() - started
        if state != "finished":
            raise SystemExit(f"A {self.kind} is {state}.")

    def _start(self) -> str:
        """Start the work; return the address of its state."""
        if self.kind == "gallery":
            return str(self.client.json("start", "POST", "/api/gallery", {})["url"])
        if self.kind == "audit":
            asked = {"pairs": AUDIT_PAIRS}
            return str(self.client.json("start", "POST", f"{self.prepared}/start", asked)["url"])
        name, settings = SHORT if self.kind == "short run" else LONG
        body = {"visualization": name, "settings": settings, "images": self.images}
        return str(self.client.json("start", "POST", "/api/runs", body)["url"]) + "?results=false"


def generated(count: int, seed: int, digit: int | None = None) -> list[tuple[str, bytes]]:
    """Return names and PNGs of digits that nobody else has: moved, and with noise."""
    generator, found = np.random.default_rng(seed), []
    files = [file for file in DIGITS if digit is None or file.name.startswith(f"{digit}-")]
    for number in range(count):
        pixels = np.asarray(Image.open(files[number % len(files)]).convert("L"), np.int16)
        moved = np.roll(pixels, generator.integers(-2, 3, 2), axis=(0, 1))
        noisy = np.clip(moved + generator.integers(0, 30, pixels.shape), 0, 255).astype(np.uint8)
        file = io.BytesIO()
        Image.fromarray(noisy).save(file, "PNG")
        found.append((f"{seed}-{number}.png", file.getvalue()))
    return found


def prepared(server: Server, kind: str, seed: int) -> User:
    """Return a user with images of its own."""
    user = User(kind, Client(server.address))
    if kind == "audit":
        user.prepared = str(user.client.json("audit", "POST", "/api/audits", {})["url"])
        for digit in range(AUDIT_CLASSES):
            images = generated(AUDIT_IMAGES, 10 * seed + digit, digit)
            user.client.upload_parts("images", images, f"{user.prepared}/images", {"class": str(digit)})
        return user
    count = {"gallery": GALLERY_IMAGES, "short run": 1}.get(kind, 50)
    images = generated(count, seed)
    for first in range(0, count, 100):
        user.client.upload_parts("images", images[first : first + 100])
    user.images = [one["uid"] for one in user.client.json("images", "GET", "/api/images")["images"]]
    if len(user.images) != count:
        raise SystemExit(f"{len(user.images)} of {count} images were stored.")
    return user


def crew(server: Server) -> list[int]:
    """Return the processes that compute batches, which are nicer than the one that users wait for."""
    children = psutil.Process(server.process.pid).children()
    found = [one.pid for one in children if b"spawn_main" in command(one.pid)]
    return [pid for pid in found if psutil.Process(pid).nice() >= 2 * NICENESS]


def fluid(began: Sequence[float], work: Sequence[float], parts: Sequence[int], workers: int) -> list[float]:
    """Return when each user is done with processor sharing.

    Args:
        began: when each user begins.
        work: the computing time that each needs.
        parts: how many workers each can use at once.
        workers: their number.
    """
    left, done, now = list(work), [0.0] * len(work), min(began)
    while any(one > 0 for one in left):
        present = [user for user, one in enumerate(left) if one > 0 and began[user] <= now]
        rates: dict[int, float] = {}
        # Whoever can't use a full share leaves the rest of it to the others.
        free = float(workers)
        for place, user in enumerate(sorted(present, key=lambda user: parts[user])):
            rates[user] = min(parts[user], free / (len(present) - place))
            free -= rates[user]
        ends = [left[user] / rate for user, rate in rates.items()]
        step = min([*ends, *(begin - now for begin in began if begin > now)])
        for user, rate in rates.items():
            left[user] -= rate * step
            if left[user] < 1e-9:
                left[user], done[user] = 0.0, now + step
        now += step
    return done


@dataclass
class Outcome:
    """What one round showed.

    Attributes:
        slowdowns: the slowdowns of users by kind of work.
        late: how much later than with the fair share each was done, in seconds.
        starts: the milliseconds until each map of the first page started.
        seconds: the elapsed time.
    """

    slowdowns: dict[str, list[float]]
    late: dict[str, list[float]]
    starts: list[float]
    seconds: float


def alone(server: Server, clock: Callable[[], float], workers: int) -> dict[str, float]:
    """Return the computing time of each kind of work, after all workers have done it at once, to compile."""
    found = {}
    for number, kind in enumerate(USERS):
        together([prepared(server, kind, 1000 + 10 * number + one) for one in range(workers)], clock)
        measured = []
        # Processor time is counted in hundredths of a second.
        for one in range(9 if kind == "short run" else 1):
            user = prepared(server, kind, 2000 + 10 * number + one)
            user.work(clock)
            measured.append(workers * (user.ended - user.began))
        found[kind] = statistics.mean(measured)
        print(f"{kind}: {found[kind]:.2f} s alone", flush=True)
    return found


def together(users: Sequence[User], clock: Callable[[], float]) -> None:
    """Let users work at the same time."""
    threads = [threading.Thread(target=user.work, args=(clock,), daemon=True) for user in users]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def watch_starts(server: Server, folder: Path, seed: int, stop: threading.Event, found: list[float]) -> None:
    """Ask for maps of the first page, one after the other; add the milliseconds until each started.

    Args:
        server: the server.
        folder: its folder of sessions, in which the start is noticed at once.
        seed: for images that nobody else has.
        stop: ends the visit.
        found: the milliseconds.
    """
    client, known = Client(server.address), set(folder.glob("*/sessions/*"))
    client.upload_parts("images", generated(MAPS, seed))
    (session,) = set(folder.glob("*/sessions/*")) - known
    for one in client.json("images", "GET", "/api/images")["images"]:
        if stop.wait(0.3):
            return
        before, began = set(session.glob("runs/*/run.json")), time.perf_counter()
        asked = f"image={one['uid']}&method={SHORT[0]}".encode()
        client.request("map", "POST", "/view", asked, "application/x-www-form-urlencoded")
        (run,) = (file.parent for file in session.glob("runs/*/run.json") if file not in before)
        while not any(run.glob("*-0")):
            time.sleep(0.001)
        found.append(1000 * (time.perf_counter() - began))
        while not (run / "done-0").exists():
            time.sleep(0.01)


def one_round(
    server: Server,
    folder: Path,
    clock: Callable[[], float],
    needs: dict[str, float],
    workers: int,
    seed: int,
    at_once: bool,
) -> Outcome:
    """Let all users work, and return what they saw."""
    users = [
        prepared(server, kind, 100 * seed + 20 * place + one)
        for place, (kind, count) in enumerate(USERS.items())
        for one in range(count)
    ]
    stop, starts = threading.Event(), list[float]()
    watching = threading.Thread(target=watch_starts, args=(server, folder, 50_000 + seed, stop, starts), daemon=True)
    threads = [threading.Thread(target=user.work, args=(clock,), daemon=True) for user in users]
    watching.start()
    began, first = time.monotonic(), clock()
    total = sum(needs[user.kind] for user in users) / workers
    # The last of the short runs begins when two thirds of all work are done.
    gap = 0.0 if at_once else total * 2 / 3 / USERS["short run"]
    due = first
    for user, thread in zip(users, threads, strict=True):
        if user.kind == "short run":
            due += gap
            while clock() < due:
                time.sleep(0.01)
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.monotonic() - began
    stop.set()
    watching.join()
    work = [needs[user.kind] for user in users]
    parts = [1 if user.kind in ("short run", "gallery") else workers for user in users]
    fair = fluid([user.began for user in users], work, parts, workers)
    slowdowns: dict[str, list[float]] = {kind: [] for kind in USERS}
    late: dict[str, list[float]] = {kind: [] for kind in USERS}
    for user, done in zip(users, fair, strict=True):
        slowdowns[user.kind].append((user.ended - user.began) / (done - user.began))
        late[user.kind].append(user.ended - done)
    return Outcome(slowdowns, late, starts, seconds)


def table(outcomes: Sequence[Outcome]) -> list[str]:
    """Return the slowdowns of some rounds as a Markdown table."""
    rows = []
    for kinds in [*([kind] for kind in USERS), list(USERS)]:
        slow, late = (
            [one for outcome in outcomes for kind in kinds for one in getattr(outcome, field)[kind]]
            for field in ("slowdowns", "late")
        )
        called = kinds[0] if len(kinds) == 1 else "all"
        numbers = f"{statistics.median(slow):.2f}", f"{max(slow):.2f}", f"{max(late):.1f}"
        rows.append((called, str(len(slow)), *numbers))
    return markdown(("work", "users", "slowdown, median", "largest", "late by at most, s"), rows)


def main() -> None:
    """Measure, and print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=2, help="workers besides the interactive one")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    workers: int = given.workers
    settings: dict[str, Any] = {"ENGINE": f"processes:{workers + 1}", "QUEUE_LENGTH": 60, "MAX_IMAGES": 5000}
    with tempfile.TemporaryDirectory() as name, Server(settings, Path(name)) as server:
        # All workers load the model and compile in the background.
        time.sleep(30)
        pids = crew(server)
        if len(pids) != workers:
            raise SystemExit(f"There are {len(pids)} workers.")

        def clock() -> float:
            return sum(cpu_seconds(pid) for pid in pids) / workers

        needs = alone(server, clock, workers)
        for at_once in (False, True):
            outcomes = []
            for seed in range(given.rounds):
                outcomes.append(
                    one_round(server, Path(name), clock, needs, workers, 100 + seed + 50 * at_once, at_once)
                )
                starts, seconds = outcomes[-1].starts, outcomes[-1].seconds
                print(f"a map starts after {statistics.median(starts):.0f} ms, at most {max(starts):.0f}, ", end="")
                print(f"of {len(starts)}; elapsed: {seconds:.0f} s", flush=True)
            print("all at once" if at_once else "one after the other", *table(outcomes), sep="\n", flush=True)


if __name__ == "__main__":
    main()
