"""Grades of the bundled models, and RISE's protocol written once more from its paper."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageFilter

import picasso
from picasso.config import PACKAGE
from picasso.grading.curves import MAP
from picasso.models import load_model
from picasso.models.base import Model
from picasso.models.keras import KerasModel

EXAMPLES = PACKAGE / "examples"
DIGITS = sorted((EXAMPLES / "samples" / "mnist").glob("*.png"))[::5]
PHOTOGRAPHS = [EXAMPLES / "samples" / "photographs" / name for name in ("camera.png", "coffee.png", "flower.jpg")]


@pytest.mark.slow
def test_guided_backpropagation_fails_the_test_with_random_weights() -> None:
    model = load_model(EXAMPLES / "keras" / "config.py")
    assert isinstance(model, KerasModel)
    weights = [np.copy(one) for one in model.model.get_weights()]
    guided = picasso.grade(model, "SaliencyMaps", DIGITS, Method="guided backpropagation")
    assert "hardly follows the weights" in guided.sentence
    agreements = [one.weights.agreement for one in guided.images if one.weights]
    assert len(agreements) == len(DIGITS)
    # Measured: 0.86 to 0.93.
    assert min(agreements) > 0.8
    gradient = picasso.grade(model, "SaliencyMaps", DIGITS, Method="gradient x input")
    assert "; follows the weights (" in gradient.sentence
    # Measured: 0.02 to 0.21.
    assert all(one.weights is not None and one.weights.agreement < 0.4 for one in gradient.images)
    assert all(np.array_equal(one, other) for one, other in zip(weights, model.model.get_weights(), strict=True))


def areas_of_the_paper(
    model: Model, view: Image.Image, saliency: NDArray[np.float32], target: int
) -> tuple[float, float]:
    """Return the areas of deletion and insertion, one image after the other.

    Section 4.1: pixels are removed, the most important first, and replaced by a constant, here the mid grey; or they
    are introduced into a blurred image. The area is that under the probability over the share of the pixels.
    """
    image = np.asarray(view, np.float64)
    grey = np.full_like(image, 128)
    # The fill "blur" is Pillow's, with a standard deviation of a tenth of the longer side.
    blurred = np.asarray(view.filter(ImageFilter.GaussianBlur(22.4)), np.float64)
    order = sorted(range(saliency.size), key=lambda pixel: -saliency.flat[pixel])
    step = saliency.size / 100
    found = []
    for start, finish in ((image, grey), (blurred, image)):
        current, at, probabilities = start.reshape(-1, 3).copy(), 0, []
        for number in range(101):
            until = round(number * step)
            for pixel in order[at:until]:
                current[pixel] = finish.reshape(-1, 3)[pixel]
            at = until
            # What the network was trained with.
            inputs = ((current.reshape(1, *image.shape) - 127) / 128).astype(np.float32)
            probabilities.append(float(model.predict(inputs)[0, target]))
        inner = sum((one + other) / 2 for one, other in pairwise(probabilities))
        found.append(inner / 100)
    return found[0], found[1]


@pytest.mark.slow
@pytest.mark.parametrize("photograph", PHOTOGRAPHS, ids=lambda path: path.stem)
def test_curves_are_those_of_the_protocol_of_rise(photograph: Path) -> None:
    file = EXAMPLES / "keras-efficientnet-lite" / "config.py"
    if not (file.parent / "data" / "efficientnet_lite0.keras").is_file():
        pytest.skip("EfficientNet-Lite0 is not prepared; run make prepare EXAMPLE=keras-efficientnet-lite")
    model = load_model(file)
    with Image.open(photograph) as opened:
        image = opened.convert("RGB")
    view = model.view(image)
    target = int(model.predict(model.inputs_of([image]))[0].argmax())
    (grade,) = picasso.grade(model, "SaliencyMaps", image, targets=target).images
    (result,) = picasso.explain(model, image, "SaliencyMaps", targets=target)
    saliency = next(panel.array for panel in result.panels if panel.class_index == target)
    assert saliency.shape == (view.height, view.width)
    deletion, insertion = areas_of_the_paper(model, view, saliency, target)
    curve = grade.curve(MAP)
    assert curve is not None
    assert curve.deletion_area == pytest.approx(deletion, abs=1e-3)
    assert curve.insertion_area == pytest.approx(insertion, abs=1e-3)
