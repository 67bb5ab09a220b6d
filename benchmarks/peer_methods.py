"""Gradient and sampling methods beside Xplique's, in one process and in turn: ``make bench-peers``.

Both explain the most probable class of one image, with as many samples and masks and, for integrated gradients, with
the steps that give a map of much the same error. Xplique takes a copy of the Keras model that ends in the logits.
Picasso's time is that of :func:`picasso.explain`, from the image file to the panels, Xplique's that of ``explain``.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
from PIL import Image
from xplique.attributions import GradCAM, IntegratedGradients, Rise, Saliency, SmoothGrad

from benchmarks import networks
from benchmarks.attributions import without_softmax
from benchmarks.measuring import interleaved, markdown
from picasso import explain
from picasso.models.arrays import Array

NAMES = ("EfficientNet-Lite0", "ResNet50", "MNIST example")
IMAGES = {"MNIST example": "mnist/8-00061.png"}
PHOTOGRAPH = "photographs/chelsea.png"
SAMPLES, MASKS, STEPS = 32, 500, 128
ROUNDS = 3

Work = Callable[[], object]


def works(name: str) -> Iterator[tuple[str, Work, Work]]:
    """Yield the name of each method, with Picasso's work and Xplique's."""
    model = networks.network(name)
    model.top_probs = 1
    file = networks.EXAMPLES / "samples" / IMAGES.get(name, PHOTOGRAPH)
    (image,) = inputs = model.inputs_of([Image.open(file)])
    target = np.eye(model.num_classes, dtype=np.float32)[model.predict(inputs).argmax(axis=1)]
    scores, batch = without_softmax(model.model), model.batch_size
    mode = "RGB" if image.shape[2] == 3 else "L"
    black = float(model.encode([Image.new(mode, (image.shape[1], image.shape[0]))]).min())

    def both(method: str, explainer: Any, visualization: str, **settings: Any) -> tuple[str, Work, Work]:
        def theirs() -> Array:
            return np.asarray(explainer.explain(inputs, target))

        return method, lambda: explain(model, file, visualization, **settings), theirs

    yield both("Grad-CAM", GradCAM(scores, conv_layer=model.layer(None)), "GradCAM")
    yield both("saliency", Saliency(scores, batch_size=batch), "SaliencyMaps")
    smooth = SmoothGrad(scores, batch_size=batch, nb_samples=SAMPLES, noise=0.15)
    yield both(f"SmoothGrad, {SAMPLES} samples", smooth, "SaliencyMaps", Method="SmoothGrad", Samples=SAMPLES)
    path = IntegratedGradients(scores, batch_size=batch, steps=STEPS, baseline_value=black)
    yield both("integrated gradients", path, "IntegratedGradients")
    masked = Rise(model.model, batch_size=batch, nb_samples=MASKS, mask_value=black)
    yield both(f"RISE, {MASKS} masks", masked, "RISE", Masks=MASKS)


def main() -> None:
    """Print the CPU seconds of each method and network, or of those that are named."""
    rows = []
    for name in sys.argv[1:] or NAMES:
        for method, ours, theirs in works(name):
            measured = interleaved(ours, theirs, ROUNDS)
            seconds = (f"{statistics.median(one):.2f}" for one in (measured.ours, measured.baseline))
            rows.append((method, name, *seconds, measured.ratio()))
            print("| " + " | ".join(rows[-1]) + " |", flush=True)
        keras.backend.clear_session()
    print("", *markdown(("method", "model", "Picasso, CPU s", "Xplique, CPU s", "Xplique / Picasso"), rows), sep="\n")


if __name__ == "__main__":
    main()
