"""A further finding with the same cause as the first has no remaining effect; an independent one has."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from picasso.audit import audit
from picasso.audit.dataset import Folder, logits
from picasso.audit.findings import Finding
from picasso.audit.properties import Images, light
from picasso.audit.reporting.residual_effects import remainder
from picasso.audit.trial import TrialContext
from picasso.models.arrays import Array
from tests.audit.test_audit import COUNT, HEIGHT, WIDTH, Judge, noise_images


class Both(Judge):
    """Relies on the brightness of the whole image and, independently, on a corner."""

    corner = 0.0

    def batch_logits(self, inputs: Array) -> Array:
        seen = light(inputs)
        mean = seen.mean(axis=(1, 2))
        # The corner relative to the rest, which a change of overall brightness does not affect.
        corner = np.log((seen[:, :4, :4].mean(axis=(1, 2)) + 0.01) / (mean + 0.01))
        score = 12 * (0.45 - mean) + self.corner * corner
        return np.stack([-score, score], axis=1)

    def batch_input_gradients(self, inputs: Array, classes: Any) -> Array:
        found = np.full(inputs.shape, 12 / (HEIGHT * WIDTH), np.float32)
        found[:, :4, :4] += self.corner / 16 / 0.4
        return found


def findings(corner: float) -> tuple[TrialContext, dict[str, Finding]]:
    """Return the findings of a model by name; tanks are dark and have a bright corner."""
    model: Any = Both()
    model.load()
    model.corner = corner
    views: dict[int, Images] = noise_images("brightness")
    views[1][:, :4, :4] = np.minimum(1, views[1][:, :4, :4] + 0.3)
    answers = {target: logits(model, some) for target, some in views.items()}
    context = TrialContext(model, Folder(views, answers, {0: ("",) * COUNT, 1: ("",) * COUNT}))
    return context, {one.there.intervention: one for one in audit.run(context).verdict.findings}


def test_other_light_is_the_brightness_and_the_corner_is_not() -> None:
    context, found = findings(corner=0.0)
    first, layout = found["brightness"], found["large-scale light and colour"]
    left = remainder(context, first, layout)
    assert left is not None
    assert left.of == "brightness"
    assert layout.size > 0.3
    assert max(abs(left.there), abs(left.back)) < 0.02

    context, found = findings(corner=1.0)
    left = remainder(context, found["brightness"], found["the top left corner"])
    assert left is not None
    corner = found["the top left corner"]
    # The corner hardly changes the mean brightness, so nearly all of its effect remains.
    assert [left.there, left.back] == pytest.approx(
        [corner.there.effect.fraction, corner.back.effect.fraction], rel=0.2
    )


def test_there_is_no_remainder_of_itself_or_of_what_is_no_property() -> None:
    context, found = findings(corner=1.0)
    brightness, corner = found["brightness"], found["the top left corner"]
    assert remainder(context, brightness, brightness) is None
    assert remainder(context, corner, brightness) is None
