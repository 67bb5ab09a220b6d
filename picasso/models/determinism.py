"""Measure whether a model is deterministic: equal predictions for an image in every call and batch position."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from picasso.models.arrays import Array
from picasso.models.info import Capability

if TYPE_CHECKING:
    from picasso.models.base import Model

# Smaller differences of probabilities are rounding errors, which depend on the batch size.
ALIKE = 1e-4
# The number of additional predictions that measure the size of random differences.
REPEATS = 8


def probes(width: int, height: int) -> list[Image.Image]:
    """Return two different RGB images: colour noise and a horizontal gradient."""
    noise = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    gradient = np.broadcast_to(np.linspace(0, 255, width)[None, :, None], (height, width, 3))
    return [Image.fromarray(noise), Image.fromarray(gradient.astype(np.uint8))]


def differences(model: Model, inputs: Array) -> tuple[float, float]:
    """Return the maximum difference of one image's outputs, and of its logits, between several predictions.

    Both are 0 if all differences are rounding errors. Logits are compared only if the model gives gradients.

    Args:
        model: a loaded model.
        inputs: the inputs ``(2, H, W, C)`` of two images, such as :func:`probes`.
    """
    one, other = inputs
    together, apart = np.stack([one, other, one]), np.stack([other, one])
    first, second = model.predict(together), model.predict(apart)
    found = max(spread(first[[0, 2]], second[[1]]), spread(first[[1]], second[[0]]))
    # If the model is certain, randomness hardly changes its probabilities, but it changes its logits.
    sure = float(first.reshape(len(first), -1).max(axis=1).min()) > 1 - ALIKE
    alike = ALIKE * max(1.0, float(np.abs(first).max()))
    known = Capability.GRADIENTS in model.capabilities
    if found < alike and not (sure and known):
        return 0.0, 0.0
    scores = 0.0
    if known:
        logits = model.logits(together)
        scores = spread(logits[[0, 2]], model.logits(apart)[[1]])
        scores = scores if scores > ALIKE * max(1.0, float(np.abs(logits).max())) else 0.0
    if found < alike and not scores:
        return 0.0, 0.0
    many = np.repeat(one[None], REPEATS, axis=0)
    found = max(found, spread(model.predict(many), first[[0]]))
    if known:
        scores = max(scores, spread(model.logits(many)))
    return found, scores


def spread(*answers: Array) -> float:
    """Return the maximum range of a class's values across answers ``(n, K)`` to one image."""
    return float(np.ptp(np.concatenate(answers), axis=0).max())


def sentence(probabilities: float, logits: float) -> str:
    """Return a note for the user on the result of :func:`differences`."""
    by = f"probabilities by up to {probabilities:.2g}" if probabilities >= ALIKE else f"logits by up to {logits:.2g}"
    return (
        f"Predictions of the same image vary: its {by}, between repeated predictions or with the other images of a "
        "batch, for example because dropout or batch statistics are active. Smaller differences in maps are random."
    )
