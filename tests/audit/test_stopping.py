"""Audits of large folders stop early: with the errors that are promised, and the verdicts that all images give."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest

from picasso.audit.outcome import AuditOutcome
from picasso.audit.rule import verdict
from picasso.audit.sequences import LEAST, Moments, majority_p, mean_p, mean_sequence, share_sequence
from picasso.audit.statistics import Tally, tally
from picasso.audit.stopping import STOP, judged, level_of, pooled
from picasso.audit.trial import Pair, Trial

POOL, BLOCK, TESTS = 5_000, 200, 10
# The mean margins of two classes are this far apart, and vary by this much within a class: well separated, or hardly.
WAY, SPREADS = 8.0, (2.0, 6.0)


@dataclass(frozen=True)
class Truth:
    """What a change does to the images of both classes: its effects, and the shares that change class."""

    effects: tuple[float, float] = (0.0, 0.0)
    flips: tuple[float, float] = (0.01, 0.01)
    spread: float = SPREADS[0]


def measured(truth: Truth, images: int, generator: np.random.Generator) -> list[Tally]:
    """Return what is measured on some images of each class, in both directions."""
    both = []
    for effect, flips in zip(truth.effects, truth.flips, strict=True):
        before, others = (generator.normal(mean, truth.spread, images) for mean in (-WAY / 2, WAY / 2))
        control = before + generator.normal(0, 0.1 * WAY, images)
        changed = before + generator.normal(effect, 0.25, images) * WAY
        left = generator.random(images) < flips, generator.random(images) < 0.01
        both.append(tally(before, changed, control, others, left))
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
        stopped = judged(trials(str(index), every), POOL // BLOCK, level_of(len(truths)))
        while not stopped[0].decided:
            block = measured(truth, BLOCK, generator)
            every = [one + more for one, more in zip(every, block, strict=True)]
            after = [pooled(one, more) for one, more in zip(stopped, block, strict=True)]
            stopped = judged(after, POOL // BLOCK, level_of(len(truths)))
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


def simulated(runs: int, spread: float, most: float) -> None:
    """Compare early stopping with all images, in this number of innocent and as many planted folders.

    Args:
        runs: the number of folders of each kind.
        spread: that of the margins within a class.
        most: the largest share of the images that the tests may use.
    """
    false_alarms, used, alike = np.zeros(2, int), [], 0
    for seed in range(runs):
        whole, early, share = audited(spread_by(innocent(np.random.default_rng([seed, 7])), spread), seed)
        false_alarms += [bool(whole.alarms), bool(early.alarms)]
        used.append(share)
        whole, early, share = audited(spread_by(planted(np.random.default_rng([seed, 8])), spread), seed + runs)
        alike += [one.there.intervention for one in whole.alarms] == [one.there.intervention for one in early.alarms]
        used.append(share)
    print(f"spread {spread}: false alarms {false_alarms}, alike {alike} of {runs}, images {np.mean(used):.1%}")
    assert false_alarms[1] <= false_alarms[0]
    assert alike >= (1 - STOP) * runs
    assert np.mean(used) <= most


def spread_by(truths: list[Truth], spread: float) -> list[Truth]:
    """Return what changes do where the margins within a class are spread."""
    return [replace(one, spread=spread) for one in truths]


def test_a_simulated_audit_that_stops_early_says_what_all_images_say() -> None:
    simulated(4, SPREADS[0], 0.2)


@pytest.mark.slow
@pytest.mark.parametrize(("spread", "most"), [(SPREADS[0], 0.12), (SPREADS[1], 0.15)])
def test_a_thousand_innocent_and_a_thousand_planted_folders(spread: float, most: float) -> None:
    simulated(1_000, spread, most)


def test_moments_of_blocks_are_those_of_all_values() -> None:
    values = np.random.default_rng(0).normal(3, 2, 500)
    parts = Moments.of(values[:120]) + Moments.of(values[120:310]) + Moments.of(values[310:])
    assert parts.count == 500
    assert [parts.mean, parts.deviation] == pytest.approx([values.mean(), values.std(ddof=1)])


def test_a_tally_of_blocks_is_that_of_all_images() -> None:
    generator = np.random.default_rng(1)
    before, changed, control, others = generator.normal(0, 1, (4, 400)) + np.array([[-4.0], [0.0], [-4.0], [4.0]])
    left = generator.random(400) < 0.4, generator.random(400) < 0.1
    parts = [
        tally(before[some], changed[some], control[some], others[some], (left[0][some], left[1][some]), (0.2, 0.1))
        for some in (slice(0, 150), slice(150, 400))
    ]
    found, whole = (parts[0] + parts[1]).effect(), tally(before, changed, control, others, left, (0.2, 0.1)).effect()
    for name in ("fraction", "low", "high", "p", "flips", "control_flips", "flips_p", "images", "size", "control_size"):
        assert getattr(found, name) == pytest.approx(getattr(whole, name))


def missed(draw: str, level: float, runs: int) -> float:
    """Return how often the true mean is outside of a sequence at any of ten looks."""
    generator, outside = np.random.default_rng(3), 0
    for _ in range(runs):
        so_far = None
        for _ in range(10):
            # Rare: a tenth of the images move by the whole way.
            rare = (generator.random(LEAST) < 0.1).astype(np.float64) - 0.1
            values = generator.normal(0, 1, LEAST) if draw == "normal" else rare
            so_far = Moments.of(values) + so_far if so_far else Moments.of(values)
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


@pytest.mark.parametrize("images", [1, 8, 100, 199, 200, 1_000, 5_000])
@pytest.mark.parametrize("level", [0.05, 1e-3, 1e-5, 1e-9])
def test_a_share_has_a_sequence_for_every_count(images: int, level: float) -> None:
    # All counts of small numbers; of large ones, those at both ends and some between.
    ends = {*range(min(images, 30) + 1), *range(max(0, images - 30), images + 1), *range(0, images + 1, 7)}
    before = (0.0, 0.0)
    for count in sorted(ends):
        low, high = share_sequence(count, images, level)
        assert 0 <= low <= count / images <= high <= 1
        assert low >= before[0]
        assert high >= before[1]
        before = low, high


def test_a_single_value_says_nothing() -> None:
    assert mean_sequence(Moments(1, 2.0, 0.0), 0.05, 1.0) == (-np.inf, np.inf)
    assert mean_p(Moments(1, 2.0, 0.0), 1.0) == 1


@pytest.mark.parametrize("spread", [WAY * 3 / 4, WAY * 3 / 2])
def test_the_sequence_of_an_effect_holds_where_the_way_is_uncertain(spread: float) -> None:
    """Ten looks each at 300 tests with classes that hardly differ; the true effect is 0.35."""
    outside, ends, truth = 0, 0, Truth((0.35, 0.35), spread=spread)
    for seed in range(300):
        generator = np.random.default_rng([seed, 9])
        so_far = measured(truth, BLOCK, generator)[0]
        sequences, intervals = [so_far.fractions(0.05 / 4)], [so_far.effect(repeatedly=True)]
        for _ in range(9):
            so_far += measured(truth, BLOCK, generator)[0]
            sequences.append(so_far.fractions(0.05 / 4))
            intervals.append(so_far.effect(repeatedly=True))
        outside += any(not low <= 0.35 <= high for low, high in sequences)
        ends += any(not one.low <= 0.35 <= one.high for one in intervals)
    assert outside <= 0.05 * 300
    assert ends <= 0.05 * 300
    # They see it: the last ones are narrow enough to tell it from none.
    assert sequences[-1][0] > 0


def test_no_test_stops_after_one_block() -> None:
    truth, generator = Truth((0.9, 0.9), (0.5, 0.5)), np.random.default_rng(0)
    made = judged(trials("strong", measured(truth, BLOCK, generator)), POOL // BLOCK, level_of(1))
    assert not made[0].decided
    more = [pooled(one, block) for one, block in zip(made, measured(truth, BLOCK, generator), strict=True)]
    assert judged(more, POOL // BLOCK, level_of(1))[0].decided


def test_what_the_images_of_a_block_have_in_common_widens_a_sequence() -> None:
    """Each block moves by its own amount, as where each takes another mark: the mean is known as well as six values."""
    generator, outside = np.random.default_rng(6), 0
    for _ in range(300):
        own = generator.normal(0, 1, 6)
        blocks = [Moments.of(generator.normal(one, 0.1, BLOCK)) for one in own]
        so_far = blocks[0]
        for one in blocks[1:]:
            so_far = so_far + one
        low, high = mean_sequence(so_far, 0.05, 0.1)
        outside += not low <= 0 <= high
    assert outside <= 0.05 * 300


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
