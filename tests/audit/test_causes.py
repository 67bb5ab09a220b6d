"""Which of two findings with the same cause is named first."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from picasso.audit import audit
from picasso.audit.causes import left_of_both
from picasso.audit.dataset import Folder, logits
from picasso.audit.interventions import INTERVENTIONS
from picasso.audit.trial import TrialContext
from picasso.models.arrays import Array
from tests.audit.test_audit import COUNT, Judge, noise_images

NAMES = ("brightness", "the top left corner")


class ByCorner(Judge):
    """Relies on a bright corner alone, or on the mean brightness alone."""

    whole = False

    def batch_logits(self, inputs: Array) -> Array:
        seen = inputs.mean(axis=-1)
        score = 20 * (0.45 - seen.mean(axis=(1, 2))) if self.whole else 4 * (0.6 - seen[:, :4, :4].mean(axis=(1, 2)))
        return np.stack([score, -score], axis=1)

    def batch_input_gradients(self, inputs: Array, classes: Any) -> Array:
        found = np.full(inputs.shape, 1e-3, np.float32)
        found[:, :4, :4] += 0 if self.whole else 1
        return found


def audited(whole: bool) -> audit.Audit:
    """Audit a model with images of which one class is brighter, most of all in a corner."""
    model = ByCorner()
    model.load()
    model.whole = whole
    views = noise_images("brightness")
    views = {target: np.clip(some + 0.15 * (target == 1), 0, 1).astype(np.float32) for target, some in views.items()}
    views[1][:, :4, :4] = np.clip(views[1][:, :4, :4] + 0.3, 0, 1)
    answers = {target: logits(model, some) for target, some in views.items()}
    tried = [one for one in INTERVENTIONS if one.name in NAMES]
    return audit.run(TrialContext(model, Folder(views, answers, dict.fromkeys((0, 1), ("",) * COUNT)), 0, tried))


def test_a_part_that_explains_a_property_is_named_first() -> None:
    found = audited(whole=False)
    # Without what the model looks at, the brightness has no effect, so it raises no alarm of its own.
    named = [(one.there.intervention, one.reason) for one in found.verdict.findings]
    assert named == [("the top left corner", ""), ("brightness", "object")]
    by_name = {one.there.intervention: one for one in found.verdict.findings}
    corner, light = by_name["the top left corner"], by_name["brightness"]
    left = left_of_both(found.context, corner, light, 0, 1)
    assert left is not None
    # The model sees the corner only: nothing is left of the brightness, and nearly all of the corner.
    assert left[0] == pytest.approx(0, abs=1e-6)
    assert left[1] > 0.6


def test_a_property_that_no_part_explains_stays_first() -> None:
    found = audited(whole=True)
    assert found.verdict.alarms[0].there.intervention == "brightness"
