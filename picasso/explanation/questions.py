"""Interactive questions, which the worker answers between two chunks of longer work.

A question is a small JSON document with a ``kind``; its answer is a JSON document too.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
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
from picasso.targets import Classification, ClassLogit, Prediction
from picasso.visualizations.base import Input

# The number of cached images, enough for switching between images.
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
    raise RunError(f"Unknown kind of question: {question['kind']}.")


def what_if(model: Model, question: Mapping[str, Any]) -> dict[str, Any]:
    """Predict the classes of images with hidden regions.

    Args:
        model: the model.
        question: ``paths`` of the images, ``shapes`` and ``fill`` as in :class:`~picasso.imaging.masking.MaskEdit`,
            ``other``, the path of the image for the fill "image", or None, and ``show``, whether to return the images
            as the model then sees them.

    Returns:
        ``answers``, one for each image: ``before`` and ``after``, the most probable classes of the original image
        and with the regions hidden; ``classes``, all of these with both probabilities; ``flipped``, whether the most
        probable class changes; and, if requested, ``view``, the image as a data URL.
    """
    hidden = MaskEdit.parse(question["shapes"], question["fill"])
    images = [prepared(model, path) for path in question["paths"]]
    other = prepared(model, question["other"]) if question["other"] else None
    views = [hidden.cover(image.view, other.view if other else None) for image in images]
    after = model.predict(np.stack([covered(model, hidden, *one, other) for one in zip(images, views, strict=True)]))
    answers = []
    for image, now, best, view in zip(images, after, model.decode(after), views, strict=True):
        document = {
            "before": list(image.best),
            "after": list(best),
            "classes": both(image, best, now) if isinstance(model.spec, Classification) else [],
            "targets": [
                {
                    "name": one.name,
                    "quantity": one.quantity,
                    "before": image.value(one),
                    "after": float(one.value(now[None])[0]),
                }
                for one in image.targets
            ],
            "flipped": image.best[0]["index"] != best[0]["index"],
        }
        if question["show"]:
            document["view"] = decode.data_address(decode.encode(view))
        answers.append(document)
    return {"answers": answers}


def covered(model: Model, hidden: MaskEdit, image: Input, view: Image.Image, other: Input | None) -> Array:
    """Return the model's input ``(H, W, C)`` for an image with hidden regions, as shown in ``view``.

    If preprocessing the view does not reproduce the model's input, the regions are hidden in the array itself.
    """
    if image.exact_view and (other is None or other.exact_view):
        return np.asarray(model.encode([view])[0], np.float32)
    fill = other.array if hidden.fill == "image" and other else image.filled(model, hidden.fill)
    return np.asarray(np.where(hidden.mask(image.view.size)[..., None], fill, image.array), np.float32)


def both(image: Input, after: Sequence[Prediction], now: Array) -> list[dict[str, Any]]:
    """Return the most probable classes before, then those added after, with both probabilities."""
    found = {one["index"]: ClassLogit(str(one["index"]), one["name"], one["index"]) for one in (*image.best, *after)}
    return [
        {"index": index, "name": one.name, "before": image.value(one), "after": float(now[index])}
        for index, one in found.items()
    ]


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
