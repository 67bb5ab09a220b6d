"""What looking inside a network costs, beside predicting the same images: ``python -m benchmarks.channels``.

The model is EfficientNet-Lite0, the images are square parts of the bundled photographs. ``--write`` puts the table into
docs/performance.md.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

import picasso
from benchmarks.measuring import interleaved, markdown, put_into_page
from picasso.examples import mnist
from picasso.inside import questions
from picasso.inside.contact_sheet import contact_sheet
from picasso.models import load_model
from picasso.models.base import Model
from picasso.targets import ClassLogit
from picasso.web.api.questions import MAX_IMAGES

EXAMPLES = Path(mnist.__file__).parent
ROUNDS = 3
# The number of images that is looked at, and of those for all channels and for concepts.
IMAGES, FEW = 100, 16
LAYERS = ("head_relu", "block9_add", "block2_add")


def parts(count: int) -> Iterator[Image.Image]:
    """Make square parts of photographs, none like another."""
    generator = np.random.default_rng(0)
    files = sorted((EXAMPLES / "samples" / "photographs").iterdir())
    photographs = [Image.open(file).convert("RGB") for file in files]
    for number in range(count):
        whole = photographs[number % len(photographs)]
        side = int(min(whole.size) * generator.uniform(0.4, 0.9))
        left, top = (int(generator.integers(0, length - side + 1)) for length in whole.size)
        yield whole.crop((left, top, left + side, top + side)).resize((224, 224))


def searched(model: Model, layer: str, channel: int, paths: Sequence[str]) -> None:
    """Ask what a channel responds to in stored images, as the page *Inside the network* does."""
    asked = {"kind": "channel", "layer": layer, "channel": channel, "scale": 0.0, "value": None, "crops": False}
    for start in range(0, len(paths), MAX_IMAGES):
        questions.answer(model, {**asked, "targets": [], "references": {}, "paths": paths[start : start + MAX_IMAGES]})


def tasks(
    model: Model, images: list[Image.Image], paths: Sequence[str]
) -> Iterator[tuple[str, int, Callable[[], object]]]:
    """Yield what is measured: a name, the number of images, and the work."""
    few, one = images[:FEW], model.inputs_of(images[:1])
    target = ClassLogit("", "", int(model.predict(one).argmax()))
    for name in LAYERS:
        layer = next(layer for layer in model.layers() if layer.name == name)
        yield f"all channels of an image, {name}", 1, lambda layer=layer: contact_sheet(model, one, layer, target)  # type: ignore[misc]
        for channels in ([3], list(range(10))):
            what = "a card" if len(channels) == 1 else f"{len(channels)} cards together"
            yield (
                f"{what}, {name}",
                len(images),
                lambda name=name, channels=channels: picasso.channel_cards(model, name, channels, images, steps=0),  # type: ignore[misc]
            )
        # Its first call looks at the images; the rounds that count do not.
        yield f"another channel in the browser, {name}", len(paths), partial(searched, model, name, 1, paths)
    yield (
        "a preferred input, block9_add",
        1,
        lambda: picasso.channel_card(model, "block9_add", 30, few[:1]),
    )
    yield "effects of all 112 channels, block9_add", FEW, lambda: picasso.channel_effects(model, "block9_add", few)
    yield "five concepts, head_relu", FEW, lambda: picasso.concepts(model, "head_relu", few)


def costs() -> list[str]:
    """Measure everything and return a Markdown table."""
    model = load_model(EXAMPLES / "keras-efficientnet-lite" / "config.py")
    images, rows = list(parts(IMAGES)), []
    inputs = model.inputs_of(images)
    with tempfile.TemporaryDirectory() as folder:
        for number, image in enumerate(images):
            image.save(Path(folder) / f"{number:03d}.png")
        paths = sorted(str(file) for file in Path(folder).iterdir())
        for what, count, work in tasks(model, images, paths):
            given = inputs[:count]
            found = interleaved(work, lambda given=given: model.predict(given), ROUNDS)  # type: ignore[misc]
            seconds = statistics.median(found.ours)
            times = statistics.median(found.ours) / statistics.median(found.baseline)
            rows.append((what, str(count), f"{seconds:.2f}", f"{times:.1f}"))
            print("| " + " | ".join(rows[-1]) + " |", flush=True)
    return markdown(("what", "images", "CPU s", "times predicting the images"), rows)


def main() -> None:
    """Print the table; with ``--write``, put it into docs/performance.md."""
    table = costs()
    print("", *table, sep="\n")
    if "--write" in sys.argv:
        put_into_page("channels", table)


if __name__ == "__main__":
    main()
