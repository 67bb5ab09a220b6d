"""Grading many methods on the same images, for a ranking: only what tells them apart, and the controls once."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import replace

from picasso.errors import ModelError
from picasso.grading.curves import Curve
from picasso.grading.maps import Subject
from picasso.grading.outcome import ImageGrade
from picasso.grading.parts import Report, begun, with_curves, with_weights
from picasso.models.base import Model
from picasso.models.random_weights import RandomWeights

# The shares of the progress for a map and for its curves; the rest is for the random weights.
MAPS, CURVES = 0.3, 0.3


# Kept, because a copy is as large as the model, and takes seconds to be made and compiled.
@functools.lru_cache(maxsize=1)
def copied(model: Model, seed: int) -> RandomWeights:
    """Return a copy of a model with random weights; the last one stays in memory until :func:`forget` is called."""
    return model.random_weights(seed)


def forget() -> None:
    """Free the memory of the copy."""
    copied.cache_clear()


def controls_of(subject: Subject, report: Report, seed: int = 0) -> tuple[Curve, ...]:
    """Return the curves of the controls of an image, which are the same for all methods.

    Args:
        subject: the image with any method.
        report: called with the finished fraction.
        seed: the seed of the random map.

    Raises:
        ModelError: they can't be measured.
    """
    found = with_curves(begun(subject), subject, report, seed)
    if not found.curves:
        raise ModelError(f"{'; '.join(found.untested)}.")
    return found.curves


def graded(subject: Subject, controls: Sequence[Curve], report: Report, seed: int = 0) -> ImageGrade:
    """Return the grade of a method on an image: the curves of its map beside those of the controls, and random weights.

    Args:
        subject: the image and the method.
        controls: the curves of the controls.
        report: called with the finished fraction.
        seed: the seed of the weights.
    """
    panel = subject.map(lambda done: report(MAPS * done))
    grade = with_curves(begun(subject), subject, lambda done: report(MAPS + CURVES * done), seed, panel, only=())
    if not grade.curves:
        return grade
    grade = replace(grade, curves=(*grade.curves, *controls))
    quick, rest = subject.comparable(), MAPS + CURVES
    panels = [panel if quick.same_map(subject) else quick.map()]
    (grade,) = with_weights([grade], [quick], panels, lambda done: report(rest + (1 - rest) * done), seed, copied)
    return grade
