"""One visualization of some images by one model: the path that pages, API, command line and Python share."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from picasso.errors import BadRequest, ModelError, PicassoError, RunError, reason
from picasso.explanation.inputs import NamedImage, Source, expand, image_from, named, prepare
from picasso.explanation.registry import Registry
from picasso.explanation.result import Result
from picasso.models.base import Model
from picasso.models.contrast import contrasted
from picasso.models.labels import Wanted, numbers
from picasso.visualizations.base import BaseVisualization, Input, Task
from picasso.visualizations.panel import Panel

Report = Callable[[float], None]
Preview = Callable[[int, Callable[[], Result]], None]

# How many images are prepared at once: enough to keep the model busy, few enough that memory stays bounded
# and that another run is soon served.
GROUP = 4


def explain(
    model: Model,
    images: Source | Iterable[Source],
    visualization: str | type[BaseVisualization[Any]] = "PartialOcclusion",
    *,
    plugin_dirs: Sequence[str | Path] = (),
    progress: Report | None = None,
    classes: int | str | Sequence[int | str] = (),
    **settings: object,
) -> list[Result]:
    """Run one visualization on images and return one result for each.

    Args:
        model: from :func:`picasso.models.load_model`.
        images: file names, folders, the bytes of files, PIL images, or arrays ``(H, W)``, ``(H, W, 1)``,
            ``(H, W, 3)``, ``(H, W, 4)`` of integers 0..255 or floats 0..1, and batches ``(N, H, W, C)`` of them, of
            NumPy or of TensorFlow; or one of these.
        visualization: the name of an installed visualization, or a class.
        plugin_dirs: folders with visualizations of your own.
        progress: called with the fraction done, 0..1; may raise :class:`~picasso.errors.Cancelled` to stop.
        classes: the names or numbers of the classes to look at, or one of them; "a vs b" is the one rather than the
            other. None takes the most probable of each image.
        settings: the visualization's settings, such as ``Window=0.1``.

    Raises:
        NotFound: there is no visualization of that name.
        BadRequest: the visualization can't be used, or a setting or an image is not valid.
        ModelError: the model can't give what the visualization needs.
        RunError: the visualization failed.
    """
    each = explain_each(
        model, images, visualization, plugin_dirs=plugin_dirs, progress=progress, classes=classes, **settings
    )
    return list(each)


def explain_each(
    model: Model,
    images: Source | Iterable[Source],
    visualization: str | type[BaseVisualization[Any]] = "PartialOcclusion",
    *,
    plugin_dirs: Sequence[str | Path] = (),
    progress: Report | None = None,
    classes: int | str | Sequence[int | str] = (),
    **settings: object,
) -> Iterator[Result]:
    """Yield the result of each image as soon as it is there; the arguments are those of :func:`explain`."""
    check_loaded(model)
    cls, asked = find(visualization, plugin_dirs), asked_for(model, classes)
    for group, report in groups(model, images, progress):
        yield from run(model, cls, settings, group, report, classes=asked)


def check_loaded(model: Any) -> None:
    """Raise a BadRequest where somebody passes a file or a framework's model instead of a loaded one."""
    if not isinstance(model, Model):
        shown = repr(str(model)) if isinstance(model, str | Path) else "your_model"
        raise BadRequest(
            f"explain() takes a loaded model, not a {type(model).__name__}: pass picasso.models.load_model({shown})."
        )


def find(
    visualization: str | type[BaseVisualization[Any]], plugin_dirs: Sequence[str | Path]
) -> type[BaseVisualization[Any]]:
    """Return the visualization of a name, or the class itself; the errors are those of :func:`explain`."""
    if isinstance(visualization, str):
        return Registry([Path(folder) for folder in plugin_dirs]).get(visualization).require()
    return visualization


def asked_for(model: Model, classes: int | str | Sequence[int | str]) -> list[Wanted]:
    """Return the numbers of the classes that somebody asks for, or asks for one of."""
    return numbers(model.class_names(), [classes] if isinstance(classes, int | str) else classes)


