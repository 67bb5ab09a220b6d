"""Train the whole network on original and counterfactual images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from picasso.audit.audit import Audit
from picasso.audit.dataset import encoded, pixels
from picasso.audit.properties import Images
from picasso.mending.candidate import Candidate, Wrap, answered, audited
from picasso.mending.counterfactuals import Alarm, counterfactuals, unchanged
from picasso.mending.fitting import Numbers, Rows, Values, accuracies, assign_folds
from picasso.mending.outcome import Progress, WorstGroup, part
from picasso.models.base import Model
from picasso.models.head import Head

# Epochs, the learning rate of Adam, draws of each change, and the number of images that are encoded at once.
EPOCHS, RATE, DRAWS, CHUNK = 8, 3e-4, 2, 512
# The part of the folder that is held out: the first.
HELD = 0
# The share of the progress for the training; the rest is for the audit.
TRAINING = 0.7


class TrainingImages:
    """Original and counterfactual images as bytes.

    Args:
        first: the audit of the model.
        known: the alarms.
    """

    def __init__(self, first: Audit, known: Sequence[Alarm]) -> None:
        context, views, targets, groups, folds, changed = first.context, [], [], [], [], []
        names: dict[tuple[str, int], int] = {}
        for one in (*unchanged(context), *counterfactuals(context, known, DRAWS)):
            count = len(one.views)
            views.append(pixels(one.views))
            targets.append(np.full(count, one.target))
            groups.append(np.full(count, names.setdefault((one.change, one.target), len(names))))
            changed.append(np.full(count, one.changed))
            folds.append(assign_folds(count, one.target, context.seed))
        self.views, self.targets = np.concatenate(views), np.concatenate(targets)
        self.groups, self.folds, self.changed = (np.concatenate(some) for some in (groups, folds, changed))
        rows = Rows(np.empty((len(self.targets), 0), np.float32), self.targets, self.groups, self.folds, self.changed)
        self.weights = rows.weights.astype(np.float32)

    def images(self, rows: Numbers) -> Images:
        """Return some images as fractions, ``(n, H, W, C)``."""
        found = self.views[rows].astype(np.float32) / np.float32(255)
        return found if found.ndim == 4 else found[..., None]

    def groups_right(self, model: Model, rows: Numbers) -> tuple[float, float]:
        """Return the accuracy of a model in the worst group of some rows, and the mean over groups."""
        best = answered(model, self.images(rows)).argmax(axis=1)
        found = accuracies(best == self.targets[rows], self.groups[rows])
        return float(found.min()), float(found.mean())


def trained(
    first: Audit, start: Candidate, known: Sequence[Alarm], drafts: Path, progress: Progress, wrap: Wrap
) -> Candidate:
    """Return a copy of a candidate whose layers were all trained for a few epochs; a quarter is held out.

    The epoch that is best on held-out images is taken.
    """
    images, report = TrainingImages(first, known), part(progress, 0, TRAINING)
    rows = np.arange(len(images.targets))
    fitted, held = rows[images.folds != HELD], rows[images.folds == HELD]
    # The head of the copy itself was fitted to the held-out images, too.
    old, file = first.model.head(), drafts / "start.keras"
    old.write(start.without_first or old.weights, file)
    head = old.reload(file).head()
    score, best, mended = (-1.0, -1.0), start.file, start.audit.model
    for epoch in range(EPOCHS):
        one_epoch(first.model, head, images, fitted, epoch, part(report, epoch / EPOCHS, (epoch + 1) / EPOCHS))
        file = drafts / f"epoch-{epoch}.keras"
        head.write(head.weights, file)
        model = wrap(head.reload(file))
        if (found := images.groups_right(model, held)) > score:
            score, best, mended = found, file, model
    audit = audited(mended, first, part(progress, TRAINING, 1), "auditing the mended model")
    before = images.groups_right(first.model, held)
    return Candidate(
        file=best,
        audit=audit,
        held={
            target: assign_folds(len(some), target, first.context.seed) == HELD
            for target, some in first.folder.logits.items()
        },
        held_logits={target: np.asarray(some, np.float64) for target, some in audit.folder.logits.items()},
        held_answer=DeepAnswers(mended),
        worst=WorstGroup(before[0], score[0], before[1], score[1]),
        deep=True,
    )


class DeepAnswers:
    """The logits of images by a trained network."""

    def __init__(self, model: Model) -> None:
        self._model = model

    def __call__(self, views: Images, target: int) -> Values:
        """Return the logits ``(n, K)``."""
        return answered(self._model, views)


def one_epoch(
    model: Model, head: Head, images: TrainingImages, rows: NDArray[np.int64], epoch: int, progress: Progress
) -> None:
    """Train a network with each image once."""
    order = np.random.default_rng(epoch).permutation(rows)
    for start in range(0, len(order), CHUNK):
        some = order[start : start + CHUNK]
        share = start / len(order)

        def between(share: float = share) -> None:
            progress(share, f"training all layers: epoch {epoch + 1} of {EPOCHS}")

        head.train(
            encoded(model, images.images(some)),
            images.targets[some],
            images.weights[some],
            rate=RATE,
            seed=epoch,
            between=between,
        )
