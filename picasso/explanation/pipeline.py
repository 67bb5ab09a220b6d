"""Running one visualization of images by one model: the pipeline of the pages, the API, the CLI and Python."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
from PIL import Image

from picasso.errors import BadRequest, ModelError, PicassoError, RunError, reason
from picasso.explanation.inputs import NamedImage, Other, Source, expand, image_from, named, prepare
from picasso.explanation.registry import Registry, unsuited
from picasso.explanation.result import Result, Results
from picasso.models.arrays import Array
from picasso.models.base import Model
from picasso.targets import Wanted
from picasso.visualizations.base import BaseVisualization, Input, Task
from picasso.visualizations.panel import Panel

Report = Callable[[float], None]
Preview = Callable[[int, Callable[[], Result]], None]

# The number of images prepared at once: enough to use the model efficiently, but few enough to limit memory and to let
# other runs proceed soon.
GROUP = 4
# A group ends earlier when its images have so many bytes in memory: three photographs of 20 megapixels.
GROUP_BYTES = 256 * 2**20


def explain(
    model: Model,
    images: Source | Iterable[Source],
    visualization: str | type[BaseVisualization[Any]] = "PartialOcclusion",
    *,
    plugin_dirs: Sequence[str | Path] = (),
    progress: Report | None = None,
    targets: int | str | Sequence[int | str] = (),
    classes: int | str | Sequence[int | str] = (),
    compare: Mapping[str, Model] | None = None,
    **settings: object,
) -> Results:
    """Run one visualization on images and return one result for each, in a list that a notebook draws.

    Args:
        model: from :func:`picasso.models.load_model`.
        images: file names, folders, the bytes of files, PIL images, or arrays ``(H, W)``, ``(H, W, 1)``,
            ``(H, W, 3)``, ``(H, W, 4)`` of integers 0..255 or floats 0..1, and batches ``(N, H, W, C)`` of them, of
            NumPy or of TensorFlow; or one of these.
        visualization: the name of an installed visualization, or a class.
        plugin_dirs: folders with custom visualizations.
        progress: called with the progress, 0..1; may raise :class:`~picasso.errors.Cancelled` to stop.
        targets: what to explain, one or several: names or indices of classes, or "a vs b" for a rather than b;
            "value:age" of a regression; "person", "person@120,80" (a pixel) or "person@10,20,60,80" (a rectangle) of a
            segmentation; "box:0" or "person@120,80" of a detection; "like:other.png" of an embedding. None explains
            the most important predictions of each image.
        classes: another name for ``targets``.
        compare: other models to compare with, by names of your choice; a result then has their maps and predictions.
        settings: the visualization's settings, such as ``Window=0.1``.

    Raises:
        NotFound: there is no visualization of that name.
        BadRequest: the visualization can't be used, or a setting or an image is invalid.
        ModelError: the model lacks a capability that the visualization needs.
        RunError: the visualization failed.

    Examples:
        >>> import numpy as np
        >>> import picasso
        >>> from picasso.examples.brightness import BrightnessModel
        >>> model = BrightnessModel()  # a model of your own comes from picasso.load_model
        >>> model.load()
        >>> bright_above = np.repeat([[200], [100]], 4, axis=0).repeat(8, axis=1).astype(np.uint8)
        >>> (result,) = picasso.explain(model, bright_above, "SaliencyMaps", classes="bright")
        >>> result.predictions[0]["name"], [panel.title for panel in result.panels]
        ('bright', ['bright'])
    """
    each = explain_each(
        model,
        images,
        visualization,
        plugin_dirs=plugin_dirs,
        progress=progress,
        targets=targets,
        classes=classes,
        compare=compare,
        **settings,
    )
    return Results(each)


def explain_each(
    model: Model,
    images: Source | Iterable[Source],
    visualization: str | type[BaseVisualization[Any]] = "PartialOcclusion",
    *,
    plugin_dirs: Sequence[str | Path] = (),
    progress: Report | None = None,
    targets: int | str | Sequence[int | str] = (),
    classes: int | str | Sequence[int | str] = (),
    compare: Mapping[str, Model] | None = None,
    **settings: object,
) -> Iterator[Result]:
    """Yield the result of each image as soon as it is computed; the arguments are those of :func:`explain`."""
    check_loaded(model)
    if compare:
        # Imported here, because the comparison of models uses this module.
        from picasso.explanation import comparison

        for one in compare.values():
            check_loaded(one)
        wanted = [*listed(targets), *listed(classes)]
        options: dict[str, Any] = {"plugin_dirs": plugin_dirs, "progress": progress, "targets": wanted, **settings}
        yield from comparison.explain_each({"": model, **compare}, images, visualization, **options)
        return
    cls, asked = find(visualization, plugin_dirs), asked_for(model, [*listed(targets), *listed(classes)])
    for group, report in groups(model, images, progress):
        yield from run(model, cls, settings, group, report, targets=asked, other=other_image(model))


def check_loaded(model: Any, function: str = "explain") -> None:
    """Raise a BadRequest if the caller of a function passes a file or a framework's model, not a loaded model."""
    if not isinstance(model, Model):
        shown = repr(str(model)) if isinstance(model, str | Path) else "your_model"
        raise BadRequest(
            f"{function}() requires a loaded model, not a {type(model).__name__}. "
            f"Pass picasso.models.load_model({shown})."
        )


