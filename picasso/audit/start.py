"""Where an audit starts, from Python."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from picasso.audit import audit as auditing
from picasso.audit.audit import Audit, silently
from picasso.audit.catalogue import checked
from picasso.audit.dataset import read
from picasso.audit.interventions import INTERVENTIONS, Intervention
from picasso.audit.reporting import report
from picasso.audit.selection import PAIRS
from picasso.audit.trial import TrialContext
from picasso.evaluation import labeled_folder
from picasso.models.base import Model


def audit_model(
    model: Model,
    folder: Path | str,
    out: Path | str | None = None,
    *,
    pairs: int = PAIRS,
    budget: float = float("inf"),
    seed: int = 0,
    interventions: Sequence[Intervention] = INTERVENTIONS,
    progress: Callable[[float], None] = silently,
) -> Audit:
    """Look for what a model goes by instead of the thing.

    Args:
        model: the model, as :func:`picasso.models.load_model` returns it.
        folder: has a folder of images for each class, named after it.
        out: where the report is written, and what was tried is kept so that an audit that was killed goes on; None
            writes nothing.
        pairs: of how many pairs of classes, the most finding first; 0 for all.
        budget: seconds after which no further pair is begun; the first is always done.
        seed: for whatever is drawn at random.
        interventions: what is tried.
        progress: called with the fraction done.

    Raises:
        BadRequest: there is no such folder, fewer than two classes have enough images, or an intervention is of no
            known kind.
    """
    tried = checked(interventions)
    images = read(model, labeled_folder.find(model, Path(folder)), silently)
    context, keep = TrialContext(model, images, seed, tried), None
    if out is not None:
        Path(out).mkdir(parents=True, exist_ok=True)
        keep = Path(out) / "trials"
    audit = auditing.run(context, auditing.plan(context, pairs), keep=keep, budget=budget, progress=progress)
    if out is not None:
        report.write(audit, Path(out))
    return audit
