"""Interactive questions, which the worker answers between two chunks of longer work.

A question is a small JSON document with a ``kind``; its answer is a JSON document too.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np
from PIL import Image

from picasso.errors import BadRequest, NotFound, RunError
from picasso.explanation import render
from picasso.explanation.cost_model import compiling, seconds_per_image
from picasso.explanation.inputs import NamedImage, prepare, stored, targets_of
from picasso.explanation.preprocessing_trial import try_preprocessing
from picasso.explanation.registry import Registry
from picasso.imaging import decode
from picasso.imaging.masking import MaskEdit
from picasso.models.arrays import Array
from picasso.models.base import Model
from picasso.targets import Context, Target
from picasso.targets.changes import Answer, changes
from picasso.visualizations.base import Input

# The number of cached images, enough for switching between images.
CACHE_SIZE = 32


def answer(model: Model, registry: Registry, question: Mapping[str, Any]) -> dict[str, Any]:
    """Answer a question.

    Raises:
        PicassoError: it can't be answered.
    """
    match question["kind"]:
        case "predict":
            return predict(model, question)
        case "what if":
            return what_if(model, question)
        case "try preprocessing":
            return try_preprocessing(model, question)
        case "estimate":
            visualization = registry.get(question["visualization"]).require()
            seconds = seconds_per_image(model, visualization, question["settings"])
            return {"seconds": seconds, "once": compiling(model, visualization)}
    raise RunError(f"Unknown kind of question: {question['kind']}.")


def predict(model: Model, question: Mapping[str, Any]) -> dict[str, Any]:
    """Predict images, and return the targets that one can ask about.

    Args:
        model: the model.
        question: ``paths`` of the images; ``targets``, as :meth:`picasso.targets.OutputSpec.parse` returns them, or
            none for those that the predictions suggest; ``references``, the paths of other images by name; and
            ``show``, whether to return the images as the model sees them.

    Returns:
        ``answers``, one for each image: its ``predictions``; its ``targets`` with their values; ``size``, the width
        and height of the image as the model sees it; ``colours``, those of the predictions in drawings; ``notes``, why
        it does not have the other targets; and, if requested, ``view``, the image as a data URL, and ``mask``, the
        classes of the pixels of a segmentation as a transparent one.
    """
    answers = []
    for path in question["paths"]:
        image = prepared(model, path)
        targets, missing = asked(model, image, question)
        if missing and not targets and len(question["paths"]) == 1:
            raise missing[0]
        document = {
            "predictions": list(image.best),
            "targets": [
                {"text": one.text, "name": one.name, "quantity": one.quantity, "value": image.value(one)}
                for one in targets
            ],
            "size": list(image.view.size),
            "colours": [render.class_colour(one["index"]) for one in image.best],
            "notes": [error.message for error in missing],
        }
        answers.append({**document, **(drawn(model, image.view, output_of(image)) if question["show"] else {})})
    return {"answers": answers}


def what_if(model: Model, question: Mapping[str, Any]) -> dict[str, Any]:
    """Predict images with hidden regions.

    Args:
        model: the model.
        question: ``paths`` of the images, ``shapes`` and ``fill`` as in :class:`~picasso.imaging.masking.MaskEdit`,
            ``other``, the path of the image for the fill "image", or None, ``targets`` and ``references`` as in
            :func:`predict`, and ``show``, whether to return the images as the model then sees them.

    Returns:
        ``answers``, one for each image: ``before`` and ``after``, the predictions for the original image and with the
        regions hidden; ``classes``, all numbers in them with both values; ``targets`` with both values; ``flipped``
        and ``share``, see :class:`picasso.targets.changes.Changes`; ``colours`` of ``classes``; ``size`` and ``notes``;
        and, if requested, ``view`` and ``mask`` as in :func:`predict`, with the regions hidden.
    """
    hidden = MaskEdit.parse(question["shapes"], question["fill"])
    images = [prepared(model, path) for path in question["paths"]]
    other = prepared(model, question["other"]) if question["other"] else None
    views = [hidden.cover(image.view, other.view if other else None) for image in images]
    after = model.predict(np.stack([covered(model, hidden, *one, other) for one in zip(images, views, strict=True)]))
    answers = []
    for image, now, best, view in zip(images, after, model.decode(after), views, strict=True):
        document = moved(model, image, Answer(now, best), question)
        answers.append({**document, **(drawn(model, view, now) if question["show"] else {})})
    return {"answers": answers}


def moved(model: Model, image: Input, after: Answer, question: Mapping[str, Any]) -> dict[str, Any]:
    """Return the predictions for an image before and after something was changed, as :func:`what_if` does.

    Args:
        model: the model.
        image: the image.
        after: the output after the change, and its predictions.
        question: ``targets`` and ``references`` as in :func:`predict`.
    """
    targets, missing = asked(model, image, question)
    found = changes(model.spec, Answer(output_of(image), image.best), after)
    document = {
        "before": list(image.best),
        "after": list(after.predictions),
        "classes": list(found.entries),
        "targets": [
            {
                "text": one.text,
                "name": one.name,
                "quantity": one.quantity,
                "before": image.value(one),
                "after": float(one.value(after.output[None])[0]),
            }
            for one in targets
        ],
        "flipped": found.flipped,
        "size": list(image.view.size),
        "colours": [render.class_colour(one["index"]) for one in found.entries],
        "notes": [error.message for error in missing],
    }
    return document if found.share is None else {**document, "share": found.share}


def asked(model: Model, image: Input, question: Mapping[str, Any]) -> tuple[Sequence[Target], list[BadRequest]]:
    """Return the targets of a question for an image, and why it does not have the others."""
    wanted, references = question.get("targets") or [], question.get("references") or {}
    if not wanted:
        return image.targets, []

    def other(name: str) -> Array:
        return output_of(prepared(model, references[name]))

    names = [str(name) for name in model.class_names()]
    context = Context(output_of(image), names, image.view.size, other, model.top_probs)
    return targets_of(model.spec, wanted, image.best, context)


def output_of(image: Input) -> Array:
    """Return the output of a prepared image, which is always known."""
    return cast(Array, image.output)


def drawn(model: Model, view: Image.Image, output: Array) -> dict[str, str]:
    """Return an image as the model sees it and, of a segmentation, the classes of its pixels, as data URLs."""
    shown = {"view": decode.data_address(decode.encode(view))}
    arrays = model.spec.arrays(output)
    if "mask" in arrays:
        shown["mask"] = decode.data_address(decode.encode(render.draw_mask(arrays["mask"], view.size)))
    return shown


def covered(model: Model, hidden: MaskEdit, image: Input, view: Image.Image, other: Input | None) -> Array:
    """Return the model's input ``(H, W, C)`` for an image with hidden regions, as shown in ``view``.

    If preprocessing the view does not reproduce the model's input, the regions are hidden in the array itself.
    """
    if image.exact_view and (other is None or other.exact_view):
        return np.asarray(model.encode([view])[0], np.float32)
    fill = other.array if hidden.fill == "image" and other else image.filled(model, hidden.fill)
    return np.asarray(np.where(hidden.mask(image.view.size)[..., None], fill, image.array), np.float32)


@functools.lru_cache(maxsize=CACHE_SIZE)
def prepared(model: Model, path: str) -> Input:
    """Return a stored image as model input; the most recent ones are cached."""
    try:
        opened = stored(path, model)
    except FileNotFoundError:
        raise NotFound("The image was removed in the meantime.") from None
    (image,) = prepare(model, [NamedImage("", opened)])
    # The uploaded image may be large and is no longer needed.
    image.image = image.view
    return image
