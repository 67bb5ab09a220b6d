"""Train the whole network on original and counterfactual images, which are changed at random."""

from __future__ import annotations

import functools
import time
from collections.abc import Sequence
from itertools import chain
from pathlib import Path

import numpy as np

from picasso.audit.audit import Audit
from picasso.audit.dataset import Folder, encoded, pixels
from picasso.audit.properties import Images
from picasso.mending.candidate import Candidate, Wrap, answered, audited
from picasso.mending.counterfactuals import Alarm, affordable, counterfactuals, unchanged
from picasso.mending.fitting import Numbers, Rows, Values, assign_folds
from picasso.mending.measuring import by_group
from picasso.mending.outcome import GroupAccuracy, Progress, WorstGroup, part
from picasso.mending.randomised import Randomisation
from picasso.models.base import Model
from picasso.models.head import Head

# The number of parts of the training, the images drawn for each, and the learning rate of Adam, which rises during the
# first parts, because a network may collapse at once otherwise, and falls to zero.
PARTS, CHUNK, RATE, WARM = 120, 256, 5e-4, 10
# Draws of each change, and the largest number of bytes of all images.
DRAWS, MAX_BYTES = 6, 500_000_000
# The number of images that are randomised at once, to bound the memory.
SLICE = 32
# The part of the folder that is held out: the first.
HELD = 0
# The share of the progress for the training; the rest is for the audit.
TRAINING = 0.8
# The number of images whose prediction is timed.
TIMED = 64


def seconds(model: Model, folder: Folder) -> float:
    """Return roughly how long the training takes, from the time of one prediction."""
    views = next(iter(folder.views.values()))[:TIMED]
    started = time.perf_counter()
    answered(model, views)
    # The way back takes about twice as long.
    return 3 * PARTS * CHUNK * (time.perf_counter() - started) / len(views)


class TrainingImages:
    """Original and counterfactual images as bytes.

    Args:
        first: the audit of the model.
        known: the alarms.
    """

    def __init__(self, first: Audit, known: Sequence[Alarm]) -> None:
        context, views, targets, groups, folds, changed = first.context, [], [], [], [], []
        names: dict[tuple[str, int], int] = {}
        size = int(np.prod(next(iter(context.folder.views.values())).shape[1:]))
        draws = affordable(context, known, DRAWS, size, MAX_BYTES)
        for one in chain(unchanged(context), counterfactuals(context, known, draws)):
            count = len(one.views)
            views.append(pixels(one.views))
            targets.append(np.full(count, one.target))
            groups.append(np.full(count, names.setdefault((one.change, one.target), len(names))))
            changed.append(np.full(count, one.changed))
            folds.append(assign_folds(count, one.target, context.seed))
        self.views, self.targets = np.concatenate(views), np.concatenate(targets)
        self.groups, self.folds, self.changed = (np.concatenate(some) for some in (groups, folds, changed))
        rows = Rows(np.empty((len(self.targets), 0), np.float32), self.targets, self.groups, self.folds, self.changed)
        self.weights = rows.weights

    def images(self, rows: Numbers) -> Images:
        """Return some images as fractions, ``(n, H, W, C)``."""
        found = self.views[rows].astype(np.float32) / np.float32(255)
        return found if found.ndim == 4 else found[..., None]

    def groups_right(self, model: Model, rows: Numbers) -> GroupAccuracy:
        """Return the accuracy of a model in the groups of some rows."""
        size = max(model.batch_size, 64)
        parts = [self.images(rows[start : start + size]) for start in range(0, len(rows), size)]
        best = np.concatenate([answered(model, some).argmax(axis=1) for some in parts])
        targets = self.targets[rows]
        return by_group(best == targets, targets, self.groups[rows], self.changed[rows])


def trained(first: Audit, known: Sequence[Alarm], drafts: Path, progress: Progress, wrap: Wrap) -> Candidate:
    """Return a copy of a model whose layers were all trained; a quarter of the images is held out.

    Args:
        first: the audit of the model.
        known: the alarms.
        drafts: the folder for the copy.
        progress: called with the completed fraction and what is being done.
        wrap: applied to the copy.
    """
    images = TrainingImages(first, known)
    rows = np.arange(len(images.targets))
    fitted, held = rows[images.folds != HELD], rows[images.folds == HELD]
    old, start, file = first.model.head(), drafts / "start.keras", drafts / "trained.keras"
    # The model in memory stays the same.
    old.write(old.weights, start)
    head = old.reload(start).head()
    train(first, head, images, known, fitted, part(progress, 0, TRAINING))
    head.write(head.weights, file)
    model = wrap(head.reload(file))
    before, after = images.groups_right(first.model, held), images.groups_right(model, held)
    audit = audited(model, first, part(progress, TRAINING, 1), "auditing the mended model")
    return Candidate(
        file=file,
        audit=audit,
        held={
            target: assign_folds(len(some), target, first.context.seed) == HELD
            for target, some in first.folder.logits.items()
        },
        held_logits={target: np.asarray(some, np.float64) for target, some in audit.folder.logits.items()},
        held_answer=DeepAnswers(model),
        worst=WorstGroup.of(before, after),
        deep=True,
    )


class DeepAnswers:
    """The logits of images by a trained network."""

    def __init__(self, model: Model) -> None:
        self._model = model

    def __call__(self, views: Images, target: int) -> Values:
        """Return the logits ``(n, K)``."""
        return answered(self._model, views)


def train(
    first: Audit, head: Head, images: TrainingImages, known: Sequence[Alarm], rows: Numbers, progress: Progress
) -> None:
    """Train a network on randomly drawn and changed images.

    Args:
        first: the audit of the old model.
        head: that of the network.
        images: the images.
        known: the alarms.
        rows: the images to draw from.
        progress: called before each batch.
    """
    model, context = first.model, first.context
    names = dict.fromkeys(one.intervention for one in known)
    randomised = Randomisation(context.folder.views, [context.named(name) for name in names])
    shares = images.weights[rows] / images.weights[rows].sum()
    fixed = model.fixed_batch or 1
    count = -(-CHUNK // fixed) * fixed
    for number in range(PARTS):
        generator = np.random.default_rng([context.seed, number])
        some = generator.choice(rows, count, p=shares)
        parts = np.array_split(some, -(-count // SLICE))
        views = np.concatenate([randomised(images.images(one), images.targets[one], generator) for one in parts])
        head.train(
            encoded(model, views),
            images.targets[some],
            np.ones(count, np.float32),
            rate=RATE * min(1.0, (number + 1) / WARM) * (1 + np.cos(np.pi * number / PARTS)) / 2,
            seed=number,
            between=functools.partial(progress, number / PARTS, "training all layers"),
        )
