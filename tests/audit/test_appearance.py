"""The colour of the object, which is its own, and that of the light, which is not."""

from __future__ import annotations

import numpy as np
import pytest

from picasso.audit.audit import run
from picasso.audit.dataset import Folder, logits
from picasso.audit.interventions.quantile_match import PropertyChange
from picasso.audit.properties import PROPERTIES, Images
from picasso.audit.trial import TrialContext
from picasso.models.arrays import Array, Classes
from tests.audit.test_audit import COUNT, HEIGHT, WIDTH, Judge

WARMTH = next(one for one in PROPERTIES if one.name == "warmth")
MIDDLE = (slice(None), slice(6, 18), slice(8, 24))
WHOLE = (slice(None), slice(None), slice(None))
Part = tuple[slice, slice, slice]


class Taster(Judge):
    """Separates two classes by red less blue in a part of the image."""

    place: Part = MIDDLE

    def batch_logits(self, inputs: Array) -> Array:
        seen = inputs[self.place]
        score = 12 * (seen[..., 0] - seen[..., 2]).mean(axis=(1, 2))
        return np.stack([-score, score], axis=1).astype(np.float32)

    def batch_input_gradients(self, inputs: Array, classes: Classes) -> Array:
        found = np.zeros_like(inputs)
        area = found[self.place][0, ..., 0].size
        found[(*self.place, 0)], found[(*self.place, 2)] = 12 / area, -12 / area
        return found * np.where(np.asarray(classes) == 1, 1, -1)[:, None, None, None].astype(np.float32)


def fruit(part: Part) -> dict[int, Images]:
    """Return images of two classes with a disc each, of which a part of the image is warmer in the second."""
    generator, found = np.random.default_rng(0), {}
    for target in (0, 1):
        views = generator.uniform(0.3, 0.5, (COUNT, HEIGHT, WIDTH, 3))
        views[MIDDLE] += 0.2
        tint = (0.12 if target else -0.12) + generator.normal(0, 0.06, (COUNT, 1, 1))
        views[(*part, 0)] += tint
        views[(*part, 2)] -= tint
        found[target] = np.asarray(np.clip(views, 0, 1), np.float32)
    return found


@pytest.mark.parametrize(("part", "reason"), [(MIDDLE, "object"), (WHOLE, "")])
def test_a_colour_raises_no_alarm_if_only_that_of_the_object_matters(part: Part, reason: str) -> None:
    model = Taster()
    model.load()
    model.place, views = part, fruit(part)
    answers = {target: logits(model, some) for target, some in views.items()}
    folder = Folder(views, answers, {target: tuple(map(str, range(COUNT))) for target in views})
    (found,) = run(TrialContext(model, folder, interventions=[PropertyChange(WARMTH)])).verdict.findings
    assert found.reason == reason
    assert found.size > 0.3


def test_masks_say_where_the_object_is() -> None:
    model = Taster()
    model.load()
    views = fruit(MIDDLE)
    answers = {target: logits(model, some) for target, some in views.items()}
    names = {target: tuple(map(str, range(COUNT))) for target in views}
    elsewhere = np.zeros((COUNT, HEIGHT, WIDTH), np.bool_)
    elsewhere[:, :4, :4] = True
    folder = Folder(views, answers, names, masks={0: elsewhere, 1: elsewhere})
    # What the model looks at is not the object, by its masks.
    (found,) = run(TrialContext(model, folder, interventions=[PropertyChange(WARMTH)])).verdict.findings
    assert found.alarm
