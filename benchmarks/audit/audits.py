"""Audit the benchmark's models and store the trials as JSON, so that rules can be evaluated without repeating them.

    python -m benchmarks.audit.audits FOLDER --half tuning --images 50

FOLDER is that of ``benchmarks.audit.models``. Existing results are kept.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict
from pathlib import Path

import numpy as np

from benchmarks.audit.models import Entry, entries, folder_of, one_thread
from benchmarks.audit.scenes import DIGITS
from picasso.audit.audit import plan, run
from picasso.audit.dataset import Folder, logits
from picasso.audit.trial import TrialContext
from picasso.models import load_model
from picasso.models.base import Model


def opened(entry: Entry, folder: Path, each: int) -> tuple[Model, Folder]:
    """Return a model and its folder of ``each`` images of a class."""
    names = [str(digit) for digit in DIGITS[: entry.classes]]
    model = load_model(folder / f"{entry.name}.keras", labels=names, preprocess="0..255")
    made, targets = folder_of(entry, each)
    views = {target: np.asarray(made[targets == target] / np.float32(255)) for target in range(entry.classes)}
    answers = {target: logits(model, some) for target, some in views.items()}
    return model, Folder(views, answers, {target: tuple(map(str, range(each))) for target in views})


def audit(entry: Entry, folder: Path, each: int) -> str:
    """Audit one model and write its trials."""
    started = time.process_time()
    model, images = opened(entry, folder, each)
    began = time.process_time()
    bench = TrialContext(model, images)
    trials = run(bench, plan(bench)).trials
    seconds = time.process_time() - began
    accuracy = np.mean([(answers.argmax(axis=1) == target).mean() for target, answers in images.logits.items()])
    written = {
        "accuracy": float(accuracy),
        "seconds": seconds,
        "images": each * entry.classes,
        "trials": [asdict(one) for made in trials.values() for one in made],
    }
    file_of(entry, folder, each).write_text(json.dumps(written))
    return f"{entry.name}: {seconds:.1f} s after {began - started:.1f} s"


def file_of(entry: Entry, folder: Path, each: int) -> Path:
    """Return the path of the trials of a model."""
    return folder / f"{entry.name}.audit-{each}.json"


def main() -> None:
    """Audit the models without results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--half", choices=("tuning", "test"), default="tuning")
    parser.add_argument("--images", type=int, default=50, help="of each class")
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    folder, each = options.folder, options.images
    missing = [
        one
        for one in entries()
        if one.half == options.half
        and (folder / f"{one.name}.json").exists()
        and not file_of(one, folder, each).exists()
    ]
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(options.processes, context, one_thread) as pool:
        for future in as_completed([pool.submit(audit, one, folder, each) for one in missing]):
            print(future.result(), flush=True)


if __name__ == "__main__":
    main()
