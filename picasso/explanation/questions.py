"""Questions that somebody waits for at the page: answered by the worker between two chunks of longer work.

A question is a small JSON document with a ``kind``; so is its answer.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from PIL import Image

from picasso.errors import NotFound, RunError
from picasso.explanation.cost_model import compiling, seconds_per_image
from picasso.explanation.inputs import NamedImage, prepare, stored
from picasso.explanation.registry import Registry
from picasso.imaging import decode
from picasso.imaging.masking import MaskEdit
from picasso.models.arrays import Array
from picasso.models.base import Model
from picasso.models.info import Prediction
from picasso.visualizations.base import Input

# Enough for somebody who goes to and fro between images.
CACHE_SIZE = 32


def answer(model: Model, registry: Registry, question: Mapping[str, Any]) -> dict[str, Any]:
    """Answer a question.

    Raises:
        PicassoError: it can't be answered.
    """
    match question["kind"]:
        case "what if":
            return what_if(model, question)
        case "estimate":
            visualization = registry.get(question["visualization"]).require()
            seconds = seconds_per_image(model, visualization, question["settings"])
            return {"seconds": seconds, "once": compiling(model, visualization)}
    raise RunError(f"There is no question of the kind {question['kind']}.")


def what_if(model: Model, question: Mapping[str, Any]) -> dict[str, Any]:
    """Say what the model answers to images of which parts are hidden.

    Args:
        model: the model.
        question: ``paths`` of the images, ``shapes`` and ``fill`` as :class:`~picasso.imaging.masking.MaskEdit` reads
            them, ``other``, the path of the image that the fill "image" shows, or None, and ``show``, whether the
            images as the model then sees them are wanted.

    Returns:
        ``answers``, one for each image: ``before`` and ``after``, the most probable classes of the image as
        it was and with the parts hidden; ``classes``, all of those with both probabilities; ``flipped``, whether
        the most probable class is another one; and where it was wanted ``view``, the image as a data address.
    """
    hidden = MaskEdit.parse(question["shapes"], question["fill"])
    known = [prepared(model, path) for path in question["paths"]]
    images = [image for image, _ in known]
    other = prepared(model, question["other"])[0] if question["other"] else None
    views = [hidden.cover(image.view, other.view if other else None) for image, _ in known]
    after = model.predict(np.stack([covered(model, hidden, *one, other) for one in zip(images, views, strict=True)]))
    decoded = model.best_classes(after)
    answers = []
    for (image, probabilities), now, best, view in zip(known, after, decoded, views, strict=True):
        document = {
            "before": list(image.predictions),
            "after": list(best),
            "classes": both(image.predictions, best, probabilities, now),
            "flipped": image.predictions[0]["index"] != best[0]["index"],
        }
        if question["show"]:
            document["view"] = decode.data_address(decode.encode(view))
        answers.append(document)
    return {"answers": answers}


def covered(model: Model, hidden: MaskEdit, image: Input, view: Image.Image, other: Input | None) -> Array:
    """Return the model's input ``(H, W, C)`` for an image of which parts are hidden, as ``view`` shows it.

    Where preprocessing the view is not what the model receives, the numbers themselves are covered.
    """
    if image.exact_view and (other is None or other.exact_view):
        return np.asarray(model.encode([view])[0], np.float32)
    fill = other.array if hidden.fill == "image" and other else image.filled(model, hidden.fill)
    return np.asarray(np.where(hidden.mask(image.view.size)[..., None], fill, image.array), np.float32)


def both(
    before: Sequence[Prediction], after: Sequence[Prediction], probabilities: Array, now: Array
) -> list[dict[str, Any]]:
    """Return the most probable classes before, then those that are only among them after, with both probabilities."""
    names = {one["index"]: one["name"] for one in (*before, *after)}
    return [
        {"index": index, "name": name, "before": float(probabilities[index]), "after": float(now[index])}
        for index, name in names.items()
    ]


@functools.lru_cache(maxsize=CACHE_SIZE)
def prepared(model: Model, path: str) -> tuple[Input, Array]:
    """Return a stored image as the model takes it, and its probabilities ``(K,)``; the last ones are kept."""
    try:
        opened = stored(path, model)
    except FileNotFoundError:
        raise NotFound("The image was removed meanwhile.") from None
    (image,) = prepare(model, [NamedImage("", opened)])
    # The image as uploaded may be large, and is not needed any more.
    return replace(image, image=image.view), model.predict(image.array[None])[0]
