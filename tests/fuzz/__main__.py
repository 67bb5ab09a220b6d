"""Send spoilt files through a door: ``python -m tests.fuzz --inputs 200000 --seed 1``.

Only an image or an error of our own family may come of each, within two seconds and without much memory. What
else comes, also a crash or a hang, is saved to ``tests/hostile/found``, which ordinary tests go through from then on.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

from picasso.errors import PicassoError
from tests.fuzz.doors import DOORS, Door
from tests.fuzz.mutations import Mutator
from tests.fuzz.structured import StructuredMutator
from tests.hostile import FOLDER

MAX_SECONDS = 2.0
MAX_MEGABYTES = 150
HANG_SECONDS = 30


def peak() -> int:
    """Return the most memory that this process has taken so far, in megabytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


class Fuzzer:
    """Sends files through one door and keeps count of what comes of them."""

    def __init__(self, door: Door, seed: int, folder: Path) -> None:
        self._door, self._folder = door, folder
        self._sources: dict[str, Mutator | StructuredMutator] = {
            suffix: StructuredMutator(suffix, bodies, seed, door.most)
            if door.structured
            else Mutator(bodies, seed, door.most)
            for suffix, bodies in door.seeds.items()
        }
        self.megabytes = door.megabytes
        self.kinds: Counter[str] = Counter()
        self.found: dict[str, str] = {}
        self.slowest = 0.0

    def run(self, inputs: int, seconds: float) -> int:
        """Send so many files, or as many as fit into so many seconds; return how many they were."""
        deadline = time.monotonic() + seconds if seconds else float("inf")
        suffixes = list(self._sources)
        done = 0
        while done < inputs and time.monotonic() < deadline:
            suffix = suffixes[done % len(suffixes)]
            self.send(self._sources[suffix].next(), suffix)
            done += 1
        return done

    def send(self, body: bytes, suffix: str) -> None:
        """Send one file and note what comes of it."""
        # Written down first: this is what is left of a process that crashes.
        (self._folder / f"last{suffix}").write_bytes(body)
        (self._folder / "suffix").write_text(suffix)
        signal.alarm(HANG_SECONDS)
        before, started = peak(), time.process_time()
        try:
            self._door.enter(body, self._folder / f"input{suffix}")
            self.kinds["taken"] += 1
        except PicassoError as error:
            self.kinds[type(error).__name__] += 1
        except Exception as error:
            frame = traceback.extract_tb(error.__traceback__)[-1]
            self._keep(f"{type(error).__name__} {Path(frame.filename).name}:{frame.lineno}", body, suffix)
        taken = time.process_time() - started
        self.slowest = max(self.slowest, taken)
        if taken > MAX_SECONDS:
            self._keep("slow", body, suffix)
        if peak() - before > MAX_MEGABYTES:
            self._keep("memory", body, suffix)

    def _keep(self, kind: str, body: bytes, suffix: str) -> None:
        self.kinds[f"! {kind}"] += 1
        if kind not in self.found:
            self.found[kind] = save(kind, body, suffix)


def save(kind: str, body: bytes, suffix: str) -> str:
    """Keep an input that something went wrong with, named after that; return the name."""
    name = f"{kind.split()[0].lower()}-{hashlib.sha256(body).hexdigest()[:8]}{suffix}"
    folder = Path(os.environ.get("PICASSO_FUZZ_FOUND", FOLDER / "found"))
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(body)
    return name


def child(door: str, inputs: int, seconds: float, seed: int) -> None:
    """Fuzz in this process and print what came of it as JSON."""
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        fuzzer = Fuzzer(DOORS[door](), seed, Path(os.environ.get("PICASSO_FUZZ_LAST", folder)))
        # What decoders and tables take once is not counted.
        fuzzer.run(50, 0)
        first, started = peak(), time.monotonic()
        done = fuzzer.run(inputs, seconds)
        report = {"done": done, "seconds": time.monotonic() - started, "kinds": fuzzer.kinds, "found": fuzzer.found}
        report["megabytes"] = fuzzer.megabytes
        print(json.dumps({**report, "first": first, "peak": peak(), "slowest": fuzzer.slowest}))


