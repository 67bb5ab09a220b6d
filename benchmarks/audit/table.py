"""The tables of the benchmark: detection rate, correct first alarms, and false alarms.

    python -m benchmarks.audit.table FOLDER --half test

reads the output of ``benchmarks.audit.audits`` and ``benchmarks.audit.rivals``, and prints Markdown. With ``--write``,
it writes the tables into docs/audit.md.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.audit.audits import file_of
from benchmarks.audit.models import Entry, entries
from benchmarks.audit.proxies import PROXIES
from benchmarks.measuring import markdown, put_into_page
from picasso.audit.outcome import AuditOutcome
from picasso.audit.rule import verdict
from picasso.audit.statistics import LEVEL, Effect
from picasso.audit.trial import Pair, Trial
from picasso.evaluation.intervals import interval

# A model relies on its proxy from the first reliance on, and does not below the second; in between is neither.
STRONG, WEAK, NONE = 0.30, 0.10, 0.05
DOCS = Path(__file__).resolve().parents[2] / "docs" / "audit.md"


@dataclass(frozen=True)
class Audited:
    """A model, its measured reliance on its proxy, and the outcome of its audit."""

    entry: Entry
    reliance: float
    verdict: AuditOutcome
    trials: Sequence[Trial]
    seconds: float

    @property
    def accused(self) -> bool:
        """Whether an alarm was raised."""
        return bool(self.verdict.alarms)

    @property
    def named(self) -> bool:
        """Whether the first alarm names the proxy."""
        alarms = self.verdict.alarms
        return bool(alarms) and alarms[0].there.intervention in PROXIES[self.entry.proxy].names

    @property
    def control(self) -> bool:
        """Whether the model must raise no alarm."""
        return self.entry.kind != "planted" and self.reliance < NONE


def audited(folder: Path, half: str, each: int) -> list[Audited]:
    """Return the stored results of the models of a half."""
    found = []
    for entry in entries():
        file = file_of(entry, folder, each)
        if entry.half != half or not file.exists():
            continue
        written = json.loads(file.read_text())
        reliance = json.loads((folder / f"{entry.name}.json").read_text())["reliance"]
        trials = [Trial(**{**one, "effect": Effect(**one["effect"])}) for one in written["trials"]]
        by_pair: dict[Pair, list[Trial]] = defaultdict(list)
        for one in trials:
            by_pair[min(one.ours, one.theirs), max(one.ours, one.theirs)].append(one)
        # Seconds for two classes, per hundred images.
        seconds = written["seconds"] / len(by_pair) / (2 * each) * 100
        found.append(Audited(entry, reliance, verdict(by_pair), trials, seconds))
    return found


def share(found: Sequence[Any], true: Callable[[Any], bool]) -> str:
    """Format the number of items for which something is true, with the share and its 95% confidence interval."""
    count, all_ = sum(map(true, found)), len(found)
    if not all_:
        return "none"
    low, high = interval(count, all_)
    return f"{count} of {all_} ({count / all_:.0%}; {low:.0%} to {high:.0%})"


def summary(each: int, found: Sequence[Audited]) -> list[str]:
    """Return a row of the table."""
    strong = [one for one in found if one.reliance >= STRONG]
    weak = [one for one in found if one.reliance >= WEAK]
    hits = [one for one in weak if one.accused]
    controls = [one for one in found if one.control]
    return [
        str(each),
        str(len(found)),
        share(strong, lambda one: one.accused),
        share(weak, lambda one: one.accused),
        share(hits, lambda one: one.named),
        share(controls, lambda one: one.accused),
        f"{np.median([one.seconds for one in found]):.1f} s",
    ]


def one_way(found: Audited) -> bool:
    """Tell whether a one-sided test in one direction alone would have raised an alarm, with a floor of .10."""
    usable = [one for one in found.trials if not one.informative]
    return any(one.effect.p * len(usable) < LEVEL and one.effect.fraction >= 0.10 for one in usable)


def significant(found: Audited) -> bool:
    """Tell whether a small p alone would have raised an alarm, in either direction."""
    usable = [one for one in found.trials if not one.informative]
    return any(one.effect.p * len(usable) < LEVEL for one in usable)


def rivals(found: Sequence[Audited], said: Mapping[str, Mapping[str, bool]]) -> list[list[str]]:
    """Return a row for each alternative method, on the same models and folders."""
    ways: dict[str, Callable[[Audited], bool]] = {"the audit": lambda one: one.accused}
    for name in next(iter(said.values()), {}):
        ways[name] = lambda one, name=name: said[one.entry.name][name]  # type: ignore[misc]
    ways["one direction, floor .10"] = one_way
    ways["p < .01 in one direction, no floor"] = significant
    strong, weak = ([one for one in found if one.reliance >= least] for least in (STRONG, WEAK))
    controls = [one for one in found if one.control]
    return [[name, *(share(some, way) for some in (strong, weak, controls))] for name, way in ways.items()]


def by_proxy(found: Sequence[Audited]) -> list[list[str]]:
    """Return a row for each proxy: the reliance of its models, the largest first, and the first alarm of each."""
    groups: dict[str, list[str]] = defaultdict(list)
    for one in sorted(found, key=lambda one: -one.reliance):
        if one.entry.kind == "planted" or one.accused:
            groups[one.entry.proxy if one.entry.kind == "planted" else f"{one.entry.kind} {one.entry.proxy}"].append(
                said(one)
            )
    return [[name, "; ".join(texts)] for name, texts in groups.items()]


def said(one: Audited) -> str:
    """Format the reliance and the first alarm; the alarm is named only if it is not the proxy."""
    if not one.accused:
        return f"{max(0, one.reliance):.2f} no alarm"
    first = one.verdict.alarms[0]
    right = one.entry.proxy in PROXIES and one.entry.kind == "planted" and one.named
    return f"**{max(0, one.reliance):.2f}** {'' if right else first.there.intervention + ' '}{first.size:.0%}"


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--half", choices=("tuning", "test"), default="test")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/audit.md")
    options = parser.parse_args()
    by_size = {each: audited(options.folder, options.half, each) for each in (20, 50, 200)}
    found = by_size[50]
    heads = ["images of a class", "models", f"found, reliance ≥ {STRONG:.2f}", f"≥ {WEAK:.2f}", "first alarm correct"]
    rows = [summary(each, some) for each, some in by_size.items() if some]
    rival_file = options.folder / f"rivals-{options.half}.json"
    other = json.loads(rival_file.read_text()) if rival_file.exists() else {}
    tables = {
        "benchmark": markdown([*heads, "false alarms", "CPU for 100 images, median"], rows),
        "rivals": markdown(["method", *heads[2:4], "false alarms"], rivals(found, other)),
        "proxies": markdown(["spurious feature", "measured reliance of each model, and first alarm"], by_proxy(found)),
    }
    for mark, lines in tables.items():
        print("\n".join(lines), "\n")
        if options.write:
            put_into_page(mark, lines, DOCS)


if __name__ == "__main__":
    main()
