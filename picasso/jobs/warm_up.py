"""Warming up a loaded model before the first request: compiling what the visualizations will need."""

from __future__ import annotations

import logging
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from picasso.errors import Cancelled, PicassoError
from picasso.explanation import cost_model, pipeline
from picasso.explanation.inputs import NamedImage
from picasso.explanation.registry import Registry
from picasso.explanation.result import Result
from picasso.models.base import Model
from picasso.models.info import Capability
from picasso.visualizations.base import BaseVisualization

log = logging.getLogger(__name__)

# The default visualization.
FIRST = "PartialOcclusion"
# Where occlusion computes only what a window changes, the default visualization is computed completely, because each of
# its chunks may have a different shape, for which kernels are selected. The CPU time is limited, in seconds, because
# users wait for the model.
FIRST_SECONDS = 30.0
# Other visualizations have compiled everything after this many progress reports. The first report comes before any
# work; if a chunk takes long, one of them is enough.
REPORTS, LONG_SECONDS = 4, 5.0


class Enough(Cancelled):
    """Everything that a map needs has been computed once."""


def steps(
    model: Model, registry: Registry, temporary: Path, yield_control: Callable[[], None] = lambda: None
) -> Iterator[None]:
    """Warm up a model step by step; the first step is for the default visualization.

    Errors are ignored here; they are reported when a user requests the visualization.

    Args:
        model: the loaded model.
        registry: the visualizations.
        temporary: a folder for discarded results.
        yield_control: called between two chunks of work; raises Cancelled to postpone a step.
    """
    todo = plan(model, registry)
    measure(model)
    started = time.perf_counter()
    # No requests can arrive yet.
    for visualization in todo[:1]:
        once(model, visualization, temporary, lambda: None)
        alone = cost_model.seconds_per_image(model, visualization, {}) or 0.0
        cost_model.took(model, max(0.0, time.perf_counter() - started - alone))
    del todo[:1]
    yield
    while todo:
        visualization = todo.pop(0)
        try:
            once(model, visualization, temporary, yield_control)
        except Cancelled:
            todo.append(visualization)
        yield


def measure(model: Model) -> None:
    """Measure the speed of the model."""
    try:
        cost_model.measure(model)
    except PicassoError:
        log.warning("the speed of the model could not be measured", exc_info=True)


def plan(model: Model, registry: Registry) -> list[type[BaseVisualization[Any]]]:
    """Return the visualizations that compile something, the default first.

    Plugins, and visualizations that require an extra, which is slow to import, run only on request. Visualizations that
    need only predictions compile nothing.
    """
    unsuitable = registry.unsuitable(model)
    found = [entry.cls for entry in registry.entries() if entry.cls and entry.name not in unsuitable]
    ours = [cls for cls in found if cls.__module__.startswith("picasso.visualizations.") and not cls.EXTRA]
    needed = [cls for cls in ours if cls.__name__ == FIRST or cls.NEEDS - {Capability.PREDICTIONS}]
    return sorted(needed, key=lambda cls: cls.__name__ != FIRST)


def is_incremental(model: Model) -> bool:
    """Tell whether occlusion computes only what a window changes: a single pixel then costs less than an image."""
    return model.occlusion_passes([(0, 0, 1, 1)]) < 1


def once(
    model: Model, visualization: type[BaseVisualization[Any]], temporary: Path, yield_control: Callable[[], None]
) -> None:
    """Run a visualization with default settings on a noise image until everything was computed once, and draw the maps.

    Raises:
        Cancelled: other work takes precedence.
    """
    height, width, _ = model.input_shape
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    folder, reports, began = temporary / f"warm-{secrets.token_hex(4)}", 0, time.process_time()
    first = visualization.__name__ == FIRST

    def report(fraction: float) -> None:
        nonlocal reports
        yield_control()
        reports += 1
        seconds = time.process_time() - began
        if reports <= REPORTS and not (fraction > 0 and seconds > LONG_SECONDS):
            return
        # Whether windows are computed incrementally may change during a run.
        if not first or seconds > FIRST_SECONDS or not is_incremental(model):
            raise Enough

    def draw(make: Callable[[], Result]) -> None:
        if not folder.exists():
            make().save(folder)

    try:
        images = [NamedImage("noise", Image.fromarray(pixels))]
        for result in pipeline.run(model, visualization, {}, images, report, lambda index, make: draw(make)):
            draw(lambda result=result: result)  # type: ignore[misc]
    except Enough:
        pass
    except Exception:
        log.warning("%s could not be warmed up", visualization.__name__, exc_info=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    cost_model.compiled(model, visualization)
