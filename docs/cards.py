"""Makes the small images that the cards of the first page show: ``python docs/cards.py [NAME ...]``.

They are made by the visualizations themselves, from a photograph of ``make prepare EXAMPLE=keras-efficientnet-lite``.
"""

from __future__ import annotations

import sys

import drawing
from PIL import Image, ImageDraw

from picasso.explanation.result import Result

CARDS = drawing.PACKAGE / "static" / "cards"
SIDE = 144


def bars(result: Result) -> Image.Image:
    """Return the image, pale, under bars as long as the probabilities."""
    view = Image.fromarray(result.view).convert("RGB").resize((SIDE, SIDE))
    card = Image.blend(view, Image.new("RGB", view.size, "white"), 0.35)
    painter = ImageDraw.Draw(card)
    for row, one in enumerate(result.predictions):
        top = 16 + 24 * row
        painter.rectangle((16, top, SIDE - 16, top + 13), fill="white")
        painter.rectangle((16, top, 16 + max(3, one["prob"] * (SIDE - 32)), top + 13), fill="#21605e")
    return card


def main() -> None:
    """Write the images."""
    CARDS.mkdir(exist_ok=True)
    images: dict[str, Image.Image] = {}
    for method, result in drawing.results(sys.argv[1:]):
        if not method.transformer:
            images.setdefault("ClassProbabilities", bars(result))
        images[method.name] = drawing.drawn(result)
    for name, image in images.items():
        image.resize((SIDE, SIDE), Image.Resampling.LANCZOS).save(CARDS / f"{name}.webp", quality=45)


if __name__ == "__main__":
    main()
