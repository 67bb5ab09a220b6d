"""Audit models with pools of thousands of images of a class: stopped early, and with all images.

    python -m benchmarks.audit.pools FOLDER --half tuning --images 5000 --only digits

FOLDER is that of ``benchmarks.audit.models``. After the audit, each test that stopped early goes on with the blocks
that are left; ``--stopped`` leaves this out, which takes most of the time. Existing results are kept. The last lines
summarise the results of the half.
"""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.audit.audits import command, load
from benchmarks.audit.entries import Entry, entries
from benchmarks.audit.images import folder_of
from benchmarks.audit.networks import Bytes, one_thread
from picasso import fileio
from picasso.audit.audit import plan, steps
from picasso.audit.dataset import Folder, LazyImages, logits
from picasso.audit.rule import verdict
from picasso.audit.selection import MAX_PER_CLASS, blocks_of
from picasso.audit.statistics import Effect
from picasso.audit.stopping import tested_on
from picasso.audit.trial import Pair, Trial, TrialContext, generator_of
from picasso.models.base import Model


@dataclass(frozen=True)
class ArrayBlocks:
    """Images in memory, in random blocks.

    Attributes:
        images: by class, ``(n, H, W, C)``.
        order: the indices of each block, by class.
    """

    images: Mapping[int, Bytes]
    order: Mapping[int, Sequence[NDArray[np.int32]]]

    @property
    def sizes(self) -> dict[int, list[int]]:
        """The number of images in each block, by class."""
        return {target: [len(one) for one in blocks] for target, blocks in self.order.items()}

    def read(self, model: Model, number: int, targets: Collection[int]) -> Folder:
        """Return a block of some classes."""
        some = {target: self.images[target][self.order[target][number]] for target in targets}
        views = LazyImages(some)
        answers = {target: logits(model, views[target]) for target in views}
        return Folder(views, answers, {target: ("",) * len(made) for target, made in some.items()})

    def identity(self) -> bytes:
        """Return nothing: these images are not stored."""
        return b""


def pool_of(model: Model, images: Mapping[int, Bytes], seed: int = 0) -> Folder:
    """Return the first block of a pool, with the others behind it."""
    order = {
        target: blocks_of(len(made), MAX_PER_CLASS, generator_of(seed, "blocks", target))
        for target, made in images.items()
    }
    blocks = ArrayBlocks(images, order)
    return replace(blocks.read(model, 0, list(images)), blocks=blocks)


def audit(entry: Entry, folder: Path, each: int, whole: bool) -> str:
    """Audit one model with a pool of ``each`` images of a class, and store what was found."""
    written = audited(load(entry, folder), folder_of(entry, each), whole)
    fileio.write_json(file_of(entry, folder, each), written)
    return f"{entry.name}: {written['stopped']['used']:.1%} of the images, {written['seconds'][0]:.0f} s"


def audited(model: Model, images: Mapping[int, Bytes], whole: bool) -> dict[str, Any]:
    """Return what audits of a model find: after the first block, stopped early, and perhaps on the whole pool."""
    started = time.process_time()
    context = TrialContext(model, pool_of(model, images))
    first: dict[Pair, list[Trial]] = {}
    last: dict[Pair, list[Trial]] = {}
    for step in steps(context, plan(context)):
        if all(one.blocks_used == 1 for one in step.trials):
            first[step.pair] = step.trials
        last[step.pair] = step.trials
    # The rule for a single look, as for folders of one block.
    once = {pair: [replace(one, effect=effect_of(one)) for one in made] for pair, made in first.items()}
    written = {"first": summary(once), "stopped": summary(last)}
    seconds = [time.process_time() - started]
    if whole:
        written["whole"] = summary(completed(context, last))
        seconds.append(time.process_time() - started)
    return {**written, "seconds": seconds}


def effect_of(trial: Trial) -> Effect:
    """Return the effect of a trial in one look."""
    return trial.effect if trial.tally is None else trial.tally.effect()


