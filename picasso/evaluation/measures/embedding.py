"""Embedding: how often the most similar other image is of the same class, on one folder for each class."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from picasso.config import IMAGES
from picasso.errors import BadRequest
from picasso.evaluation import metrics
from picasso.evaluation.labeled_folder import abridged, images_by_folder, without_images
from picasso.evaluation.measured import Measured, Row, Score, near
from picasso.evaluation.outputs import Progress, outputs_of
from picasso.evaluation.truth.files import counted
from picasso.imaging import decode
from picasso.models.base import Model

# Embeddings whose cosine is above this are the same.
SAME = 1 - 1e-6


def measure(model: Model, folder: Path, progress: Progress) -> Measured:
    """Return how often images of the same class are most similar; the names of the folders are those of the classes."""
    by_folder = images_by_folder(folder)
    files = [file for some in by_folder.values() for file in some]
    if not files:
        raise without_images(folder)
    names, unreadable = [decode.display_name(path.name) for path in by_folder], list[str]()
    of_files = np.repeat(np.arange(len(names)), [len(some) for some in by_folder.values()])
    found = [(index, output) for index, output, _ in outputs_of(model, files, unreadable, progress)]
    classes = of_files[[index for index, _ in found]]
    vectors = np.stack([output for _, output in found])
    asked, right = metrics.retrieved(vectors, classes)
    if not len(asked):
        raise BadRequest(
            f"No class in {folder} has two images that can be read, so none can be found by its similarity to another.",
            field="folder",
        )
    rows = []
    for index, name in enumerate(names):
        own = right[classes[asked] == index]
        if len(own):
            rows.append(Row(name, (Score("retrieval@1", float(own.mean())),), f"{own.sum()} of {len(own)}"))
    loose = sorted(file.name for file in folder.iterdir() if file.is_file() and file.suffix.lower() in IMAGES)
    share, several = float(right.mean()), f"of {len(asked)} images, the most similar other one is of the same class"
    return Measured(
        task=model.spec.task,
        images=len(found),
        scores=(Score("retrieval@1", share, f"{right.sum()} {several}"),),
        rows=tuple(rows),
        warnings=tuple(warnings_of(vectors, classes, asked, share)),
        unreadable=tuple(unreadable),
        notes=tuple(notes_of(names, classes, loose)),
    )


def notes_of(names: Sequence[str], classes: NDArray[np.int64], loose: Sequence[str]) -> list[str]:
    """Return sentences on images in no folder of a class, and on classes with one image."""
    found = []
    if loose:
        shown = abridged([decode.display_name(name) for name in loose])
        found.append(f"{counted(loose, 'image')} without truth: {shown}.")
    single = [name for name, count in zip(names, np.bincount(classes, minlength=len(names)), strict=True) if count == 1]
    if single:
        number = counted(single, "class", "classes")
        found.append(f"{number} with a single image, which is not counted: {abridged(single)}.")
    return found


def warnings_of(vectors: NDArray[Any], classes: NDArray[np.int64], asked: NDArray[np.intp], share: float) -> list[str]:
    """Return a warning if all embeddings are equal, or if their similarity says nothing about the classes."""
    if len(np.unique(classes)) < 2:
        return ["All images are of one class, so the most similar one always is too. Add images of other classes."]
    first = vectors[0] / (np.linalg.norm(vectors[0]) or 1.0)
    lengths = np.linalg.norm(vectors, axis=1)
    if (vectors @ first >= SAME * lengths).all():
        return [f"The embeddings of all {len(vectors)} images have the same direction: the value range may be wrong."]
    sizes = np.bincount(classes)
    chance = float((sizes[classes[asked]] - 1).mean() / (len(classes) - 1))
    if near(share, chance, len(asked)):
        return [
            f"A retrieval@1 of {share:.3f} is what guessing gives ({chance:.3f}): the value range of the input or the "
            "order of the channels may be wrong."
        ]
    return []
