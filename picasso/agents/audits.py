"""The audit as a tool: of a folder that may be read, with its report in the output folder."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from picasso.agents.allowed_files import AllowedFiles
from picasso.agents.answer import MAX_SHOWN, Answer
from picasso.audit import audit, object_masks
from picasso.audit.catalogue import catalogue
from picasso.audit.dataset import require_classifier
from picasso.audit.reading import read
from picasso.audit.reporting import report
from picasso.audit.selection import MAX_UPLOADED, PAIRS
from picasso.audit.trial import TrialContext
from picasso.config import Settings
from picasso.errors import BadRequest, TooLarge
from picasso.evaluation import labeled_folder
from picasso.models.base import Model

# The share of the progress for reading the images.
READING = 0.2
# The share of RUN_MINUTES for the tests; the rest is for reading the images and writing the report.
TESTING = 0.75
# What the answer says of a finding.
FIELDS = ("name", "alarm", "tier", "sentence", "caveat", "advice")


def run_audit(
    model: Model,
    settings: Settings,
    files: AllowedFiles,
    folder: Path,
    out: Path,
    pairs: int = PAIRS,
    progress: Callable[[float], None] = lambda fraction: None,
) -> Answer:
    """Audit a model and return the verdict and the findings, with the evidence as images, before and after.

    Args:
        model: the model.
        settings: limit the time and the size of an image, and name further interventions.
        files: what may be read.
        folder: contains a folder of images for each class.
        out: the folder for the report, which does not exist yet.
        pairs: the number of pairs of classes to compare; 0 for all.
        progress: called with the progress, 0..1.

    Raises:
        BadRequest: the model is no classifier, the images are not suitable, or a link leads out of the folders.
        TooLarge: the folder has more images than an audit of the server may have.
    """
    require_classifier(model)
    images = labeled_folder.find(model, folder)
    if len(images) > MAX_UPLOADED:
        raise TooLarge(
            f"{folder} has {len(images):,} images; at most {MAX_UPLOADED:,} are audited. Name a smaller one."
        )
    masks = object_masks.folder_of(folder)
    masks = masks if masks is not None and files.allows(masks) else None
    for one in images:
        require_below(files, one.file)
        if masks is not None:
            require_below(files, object_masks.file_of(masks, one.file))
    found = read(
        model,
        images,
        lambda fraction: progress(READING * fraction),
        masks=masks,
        limit=settings.MAX_MEGAPIXELS,
        pairs=pairs,
    )
    context = TrialContext(model, found, 0, catalogue(settings.intervention_files()))
    done = audit.run(
        context,
        audit.plan(context, pairs),
        budget=60 * TESTING * settings.RUN_MINUTES,
        progress=lambda fraction: progress(READING + (1 - READING) * fraction),
    )
    out.parent.mkdir(parents=True, exist_ok=True)
    report.write(done, out)
    return audit_answer(out)


def require_below(files: AllowedFiles, path: Path) -> None:
    """Raise a BadRequest if a file is a link that leads out of the folders."""
    if not files.allows(path):
        raise BadRequest(
            f"{path.parent.name}/{path.name} is a link that leads out of the folders that may be read. Remove it, or "
            "start picasso mcp with its folder, too.",
            field="folder",
        )


def audit_answer(folder: Path) -> Answer:
    """Return the answer for the folder of an audit, from its files."""
    written = json.loads((folder / "audit.json").read_text(encoding="utf-8"))
    document = {
        "result": folder.name,
        "report": str((folder / "report.html").resolve()),
        "verdict": written["verdict"],
        "accuracy": {name: written["accuracy"][name] for name in ("right", "images")},
        "findings": [{name: one[name] for name in FIELDS} for one in written["findings"]],
    }
    # One example of each finding.
    evidence = sorted((folder / "evidence").glob("*-0-*.png"), key=evidence_order)
    return Answer.of(document, [file.read_bytes() for file in evidence[:MAX_SHOWN]])


def evidence_order(file: Path) -> tuple[bool, int, bool]:
    """Return the sort key of an image of the evidence: its finding, then the image before the change first."""
    number, _, when = file.stem.split("-")
    # What came closest to a finding has a word instead of a number.
    return (not number.isdecimal(), int(number) if number.isdecimal() else 0, when == "after")
