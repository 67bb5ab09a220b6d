"""Try other preprocessing on a few images: the predictions of each alternative, without changing the model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from PIL import Image

from picasso.errors import BadRequest, NotFound, PicassoError
from picasso.explanation.inputs import image_from, stored
from picasso.models.arrays import Array
from picasso.models.base import Model
from picasso.models.preprocessing import RANGES, Preprocessing
from picasso.targets import Prediction

# The maximum numbers of images and alternatives of one trial, because other questions wait for its answer.
MAX_IMAGES, MAX_ALTERNATIVES = 5, 8
# The value ranges that are offered; others are detected in the model's file.
COMMON = ("0..1", "-1..1", "0..255", "torch", "caffe")
RESIZES = ("stretch", "fit", "crop", "crop 0.875")


def offer(model: Model) -> dict[str, Any]:
    """Return what can be tried with a model.

    Returns:
        ``reason``, why nothing can be tried, or ""; ``keywords``, the current preprocessing; ``current``, its parts
        by their names, ``values``, ``order``, ``resize`` and ``filter``; and ``choices``, the alternatives for these.
    """
    used, channels = model.preprocessing, model.input_shape[2]
    current = {
        "values": used.values or "0..1",
        "order": used.order,
        "resize": f"{used.resize} {used.cropped}".strip(),
        "filter": Preprocessing(filter=used.filter, antialias=used.antialias).keywords(),
    }
    choices: dict[str, list[str]] = {}
    reason = ""
    if model.opens_images():
        reason = "The class of this model opens its images itself, so Picasso can't try other preprocessing."
    elif not model.preprocesses_by_name():
        reason = "The preprocessing of this model is a function of yours, so Picasso can't try another one."
    else:
        fitting = [name for name in COMMON if len(RANGES[name][0]) <= channels]
        choices["values"] = list(dict.fromkeys([current["values"], *fitting]))
        if channels == 3:
            choices["order"] = ["rgb", "bgr"]
        if model.views_by_name():
            choices["resize"] = list(dict.fromkeys([current["resize"], *RESIZES]))
    words = replace(used, values=current["values"]).keywords()
    return {"reason": reason, "keywords": words, "current": current, "choices": choices}


def try_preprocessing(model: Model, question: Mapping[str, Any]) -> dict[str, Any]:
    """Predict images with several kinds of preprocessing.

    Args:
        model: the model; its own preprocessing is not changed.
        question: ``paths`` of the images, ``samples``, whether they are files as the user has them instead of stored
            images, and ``alternatives``, the keywords of each preprocessing.

    Returns:
        ``alternatives``, one for each of those: its ``keywords``; ``predictions``, those of each image, the most
        important first; and ``error``, why it can't be used, or "".

    Raises:
        BadRequest: there are too many images or alternatives, or the model preprocesses images itself.
        NotFound: an image was removed.
    """
    paths, alternatives = question["paths"], question["alternatives"]
    if len(paths) > MAX_IMAGES or len(alternatives) > MAX_ALTERNATIVES:
        raise BadRequest(f"A trial has at most {MAX_IMAGES} images and {MAX_ALTERNATIVES} alternatives.")
    if reason := offer(model)["reason"]:
        raise BadRequest(reason)
    kinds = [Preprocessing.parse(words) for words in alternatives]
    inputs: list[list[Array]] = [[] for _ in kinds]
    problems = [""] * len(kinds)
    # One image after the other, because a whole image may be large.
    for path in paths:
        image = opened(model, path, question["samples"])
        for index, kind in enumerate(kinds):
            try:
                inputs[index].append(encoded(model, kind, image))
            except PicassoError as error:
                problems[index] = error.message
    answers = []
    for words, problem, arrays in zip(alternatives, problems, inputs, strict=True):
        best, why = ([], problem) if problem else predicted(model, np.stack(arrays))
        answers.append({"keywords": words, "predictions": best, "error": why})
    return {"alternatives": answers}


def opened(model: Model, path: str, sample: bool) -> Image.Image:
    """Return an image of a session, or a sample."""
    try:
        image: Image.Image = image_from(path, 0).image if sample else stored(path, model)
    except FileNotFoundError:
        raise NotFound("An image was removed in the meantime.") from None
    return image


def encoded(model: Model, kind: Preprocessing, image: Image.Image) -> Array:
    """Return the input ``(H, W, C)`` of a model for an image with a preprocessing."""
    # A class that overrides view() resizes images itself.
    view = kind.view(image, model.input_shape) if model.views_by_name() else model.view(image)
    array: Array = kind.encode([view], model.input_shape)[0]
    return array


def predicted(model: Model, inputs: Array) -> tuple[list[list[Prediction]], str]:
    """Return the predictions for inputs ``(N, H, W, C)``, or none and why there are none."""
    try:
        return [list(best) for best in model.decode(model.predict(inputs))], ""
    except PicassoError as error:
        return [], error.message
