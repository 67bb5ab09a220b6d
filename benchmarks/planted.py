"""What maps show of two networks with a planted flaw, and of their twins without it: ``python -m benchmarks.planted``.

The segmenter of animals saw all cows on grass and all horses on straw. Maps should lie outside of the animal, in its
context. The network that reads sums saw the sum also as the brightness of a mark in a corner. Maps should lie there,
and hiding the mark should change the sum.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image

from benchmarks.measuring import markdown, put_into_page
from benchmarks.networks import EXAMPLES
from picasso import explain, load_model
from picasso.config import PACKAGE
from picasso.models.base import Model

PLANTED, SCENES = EXAMPLES / "scenes" / "planted", EXAMPLES / "scenes" / "samples" / "scenes"
# The side of the mark in the corner, in pixels, and the maximum sum, for which it is white.
MARK, MAX_SUM = 8, 27
METHODS: dict[str, dict[str, Any]] = {
    # A plain fill looks like a third kind of ground.
    "PartialOcclusion": {"Show": "drop of log-odds", "Occlusion": "noise", "Window": 0.1},
    "IntegratedGradients": {"Baseline": "mean"},
    "SaliencyMaps": {"Method": "gradient x input"},
}


def contexts(model: Model, name: str) -> tuple[float, int]:
    """Return the mean share of the context of all animals that are recognized, and their number."""
    shares = []
    for file in sorted((PLANTED / "animals" / "images").glob("*.png")):
        animal = int(np.asarray(Image.open(PLANTED / "animals" / "masks" / file.name)).max())
        target = "cow vs horse" if animal == 1 else "horse vs cow"
        (result,) = explain(model, file, name, targets=target, **METHODS[name])
        panel = next(panel for panel in result.panels if panel.target)
        if panel.context is not None:
            shares.append(panel.context)
    return float(np.mean(shares)), len(shares)


def corners(model: Model) -> tuple[float, float]:
    """Return the share of occlusion maps at the mark, and by how much hiding the mark changes the sum, in points."""
    shares, changes = [], []
    for index, file in enumerate(sorted((SCENES / "images").glob("*.png"))):
        image = np.asarray(Image.open(file)).copy()
        # A mark of a sum that does not depend on the digits.
        image[:MARK, :MARK] = round(255 * ((index * 7) % MAX_SUM) / MAX_SUM)
        (result,) = explain(model, image, "PartialOcclusion", Window=0.1, Strides=10, Occlusion="grey")
        values = np.abs(next(panel.array for panel in result.panels if panel.target))
        shares.append(float(values[0, 0] / values.sum()))
        hidden = image.copy()
        hidden[:MARK, :MARK] = 128
        before, after = model.predict(model.inputs_of([Image.fromarray(one) for one in (image, hidden)]))[:, 0]
        changes.append(abs(float(after - before)))
    return float(np.mean(shares)), float(np.mean(changes))


def main() -> None:
    """Print the tables, and put them into the page."""
    rows = []
    for kind in ("planted", "clean"):
        model = load_model(PLANTED / f"animals-{kind}.keras", labels=PLANTED / "animals.txt", task="segmentation")
        found = [contexts(model, name) for name in METHODS]
        rows.append((kind, *(f"{share:.0%}" for share, _ in found), str(found[0][1])))
    lines = markdown(("Network", *METHODS, "animals"), rows)
    others = []
    for kind in ("planted", "clean"):
        share, change = corners(load_model(PLANTED / f"sums-{kind}.keras", task="regression"))
        others.append((kind, f"{share:.0%}", f"{change:.1f} points"))
    lines += ["", *markdown(("Network", "share of the map at the mark", "change if the mark is hidden"), others)]
    print("\n".join(lines))
    put_into_page("planted", lines, PACKAGE.parent / "docs" / "tasks.md")


if __name__ == "__main__":
    main()
