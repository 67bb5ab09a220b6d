"""What the scripts share that draw the documentation's images: every method, and how its map is shown.

The example is prepared by ``make prepare EXAMPLE=keras-efficientnet-lite``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image

import picasso
from picasso.explanation import render
from picasso.explanation.result import Result
from picasso.models import load_model
from picasso.models.base import Model

PACKAGE = Path(picasso.__file__).parent
PHOTOGRAPH = PACKAGE / "examples" / "samples" / "photographs" / "coffee.png"


@dataclass(frozen=True)
class Method:
    """A visualization as the documentation shows it.

    Attributes:
        name: of the visualization.
        settings: where they are not the defaults.
    """

    name: str
    settings: dict[str, Any] = field(default_factory=dict)


METHODS = (
    Method("PartialOcclusion"),
    Method("RISE"),
    Method("SaliencyMaps"),
    Method("IntegratedGradients"),
    Method("CAM"),
    Method("GradCAM"),
    Method("GradCAMPlusPlus"),
    Method("HiResCAM"),
    # A layer in the middle of the network, which is what this method is for.
    Method("LayerCAM", {"Layer": "block10_depthwise_relu"}),
    Method("ScoreCAM", {"Channels": "256"}),
    Method("LIME"),
    Method("KernelSHAP"),
    Method("XRAI"),
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


def drawn(result: Result) -> Image.Image:
    """Return the map of the most probable class, with the image showing through."""
    best = result.predictions[0]["index"]
    panel = next(panel for panel in result.panels if panel.class_index == best)
    return render.draw(panel, result.view)
