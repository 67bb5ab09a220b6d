"""RISE at equal standard error, beside Xplique: ``make bench-peers``.

Both compute several maps of one image and class, each with as many masks but another seed. The error of a map is the
spread of the differences between its pixels from seed to seed. It falls with the square root of the number of masks, so
that the CPU time for a given error is proportional to the time of a mask times the square of the error.
"""

from __future__ import annotations

import statistics
import sys

import numpy as np
from PIL import Image
from xplique.attributions import Rise

from benchmarks import networks
from benchmarks.measuring import cpu, markdown
from picasso import explain
from picasso.models.arrays import Array

IMAGES = {
    "EfficientNet-Lite0": ("photographs/chelsea.png", "photographs/coffee.png"),
    "MNIST example": ("mnist/8-00061.png", "mnist/3-00018.png"),
}
MASKS, SEEDS = 200, 10


def spread(maps: list[Array]) -> float:
    """Return the standard deviation of maps of several seeds, each less its mean, averaged over the pixels."""
    centred = np.stack([one - one.mean() for one in maps])
    return float(np.sqrt(centred.var(axis=0, ddof=1).mean()))


def measure(name: str, image: str) -> tuple[str, ...]:
    """Return a row: errors, CPU seconds, and the ratio of the times at equal errors."""
    model = networks.network(name)
    model.top_probs = 1
    file = networks.EXAMPLES / "samples" / image
    inputs = model.inputs_of([Image.open(file)])
    target = np.eye(model.num_classes, dtype=np.float32)[model.predict(inputs).argmax(axis=1)]
    shape = inputs.shape[2:0:-1]
    black = float(model.encode([Image.new("RGB" if inputs.shape[3] == 3 else "L", shape)]).min())
    explainer = Rise(model.model, batch_size=model.batch_size, nb_samples=MASKS, mask_value=black)
    maps: tuple[list[Array], list[Array]] = ([], [])

    def ours(seed: int) -> None:
        (result,) = explain(model, file, "RISE", Masks=MASKS, Error=0, Seed=seed)
        maps[0].append(result.panels[0].array)

    def theirs() -> None:
        # Each call draws other masks.
        maps[1].append(np.asarray(explainer.explain(inputs, target))[0, ..., 0])

    ours(0)
    theirs()
    for found in maps:
        found.clear()
    seconds = [(cpu(lambda s=seed: ours(s)), cpu(theirs)) for seed in range(SEEDS)]  # type: ignore[misc]
    taken = [statistics.median(side) for side in zip(*seconds, strict=True)]
    errors = [spread(found) for found in maps]
    ratio = (taken[1] * errors[1] ** 2) / (taken[0] * errors[0] ** 2)
    numbers = (f"{one:.2g}, {time:.2f} s" for one, time in zip(errors, taken, strict=True))
    return (name, image.rpartition("/")[2], *numbers, f"{taken[1] / taken[0]:.2f}", f"{ratio:.1f}")


def main() -> None:
    """Print a row for each image of the networks, or of those that are named."""
    rows = []
    for name in sys.argv[1:] or IMAGES:
        for image in IMAGES[name]:
            rows.append(measure(name, image))
            print("| " + " | ".join(rows[-1]) + " |", flush=True)
    head = ("model", "image", f"Picasso, {MASKS} masks", "Xplique", "time ratio", "at equal error")
    print("", *markdown(head, rows), sep="\n")


if __name__ == "__main__":
    main()
