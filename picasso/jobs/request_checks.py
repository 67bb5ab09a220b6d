"""Checks what a user asks for, before a run, a search for concepts or a ranking is queued."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from picasso.errors import BadRequest
from picasso.explanation.guide import USUAL
from picasso.explanation.pipeline import GROUP
from picasso.explanation.registry import Entry, Registry
from picasso.inside.factors import require_package
from picasso.inside.looking import class_of
from picasso.jobs.concept_search import ConceptOrder
from picasso.jobs.ranking_job import RankingOrder
from picasso.jobs.run import Spec, StoredImage
from picasso.jobs.served_model import ServedModel

# The maximum number of models that one run compares with, because it needs all of them in memory at once.
MAX_COMPARED = 7
# The maximum number of images that methods are graded on.
MAX_RANKED = 100
# The page of a run shows all of its images.
MAX_RUN_IMAGES = 500


def checked_run(
    served: ServedModel,
    configured: dict[str, Any],
    compared: Sequence[str],
    entry: Entry,
    settings: Mapping[str, object],
    images: list[StoredImage],
    *,
    targets: Sequence[int | str],
    models: Sequence[int | str],
    among: Sequence[StoredImage],
    model: str,
    workspace: bool,
) -> Spec:
    """Return the specification of a run.

    Args:
        served: the model of the server.
        configured: how the worker finds it.
        compared: the names of all models to compare with.
        entry: the visualization.
        settings: its settings, not validated yet.
        images: the images to explain.
        targets: what to explain, as a user wrote it.
        models: the names of the models to compare with.
        among: the images of the session.
        model: the name of the model to explain, or "" for that of the server.
        workspace: whether the workspace starts the run.

    Raises:
        BadRequest: the visualization can't be used, a setting, a target or a model is invalid, or there are no images.
        NotReady: the model could not be loaded.
    """
    unusable = served.unusable(entry)
    if entry.cls is None or unusable:
        raise BadRequest(f"{entry.name} {unusable}", field="visualization")
    checked = entry.cls.ALLOWED_SETTINGS.parse(settings).as_dict()
    served.check_settings(entry.cls.ALLOWED_SETTINGS.controls(), checked)
    if not images:
        raise BadRequest("There are no images to explain. Upload images or add samples.", field="images")
    if len(images) > MAX_RUN_IMAGES:
        raise BadRequest(
            f"A run explains at most {MAX_RUN_IMAGES} images, not {len(images):,}. Choose some of them, such as "
            "the mistakes in the gallery.",
            field="images",
        )
    served.require_loadable()
    others = [str(one) for one in models]
    _check_models([*others, *([model] if model else [])], compared)
    if len(others) > MAX_COMPARED:
        raise BadRequest(
            f"A run compares with at most {MAX_COMPARED} models, because all of them are in memory at once. "
            "Choose fewer, or compare all of them on the page Compare, which loads them one after the other.",
            field="model",
        )
    wanted, references = served.parsed(targets, among)
    now = time.time()
    return Spec(entry.name, checked, images, GROUP, configured, now, wanted, others, references, model, workspace)


def _check_models(names: Sequence[str], compared: Sequence[str]) -> None:
    """Raise BadRequest if one of these is not the name of a model to compare with."""
    if unknown := [one for one in names if one not in compared]:
        known = f"The models are {', '.join(compared)}." if compared else "The setting COMPARE has none."
        raise BadRequest(f"There is no model {unknown[0]!r} to compare with. {known}", field="model")


def checked_search(
    served: ServedModel,
    configured: dict[str, Any],
    images: Sequence[StoredImage],
    *,
    layer: str,
    target: int | str | None,
    count: int,
    audit: str,
    model: str,
) -> ConceptOrder:
    """Return what to search for; see :meth:`picasso.jobs.job_queue.JobQueue.start_search`.

    Raises:
        BadRequest: there are no images, no such layer or class, or the model has no feature maps.
        ConfigurationError: the package scikit-learn is missing.
        NotReady: the model is not loaded.
    """
    require_package()
    spec, layers = served.spec(), served.layers()
    if not layers:
        raise BadRequest("Concepts need feature maps, which this model does not provide.")
    served.check_layer(layer or layers[0], "layer")
    wanted = class_of(spec, served.class_names(), target)
    if not images:
        raise BadRequest("There are no images to look at. Upload images or add samples.", field="images")
    return ConceptOrder(configured, images, model, time.time(), layer or layers[0], wanted, count, audit)


def checked_ranking(
    served: ServedModel,
    configured: dict[str, Any],
    registry: Registry,
    images: Sequence[StoredImage],
    names: Sequence[str] | None,
    model: str,
) -> RankingOrder:
    """Return what to rank; see :meth:`picasso.jobs.job_queue.JobQueue.start_ranking`.

    Raises:
        NotFound: there is no such visualization.
        BadRequest: there are no images or no visualizations, too many images, or a visualization makes no maps or
            can't be used.
        NotReady: the model is not loaded.
    """
    served.require_ready()
    if names is None:
        entries = [one for one in registry.entries() if not served.unusable(one) and one.require().MAPS]
    else:
        entries = [registry.get(name) for name in dict.fromkeys(names)]
    if not entries:
        raise BadRequest("There are no visualizations to rank. Name some that make maps.", field="visualizations")
    for entry in entries:
        why = served.unusable(entry) or ("" if entry.require().MAPS else "It makes no maps of an image.")
        if why:
            raise BadRequest(f"{entry.title} can't be ranked. {why}", field="visualizations")
    if not images:
        raise BadRequest("There are no images to grade maps of. Upload images or add samples.", field="images")
    if len(images) > MAX_RANKED:
        raise BadRequest(f"A ranking is about at most {MAX_RANKED} images, not {len(images)}.", field="images")
    methods = {entry.name: entry.title for entry in entries}
    return RankingOrder(configured, images, model, time.time(), methods, USUAL)
