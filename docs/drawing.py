"""What the scripts share that draw the documentation's images: every method, and how its map is shown.

The example is prepared by ``make prepare EXAMPLE=keras-efficientnet-lite``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import picasso
from picasso.explanation import render
from picasso.explanation.result import Result
from picasso.models import load_model
from picasso.models.base import Model
from picasso.visualizations.panel import Panel

PACKAGE = Path(picasso.__file__).parent
PHOTOGRAPH = PACKAGE / "examples" / "samples" / "photographs" / "coffee.png"


@dataclass(frozen=True)
class Method:
    """A visualization as the documentation shows it.

    Attributes:
        name: of the visualization.
        settings: where they are not the defaults.
        transparency: how strongly the photograph shows through.
        pixels: whether the map has a value of its own for each pixel. Then few values are extreme, and the colours
            end at the value that 1 % of the pixels exceed.
    """

    name: str
    settings: dict[str, Any] = field(default_factory=dict)
    transparency: float = 0.4
    pixels: bool = False


METHODS = (
    Method("PartialOcclusion", transparency=0.35),
    Method("RISE"),
    Method("SaliencyMaps", transparency=0.0, pixels=True),
    Method("IntegratedGradients", transparency=0.0, pixels=True),
    Method("CAM"),
    Method("GradCAM"),
    Method("GradCAMPlusPlus"),
    Method("HiResCAM"),
    # A layer in the middle of the network, which is what this method is for.
    Method("LayerCAM", {"Layer": "block10_depthwise_relu"}),
    Method("ScoreCAM", {"Channels": "256"}),
    Method("LIME", transparency=0.35),
    Method("KernelSHAP", transparency=0.35),
    Method("XRAI", transparency=0.35),
)


def example() -> Model:
    """Return the model that the images are made with."""
    return load_model(PACKAGE / "examples" / "keras-efficientnet-lite" / "config.py")


def results(model: Model, names: Sequence[str] = ()) -> Iterator[tuple[Method, Result]]:
    """Yield each method, or some, with what it makes of the photograph."""
    for method in METHODS:
        if names and method.name not in names:
            continue
        (result,) = picasso.explain(model, PHOTOGRAPH, method.name, **method.settings)
        yield method, result


def drawn(method: Method, result: Result) -> Image.Image:
    """Return the map of the most probable class, with the image showing through."""
    best = result.predictions[0]["index"]
    panel = next(panel for panel in result.panels if panel.class_index == best)
    view = result.view
    if panel.signed:
        # Red and blue are the map's; those of the photograph would be taken for them.
        view = np.asarray(Image.fromarray(view).convert("L").convert("RGB"))
    return render.draw(replace(panel, transparency=method.transparency, value_range=span(panel, method)), view)


def span(panel: Panel, method: Method) -> tuple[float, float]:
    """Return the values at the ends of the colours."""
    if not method.pixels:
        return panel.scale()
    most = float(np.quantile(np.abs(panel.array), 0.99))
    return (-most if panel.signed else 0.0, most)
