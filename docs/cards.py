"""Makes the small pictures that the cards of the first page show: ``python docs/cards.py``.

They are made by the visualizations themselves, from a photograph of ``make prepare EXAMPLE=keras-efficientnet-lite``.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

import picasso
from picasso import rendering
from picasso.models import load_model
from picasso.results import Result

PACKAGE = Path(picasso.__file__).parent
PHOTOGRAPH = PACKAGE / "examples" / "samples" / "photographs" / "coffee.png"
CARDS = PACKAGE / "static" / "cards"
SIDE = 144


def drawn(result: Result, transparency: float) -> Image.Image:
    """Return the map of the most probable class, with the picture showing through."""
    panel = next(panel for panel in result.panels if panel.class_index == result.predictions[0]["index"])
    clear = replace(panel, transparency=transparency, value_range=(float(panel.array.min()), float(panel.array.max())))
    return rendering.draw(clear, result.view)


def bars(result: Result) -> Image.Image:
    """Return the picture, pale, under bars as long as the probabilities."""
    view = Image.fromarray(result.view).convert("RGB").resize((SIDE, SIDE))
    card = Image.blend(view, Image.new("RGB", view.size, "white"), 0.35)
    painter = ImageDraw.Draw(card)
    for row, one in enumerate(result.predictions):
        top = 16 + 24 * row
        painter.rectangle((16, top, SIDE - 16, top + 13), fill="white")
        painter.rectangle((16, top, 16 + max(3, one["prob"] * (SIDE - 32)), top + 13), fill="#21605e")
    return card


def main() -> None:
    """Write the pictures."""
    model = load_model(PACKAGE / "examples" / "keras-efficientnet-lite" / "config.py")
    CARDS.mkdir(exist_ok=True)
    (occlusion,) = picasso.explain(model, PHOTOGRAPH, "PartialOcclusion", Window=0.2, Strides=20)
    (saliency,) = picasso.explain(model, PHOTOGRAPH, "SaliencyMaps")
    # The brightest pixels of a saliency map are few; a card has room for an impression only.
    panel = saliency.panels[0]
    softened = np.minimum(panel.array, np.quantile(panel.array, 0.99))
    saliency = replace(saliency, panels=(replace(panel, array=softened),))
    pictures = {
        "ClassProbabilities": bars(occlusion),
        "PartialOcclusion": drawn(occlusion, 0.35),
        "SaliencyMaps": drawn(saliency, 0.0),
    }
    for name, picture in pictures.items():
        picture.resize((SIDE, SIDE), Image.Resampling.LANCZOS).save(CARDS / f"{name}.webp", quality=45)


if __name__ == "__main__":
    main()
