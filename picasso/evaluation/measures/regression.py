"""Regression: the mean absolute error and R² of each value, on a table of values."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from picasso.evaluation import metrics
from picasso.evaluation.labeled_folder import abridged
from picasso.evaluation.measured import Measured, Row, Score
from picasso.evaluation.outputs import Progress, outputs_of
from picasso.evaluation.truth import tables
from picasso.evaluation.truth.files import counted
from picasso.models.base import Model

# Predictions that differ by less than this share of the true values are constant.
CONSTANT = 1e-3


def measure(model: Model, folder: Path, progress: Progress) -> Measured:
    """Return how well numbers are predicted."""
    names, unit = [str(name) for name in model.class_names()], model.spec.unit
    truth = tables.values(folder, names)
    files, unreadable = list(truth.of), list[str]()
    found = [(index, output) for index, output, _ in outputs_of(model, files, unreadable, progress)]
    there = np.stack([truth.of[files[index]] for index, _ in found])
    predicted = np.stack([output for _, output in found])
    errors, determined = metrics.mean_absolute_error(there, predicted), metrics.r_squared(there, predicted)

    def scores(error: float, share: float | None, *details: str) -> tuple[Score, ...]:
        first, second = details or ("", "")
        return Score("mean error", error, first, unit, fraction=False), Score("R²", share, second)

    rows = zip(names, errors.tolist(), determined.tolist(), strict=True)
    images = f"the mean absolute error in {counted(found, 'image')}"
    explained = "1 for perfect predictions, 0 if no better than the mean of the true values"
    return Measured(
        task=model.spec.task,
        images=len(found),
        scores=scores(float(errors.mean()), metrics.mean(determined), images, explained),
        noun="value",
        # A single value has the scores above.
        rows=tuple(Row(name, scores(error, share)) for name, error, share in rows) if len(names) > 1 else (),
        warnings=tuple(warnings_of(names, there, predicted, determined)),
        unreadable=tuple(unreadable),
        notes=truth.notes,
    )


def warnings_of(
    names: Sequence[str], there: NDArray[Any], predicted: NDArray[Any], determined: NDArray[np.float64]
) -> list[str]:
    """Return warnings about values that are constant, or predicted no better than by their mean."""
    found = []
    ranges = zip(names, np.ptp(there, axis=0), np.ptp(predicted, axis=0), predicted[0].tolist(), strict=True)
    constant = {
        name: first for name, wanted, given, first in ranges if len(there) > 1 and given <= CONSTANT * float(wanted)
    }
    for name, first in constant.items():
        found.append(
            f"{name} is predicted as {first:.4g} for all {len(there)} images: the value range of the input may be "
            "wrong."
        )
    poor = [name for name, share in zip(names, determined, strict=True) if share <= 0 and name not in constant]
    if poor:
        found.append(
            f"{abridged(poor)}: no better than always predicting the mean of the true values (R² is at most 0). The "
            "order of the values, their unit, or the value range of the input may be wrong."
        )
    return found
