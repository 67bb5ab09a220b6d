"""Grading a visualization: how far its maps of some images can be trusted."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from picasso.errors import BadRequest, PicassoError
from picasso.explanation import pipeline
from picasso.explanation.inputs import Source, expand, image_from, named
from picasso.grading.maps import Subject
from picasso.grading.outcome import Grade, ImageGrade
from picasso.grading.parts import Report, begun, with_curves, with_fills, with_flip, with_weights
from picasso.models.base import Model
from picasso.visualizations.base import BaseVisualization
from picasso.visualizations.panel import Panel

# The shares of the progress for the curves and for the random weights; the rest is for fills and flipped images.
CURVES, WEIGHTS = 0.65, 0.2


def silently(fraction: float) -> None:
    """Report no progress."""


def grade(
    model: Model,
    visualization: str | type[BaseVisualization[Any]],
    images: Source | Iterable[Source],
    *,
    targets: int | str | Sequence[int | str] = (),
    plugin_dirs: Sequence[str | Path] = (),
    seed: int = 0,
    progress: Callable[[float], None] = silently,
    **settings: object,
) -> Grade:
    """Test how far the maps of a visualization can be trusted.

    Each image is graded for one target. Pixels are hidden and shown in the order of its map, of a random map and of an
    edge detector; the map is compared with those of random weights, of another fill, and of the flipped image.

    Args:
        model: the model.
        visualization: the name of an installed visualization, or a class.
        images: files, folders, PIL images or arrays, as of :func:`picasso.explain`.
        targets: the target of all images; by default, what the model predicts for each.
        plugin_dirs: folders with custom visualizations.
        seed: the seed of the random map and of the random weights.
        progress: called with the finished fraction; may raise :class:`~picasso.errors.Cancelled` to stop.
        settings: the visualization's settings, such as ``Window=0.1``.

    Raises:
        NotFound: there is no visualization of that name.
        BadRequest: there are no images, none can be read, there are several targets, or a setting or
            the seed is not valid.
        ModelError: the model lacks a capability that the visualization needs.

    Examples:
        >>> import numpy as np
        >>> import picasso
        >>> from picasso.examples.brightness import BrightnessModel
        >>> model = BrightnessModel()
        >>> model.load()
        >>> ramp = np.tile(np.arange(0, 256, 32, dtype=np.uint8), (8, 1))
        >>> grade = picasso.grade(model, "PartialOcclusion", ramp, targets="bright", Strides=5, Occlusion="black")
        >>> grade.images[0].beats("random map")
        True
        >>> grade.images[0].untested[0][:44]
        'random weights, because the weights of a Bri'
    """
    pipeline.check_loaded(model, "grade")
    cls, asked = pipeline.find(visualization, plugin_dirs), pipeline.asked_for(model, targets)
    if len(asked) > 1:
        raise BadRequest("A grade is about one target. Give one, or none for what the model predicts.")
    if not isinstance(seed, int) or seed < 0:
        raise BadRequest(f"seed is a whole number, 0 or more, not {seed!r}.", field="seed")
    checked = cls.ALLOWED_SETTINGS.parse(settings)
    pipeline.require_suitable(model, cls)
    sources = list(expand(images, model))
    names, unreadable, subjects = named(sources), list[str](), list[Subject]()
    for index, source in enumerate(sources):
        try:
            opened = image_from(source, index, names[index], model)
            subjects.append(
                Subject.of(model, cls, settings, opened, asked[0] if asked else None, pipeline.other_image(model))
            )
        except PicassoError as error:
            unreadable.append(error.message)
    if not subjects:
        raise BadRequest(
            unreadable[0] if unreadable else "There are no images. Give some files, or a folder of images."
        )
    found = graded(subjects, progress, seed)
    return Grade(cls.__name__, checked.as_dict(), tuple(found), tuple(unreadable))


def graded(subjects: Sequence[Subject], report: Report, seed: int = 0) -> list[ImageGrade]:
    """Return the grades of images with the same model and visualization."""
    grades, panels = list[ImageGrade](), list[Panel]()
    quick = [subject.comparable() for subject in subjects]
    count = len(subjects)
    for index, subject in enumerate(subjects):
        of_curves = part(report, CURVES * index / count, CURVES / count)
        panel = subject.map(part(of_curves, 0.0, 0.5))
        grades.append(with_curves(begun(subject), subject, part(of_curves, 0.5, 0.5), seed, panel))
        panels.append(panel if quick[index].same_map(subject) else quick[index].map())
    grades = with_weights(grades, quick, panels, part(report, CURVES, WEIGHTS), seed)
    each = (1 - CURVES - WEIGHTS) / (2 * count)
    for index, (subject, panel) in enumerate(zip(quick, panels, strict=True)):
        start = CURVES + WEIGHTS + 2 * each * index
        filled = with_fills(grades[index], subject, panel, part(report, start, each))
        grades[index] = with_flip(filled, subject, panel, part(report, start + each, each))
    report(1.0)
    return grades


def part(report: Report, start: float, share: float) -> Report:
    """Return a function that reports a part of the progress."""
    return lambda fraction: report(start + share * min(1.0, fraction))
