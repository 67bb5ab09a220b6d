"""The rule: which effects are alarms, which are told, and that models without a shortcut raise no alarm."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from picasso.audit.extent import covers, elsewhere, fills_images, is_covered, is_drawn, stands_alone
from picasso.audit.findings import Finding
from picasso.audit.outcome import AuditOutcome, grouped
from picasso.audit.rule import FLIPS, ONE_WAY, SEPARATED, verdict
from picasso.audit.statistics import Effect, effect
from picasso.audit.trial import Pair, Trial

STRONG = Effect(0.5, 0.4, 0.6, 1e-9, 0.6, 0.0, 50, 1e-6, 0.1, 0.1)
NONE = Effect(0.0, -0.1, 0.1, 0.6, 0.0, 0.0, 50, 1.0, 0.1, 0.1)
NAMES = ["ant", "bee", "cat", "dog"]


def trial(found: Effect, ours: int, theirs: int, name: str = "brightness", **more: Any) -> Trial:
    made = Trial(name, "property", False, 0.1, "making {a} like {b}", ours, theirs, found)
    return replace(made, **more)


def judged(there: Effect, back: Effect, **more: Any) -> AuditOutcome:
    """Return the verdict on one intervention among twenty without an effect."""
    idle = [
        one for index in range(20) for one in (trial(NONE, 0, 1, f"no. {index}"), trial(NONE, 1, 0, f"no. {index}"))
    ]
    return verdict({(0, 1): [trial(there, 0, 1, **more), trial(back, 1, 0, **more), *idle]})


def test_an_alarm_needs_both_directions_the_floor_and_changed_answers() -> None:
    found = judged(STRONG, STRONG)
    assert [one.tier for one in found.findings] == ["relies on"]
    assert "appears to rely on brightness" in found.sentence()
    assert not judged(STRONG, replace(STRONG, fraction=0.09, flips=0.0)).findings
    assert not judged(STRONG, replace(STRONG, p=0.02, flips=0.0)).findings


def test_an_effect_that_changes_no_answer_is_told() -> None:
    few = replace(STRONG, flips=0.04)
    found = judged(few, few)
    assert (found.alarms, [one.reason for one in found.findings]) == ([], ["few answers"])
    assert "No reliance was found that changes answers, but the margin depends on brightness." in found.sentence()
    assert "Hardly any image changes class" in found.findings[0].caveat(NAMES)
    # The control changes as many.
    assert judged(replace(STRONG, control_flips=0.58), few).alarms == []
    assert judged(replace(STRONG, control_flips=0.6 - FLIPS - 0.01), few).alarms


def test_one_direction_is_told_where_the_folder_differs() -> None:
    found = judged(STRONG, NONE, separation=SEPARATED)
    assert (found.alarms, [one.tier for one in found.findings]) == ([], ["one direction"])
    assert "may rely on brightness: the effect is strong in one direction only" in found.sentence()
    assert "collect images of “ant” that are like those of “bee”" in found.findings[0].caveat(NAMES)
    assert judged(STRONG, NONE, separation=1 - SEPARATED).findings
    assert judged(STRONG, NONE, separation=SEPARATED - 0.01).findings == ()
    assert judged(replace(STRONG, fraction=ONE_WAY - 0.01), NONE, separation=0.9).findings == ()
    assert judged(replace(STRONG, flips=0.0), NONE, separation=0.9).findings == ()


def test_the_reverse_may_be_shown_by_changed_answers() -> None:
    back = replace(NONE, flips=0.3, flips_p=1e-4)
    assert judged(STRONG, back).alarms
    assert not judged(STRONG, back, kind="object").alarms
    assert not judged(STRONG, replace(back, flips_p=0.01)).alarms
    assert not judged(replace(STRONG, fraction=0.3), back).alarms


def test_what_may_be_the_object_is_told() -> None:
    found = judged(STRONG, STRONG, informative=True)
    assert [one.reason for one in found.findings] == ["object"]
    assert "No reliance on any tested property was found" in found.sentence()


@pytest.mark.parametrize("damage", [0.0, 1.5])
def test_models_without_a_shortcut_raise_no_alarm(damage: float) -> None:
    """Changes and controls that move margins alike, at random and by damaging the images, 300 audits of 30 tests."""
    random, alarms = np.random.default_rng(0), 0
    for _ in range(300):
        made: list[Trial] = []
        for index in range(30):
            for ours, theirs in ((0, 1), (1, 0)):
                before = random.normal(-4, 1, 50)
                # Damage moves images towards the other class, by the same amount in the change and in its control.
                towards, control = (before + damage + random.normal(0, 0.8, 50) for _ in range(2))
                made.append(trial(effect(before, towards, control, before + 8.0), ours, theirs, f"no. {index}"))
        alarms += bool(verdict({(0, 1): made}).alarms)
    assert alarms == 0


def test_a_control_that_changes_less_would_raise_alarms() -> None:
    """The damage of the test above with a control that leaves the images nearly as they are."""
    random, made = np.random.default_rng(0), []
    for ours, theirs in ((0, 1), (1, 0)):
        before = random.normal(-1, 1, 50)
        towards, control = before + 1.5 + random.normal(0, 0.8, 50), before + random.normal(0, 0.1, 50)
        made.append(trial(effect(before, towards, control, before + 4.0), ours, theirs))
    assert verdict({(0, 1): made}).alarms


# ---- several classes ------------------------------------------------------------------------------------------------


def test_findings_over_many_classes_are_grouped_by_the_class_that_they_share() -> None:
    pairs: list[Pair] = [(0, 1), (0, 2), (0, 3), (1, 2)]
    trials = {(a, b): [trial(STRONG, a, b, "the corner"), trial(STRONG, b, a, "the corner")] for a, b in pairs}
    trials[1, 2] = [trial(STRONG, 1, 2), trial(STRONG, 2, 1)]
    found = verdict(trials)
    corner, light = sorted(found.groups, key=lambda one: one.name, reverse=True)
    assert (corner.owner, corner.others, light.owner) == (0, [1, 2, 3], None)
    assert corner.between(NAMES, 4) == "“ant” against all 3 other classes"
    assert corner.between(NAMES, 5) == "“ant” against “bee”, “cat”, “dog”"
    assert light.between(NAMES, 4) == "“bee” and “cat”"
    sentence = found.sentence("", NAMES, 4)
    assert "for “ant” against all 3 other classes. There is 1 more finding." in sentence
    assert len(found.alarms) == 4
    assert corner.sentence(NAMES, 4).startswith("“ant” against all 3 other classes. The corner: making ")
    assert light.sentence(NAMES, 2).startswith("Brightness: making ")


def test_findings_of_other_tiers_are_not_grouped_together() -> None:
    one, two = (Finding(trial(STRONG, 0, n), trial(STRONG, n, 0), 0.0) for n in (1, 2))
    told = replace(two, reason="object")
    assert [len(group.findings) for group in grouped([one, told])] == [1, 1]
    assert [len(group.findings) for group in grouped([one, two])] == [2]


# ---- where the object is --------------------------------------------------------------------------------------------


def test_a_part_stands_alone_if_its_surroundings_are_not_looked_at() -> None:
    part = np.zeros((24, 24), bool)
    part[:6, :6] = True
    tag, tail = np.full((5, 24, 24), 0.5, np.float32), np.full((5, 24, 24), 0.5, np.float32)
    tag[:, 1:5, 1:5] = 6
    tail[:, 2:16, 2:16] = 3
    assert stands_alone(part, [tag, tail])
    assert not stands_alone(part, [tail, tail])
    assert not stands_alone(np.ones((24, 24), bool), [tag, tag])


def test_what_is_drawn_onto_images_is_the_same_in_all_and_ends() -> None:
    frame, scenes = np.ones((32, 32), bool), np.random.default_rng(0).uniform(0.3, 1, (2, 12, 32, 32, 3))
    frame[2:-2, 2:-2] = False
    plain, other = scenes.astype(np.float32)
    framed = np.where(frame[..., None], np.float32(0.1), plain)
    assert is_drawn(frame, [framed, other])
    assert is_drawn(frame, [other, framed])
    # Also if few images lack it, and if the region is wider than what is drawn.
    some, wider = framed.copy(), frame.copy()
    some[:3] = plain[:3]
    wider[2] = wider[-3] = wider[:, 2] = wider[:, -3] = True
    assert is_drawn(wider, [some, other])
    # Both classes have it; half of the images have it; there is none.
    assert not is_drawn(frame, [framed, np.where(frame[..., None], np.float32(0.1), other)])
    some[:7] = plain[:7]
    assert not is_drawn(frame, [some, other])
    assert not is_drawn(frame, [plain, other])
    # The ground of objects that are centred in all images, of which some reach into the frame.
    dark = np.zeros((12, 32, 32, 1), np.float32)
    dark[:, 8:24, 8:24] = 0.8
    reaching = dark.copy()
    reaching[:5, 0:24, 8:24] = 0.8
    assert not is_drawn(frame, [dark, reaching])


def test_an_object_that_fills_the_images_leaves_no_background() -> None:
    everywhere, compact = np.ones((3, 20, 20), np.float32), np.full((3, 20, 20), 0.01, np.float32)
    compact[:, 5:12, 5:12] = 1
    assert elsewhere(everywhere) == pytest.approx(0.4)
    assert elsewhere(compact) < 0.05
    assert fills_images([everywhere, everywhere])
    assert not fills_images([everywhere, compact])


def test_masks_say_where_the_object_is() -> None:
    part, masks = np.zeros((10, 10), bool), np.zeros((4, 10, 10), bool)
    part[:4, :4] = True
    masks[:, 4:8, 4:8] = True
    assert not is_covered(part, [masks, masks])
    masks[:, 2:8, 2:8] = True
    assert is_covered(part, [np.zeros_like(masks), masks])
    assert covers(np.where(masks, 2.0, 1.0).astype(np.float32), 0.3).max() <= 1
