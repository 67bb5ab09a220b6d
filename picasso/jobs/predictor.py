"""Predict the images of a session in the worker process, one part at a time, so that runs come in between."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from picasso.errors import Cancelled, PicassoError
from picasso.explanation.inputs import stored
from picasso.jobs.prediction_job import MAX_TOP, Predictions, Progress, Row, identity
from picasso.jobs.run import StoredImage
from picasso.models.base import Model

log = logging.getLogger(__name__)

# After this time, other jobs get their turn.
PART_SECONDS = 1.0


def predict_part(job: Predictions, load: Callable[[], Model], checkpoint: Callable[[], None]) -> None:
    """Predict images that have no row yet, for about :data:`PART_SECONDS`.

    The job is finished when all images have a row; otherwise it must be called again.

    Args:
        job: the predictions.
        load: returns the model.
        checkpoint: called between two batches.

    Raises:
        Cancelled: the predictions were cancelled or deleted.
        PicassoError: the model fails.
    """
    if job.is_stopped():
        raise Cancelled
    model, order, before = load(), job.order(), job.progress()
    images = order.images
    key = identity(model.card().as_dict())
    known = job.open(key, images)
    todo = [image for image in images if image["uid"] not in known]
    began, done = time.perf_counter(), 0

    def report() -> tuple[Progress, float]:
        seconds = time.perf_counter() - began
        total, computed = len(images), before.computed + done
        progress = Progress(total - len(todo) + done, total, computed, round(before.seconds + seconds, 3))
        job.report(progress)
        return progress, seconds

    while done < len(todo) and report()[1] < PART_SECONDS:
        if job.is_stopped():
            raise Cancelled
        some = todo[done : done + model.batch_size]
        job.append(predict(model, key, some))
        done += len(some)
        checkpoint()
    last, _ = report()
    if done == len(todo):
        job.finish(last, order)


def predict(model: Model, key: str, images: Sequence[StoredImage]) -> list[Row]:
    """Return the rows of one batch of images; an image that can't be read gets a row with the reason."""
    rows, inputs = list[Row](), list[tuple[Row, Any]]()
    for image in images:
        row = Row(uid=image["uid"], model=key, top=[])
        rows.append(row)
        try:
            # Preprocessed here, so that only one image at a time is in memory at full size.
            inputs.append((row, model.inputs_of([stored(image["path"], model)])[0]))
        except FileNotFoundError:
            row["error"] = "The image was removed before it was predicted."
        except PicassoError as error:
            row["error"] = error.message
    if inputs:
        outputs = model.predict(np.stack([array for _, array in inputs]))
        for (row, _), best in zip(inputs, model.decode(outputs), strict=True):
            row["top"] = list(best)[:MAX_TOP]
    return rows
