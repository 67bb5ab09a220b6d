"""Questions about the grade of one map, one for each part of it, so that the worker can do other work in between."""

from __future__ import annotations

import json
import weakref
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from picasso.errors import NotFound
from picasso.explanation.inputs import NamedImage, stored
from picasso.explanation.questions import output_of, prepared
from picasso.explanation.registry import Registry
from picasso.grading.curves import KINDS, MAP, ORDERS, Curve
from picasso.grading.maps import Subject
from picasso.grading.outcome import ImageGrade
from picasso.grading.parts import begun, with_curves, with_fills, with_flip, with_weights
from picasso.models.arrays import Array
from picasso.models.base import Model
from picasso.visualizations.panel import Panel

# Each curve is a question of its own, so that none takes long.
CURVES = {f"{order}, {kind}": (order, kind) for order in ORDERS for kind in KINDS}
#: The parts of a grade, and the questions that each needs.
PARTS: Mapping[str, Sequence[str]] = {
    "curves": tuple(CURVES),
    "weights": ("weights",),
    "fills": ("fills",),
    "flip": ("flip",),
}
KIND = "grade"
# The number of maps of a model that are kept for the next question about them.
KEPT = 4
_maps: weakref.WeakKeyDictionary[Model, OrderedDict[str, Panel]] = weakref.WeakKeyDictionary()


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
    if test in CURVES:
        order, kind = CURVES[test]
        panel = kept_map(subject, question) if order == MAP else None
        found = with_curves(grade, subject, silently, panel=panel, only={order} - {MAP}, kinds=[kind])
        # The other half of each curve is missing.
        return {**replace(found, curves=()).as_dict(), "curves": [vars(one) for one in found.curves]}
    quick = subject.comparable()
    panel = kept_map(subject if quick.same_map(subject) else quick, question)
    if test == "weights":
        (grade,) = with_weights([grade], [quick], [panel], silently)
    elif test == "fills":
        grade = with_fills(grade, quick, panel, silently)
    else:
        grade = with_flip(grade, quick, panel, silently)
    return grade.as_dict()


def kept_map(subject: Subject, question: Mapping[str, Any]) -> Panel:
    """Return the map that a question is about; it is computed only if none of the latest questions needed it."""
    known = _maps.setdefault(subject.model, OrderedDict())
    about = {**question, "settings": dict(subject.settings), "test": ""}
    key = json.dumps(about, sort_keys=True)
    if key not in known:
        known[key] = subject.map()
    known.move_to_end(key)
    while len(known) > KEPT:
        known.popitem(last=False)
    return known[key]


def joined(answers: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the answers to the questions about one part as one."""
    first, *others = answers
    if not others:
        return dict(first)
    halves = {order: dict.fromkeys(KINDS, ()) for order in ORDERS}
    for one in (curve for answer in answers for curve in answer["curves"]):
        halves[one["order"]] |= {kind: tuple(one[kind]) for kind in KINDS if one[kind]}
    untested = tuple(dict.fromkeys(text for answer in answers for text in answer["untested"]))
    target = first["target"]
    # Controls alone say nothing.
    shown = () if untested else tuple(Curve(order, **one) for order, one in halves.items())
    return ImageGrade(
        first["image"], target["text"], target["name"], first["quantity"], shown, untested=untested
    ).as_dict()
