"""Whether a model answers the same image the same way each time, wherever in a batch it is."""

from __future__ import annotations

import numpy as np
from PIL import Image

from picasso.models.arrays import Array
from picasso.models.base import Model
from picasso.models.info import Capability

# Probabilities that differ by less do so because of rounding, which depends on the size of a batch.
ALIKE = 1e-4
# How many more answers tell how far chance goes, where it is at work.
REPEATS = 8


def probes(width: int, height: int) -> list[Image.Image]:
    """Return two images that differ: noise in colour, and a gradient."""
    noise = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    gradient = np.broadcast_to(np.linspace(0, 255, width)[None, :, None], (height, width, 3))
    return [Image.fromarray(noise), Image.fromarray(gradient.astype(np.uint8))]


def differences(model: Model, inputs: Array) -> tuple[float, float]:
    """Return by how much the probabilities of one image differ, and its logits, at most, between some answers.

    Both are 0 where only rounding is seen. Logits are looked at only where they are known and needed.

    Args:
        model: a loaded model.
        inputs: two images, as :func:`probes`, as its input.
    """
    one, other = inputs
    together, apart = np.stack([one, other, one]), np.stack([other, one])
    first, second = model.predict(together), model.predict(apart)
    found = max(spread(first[[0, 2]], second[[1]]), spread(first[[1]], second[[0]]))
    # Where a model is sure of itself, chance hardly moves its probabilities, but its logits.
    sure = float(first.max(axis=1).min()) > 1 - ALIKE
    known = Capability.GRADIENTS in model.capabilities
    if found < ALIKE and not (sure and known):
        return 0.0, 0.0
    scores = 0.0
    if known:
        logits = model.logits(together)
        scores = spread(logits[[0, 2]], model.logits(apart)[[1]])
        scores = scores if scores > ALIKE * max(1.0, float(np.abs(logits).max())) else 0.0
    if found < ALIKE and not scores:
        return 0.0, 0.0
    many = np.repeat(one[None], REPEATS, axis=0)
    found = max(found, spread(model.predict(many), first[[0]]))
    if known:
        scores = max(scores, spread(model.logits(many)))
    return found, scores


def spread(*answers: Array) -> float:
    """Return by how much answers ``(n, K)`` to one image differ."""
    return float(np.ptp(np.concatenate(answers), axis=0).max())


def sentence(probabilities: float, logits: float) -> str:
    """Say what :func:`differences` found."""
    by = f"probabilities by up to {probabilities:.2g}" if probabilities >= ALIKE else f"logits by up to {logits:.2g}"
    return (
        f"The same image is not always answered alike: its {by}, from one answer to the next or with the other images "
        "of a batch, as with a dropout that is left on or the statistics of a batch. What a map shows below "
        "that is chance."
    )