def groups(
    model: Model, images: Source | Iterable[Source], progress: Report | None
) -> Iterator[tuple[list[NamedImage], Report]]:
    """Yield :data:`GROUP` images at a time, and what to call with the fraction of them that is done."""
    sources = list(expand(images, model))
    names = named(sources)
    for start in range(0, len(sources), GROUP):
        some = range(len(sources))[start : start + GROUP]
        group = [image_from(sources[index], index, names[index], model) for index in some]

        def report(fraction: float, done: int = start, size: int = len(group)) -> None:
            if progress:
                progress((done + fraction * size) / len(sources))

        yield group, report


def run(
    model: Model,
    visualization: type[BaseVisualization[Any]],
    settings: Mapping[str, object],
    images: Sequence[NamedImage],
    report: Report,
    preview: Preview | None = None,
    *,
    classes: Sequence[Wanted] = (),
) -> Iterator[Result]:
    """Yield the result of each image as soon as it is there; see :func:`explain`.

    Args:
        model: the model.
        visualization: the class.
        settings: not checked yet.
        images: any number; they are prepared at once.
        report: called with the fraction done.
        preview: called with the index of an image and a function that makes what is known of its result.
        classes: the numbers of the classes to look at, or of two, the first rather than the second; none takes the
            most probable of each image.
    """
    name = visualization.__name__
    model, numbered = contrasted(model, classes)
    card = model.card()
    missing = card.missing(visualization.NEEDS)
    if missing:
        raise ModelError(f"{name} needs {' and '.join(missing)}, which the model {card.name} can't give.")
    if not images:
        return
    try:
        why = visualization.unsuitable(model)
    except Exception as error:
        raise RunError(f"{name} could not be asked whether it fits the model: {reason(error)}.") from error
    if why:
        raise ModelError(f"{name} {why}")
    checked = visualization.ALLOWED_SETTINGS.parse(settings)
    finished = 0

    def progress(done: int, total: int) -> None:
        report((finished + done / max(1, total)) / len(images))

    def result(image: Input, panels: Sequence[Panel]) -> Result:
        return Result(
            visualization=name,
            settings=checked.as_dict(),
            image=image.name,
            view=np.asarray(image.view),
            predictions=image.best,
            panels=tuple(panel.above_chance(model.noise, model.logit_noise) for panel in panels),
            model=card,
            seconds=time.perf_counter() - started,
            reference=visualization.REFERENCE_LINK,
            notes=image.notes,
        )

    def show(make: Callable[[], Sequence[Panel]]) -> None:
        if preview:
            preview(finished, lambda: result(inputs[finished], make()))

    started = time.perf_counter()
    report(0.0)
    inputs = prepare(model, images, numbered)
    panels_of = visualization().make_visualization(Task(model, inputs, checked, progress, show))
    for image in inputs:
        panels = next_panels(panels_of, name, image.name)
        finished += 1
        yield result(image, panels)
        started = time.perf_counter()
        report(finished / len(images))


def next_panels(panels_of: Iterator[Sequence[Panel]], name: str, image: str) -> Sequence[Panel]:
    """Ask a visualization for the panels of its next image and check what it gives.

    Raises:
        RunError: it stopped too early, failed, or gave something that can't be drawn.
    """
    try:
        panels = list(next(panels_of))
    except StopIteration:
        raise RunError(f"{name} yielded nothing for {image}; it must yield panels for each.") from None
    except PicassoError:
        raise
    except Exception as error:
        raise RunError(f"{name} failed on {image}: {reason(error)}.") from error
    for panel in panels:
        if not isinstance(panel, Panel):
            raise RunError(f"{name} yielded a {type(panel).__name__} where a Panel was due.")
        shape, colour = panel.array.shape, panel.kind == "image" and panel.array.shape[2:] == (3,)
        if (len(shape) != 2 and not colour) or 0 in shape:
            raise RunError(f"{name} made a {panel.kind} of shape {shape}; maps are (h, w), images (h, w) or (h, w, 3).")
        if panel.kind == "map" and not np.isfinite(panel.array).all():
            raise RunError(f"{name} made a map with values that are not finite numbers for {image}.")
    return panels
