"""CPU seconds over all threads, interleaved with a baseline; and the peak memory of a process of its own.

Wall time says more about the neighbours of a machine than about a program, so ratios are of CPU time, each against a
baseline that was measured in the same round.
"""

from __future__ import annotations

import json
import os
import re
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# With this environment variable, seconds are elapsed seconds instead of CPU seconds, for work on a GPU.
ELAPSED = "PICASSO_BENCH_ELAPSED"
PAGE = Path(__file__).parents[1] / "docs" / "performance.md"


def cpu(work: Callable[[], object]) -> float:
    """Return the CPU seconds that ``work`` takes in this process, or the elapsed ones if :data:`ELAPSED` is set."""
    clock = time.perf_counter if os.environ.get(ELAPSED) else time.process_time
    started = clock()
    work()
    return clock() - started


@dataclass(frozen=True)
class Rounds:
    """The CPU seconds of two pieces of work, round by round."""

    ours: Sequence[float]
    baseline: Sequence[float]

    @property
    def ratios(self) -> list[float]:
        """Return how many times longer the baseline took, round by round."""
        return [other / one for one, other in zip(self.ours, self.baseline, strict=True)]

    def ratio(self) -> str:
        """Return the median ratio and its spread."""
        ratios = self.ratios
        return f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"


def interleaved(ours: Callable[[], object], baseline: Callable[[], object], rounds: int, scale: float = 1) -> Rounds:
    """Measure two pieces of work in turn, after one round that is not counted.

    Args:
        ours: the work.
        baseline: what it is compared with.
        rounds: how often.
        scale: how much larger the whole work of the baseline is than what was measured of it.
    """
    pairs = [(cpu(ours), cpu(baseline) * scale) for _ in range(rounds + 1)][1:]
    return Rounds([one for one, _ in pairs], [other for _, other in pairs])


def peak() -> float:
    """Return the largest memory of this process so far, in megabytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def memory(field: str) -> float:
    """Return one of this process's figures of memory in megabytes: VmRSS now, VmHWM the largest."""
    found = re.search(rf"{field}:\s+(\d+)", Path("/proc/self/status").read_text())
    assert found
    return int(found[1]) / 1024


def largest_anew() -> float:
    """Let the largest memory of this process count anew from here on, and return the current one in megabytes."""
    Path("/proc/self/clear_refs").write_text("5")
    return memory("VmRSS")


def elsewhere(*words: str) -> Any:
    """Run ``python -m benchmarks`` with some words in a process of its own and return the JSON that it prints last."""
    done = subprocess.run([sys.executable, "-m", "benchmarks", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr[-2000:])
    return json.loads(done.stdout.splitlines()[-1])


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the lines of a Markdown table."""
    return ["| " + " | ".join(line) + " |" for line in (head, ["---"] * len(head), *rows)]


def put_into_page(mark: str, lines: Sequence[str], page: Path = PAGE) -> None:
    """Replace what a page has between ``<!-- mark -->`` and the next ``<!-- end -->``."""
    before, start, rest = page.read_text(encoding="utf-8").partition(f"<!-- {mark} -->\n")
    _, stop, after = rest.partition("<!-- end -->")
    page.write_text(before + start + "\n" + "\n".join(lines) + "\n\n" + stop + after, encoding="utf-8")
