"""Calls the methods of a model that a user may override: errors name the method, and what it returns is checked."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from picasso.errors import ModelCodeError, ModelError, PicassoError, reason
from picasso.imaging import decode
from picasso.models.arrays import Array, Shape
from picasso.targets import Prediction, as_prediction

if TYPE_CHECKING:
    from picasso.models.base import Model

log = logging.getLogger(__name__)


def open_image(model: Model, source: bytes | NDArray[Any], name: str) -> Any:
    """Return the result of :meth:`picasso.models.base.Model.open_image` for a file or an array.

    Raises:
        ModelCodeError: open_image() raised an exception.
    """
    try:
        return model.open_image(source, name)
    except PicassoError:
        raise
    except Exception as error:
        why = f"open_image() of the model failed on {decode.display_name(name)}: {reason(error)}."
        raise ModelCodeError(why) from error


def preprocess(model: Model, originals: Sequence[Any]) -> Array:
    """Return the result of :meth:`picasso.models.base.Model.preprocess`, ``(N, H, W, C)`` float32.

    Raises:
        ModelError: preprocess() raised an exception (a ModelCodeError) or returned an array of another shape.
    """
    try:
        inputs = np.asarray(model.preprocess(originals), np.float32)
    except PicassoError:
        raise
    except Exception as error:
        raise ModelCodeError(f"preprocess() of the model failed: {reason(error)}.") from error
    expected = (len(originals), *model.input_shape)
    if inputs.shape != expected:
        raise ModelError(f"preprocess() of the model returned an array of shape {inputs.shape}, not {expected}.")
    return inputs


def shape_of_preprocess(model: Model) -> Shape | None:
    """Return the shape ``(H, W, C)`` of the arrays that :meth:`picasso.models.base.Model.preprocess` returns.

    None if it fails on blank images, or returns different shapes for different sizes.
    """
    found = set()
    for size in ((96, 64), (80, 112)):
        try:
            found.add(np.asarray(model.preprocess([Image.new("RGB", size)])).shape[1:])
        except Exception:
            log.info("preprocess() could not be asked for the shape of the input", exc_info=True)
            return None
    shape = found.pop()
    return None if found or len(shape) != 3 else (int(shape[0]), int(shape[1]), int(shape[2]))


def decode_prob(model: Model, probabilities: Array) -> list[tuple[Prediction, ...]]:
    """Return the result of :meth:`picasso.models.base.Model.decode_prob`, converted to Python numbers.

    Raises:
        ModelError: decode_prob() returned another number of rows, or entries without index, name or prob.
    """
    decoded = model.decode_prob(probabilities)
    try:
        rows = [tuple(as_prediction(one) for one in row) for row in decoded]
    except (TypeError, KeyError, ValueError) as error:
        wanted = "a list of index, name and prob for each image"
        raise ModelError(f"decode_prob() of the model must return {wanted}: {reason(error)}.") from error
    if len(rows) != len(probabilities) or not all(rows):
        raise ModelError(f"decode_prob() of the model returned {len(rows)} lists for {len(probabilities)} images.")
    return rows
