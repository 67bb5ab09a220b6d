"""Makes the images of the page about segmentation, detection and regression: ``python docs/tasks.py``.

Each shows a scene with what the model predicts, and the maps of one or two targets.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from methods import beside
from PIL import Image, ImageDraw

import picasso
from picasso.config import PACKAGE
from picasso.explanation import render
from picasso.explanation.result import Result

IMAGES = Path(__file__).parent / "images" / "tasks"
SCENES = PACKAGE / "examples" / "scenes"
SIDE = 240


def scene(number: str) -> Path:
    """Return one of the sample scenes."""
    return SCENES / "samples" / "scenes" / "images" / f"{number}.png"


def explained(task: str, number: str, targets: list[str], **settings: Any) -> Result:
    """Return occlusion maps of one of the bundled networks."""
    model = picasso.load_model(SCENES / f"{task}.py")
    (result,) = picasso.explain(model, scene(number), "PartialOcclusion", targets=targets, **settings)
    return result


def maps(result: Result) -> list[Image.Image]:
    """Return the maps of the targets, drawn over the image."""
    return [render.draw(panel, result.view) for panel in result.panels if panel.target]


def boxed(result: Result) -> Image.Image:
    """Return the image with the detected boxes."""
    scale = SIDE / result.view.shape[0]
    image = Image.fromarray(result.view).resize((SIDE, SIDE), Image.Resampling.LANCZOS).convert("RGB")
    painter = ImageDraw.Draw(image)
    for one in result.predictions:
        left, top, right, bottom = (round(side * scale) for side in one["box"])
        painter.rectangle((left, top, right, bottom), outline="white", width=2)
        painter.text((left + 4, top + 2), one["name"], fill="white")
    return image


def main() -> None:
    """Write the images."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    fine: dict[str, Any] = {"Window": 0.1, "Strides": 20}
    segmentation = explained("segmentation", "02", ["7", "5"], **fine)
    detection = explained("detection", "02", ["7", "5"], **fine)
    regression = explained("regression", "02", ["sum"], **fine)
    rows = {
        "segmentation": [render.masked(segmentation.view, segmentation.output["mask"]), *maps(segmentation)],
        "detection": [boxed(detection), *maps(detection)],
        "regression": [Image.fromarray(regression.view), *maps(regression)],
    }
    for name, images in rows.items():
        beside(images, SIDE).save(IMAGES / f"{name}.webp", quality=70, method=6)


if __name__ == "__main__":
    main()
