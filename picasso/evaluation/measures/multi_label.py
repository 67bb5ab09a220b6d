"""Multi-label classification: the accuracy and the average precision of each label, on a table of labels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from picasso.evaluation import metrics
from picasso.evaluation.measured import Measured, Row, Score
from picasso.evaluation.measures import classification
from picasso.evaluation.outputs import Progress, outputs_of
from picasso.evaluation.truth import tables
from picasso.models.base import Model

# The number of times that the images are shuffled to find the average precision of a model that guesses.
SHUFFLES = 9


def measure(model: Model, folder: Path, progress: Progress) -> Measured:
    """Return how well labels are predicted; without a table but with subfolders, each is named after a label."""
    if folder.is_dir() and not any(folder.glob("*.csv")) and any(path.is_dir() for path in folder.iterdir()):
        return classification.measure(model, folder, progress)
    names = [str(name) for name in model.class_names()]
    truth = tables.labels(folder, names)
    files, unreadable = list(truth.of), list[str]()
    found = [(index, output) for index, output, _ in outputs_of(model, files, unreadable, progress)]
    there = np.stack([truth.of[files[index]] for index, _ in found])
    scores = np.stack([output for _, output in found])
    accuracies, precisions = metrics.label_accuracies(there, scores), metrics.label_average_precisions(there, scores)
    mean = metrics.mean(precisions)
    rows = [
        Row(
            name,
            (Score("accuracy", accuracy), Score("average precision", precise)),
            f"accuracy {accuracy:.3f}, {described(precise, int(count), len(found))}",
        )
        for name, accuracy, precise, count in zip(names, accuracies, precisions, there.sum(axis=0), strict=True)
    ]
    return Measured(
        task=model.spec.task,
        images=len(found),
        scores=(
            Score("mean AP", mean, "average precision, the mean over the labels"),
            Score("accuracy", float(accuracies.mean()), "with a threshold of 0.5, the mean over the labels"),
        ),
        noun="label",
        rows=tuple(rows),
        warnings=tuple(warnings_of(there, scores, mean)),
        unreadable=tuple(unreadable),
        notes=truth.notes,
    )


def described(precise: float, count: int, images: int) -> str:
    """Return the average precision of a label as text, with the number of images that have it."""
    return f"average precision {precise:.3f}, in {count} of {images} images" if count else f"in none of {images} images"


def warnings_of(there: NDArray[np.bool_], scores: NDArray[Any], mean: float | None) -> list[str]:
    """Return a warning if the predictions are no better than those for other images."""
    if mean is None or len(there) < 2:
        return []
    generator = np.random.default_rng(0)
    shuffled = [generator.permutation(len(there)) for _ in range(SHUFFLES)]
    chance = [metrics.mean(metrics.label_average_precisions(there, scores[order])) or 0.0 for order in shuffled]
    if mean > max(chance):
        return []
    return [
        f"The mean average precision of {mean:.3f} is what guessing gives ({float(np.mean(chance)):.3f}): the order of "
        "the labels, the value range or the order of the channels may be wrong."
    ]
