"""The tables of the benchmark: detection rate, correct first alarms, false alarms, cost.

    python -m benchmarks.audit.table FOLDER --half test

reads the output of ``benchmarks.audit.audits`` and ``benchmarks.audit.rivals``, and prints Markdown. With ``--write``,
it writes the tables into docs/audit-benchmark.md.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.audit.proxies import PROXIES
from benchmarks.audit.results import STRONG, WEAK, Audited, audited, right
from benchmarks.measuring import markdown, put_into_page
from picasso.audit.statistics import LEVEL
from picasso.evaluation.intervals import interval

SIZES, MAIN = (20, 50, 200), 50
FLOORS = (0.02, 0.05, 0.10, 0.15, 0.20, 0.30)
DOCS = Path(__file__).resolve().parents[2] / "docs" / "audit-benchmark.md"
FOUND = [f"found, reliance ≥ {STRONG:.2f}", f"≥ {WEAK:.2f}"]

Rows = list[list[str]]
Way = Callable[[Audited], bool]


def share(found: Sequence[Any], true: Callable[[Any], bool]) -> str:
    """Format the number of items for which something is true, with the share and its 95% confidence interval."""
    count, all_ = sum(map(true, found)), len(found)
    if not all_:
        return "none"
    low, high = interval(count, all_)
    return f"{count} of {all_} ({count / all_:.0%}; {max(low, 0.0):.0%} to {high:.0%})"


def reliant(found: Sequence[Audited], least: float) -> list[Audited]:
    """Return the planted models whose reliance is at least that."""
    return [one for one in found if one.entry.kind == "planted" and one.reliance >= least]


def detected(found: Sequence[Audited], way: Way = lambda one: one.accused) -> list[str]:
    """Return the cells of the detection rates, and of the false alarms, of a way to raise an alarm."""
    controls = [one for one in found if one.control]
    return [*(share(reliant(found, least), way) for least in (STRONG, WEAK)), share(controls, way)]


def summary(name: str, found: Sequence[Audited]) -> list[str]:
    """Return a row: detection rates, correct first alarms, models with a finding in one direction only, and cost."""
    strong, weak, false = detected(found)
    hits = [one for one in reliant(found, WEAK) if one.accused]
    missed = [one for one in reliant(found, WEAK) if not one.accused]
    cost = f"{np.median([one.seconds for one in found]):.1f} s" if found else ""
    return [
        name, str(len(found)), strong, weak, share(hits, lambda one: one.named),
        share(missed, lambda one: one.leaning), false, cost,
    ]  # fmt: skip


def groups(found: Sequence[Audited]) -> Rows:
    """Return a row for each number of classes and each world."""
    sizes = {"2": (2,), "3 or 4": (3, 4), "5": (5,), "6 to 9": (6, 7, 8, 9), "10": (10,)}
    ways: dict[str, Way] = {
        f"{name} classes": lambda one, of=of: one.entry.classes in of  # type: ignore[misc]
        for name, of in sizes.items()
    }
    ways |= {
        f"world: {world}": lambda one, world=world: one.entry.world == world  # type: ignore[misc]
        for world in dict.fromkeys(one.entry.world for one in found)
    }
    return [summary(name, [one for one in found if way(one)])[:-1] for name, way in ways.items()]


def innocent(found: Sequence[Audited]) -> Rows:
    """Return a row for each kind of innocent entries, with the names of the false alarms."""
    kinds: dict[str, list[Audited]] = defaultdict(list)
    for one in found:
        if one.control:
            kinds[one.entry.world if one.entry.kind == "real" else f"{one.entry.kind}, {one.entry.world}"].append(one)
    return [
        [
            kind,
            share(some, lambda one: one.accused),
            "; ".join(f"{one.entry.name.split('-', 1)[1]}: {said(one)}" for one in some if one.accused),
        ]
        for kind, some in kinds.items()
    ]


def floors(found: Sequence[Audited]) -> Rows:
    """Return a row for each smallest effect of an alarm, the same for all interventions."""
    return [[f"{floor:.2f}", *detected([one.with_floor(floor) for one in found])] for floor in FLOORS]


def rivals(found: Sequence[Audited], said_: Mapping[str, Mapping[str, Any]]) -> Rows:
    """Return a row for each method, on the same models and folders."""
    hits = reliant(found, WEAK)
    rows = [["the audit", *detected(found), share([one for one in hits if one.accused], lambda one: one.named)]]
    stored = [one for one in found if one.entry.name in said_]
    for name in next(iter(said_.values()), {}):
        names = {one.entry.name: said_[one.entry.name].get(name, {}).get("names", []) for one in stored}
        accused = [one for one in reliant(stored, WEAK) if names[one.entry.name]]
        rows.append(
            [
                name,
                *detected(stored, lambda one, names=names: bool(names[one.entry.name])),  # type: ignore[misc]
                share(accused, lambda one, names=names: right(one.entry, names[one.entry.name][0])),  # type: ignore[misc]
            ]
        )
    weaker = {"one direction, floor .10": 0.10, "p < .01 in one direction, no floor": float("-inf")}
    for name, floor in weaker.items():
        rows.append([name, *detected(found, lambda one, floor=floor: one_way(one, floor)), ""])  # type: ignore[misc]
    return rows


def one_way(found: Audited, floor: float) -> bool:
    """Tell whether a one-sided test in one direction alone would have raised an alarm."""
    usable = [one for made in found.trials.values() for one in made if not one.informative]
    return any(one.effect.p * len(usable) < LEVEL and one.effect.fraction >= floor for one in usable)


def by_proxy(found: Sequence[Audited]) -> Rows:
    """Return a row for each proxy: the reliance of its models, the largest first, and the first alarm of each."""
    texts: dict[str, list[str]] = {name: [] for name in PROXIES}
    for one in sorted(found, key=lambda one: -one.reliance):
        if one.entry.kind == "planted":
            alarm = "" if one.named else f" {said(one)}"
            reliance = f"{max(0, one.reliance):.2f}"
            texts[one.entry.proxy].append(f"{f'**{reliance}**' if one.accused else reliance}{alarm}")
    return [[name, PROXIES[name].family, "; ".join(some)] for name, some in texts.items() if some]


def kinds() -> Rows:
    """Return a row for each proxy, by half."""
    return [
        [one.half, one.name, one.family, ", ".join(one.worlds), "; ".join(sorted(one.names))]
        for half in ("tuning", "test")
        for one in PROXIES.values()
        if one.half == half
    ]


def said(one: Audited) -> str:
    """Format the first alarm."""
    if not one.accused:
        return "one direction" if one.leaning else "no alarm"
    return f"{one.alarms[0].there.intervention} {one.alarms[0].size:.0%}"


def cost(folder: Path, half: str) -> Rows:
    """Return a row for each intervention: the share of the CPU time of all audits of the main size."""
    spent: dict[str, float] = defaultdict(float)
    for file in sorted(folder.glob(f"{half}-*.audit-{MAIN}.json")):
        for name, seconds in json.loads(file.read_text())["seconds"].items():
            spent[name] += seconds
    whole = sum(spent.values()) or 1
    return [[name, f"{seconds / whole:.0%}"] for name, seconds in sorted(spent.items(), key=lambda one: -one[1])[:10]]


def mends(folder: Path) -> Rows:
    """Return the numbers of models that were mended, and what became of their reliance and fair accuracy, by half."""
    rows = []
    for half in ("tuning", "test"):
        for kind, way in (("mend", "last layer"), ("deep", "all layers")):
            tried = [json.loads(file.read_text()) for file in sorted(folder.glob(f"{half}-planted-*.{kind}.json"))]
            if not tried:
                continue
            done = [one for one in tried if "after" in one]
            lost = [one["before"]["fair_accuracy"] - one["after"]["fair_accuracy"] for one in done]
            left = [one["after"]["reliance"] for one in done]
            gone = [max(0.05, one["before"]["reliance"] / 10) for one in done]
            rows.append(
                [
                    half, way, share(tried, lambda one: "after" in one),
                    share(list(zip(left, gone, strict=True)), lambda one: one[0] <= one[1]),
                    f"{np.median([one['before']['reliance'] for one in done]):.2f} → {np.median(left):.2f}",
                    f"{np.median([one['before']['fair_accuracy'] for one in done]):.0%} → "
                    f"{np.median([one['after']['fair_accuracy'] for one in done]):.0%}",
                    share(lost, lambda one: one <= 0.01),
                    f"{np.median([one['seconds'] for one in tried]):.0f} s",
                ]
            )  # fmt: skip
    return rows


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--half", choices=("tuning", "test"), default="test")
    parser.add_argument("--images", type=int, default=MAIN, help="of each class, for all tables but the first")
    parser.add_argument("--write", action="store_true", help=f"put the tables into docs/{DOCS.name}")
    options = parser.parse_args()
    by_size = {each: audited(options.folder, options.half, each) for each in SIZES}
    found = by_size[options.images]
    rival_file = options.folder / f"rivals-{options.half}.json"
    other = json.loads(rival_file.read_text()) if rival_file.exists() else {}
    heads = ["models", *FOUND, "first alarm correct", "of the missed: one direction", "false alarms"]
    sizes = [summary(f"{each} images of a class", some) for each, some in by_size.items() if some]
    tables = {
        "kinds": markdown(["half", "feature", "family", "worlds", "right names"], kinds()),
        "benchmark": markdown(["", *heads, "CPU for 100 images, median"], sizes),
        "groups": markdown(["", *heads], groups(found)),
        "innocent": markdown(["innocent", "false alarms", "which"], innocent(found)),
        "floors": markdown(["smallest effect of an alarm", *FOUND, "false alarms"], floors(found)),
        "rivals": markdown(["method", *FOUND, "false alarms", "first name correct"], rivals(found, other)),
        "proxies": markdown(
            ["spurious feature", "family", "reliance of each model, bold if an alarm was raised; the alarm if another"],
            by_proxy(found),
        ),
        "mends": markdown(
            [
                "half",
                "trained",
                "accepted as mended",
                "of these: reliance at most .05 or a tenth",
                "median reliance",
                "median accuracy on fair images",
                "loses at most 1 point of it",
                "CPU, median",
            ],
            mends(options.folder),
        ),
        "cost": markdown(["intervention", "share of the CPU time"], cost(options.folder, options.half)),
    }
    for mark, lines in tables.items():
        print("\n".join(lines), "\n")
        if options.write:
            put_into_page(mark, lines, DOCS)


if __name__ == "__main__":
    main()
