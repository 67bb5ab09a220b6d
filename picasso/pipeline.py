"""One visualization of some pictures by one model: the path that pages, API, command line and Python share."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from picasso import images as door
from picasso.errors import BadRequest, ModelError, PicassoError, RunError, reason
from picasso.models.arrays import Array
from picasso.models.base import Model
from picasso.panels import Panel
from picasso.registry import Registry
from picasso.results import Result
from picasso.visualizations.base import BaseVisualization, Input, Task

Report = Callable[[float], None]
Preview = Callable[[int, Callable[[], Result]], None]
Source = str | Path | Image.Image | NDArray[np.uint8]

# How many pictures are prepared at once: enough to keep the model busy, few enough that memory stays bounded
# and that another run is soon served.
GROUP = 4

UNFAITHFUL = (
    "preprocess() changes this picture in a way that view() does not show, so the picture below is drawn from the "
    "numbers that the model received. Override view() in your model class to show the picture itself."
)


@dataclass(frozen=True)
class Picture:
    """A picture and what the user calls it."""

    name: str
    image: Image.Image


def explain(
    model: Model,
    images: Source | Iterable[Source],
    visualization: str | type[BaseVisualization[Any]] = "PartialOcclusion",
    *,
    plugin_dirs: Sequence[str | Path] = (),
    progress: Report | None = None,
    **settings: object,
) -> list[Result]:
    """Run one visualization on pictures and return one result for each.

    Args:
        model: from :func:`picasso.models.load_model`.
        images: file names, PIL pictures, or arrays ``(H, W)``, ``(H, W, 3)`` or ``(H, W, 4)`` of uint8; or one
            of these.
        visualization: the name of an installed visualization, or a class.
        plugin_dirs: folders with visualizations of your own.
        progress: called with the fraction done, 0..1; may raise :class:`~picasso.errors.Cancelled` to stop.
        settings: the visualization's settings, such as ``Window=0.1``.

    Raises:
        NotFound: there is no visualization of that name.
        BadRequest: the visualization can't be used, or a setting or a picture is not valid.
        ModelError: the model can't give what the visualization needs.
        RunError: the visualization failed.
    """
    each = explain_each(model, images, visualization, plugin_dirs=plugin_dirs, progress=progress, **settings)
    return list(each)


def explain_each(
    model: Model,
    images: Source | Iterable[Source],
    visualization: str | type[BaseVisualization[Any]] = "PartialOcclusion",
    *,
    plugin_dirs: Sequence[str | Path] = (),
    progress: Report | None = None,
    **settings: object,
) -> Iterator[Result]:
    """Yield the result of each picture as soon as it is there; the arguments are those of :func:`explain`."""
    if isinstance(images, str | Path | Image.Image | np.ndarray):
        images = [images]
    if isinstance(visualization, str):
        visualization = Registry([Path(folder) for folder in plugin_dirs]).get(visualization).require()
    sources = list(images)
    for start in range(0, len(sources), GROUP):
        group = [picture_from(source, start + index) for index, source in enumerate(sources[start : start + GROUP])]

        def report(fraction: float, done: int = start, size: int = len(group)) -> None:
            if progress:
                progress((done + fraction * size) / len(sources))

        yield from run(model, visualization, settings, group, report)


def picture_from(source: Source, index: int) -> Picture:
    """Return what a caller passed as an upright picture with a name."""
    if isinstance(source, str | Path):
        try:
            body = Path(source).read_bytes()
        except OSError as error:
            raise BadRequest(f"The picture {source} can't be read: {error.strerror}.") from error
        return Picture(Path(source).name, door.read(body, Path(source).name))
    if isinstance(source, Image.Image):
        return Picture(f"picture {index}", door.upright(source))
    if source.dtype != np.uint8:
        raise BadRequest(f"Picture {index} is an array of {source.dtype}; pictures are arrays of uint8, 0..255.")
    if source.ndim != 2 and source.shape[2:] not in ((3,), (4,)):
        shapes = "(H, W), (H, W, 3) or (H, W, 4)"
        raise BadRequest(f"Picture {index} is an array of shape {source.shape}; pictures are {shapes}.")
    return Picture(f"picture {index}", door.upright(Image.fromarray(source)))


def run(
    model: Model,
    visualization: type[BaseVisualization[Any]],
    settings: Mapping[str, object],
    pictures: Sequence[Picture],
    report: Report,
    preview: Preview | None = None,
) -> Iterator[Result]:
    """Yield the result of each picture as soon as it is there; see :func:`explain`.

    Args:
        model: the model.
        visualization: the class.
        settings: not checked yet.
        pictures: any number; they are prepared at once.
        report: called with the fraction done.
        preview: called with the index of a picture and a function that makes what is known of its result.
    """
    name = visualization.__name__
    card = model.card()
    missing = card.missing(visualization.NEEDS)
    if missing:
        raise ModelError(f"{name} needs {' and '.join(missing)}, which the model {card.name} can't give.")
    if not pictures:
        return
    checked = visualization.ALLOWED_SETTINGS.parse(settings)
    finished = 0

    def progress(done: int, total: int) -> None:
        report((finished + done / max(1, total)) / len(pictures))

    def result(picture: Input, panels: Sequence[Panel]) -> Result:
        return Result(
            visualization=name,
            settings=checked.as_dict(),
            picture=picture.name,
            view=np.asarray(picture.view),
            predictions=picture.predictions,
            panels=tuple(panels),
            model=card,
            seconds=time.perf_counter() - started,
            reference=visualization.REFERENCE_LINK,
            notes=() if picture.exact_view else (UNFAITHFUL,),
        )

    def show(make: Callable[[], Sequence[Panel]]) -> None:
        if preview:
            preview(finished, lambda: result(inputs[finished], make()))

    started = time.perf_counter()
    report(0.0)
    inputs = prepare(model, pictures)
    panels_of = visualization().make_visualization(Task(model, inputs, checked, progress, show))
    for picture in inputs:
        panels = next_panels(panels_of, name, picture.name)
        finished += 1
        yield result(picture, panels)
        started = time.perf_counter()
        report(finished / len(pictures))


def next_panels(panels_of: Iterator[Sequence[Panel]], name: str, picture: str) -> Sequence[Panel]:
    """Ask a visualization for the panels of its next picture and check what it gives.

    Raises:
        RunError: it stopped too early, failed, or gave something that can't be drawn.
    """
    try:
        panels = list(next(panels_of))
    except StopIteration:
        raise RunError(f"{name} yielded nothing for the picture {picture}; it must yield panels for each.") from None
    except PicassoError:
        raise
    except Exception as error:
        raise RunError(f"{name} failed on the picture {picture}: {reason(error)}.") from error
    for panel in panels:
        if not isinstance(panel, Panel):
            raise RunError(f"{name} yielded a {type(panel).__name__} where a Panel was due.")
        shape, colour = panel.array.shape, panel.kind == "picture" and panel.array.shape[2:] == (3,)
        if (len(shape) != 2 and not colour) or 0 in shape:
            raise RunError(
                f"{name} made a {panel.kind} of shape {shape}; maps are (h, w), pictures (h, w) or (h, w, 3)."
            )
        if panel.kind == "map" and not np.isfinite(panel.array).all():
            raise RunError(f"{name} made a map with values that are not finite numbers for the picture {picture}.")
    return panels


def prepare(model: Model, pictures: Sequence[Picture]) -> list[Input]:
    """Preprocess the pictures, predict their classes, and make each visible as the model sees it."""
    originals = [picture.image for picture in pictures]
    arrays = model.inputs_of(originals)
    decoded = model.best_classes(model.predict(arrays))
    views = [model.view(image) for image in originals]
    encoded = model.encode(views)
    inputs = []
    for picture, array, again, view, predictions in zip(pictures, arrays, encoded, views, decoded, strict=True):
        exact = bool(np.allclose(array, again, atol=1e-3 * max(1.0, float(np.ptp(array)))))
        seen = view if exact else visible(array)
        inputs.append(Input(picture.name, picture.image, seen, array, predictions, exact))
    return inputs


def visible(array: Array) -> Image.Image:
    """Return a model's input ``(H, W, C)`` as a picture, its smallest value black and its largest white."""
    low, span = float(array.min()), float(np.ptp(array)) or 1.0
    pixels = np.round((array - low) / span * 255).astype(np.uint8)
    return Image.fromarray(pixels[..., :3] if pixels.shape[-1] >= 3 else pixels[..., 0])
