"""How fast the probability falls while patches are deleted in the order of a map.

    python -m benchmarks.deletion FOLDER

The folder has the MNIST files. Methods are compared on the vision transformer of the examples. The patches of a digit,
the warmest first, are replaced by black, the background, or inserted into it; and their tokens are left out, or put
back. The area under the curve of the probability of the predicted class, over the share of the patches, is averaged
over the digits: low is better for deletion, high for insertion. Petsiuk, Das & Saenko, *RISE*, arXiv 1806.07421.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.measuring import markdown, put_into_page
from picasso import explain
from picasso.attribution.attention import by_cell
from picasso.examples import mnist
from picasso.models import load_model
from picasso.models.base import Model

PAGE = Path(__file__).parents[1] / "docs" / "visualizations" / "transformers.md"
EXAMPLE = Path(mnist.__file__).parent / "vit" / "config.py"
COUNT = 100
# The settings by the name of the method, with what distinguishes variants after a comma.
METHODS: dict[str, dict[str, Any]] = {
    "AttentionRollout": {},
    "TransformerAttribution": {},
    "AttnLRP": {},
    "GradCAM": {"Rectified": False},
    "GradCAMPlusPlus": {"Rectified": False},
    "HiResCAM": {"Rectified": False},
    "LayerCAM": {"Rectified": False},
    "ScoreCAM": {"Rectified": False},
    "SaliencyMaps": {"Method": "gradient x input"},
    "IntegratedGradients": {"Baseline": "black"},
    "PartialOcclusion": {"Window": 0.2, "Strides": 10, "Occlusion": "black"},
    "PartialOcclusion, tokens dropped": {"Window": 0.2, "Strides": 10, "Occlusion": "dropped"},
    "RISE": {"Masks": 1000, "Fill": "black"},
    "RISE, tokens dropped": {"Masks": 1000, "Fill": "dropped"},
}
Floats = NDArray[np.float64]


def orders(
    model: Model, name: str, digits: list[Image.Image], classes: NDArray[np.int64]
) -> Iterator[NDArray[np.intp]]:
    """Yield the patches of each digit, those that speak most for its class first."""
    grid = model.token_grid()
    height, width, _ = model.input_shape
    for digit, index in zip(digits, classes, strict=True):
        (result,) = explain(model, digit, name.partition(",")[0], classes=int(index), **METHODS[name])
        panel = next(panel for panel in result.panels if panel.class_index == index)
        array = panel.array.astype(np.float32)
        rows, columns = (
            np.arange(side) * many // side for side, many in zip((height, width), array.shape, strict=True)
        )
        values = by_cell(array[np.ix_(rows, columns)], grid)
        yield np.argsort(values.ravel() * (-1 if not panel.falling else 1), kind="stable")


def areas(
    model: Model, inputs: NDArray[np.float32], classes: NDArray[np.int64], order: list[NDArray[np.intp]]
) -> Floats:
    """Return the areas under the curves of deletion and insertion, black and of tokens, the means over the digits."""
    grid = model.token_grid()
    height, width, _ = model.input_shape
    cells = np.arange(height)[:, None] * grid.height // height * grid.width + np.arange(width) * grid.width // width
    found = []
    for image, index, patches in zip(inputs, classes, order, strict=True):
        ranks = np.argsort(patches)[cells][..., None]
        deleted = np.stack([np.where(ranks < step, 0, image) for step in range(len(patches) + 1)])
        inserted = np.stack([np.where(ranks < step, image, 0) for step in range(len(patches) + 1)])
        curves: list[NDArray[np.floating]] = [
            model.predict(np.asarray(one, np.float32))[:, index] for one in (deleted, inserted)
        ]
        out = (np.argsort(patches) < np.arange(len(patches) + 1)[:, None]).reshape(-1, grid.height, grid.width)
        curves += [without(model, image, hidden)[:, index] for hidden in (out, ~out)]
        found.append([float(np.mean((curve[1:] + curve[:-1]) / 2)) for curve in curves])
    return np.asarray(np.asarray(found).mean(axis=0))


def without(model: Model, image: NDArray[np.float32], hidden: NDArray[np.bool_]) -> Floats:
    """Return the probabilities for n choices of tokens that are left out, ``(n, K)``."""
    found = np.zeros((len(hidden), model.num_classes))
    for members, outputs, _ in model.dropped(image, hidden):
        found[members] = outputs
    return found


def main() -> None:
    """Write the table into the page."""
    model, tests = load_model(EXAMPLE), mnist.load(Path(sys.argv[1]), "t10k")
    digits = [Image.fromarray(image) for image in tests.images[:COUNT]]
    inputs = model.preprocess(digits)
    classes = model.predict(inputs).argmax(axis=1)
    drawn = np.random.default_rng(0)
    patches = model.token_grid().height * model.token_grid().width
    found = {"random order": areas(model, inputs, classes, [drawn.permutation(patches) for _ in digits])}
    for name in METHODS:
        found[name] = areas(model, inputs, classes, list(orders(model, name, digits, classes)))
        print(name, *found[name], flush=True)
    best = sorted(found, key=lambda name: float(found[name][0]))
    rows = [(called(name), *(f"{one:.3f}" for one in found[name])) for name in best]
    heads = "Method", "Deletion", "Insertion", "Tokens deleted", "Tokens inserted"
    put_into_page("deletion", markdown(heads, rows), PAGE)


def called(name: str) -> str:
    """Return the name of a method, or of what it is compared with, in Markdown."""
    method, comma, variant = name.partition(",")
    return f"`{method}`{comma}{variant}" if name in METHODS else name


if __name__ == "__main__":
    main()
