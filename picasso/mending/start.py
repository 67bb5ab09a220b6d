"""The Python entry point of mending."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from picasso.audit import object_masks
from picasso.audit.audit import plan, run
from picasso.audit.catalogue import checked
from picasso.audit.dataset import require_classifier
from picasso.audit.interventions import INTERVENTIONS, Intervention
from picasso.audit.reading import read
from picasso.audit.selection import PAIRS
from picasso.audit.trial import TrialContext
from picasso.evaluation import labeled_folder
from picasso.mending.mend import ROUNDS, check, mend, silently
from picasso.mending.outcome import Mending, Progress, part
from picasso.models.base import Model

# The share of the progress for the first audit.
AUDIT = 0.3


def mend_model(
    model: Model,
    folder: Path | str,
    out: Path | str,
    *,
    audit: Path | str | None = None,
    fair: Path | str | None = None,
    deep: bool = False,
    rounds: int = ROUNDS,
    pairs: int = PAIRS,
    budget: float = float("inf"),
    seed: int = 0,
    interventions: Sequence[Intervention] = INTERVENTIONS,
    masks: Path | str | None = None,
    progress: Progress = silently,
) -> Mending:
    """Audit a model, retrain its last layer so that it stops relying on what was found, and audit the copy.

    The model and its file stay the same. Kirichenko et al., 2023, arXiv 2204.02937, with counterfactual images instead
    of labels of groups.

    Args:
        model: a Keras model that ends in a dense layer, as :func:`picasso.models.load_model` returns it.
        folder: contains one folder of images for each class, named after the class.
        out: the ``.keras`` file for the mended copy; it must not exist. The numbers are written beside it as JSON.
        audit: the folder of an earlier audit, whose completed trials are used again.
        fair: a folder of images for which the shortcut says nothing about the class; they are only measured.
        deep: whether to train the whole network, too, and to take the better copy; the last layer is then retrained
            once.
        rounds: how often the model is mended and audited at most.
        pairs: the number of pairs of classes to compare; 0 for all.
        budget: seconds after which the first audit tests nothing further.
        seed: the seed of all random draws.
        interventions: the interventions to test.
        masks: contains a mask of the object for each image; by default the folder ``masks`` beside that of the images,
            if there is one.
        progress: called with the completed fraction and what is being done.

    Raises:
        BadRequest: the file exists or does not end in ``.keras``, or the images are not suitable.
        ModelError: the model has no last dense layer that can be replaced.

    Examples:
        >>> import tempfile
        >>> from pathlib import Path
        >>> import numpy as np
        >>> from PIL import Image
        >>> import picasso
        >>> from picasso.examples.brightness import BrightnessModel
        >>> images = Path(tempfile.mkdtemp())
        >>> for name, light in (("dark", 100), ("bright", 140)):
        ...     (images / name).mkdir()
        ...     for seed in range(8):
        ...         pixels = np.random.default_rng([light, seed]).normal(light, 20, (8, 8))
        ...         Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(images / name / f"{seed}.png")
        >>> model = BrightnessModel()
        >>> model.load()
        >>> try:
        ...     picasso.mend_model(model, images, images / "mended.keras")
        ... except picasso.errors.ModelError as error:
        ...     print(error)
        Only Keras models that end in a dense layer can be mended; this one is a numpy.
    """
    check(Path(out))
    tried = checked(interventions)
    require_classifier(model)
    # Before the audit, which may take long.
    model.head()
    drawn = object_masks.folder_of(Path(folder), None if masks is None else Path(masks))
    images = read(
        model, labeled_folder.find(model, Path(folder)), lambda fraction: None, masks=drawn, seed=seed, pairs=pairs
    )
    fair_images = labeled_folder.find(model, Path(fair)) if fair is not None else ()
    context, report = TrialContext(model, images, seed, tried), part(progress, 0, AUDIT)
    keep = Path(audit) / "trials" if audit is not None and Path(audit).is_dir() else None
    first = run(
        context,
        plan(context, pairs),
        keep=keep,
        budget=budget,
        progress=lambda fraction: report(fraction, "auditing the model"),
    )
    Path(out).parent.mkdir(parents=True, exist_ok=True)
    rest = part(progress, AUDIT, 1)
    return mend(first, Path(out), rounds=rounds, train_all=deep, fair=fair_images, progress=rest)
