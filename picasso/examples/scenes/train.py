"""Train the five networks of this example.

    python -m picasso.examples.scenes.train MNIST [--out DIR]

MNIST is the folder of the four original files. The photographs are those of ``make prepare
EXAMPLE=keras-efficientnet-lite`` and some that are installed with scikit-image; two of them are only for tests. Picasso
itself never runs this file.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import click
import keras
import numpy as np
from numpy.typing import NDArray

from picasso.cli.options import friendly
from picasso.examples import mnist, preparing
from picasso.examples.scenes import figures, networks
from picasso.examples.scenes.photographs import photographs
from picasso.examples.scenes.scenes import CELLS, SIDE, STRIDE, Pixels, Scene, scenes, single

HERE = Path(__file__).resolve().parent
BATCH, TESTING = 32, 1000
# Each part of the training has new scenes.
PART = 1600
CLASSIFIER_PARTS = 7
# Of a pixel of a digit, in the loss.
INK_WEIGHT = 5.0

Floats = NDArray[np.float32]
Made = list[Scene]
ops = keras.ops


class Task(NamedTuple):
    """What distinguishes the training of one network from that of the others.

    Attributes:
        build: returns the untrained network.
        targets: what it should return for scenes.
        loss: of its outputs.
        parts: how many times :data:`PART` scenes it sees.
        figure: how good it is.
        cycles: how many times it is trained, each time with other scenes and a learning rate that falls to 0.
    """

    build: Callable[[], keras.Model]
    targets: Callable[[Made], Any]
    loss: Any
    parts: int
    figure: tuple[str, Callable[[Any, Made], float]]
    cycles: int = 1


def masks(made: Made) -> Any:
    """Return the class of each pixel."""
    return np.stack([scene.mask for scene in made])


def sums(made: Made) -> Floats:
    """Return the sum of the digits."""
    return np.array([[sum(scene.digits)] for scene in made], np.float32)


def labels(made: Made) -> Floats:
    """Return 1 for the digits that are there."""
    return figures.labels(made).astype(np.float32)


def first_digits(made: Made) -> Floats:
    """Return the digit of scenes of one digit."""
    return np.array([[scene.digits[0]] for scene in made], np.float32)


def centres(made: Made) -> dict[str, Floats]:
    """Return a heat map with a hill on each centre, and sizes and offsets.

    Sizes and offsets have a third channel: 1 in the cells of the centres, 0 elsewhere.
    """
    heatmap = np.zeros((len(made), CELLS, CELLS, 10), np.float32)
    size = np.zeros((len(made), CELLS, CELLS, 3), np.float32)
    offset = np.zeros_like(size)
    rows, columns = np.mgrid[:CELLS, :CELLS]
    for index, scene in enumerate(made):
        for digit, box in zip(scene.digits, scene.boxes, strict=True):
            x, y = (box.left + box.width / 2) / STRIDE, (box.top + box.height / 2) / STRIDE
            row, column = int(y), int(x)
            width = (box.width + box.height) / STRIDE / 12
            hill = np.exp(-((rows - row) ** 2 + (columns - column) ** 2) / (2 * width**2))
            heatmap[index, ..., digit] = np.maximum(heatmap[index, ..., digit], hill)
            size[index, row, column] = box.width / STRIDE, box.height / STRIDE, 1
            offset[index, row, column] = x - column, y - row, 1
    return {"heatmap": heatmap, "size": size, "offset": offset}


def by_ink(truth: Any, answers: Any) -> Any:
    """Return the cross-entropy of pixels. Ink counts more: it is rare, and it alone tells the digits apart."""
    losses = ops.sparse_categorical_crossentropy(truth, answers)
    return ops.mean(losses * ops.where(truth > 0, INK_WEIGHT, 1.0))


def focal(truth: Any, answers: Any) -> Any:
    """Return the loss of a heat map: little for cells near a centre, and for those that are nearly right."""
    answers = ops.clip(answers, 1e-4, 1 - 1e-4)
    centre = ops.cast(truth == 1, "float32")
    near = -ops.log(answers) * (1 - answers) ** 2 * centre
    far = -ops.log(1 - answers) * answers**2 * (1 - truth) ** 4 * (1 - centre)
    return ops.sum(near + far) / ops.maximum(ops.sum(centre), 1)


def at_centres(truth: Any, answers: Any) -> Any:
    """Return the mean absolute error in the cells of the centres."""
    there = truth[..., 2:]
    return ops.sum(ops.abs(truth[..., :2] - answers) * there) / ops.maximum(ops.sum(there), 1)


def contrastive(truth: Any, vectors: Any) -> Any:
    """Return the supervised contrastive loss of a batch (Khosla et al., 2020)."""
    near = ops.matmul(vectors, ops.transpose(vectors)) / 0.1
    others = 1 - ops.eye(ops.shape(vectors)[0])
    near = near - 1e9 * (1 - others)
    same = ops.cast(truth == ops.transpose(truth), "float32") * others
    log_share = near - ops.logsumexp(near, axis=1, keepdims=True)
    return -ops.mean(ops.sum(same * log_share, axis=1) / ops.maximum(ops.sum(same, axis=1), 1))


TASKS = {
    "segmentation": Task(networks.segmentation, masks, by_ink, 10, ("mean IoU", figures.mean_iou), 2),
    "detection": Task(
        networks.detection,
        centres,
        {"heatmap": focal, "size": at_centres, "offset": at_centres},
        10,
        ("AP50", figures.average_precision),
    ),
    "regression": Task(networks.regression, sums, "huber", 5, ("mean absolute error", figures.mean_error)),
    "multilabel": Task(
        networks.multilabel, labels, "binary_crossentropy", 3, ("label accuracy", figures.label_accuracy)
    ),
    "embedding": Task(networks.embedding, first_digits, contrastive, 3, ("retrieval@1", figures.retrieval)),
}


def draw(name: str, count: int, digits: mnist.Digits, behind: Sequence[Pixels], seed: int) -> Made:
    """Return scenes for a network; those for the embedding show one digit each."""
    if name != "embedding":
        return scenes(count, digits, behind, seed)
    made = single(count // 10, digits, behind, seed)
    order = np.random.default_rng(seed).permutation(len(made))
    return [made[index] for index in order]


def pixels(made: Made) -> Floats:
    """Return the images as the networks expect them."""
    return np.stack([scene.pixels for scene in made]).astype(np.float32)


def parts_of(made: Made, seed: int) -> Floats:
    """Return a part of each scene, with its one digit somewhere in it."""
    generator, side = np.random.default_rng(seed), networks.PART
    cut = []
    for scene in made:
        (box,) = scene.boxes
        top = generator.integers(max(0, box.top + box.height - side), min(box.top, SIDE - side) + 1)
        left = generator.integers(max(0, box.left + box.width - side), min(box.left, SIDE - side) + 1)
        cut.append(scene.pixels[top : top + side, left : left + side])
    return np.stack(cut).astype(np.float32)


def pretrain(model: keras.Model, digits: mnist.Digits, behind: Sequence[Pixels], part: int) -> keras.Model:
    """Train a classifier of parts of scenes: it is cheap, and its features are a start for other networks."""

    def drawn(seed: int) -> tuple[Floats, Floats]:
        made = draw("embedding", part, digits, behind, seed)
        return parts_of(made, seed), first_digits(made)

    fit(model, drawn, CLASSIFIER_PARTS, part, loss="sparse_categorical_crossentropy")
    return model


def train(
    name: str, digits: mnist.Digits, behind: Sequence[Pixels], start: keras.Model | None, part: int
) -> keras.Model:
    """Return a trained network, without optimizer and losses.

    Args:
        name: of the task.
        digits: the handwritten ones.
        behind: the photographs.
        start: a trained network, from which the shared layers are taken; None for a network that shares none.
        part: scenes of each part.
    """
    task = TASKS[name]
    model = task.build()
    if start:
        networks.share(model, start)

    def drawn(cycle: int, seed: int) -> tuple[Floats, Any]:
        made = draw(name, part, digits, behind, seed + 1000 * cycle)
        return pixels(made), task.targets(made)

    weights = {"heatmap": 1.0, "size": 0.1, "offset": 0.5} if name == "detection" else None
    # Each scene should have some of the same digit beside it.
    batch = 2 * BATCH if name == "embedding" else BATCH
    for cycle in range(task.cycles):
        fit(model, partial(drawn, cycle), task.parts, part, batch, loss=task.loss, loss_weights=weights)
    return model


def fit(
    model: keras.Model,
    drawn: Callable[[int], tuple[Floats, Any]],
    parts: int,
    part: int,
    batch: int = BATCH,
    **losses: Any,
) -> None:
    """Train a network on the images and targets that are drawn for each part.

    Args:
        model: it gets the weights, but no optimizer and no loss, so that its file refers to nothing of this module.
        drawn: returns those of a part from a seed.
        parts: how many.
        part: the images of each.
        batch: the images of each step.
        losses: as for ``compile``.
    """
    trainer = keras.Model(model.inputs, model.output)
    steps = parts * max(1, part // batch)
    rate = keras.optimizers.schedules.CosineDecay(0.0, steps, warmup_target=2e-3, warmup_steps=max(1, steps // 10))
    trainer.compile(keras.optimizers.Adam(rate), **losses)
    for index in range(parts):
        history = trainer.fit(*drawn(1000 + index), batch_size=batch, verbose=0).history
        click.echo(f"{model.name}: part {index + 1} of {parts}, loss {history['loss'][0]:.4f}")


@click.command()
@click.argument("folder", type=Path)
@click.option("--out", type=Path, default=HERE / "data", show_default=True, help="Where the networks are written.")
@click.option("--only", type=click.Choice(list(TASKS)), multiple=True, help="Train these; may be given several times.")
@click.option("--part", type=int, default=PART, show_default=True, help="Scenes of each part of a training.")
@friendly
def main(folder: Path, out: Path, only: tuple[str, ...], part: int) -> None:
    """Train the networks with the MNIST digits of FOLDER, and print how good they are on test scenes."""
    out.mkdir(parents=True, exist_ok=True)
    digits, tests = mnist.load(folder, "train"), mnist.load(folder, "t10k")
    behind, test_behind = photographs(test=False), photographs(test=True)
    start: keras.Model | None = None
    for name, task in TASKS.items():
        keras.utils.set_random_seed(7)
        if only and name not in only:
            continue
        if start is None and name != "segmentation":
            start = pretrain(networks.classifier(), digits, behind, part)
        model = train(name, digits, behind, start, part)
        preparing.save(model, out / f"{name}.keras")
        made = draw(name, TESTING, tests, test_behind, seed=1)
        figure, measure = task.figure
        click.echo(f"{name}: {figure} {measure(model.predict(pixels(made), verbose=0), made):.3f}")


if __name__ == "__main__":
    main()
