"""The concepts of a layer in a folder of images: what they are, their importance, and what happens without them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from picasso.attribution.placement import Canvas
from picasso.errors import BadRequest, PicassoError
from picasso.explanation.inputs import Source, image_from, named
from picasso.explanation.render import SEQUENTIAL, blend, grey, table
from picasso.explanation.walk import batches
from picasso.inside.audit_findings import read_findings, shared_findings
from picasso.inside.card import changes_of
from picasso.inside.channel import EXEMPLARS
from picasso.inside.concept_card import Concept, Concepts, Example
from picasso.inside.exemplars import Exemplar
from picasso.inside.factors import Sample, factorized_aside, require_package
from picasso.inside.looking import Progress, class_of, given, looked_at, require_finite, require_whole, silently
from picasso.inside.measuring import Measurement
from picasso.models.arrays import Array
from picasso.models.base import Model
from picasso.models.info import Layer
from picasso.targets import Classification

# The number of concepts: the default, and the maximum.
COUNT, MAX_COUNT = 5, 10
# The maximum number of images for which the importance is measured, by hundreds of predictions from the layer on.
MEASURED = 16
# The share of the progress for the first pass over the images.
FIRST = 0.3


def concepts(
    model: Model,
    layer: str | None,
    images: Any,
    *,
    target: str | int | None = None,
    count: int = COUNT,
    exemplars: int = EXEMPLARS,
    audit: Path | str | None = None,
    seed: int = 0,
    names: Sequence[str] | None = None,
    progress: Progress = silently,
) -> Concepts:
    """Return what a layer represents in images, as a few directions of its channels, and what depends on each.

    The feature maps are factorized: each cell is approximated by a sum of directions with coefficients that are never
    negative; see :func:`picasso.inside.factors.factorized`. A direction is a concept, and its coefficients are its heat
    map. The method follows CRAFT by Fel et al., 2023, arXiv 2211.10154, without its recursion, and on the cells of the
    feature maps instead of pooled crops of the images.

    The *importance* of a concept is its total Sobol index of the score of the class: all concepts are multiplied by
    numbers from 0 to 1, and the index is the share of the variance of the score that depends on this one; see
    :func:`picasso.inside.sobol.total_variances`. The effect *without it* is measured: its part ``u v`` is subtracted
    from the feature maps, and the network is computed again from the layer on. What the factorization does not explain
    stays in both.

    Args:
        model: the model.
        layer: the name of a layer with feature maps; None for the last one before the head.
        images: files, folders, PIL images or arrays.
        target: the name or index of a class: the concepts are those of the images that are predicted as this class, and
            the score is that of this class. None for all images, each with the score of its predicted class.
        count: the number of concepts, 1 to 10; fewer are found if the layer has fewer channels or fewer directions.
        exemplars: the number of exemplars of each.
        audit: the ``audit.json`` of an audit of the model, with its folder ``evidence`` beside it, to say which concept
            each of its findings is about; see :func:`picasso.inside.audit_findings.shared_findings`.
        seed: the random seed of the sample of cells, of the factorization and of the measurement.
        names: the names of the images, one for each; by default those of the files.
        progress: called often with the finished fraction; what it raises ends the search.

    Raises:
        BadRequest: there are no images, none of this class, a source is no image, or a number is not valid.
        ConfigurationError: the package scikit-learn is missing.
        ModelError: the model has no feature maps, no such layer, can't replace its feature maps, its numbers are not
            finite, or no image can be read.

    Examples:
        The channels of this model's layer are the colours of its image, and brightness is their mean. Without what is
        yellow, the images are dark:

        >>> import numpy as np
        >>> import picasso
        >>> from picasso.examples.brightness import BrightnessModel
        >>> model = BrightnessModel()
        >>> model.load(channels=3)
        >>> images = np.zeros((4, 8, 8, 3), np.uint8)
        >>> images[:, :7] = 255, 255, 0
        >>> images[:, 7, :4] = 0, 0, 120
        >>> first, second = picasso.concepts(model, None, images, count=2).concepts
        >>> [round(float(one), 2) for one in first.direction], first.importance > 0.99
        ([0.71, 0.71, 0.0], True)
        >>> [(one.before, one.after, one.images) for one in first.changes], second.changes
        ([('bright', 'dark', 4)], ())
    """
    require_package()
    described = looked_at(model, layer)
    require_whole("count", count, 1, MAX_COUNT)
    require_whole("exemplars", exemplars, 1)
    require_whole("seed", seed, 0)
    wanted = class_of(model.spec, [str(one) for one in model.class_names()], target)
    sources = given(images, model)
    findings = [] if audit is None else read_findings(Path(audit), [str(name) for name in model.class_names()])
    if names is not None and len(names) != len(sources):
        raise BadRequest(f"There must be one name for each of the {len(sources)} images, not {len(names)}.")
    called, unreadable = named(sources) if names is None else list(names), list[str]()
    chosen, sample = list[int](), Sample(described.shape[-1], seed)
    for indices, inputs, _ in batches(model, sources, unreadable, called):
        chosen += sampled(model, described, wanted, indices, inputs, sample)
        progress(FIRST * (indices[-1] + 1) / len(sources))
    if not chosen:
        which = "The image is not" if len(sources) == 1 else f"None of the {len(sources)} images is"
        raise BadRequest(
            f"{which} predicted as {model.class_names()[wanted or 0]}, so there is nothing to look at. Give images "
            "that are, or another class."
        )
    factors = factorized_aside(sample.cells, count, seed, lambda: progress(FIRST))
    measured = spread(chosen, MEASURED, seed)
    done = 0

    def report() -> None:
        progress(1 - (1 - FIRST) * (1 - done / len(chosen)))

    measurement = Measurement(model, described, factors, wanted, measured, exemplars, seed, report)
    # Some may be removed during the search, such as images of a session.
    for places, inputs, _ in batches(
        model, [sources[one] for one in chosen], unreadable, [called[one] for one in chosen]
    ):
        measurement.look([chosen[one] for one in places], inputs)
        done = places[-1] + 1
        report()
    order = (-measurement.importance).argsort(kind="stable")
    factors = replace(factors, parts=factors.parts[order])
    shared = shared_findings(model, described.name, factors, findings)
    found = tuple(
        replace(
            concept(model, measurement, int(which), sources, called, unreadable),
            number=place + 1,
            findings=tuple(shared.get(place, ())),
        )
        for place, which in enumerate(order)
    )
    return Concepts(
        described,
        "" if wanted is None else str(model.class_names()[wanted]),
        measurement.images,
        measurement.varied,
        found,
        measurement.rest / measurement.squares,
        measurement.negative / measurement.squares,
        isinstance(model.spec, Classification),
        factors,
        tuple(dict.fromkeys(unreadable)),
    )


def sampled(
    model: Model, layer: Layer, wanted: int | None, indices: list[int], inputs: Array, sample: Sample
) -> list[int]:
    """Add the cells of those images of a batch that are predicted as a class to a sample; return their positions."""
    if wanted is not None:
        kept = np.flatnonzero(model.predict(inputs).argmax(axis=1) == wanted)
        indices, inputs = [indices[one] for one in kept], inputs[kept]
    for maps in model.feature_maps(inputs, layer.name) if indices else []:
        require_finite(maps, f"A value of layer {layer.name}")
        sample.add(maps)
    return indices


def spread(positions: Sequence[int], count: int, seed: int) -> list[int]:
    """Return some of many positions, drawn at random from parts of the same length.

    Images of a class are often neighbours in a folder, so that classes are represented by their size.
    """
    generator = np.random.default_rng(seed)
    parts = np.array_split(np.asarray(positions), min(count, len(positions)))
    return [int(generator.choice(part)) for part in parts]


def concept(
    model: Model,
    measurement: Measurement,
    which: int,
    sources: Sequence[Source],
    names: Sequence[str | None],
    unreadable: list[str],
) -> Concept:
    """Return one concept as people see it, without its number; add a message for each exemplar that is gone."""
    layer, found = measurement.layer, measurement.largest[which].found()
    classes = [str(one) for one in model.class_names()]

    def shown(one: Exemplar) -> Iterator[Example]:
        try:
            image = image_from(sources[one.index], one.index, names[one.index], model)
        except PicassoError as error:
            unreadable.append(str(error))
            return
        view, answer = model.view(image.image), measurement.answers.get(one.index, "")
        heat = heat_map(layer, view, one.values, found[0].value)
        yield Example(image.name, one.value, one.box(layer, view.size), answer, one.crop(layer, view), heat)

    return Concept(
        0,
        measurement.factors.directions[which],
        float(measurement.importance[which]),
        float(measurement.strengths[which] / (measurement.strengths.sum() or 1.0)),
        tuple(example for one in found for example in shown(one)),
        changes_of(classes, measurement.changed[which], measurement.predicted),
        float(measurement.shifts[which] / measurement.images),
    )


def heat_map(layer: Layer, view: Image.Image, values: Array, most: float) -> Image.Image:
    """Return an image in grey with values of a layer over it.

    Args:
        layer: the layer.
        view: the image as the model sees it.
        values: the values, ``(h, w)``, 0 or more.
        most: the value that has the strongest colour.
    """
    drawn = Canvas(layer, (view.height, view.width)).draw(values)
    places = np.clip(drawn / (most or 1.0) * 255, 0, 255).astype(np.int64)
    return blend(table(SEQUENTIAL[0])[places], grey(view), 1.0)