def fuzz(door: str, inputs: int, seconds: float, seed: int, processes: int) -> bool:
    """Fuzz one door in several processes, print the figures, and tell whether all went well."""
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        running = []
        for index in range(processes):
            last = Path(folder) / str(index)
            last.mkdir()
            words = ["--child", "--door", door, "--seed", str(seed + index), "--seconds", str(seconds)]
            command = [sys.executable, "-m", "tests.fuzz", *words, "--inputs", str(-(-inputs // processes))]
            environment = {**os.environ, "PICASSO_FUZZ_LAST": str(last)}
            running.append((last, subprocess.Popen(command, stdout=subprocess.PIPE, env=environment)))
        reports: list[dict[str, Any]] = []
        crashes = []
        for last, process in running:
            output, _ = process.communicate()
            if process.returncode == 0:
                reports.append(json.loads(output))
                continue
            if not (last / "suffix").exists():
                raise SystemExit(f"A process ended with {process.returncode} before its first input.")
            suffix = (last / "suffix").read_text()
            kind = "hang" if process.returncode == -signal.SIGALRM else f"crash ({process.returncode})"
            crashes.append(f"{kind}: {save(kind, (last / f'last{suffix}').read_bytes(), suffix)}")
    kinds: Counter[str] = Counter()
    for report in reports:
        kinds.update(report["kinds"])
    done, took = sum(report["done"] for report in reports), max((report["seconds"] for report in reports), default=1)
    print(f"{door}: {done} inputs in {took:.0f} s, {done / max(took, 1e-9):.0f} a second, seed {seed}")
    print("  " + ", ".join(f"{kind} {count}" for kind, count in kinds.most_common()))
    memory = max((report["peak"] - report["first"] for report in reports), default=0)
    highest = max((report["peak"] for report in reports), default=0)
    slowest = max((report["slowest"] for report in reports), default=0)
    print(f"  memory grew by {memory} MB to {highest} MB; the slowest input took {slowest:.2f} s")
    found = {kind: name for report in reports for kind, name in report["found"].items()}
    for line in [*(f"{kind}: {name}" for kind, name in found.items()), *crashes]:
        print(f"  FOUND {line}")
    bounded = highest < max((report["megabytes"] or highest + 1 for report in reports), default=0)
    return not found and not crashes and memory < MAX_MEGABYTES and bounded


def single(file: Path) -> bool:
    """Send one file through each door that takes its kind, and tell whether all went well."""
    well = True
    for make in DOORS.values():
        door = make()
        if file.suffix not in door.seeds:
            continue
        with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
            fuzzer = Fuzzer(door, 0, Path(folder))
            fuzzer.send(file.read_bytes(), file.suffix)
            print(f"{door.name}: {dict(fuzzer.kinds)}, {fuzzer.slowest:.2f} s")
            well = well and not fuzzer.found
    return well


def main() -> None:
    """Read the options and fuzz."""
    options = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    options.add_argument("--inputs", type=int, default=200_000, help="how many for each door")
    options.add_argument("--seconds", type=float, default=0, help="at most so long for each door; 0 is no limit")
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    options.add_argument("--door", choices=[*DOORS, "all"], default="all")
    options.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    options.add_argument("--file", type=Path, help="send this one file instead, whole")
    chosen = options.parse_args()
    if chosen.file:
        sys.exit(0 if single(chosen.file) else 1)
    if chosen.child:
        child(chosen.door, chosen.inputs, chosen.seconds, chosen.seed)
        return
    doors = list(DOORS) if chosen.door == "all" else [chosen.door]
    well = [fuzz(door, chosen.inputs, chosen.seconds, chosen.seed, chosen.processes) for door in doors]
    sys.exit(0 if all(well) else 1)


if __name__ == "__main__":
    main()
