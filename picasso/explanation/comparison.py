"""The same images through several models: the maps of each, and what lies between them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from picasso.attribution.rank_agreement import rank_correlation
from picasso.explanation import pipeline
from picasso.explanation.inputs import NamedImage, Source
from picasso.explanation.pipeline import Preview, Report
from picasso.explanation.result import Result
from picasso.models.base import Model
from picasso.models.info import ModelInfo
from picasso.models.labels import Wanted
from picasso.visualizations.base import BaseVisualization
from picasso.visualizations.panel import NETWORK_ROUNDING, Panel

# Below a difference; such a pair counts nothing for the agreement, which is that of the other pairs.
FLAT = "One of the two maps is flat, so they have no agreement."


def explain_each(
    models: Mapping[str, Model],
    images: Source | Iterable[Source],
    visualization: str | type[BaseVisualization[Any]] = "PartialOcclusion",
    *,
    plugin_dirs: Sequence[str | Path] = (),
    progress: Report | None = None,
    classes: int | str | Sequence[int | str] = (),
    **settings: object,
) -> Iterator[Result]:
    """Yield the result of each image as soon as it is there, with what each of several models makes of it.

    The arguments are those of :func:`picasso.explain`, but for ``models``, which are those of :func:`run`. Classes are
    those of the first model.
    """
    first = next(iter(models.values()))
    cls, asked = pipeline.find(visualization, plugin_dirs), pipeline.asked_for(first, classes)
    for group, report in pipeline.groups(first, images, progress):
        yield from run(models, cls, settings, group, report, classes=asked)


def run(
    models: Mapping[str, Model],
    visualization: type[BaseVisualization[Any]],
    settings: Mapping[str, object],
    images: Sequence[NamedImage],
    report: Report,
    preview: Preview | None = None,
    *,
    classes: Sequence[Wanted] = (),
) -> Iterator[Result]:
    """Yield one result for each image, with the panels of each model and their differences.

    All models are asked for the same classes: those chosen, or else those that are the most probable for the first
    model. With one model this is :func:`picasso.explanation.pipeline.run`.

    Args:
        models: by name; the first is the one that the others are compared with.
        visualization: the class.
        settings: not checked yet.
        images: any number.
        report: called with the fraction done.
        preview: see :func:`picasso.explanation.pipeline.run`; only asked for with one model.
        classes: the classes to look at; none takes the most probable.
    """
    (first, model), *others = models.items()
    if not others:
        yield from pipeline.run(model, visualization, settings, images, report, preview, classes=classes)
        return
    settings = visualization.settings_to_compare(visualization.ALLOWED_SETTINGS.parse(settings))
    for index, image in enumerate(images):

        def part(number: int, start: int = index) -> Report:
            return lambda fraction: report((start + (number + fraction) / len(models)) / len(images))

        (result,) = pipeline.run(model, visualization, settings, [image], part(0), classes=classes)
        agreements: list[float | None] = []
        same: Sequence[Wanted] = classes or [one["index"] for one in result.predictions]
        for number, (name, other) in enumerate(others, 1):
            asked = same if other.num_classes == model.num_classes else ()
            (theirs,) = pipeline.run(other, visualization, settings, [image], part(number), classes=asked)
            result, found = joined(result, theirs, first or own_name(result.model, models), name)
            agreements += found
        yield replace(result, agreement=mean(agreements))


def own_name(card: ModelInfo, taken: Collection[str]) -> str:
    """Return what a model without a name is called: a name that none of the others has."""
    names = (card.checkpoint, card.name, f"{card.name} itself")
    return next(name for name in names if name and name not in taken)


def joined(result: Result, theirs: Result, first: str, name: str) -> tuple[Result, list[float | None]]:
    """Return a result with the panels of another model and the differences of the maps of the same class.

    With it, how far the two maps of each difference agree, or None where one of them is flat.

    Classes of two models are the same if there are as many of them; then both made the same panels in the same order.
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
    """Return how far two maps agree, -1..1, or None if one of them is flat."""
    return rank_correlation(one.array, two.array, (one.noise_level, two.noise_level))


def mean(numbers: Sequence[float | None]) -> float | None:
    """Return the mean of those that are numbers, or None if there are none."""
    known = [number for number in numbers if number is not None]
    return sum(known) / len(known) if known else None


def comparable(one: Panel, two: Panel) -> bool:
    """Tell whether two panels are maps of one size, of one quantity and of the same class."""
    same = one.kind == two.kind == "map" and one.array.shape == two.array.shape and one.quantity == two.quantity
    return same and one.class_index == two.class_index is not None


def difference(one: Panel, two: Panel, group: str, remark: str = "") -> Panel:
    """Return what the second map has more than the first, with a remark below it."""
    change = None if one.probability is None or two.probability is None else two.probability - one.probability
    # Zero is added for its sign: what is rounded to nothing has none.
    note = "" if change is None else f"probability {round(change, 3) + 0.0:+.3f}"
    largest = max(float(np.abs(each.array).max()) for each in (one, two))
    return Panel(
        title=one.title,
        array=two.array - one.array,
        quantity=f"difference of {one.quantity}",
        signed=True,
        transparency=one.transparency,
        class_index=one.class_index,
        note=". ".join(filter(None, (note, remark))),
        group=group,
        noise=max(one.noise_level, two.noise_level, NETWORK_ROUNDING * largest),
    )