def find(
    visualization: str | type[BaseVisualization[Any]], plugin_dirs: Sequence[str | Path]
) -> type[BaseVisualization[Any]]:
    """Return the visualization with a name, or the class itself; the errors are those of :func:`explain`."""
    if isinstance(visualization, str):
        return Registry([Path(folder) for folder in plugin_dirs]).get(visualization).require()
    if not (isinstance(visualization, type) and issubclass(visualization, BaseVisualization)):
        raise BadRequest(
            "A visualization is named, such as 'SaliencyMaps', or is a class that derives from BaseVisualization, not "
            f"{visualization!r}.",
            field="visualization",
        )
    return visualization


def listed(wanted: int | str | Sequence[int | str]) -> Sequence[int | str]:
    """Return one or several targets as a list; those of NumPy, such as the labels of a data set, as Python values."""
    if isinstance(wanted, np.generic | np.ndarray):
        return cast("list[int | str]", wanted.ravel().tolist())
    return wanted if isinstance(wanted, Sequence) and not isinstance(wanted, str) else [wanted]


def asked_for(model: Model, wanted: int | str | Sequence[int | str]) -> list[Wanted]:
    """Return the requested target or targets, with classes as indices."""
    return model.spec.parse(listed(wanted), [str(name) for name in model.class_names()])


def other_image(model: Model) -> Other:
    """Return a function from the path of an image to the output of the model for it."""

    def other(path: str) -> Array:
        try:
            there = Path(path).is_file()
        except (OSError, ValueError):
            # A name may be too long for a path, or contain a null character.
            there = False
        if not there:
            raise BadRequest(f"There is no image {path[:200]!r}.", field="target")
        return np.asarray(model.predict(model.inputs_of([image_from(path, 0, None, model).image]))[0])

    return other


def groups(
    model: Model, images: Source | Iterable[Source], progress: Report | None
) -> Iterator[tuple[list[NamedImage], Report]]:
    """Yield :data:`GROUP` images at a time, or fewer large ones, with a function that reports their progress."""
    sources = list(expand(images, model))
    names = named(sources)
    start = 0
    while start < len(sources):
        group: list[NamedImage] = []
        while len(group) < GROUP and start + len(group) < len(sources) and sum(map(stored_bytes, group)) < GROUP_BYTES:
            index = start + len(group)
            group.append(image_from(sources[index], index, names[index], model))

        def report(fraction: float, done: int = start, size: int = len(group)) -> None:
            if progress:
                progress((done + fraction * size) / len(sources))

        start += len(group)
        yield group, report
        # Before the next is decoded.
        group.clear()


def stored_bytes(image: NamedImage) -> int:
    """Return the bytes of an image in memory, at most: Pillow stores one or four for each pixel."""
    return 4 * image.image.width * image.image.height if isinstance(image.image, Image.Image) else 0