def completed(context: TrialContext, trials: Mapping[Pair, Sequence[Trial]]) -> dict[Pair, list[Trial]]:
    """Return trials on all images: those that stopped early go on."""
    found = {pair: list(made) for pair, made in trials.items()}
    for number in range(1, max(map(context.blocks_of_pair, found))):
        block = context.block(number, sorted({target for pair in found for target in pair}))
        for pair, made in found.items():
            for place in range(0, len(made), 2):
                both = made[place : place + 2]
                if block and both[0].blocks_used == number:
                    after = tested_on(block, context.named(both[0].intervention), pair, both)
                    made[place : place + 2] = [replace(one, effect=effect_of(one)) for one in after]
    return found


def summary(trials: Mapping[Pair, Sequence[Trial]]) -> dict[str, Any]:
    """Return the findings, as names with their tiers, and the share of the images that the tests used."""
    every = [one for made in trials.values() for one in made]
    findings = sorted([f"{sorted(one.pair)}", one.there.intervention, one.tier] for one in verdict(trials).findings)
    used, pool = sum(one.effect.images for one in every), sum(one.pool for one in every)
    return {"findings": findings, "used": used / pool if pool else 1.0, "tests": len(every) // 2}


def file_of(entry: Entry, folder: Path, each: int) -> Path:
    """Return the path of the results of a model."""
    return folder / f"{entry.name}.pool-{each}.json"


def lines(found: Mapping[str, Any]) -> list[str]:
    """Return the lines of the summary of results by the name of the entry."""
    made = []
    for kind in ("planted", "innocent"):
        some = [one for name, one in found.items() if ("planted" in name) == (kind == "planted")]
        if not some:
            continue
        used = [one["stopped"]["used"] for one in some]
        rules = {rule: sum(alarms(one[rule]) > set() for one in some) for rule in ("first", "stopped")}
        made.append(
            f"{kind}: {len(some)} models, {sum(used) / len(used):.1%} of the images, at most {max(used):.1%}; alarms "
            f"in {rules['stopped']}, with one block in {rules['first']}"
        )
        if both := [one for one in some if "whole" in one]:
            alike = sum((alarms(one["stopped"]) > set()) == (alarms(one["whole"]) > set()) for one in both)
            named = sum(alarms(one["stopped"]) == alarms(one["whole"]) for one in both)
            differing = sum(len(tiers(one["stopped"]) ^ tiers(one["whole"])) for one in both)
            made.append(
                f"  of {len(both)} with all images: alarms in {sum(alarms(one['whole']) > set() for one in both)}; the "
                f"same verdict in {alike}, of the same names in {named}; CPU "
                f"{sum(one['seconds'][0] for one in both) / sum(one['seconds'][1] for one in both):.1%}; findings that "
                f"differ: {differing}, of {sum(one['whole']['tests'] for one in both)} tests"
            )
    return made


def tiers(one: Mapping[str, Any]) -> set[tuple[str, ...]]:
    """Return the findings of a summary."""
    return {tuple(finding) for finding in one["findings"]}


def alarms(one: Mapping[str, Any]) -> set[tuple[str, ...]]:
    """Return the findings of a summary that raise an alarm."""
    return {finding for finding in tiers(one) if finding[-1] == "relies on"}


def main() -> None:
    """Audit the models without results, and print the summary."""
    parser = command(__doc__)
    parser.set_defaults(images=5000)
    parser.add_argument("--stopped", action="store_true", help="don't go on with all images")
    options = parser.parse_args()
    folder, each = options.folder, options.images
    named = [
        one for one in entries(options.half) if options.only in one.name and (folder / f"{one.name}.json").exists()
    ]
    missing = [one for one in named if not file_of(one, folder, each).exists()]
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(options.processes, context, one_thread) as pool:
        for future in as_completed([pool.submit(audit, one, folder, each, not options.stopped) for one in missing]):
            print(future.result(), flush=True)
    results = {one.name: fileio.read_json(file_of(one, folder, each)) for one in named}
    print("\n".join(lines({name: one for name, one in results.items() if one})))


if __name__ == "__main__":
    main()
