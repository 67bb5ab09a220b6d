"""Audit the benchmark's models and store the trials as JSON, so that rules can be evaluated without repeating them.

    python -m benchmarks.audit.audits FOLDER --half tuning --images 50

FOLDER is that of ``benchmarks.audit.models``. Stored trials are kept: only interventions that are new since, and those
that ``--again`` names, are tested.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import time
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.audit.entries import Entry, entries
from benchmarks.audit.images import folder_of
from benchmarks.audit.networks import one_thread
from benchmarks.audit.worlds import WORLDS, photographs
from picasso import fileio
from picasso.audit.audit import plan
from picasso.audit.causes import ordered_by_cause
from picasso.audit.dataset import Folder, LazyImages, logits
from picasso.audit.interventions import INTERVENTIONS
from picasso.audit.rule import verdict
from picasso.audit.trial import Pair, Trial, TrialContext, restored
from picasso.examples import imagenet
from picasso.models import load_model
from picasso.models.base import Model


def load(entry: Entry, folder: Path) -> Model:
    """Return the model of an entry."""
    file, preprocess = folder / f"{entry.model}.keras", "0..255"
    if entry.world in WORLDS:
        names = [WORLDS[entry.world].members[member] for member in entry.members]
    elif entry.world == photographs.NAME:
        names, preprocess = imagenet.LABELS.read_text(encoding="utf-8").splitlines(), "-1..1"
    else:
        names = [str(digit) for digit in range(10)]
    return load_model(file, labels=names, preprocess=preprocess)


def opened(entry: Entry, folder: Path, each: int) -> tuple[Model, Folder]:
    """Return the model of an entry and its folder of ``each`` images of a class."""
    model = load(entry, folder)
    views = LazyImages(folder_of(entry, each))
    answers = {target: logits(model, some) for target, some in views.items()}
    return model, Folder(views, answers, {target: tuple(map(str, range(each))) for target in views})


def audit(entry: Entry, folder: Path, each: int, again: str = "") -> str:
    """Audit one model and write its trials; those stored are kept, except of the interventions ``again``."""
    file = file_of(entry, folder, each)
    stored = fileio.read_json(file) or {"seconds": {}, "pairs": []}
    model, images = opened(entry, folder, each)
    context = TrialContext(model, images, interventions=INTERVENTIONS)
    seconds = {name: spent for name, spent in stored["seconds"].items() if not again or again not in name}
    found = {pair: [one for one in made if one.intervention in seconds] for pair, made in trials_of(stored).items()}
    todo = plan(context)
    spent: dict[str, float] = {}
    for pair in todo.pairs:
        made = found.setdefault(pair, [])
        if context.is_separable(pair):
            for intervention in context.interventions:
                if intervention.name not in seconds:
                    started = time.process_time()
                    made += context.both(intervention, pair)
                    spent[intervention.name] = spent.get(intervention.name, 0) + time.process_time() - started
    right = [float((answers.argmax(axis=1) == target).mean()) for target, answers in images.logits.items()]
    written = {
        "accuracy": float(np.mean(right)),
        # CPU seconds by intervention, also of those that had nothing to change; 0 if no pair could be tested.
        "seconds": {one.name: {**seconds, **spent}.get(one.name, 0.0) for one in context.interventions},
        "images": each * len(right),
        "left": len(todo.left),
        "causes": [one.there.intervention for one in ordered_by_cause(context, verdict(found)).alarms],
        "pairs": [{"pair": pair, "trials": [asdict(one) for one in made]} for pair, made in found.items()],
    }
    fileio.write_json(file, written)
    return f"{entry.name}: accuracy {written['accuracy']:.2f}, {sum(spent.values()):.1f} s"


def trials_of(stored: Mapping[str, Any]) -> dict[Pair, list[Trial]]:
    """Return the stored trials by pair; empty where the model does not separate the classes."""
    return {(one["pair"][0], one["pair"][1]): [restored(trial) for trial in one["trials"]] for one in stored["pairs"]}


def file_of(entry: Entry, folder: Path, each: int) -> Path:
    """Return the path of the trials of a model."""
    return folder / f"{entry.name}.audit-{each}.json"


def complete(file: Path, again: str) -> bool:
    """Tell whether the stored trials are of all interventions, and none is to be tested again."""
    if not file.exists():
        return False
    tested = json.loads(file.read_text())["seconds"]
    return all(one.name in tested and (not again or again not in one.name) for one in INTERVENTIONS)


def command(description: str | None) -> argparse.ArgumentParser:
    """Return the arguments that the commands on trained models share."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--half", choices=("tuning", "test"), default="tuning")
    parser.add_argument("--images", type=int, default=50, help="of each class")
    parser.add_argument("--only", default="", help="the entries whose names contain this")
    parser.add_argument("--processes", type=int, default=2)
    return parser


def main() -> None:
    """Audit the models without results."""
    parser = command(__doc__)
    parser.add_argument("--again", default="", help="repeat the interventions whose names contain this")
    options = parser.parse_args()
    folder, each = options.folder, options.images
    missing = [
        one
        for one in entries(options.half)
        if options.only in one.name
        and (folder / f"{one.name}.json").exists()
        and not complete(file_of(one, folder, each), options.again)
    ]
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(options.processes, context, one_thread) as pool:
        for future in as_completed([pool.submit(audit, one, folder, each, options.again) for one in missing]):
            print(future.result(), flush=True)


if __name__ == "__main__":
    main()
