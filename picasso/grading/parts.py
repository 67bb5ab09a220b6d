"""The tests of one map, each of which can be made alone."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from picasso.attribution.rank_agreement import rank_correlation
from picasso.errors import Cancelled, ModelError, PicassoError
from picasso.grading.curves import CONTROLS, KINDS, MAP, controls, curves, order_of
from picasso.grading.maps import Subject
from picasso.grading.outcome import FillTest, FlipTest, ImageGrade, WeightLevel, WeightTest
from picasso.models.base import Model
from picasso.models.random_weights import RandomWeights
from picasso.visualizations.panel import Panel

# The shares of the kernels that are random in each level of the test, those next to the output first.
LEVELS = (0.5, 1.0)
# The number of bins of the histogram whose entropy is measured.
BINS = 100
FLAT = "the map is flat, so it puts the pixels in no order"

#: Called with the finished fraction; may raise Cancelled.
Report = Callable[[float], None]


def random_weights(model: Model, seed: int) -> RandomWeights:
    """Return a copy of a model whose weights can be random."""
    return model.random_weights(seed)


def untested(grade: ImageGrade, test: str, error: PicassoError) -> ImageGrade:
    """Return a grade that states why a test could not be made."""
    message = error.message.rstrip(".")
    if message.partition(" ")[0] in ("A", "An", "Its", "No", "The", "There", "This"):
        message = f"{message[0].lower()}{message[1:]}"
    why = f"{test}, because {message}"
    return replace(grade, untested=(*grade.untested, why))


def begun(subject: Subject) -> ImageGrade:
    """Return the grade of an image before any test."""
    target = subject.target
    return ImageGrade(subject.named.name, target.text, target.name, target.quantity)


def with_curves(
    grade: ImageGrade,
    subject: Subject,
    report: Report,
    seed: int = 0,
    panel: Panel | None = None,
    only: Collection[str] = CONTROLS,
    kinds: Sequence[str] = KINDS,
) -> ImageGrade:
    """Add the deletion and insertion curves of a map and of controls.

    Args:
        grade: the grade so far.
        subject: the image and how its map is made.
        report: called with the finished fraction.
        seed: the seed of the random map.
        panel: the map, or None for the controls alone.
        only: the controls.
        kinds: which of both curves to measure.
    """
    view = subject.image.view
    orders = {name: ranks for name, ranks in controls(view, seed).items() if name in only}
    try:
        if panel is not None:
            if panel.flat:
                raise ModelError(FLAT)
            orders = {MAP: order_of(panel, view.size), **orders}
        found = curves(subject.model, subject.image, subject.target, orders, report, kinds=kinds)
    except Cancelled:
        raise
    except PicassoError as error:
        return untested(grade, "the curves", error)
    return replace(grade, curves=tuple(found))


def with_weights(
    grades: Sequence[ImageGrade],
    subjects: Sequence[Subject],
    panels: Sequence[Panel],
    report: Report,
    seed: int = 0,
    copied: Callable[[Model, int], RandomWeights] = random_weights,
) -> list[ImageGrade]:
    """Add the test with random weights to the grades of several images.

    From the output on, more and more kernels of a copy of the model are random; Adebayo et al., *Sanity checks for
    saliency maps*, arXiv 1810.03292. The entropies are those of Hedström et al., arXiv 2401.06465.

    Args:
        grades: the grades so far.
        subjects: the images and how their maps are made, all with the same model.
        panels: the maps with the original weights, with the same settings.
        report: called with the finished fraction.
        seed: the seed of the weights.
        copied: returns the copy of the model.
    """
    what = "random weights"
    try:
        copy = copied(subjects[0].model, seed)
    except PicassoError as error:
        return [untested(grade, what, error) for grade in grades]
    kernels = len(copy.kernels)
    counts = sorted({max(1, round(share * kernels)) for share in LEVELS})
    levels: list[list[WeightLevel]] = [[] for _ in subjects]
    last: list[Panel | None] = [None] * len(subjects)
    failed: dict[int, PicassoError] = {}
    for number, count in enumerate(counts):
        copy.randomize(count)
        for index, (subject, panel) in enumerate(zip(subjects, panels, strict=True)):
            report((number * len(subjects) + index) / (len(counts) * len(subjects)))
            if index in failed:
                continue
            try:
                last[index] = other = map_by(subject, copy.model, panel)
            except Cancelled:
                raise
            except PicassoError as error:
                failed[index] = error
                continue
            levels[index].append(WeightLevel(count, agreement(panel, other)))
    found = []
    for index, (grade, panel) in enumerate(zip(grades, panels, strict=True)):
        if index in failed:
            found.append(untested(grade, what, failed[index]))
            continue
        random = last[index]
        after = None if random is None or random.flat else entropy(random)
        test = WeightTest(kernels, tuple(levels[index]), entropy(panel), after)
        found.append(replace(grade, weights=test))
    return found


def map_by(subject: Subject, model: Model, panel: Panel) -> Panel:
    """Return the map by another model; a flat map for an original that is flat.

    Raises:
        ModelError: the original is flat.
    """
    if panel.flat:
        raise ModelError(FLAT)
    return subject.by(model).map()


def with_fills(grade: ImageGrade, subject: Subject, panel: Panel, report: Report) -> ImageGrade:
    """Add the agreement of the maps with two fills.

    Args:
        grade: the grade so far.
        subject: the image and how its map is made.
        panel: its map, with the same settings.
        report: called with the finished fraction.
    """
    try:
        fill, other, refilled = subject.refilled()
        if panel.flat:
            raise ModelError(FLAT)
        found = agreement(panel, refilled.map(report))
    except Cancelled:
        raise
    except PicassoError as error:
        return untested(grade, "two fills", error)
    return replace(grade, fills=FillTest(fill, other, found))


def with_flip(grade: ImageGrade, subject: Subject, panel: Panel, report: Report) -> ImageGrade:
    """Add the agreement of the map with that of the flipped image, flipped back; the arguments are as above."""
    try:
        flipped = subject.flipped()
        if panel.flat:
            raise ModelError(FLAT)
        other = flipped.map(report)
        found = agreement(panel, replace(other, array=other.array[:, ::-1].copy()))
    except Cancelled:
        raise
    except PicassoError as error:
        return untested(grade, "the flipped image", error)
    return replace(grade, flip=FlipTest(found))


def agreement(one: Panel, two: Panel) -> float | None:
    """Return the rank correlation of two maps, or None if one of them is flat."""
    return rank_correlation(one.array, two.array, (one.noise_level, two.noise_level))


def entropy(panel: Panel) -> float:
    """Return the entropy of the histogram of a map's values between its smallest and its largest, in bits.

    Examples:
        >>> import numpy as np
        >>> from picasso.grading.parts import entropy
        >>> from picasso.visualizations.panel import Panel
        >>> entropy(Panel("", np.array([[0, 0], [1, 1]], np.float32)))
        1.0
    """
    values: NDArray[Any] = np.asarray(panel.array, np.float64)
    counts, _ = np.histogram(values, bins=BINS)
    shares = counts[counts > 0] / values.size
    return abs(float(-(shares * np.log2(shares)).sum()))
