"""Which concept each finding of an audit changes most, by the images of its evidence."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from picasso.errors import BadRequest, PicassoError
from picasso.explanation.inputs import image_from
from picasso.inside.concept_card import SharedFinding
from picasso.inside.factors import Factors
from picasso.models.arrays import Array
from picasso.models.base import Model


class AuditFinding(NamedTuple):
    """A finding of an audit and the images of its evidence.

    Attributes:
        name: its name.
        sentence: what the audit says about it.
        before: the files of the images before the change.
        after: the same after it.
    """

    name: str
    sentence: str
    before: list[Path]
    after: list[Path]


def read_findings(file: Path) -> list[AuditFinding]:
    """Return the findings of an audit that have evidence.

    Args:
        file: the ``audit.json``, with the folder ``evidence`` beside it.

    Raises:
        BadRequest: the file can't be read, or is no document of an audit.
    """
    try:
        return [
            AuditFinding(
                str(one["name"]),
                str(one["sentence"]),
                [evidence(file.parent, shown["before"]) for shown in one["shown"]],
                [evidence(file.parent, shown["after"]) for shown in one["shown"]],
            )
            for one in json.loads(file.read_text(encoding="utf-8"))["findings"]
            if one["shown"]
        ]
    except OSError as error:
        raise BadRequest(f"{file} can't be read: {error.strerror}.") from error
    except (ValueError, KeyError, TypeError) as error:
        raise BadRequest(
            f"{file} is no audit.json: it has no findings with their evidence. Give that of an audit of this model."
        ) from error


def shared_findings(
    model: Model, layer: str, factors: Factors, findings: Sequence[AuditFinding]
) -> dict[int, list[SharedFinding]]:
    """Return findings of an audit, by the index of the concept whose coefficients they change most.

    The evidence for a finding consists of images before and after a change that moves the prediction. The model looks
    at both, and the changes of the coefficients are compared.

    Args:
        model: the model that was audited.
        layer: the name of the layer.
        factors: the concepts.
        findings: the findings.

    Raises:
        BadRequest: an image of the evidence can't be read.
    """
    found: dict[int, list[SharedFinding]] = {}
    for one in findings:
        before, after = (maps_of(model, layer, files) for files in (one.before, one.after))
        which, shared = compared(factors, before, after)
        if which is not None:
            found.setdefault(which, []).append(SharedFinding(one.name, one.sentence, len(before), *shared))
    return found


def evidence(folder: Path, name: Any) -> Path:
    """Return a file of the evidence; no name leads out of its folder."""
    return folder / "evidence" / Path(str(name)).name


def maps_of(model: Model, layer: str, files: list[Path]) -> Array:
    """Return the feature maps of images that are stored as the model saw them, or enlarged."""
    height, width, _ = model.input_shape
    found = []
    for file in files:
        try:
            image = image_from(file, 0, None, model).image
        except PicassoError as error:
            raise BadRequest(f"The evidence of the audit can't be read. {error.message}") from error
        view = image if image.size == (width, height) else image.resize((width, height), Image.Resampling.BOX)
        found.append(model.feature_maps(model.encode([view]), layer)[0])
    return np.stack(found)


def compared(factors: Factors, before: Array, after: Array) -> tuple[int | None, tuple[float, float, float, float]]:
    """Return the concept that changes most, its share in the changes, its mean before and after, and what is explained.

    None if no coefficient changes.
    """
    first, second = factors.coefficients(before), factors.coefficients(after)
    changes = np.abs(second - first).sum(axis=(0, 1, 2), dtype=np.float64)
    whole = float(np.square(after - before, dtype=np.float64).sum())
    if not changes.any() or not whole:
        return None, (0.0, 0.0, 0.0, 0.0)
    which = int(changes.argmax())
    rest = float(np.square((after - before) - (second - first) @ factors.directions, dtype=np.float64).sum())
    earlier, later = (float(one[..., which].mean(dtype=np.float64)) for one in (first, second))
    return which, (float(changes[which] / changes.sum()), earlier, later, max(0.0, 1 - rest / whole))
