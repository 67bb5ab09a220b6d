"""Methods beside Xplique's, in one process and in turn: ``make bench-peers``.

Both do the whole job: read and resize an image, find its most probable class, and explain it, with all of as many
samples, masks and regions, and for integrated gradients with the steps that give a map of much the same error.
Picasso's side is :func:`picasso.explain`, which also makes the panels. On Xplique's side, Pillow and the model's
preprocessing read the image, ``predict_on_batch`` of the same Keras model finds the class, and an explainer that was
made before explains it, with a copy of the network that ends in the logits where the method uses these. For LIME and
Kernel SHAP it gets SLIC of scikit-image, which Picasso uses too: its own segmentations take no number of regions.

Xplique 2.0.2 has neither Score-CAM nor XRAI. Score-CAM is measured beside the predictions of the Keras model alone, as
many as it needs, in batches of the same size.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from PIL import Image
from skimage.segmentation import slic
from xplique.attributions import GradCAM, IntegratedGradients, KernelShap, Lime, Rise, Saliency, SmoothGrad

from benchmarks import networks
from benchmarks.attributions import without_softmax
from benchmarks.measuring import interleaved, markdown, put_into_page
from picasso import explain
from picasso.attribution.regions import SIDE
from picasso.models.arrays import Array
from picasso.models.keras import KerasModel
from picasso.visualizations.score_cam import chosen

NAMES = ("EfficientNet-Lite0", "ResNet50", "MNIST example")
IMAGES = {"MNIST example": "mnist/8-00061.png"}
PHOTOGRAPH = "photographs/chelsea.png"
SAMPLES, MASKS, STEPS, COALITIONS, REGIONS, CHANNELS = 32, 500, 128, 500, 50, 256
# A round of ResNet50 takes minutes.
ROUNDS = {"ResNet50": 1}
# Picasso's sampling stops at a given standard error, Xplique's doesn't.
ALL: dict[str, Any] = {"Error": 0}

Work = Callable[[], object]
Works = tuple[str, Work, Work]


def works(name: str) -> Iterator[Works]:
    """Yield the name of each method, with Picasso's work and Xplique's."""
    model = networks.network(name)
    model.top_probs = 1
    file = networks.EXAMPLES / "samples" / IMAGES.get(name, PHOTOGRAPH)
    network, scores, batch = model.model, without_softmax(model.model), model.batch_size
    mode = "RGB" if model.input_shape[2] == 3 else "L"
    black = float(model.encode([Image.new(mode, model.input_shape[1::-1])]).min())
    classes = np.eye(model.num_classes, dtype=np.float32)

    def read() -> Array:
        with Image.open(file) as image:
            return model.inputs_of([image])

    def both(method: str, explainer: Any, visualization: str, **settings: Any) -> Works:
        def theirs() -> Array:
            inputs = read()
            target = classes[network.predict_on_batch(inputs).argmax(axis=1)]
            return np.asarray(explainer.explain(inputs, target))

        return method, lambda: explain(model, file, visualization, **settings), theirs

    yield both("Grad-CAM", GradCAM(scores, conv_layer=model.layer(None)), "GradCAM")
    yield both("saliency", Saliency(scores, batch_size=batch), "SaliencyMaps")
    smooth = SmoothGrad(scores, batch_size=batch, nb_samples=SAMPLES, noise=0.15)
    yield both(f"SmoothGrad, {SAMPLES} samples", smooth, "SaliencyMaps", Method="SmoothGrad", Samples=SAMPLES, **ALL)
    path = IntegratedGradients(scores, batch_size=batch, steps=STEPS, baseline_value=black)
    yield both("integrated gradients", path, "IntegratedGradients")
    masked = Rise(network, batch_size=batch, nb_samples=MASKS, mask_value=black)
    yield both(f"RISE, {MASKS} masks", masked, "RISE", Masks=MASKS, **ALL)
    options: dict[str, Any] = {
        "batch_size": batch,
        "nb_samples": COALITIONS,
        "map_to_interpret_space": superpixels,
        "ref_value": read().mean(axis=(0, 1, 2)),
    }
    regions = {"Regions": REGIONS, "Samples": COALITIONS, "Fill": "mean", **ALL}
    yield both(f"LIME, {COALITIONS} samples", Lime(network, **options), "LIME", **regions)
    yield both(f"Kernel SHAP, {COALITIONS} samples", KernelShap(network, **options), "KernelSHAP", **regions)
    yield score_cam(model, read, lambda: explain(model, file, "ScoreCAM", Channels=str(CHANNELS)))


def superpixels(array: tf.Tensor) -> tf.Tensor:
    """Return the region of each pixel ``(H, W)`` of an input ``(H, W, C)``, as :mod:`picasso.attribution.regions`."""
    side = max(array.shape[:2])
    found = slic(array.numpy(), n_segments=REGIONS, sigma=side / SIDE, start_label=0, channel_axis=-1)
    return tf.cast(found, tf.int32)


def score_cam(model: KerasModel, read: Callable[[], Array], ours: Work) -> Works:
    """Return Score-CAM, and the predictions of the Keras model alone that it needs."""
    (maps,) = model.feature_maps(read(), model.layer(None))
    count, size = len(chosen(maps, str(CHANNELS))), model.batch_size
    network, copies = model.model, np.repeat(read(), size, axis=0)

    def theirs() -> None:
        for start in range(0, count, size):
            network.predict_on_batch(copies[: count - start])

    return f"Score-CAM beside {count} predictions", ours, theirs


def main() -> None:
    """Print the CPU seconds of all networks, or of those that are named; with ``--write``, update the page."""
    rows = []
    for name in [word for word in sys.argv[1:] if word != "--write"] or NAMES:
        for method, ours, theirs in works(name):
            measured = interleaved(ours, theirs, ROUNDS.get(name, 3))
            seconds = (f"{statistics.median(one):.2f}" for one in (measured.ours, measured.baseline))
            rows.append((method, name, *seconds, measured.ratio()))
            print("| " + " | ".join(rows[-1]) + " |", flush=True)
        keras.backend.clear_session()
    lines = markdown(("method", "model", "Picasso", "Xplique", "Xplique / Picasso"), rows)
    print("", *lines, sep="\n")
    if "--write" in sys.argv:
        put_into_page("peers", lines)


if __name__ == "__main__":
    main()
