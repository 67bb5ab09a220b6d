"""Kernel SHAP: the Shapley values of the regions of an image.

Lundberg & Lee, *A unified approach to interpreting model predictions*, arXiv 1705.07874, section 4.1.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from picasso.attribution.regions import painted, superpixels
from picasso.attribution.surrogates import Design, Fit, kernel_shap, shap_design
from picasso.models.base import Model
from picasso.visualizations import BaseVisualization, Panel, Task, choice
from picasso.visualizations.lime import LIMESettings, fitted, precision, regions_panel
from picasso.visualizations.panel import rounding


@dataclass(frozen=True)
class KernelSHAPSettings(LIMESettings):
    """Settings of :class:`KernelSHAP`: those of LIME, with another default fill."""

    fill: str = choice(
        "mean",
        "grey",
        "black",
        "white",
        "blur",
        "noise",
        "region mean",
        help="Fill of hidden regions: the image's mean colour, a plain colour, a blur, noise or the region's own "
        "mean colour.",
    )


class KernelSHAP(BaseVisualization[KernelSHAPSettings]):
    """Distribute, among the regions, the difference between the image and the fully hidden image."""

    TITLE = "Kernel SHAP"
    DESCRIPTION = "Each region's fair share of the predicted value (of a class: its probability): its Shapley value."
    REFERENCE_LINK = "https://arxiv.org/abs/1705.07874"
    MISLEADS = (
        "The values are relative to the fill of hidden regions, and two regions that only work together get half each."
    )
    DOCUMENTATION = "visualizations/regions#kernelshap"
    ALLOWED_SETTINGS = KernelSHAPSettings
    FAMILY = "Regions"
    EXTRA = ("regions", "skimage")

    @classmethod
    def passes(cls, model: Model, settings: KernelSHAPSettings) -> float:
        """Return one pass per coalition, two for all regions and for none, and one for the image itself.

        How many coalitions the error needs is not known before.
        """
        return 3.0 + float(min(settings.samples, 2**settings.regions - 2))

    @classmethod
    def stops_early(cls, settings: KernelSHAPSettings) -> bool:
        """Tell whether an error is given at which to stop."""
        return settings.error > 0

    def make_visualization(self, task: Task[KernelSHAPSettings]) -> Iterator[Sequence[Panel]]:
        """Yield the regions, then one map per target; all targets come from the same coalitions."""
        settings = task.settings
        for image in task.inputs:
            labels = superpixels(image.view, settings.regions)
            regions = int(labels.max()) + 1
            design = shap_design(regions, settings.samples, settings.seed)
            ends = np.repeat([[False], [True]], regions, axis=1)
            coalitions = np.concatenate([ends, design.coalitions])
            error = 0.0 if design.exact else settings.error
            given, fit = fitted(task, image, labels, coalitions, partial(shapley_values, design), error)
            nothing, everything = given[:2]
            panels = [regions_panel(image.view, labels)]
            for index, (one, array) in enumerate(zip(image.targets, painted(fit.values, labels), strict=True)):
                before, after = nothing[index], everything[index]
                change = f"from a {one.quantity} of {before:.3g} with all regions hidden to {after:.3g}"
                note = f"The values of the regions sum to {after - before:.3g}: {change}. "
                if design.exact:
                    note += f"Exact: all {len(coalitions)} coalitions were evaluated."
                else:
                    note += precision(fit.errors[index], len(given) - 2)
                look = {
                    "signed": True,
                    "transparency": settings.transparency,
                    "noise": rounding(max(abs(before), abs(after)), one.scale),
                    "uncertainty": float(fit.errors[index].mean()),
                }
                quantity = f"Shapley value of the region, in {one.quantity}"
                panels.append(image.panel(one, array=array, quantity=quantity, note=note, **look))
            yield panels


def shapley_values(design: Design, given: NDArray[np.float64]) -> Fit:
    """Return the Shapley values from the values ``(2 + n, k)`` of nothing, of everything, and of n coalitions."""
    # Coalitions come in pairs, the second of which may be in the next batch.
    complete = len(given) if design.exact else len(given) // 2 * 2
    return kernel_shap(design, given[2:complete], given[0], given[1])
