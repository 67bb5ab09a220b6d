"""Makes an image of each method for its section in the documentation: ``python docs/methods.py [NAME ...]``.

Most show the photograph beside the map of its most probable class. They are made by the visualizations themselves.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import drawing
from PIL import Image

import picasso
from picasso.models.base import Model
from picasso.visualizations import saliency_maps

IMAGES = Path(__file__).parent / "images" / "methods"
# Those of channels, directions and images that differ.
MAXIMIZED = IMAGES.parent / "maximized"
SIDE, GAP, MAX_BYTES = 240, 8, 25_000


def beside(images: list[Image.Image], side: int = SIDE) -> Image.Image:
    """Return images side by side."""
    strip = Image.new("RGB", (len(images) * (side + GAP) - GAP, side), "white")
    for place, image in enumerate(images):
        one = image.convert("RGB").resize((side, side), Image.Resampling.LANCZOS)
        strip.paste(one, (place * (side + GAP), 0))
    return strip


def save(image: Image.Image, name: str, folder: Path = IMAGES) -> None:
    """Write an image, as good as fits into what a page should weigh."""
    file = folder / f"{name}.webp"
    for quality in range(80, 20, -10):
        image.save(file, quality=quality, method=6)
        if file.stat().st_size < MAX_BYTES:
            return
    raise SystemExit(f"{file.name} is too large.")


def gradients(model: Model) -> list[Image.Image]:
    """Return the maps of SaliencyMaps, one for each of its methods."""
    shown = next(method for method in drawing.METHODS if method.name == "SaliencyMaps")
    images = []
    for name in saliency_maps.METHODS:
        (result,) = picasso.explain(model, drawing.PHOTOGRAPH, shown.name, Method=name)
        images.append(drawing.drawn(result))
    return images


def sought(model: Model) -> list[Image.Image]:
    """Return the images that ActivationMaximization finds for some classes."""
    classes = ["espresso", "zebra", "strawberry", "golden retriever", "mosque"]
    (result,) = picasso.explain(model, drawing.PHOTOGRAPH, "ActivationMaximization", classes=classes)
    return [Image.fromarray(panel.array) for panel in result.panels]


def sought_in(model: Model, layer: str, *wanted: dict[str, Any]) -> list[Image.Image]:
    """Return the images that ActivationMaximization finds for channels of a layer, all of them shown completely."""
    found = (
        picasso.explain(
            model, drawing.PHOTOGRAPH, "ActivationMaximization", Method="Fourier", Faded=False, Layer=layer, **one
        )
        for one in wanted
    )
    return [Image.fromarray(panel.array) for (result,) in found for panel in result.panels]


def inside(model: Model) -> dict[str, list[Image.Image]]:
    """Return the images of what ActivationMaximization does with layers, by the names of their files."""
    layer = "block9_add"
    images: dict[str, Any] = {"Channels": 17, "Images": 3}
    directions: list[dict[str, Any]] = [
        {"Channels": 3, "Cell": "centre"},
        {"Channels": "3, 40"},
        {"Channels": "3, 40:-1"},
    ]
    return {
        "channels": sought_in(model, layer, *({"Channels": channel} for channel in (3, 40, 77, 90, 100))),
        "directions": sought_in(model, layer, {"Channels": 3}, {"Channels": 40}, *directions),
        "diversity": sought_in(model, layer, images, images | {"Diversity": 1}),
    }


def main() -> None:
    """Write the images."""
    IMAGES.mkdir(exist_ok=True)
    MAXIMIZED.mkdir(exist_ok=True)
    for method, result in drawing.results(sys.argv[1:]):
        photograph = Image.fromarray(result.view)
        if method.name == "SaliencyMaps":
            save(beside([photograph, *gradients(drawing.example())], 180), method.name)
        elif method.name == "ActivationMaximization":
            save(beside(sought(drawing.example()), 180), method.name)
            for name, images in inside(drawing.example()).items():
                save(beside(images, 150), name, MAXIMIZED)
        else:
            save(beside([photograph, drawing.drawn(result)]), method.name)


if __name__ == "__main__":
    main()
