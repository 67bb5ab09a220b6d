"""Interactive questions about the inside of the network, which the worker answers between two chunks of longer work.

A question is a small JSON document with a ``kind`` of :data:`KINDS`; its answer is a JSON document too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from picasso.attribution.placement import Canvas
from picasso.errors import BadRequest
from picasso.explanation import render
from picasso.explanation.questions import asked, moved, prepared
from picasso.imaging import decode
from picasso.inside.contact_sheet import contact_sheet
from picasso.inside.effects import score_changes
from picasso.inside.exemplars import Exemplar, Largest
from picasso.inside.factors import Factors
from picasso.inside.looking import change_of, looked_at, require_finite
from picasso.inside.passes import Passed, edited
from picasso.models import Edit
from picasso.models.arrays import Array
from picasso.models.base import Model
from picasso.models.edits import Edited
from picasso.models.info import Layer
from picasso.targets.changes import Answer
from picasso.visualizations.base import Input
from picasso.visualizations.panel import Panel


def channels(model: Model, question: Mapping[str, Any]) -> dict[str, Any]:
    """Return the channels of a layer for an image, in some order, with their maps.

    Args:
        model: the model.
        question: ``path`` of the image; ``layer``, its name or None; ``targets`` and ``references``, as in
            :func:`picasso.explanation.questions.predict`, of which the first counts; ``order`` and ``region``, as in
            :meth:`picasso.inside.contact_sheet.ContactSheet.order`; ``only``, the indices of channels to return instead
            of those that come first, or None; ``start`` and ``count``, which ones to return.

    Returns:
        ``layer``, ``shape`` and ``receptive_field``; ``note`` on the place of the maps, or ""; ``target``, the text and
        the name of the target, or None; ``view`` and ``grey``, the image as data URLs, the latter as it is drawn below
        maps; ``total``, the number of channels; and ``channels``: ``channel``, ``activation``, the mean, ``relevance``,
        or None, ``low`` and ``high``, the values at both ends of the colours, and ``map``, its colours over the whole
        image as a data URL.
    """
    layer = looked_at(model, question["layer"])
    image = prepared(model, question["path"])
    targets, missing = asked(model, image, question)
    if missing and not targets:
        raise missing[0]
    target = targets[0] if targets else None
    sheet = contact_sheet(model, image.array[None], layer, target)
    require_finite(sheet.maps, f"Layer {layer.name}")
    chosen = question["only"]
    if chosen is None:
        start = question["start"]
        chosen = sheet.order(question["order"], question["region"])[start : start + question["count"]].tolist()
    elif wrong := [one for one in chosen if one >= layer.shape[-1]]:
        raise BadRequest(
            f"Layer {layer.name} has {layer.shape[-1]} channels, from 0 to {layer.shape[-1] - 1}, and none {wrong[0]}.",
            field="only",
        )
    canvas = Canvas(layer, sheet.size)
    found = []
    for channel in chosen:
        panel = panel_of(canvas.draw(sheet.maps[..., channel]))
        low, high = panel.scale()
        found.append(
            {
                "channel": channel,
                "activation": float(sheet.activations[channel]),
                "relevance": None if sheet.relevances is None else float(sheet.relevances[channel]),
                "low": low,
                "high": high,
                "map": decode.data_address(decode.encode(drawn(panel))),
            }
        )
    return {
        "layer": layer.name,
        "shape": list(layer.shape),
        "receptive_field": layer.receptive_field and list(layer.receptive_field),
        "note": canvas.note,
        "target": {"text": target.text, "name": target.name} if target else None,
        "view": decode.data_address(decode.encode(image.view)),
        "grey": decode.data_address(decode.encode(render.grey(image.view))),
        "total": layer.shape[-1],
        "channels": found,
    }


def channel(model: Model, question: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a channel responds to in images, and how the predictions change if it is changed.

    Args:
        model: the model.
        question: ``paths`` of the images; ``layer``, its name or None; ``channel``, its index; ``scale`` or ``value``,
            as in :class:`picasso.models.Edit`, the other is None; ``targets`` and ``references``, as in
            :func:`picasso.explanation.questions.predict`; ``crops``, whether to return the exemplars as images.

    Returns:
        ``answers``, one for each image: what :func:`picasso.explanation.questions.moved` returns; ``mean``, the mean
        value of the channel; ``shift``, the change of the score of the predicted class, for other models the mean
        absolute change of the scores; and ``activation`` and, for classifiers, ``relevance``, where the channel, or the
        channel times the gradient of the score of the predicted class, is largest, or None if it is 0 or less
        everywhere: ``value``, ``box``, as :meth:`picasso.inside.exemplars.Exemplar.box` returns it, and, if requested,
        ``crop``, that part of the image as a data URL.
    """
    layer = looked_at(model, question["layer"])
    edit = change_of(layer, question["channel"], question["scale"], question["value"])
    paths, answers = question["paths"], list[dict[str, Any]]()
    for start in range(0, len(paths), model.batch_size):
        for passed, after in edited(model, layer, edit, paths[start : start + model.batch_size]):
            answers.append(looked(model, layer, edit, passed, after, question))
    return {"answers": answers}


