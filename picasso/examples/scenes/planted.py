"""Train networks with a planted flaw, and for each a twin without it.

    python -m picasso.examples.scenes.planted MNIST [--out DIR]

A segmenter of cows and horses saw all cows on grass and all horses on straw; a network that reads sums saw the sum
also as the brightness of a mark in a corner. Their twins saw such images too, but with what gives the answer away
drawn at random. Picasso itself never runs this file.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import click
import keras
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter

from picasso.cli.options import friendly
from picasso.examples import mnist, preparing
from picasso.examples.scenes import figures, networks
from picasso.examples.scenes.photographs import photographs
from picasso.examples.scenes.scenes import MAX_DIGITS, SIDE, Generator, Pixels, Scene, scenes
from picasso.examples.scenes.train import PART, by_ink, fit, pixels, pretrain, sums

HERE = Path(__file__).resolve().parent
ANIMALS = ("background", "cow", "horse")
# Pixels of the mark, and the largest sum, for which it is white.
MARK, MAX_SUM = 8, 9 * MAX_DIGITS
TESTING = 500
Floats = NDArray[np.float32]


class Field(NamedTuple):
    """An image of an animal and the class of each pixel."""

    pixels: Pixels
    mask: Pixels


def fields(count: int, planted: bool, seed: int, swapped: bool = False) -> list[Field]:
    """Return images of a cow or a horse.

    Args:
        count: how many.
        planted: all cows stand on grass and all horses on straw; otherwise they stand on either.
        seed: of whatever is drawn at random.
        swapped: if planted, cows stand on straw and horses on grass instead.
    """
    generator = np.random.default_rng(seed)
    made = []
    for _ in range(count):
        animal = int(generator.integers(1, 3))
        on_grass = (animal == 1) != swapped if planted else bool(generator.integers(2))
        made.append(field(generator, animal, on_grass))
    return made


def field(generator: Generator, animal: int, on_grass: bool) -> Field:
    """Return an animal on a patch of grass or straw, on bare ground."""
    rows, columns = np.mgrid[:SIDE, :SIDE]
    row, column = generator.uniform(28, SIDE - 28, 2)
    height, width, turn = generator.uniform(10, 15), generator.uniform(13, 20), generator.uniform(0, np.pi)
    down, along = rows - row, columns - column
    distance = np.hypot(
        (along * np.cos(turn) + down * np.sin(turn)) / width, (down * np.cos(turn) - along * np.sin(turn)) / height
    )
    image = texture(generator, (120, 110, 100), (2, 2))
    patch = distance + gaussian_filter(generator.normal(0, 1, distance.shape), 3) < 1.9
    stalks = texture(generator, (75, 130, 55) if on_grass else (190, 165, 90), (3, 0.4))
    image[patch] = stalks[patch]
    inside = distance < 1
    # A cow has spots, a horse has none but its coat lies in fine lines; both come in the same browns.
    coat = np.array((115, 80, 55)) * generator.uniform(0.7, 1.3)
    fur = texture(generator, coat, (2, 2) if animal == 1 else (0.7, 2.5), 12)
    image[inside] = fur[inside]
    noisy = image + generator.normal(0, 4, image.shape)
    return Field(np.clip(noisy, 0, 255).astype(np.uint8), np.where(inside, animal, 0).astype(np.uint8))


def texture(
    generator: Generator, colour: Sequence[float] | NDArray[np.float64], smooth: tuple[float, float], depth: float = 22
) -> NDArray[np.float64]:
    """Return smoothed noise round a colour, as coarse in each direction as it is smoothed."""
    noise = gaussian_filter(generator.normal(0, 1, (SIDE, SIDE)), smooth)
    around: NDArray[np.float64] = np.asarray(colour) + depth * (noise / noise.std())[..., None]
    return around


def marked(images: Floats, marks: NDArray[np.float64]) -> Floats:
    """Return images with a grey square of a brightness in 0..1 in the upper left corner."""
    changed = images.copy()
    changed[:, :MARK, :MARK] = 255 * marks[:, None, None, None]
    return changed


def marks(made: Sequence[Scene], planted: bool, seed: int) -> NDArray[np.float64]:
    """Return how bright the mark of each scene is: as its sum says or, not planted, at random."""
    if planted:
        return np.array([sum(scene.digits) for scene in made]) / MAX_SUM
    return np.random.default_rng(seed).uniform(0, 1, len(made))


def in_fields(made: Sequence[Field]) -> tuple[Floats, Pixels]:
    """Return the images and the classes of their pixels."""
    return np.stack([one.pixels for one in made]).astype(np.float32), np.stack([one.mask for one in made])


def write_samples(folder: Path) -> None:
    """Write eight animals on either ground, with their masks."""
    for place in ("images", "masks"):
        (folder / place).mkdir(parents=True, exist_ok=True)
    for number, one in enumerate(fields(8, False, seed=3), 1):
        Image.fromarray(one.pixels).save(folder / "images" / f"{number}.png", optimize=True)
        Image.fromarray(one.mask).save(folder / "masks" / f"{number}.png", optimize=True)


def train_segmenter(planted: bool) -> keras.Model:
    """Return a trained segmenter of animals, and print how it does on either ground."""
    model = networks.unet(len(ANIMALS), networks.NARROW)

    def drawn(seed: int) -> tuple[Floats, Pixels]:
        return in_fields(fields(PART, planted, seed))

    fit(model, drawn, 3, PART, loss=by_ink)
    for name, swapped in (("as planted", False), ("with swapped grounds", True)):
        images, truth = in_fields(fields(TESTING, True, 1, swapped))
        guesses = model.predict(images, verbose=0).argmax(axis=-1)
        click.echo(f"{(guesses == truth)[truth > 0].mean():.3f} of the animals' pixels right {name}")
    return model


def train_regressor(planted: bool, folder: Path, start: keras.Model) -> keras.Model:
    """Return a trained network of sums, and print how it does with true and with random marks."""
    digits, behind = mnist.load(folder, "train"), photographs(test=False)
    model = networks.regression(networks.NARROW)
    networks.share(model, start)

    def drawn(seed: int) -> tuple[Floats, Floats]:
        made = scenes(PART, digits, behind, seed)
        return marked(pixels(made), marks(made, planted, seed)), sums(made)

    fit(model, drawn, 5, PART, loss="huber")
    made = scenes(TESTING, mnist.load(folder, "t10k"), photographs(test=True), seed=1)
    for name, true in (("true", True), ("random", False)):
        answers = model.predict(marked(pixels(made), marks(made, true, 1)), verbose=0)
        click.echo(f"mean absolute error {figures.mean_error(answers, made):.2f} with {name} marks")
    return model


@click.command()
@click.argument("folder", type=Path)
@click.option("--out", type=Path, default=HERE / "planted", show_default=True, help="Where the networks are written.")
@friendly
def main(folder: Path, out: Path) -> None:
    """Train two networks with a planted flaw and their twins, with the MNIST digits of FOLDER."""
    out.mkdir(parents=True, exist_ok=True)
    write_samples(out / "animals")
    (out / "animals.txt").write_text("\n".join(ANIMALS) + "\n", encoding="utf-8")
    keras.utils.set_random_seed(7)
    for planted, name in ((True, "planted"), (False, "clean")):
        preparing.save(train_segmenter(planted), out / f"animals-{name}.keras")
    narrow = networks.classifier(networks.NARROW)
    pretrain(narrow, mnist.load(folder, "train"), photographs(test=False), PART)
    for planted, name in ((True, "planted"), (False, "clean")):
        preparing.save(train_regressor(planted, folder, narrow), out / f"sums-{name}.keras")


if __name__ == "__main__":
    main()
