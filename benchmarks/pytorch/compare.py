"""Compare ONNX files as Picasso explains them with what PyTorch computes: ``make bench-pytorch``.

    python -m benchmarks.pytorch.compare FOLDER [NAME ...] [--write]

Predictions are timed beside ONNX Runtime's, and incremental occlusion of ResNet50 beside that of the same
architecture of Keras; all in CPU seconds, in turn and in one process.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from benchmarks import networks, occlusion
from benchmarks.measuring import Rounds, interleaved, markdown, put_into_page
from benchmarks.pytorch import EXPORTERS, positions
from picasso.models import load_model
from picasso.models.arrays import Array
from picasso.models.base import Model
from picasso.visualizations.class_activation import GradCAM

HEAD = (
    "network", "exporter", "probabilities", "input gradients", "beyond", "PyTorch's beyond", "Grad-CAM", "occlusion",
    "CPU ms per image", "ONNX Runtime", "ratio",
)  # fmt: skip
# Gradients further apart than this, relative to the largest of the image, are those of a ReLU or a maximum that
# rounding decides; the table counts these images.
FAR = 1e-4
THREADS, BATCH, ROUNDS = 2, 8, 5
SPEED = "resnet50"
# How far maps of a layer may be from the block's, relative to the largest, to be taken for the same.
SAME = 1e-3

References = Mapping[str, NDArray[Any]]


def row(file: Path, references: References) -> tuple[str, ...]:
    """Return the line of a file: its largest differences, and the times of predictions."""
    model = load_model(file, preprocess="torch")
    name, _, exporter = file.stem.rpartition("-")
    inputs, top = references["inputs"], references["logits"].argmax(axis=1)
    probabilities = float(np.abs(model.predict(inputs) - references["probabilities"]).max())
    gradients = relative(model.input_gradients(inputs, list(top)), references["gradients"])
    far, torchs = (f"{(one > FAR).sum()} of {len(inputs)}" for one in (gradients, references["rounding"]))
    times = predictions(model, file)
    ours, theirs = (f"{1000 * statistics.median(seconds) / BATCH:.1f}" for seconds in (times.ours, times.baseline))
    # That of the table is ours to theirs.
    ratio = statistics.median(1 / one for one in times.ratios)
    return (
        name, exporter, f"{probabilities:.1e}", f"{np.median(gradients):.1e}", far, torchs,
        grad_cam(model, references), f"{occluded(model, references):.1e}", ours, theirs, f"{ratio:.2f}",
    )  # fmt: skip


def relative(found: Array, expected: NDArray[Any]) -> NDArray[Any]:
    """Return the largest difference of each image, divided by its largest expected value."""
    axes = tuple(range(1, expected.ndim))
    return np.asarray(np.abs(found - expected).max(axis=axes) / np.abs(expected).max(axis=axes))


def grad_cam(model: Model, references: References) -> str:
    """Return the difference of Grad-CAM of the last block, and the layer with its maps; or that there is none."""
    inputs, top = references["inputs"], references["logits"].argmax(axis=1)
    layer = same_layer(model, references)
    if not layer:
        return "no layer"
    found = cams(model.feature_maps(inputs, layer), model.feature_gradients(inputs, list(top), layer))
    difference = relative(found, cams(references["maps"], references["map_gradients"]))
    return f"{difference.max():.1e}" + ("" if layer == model.layer(None) else f" ({layer})")


def cams(maps: NDArray[Any], gradients: NDArray[Any]) -> Array:
    """Return the map of each image."""
    return np.stack([GradCAM.weigh(*one) for one in zip(maps, gradients, strict=True)])


def same_layer(model: Model, references: References) -> str:
    """Return the name of the last layer whose maps are those of PyTorch's last block, or ""."""
    expected = references["maps"]
    for layer in reversed(model.layers()):
        if layer.shape == expected.shape[1:] and (
            relative(model.feature_maps(references["inputs"], layer.name), expected).max() < SAME
        ):
            return layer.name
    return ""


def occluded(model: Model, references: References) -> float:
    """Return the largest difference of a probability over all positions of the window."""
    found = occlusion.compute(model, references["inputs"][0], references["fill"], positions())
    return float(np.abs(found[:, references["logits"][0].argmax()] - references["occluded"]).max())


def predictions(model: Model, file: Path) -> Rounds:
    """Measure predictions of a batch beside ONNX Runtime's, both with :data:`THREADS` threads."""
    inputs = np.stack([networks.noise_image(model.input_shape)] * BATCH)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = THREADS
    session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    ordered = {session.get_inputs()[0].name: np.ascontiguousarray(inputs.transpose(0, 3, 1, 2))}
    return interleaved(lambda: model.predict(inputs), lambda: session.run(None, ordered), ROUNDS)


def beside_keras(file: Path) -> str:
    """Return a sentence on incremental occlusion of a file and of Keras' network of the same architecture."""
    ours, other = load_model(file, preprocess="torch"), networks.network("ResNet50")
    image = networks.noise_image(ours.input_shape)
    fill, boxes = np.zeros_like(image), occlusion.windows(ours.input_shape, 0.2, 20)
    measured = interleaved(
        lambda: occlusion.use(ours, image, fill, boxes), lambda: occlusion.use(other, image, fill, boxes), 3
    )
    one, two = (1000 * statistics.median(seconds) / len(boxes) for seconds in (measured.ours, measured.baseline))
    ratio = statistics.median(1 / value for value in measured.ratios)
    return (
        f"Incremental occlusion of {file.name}, 400 windows of 20%: {one:.2f} CPU ms per window, "
        f"{ratio:.2f} times those of `keras.applications.ResNet50` ({two:.2f})."
    )


def rows(folder: Path, names: list[str]) -> Iterator[tuple[str, ...]]:
    """Yield the lines of all files in a folder that have references, or of those that are named."""
    for file in sorted(folder.glob("*.npz")):
        if names and file.stem not in names:
            continue
        with np.load(file) as opened:
            references = dict(opened)
        for exporter in EXPORTERS:
            yield row(folder / f"{file.stem}-{exporter}.onnx", references)


def main() -> None:
    """Print the table, and with ``--write`` put it into the page on performance."""
    folder, *names = (word for word in sys.argv[1:] if word != "--write")
    found = []
    for one in rows(Path(folder), names):
        found.append(one)
        print(*one, sep=" | ", flush=True)
    lines = markdown(HEAD, found)
    if not names or SPEED in names:
        sentences = [beside_keras(Path(folder) / f"{SPEED}-{exporter}.onnx") for exporter in EXPORTERS]
        print(*sentences, sep="\n")
        lines += ["", *sentences]
    if "--write" in sys.argv:
        put_into_page("pytorch", lines)


if __name__ == "__main__":
    main()
