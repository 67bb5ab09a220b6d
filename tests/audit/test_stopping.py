"""Audits of large folders stop early: with the errors that are promised, and the verdicts that all images give."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest

from picasso.audit.outcome import AuditOutcome
from picasso.audit.rule import verdict
from picasso.audit.sequences import LEAST, Moments, majority_p, mean_p, mean_sequence, share_sequence
from picasso.audit.statistics import Tally, tally
from picasso.audit.stopping import STOP, level_of, looked, pooled
from picasso.audit.trial import Pair, Trial

POOL, BLOCK, TESTS = 5_000, 200, 10
# The mean margins of two classes are this far apart.
WAY = 8.0


@dataclass(frozen=True)
class Truth:
    """What a change does to the images of both classes: its effects, and the shares that change class."""

    effects: tuple[float, float] = (0.0, 0.0)
    flips: tuple[float, float] = (0.01, 0.01)


def measured(truth: Truth, images: int, generator: np.random.Generator) -> list[Tally]:
    """Return what is measured on some images of each class, in both directions."""
    both = []
    for effect, flips in zip(truth.effects, truth.flips, strict=True):
        before = generator.normal(-WAY / 2, 2, images)
        # The way is that of these images, as in an audit.
        way = float(generator.normal(WAY / 2, 2, images).mean() - before.mean())
        control = before + generator.normal(0, 0.1 * WAY, images)
        changed = before + generator.normal(effect, 0.25, images) * WAY
        left = generator.random(images) < flips, generator.random(images) < 0.01
        both.append(tally(before, changed, control, way, left))
    return both


def trials(name: str, both: list[Tally]) -> list[Trial]:
    """Return the trials of both directions after the first block."""
    return [
        Trial(name, "property", False, 0.1, "", *pair, one.effect(repeatedly=True), 0.9, POOL, decided=False, tally=one)
        for pair, one in zip(((0, 1), (1, 0)), both, strict=True)
    ]


def audited(truths: list[Truth], seed: int) -> tuple[AuditOutcome, AuditOutcome, float]:
    """Return the outcomes with all images and with early stopping, and the share of the images that the latter used."""
    whole: dict[Pair, list[Trial]] = {(0, 1): []}
    early: dict[Pair, list[Trial]] = {(0, 1): []}
    used = 0
    for index, truth in enumerate(truths):
        generator = np.random.default_rng([seed, index])
        every = measured(truth, BLOCK, generator)
        stopped = looked(trials(str(index), every), POOL // BLOCK, level_of(len(truths)))
        while not stopped[0].decided:
            block = measured(truth, BLOCK, generator)
            every = [one + more for one, more in zip(every, block, strict=True)]
            after = [pooled(one, more) for one, more in zip(stopped, block, strict=True)]
            stopped = looked(after, POOL // BLOCK, level_of(len(truths)))
        if left := POOL - every[0].images:
            every = [one + more for one, more in zip(every, measured(truth, left, generator), strict=True)]
        # The rule of a fixed number of images.
        whole[0, 1] += [
            replace(one, effect=more.effect(), tally=None) for one, more in zip(stopped, every, strict=True)
        ]
        early[0, 1] += stopped
        used += stopped[0].effect.images
    return verdict(whole), verdict(early), used / (POOL * len(truths))


def innocent(generator: np.random.Generator) -> list[Truth]:
    """Return tests without an alarm: mostly without an effect; two are too small in one direction, at times hardly."""
    weak, weaker = (
        Truth((float(generator.uniform(0.1, 0.3)), float(generator.uniform(0.0, most))), (0.1, 0.03))
        for most in (0.1, 0.05)
    )
    return [weak, weaker, *[Truth()] * (TESTS - 2)]


def planted(generator: np.random.Generator) -> list[Truth]:
    """Return tests of which one has an effect in both directions, at times hardly more than is needed for an alarm."""
    effects = generator.uniform(0.1, 0.9, 2)
    return [Truth((effects[0], effects[1]), (effects[0] / 2, effects[1] / 2)), *innocent(generator)[1:]]


def simulated(runs: int) -> None:
    """Compare early stopping with all images, in this number of innocent and as many planted folders."""
    false_alarms, used, alike = np.zeros(2, int), [], 0
    for seed in range(runs):
        whole, early, share = audited(innocent(np.random.default_rng([seed, 7])), seed)
        false_alarms += [bool(whole.alarms), bool(early.alarms)]
        used.append(share)
        whole, early, share = audited(planted(np.random.default_rng([seed, 8])), seed + runs)
        alike += [one.there.intervention for one in whole.alarms] == [one.there.intervention for one in early.alarms]
        used.append(share)
    print(f"false alarms {false_alarms}, alike {alike} of {runs}, images {np.mean(used):.1%}")
    assert false_alarms[1] <= false_alarms[0]
    assert alike >= (1 - STOP) * runs
    assert np.mean(used) <= 0.10


def test_a_simulated_audit_that_stops_early_says_what_all_images_say() -> None:
    simulated(5)


@pytest.mark.slow
def test_a_thousand_innocent_and_a_thousand_planted_folders() -> None:
    simulated(1_000)


def test_moments_of_blocks_are_those_of_all_values() -> None:
    values = np.random.default_rng(0).normal(3, 2, 500)
    parts = Moments.of(values[:120]) + Moments.of(values[120:310]) + Moments.of(values[310:])
    assert parts.count == 500
    assert [parts.mean, parts.deviation] == pytest.approx([values.mean(), values.std(ddof=1)])


def test_a_tally_of_blocks_is_that_of_all_images() -> None:
    generator = np.random.default_rng(1)
    before, changed, control = generator.normal(0, 1, (3, 400)) + np.array([[-4.0], [0.0], [-4.0]])
    left = generator.random(400) < 0.4, generator.random(400) < 0.1
    parts = [
        tally(before[some], changed[some], control[some], 8.0, (left[0][some], left[1][some]), (0.2, 0.1))
        for some in (slice(0, 150), slice(150, 400))
    ]
    found, whole = (parts[0] + parts[1]).effect(), tally(before, changed, control, 8.0, left, (0.2, 0.1)).effect()
    for name in ("fraction", "low", "high", "p", "flips", "control_flips", "flips_p", "images", "size", "control_size"):
        assert getattr(found, name) == pytest.approx(getattr(whole, name))


def missed(draw: str, level: float, runs: int) -> float:
    """Return how often the true mean is outside of a sequence at any of ten looks."""
    generator, outside = np.random.default_rng(3), 0
    for _ in range(runs):
        so_far = Moments(0, 0.0, 0.0)
        for _ in range(10):
            # Rare: a tenth of the images move by the whole way.
            rare = (generator.random(LEAST) < 0.1).astype(np.float64) - 0.1
            values = generator.normal(0, 1, LEAST) if draw == "normal" else rare
            so_far = Moments.of(values) + so_far
            low, high = mean_sequence(so_far, level, 1.0)
            if not low <= 0 <= high:
                outside += 1
                break
    return outside / runs


@pytest.mark.parametrize("draw", ["normal", "rare"])
def test_a_sequence_of_a_mean_holds_at_all_looks(draw: str) -> None:
    assert missed(draw, 0.05, 400) <= 0.05


def test_a_sequence_of_a_share_holds_at_all_looks() -> None:
    generator, outside = np.random.default_rng(4), 0
    for _ in range(400):
        counts = generator.binomial(LEAST, 0.05, 10).cumsum()
        ranges = [share_sequence(int(count), LEAST * (look + 1), 0.05) for look, count in enumerate(counts)]
        outside += any(not low <= 0.05 <= high for low, high in ranges)
    assert 0 < outside <= 0.05 * 400


def test_p_values_may_be_looked_at_repeatedly() -> None:
    generator, mean, majority = np.random.default_rng(5), 0, 0
    for _ in range(400):
        values, more = generator.normal(0, 1, (10, LEAST)), generator.binomial(20, 0.5, 10).cumsum()
        looks = [Moments.of(values[: look + 1].ravel()) for look in range(10)]
        mean += min(mean_p(one, 0.1) for one in looks) < 0.05
        majority += min(majority_p(int(one), 20 * (look + 1) - int(one)) for look, one in enumerate(more)) < 0.05
    assert mean <= 0.05 * 400
    assert 0 < majority <= 0.05 * 400
    # They see what is there.
    assert mean_p(Moments.of(generator.normal(0.5, 1, 200)), 0.1) < 1e-6
    assert majority_p(40, 2) < 1e-6
