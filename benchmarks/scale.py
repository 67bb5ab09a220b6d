"""What large audits cost: ``make bench-scale``.

``python -m benchmarks.scale --write`` also puts the tables into docs/scale.md; the words ``names``, ``classes``,
``memory`` and ``model`` choose tables. Each figure comes from a process of its own. The classifier is linear and in
NumPy, so that the figures are those of Picasso: the time of a network is added by its number of evaluations.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import optimize

from benchmarks.measuring import elsewhere, largest_anew, markdown, memory, put_into_page
from picasso.audit.audit import plan, run, silently
from picasso.audit.interventions import INTERVENTIONS
from picasso.audit.reading import read
from picasso.audit.trial import TrialContext
from picasso.evaluation import labeled_folder
from picasso.models.arrays import Array, Classes
from picasso.models.base import Model
from picasso.models.info import Capability
from picasso.models.preprocessing import Preprocessing

PAGE = Path(__file__).parents[1] / "docs" / "scale.md"
#: The different images of a class; further names are hard links to them.
DIFFERENT = 60
SHARPNESS = 10
NAMES = (10_000, 100_000, 1_000_000)
CLASSES = (100, 300, 1_000)
SIDES = (32, 224)
#: The interventions with the largest memory, so that the audits of large images end soon.
HUNGRY = ("brightness", "colour channel shift", "the background")


@dataclass(frozen=True)
class Size:
    """The size of an audit.

    Attributes:
        classes: the number of classes.
        names: the number of names of each class.
        pairs: the number of pairs that are compared.
    """

    classes: int
    names: int
    pairs: int


FITTED = (
    Size(2, 24, 1), Size(2, 100, 1), Size(2, 20_000, 1), Size(3, 60, 3), Size(5, 40, 6), Size(10, 20_000, 1),
    Size(120, 20, 2), Size(240, 20, 2),
)  # fmt: skip
HELD_OUT = (Size(4, 250, 3), Size(500, 20, 4))
#: The predicted sizes, and the share of the images that tests use: see docs/audit.md.
PREDICTED = (
    Size(10, 100_000, 10), Size(1_000, 1_000, 10), Size(10, 10_000_000, 10), Size(1_000, 100_000, 10),
)  # fmt: skip
USED = 0.135


class Pools(Model):
    """Answers with the class whose colour pattern, of 4 x 4 squares, is nearest."""

    framework, preprocessing = "numpy", Preprocessing("0..1")
    capabilities = frozenset({Capability.PREDICTIONS, Capability.GRADIENTS})

    def load(self, side: int = 32, classes: int = 2) -> None:
        """Set the size of the input and the number of classes."""
        self.input_shape, self.num_classes, self.viewed = (side, side, 3), classes, 0
        patterns = np.stack([pattern(target).ravel() / 255 for target in range(classes)])
        self.weights = np.asarray(SHARPNESS * patterns.T, np.float32)
        self.bias = np.asarray(-SHARPNESS * (patterns**2).sum(axis=1) / 2, np.float32)
        self.logits_found = "known"

    def class_names(self) -> list[str]:
        """Return the numbers of the classes."""
        return [f"c{index}" for index in range(self.num_classes)]

    def view(self, image: Any) -> Image.Image:
        """Count the images that are read."""
        self.viewed += 1
        return super().view(image)

    def batch_logits(self, inputs: Array) -> Array:
        """Return products of the mean colours."""
        count, side = len(inputs), self.input_shape[0] // 4
        means = inputs.reshape(count, 4, side, 4, side, 3).mean(axis=(2, 4))
        return np.asarray(means.reshape(count, 48) @ self.weights + self.bias, np.float32)

    def batch_probabilities(self, inputs: Array) -> Array:
        """Return the softmax."""
        exponentials = np.exp(self.batch_logits(inputs))
        return np.asarray(exponentials / exponentials.sum(axis=1, keepdims=True), np.float32)

    def batch_input_gradients(self, inputs: Array, classes: Classes) -> Array:
        """Return the weights of the squares."""
        side = self.input_shape[0] // 4
        squares = self.weights.T[classes].reshape(-1, 4, 4, 3) / side**2
        return np.asarray(squares.repeat(side, axis=1).repeat(side, axis=2), np.float32)


def pattern(target: int) -> NDArray[np.float64]:
    """Return the colours of the squares of a class, ``(4, 4, 3)``, from 60 to 200."""
    return np.random.default_rng([target, 0]).uniform(60, 200, (4, 4, 3))


def write_images(root: Path, size: Size, shape: tuple[int, int] = (32, 32), different: int = DIFFERENT) -> None:
    """Write images near a colour pattern of their class, as PNG or, if they are large, JPEG."""
    ending = ".png" if shape[0] < 1_000 else ".jpg"
    for target in range(size.classes):
        random, folder = np.random.default_rng([target, 1]), root / f"c{target}"
        folder.mkdir(parents=True)
        for number in range(size.names):
            # A file has at most 65,000 links in some file systems.
            again = number // different % 1_000
            file = folder / f"{number:07d}{ending}"
            if again == 0:
                squares = np.clip(random.normal(pattern(target), 40), 0, 255).astype(np.uint8)
                Image.fromarray(squares).resize(shape[::-1], Image.Resampling.BICUBIC).save(file)
            else:
                os.link(folder / f"{number - again * different:07d}{ending}", file)


def audited(size: Size, side: int, names: Sequence[str] = (), shape: tuple[int, int] = (32, 32)) -> dict[str, float]:
    """Return the CPU seconds and the memory, in megabytes, of the stages of an audit, and what they are spent on."""
    model = Pools()
    model.load(side, size.classes)
    tried = [one for one in INTERVENTIONS if not names or one.name in names]
    with tempfile.TemporaryDirectory() as made:
        write_images(Path(made), size, shape, DIFFERENT if shape[0] < 1_000 else 10)
        before, clock = largest_anew(), time.process_time()
        found = labeled_folder.find(model, Path(made))
        listing, clock = time.process_time() - clock, time.process_time()
        images = read(model, found, silently, pairs=size.pairs)
        context = TrialContext(model, images, 0, tuple(tried))
        todo = plan(context, size.pairs)
        reading, clock = time.process_time() - clock, time.process_time()
        read_at_first, at_first = model.viewed, memory("VmHWM") - before
        audit = run(context, todo)
        trying = time.process_time() - clock
    trials = [one for some in audit.trials.values() for one in some]
    return {
        "listing": listing,
        "reading": reading,
        "trying": trying,
        "peak": memory("VmHWM") - before,
        "peak_reading": at_first,
        "files": model.viewed,
        "read": read_at_first,
        "block": max(map(len, images.views.values())),
        "tests": sum(one.effect.images for one in trials),
        "used": audit.coverage.used,
    }


def listed(names: int) -> dict[str, float]:
    """Return the CPU seconds and the memory of listing names in 10 classes, and of dividing them into blocks."""
    model, size = Pools(), Size(10, names // 10, 1)
    model.load(32, 10)
    with tempfile.TemporaryDirectory() as made:
        write_images(Path(made), size)
        before, clock = largest_anew(), time.process_time()
        found = labeled_folder.find(model, Path(made))
        listing, peak, clock = time.process_time() - clock, memory("VmHWM") - before, time.process_time()
        images = read(model, found, silently)
        blocks, clock = time.process_time() - clock, time.process_time()
        if images.blocks:
            images.blocks.identity()
        digest = time.process_time() - clock
    return {"listing": listing, "peak": peak, "blocks": blocks, "digest": digest, "whole": memory("VmHWM") - before}


def chosen(classes: int) -> dict[str, float]:
    """Return the CPU seconds and the memory of choosing 10 pairs of many classes, with 10 images each."""
    model = Pools()
    model.load(32, classes)
    with tempfile.TemporaryDirectory() as made:
        write_images(Path(made), Size(classes, 10, 10))
        found = labeled_folder.find(model, Path(made))
        before, clock = largest_anew(), time.process_time()
        images = read(model, found, silently)
        todo = plan(TrialContext(model, images))
        seconds = time.process_time() - clock
    return {
        "seconds": seconds,
        "peak": memory("VmHWM") - before,
        "read": len(images.views),
        "left": len(todo.left) + todo.unlisted,
        "files": model.viewed,
    }


def measure(what: str, *amounts: int) -> dict[str, float]:
    """Return one measurement in this process."""
    if what == "names":
        return listed(*amounts)
    if what == "classes":
        return chosen(*amounts)
    if what == "memory":
        return audited(Size(2, 100, 1), amounts[0], HUNGRY, (3000, 4000))
    return audited(Size(*amounts), 32)


def names_table() -> list[str]:
    """Measure the listing of names and return a table."""
    rows = []
    for names in NAMES:
        one = elsewhere("scale", json.dumps(["names", names]))
        rows.append(
            (f"{names:,}", *(f"{one[of]:.2f}" for of in ("listing", "blocks", "digest")), f"{one['whole']:.0f}")
        )
        print(rows[-1], flush=True)
    return markdown(("names", "listing, CPU s", "first blocks of 10 classes", "digest of all", "MB"), rows)


def classes_table() -> list[str]:
    """Measure the choice of pairs and return a table."""
    rows = []
    for classes in CLASSES:
        one = elsewhere("scale", json.dumps(["classes", classes]))
        pairs = f"{classes * (classes - 1) // 2:,}"
        cells = (f"{one['files']:,}", f"{one['read']}", f"{one['seconds']:.2f}", f"{one['peak']:.0f}")
        rows.append((f"{classes:,}", pairs, *cells))
        print(rows[-1], flush=True)
    return markdown(("classes", "pairs", "images read", "classes held", "CPU s", "MB"), rows)


def memory_table() -> list[str]:
    """Measure audits of large photographs and return a table."""
    rows = []
    for side in SIDES:
        one = elsewhere("scale", json.dumps(["memory", side]))
        shown = (f"{one['block']:.0f}", f"{one['peak_reading']:.0f}", f"{one['peak']:.0f}")
        rows.append((f"{side} x {side}", *shown, f"{one['reading'] / one['read']:.2f}"))
        print(rows[-1], flush=True)
    head = (
        "the model sees",
        "images of a class in a block",
        "MB while reading",
        "MB of the audit",
        "CPU s per image read",
    )
    return markdown(head, rows)


def terms(files: float, tests: float, pairs: int) -> list[float]:
    """Return what the seconds of an audit after listing are proportional to."""
    return [1.0, files, tests, pairs]


def fit(found: Sequence[tuple[Size, dict[str, float]]]) -> tuple[float, list[float]]:
    """Return the seconds per name, and those per term of the rest, by least squares on relative errors.

    Relative ones, because the largest audit would decide alone otherwise; none is negative.
    """
    names = sum(size.classes * size.names for size, _ in found)
    matrix = np.array([terms(one["files"], one["tests"], size.pairs) for size, one in found])
    target = np.array([one["reading"] + one["trying"] for _, one in found])
    weights, _ = optimize.nnls(matrix / target[:, None], np.ones(len(target)))
    return sum(one["listing"] for _, one in found) / names, [float(one) for one in weights]


def predicted(fitted: tuple[float, Sequence[float]], size: Size, files: float, tests: float) -> float:
    """Return the seconds of an audit by the fitted model."""
    per_name, weights = fitted
    return per_name * size.classes * size.names + float(np.dot(terms(files, tests, size.pairs), weights))


def model_table() -> list[str]:
    """Fit the model of cost, and return it with its residuals and its predictions."""
    found = {size: elsewhere("scale", json.dumps(["model", *vars(size).values()])) for size in (*FITTED, *HELD_OUT)}
    fitted = fit([(size, found[size]) for size in FITTED])
    per_name, (start, per_file, per_test, per_pair) = fitted
    rows, shown = [], []
    for size, one in found.items():
        seconds = one["listing"] + one["reading"] + one["trying"]
        made = predicted(fitted, size, one["files"], one["tests"])
        amounts = (f"{size.classes:,}", f"{size.classes * size.names:,}", f"{size.pairs}", f"{one['files']:,}")
        cost = (f"{one['tests']:,}", f"{seconds:.1f}", f"{made:.1f}", f"{made / seconds - 1:+.0%}")
        rows.append((*amounts, *cost, "held out" if size in HELD_OUT else "fitted"))
    for size in PREDICTED:
        files, tests = expected(size)
        hours = predicted(fitted, size, files, tests) / 3600
        amounts = (f"{size.classes * size.names:,}", f"{size.classes:,}", f"{size.pairs}", f"{files:,.0f}")
        shown.append((*amounts, f"{tests:,.0f}", f"{hours:.1f}"))
    head = ("classes", "names", "pairs", "images read", "tests of an image", "CPU s", "model", "error", "")
    after = ("names", "classes", "pairs", "images read, at most", "tests of an image", "CPU hours, predicted")
    return [
        f"CPU seconds = {start:.2f} + {per_name * 1e6:.1f} per million names + {per_file * 1e3:.2f} per thousand "
        f"images read + {per_test * 1e3:.2f} per thousand tests of an image + {per_pair:.2f} per pair",
        "",
        *markdown(head, rows),
        "",
        "These are predictions of this formula, not measurements:",
        "",
        *markdown(after, shown),
    ]


def expected(size: Size) -> tuple[float, float]:
    """Return how many images an audit would read, and how many tests of an image it would make, if it stops early."""
    held = min(size.classes, 2 * size.pairs)
    sample = 16 * size.classes if size.classes > 100 else 0
    used = max(200.0, USED * size.names) if size.names > 200 else float(size.names)
    # A block is read once for all tests that need it, so the longest test decides: all images, at worst.
    return sample + held * float(size.names), 2 * size.pairs * used * len(INTERVENTIONS)


TABLES = {"names": names_table, "classes": classes_table, "memory": memory_table, "model": model_table}


def main() -> None:
    """Print the tables; with ``--write``, put them into docs/scale.md."""
    words = [word for word in sys.argv[1:] if word != "--write"]
    for name in words or TABLES:
        lines = TABLES[name]()
        print("", *lines, sep="\n")
        if "--write" in sys.argv:
            put_into_page(name, lines, PAGE)


if __name__ == "__main__":
    main()
