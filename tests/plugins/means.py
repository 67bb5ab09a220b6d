"""Plugins as a user would drop them in: with and without a template, good and misbehaving."""

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from picasso.visualizations import (
    BaseVisualization,
    Capability,
    Panel,
    Task,
    VisualizationSettings,
    choice,
    number,
    slider,
    toggle,
)


@dataclass(frozen=True)
class MeansSettings(VisualizationSettings):
    """One field of each kind."""

    weight: float = slider(1.0, minimum=0.0, maximum=2.0, step=0.1, help="What the mean is multiplied by.")
    rows: int = number(2, minimum=1, maximum=4, help="Rows of the map.")
    invert: bool = toggle(False, help="Whether the sign is turned.")
    word: str = choice("plain", "fancy", help="Changes nothing.")


class Means(BaseVisualization[MeansSettings]):
    """A map of the image's mean; its template is beside it."""

    DESCRIPTION = "The mean of the image."
    ALLOWED_SETTINGS = MeansSettings
    NEEDS = frozenset({Capability.PREDICTIONS, Capability.FEATURE_MAPS})

    def make_visualization(self, task: Task[MeansSettings]) -> Iterator[Sequence[Panel]]:
        """Yield one signed map without a class."""
        sign = -1 if task.settings.invert else 1
        for image in task.inputs:
            value = sign * task.settings.weight * float(image.array.mean())
            array = np.full((task.settings.rows, 2), value, np.float32)
            yield [Panel(title="mean", array=array, quantity="mean", signed=True)]


class WithoutTemplate(BaseVisualization[VisualizationSettings]):
    """Drawn by the default template."""

    DESCRIPTION = "The image itself."

    def make_visualization(self, task: Task[VisualizationSettings]) -> Iterator[Sequence[Panel]]:
        """Yield the image as the model sees it."""
        for image in task.inputs:
            yield [Panel(title="itself", array=np.asarray(image.view))]


@dataclass(frozen=True)
class TroubleSettings(VisualizationSettings):
    """Which kind of trouble."""

    kind: str = choice("raise", "nan", "short", "exit", "die", "rubbish", "shape", help="What goes wrong.")


class Trouble(BaseVisualization[TroubleSettings]):
    """Fails in every way that a plugin can."""

    DESCRIPTION = "Goes wrong."
    ALLOWED_SETTINGS = TroubleSettings

    def make_visualization(self, task: Task[TroubleSettings]) -> Iterator[Sequence[Panel]]:
        """Go wrong."""
        kind = task.settings.kind
        if kind == "raise":
            raise ZeroDivisionError("secret detail")
        if kind == "exit":
            raise SystemExit(3)
        if kind == "die":
            os.kill(os.getpid(), 9)
        if kind == "nan":
            yield [Panel(title="nan", array=np.full((2, 2), np.nan, np.float32))]
        if kind == "rubbish":
            yield ["no panel"]  # type: ignore[list-item]
        if kind == "shape":
            yield [Panel(title="deep", array=np.zeros((2, 2, 2, 2), np.float32))]


@dataclass(frozen=True)
class SlowSettings(VisualizationSettings):
    """How slow."""

    steps: int = number(200, minimum=1, maximum=100_000, help="Steps of a hundredth of a second.")


class Slow(BaseVisualization[SlowSettings]):
    """Takes its time and reports its progress."""

    DESCRIPTION = "Takes its time."
    ALLOWED_SETTINGS = SlowSettings

    def make_visualization(self, task: Task[SlowSettings]) -> Iterator[Sequence[Panel]]:
        """Sleep step by step."""
        for _ in task.inputs:
            for step in range(task.settings.steps):
                task.progress(step, task.settings.steps)
                time.sleep(0.01)
            yield []


class PartialOcclusion(BaseVisualization[VisualizationSettings]):
    """Has the name of a built-in one: listed with a reason, never in its place."""

    def make_visualization(self, task: Task[VisualizationSettings]) -> Iterator[Sequence[Panel]]:
        """Never called."""
        yield from ()


class Hangs(BaseVisualization[VisualizationSettings]):
    """Stops saying how far it is, so that it can't be told to stop."""

    DESCRIPTION = "Nothing."

    def make_visualization(self, task: Task[VisualizationSettings]) -> Iterator[Sequence[Panel]]:
        """Say that half is done, and wait for ever."""
        task.progress(1, 2)
        waiting = True
        while waiting:
            time.sleep(0.05)
        yield []