def run(
    model: Model,
    visualization: type[BaseVisualization[Any]],
    settings: Mapping[str, object],
    images: Sequence[NamedImage],
    report: Report,
    preview: Preview | None = None,
    *,
    targets: Sequence[Wanted] = (),
    other: Other | None = None,
) -> Iterator[Result]:
    """Yield the result of each image as soon as it is computed; see :func:`explain`.

    Args:
        model: the model.
        visualization: the visualization class.
        settings: its settings, not validated yet.
        images: any number of images; they are prepared at once.
        report: called with the progress, 0..1.
        preview: called with the index of an image and a function that returns a preview of its result.
        targets: what to explain, as :meth:`picasso.targets.OutputSpec.parse` returns it; none for the most important
            predictions of each image.
        other: returns the output of the model for another image by its name.
    """
    name = visualization.__name__
    require_suitable(model, visualization)
    card = model.card()
    if not images:
        return
    checked = visualization.ALLOWED_SETTINGS.parse(settings)
    finished, furthest = 0, 0.0

    def progress(done: int, total: int) -> None:
        # How much is left may turn out to be more than expected.
        nonlocal furthest
        furthest = max(furthest, (finished + min(1.0, done / max(1, total))) / len(images))
        report(furthest)

    def result(image: Input, panels: Sequence[Panel]) -> Result:
        return Result(
            visualization=name,
            settings=checked.as_dict(),
            image=image.name,
            view=np.asarray(image.view),
            predictions=image.best,
            panels=tuple(with_context(image, certain(panel, model)) for panel in panels),
            model=card,
            seconds=time.perf_counter() - started,
            reference=visualization.REFERENCE_LINK,
            notes=image.notes,
            output={} if image.output is None else model.spec.arrays(image.output),
        )

    def show(make: Callable[[], Sequence[Panel]]) -> None:
        if preview:
            preview(finished, lambda: result(inputs[finished], make()))

    started = time.perf_counter()
    report(0.0)
    inputs = prepare(model, images, targets, other)
    # An image without targets, such as one without detected objects, has only its predictions.
    asked = [image for image in inputs if image.targets]
    panels_of = visualization().make_visualization(Task(model, asked, checked, progress, show))
    for image in inputs:
        panels = next_panels(panels_of, name, image.name) if image.targets else []
        finished += 1
        yield result(image, panels)
        started = time.perf_counter()
        report(finished / len(images))


def certain(panel: Panel, model: Model) -> Panel:
    """Return a panel without the differences that the model's randomness or its fast arithmetic explain."""
    panel = panel.above_chance(model.noise, model.logit_noise)
    return panel.above_fast(model.imprecision.values, model.imprecision.logits) if model.imprecision else panel


def require_suitable(model: Model, visualization: type[BaseVisualization[Any]]) -> None:
    """Raise a ModelError if a visualization can't explain a model, with the reason."""
    name, card = visualization.__name__, model.card()
    if model.spec.task not in visualization.TASKS:
        raise ModelError(f"{name} {unsuited(visualization, model.spec.task)}")
    if missing := card.missing(visualization.NEEDS):
        raise ModelError(f"{name} needs {' and '.join(missing)}, which the model {card.name} does not provide.")
    try:
        why = visualization.unsuitable(model)
    except Exception as error:
        raise RunError(f"The check whether {name} fits the model failed: {reason(error)}.") from error
    if why:
        raise ModelError(f"{name} {why}")


def with_context(image: Input, panel: Panel) -> Panel:
    """Return a panel with a note on how much of its map lies outside of the region that its target is about.

    Hoyer et al., *Grid saliency for context explanations of semantic segmentation*, NeurIPS 2019.
    """
    region = next((one.region(image.view.size) for one in image.targets if one.text == panel.target), None)
    # A map of what remains of a probability has no zero from which to measure.
    if panel.kind != "map" or region is None or panel.flat or panel.value_range == (0.0, 1.0):
        return panel
    # Unsigned maps such as RISE's may begin above 0.
    array = panel.array - (0 if panel.signed else max(0.0, float(panel.array.min())))
    shown = Image.fromarray(np.abs(array).astype(np.float32)).resize(image.view.size, Image.Resampling.BOX)
    weights = np.asarray(shown, np.float64)
    outside = float(weights[~region].sum() / weights.sum())
    note = f"{outside:.0%} of the map lies outside of the region that is explained: its context."
    return replace(panel, context=outside, note=f"{panel.note} {note}".strip())


def next_panels(panels_of: Iterator[Sequence[Panel]], name: str, image: str) -> Sequence[Panel]:
    """Get the panels of a visualization's next image and validate them.

    Raises:
        RunError: the visualization stopped too early, failed, or yielded something that can't be drawn.
    """
    try:
        panels = list(next(panels_of))
    except StopIteration:
        raise RunError(f"{name} yielded nothing for {image}. It must yield panels for each image.") from None
    except PicassoError:
        raise
    except Exception as error:
        raise RunError(f"{name} failed on {image}: {reason(error)}.") from error
    for panel in panels:
        if not isinstance(panel, Panel):
            raise RunError(f"{name} yielded a {type(panel).__name__} instead of a Panel.")
        shape, colour = panel.array.shape, panel.kind == "image" and panel.array.shape[2:] == (3,)
        if (len(shape) != 2 and not colour) or 0 in shape:
            raise RunError(
                f"{name} made a {panel.kind} of shape {shape}. Maps must be (h, w), images (h, w) or (h, w, 3)."
            )
        if panel.kind == "map" and not np.isfinite(panel.array).all():
            raise RunError(f"{name} made a map with NaN or infinite values for {image}.")
    return panels
