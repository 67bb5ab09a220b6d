"""What is done with a model when it has been loaded, before anybody asks for anything."""

from __future__ import annotations

import logging

import numpy as np

from picasso import estimating
from picasso.errors import PicassoError
from picasso.models.base import Model

log = logging.getLogger(__name__)


def get_ready(model: Model) -> None:
    """Do what nobody has to wait for: compile the first occlusion map, and find out how fast the model is."""
    warm_up_occlusion(model)
    try:
        estimating.measure(model)
    except PicassoError:
        log.warning("the model's pace could not be measured", exc_info=True)


def warm_up_occlusion(model: Model) -> None:
    """Compute one small window, so that the first map does not wait for compilation; nobody waits for this."""
    picture = np.zeros(model.input_shape, np.float32)
    try:
        for _ in model.occlude(picture, picture, [(0, 0, 1, 1)]).parts:
            pass
    except Exception:
        # Should it fail with a real picture too, that run will say so.
        log.warning("occlusion could not be warmed up", exc_info=True)
