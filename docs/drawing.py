"""What the scripts share that draw the documentation's images: every method, and how its map is shown.

The example is prepared by ``make prepare EXAMPLE=keras-efficientnet-lite``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
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
DIGIT = PACKAGE / "examples" / "samples" / "mnist" / "4-00004.png"


@dataclass(frozen=True)
class Method:
    """A visualization as the documentation shows it.

    Attributes:
        name: of the visualization.
        settings: where they are not the defaults.
        transformer: whether it is shown with the vision transformer and a digit.
    """

    name: str
    settings: dict[str, Any] = field(default_factory=dict)
    transformer: bool = False


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
    Method("AttentionRollout", transformer=True),
    Method("TransformerAttribution", transformer=True),
    Method("AttnLRP", transformer=True),
    Method("LIME"),
    Method("KernelSHAP"),
    Method("XRAI"),
    Method("ActivationMaximization"),
)


@cache
def example(name: str = "keras-efficientnet-lite") -> Model:
    """Return the model that most images are made with, or that of another example."""
    return load_model(PACKAGE / "examples" / name / "config.py")


def results(names: Sequence[str] = ()) -> Iterator[tuple[Method, Result]]:
    """Yield each method, or some, with what it makes of the photograph or the digit."""
    for method in METHODS:
        if names and method.name not in names:
            continue
        model, file = (example("vit"), DIGIT) if method.transformer else (example(), PHOTOGRAPH)
        (result,) = picasso.explain(model, file, method.name, **method.settings)
        yield method, result


def drawn(result: Result) -> Image.Image:
    """Return the map of the most probable class, with the image showing through."""
    best = result.predictions[0]["index"]
    panel = next(panel for panel in result.panels if panel.class_index == best)
    return render.draw(panel, result.view)
