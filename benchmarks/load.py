"""Many clients at once, for minutes: ``python -m benchmarks.load [--clients 50] [--seconds 300]``.

With ``--kill-every 20 --hostile 8 --held 150`` the process that computes is killed every 20 seconds, and others send
hostile images and hold connections meanwhile.

Each client uploads digits, starts runs, watches them, looks at pages, cancels, and sometimes hangs up in the middle of
a request. It knows what each of its maps must be, because one client alone asked before.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.disturbances import Disturbances, hostile_images
from benchmarks.measuring import markdown
from benchmarks.serving import Client, Refused, Server

DIGITS = sorted((Path(__file__).parents[1] / "picasso" / "examples" / "samples" / "mnist").glob("*.png"))[:12]
# What is run, and with which settings: short and long ones, with and without gradients.
WORK: list[tuple[str, dict[str, Any]]] = [
    ("ClassProbabilities", {}),
    ("SaliencyMaps", {}),
    ("GradCAM", {}),
    ("PartialOcclusion", {"Strides": 10, "Window": 0.2}),
    ("PartialOcclusion", {"Strides": 30, "Window": 0.1}),
    ("RISE", {"Masks": 200}),
]
# What a person, or a page that polls, does between two requests.
THINKING = (0.5, 2.0)
# Seconds of load before what is measured.
WARM_UP = 60


@dataclass
class Known:
    """What one client alone sees: the maps by work and digit, the most probable classes by digit."""

    maps: dict[tuple[int, int], list[bytes]] = field(default_factory=dict)
    answers: list[Any] = field(default_factory=list)


@dataclass
class Notes:
    """What all clients saw."""

    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    statuses: Counter[int] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)
    maps: int = 0
    answers: int = 0
    runs: int = 0
    ended: int = 0
    hung_up: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, kind: str, status: int, seconds: float) -> None:
        """Remember one answer."""
        with self.lock:
            self.statuses[status] += 1
            self.seconds[kind].append(seconds)

    def problem(self, text: str) -> None:
        """Remember what must not happen."""
        with self.lock:
            self.problems.append(text)


def come_back(refused: Refused) -> None:
    """Wait as a client does who is told to try again; raise anything else."""
    if refused.status != 503:
        raise refused
    time.sleep(random.uniform(1, 3))  # noqa: S311 - no secret depends on it


def upload(client: Client, files: Sequence[Path]) -> list[int]:
    """Upload images; where too many others do, try again."""
    while True:
        try:
            return client.upload(files)
        except Refused as refused:
            come_back(refused)


def ask(client: Client, notes: Notes, known: Known, digits: Sequence[int], uids: Sequence[int]) -> None:
    """Ask what the model answers where nothing is hidden; where it can't say so now, that is as good."""
    try:
        answers = client.json("what if", "POST", "/api/what-if", {"shapes": [], "images": list(uids)})["answers"]
        client.json("estimate", "GET", "/api/visualizers/PartialOcclusion/estimate?Strides=10&Window=0.2")
    except Refused as refused:
        come_back(refused)
        return
    for digit, answer in zip(digits, answers, strict=True):
        notes.answers += 1
        if answer["before"] != known.answers[digit]:
            notes.problem(f"the answer for {DIGITS[digit].name} differs from what one client alone sees")


def run(client: Client, work: tuple[str, dict[str, Any]], uids: Sequence[int]) -> dict[str, Any]:
    """Start a run, wait for it and return it; while the queue is full, try again."""
    name, settings = work
    body = {"visualization": name, "settings": settings, "images": list(uids)}
    while True:
        try:
            started = client.json("start", "POST", "/api/runs", body)
            break
        except Refused as refused:
            come_back(refused)
    while True:
        state = client.json("poll", "GET", f"{started['url']}?results=false")
        if state["state"] not in ("waiting", "running"):
            finished: dict[str, Any] = client.json("results", "GET", started["url"])
            return finished
        time.sleep(0.4)


def maps(client: Client, state: dict[str, Any]) -> list[list[bytes]]:
    """Return the values of the maps of each image of a run."""
    return [
        [client.get("values", panel["values_url"]) for panel in result["panels"] if "values_url" in panel]
        for result in state["results"]
    ]


def expected(address: str, notes: Notes) -> Known:
    """Return the maps of each digit by each work, and the answers, as one client alone sees them."""
    client = Client(address, notes.note)
    uids = client.upload(DIGITS)
    known = Known()
    for number, work in enumerate(WORK):
        for digit, values in enumerate(maps(client, run(client, work, uids))):
            known.maps[number, digit] = values
    answers = client.json("what if", "POST", "/api/what-if", {"shapes": [], "images": uids})["answers"]
    known.answers = [answer["before"] for answer in answers]
    client.close()
    return known


def visit(server: Server, notes: Notes, known: Known, until: float, seed: int) -> None:
    """Be one visitor after the other until the time is over."""
    chance = random.Random(seed)  # noqa: S311 - no secret depends on it
    while time.monotonic() < until:
        client = Client(server.address, notes.note)
        try:
            one_visit(client, notes, known, chance, until)
        except (Refused, OSError) as error:
            notes.problem(f"{type(error).__name__}: {error}")
        finally:
            client.close()


