"""Which concept each finding of an audit is about, by the images of its evidence."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
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
        before: the files of the n images before the change.
        after: the same after it.
        classes: the indices of the class of each image and of the one that it was changed towards, ``(n, 2)``.
    """

    name: str
    sentence: str
    before: list[Path]
    after: list[Path]
    classes: NDArray[np.int64]


def read_findings(file: Path, names: Sequence[str]) -> list[AuditFinding]:
    """Return the findings of an audit, without those that are no more than informative.

    Args:
        file: the ``audit.json``, with the folder ``evidence`` beside it.
        names: the names of the model's classes.

    Raises:
        BadRequest: the file can't be read, or is no document of an audit of a model with these classes.
    """
    try:
        findings = [
            one
            for one in json.loads(file.read_text(encoding="utf-8"))["findings"]
            if one["tier"] != "informative" and one["shown"]
        ]
        return [
            AuditFinding(
                str(one["name"]),
                str(one["sentence"]),
                [evidence(file.parent, shown["before"]) for shown in one["shown"]],
                [evidence(file.parent, shown["after"]) for shown in one["shown"]],
                np.array([[names.index(shown[which]) for which in ("class", "towards")] for shown in one["shown"]]),
            )
            for one in findings
        ]
    except OSError as error:
        raise BadRequest(f"{file} can't be read: {error.strerror}.") from error
    # A class that the model does not have is a ValueError, too.
    except (ValueError, KeyError, TypeError) as error:
        raise BadRequest(f"{file} is no audit.json of this model, with findings and their evidence.") from error


def evidence(folder: Path, name: Any) -> Path:
    """Return a file of the evidence; no name leads out of its folder."""
    return folder / "evidence" / Path(str(name)).name


def shared_findings(
    model: Model, layer: str, factors: Factors, findings: Sequence[AuditFinding]
) -> dict[int, list[SharedFinding]]:
    """Return the findings of an audit, by the index of the concept that they are about.

    The evidence for a finding consists of images before and after a change that moves the prediction. The coefficients
    of one concept alone are changed as they change between both, and the network is computed again from the layer on:
    the finding is about the concept that moves the predictions most. Findings of which no concept moves them are left
    out.

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
        *single, together = moved(model, layer, factors, one)
        which = int(np.argmax(single))
        if single[which] > 0:
            shared = SharedFinding(one.name, one.sentence, len(one.before), single[which], together)
            found.setdefault(which, []).append(shared)
    return found


def moved(model: Model, layer: str, factors: Factors, finding: AuditFinding) -> list[float]:
    """Return how far each of r concepts alone, and then all of them, move the predictions as a finding does.

    They are shares of the change of the margin between the logits of both classes, summed over the images; 0 if the
    margin does not change.
    """
    count, size = len(factors.parts), model.batch_size
    # None of the concepts, each alone, all of them.
    choices = np.concatenate([np.zeros((1, count)), np.eye(count), np.ones((1, count))])
    totals = np.zeros(count + 2)
    for start in range(0, len(finding.before), size):
        chosen = slice(start, start + size)
        before, after = (inputs_of(model, files[chosen]) for files in (finding.before, finding.after))
        maps, changed = (model.feature_maps(one, layer) for one in (before, after))
        rises = factors.coefficients(changed) - factors.coefficients(maps)
        replaced = (np.asarray(maps + rises * one @ factors.directions, np.float32) for one in choices)
        margins = [margin(one.scores, finding.classes[chosen]) for one in model.predict_from(before, replaced, layer)]
        (whole,) = (margin(one.scores, finding.classes[chosen]) for one in model.predict_from(after, [changed], layer))
        totals += [margins[0] - one for one in (*margins[1:], whole)]
    *parts, whole = totals.tolist()
    return [part / whole if whole else 0.0 for part in parts]


def margin(scores: Array, classes: NDArray[np.int64]) -> float:
    """Return the sum of the differences between the scores of two classes of each image."""
    rows = np.arange(len(scores))
    ours, theirs = classes.T
    return float((scores[rows, ours].astype(np.float64) - scores[rows, theirs]).sum())


def inputs_of(model: Model, files: Sequence[Path]) -> Array:
    """Return the inputs for images that are stored as the model saw them, or enlarged, ``(n, H, W, C)``."""
    height, width, _ = model.input_shape
    views = []
    for file in files:
        try:
            image = image_from(file, 0, None, model).image
        except PicassoError as error:
            raise BadRequest(f"The evidence of the audit can't be read. {error.message}") from error
        same = image.size == (width, height)
        views.append(image if same else image.resize((width, height), Image.Resampling.BOX))
    return model.encode(views)
