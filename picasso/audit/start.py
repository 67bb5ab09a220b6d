"""The Python entry point of an audit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from picasso.audit import object_masks
from picasso.audit.audit import Audit, plan, run, silently
from picasso.audit.catalogue import checked
from picasso.audit.dataset import require_classifier
from picasso.audit.interventions import INTERVENTIONS, Intervention
from picasso.audit.reading import read
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
    masks: Path | str | None = None,
    progress: Callable[[float], None] = silently,
) -> Audit:
    """Test which properties of images a model relies on instead of the object.

    Args:
        model: the model, as :func:`picasso.models.load_model` returns it.
        folder: contains one folder of images for each class, named after the class.
        out: the folder for the report and the completed trials, from which an interrupted audit continues; None writes
            nothing.
        pairs: the number of pairs of classes to compare, those most likely to show a shortcut first; 0 for all.
        budget: seconds after which no further intervention is tested; the audit says what was left.
        seed: the seed of all random draws.
        interventions: the interventions to test.
        masks: contains a mask of the object for each image; by default the folder ``masks`` beside that of the images,
            if there is one. Without masks, the object is assumed to be where the model looks.
        progress: called with the completed fraction.

    Raises:
        BadRequest: the model is no classifier, the folder does not exist, fewer than two classes have enough images, or
            an intervention has an unknown kind.

    Examples:
        >>> import tempfile
        >>> from pathlib import Path
        >>> import numpy as np
        >>> from PIL import Image
        >>> import picasso
        >>> from picasso.audit.interventions.quantile_match import PropertyChange
        >>> from picasso.audit.properties import PROPERTIES
        >>> from picasso.examples.brightness import BrightnessModel
        >>> images = Path(tempfile.mkdtemp())
        >>> for name, light in (("dark", 40), ("bright", 200)):
        ...     (images / name).mkdir()
        ...     for seed in range(8):
        ...         pixels = np.random.default_rng([light, seed]).normal(light, 20, (8, 8))
        ...         Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(images / name / f"{seed}.png")
        >>> model = BrightnessModel()
        >>> model.load()
        >>> audit = picasso.audit_model(model, images, interventions=[PropertyChange(PROPERTIES[0])])
        >>> audit.verdict.sentence()
        'The model appears to rely on brightness rather than on the object.'
    """
    tried = checked(interventions)
    require_classifier(model)
    drawn = object_masks.folder_of(Path(folder), None if masks is None else Path(masks))
    images = read(model, labeled_folder.find(model, Path(folder)), silently, masks=drawn, seed=seed, pairs=pairs)
    context, keep = TrialContext(model, images, seed, tried), None
    if out is not None:
        Path(out).mkdir(parents=True, exist_ok=True)
        keep = Path(out) / "trials"
    audit = run(context, plan(context, pairs), keep=keep, budget=budget, progress=progress)
    if out is not None:
        report.write(audit, Path(out))
    return audit
