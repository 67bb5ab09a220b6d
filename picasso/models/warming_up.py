"""The first prediction of a loaded model, which compiles it, and what is measured with it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import numpy as np

from picasso import remedies
from picasso.errors import ModelError, PicassoError
from picasso.models import determinism, precision

if TYPE_CHECKING:
    from picasso.models.base import Model

log = logging.getLogger(__name__)


def warm_up(model: Model) -> None:
    """Predict one image of noise, measure noise and imprecision, and count the class names.

    Raises:
        ModelError: preprocess() fails, or the number of class names differs from the number of classes.
    """
    height, width, _ = model.input_shape
    if model.opens_images():
        # The type of the images of such a class is unknown.
        probe = np.zeros((1, *model.input_shape), np.float32)
    else:
        # Not a blank image: custom preprocessing may divide by the image's maximum or standard deviation.
        probe = model.inputs_of(determinism.probes(width, height)[:1])
    model.predict(probe)
    look_for_chance(model)
    precision.choose(model)
    names = len(model.class_names())
    if names != model.num_classes:
        raise ModelError(
            f"There are {names} class names for the {model.num_classes} classes of the model; the labels "
            f"({remedies.called('LABELS')} or class_names()) must provide one for each."
        )


def look_for_chance(model: Model) -> None:
    """Measure whether repeated predictions of an image are equal, and add a note if they are not."""
    height, width, _ = model.input_shape
    try:
        inputs = model.inputs_of(determinism.probes(width, height))
        model.noise, model.logit_noise = determinism.differences(model, inputs)
    except PicassoError:
        # Overridden methods may reject such images.
        log.info("could not determine whether repeated predictions are equal", exc_info=True)
        return
    if model.noise or model.logit_noise:
        model.notes += (determinism.sentence(model.noise, model.logit_noise),)
