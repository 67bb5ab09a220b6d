"""Counterfactual images of marks: the search, which takes long, is not repeated for each draw."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from picasso.audit.dataset import Folder
from picasso.audit.interventions import ImagePair, Intervention, InterventionResult
from picasso.audit.trial import TrialContext
from picasso.examples.brightness import BrightnessModel
from picasso.mending.counterfactuals import TOGETHER, Alarm, affordable, counterfactuals, total


class Found:
    """Something that was found."""

    def turned(self) -> Found:
        return self


class Darker(Intervention):
    """Changes images by a value that is searched in those of both classes."""

    def __init__(self, kind: str, name: str) -> None:
        self.kind, self.name = kind, name
        self.searched: list[ImagePair] = []

    def search(self, case: ImagePair) -> list[Found]:
        self.searched.append(case)
        return [Found()]

    def change(self, case: ImagePair, generator: np.random.Generator) -> InterventionResult:
        case.once(self.search)
        return InterventionResult(case.ours * np.float32(0.9), case.ours)

    def words(self, case: ImagePair) -> str:
        return "darker"


def context_of(interventions: Sequence[Intervention], classes: int = 2) -> TrialContext:
    model = BrightnessModel()
    model.load()
    views = {target: np.full((16, 8, 8, 3), 0.3 + 0.1 * target, np.float32) for target in range(classes)}
    logits = {target: np.zeros((16, 2), np.float32) for target in views}
    return TrialContext(model, Folder(views, logits, dict.fromkeys(views, ())), 0, interventions)


def test_a_mark_is_searched_once_for_all_draws_and_both_directions() -> None:
    mark, light = Darker("mark", "mark"), Darker("property", "light")
    alarms = [Alarm("mark", (0, 1)), Alarm("light", (0, 1))]
    made = list(counterfactuals(context_of([mark, light]), alarms, draws=3))
    assert len(mark.searched) == 1
    assert len(mark.searched[0].theirs) == 16
    # Values of properties come from a few other images in each draw.
    assert len(light.searched) > 6
    assert all(len(case.theirs) < 16 for case in light.searched)
    counts = {
        name: sum(one.change == name for one in made) for name in ("mark", "mark, within", "light, within", TOGETHER)
    }
    # No mark recurs in one of two equal sets only.
    assert counts == {"mark": 6, "mark, within": 0, "light, within": 2, TOGETHER: 6}


def test_a_mark_is_searched_in_unchanged_images_for_any_number_of_pairs() -> None:
    mark, light = Darker("mark", "mark"), Darker("property", "light")
    context = context_of([mark, light], 7)
    alarms = [Alarm("light", (0, 1)), *(Alarm("mark", (0, other)) for other in range(1, 7))]
    assert list(counterfactuals(context, alarms, draws=8))
    assert len(mark.searched) == 6
    assert all(case.ours is context.folder.views[0] for case in mark.searched)


def test_fewer_draws_are_made_of_large_images() -> None:
    context, alarms = context_of([Darker("property", "light")]), [Alarm("light", (0, 1))]
    assert total(context, alarms, 4) == 6 * 32
    for most, draws in ((10**9, 4), (6 * 32 * 100, 4), (6 * 32 * 100 - 1, 3), (1, 1)):
        assert affordable(context, alarms, 4, 100, most) == draws