def one_visit(client: Client, notes: Notes, known: Known, chance: random.Random, until: float) -> None:
    """Upload, run, look, and leave; check every map."""
    client.get("page", "/")
    chosen = chance.sample(range(len(DIGITS)), chance.randint(1, 4))
    uids = upload(client, [DIGITS[index] for index in chosen])
    for _ in range(chance.randint(1, 3)):
        if time.monotonic() > until:
            break
        time.sleep(chance.uniform(*THINKING))
        client.get("page", "/")
        if chance.random() < 0.3:
            ask(client, notes, known, chosen, uids)
        number = chance.randrange(len(WORK))
        if chance.random() < 0.1:
            client.hang_up("/api/runs", {"visualization": WORK[number][0], "settings": WORK[number][1]})
            notes.hung_up += 1
            continue
        state = run(client, WORK[number], uids)
        client.get("page", state["page"])
        if state["state"] == "failed" and state["error"]["code"] == "worker_died":
            notes.ended += 1
            continue
        if state["state"] != "finished":
            notes.problem(f"a run of {WORK[number][0]} {state['state']}: {state['error']}")
            continue
        notes.runs += 1
        for digit, values in zip(chosen, maps(client, state), strict=True):
            notes.maps += len(values)
            if values != known.maps[number, digit]:
                notes.problem(f"{WORK[number][0]} of {DIGITS[digit].name} differs from what one client alone sees")
    if chance.random() < 0.5:
        client.get("reset", "/api/reset")


def percentile(seconds: Sequence[float], share: float) -> float:
    """Return how many seconds so large a share of the answers took at most."""
    return statistics.quantiles(seconds, n=1000)[round(share * 1000) - 1] if len(seconds) > 1 else seconds[0]


def load(
    server: Server, clients: int, seconds: float, disturbances: Disturbances, warm_up: float
) -> tuple[Notes, list[str]]:
    """Let clients loose on a server; return what they saw, and a table of what the server took."""
    known = expected(server.address, Notes())
    server.settle()
    idle = server.measure()
    # The first minute fills what is kept: threads and their memory, templates, compiled functions.
    crowd(server, clients, warm_up, known, Notes(), Disturbances())
    before, notes = server.measure(), Notes()
    peaks = crowd(server, clients, seconds, known, notes, disturbances)
    after = server.measure()
    rows = [
        (key, *(f"{value:.0f}" for value in (idle[key], before[key], max(peak[key] for peak in peaks), after[key])))
        for key in idle
    ]
    return notes, markdown(("", "after one client", f"after {warm_up:g} s", "at most", "at the end"), rows)


def crowd(
    server: Server, clients: int, seconds: float, known: Known, notes: Notes, disturbances: Disturbances
) -> list[dict[str, float]]:
    """Let clients loose on a server for some time; return what it took now and then."""
    until = time.monotonic() + seconds
    threads = [
        threading.Thread(target=visit, args=(server, notes, known, until, seed), daemon=True) for seed in range(clients)
    ]
    peaks = [server.measure()]
    for thread in threads:
        thread.start()
    threads += disturbances.start(server, notes.note, until)
    while any(thread.is_alive() for thread in threads):
        # A process that is measured may be killed at that moment.
        with suppress(OSError, ValueError):
            peaks.append(server.measure())
        time.sleep(0.5)
    server.wait_until_ready()
    server.settle()
    return peaks


def report(notes: Notes) -> list[str]:
    """Return what the clients saw as lines of Markdown."""
    answers = ", ".join(f"{count} x {status}" for status, count in sorted(notes.statuses.items()))
    rows = [
        (kind, str(len(seconds)), f"{1000 * statistics.median(seconds):.0f}", f"{1000 * percentile(seconds, 0.99):.0f}")
        for kind, seconds in sorted(notes.seconds.items())
    ]
    return [
        f"{notes.runs} runs finished, {notes.ended} failed with their worker process; "
        f"{notes.maps} maps and {notes.answers} answers compared, {notes.hung_up} requests aborted; "
        f"responses: {answers}; problems: {len(notes.problems)}.",
        "",
        *markdown(("request", "answers", "median, ms", "99th of 100, ms"), rows),
    ]


def main() -> None:
    """Run the load and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--warm-up", type=float, default=WARM_UP, help="seconds of load before")
    parser.add_argument("--kill-every", type=float, default=0, help="seconds between two kills of the worker")
    parser.add_argument("--hostile", type=int, default=0, help="how many visitors send hostile images")
    parser.add_argument("--held", type=int, default=0, help="how many connections are held")
    arguments = parser.parse_args()
    disturbances = Disturbances(arguments.kill_every, arguments.hostile, arguments.held)
    if arguments.hostile:
        # Not while others measure.
        hostile_images()
    # All visitors have the same digits, but each map is to be computed.
    with Server({"MAX_SESSIONS": 1000, "CACHE_MB": 0}) as server:
        notes, table = load(server, arguments.clients, arguments.seconds, disturbances, arguments.warm_up)
    print("\n".join([*report(notes), "", *table]))
    print(", ".join(f"{what}: {count}" for what, count in sorted(disturbances.counted.items())))
    print(json.dumps(Counter(notes.problems).most_common(10), indent=1))


if __name__ == "__main__":
    main()
