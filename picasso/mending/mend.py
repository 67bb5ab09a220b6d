"""Mend a model: retrain its last layer on counterfactual images, audit the copy, and repeat if something else rose."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from picasso import fileio
from picasso.audit.audit import Audit
from picasso.errors import BadRequest
from picasso.evaluation.labeled_folder import LabeledImage
from picasso.mending import deep, document, last_layer
from picasso.mending.candidate import Wrap
from picasso.mending.judging import judged
from picasso.mending.measuring import alarms_of
from picasso.mending.outcome import Mending, Progress, part

# How often a model is mended and audited at most.
ROUNDS = 3
MANY = (
    "A model can't be mended by this audit, which read only some of its many classes: audit a folder of fewer classes."
)
NOTHING = "There is nothing to mend: the audit raised no alarm."


def silently(fraction: float, what: str) -> None:
    """Ignore the progress."""


def check(out: Path) -> None:
    """Raise BadRequest if the mended model can't be written to a path; no file is overwritten."""
    if out.suffix != ".keras":
        raise BadRequest(f"The mended model is a .keras file, so it can't be called {out.name}.", field="out")
    for file in (out, document.beside(out)):
        if file.exists():
            raise BadRequest(f"{file.name} exists, and no file is overwritten. Choose another name.", field="out")


def mend(
    first: Audit,
    out: Path,
    *,
    rounds: int = ROUNDS,
    train_all: bool = False,
    fair: Sequence[LabeledImage] = (),
    progress: Progress = silently,
    wrap: Wrap = lambda model: model,
) -> Mending:
    """Mend a model that an audit found to rely on a shortcut.

    The last layer is retrained on the features of the images and of their counterfactuals for all alarms at once. The
    copy is audited with the same images (of large folders, with the first block). If that raises new alarms, their
    counterfactuals are added, and the layer is retrained again, because a mended model may turn to another shortcut (Li
    et al., 2023, arXiv 2212.04825).

    Args:
        first: the audit of the model.
        out: the ``.keras`` file for the copy; the numbers are written beside it as JSON.
        rounds: how often the model is mended and audited at most.
        train_all: whether to train the whole network, too, and to take the better copy (see
            :attr:`picasso.mending.outcome.Mending.rank`); the last layer is then retrained once.
        fair: images that are only measured.
        progress: called with the completed fraction and what is being done.
        wrap: applied to each mended model before it is used.

    Raises:
        BadRequest: the file exists or does not end in ``.keras``, or the audit has not read all classes.
        ModelError: the model has no last dense layer that can be replaced.
    """
    check(out)
    known = alarms_of(first)
    names = tuple(str(name) for name in first.model.class_names())
    if not known:
        return Mending(False, NOTHING, class_names=names)
    if first.folder.look:
        raise BadRequest(MANY)
    head = first.model.head()
    with fileio.room_on_disk(), tempfile.TemporaryDirectory(prefix=".mending-", dir=out.parent) as drafts:
        share = 0.4 if train_all else 1.0
        # All layers are trained from the old weights, so further rounds of the last one alone would take time in vain.
        rounds = 1 if train_all else rounds
        found = last_layer.candidates(first, head, known, Path(drafts), rounds, part(progress, 0, share), wrap)
        best = min(found, key=lambda one: one.rank(known))
        done = judged(first, best, known, fair, len(found), offer_all=not train_all)
        if train_all:
            trained = deep.trained(first, known, Path(drafts), part(progress, share, 1), wrap)
            better = judged(first, trained, known, fair, len(found) + 1, offer_all=False)
            # Fair images are never used to choose.
            if better.rank > done.rank:
                best, done = trained, better
        progress(1.0, "")
        if done.mended:
            # Created first, so that a file that appeared in the meantime is not replaced.
            out.touch(exist_ok=False)
            best.file.replace(out)
            done = replace(done, file=out)
            document.write(done, first, out)
    return done
