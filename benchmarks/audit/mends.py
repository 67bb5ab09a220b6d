"""Mend the models that the audit found to rely on their proxy, and measure how much the copies rely on it.

    python -m benchmarks.audit.mends FOLDER --half tuning

FOLDER is that of ``benchmarks.audit.audits``, whose stored trials are used. Stored results are kept.
"""

from __future__ import annotations

import multiprocessing
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.audit.audits import command, file_of, opened, trials_of
from benchmarks.audit.entries import Entry
from benchmarks.audit.models import measured
from benchmarks.audit.networks import Bytes, Labels, one_thread
from benchmarks.audit.results import WEAK, audited
from picasso import fileio
from picasso.audit.audit import Audit
from picasso.audit.dataset import logits
from picasso.audit.interventions import INTERVENTIONS
from picasso.audit.trial import TrialContext
from picasso.mending.mend import mend
from picasso.models import load_model
from picasso.models.base import Model


def mend_entry(entry: Entry, folder: Path, each: int, *, deep: bool = False) -> str:
    """Mend the model of an entry, measure the copy, and write both measurements."""
    model, images = opened(entry, folder, each)
    stored = fileio.read_json(file_of(entry, folder, each))
    context = TrialContext(model, images, interventions=INTERVENTIONS)
    started = time.process_time()
    with tempfile.TemporaryDirectory() as drafts:
        out = Path(drafts) / "mended.keras"
        done = mend(Audit(context, trials_of(stored), ()), out, train_all=deep)
        seconds = time.process_time() - started
        written: dict[str, Any] = {
            "mended": done.mended,
            "sentence": done.sentence,
            "deep": done.deep,
            "rounds": done.rounds,
            "seconds": seconds,
            "before": measured(entry, lambda some: answers(model, some)),
            "effects": [[one.intervention, one.size_before, one.size_after] for one in done.effects],
            "rises": [[one.intervention, one.before, one.after, one.alarm] for one in done.rises],
        }
        if done.file:
            # The same as of the model: what would be guessed from the file may differ.
            copy = load_model(done.file, labels=[str(one) for one in model.class_names()], preprocess="0..255")
            written["after"] = measured(entry, lambda some: answers(copy, some))
    fileio.write_json(mend_file(entry, folder, deep=deep), written)
    return f"{entry.name}: {done.sentence}"


def answers(model: Model, images: Bytes) -> Labels:
    """Return the most probable classes of images."""
    return np.asarray(logits(model, np.asarray(images / np.float32(255), np.float32)).argmax(axis=1), np.int64)


def mend_file(entry: Entry, folder: Path, *, deep: bool) -> Path:
    """Return the path of the result of mending a model."""
    return folder / f"{entry.name}.{'deep' if deep else 'mend'}.json"


def main() -> None:
    """Mend the models without results."""
    parser = command(__doc__)
    parser.add_argument("--deep", action="store_true", help="train the whole network, too")
    options = parser.parse_args()
    folder, each = options.folder, options.images
    found = [
        one.entry
        for one in audited(folder, options.half, each)
        if one.entry.kind == "planted"
        and one.accused
        and one.reliance >= WEAK
        and options.only in one.entry.name
        and not mend_file(one.entry, folder, deep=options.deep).exists()
    ]
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(options.processes, context, one_thread) as pool:
        for future in as_completed([pool.submit(mend_entry, one, folder, each, deep=options.deep) for one in found]):
            print(future.result(), flush=True)


if __name__ == "__main__":
    main()
