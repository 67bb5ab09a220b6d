"""LIME: a linear model of how a prediction changes as regions of the image are hidden.

Ribeiro, Singh & Guestrin, *"Why should I trust you?": explaining the predictions of any classifier*, arXiv 1602.04938.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from picasso.attribution.covering import Covering
from picasso.attribution.regions import Coalitions, Labels, answers, painted, pixels, region_means, superpixels
from picasso.attribution.stopping import Sampling
from picasso.attribution.surrogates import Fit, lime, lime_coalitions
from picasso.models.base import Model
from picasso.visualizations import BaseVisualization, Input, Panel, Task, VisualizationSettings, choice, number
from picasso.visualizations.panel import rounding
from picasso.visualizations.settings import see_through, stops_at

# With fewer samples, the standard errors are not reliable.
MIN_SAMPLES, MIN_PER_REGION = 100, 4
# The minimum side of the image that shows the regions, and the colour of their boundaries.
SHOWN_SIDE, BOUNDARY = 448, (220, 60, 40)


@dataclass(frozen=True)
class LIMESettings(VisualizationSettings):
    """Settings of :class:`LIME`."""

    regions: int = number(
        50, minimum=4, maximum=300, help="Approximate number of regions that the image is divided into."
    )
    fill: str = choice(
        "region mean",
        "mean",
        "grey",
        "black",
        "white",
        "blur",
        "noise",
        help="Fill of hidden regions: their own mean colour, the image's mean colour, a plain colour, a blur or noise.",
    )
    samples: int = number(
        1000, minimum=50, maximum=20_000, help="Maximum number of images with hidden regions to evaluate."
    )
    error: float = stops_at()
    seed: int = number(0, minimum=0, maximum=2**31, help="Random seed of the hidden regions and of the noise.")
    transparency: float = see_through()


class LIME(BaseVisualization[LIMESettings]):
    """Hide each region with probability 0.5, weight samples by their similarity, and fit a ridge regression."""

    TITLE = "LIME"
    DESCRIPTION = (
        "How much each region adds to the predicted value (of a class: its probability), in a linear model fitted near "
        "the image."
    )
    REFERENCE_LINK = "https://arxiv.org/abs/1602.04938"
    MISLEADS = (
        "If R² is low, the weights do not describe the model; they also change with the division into regions "
        "and with the seed."
    )
    DOCUMENTATION = "visualizations/regions#lime"
    ALLOWED_SETTINGS = LIMESettings
    FAMILY = "Regions"
    EXTRA = ("regions", "skimage")

    @classmethod
    def passes(cls, model: Model, settings: LIMESettings) -> float:
        """Return one pass for each sample, and one for the image itself.

        How many samples the error needs is not known before.
        """
        return 1.0 + settings.samples

    @classmethod
    def stops_early(cls, settings: LIMESettings) -> bool:
        """Tell whether an error is given at which to stop."""
        return settings.error > 0

    def make_visualization(self, task: Task[LIMESettings]) -> Iterator[Sequence[Panel]]:
        """Yield the regions, then one map per target; all targets come from the same samples."""
        settings = task.settings
        for image in task.inputs:
            labels = superpixels(image.view, settings.regions)
            coalitions = lime_coalitions(int(labels.max()) + 1, settings.samples, settings.seed)
            given, fit = fitted(task, image, labels, coalitions, partial(lime, coalitions), settings.error)
            panels = [regions_panel(image.view, labels)]
            for one, array, errors, share in zip(
                image.targets, painted(fit.values, labels), fit.errors, fit.determination, strict=True
            ):
                note = f"Weighted R² of the linear model: {share:.2f}. {precision(errors, len(given))}"
                look = {
                    "signed": True,
                    "transparency": settings.transparency,
                    "noise": rounding(image.value(one), one.scale),
                    "uncertainty": float(errors.mean()),
                }
                quantity = f"weight in a linear model of the {one.quantity}"
                panels.append(image.panel(one, array=array, quantity=quantity, note=note, **look))
            yield panels


def fitted(
    task: Task[Any],
    image: Input,
    labels: Labels,
    coalitions: Coalitions,
    fit: Callable[[NDArray[np.float64]], Fit],
    error: float,
) -> tuple[NDArray[np.float64], Fit]:
    """Return the values ``(n, k)`` of coalitions, until the error of the fit is small enough, and the fit.

    Args:
        task: the task; its settings are those of LIME or Kernel SHAP.
        image: the image.
        labels: its regions, ``(H, W)``.
        coalitions: the visible regions, at most n of which are used.
        fit: returns the fit to the values of the first of these coalitions.
        error: the error at which to stop, as in :class:`Sampling`.
    """
    covering = covering_regions(task.model, image, labels, task.settings.fill, task.settings.seed)
    minimum = max(MIN_SAMPLES, MIN_PER_REGION * coalitions.shape[1])
    sampling = Sampling(len(coalitions), error, minimum)
    task.progress(0, len(coalitions))

    def estimate(given: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        found = fit(given)
        return found.values, found.errors

    given = answers(
        covering,
        labels,
        coalitions,
        image.targets,
        lambda done, _: task.progress(done, sampling.expected),
        lambda some: sampling.enough(len(some), lambda: estimate(some)),
    )
    return given, fit(given)


def precision(errors: NDArray[np.float64], samples: int) -> str:
    """Return a sentence on the standard errors of a map's values."""
    return f"Standard errors: {errors.mean():.2g} on average, at most {errors.max():.2g}, after {samples} samples."


def covering_regions(model: Model, image: Input, labels: Labels, fill: str, seed: int) -> Covering:
    """Return an object that covers regions; ``fill`` is one of the setting's values."""
    if fill != "region mean":
        return image.covering(model, fill, seed)
    # This decides whether to paint images or to cover array values.
    numbers, covering = region_means(image.array, labels), image.covering(model, "mean")
    if covering.view is None:
        return replace(covering, plain=numbers)
    values = np.asarray(covering.view)
    means = region_means(values.reshape(*values.shape[:2], -1), labels).reshape(values.shape)
    paint = Image.fromarray((means if values.dtype.kind == "f" else np.round(means)).astype(values.dtype))
    return replace(covering, plain=numbers, paint=paint)


def regions_panel(view: Image.Image, labels: Labels) -> Panel:
    """Return a panel that shows an image, enlarged if it is small, with the boundaries of its regions."""
    count = int(labels.max()) + 1
    scale = max(1, SHOWN_SIDE // max(view.size))
    numbers = labels.repeat(scale, axis=0).repeat(scale, axis=1)
    shown = pixels(view).repeat(scale, axis=0).repeat(scale, axis=1)
    shown[:, 1:][numbers[:, 1:] != numbers[:, :-1]] = BOUNDARY
    shown[1:][numbers[1:] != numbers[:-1]] = BOUNDARY
    note = f"{count} regions." if count > 1 else "The whole image is one region, so the maps are flat."
    return Panel(title="Regions", array=np.asarray(shown, np.uint8), note=note)
