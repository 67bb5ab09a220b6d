"""Train networks with a planted flaw, and for each a twin without it.

    python -m picasso.examples.scenes.planted MNIST [--out DIR]

A segmenter of cows and horses saw all cows on grass and all horses on straw; a network that reads sums saw the sum
also as the brightness of a mark in a corner. Their twins saw such images too, but with what gives the answer away
drawn at random. Picasso itself never runs this file.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import click
import keras
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from picasso.cli.options import friendly
from picasso.examples import mnist, preparing
from picasso.examples.scenes import figures
from picasso.examples.scenes.networks import block
from picasso.examples.scenes.photographs import photographs
from picasso.examples.scenes.scenes import MOST_DIGITS, SIDE, Generator, Pixels, Scene, scenes
from picasso.examples.scenes.train import BATCH, pixels, sums

HERE = Path(__file__).resolve().parent
ANIMALS = ("background", "cow", "horse")
# Pixels of the mark, and the largest sum, for which it is white.
MARK, LARGEST_SUM = 8, 9 * MOST_DIGITS
PARTS, PART, TESTING = 8, 1600, 500
layers = keras.layers
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
        return np.array([sum(scene.digits) for scene in made]) / LARGEST_SUM
    return np.random.default_rng(seed).uniform(0, 1, len(made))


def small(values: Any) -> tuple[Any, Any]:
    """Return what a few layers say of images at 48 x 48 and at 24 x 24 cells."""
    half = block(layers.Rescaling(1 / 127.5, -1)(values), 12, "half", strides=2)
    quarter = block(layers.MaxPooling2D()(half), 24, "quarter_1")
    quarter = block(quarter, 24, "quarter_2")
    eighth = block(layers.MaxPooling2D()(quarter), 32, "eighth_1")
    wide = layers.Concatenate()([layers.UpSampling2D()(eighth), quarter])
    return half, block(wide, 24, "features")


def segmenter() -> keras.Model:
    """Return probabilities of the background, cow and horse for each pixel: ``(N, 96, 96, 3)``."""
    inputs = keras.Input((SIDE, SIDE, 3))
    half, cells = small(inputs)
    half = block(layers.Concatenate()([layers.UpSampling2D()(cells), half]), 12, "half_classes")
    outputs = layers.Conv2DTranspose(len(ANIMALS), 2, strides=2, activation="softmax", name="classes")(half)
    return keras.Model(inputs, outputs, name="animals")


def regressor() -> keras.Model:
    """Return one number: ``(N, 1)``."""
    inputs = keras.Input((SIDE, SIDE, 3))
    _, cells = small(inputs)
    pooled = layers.BatchNormalization(momentum=0.9)(layers.GlobalAveragePooling2D()(block(cells, 32, "cells")))
    hidden = layers.Dense(32, activation="relu")(pooled)
    outputs = layers.Dense(1, bias_initializer=keras.initializers.Constant(9), name="sum")(hidden)
    return keras.Model(inputs, outputs, name="sums")


def fit(model: keras.Model, loss: str, parts: int, drawn: Callable[[int], tuple[Floats, Any]]) -> None:
    """Train a network on the images and targets that are drawn for each part."""
    trainer = keras.Model(model.inputs, model.output)
    rate = keras.optimizers.schedules.CosineDecay(4e-3, parts * (PART // BATCH))
    trainer.compile(keras.optimizers.Adam(rate), loss)
    for index in range(parts):
        images, targets = drawn(1000 + index)
        history = trainer.fit(images, targets, batch_size=BATCH, verbose=0)
        click.echo(f"{model.name}: part {index + 1} of {parts}, loss {history.history['loss'][0]:.4f}")


def in_fields(made: Sequence[Field]) -> tuple[Floats, Pixels]:
    """Return the images and the classes of their pixels."""
    return np.stack([one.pixels for one in made]).astype(np.float32), np.stack([one.mask for one in made])


def train_segmenter(planted: bool, parts: int) -> keras.Model:
    """Return a trained segmenter of animals, and print how it does on either ground."""
    keras.utils.set_random_seed(7)
    model = segmenter()
    fit(model, "sparse_categorical_crossentropy", parts, lambda seed: in_fields(fields(PART, planted, seed)))
    for name, swapped in (("as trained", False), ("with swapped grounds", True)):
        images, truth = in_fields(fields(TESTING, True, 1, swapped))
        guesses = model.predict(images, verbose=0).argmax(axis=-1)
        right = (guesses == truth)[truth > 0].mean()
        click.echo(f"{'planted' if planted else 'clean'} segmenter: {right:.3f} of the animals' pixels, {name}")
    return model


def train_regressor(planted: bool, parts: int, folder: Path) -> keras.Model:
    """Return a trained network of sums, and print how it does with true and with random marks."""
    keras.utils.set_random_seed(7)
    digits, behind = mnist.load(folder, "train"), photographs(test=False)

    def drawn(seed: int) -> tuple[Floats, Floats]:
        made = scenes(PART, digits, behind, seed)
        return marked(pixels(made), marks(made, planted, seed)), sums(made)

    model = regressor()
    fit(model, "huber", parts, drawn)
    made = scenes(TESTING, mnist.load(folder, "t10k"), photographs(test=True), seed=1)
    for name, true in (("true marks", True), ("random marks", False)):
        answers = model.predict(marked(pixels(made), marks(made, true, 1)), verbose=0)
        error = figures.mean_error(answers, made)
        click.echo(f"{'planted' if planted else 'clean'} regressor: mean absolute error {error:.2f} with {name}")
    return model


@click.command()
@click.argument("folder", type=Path)
@click.option("--out", type=Path, default=HERE / "planted", show_default=True, help="Where the networks are written.")
@friendly
def main(folder: Path, out: Path) -> None:
    """Train two networks with a planted flaw and their twins, with the MNIST digits of FOLDER."""
    out.mkdir(parents=True, exist_ok=True)
    for planted, name in ((True, "planted"), (False, "clean")):
        preparing.save(train_segmenter(planted, 3), out / f"animals-{name}.keras")
        preparing.save(train_regressor(planted, PARTS if not planted else 3, folder), out / f"sums-{name}.keras")


if __name__ == "__main__":
    main()
