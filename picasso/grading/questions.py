"""Questions about the grade of one map, one for each part of it, so that the worker can do other work in between."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from picasso.errors import NotFound
from picasso.explanation.inputs import NamedImage, stored
from picasso.explanation.questions import output_of, prepared
from picasso.explanation.registry import Registry
from picasso.grading.curves import ORDERS, Curve
from picasso.grading.maps import Subject
from picasso.grading.outcome import ImageGrade
from picasso.grading.parts import begun, with_curves, with_fills, with_flip, with_weights
from picasso.models.arrays import Array
from picasso.models.base import Model

#: The parts of a grade, and the questions that each needs.
PARTS: Mapping[str, Sequence[str]] = {
    "curves": ORDERS,
    "weights": ("weights",),
    "fills": ("fills",),
    "flip": ("flip",),
}
KIND = "grade"


def silently(fraction: float) -> None:
    """Report no progress."""


def answer(model: Model, registry: Registry, question: Mapping[str, Any]) -> dict[str, Any]:
    """Return a part of the grade of a map, as :meth:`picasso.grading.outcome.ImageGrade.as_dict` does.

    Args:
        model: the model.
        registry: the visualizations.
        question: ``path`` and ``name`` of the image; ``visualization`` and ``settings``; ``targets`` and
            ``references``, as in :func:`picasso.explanation.questions.predict`, of which the first counts; ``test``,
            one of the values of :data:`PARTS`.

    Raises:
        PicassoError: there is no such visualization or target, or it can't explain the model.
    """
    cls = registry.get(question["visualization"]).require()
    references = question["references"]

    def other(name: str) -> Array:
        return output_of(prepared(model, references[name]))

    try:
        opened = stored(question["path"], model)
    except FileNotFoundError:
        raise NotFound("The image was removed in the meantime.") from None
    wanted = question["targets"][0] if question["targets"] else None
    subject = Subject.of(model, cls, question["settings"], NamedImage(question["name"], opened), wanted, other)
    grade, test = begun(subject), question["test"]
    if test in ORDERS:
        return with_curves(grade, subject, silently, only=[test]).as_dict()
    quick = subject.comparable()
    panel = quick.map()
    if test == "weights":
        (grade,) = with_weights([grade], [quick], [panel], silently)
    elif test == "fills":
        grade = with_fills(grade, quick, panel, silently)
    else:
        grade = with_flip(grade, quick, panel, silently)
    return grade.as_dict()


def joined(answers: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the answers to the questions about one part as one."""
    first, *others = answers
    if not others:
        return dict(first)
    curves = tuple(
        Curve(one["order"], tuple(one["deletion"]), tuple(one["insertion"]))
        for answer in answers
        for one in answer["curves"]
    )
    untested = tuple(dict.fromkeys(text for answer in answers for text in answer["untested"]))
    target = first["target"]
    # Controls alone say nothing.
    shown = () if untested else curves
    return ImageGrade(
        first["image"], target["text"], target["name"], first["quantity"], shown, untested=untested
    ).as_dict()
