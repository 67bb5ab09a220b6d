"""Write the samples of this example again: scenes of the bundled test digits, and the truth about them.

    python -m picasso.examples.scenes.samples [--out DIR]

The photographs are those that the networks are tested on.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path

import click
import numpy as np
from PIL import Image

from picasso import fileio
from picasso.cli.options import friendly
from picasso.examples import mnist
from picasso.examples.scenes.photographs import photographs
from picasso.examples.scenes.scenes import CLASSES, SIDE, Scene, scenes, single

SAMPLES = Path(__file__).resolve().parent / "samples"
SCENES, LIKE = 12, 3
# With this one, the few scenes show all ten digits.
SEED = 35
# Of the mask, so that people can see it: the background, and one colour for each digit.
PALETTE = (
    (0, 0, 0), (230, 25, 75), (60, 180, 75), (255, 225, 25), (0, 130, 200), (245, 130, 48),
    (145, 30, 180), (70, 240, 240), (240, 50, 230), (210, 245, 60), (250, 190, 212),
)  # fmt: skip


def bundled_digits() -> mnist.Digits:
    """Return the test digits that are bundled as sample images, three of each class."""
    files = sorted(mnist.SAMPLES.glob("*.png"))
    images = np.stack([np.asarray(Image.open(file).convert("L")) for file in files])
    return mnist.Digits(images, np.array([int(file.name[0]) for file in files], np.uint8))


def write_scenes(folder: Path, made: Sequence[Scene]) -> None:
    """Write scenes and the truth about each, in one format for each kind of output."""
    for place in ("images", "masks"):
        (folder / place).mkdir(parents=True, exist_ok=True)
    names = [f"{number:02}.png" for number in range(1, len(made) + 1)]
    for name, scene in zip(names, made, strict=True):
        Image.fromarray(scene.pixels).save(folder / "images" / name, optimize=True)
        mask = Image.fromarray(scene.mask)
        mask.putpalette([value for colour in PALETTE for value in colour])
        mask.save(folder / "masks" / name, optimize=True)
    files = [f"images/{name}" for name in names]
    fileio.write_bytes(folder / "annotations.json", json.dumps(coco(files, made), indent=1).encode())
    write_table(folder / "values.csv", "sum", files, [str(sum(scene.digits)) for scene in made])
    shown = [";".join(str(digit) for digit in sorted(set(scene.digits))) for scene in made]
    write_table(folder / "labels.csv", "labels", files, shown)


def coco(files: Sequence[str], made: Sequence[Scene]) -> dict[str, object]:
    """Return the boxes in the format of COCO; the id of a category is its value in the masks."""
    boxes = [
        (number, digit, box)
        for number, scene in enumerate(made, 1)
        for digit, box in zip(scene.digits, scene.boxes, strict=True)
    ]
    return {
        "images": [
            {"id": number, "file_name": file, "width": SIDE, "height": SIDE} for number, file in enumerate(files, 1)
        ],
        "categories": [{"id": value, "name": name} for value, name in enumerate(CLASSES, 1)],
        "annotations": [
            {
                "id": index, "image_id": number, "category_id": digit + 1, "bbox": list(box),
                "area": box.width * box.height, "iscrowd": 0,
            }
            for index, (number, digit, box) in enumerate(boxes, 1)
        ],
    }  # fmt: skip


def write_table(file: Path, column: str, images: Sequence[str], values: Sequence[str]) -> None:
    """Write a CSV file with a row for each image."""
    with file.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(("image", column))
        writer.writerows(zip(images, values, strict=True))


def write_like(folder: Path, made: Sequence[Scene]) -> None:
    """Write scenes of one digit each into folders named after it."""
    for index, scene in enumerate(made):
        (digit,) = scene.digits
        place = folder / CLASSES[digit]
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(scene.pixels).save(place / f"{'abcdefghij'[index % LIKE]}.png", optimize=True)


@click.command()
@click.option("--out", type=Path, default=SAMPLES, show_default=True, help="Where the samples are written.")
@friendly
def main(out: Path) -> None:
    """Write the samples of this example again."""
    digits, behind = bundled_digits(), photographs(test=True)
    write_scenes(out / "scenes", scenes(SCENES, digits, behind, seed=SEED))
    write_like(out / "like", single(LIKE, digits, behind, seed=SEED))


if __name__ == "__main__":
    main()