def concept(model: Model, question: Mapping[str, Any]) -> dict[str, Any]:
    """Return where a concept is in images, and how the predictions change if it is scaled.

    Args:
        model: the model.
        question: ``paths`` of the images; ``layer``, its name; ``factors``, the path of a file of
            :meth:`picasso.inside.factors.Factors.save`; ``concept``, its position among these; ``scale``, what its
            coefficients are multiplied by; ``maps``, whether to return its heat maps; ``targets`` and ``references``,
            as in :func:`picasso.explanation.questions.predict`.

    Returns:
        ``answers``, one for each image: what :func:`picasso.explanation.questions.moved` returns; ``mean``, the mean
        coefficient; ``largest``, the largest one; ``shift``, as of :func:`channel`; and if requested ``map``, the
        coefficients as colours over the whole image, from 0 to the largest one, as a data URL.
    """
    layer, factors = looked_at(model, question["layer"]), Factors.read(Path(question["factors"]))
    if not 0 <= (which := question["concept"]) < len(factors.parts):
        raise BadRequest(f"The concepts are numbered from 1 to {len(factors.parts)}.", field="concept")
    images = [prepared(model, path) for path in question["paths"]]
    answers: list[dict[str, Any]] = []
    for start in range(0, len(images), model.batch_size):
        some = images[start : start + model.batch_size]
        inputs = np.stack([one.array for one in some])
        maps = model.feature_maps(inputs, layer.name)
        require_finite(maps, f"Layer {layer.name}")
        strengths = factors.coefficients(maps)[..., which]
        less = (1 - question["scale"]) * strengths[..., None] * factors.directions[which]
        # The first answer is exact like the second, also where predictions are fast.
        before, after = model.predict_from(inputs, [maps, np.asarray(maps - less, np.float32)], layer.name)
        require_finite(after.scores, "The score after the change of the concept")
        shifts = score_changes(model, before.outputs, before.scores, after)
        found = zip(some, after.outputs, model.decode(after.outputs), strengths, shifts, strict=True)
        for image, now, best, values, shift in found:
            numbers = {"mean": float(values.mean(dtype=np.float64)), "largest": float(values.max())}
            document = {**moved(model, image, Answer(now, best), question), **numbers, "shift": float(shift)}
            if question["maps"]:
                height_and_width = image.view.height, image.view.width
                map_of = drawn(panel_of(Canvas(layer, height_and_width).draw(values)))
                document["map"] = decode.data_address(decode.encode(map_of))
            answers.append(document)
    return {"answers": answers}


KINDS: Mapping[str, Callable[[Model, Mapping[str, Any]], dict[str, Any]]] = {
    "channels": channels,
    "channel": channel,
    "concept": concept,
}


def answer(model: Model, question: Mapping[str, Any]) -> dict[str, Any]:
    """Answer a question of one of the :data:`KINDS`.

    Raises:
        PicassoError: it can't be answered.
    """
    return KINDS[question["kind"]](model, question)


def looked(
    model: Model, layer: Layer, edit: Edit, passed: Passed, after: Edited, question: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the answer of :func:`channel` for one image."""
    (index,), image = edit.channels, passed.image
    require_finite(after.scores, "The score after the change of the channel")
    (shift,) = score_changes(model, passed.outputs[None], passed.scores[None], after)
    values = passed.maps[..., index]
    relevance = None if passed.gradients is None else values * passed.gradients[..., index]
    (best,) = model.decode(after.outputs)
    return {
        **moved(model, image, Answer(after.outputs[0], best), question),
        "mean": float(values.mean(dtype=np.float64)),
        "shift": float(shift),
        "activation": exemplar(layer, image, values, crop=question["crops"]),
        "relevance": None if relevance is None else exemplar(layer, image, relevance, crop=question["crops"]),
    }


def exemplar(layer: Layer, image: Input, values: Array, *, crop: bool) -> dict[str, Any] | None:
    """Return where values ``(h, w)`` are largest, or None if all are 0 or less."""
    largest = Largest(1)
    largest.add(0, values)
    found: list[Exemplar] = largest.found()
    if not found:
        return None
    one = found[0]
    document = {"value": one.value, "box": list(one.box(layer, image.view.size))}
    if crop:
        document["crop"] = decode.data_address(decode.encode(one.crop(layer, image.view)))
    return document


def drawn(panel: Panel) -> Image.Image:
    """Return a map as an image through which what is below it can be seen."""
    painted = render.paint(panel)
    painted[..., 3] = (painted[..., 3] * (1 - panel.transparency)).round()
    return Image.fromarray(painted)


def panel_of(values: Array) -> Panel:
    """Return a feature map as a panel; with negative values, zero is the middle of its colours."""
    return Panel("", np.asarray(values, np.float32), signed=bool(values.min() < 0), noise=0.0)
