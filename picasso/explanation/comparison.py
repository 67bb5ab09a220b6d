"""Comparing models on the same images: the maps of each model and their differences."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from picasso.attribution.rank_agreement import rank_correlation
from picasso.explanation import pipeline
from picasso.explanation.inputs import NamedImage, Other, Source, prepare
from picasso.explanation.pipeline import Preview, Report
from picasso.explanation.result import Result
from picasso.models.base import Model
from picasso.models.info import ModelInfo
from picasso.targets import Classification, Wanted
from picasso.visualizations.base import BaseVisualization
from picasso.visualizations.panel import NETWORK_ROUNDING, Panel

# The note below a difference; such a pair is excluded from the mean agreement.
FLAT = "One of the two maps is flat, so their agreement is undefined."


def explain_each(
    models: Mapping[str, Model],
    images: Source | Iterable[Source],
    visualization: str | type[BaseVisualization[Any]] = "PartialOcclusion",
    *,
    plugin_dirs: Sequence[str | Path] = (),
    progress: Report | None = None,
    targets: int | str | Sequence[int | str] = (),
    **settings: object,
) -> Iterator[Result]:
    """Yield the result of each image as soon as it is computed, with the maps of each of several models.

    The arguments are those of :func:`picasso.explain`, except for ``models``, which are those of :func:`run`. Targets
    are those of the first model.
    """
    first = next(iter(models.values()))
    cls, asked = pipeline.find(visualization, plugin_dirs), pipeline.asked_for(first, targets)
    for group, report in pipeline.groups(first, images, progress):
        yield from run(models, cls, settings, group, report, targets=asked, other=pipeline.other_image)


def run(
    models: Mapping[str, Model],
    visualization: type[BaseVisualization[Any]],
    settings: Mapping[str, object],
    images: Sequence[NamedImage],
    report: Report,
    preview: Preview | None = None,
    *,
    targets: Sequence[Wanted] = (),
    other: Callable[[Model], Other] | None = None,
) -> Iterator[Result]:
    """Yield one result for each image, with the panels of each model and their differences.

    All models explain the same targets: those chosen, or else those of the first model's predictions. With one model
    this is :func:`picasso.explanation.pipeline.run`.

    Args:
        models: the models by name; the others are compared with the first.
        visualization: the visualization class.
        settings: its settings, not validated yet.
        images: any number of images.
        report: called with the progress, 0..1.
        preview: see :func:`picasso.explanation.pipeline.run`; used only with one model.
        targets: what to explain; see :func:`picasso.explanation.pipeline.run`.
        other: returns, for a model, the function that returns its output for another image by name.
    """
    (first, model), *others = models.items()
    if not others:
        named = other(model) if other else None
        yield from pipeline.run(model, visualization, settings, images, report, preview, targets=targets, other=named)
        return
    settings = visualization.settings_to_compare(visualization.ALLOWED_SETTINGS.parse(settings))
    for index, image in enumerate(images):

        def part(number: int, start: int = index) -> Report:
            return lambda fraction: report((start + (number + fraction) / len(models)) / len(images))

        named = other(model) if other else None
        (result,) = pipeline.run(model, visualization, settings, [image], part(0), targets=targets, other=named)
        agreements: list[float | None] = []
        same = targets or explained(model, result)
        for number, (name, second) in enumerate(others, 1):
            (theirs,) = pipeline.run(
                second,
                visualization,
                settings,
                [image],
                part(number),
                targets=same if alike(model, second) else (),
                other=other(second) if other else None,
            )
            result, found = joined(result, theirs, first or own_name(result.model, models), name)
            agreements += found
        yield replace(result, agreement=mean(agreements))


def run_second(
    first: Model,
    second: Model,
    visualization: type[BaseVisualization[Any]],
    settings: Mapping[str, object],
    images: Sequence[NamedImage],
    report: Report,
    *,
    targets: Sequence[Wanted] = (),
    other: Callable[[Model], Other] | None = None,
) -> Iterator[Result]:
    """Yield the result of the second of two models for each image.

    It explains the targets chosen, or else those of the first model's predictions, as :func:`run` does. The other
    arguments are also those of :func:`run`.
    """
    here, there = (other(model) if other else None for model in (first, second))
    settings = visualization.settings_to_compare(visualization.ALLOWED_SETTINGS.parse(settings))
    for index, image in enumerate(images):

        def part(fraction: float, start: int = index) -> None:
            report((start + fraction) / len(images))

        wanted: Sequence[Wanted] = targets
        if not wanted:
            (seen,) = prepare(first, [image], (), here)
            classes: list[Wanted] = [one["index"] for one in seen.best]
            wanted = classes if isinstance(first.spec, Classification) else [one.text for one in seen.targets]
        if not alike(first, second):
            wanted = ()
        yield from pipeline.run(second, visualization, settings, [image], part, targets=wanted, other=there)


def alike(one: Model, two: Model) -> bool:
    """Tell whether two models have the same targets: the same task and the same number of classes."""
    return one.num_classes == two.num_classes and one.spec.task == two.spec.task


def explained(model: Model, result: Result) -> Sequence[Wanted]:
    """Return the targets of a result for which the user chose none."""
    if isinstance(model.spec, Classification):
        return [one["index"] for one in result.predictions]
    return list(dict.fromkeys(panel.target for panel in result.panels if panel.target))


def own_name(card: ModelInfo, taken: Collection[str]) -> str:
    """Return a name for the model without one that differs from all others."""
    names = (card.checkpoint, card.name, f"{card.name} itself")
    return next(name for name in names if name and name not in taken)


def joined(result: Result, theirs: Result, first: str, name: str) -> tuple[Result, list[float | None]]:
    """Return a result with the panels of another model and the differences between maps of the same class.

    Also return the agreement of the two maps of each difference, or None if one of them is flat.

    Classes of two models are the same if their numbers are equal; then both made the same panels in the same order.
    """
    ours = [panel if panel.group else replace(panel, group=first) for panel in result.panels]
    mine = [panel for panel in ours if panel.group == first and result.model.classes == theirs.model.classes]
    others = (panel for panel in theirs.panels if not panel.group)
    pairs = [(one, two) for one, two in zip(mine, others, strict=False) if comparable(one, two)]
    agreements = [agreement(one, two) for one, two in pairs]
    differences = [
        difference(one, two, f"{name} minus {first}", FLAT if agreed is None else "")
        for (one, two), agreed in zip(pairs, agreements, strict=True)
    ]
    combined = replace(
        result,
        panels=(*ours, *(replace(panel, group=name) for panel in theirs.panels), *differences),
        notes=(*result.notes, *(note for note in theirs.notes if note not in result.notes)),
        compared={**result.compared, name: theirs.predictions},
        seconds=result.seconds + theirs.seconds,
    )
    return combined, agreements


def agreement(one: Panel, two: Panel) -> float | None:
    """Return the agreement of two maps, -1..1, or None if one of them is flat."""
    return rank_correlation(one.array, two.array, (one.noise_level, two.noise_level))


def mean(numbers: Sequence[float | None]) -> float | None:
    """Return the mean of the values that are not None, or None if there are none."""
    known = [number for number in numbers if number is not None]
    return sum(known) / len(known) if known else None


def comparable(one: Panel, two: Panel) -> bool:
    """Tell whether two panels are maps of the same size, quantity and target."""
    same = one.kind == two.kind == "map" and one.array.shape == two.array.shape and one.quantity == two.quantity
    if one.target or two.target:
        return same and one.target == two.target
    return same and one.class_index == two.class_index is not None


def difference(one: Panel, two: Panel, group: str, remark: str = "") -> Panel:
    """Return the second map minus the first, with a note below it."""
    before, after = (panel.probability if panel.value is None else panel.value for panel in (one, two))
    change = None if before is None or after is None else after - before
    # Adding zero removes the sign of a negative zero.
    note = "" if change is None else f"{one.unit or 'probability'} {round(change, 3) + 0.0:+.3f}"
    largest = max(float(np.abs(each.array).max()) for each in (one, two))
    return Panel(
        title=one.title,
        array=two.array - one.array,
        quantity=f"difference of {one.quantity}",
        signed=True,
        transparency=one.transparency,
        class_index=one.class_index,
        target=one.target,
        note=". ".join(filter(None, (note, remark))),
        group=group,
        noise=max(one.noise_level, two.noise_level, NETWORK_ROUNDING * largest),
        uncertainty=float(np.hypot(one.uncertainty, two.uncertainty)),
        ends=("less", "more"),
    )
