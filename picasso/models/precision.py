"""Fast arithmetic: whether a model may use it, and by how much its answers then differ from exact ones.

bfloat16 has 8 significant bits instead of the 24 of float32. Only answers (probabilities, logits, occlusion) are
computed with it: gradients would differ by half of their norm.
"""

from __future__ import annotations

import logging
import re
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from PIL import Image

from picasso import config
from picasso.errors import PicassoError
from picasso.imaging import decode
from picasso.models import determinism
from picasso.models.arrays import Array
from picasso.models.occlusion import Box, covered
from picasso.targets import OutputTask

if TYPE_CHECKING:
    from picasso.models.base import Model

log = logging.getLogger(__name__)

#: The values of the setting ``PRECISION``.
EXACT, FAST = "exact", "fast"
PHOTOGRAPHS = config.PACKAGE / "examples" / "samples" / "photographs"
CPU = Path("/proc/cpuinfo")
# The flags of processors that multiply bfloat16 numbers.
FLAGS = ("avx512_bf16", "amx_bf16")
# The number of test images of which windows are covered.
OCCLUDED = 3
PROBABILITIES = (OutputTask.CLASSIFICATION, OutputTask.MULTI_LABEL, OutputTask.SEGMENTATION)


class Difference(NamedTuple):
    """The largest differences between fast and exact answers to the test images.

    Attributes:
        values: of a value of the output, such as a probability.
        logits: of a logit.
        share: ``values`` for probabilities, else as a fraction of the largest value; this is what the limit is for.
        images: the number of test images, without their copies with covered windows.
    """

    values: float
    logits: float
    share: float
    images: int


def choose(model: Model) -> None:
    """Let a loaded model compute fast if this was asked for and is accurate enough, and note the choice.

    Args:
        model: a loaded model; its ``precision``, ``imprecision`` and ``notes`` are set.
    """
    model.imprecision = None
    if model.precision != FAST:
        return
    why, found = unavailable(model), None
    if not why:
        try:
            found = measure(model)
            why = too_much(model, found)
        except Exception as error:
            # Such as an overridden preprocess() that rejects photographs, or a graph that can't be converted.
            log.warning("fast arithmetic could not be measured", exc_info=True)
            detail = error.message if isinstance(error, PicassoError) else type(error).__name__
            why = f"it could not be compared with exact arithmetic: {detail}"
    if why or not found:
        model.compute_fast(fast=False)
        model.precision = EXACT
        model.notes += (f"Exact arithmetic is used instead of fast arithmetic: {why.rstrip('.')}.",)
        return
    model.imprecision = found
    # Occlusion is checked against the limit from now on.
    model.compute_fast(fast=True)
    model.notes += (sentence(model, found),)


def unavailable(model: Model) -> str:
    """Return why fast arithmetic can't be tried, as the end of a sentence, or ""."""
    if not model.takes_fast:
        return f"only Keras and TensorFlow models can use it, and this one is of the framework {model.framework}"
    if not bfloat16_flags():
        return f"this processor can't multiply bfloat16 numbers (it lacks {' and '.join(FLAGS)})"
    if model.noise or model.logit_noise:
        return "the predictions vary at random, so the difference can't be measured"
    return ""


def bfloat16_flags() -> set[str]:
    """Return those of :data:`FLAGS` that the processor has; none on systems other than Linux."""
    try:
        found = re.search(r"^flags\s*:(.*)$", CPU.read_text(), re.MULTILINE)
    except OSError:
        return set()
    return set(FLAGS) & set(found[1].split()) if found else set()


def measure(model: Model) -> Difference:
    """Compare fast answers with exact ones; the model computes fast afterwards.

    Compared are the answers to test images, and to some of them with covered windows, also as occlusion computes them.

    Raises:
        ModelError: the model fails on the test images.
    """
    inputs = model.inputs_of(images(model))
    boxes = windows(model.input_shape[1], model.input_shape[0])
    fill = np.broadcast_to(inputs[-1].mean(axis=(0, 1)), inputs[0].shape).astype(np.float32)
    everything = np.concatenate([inputs, *(covered(image, fill, boxes) for image in inputs[:OCCLUDED])])
    model.compute_fast(fast=False)
    exact, scores = model.predict(everything), model.logits(everything)
    model.compute_fast(fast=True)
    values, logits = largest(model.predict(everything), exact), largest(model.logits(everything), scores)
    for number, image in enumerate(inputs[:OCCLUDED]):
        hidden = exact[len(inputs) + number * len(boxes) :][: len(boxes)]
        for members, part in model.occlude(image, fill, boxes).parts:
            values = max(values, largest(part, hidden[members]))
    return Difference(values, logits, values / unit(model, exact), len(inputs))


def unit(model: Model, answers: Array) -> float:
    """Return what a difference is relative to: 1 for probabilities, else the largest of the exact answers."""
    return 1.0 if model.spec.task in PROBABILITIES else max(float(np.abs(answers).max()), 1e-30)


def largest(one: Array, other: Array) -> float:
    """Return the largest difference; 0 without values."""
    return float(np.abs(one - other).max(initial=0))


def images(model: Model) -> list[Image.Image]:
    """Return the test images: the bundled photographs, and noise and a gradient of the size of the input."""
    height, width, _ = model.input_shape
    photographs = [decode.read(file.read_bytes(), file.name) for file in sorted(PHOTOGRAPHS.glob("*.[jp][pn]g"))]
    return [*photographs, *determinism.probes(width, height)]


def windows(width: int, height: int) -> list[Box]:
    """Return a grid of 4 by 4 windows that cover the image."""
    columns, rows = (np.linspace(0, side, min(4, side) + 1).astype(int).tolist() for side in (width, height))
    return [(left, top, right, bottom) for top, bottom in pairwise(rows) for left, right in pairwise(columns)]


def too_much(model: Model, found: Difference) -> str:
    """Return why a model must not compute fast, as the end of a sentence, or ""."""
    if found.share > model.precision_limit or not np.isfinite(found.share):
        return f"{compared(model, found)}, more than PRECISION_LIMIT = {model.precision_limit:g} allows"
    if not (found.values or found.logits):
        return "TensorFlow computes this model without bfloat16"
    return ""


def compared(model: Model, found: Difference) -> str:
    """Return the result of a measurement, without a period."""
    what, size = ("probabilities", f"{found.values:.2g}")
    if model.spec.task not in PROBABILITIES:
        what, size = "outputs", f"{found.values:.2g}, that is {found.share:.2g} of the largest value"
    return f"{what} of {found.images} test images differ from exact ones by up to {size}"


def sentence(model: Model, found: Difference) -> str:
    """Return the note on a model that computes fast."""
    said = compared(model, found)
    return f"Fast arithmetic (bfloat16): {said}. Other images may differ more. Gradients are exact."
