"""How engines scale, and what a killed worker costs: ``python -m benchmarks.engines [--images 100] [--rounds 3]``.

One audit of digits is computed by one worker and by two workers of a Dask cluster, in turns; each worker has one core
of its own. Then workers are killed at random moments. At last, small runs are started during an audit, as the first
page starts them. The machine should do nothing else.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from PIL import Image

from picasso import config
from picasso.errors import PicassoError
from picasso.explanation.registry import Registry
from picasso.imaging import decode
from picasso.jobs import worker
from picasso.jobs.audit_job import Audit
from picasso.jobs.engines import start_engine
from picasso.jobs.job_queue import JobQueue
from picasso.jobs.run import StoredImage
from tests.cluster import Cluster

PICASSO = Path(__file__).parents[1] / "picasso"
DIGITS = PICASSO / "examples" / "samples" / "mnist"
NAMES = [str(digit) for digit in range(10)]


def audit_of(folder: Path, each: int) -> Audit:
    """Return an audit of the samples, each moved and with noise, with this many images of each digit."""
    audit = Audit.create(folder, NAMES)
    generator = np.random.default_rng(0)
    for digit in range(10):
        files = sorted(DIGITS.glob(f"{digit}-*.png"))
        for number in range(each):
            pixels = np.asarray(Image.open(files[number % len(files)]).convert("L"), np.int16)
            moved = np.roll(pixels, generator.integers(-2, 3, 2), axis=(0, 1))
            noisy = np.clip(moved + generator.integers(0, 30, pixels.shape), 0, 255).astype(np.uint8)
            audit.add(digit, decode.encode(Image.fromarray(noisy)), f"{number}.png")
    return audit


class Served:
    """A queue in front of an engine.

    Args:
        engine: the setting ENGINE.
        folder: an empty folder.
        each: the number of images of each digit.
    """

    def __init__(self, engine: str, folder: Path, each: int) -> None:
        (folder / "session").mkdir(parents=True)
        self.folder, self._each = folder, each
        settings = config.build({}, None, {"ENGINE": engine})
        self.configured = worker.reference(settings)
        self.engine = start_engine(settings, self.configured, folder)
        self.queue = JobQueue(self.engine, Registry(), self.configured, capacity=50)
        until(lambda: self.engine.health() == "ready")

    def audit(self, pairs: int = 10) -> Audit:
        """Start an audit."""
        audit = audit_of(self.folder / "session" / "audits", self._each)
        self.queue.start_audit(audit, pairs=pairs, seed=0, budget=1e9)
        return audit

    def close(self) -> None:
        """End the engine."""
        self.engine.close()


def until(condition: Callable[[], object]) -> None:
    """Wait for a condition."""
    deadline = time.monotonic() + 600
    while not condition():
        if time.monotonic() > deadline:
            raise PicassoError("It did not happen within ten minutes.")
        time.sleep(0.005)


def outcome(audit: Audit) -> Any:
    """Return the trials and findings of an audit, to the last digit."""
    if audit.state() != "finished":
        raise PicassoError(f"The audit is {audit.state()}: {audit.error()}")
    trials = {file.name: json.loads(file.read_text())["trials"] for file in sorted(audit.trials.iterdir())}
    findings = audit.findings()
    return trials, [one["sentence"] for one in findings["findings"]], findings["verdict"]


def processes_of(cluster: Cluster) -> list[psutil.Process]:
    """Return the processes that compute, one for each worker."""
    nannies = [psutil.Process(worker.pid) for worker in cluster.workers]
    return [max(nanny.children(), key=lambda child: sum(child.cpu_times()[:2])) for nanny in nannies]


@dataclass(frozen=True)
class Computed:
    """One audit.

    Attributes:
        seconds: the elapsed time.
        cpu: the CPU seconds of the worker that was busy for longest.
        outcome: its outcome.
    """

    seconds: float
    cpu: float
    outcome: Any


def computed(served: Served, cluster: Cluster, pairs: int) -> Computed:
    """Compute one audit."""
    workers = processes_of(cluster)
    before = [sum(worker.cpu_times()[:2]) for worker in workers]
    audit, began = served.audit(pairs), time.perf_counter()
    until(lambda: not audit.at_work())
    seconds = time.perf_counter() - began
    cpu = max(sum(worker.cpu_times()[:2]) - one for worker, one in zip(workers, before, strict=True))
    return Computed(seconds, cpu, outcome(audit))


def scaling(pairs: int, rounds: int, *both: tuple[Served, Cluster]) -> Any:
    """Compare one worker with two, in turns, and return the outcome, which must always be the same."""
    # Each worker compiles what it needs.
    for one in both:
        computed(*one, 2)
    found, expected = [], None
    for _ in range(rounds):
        alone, together = (computed(*one, pairs) for one in both)
        expected = expected or alone.outcome
        if not alone.outcome == together.outcome == expected:
            raise PicassoError("The outcomes differ.")
        found.append((alone.seconds / together.seconds / 2, alone.cpu / together.cpu / 2))
        print(f"one worker: {alone.seconds:.1f} s, CPU {alone.cpu:.1f} s;", end=" ")
        print(f"two workers: {together.seconds:.1f} s, CPU of the busier one {together.cpu:.1f} s", flush=True)
    for called, shares in zip(("elapsed time", "CPU time"), zip(*found, strict=True), strict=True):
        print(f"{called}: {statistics.median(shares):.3f} of ideal ({min(shares):.3f} to {max(shares):.3f})")
    return expected


def kills(two: Served, cluster: Cluster, pairs: int, times: int, expected: Any) -> None:
    """Kill a worker at random moments of one audit, whose outcome must be the same."""
    chance, audit, began = np.random.default_rng(0), two.audit(pairs), time.perf_counter()
    for _ in range(times):
        time.sleep(chance.uniform(2, 10))
        if not audit.at_work():
            break
        processes = processes_of(cluster)
        processes[chance.integers(len(processes))].kill()
        print(f"killed a worker after {time.perf_counter() - began:.1f} s", flush=True)
    until(lambda: not audit.at_work())
    same = outcome(audit) == expected
    print(f"finished after {time.perf_counter() - began:.1f} s; the outcome is {'the same' if same else 'another'}")


def starts(two: Served, times: int, pairs: int) -> None:
    """Start small runs as the first page does, during an audit."""
    audit, waits = two.audit(pairs), []
    until(lambda: audit.state() == "running")
    parent = two.folder / "other" / "runs"
    parent.mkdir(parents=True)
    file = sorted(DIGITS.glob("*.png"))[0]
    image = StoredImage(uid=1, name=file.name, filename=file.name, path=str(file))
    for _ in range(times):
        began = time.perf_counter()
        run = two.queue.start(parent, "PartialOcclusion", {}, [image], workspace=True)
        while run.state()["state"] == "waiting":
            time.sleep(0.002)
        waits.append(1000 * (time.perf_counter() - began))
        two.queue.wait(run, 600)
    busy = audit.at_work()
    audit.cancel()
    print(f"a map starts after {statistics.median(waits):.0f} ms (at most {max(waits):.0f}) of {times}; busy: {busy}")
    until(lambda: not two.queue.at_work(audit.folder.parent.parent))


def main() -> None:
    """Measure, and print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=100, help="images of each digit")
    parser.add_argument("--pairs", type=int, default=20, help="pairs of digits")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--kills", type=int, default=5)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder, clusters, served = Path(name), [], []
        try:
            for workers in (1, 2):
                cluster = Cluster(folder)
                clusters.append(cluster)
                for core in range(workers):
                    cluster.add(prefix=("taskset", "-c", str(core)))
                served.append(Served(cluster.engine, folder / str(workers), given.images))
            # The second worker loads its model, and the servers compile what the first page needs.
            time.sleep(60)
            expected = scaling(given.pairs, given.rounds, *zip(served, clusters, strict=True))
            starts(served[1], 20, 0)
            kills(served[1], clusters[1], given.pairs, given.kills, expected)
        finally:
            for one in served:
                one.close()
            for cluster in clusters:
                cluster.close()


if __name__ == "__main__":
    main()
