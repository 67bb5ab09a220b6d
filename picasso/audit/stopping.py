"""Test large folders in random blocks of images, and stop each test as soon as its verdict is clear.

A trial compares effects and shares of changed answers with the thresholds of :mod:`picasso.audit.rule`. Each of these
quantities has a confidence sequence. Once the rule gives the same result for all values within the sequences, more
images would not change it, and the intervention is not tested on further blocks.

The errors are kept apart. A finding needs p-values below ``LEVEL``, which here hold at all looks, so that stopping adds
no false alarms about effects that are zero. In addition, the sequences of an audit are made for a probability of at
most ``STOP`` that any of them errs: if none does, every test that stopped early has the result that any number of
images would lead to. Whether a change is about the object and how well a property separates the classes have no
sequences, those of means are asymptotic, and images are taken to be independent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import product

from picasso.audit.interventions import Intervention
from picasso.audit.rule import FLIPS, ONE_WAY, REVERSED_FLIPS, Both
from picasso.audit.sequences import LEAST
from picasso.audit.statistics import Tally
from picasso.audit.trial import Pair, Trial, TrialContext

# The probability that a test of an audit stops with another result than it would have with all images, at most.
STOP = 0.05
# The sequences of an intervention on a pair of classes: in both directions, of two comparisons and of two shares; and
# of the margins of both classes, whose distance effects are fractions of.
SEQUENCES = 10
# No test stops before, as an intervention takes what it searches or matches from each block: what one block shows may
# be due to the images that it happened to take it from.
LEAST_BLOCKS = 2


def level_of(tests: int) -> float:
    """Return the level of each sequence of an audit with this number of interventions on pairs (Bonferroni)."""
    return STOP / (SEQUENCES * max(1, tests))


def is_clear(both: Sequence[Trial], level: float) -> bool:
    """Tell whether the rule gives the same result for all values of the effects that the sequences leave.

    The result depends on comparisons with thresholds alone, so one value between each two of them stands for all.

    Args:
        both: the trials of both directions, with tallies.
        level: of each sequence.
    """
    informative = any(one.informative for one in both)
    ranges: list[list[float]] = []
    for one in both:
        if one.tally is None:
            return True
        ranges.append(values(one.tally.fractions(level), (one.floor, max(one.floor, ONE_WAY), ONE_WAY)))
        # Those about the object raise no alarm, however many answers change.
        flips = values(one.tally.excess_flips(level), (FLIPS, REVERSED_FLIPS))
        ranges.append([one.effect.excess_flips] if informative else flips)
    results = set()
    for there, there_flips, back, back_flips in product(*ranges):
        results.add(reason_with((both[0], there, there_flips), (both[1], back, back_flips)))
        if len(results) > 1:
            return False
    return True


def values(within: tuple[float, float], thresholds: Sequence[float]) -> list[float]:
    """Return the lower end of an interval and the thresholds inside, each the least value of its result.

    Examples:
        >>> from picasso.audit.stopping import values
        >>> values((0.02, 0.3), (0.1, 0.35))
        [0.02, 0.1]
    """
    low, high = within
    return [low, *sorted({one for one in thresholds if low < one <= high})]


def reason_with(*both: tuple[Trial, float, float]) -> str | None:
    """Return the reason of the finding, or None, if trials had these effects and excess flips, beyond all doubt."""
    supposed = [
        replace(one, effect=replace(one.effect, fraction=fraction, flips=flips, control_flips=0.0))
        for one, fraction, flips in both
    ]
    found = Both(*sorted(supposed, key=lambda one: -one.effect.fraction)).finding(0.0, 0.0)
    return found.reason if found else None


def judged(both: Sequence[Trial], blocks: int, level: float) -> list[Trial]:
    """Return the trials of both directions after a block: decided if they are clear or all images are used.

    Args:
        both: the trials; none if there was nothing to change.
        blocks: the number of all blocks.
        level: of each sequence.
    """
    if not both or all(one.decided for one in both):
        return list(both)
    if both[0].blocks_used >= blocks:
        # Some images may be unreadable.
        return [replace(one, decided=True, pool=one.effect.images) for one in both]
    # A block whose images are unreadable does not count.
    blocks_measured = min(one.tally.control.blocks if one.tally else blocks for one in both)
    enough = blocks_measured >= LEAST_BLOCKS and min(one.effect.images for one in both) >= LEAST
    clear = enough and is_clear(both, level)
    return [replace(one, decided=clear) for one in both]


def tested_further(
    context: TrialContext, found: Mapping[Pair, Sequence[Trial]], level: float, over: Callable[[], bool]
) -> Iterator[tuple[Pair, list[Trial]]]:
    """Test what is undecided on further blocks of images; yield the trials of a pair whenever some have changed.

    A block is read once for all pairs and interventions that need it, and only one is held at a time besides the first.

    Args:
        context: the model and the first block of images.
        found: the trials of each pair, in any state.
        level: that of each confidence sequence.
        over: tells whether the time has run out.
    """
    trials = {pair: list(made) for pair, made in found.items()}
    for number in range(1, max(map(context.blocks_of_pair, trials), default=1)):
        todo = {pair: names for pair, made in trials.items() if (names := undecided(made, number))}
        targets = sorted({target for pair in todo for target in pair})
        # The one before goes before the next is read.
        block = None
        if not targets or over() or (block := context.block(number, targets)) is None:
            continue
        for pair, names in todo.items():
            for name in names:
                if over():
                    return
                both = [one for one in trials[pair] if one.intervention == name]
                after = judged(tested_on(block, context.named(name), pair, both), context.blocks_of_pair(pair), level)
                place = trials[pair].index(both[0])
                trials[pair][place : place + 2] = after
                yield pair, trials[pair]


def undecided(made: Sequence[Trial], blocks: int | None = None) -> list[str]:
    """Return the names of the interventions that are undecided, after this number of blocks."""
    return list(
        dict.fromkeys(one.intervention for one in made if not one.decided and blocks in (None, one.blocks_used))
    )


def tested_on(block: TrialContext, intervention: Intervention, pair: Pair, both: Sequence[Trial]) -> list[Trial]:
    """Return the trials of both directions with those of a further block added.

    If there is nothing to change in the block, its images count as unchanged.

    Args:
        block: the block; it lacks classes without readable images.
        intervention: the intervention.
        pair: the pair of classes.
        both: the trials so far.
    """
    if not set(pair) <= set(block.folder.views):
        return [replace(one, blocks_used=one.blocks_used + 1) for one in both]
    measured = block.measured_both(intervention, pair)
    if not measured:
        return [pooled(one, Tally.nothing(*block.margins(one.ours, one.theirs))) for one in both]
    fresh = [
        one._replace(trial=replace(pooled(so_far, one.tally), informative=one.trial.informative))
        for so_far, one in zip(both, measured, strict=True)
    ]
    return block.with_informative(intervention, fresh)


def pooled(trial: Trial, more: Tally) -> Trial:
    """Return a trial with what was measured on a further block."""
    so_far = replace(trial, blocks_used=trial.blocks_used + 1)
    return so_far.with_tally(more if trial.tally is None else trial.tally + more)
