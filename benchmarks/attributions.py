"""Picasso's maps beside Xplique's, of the same Keras models and images: ``make bench-attributions``.

It runs in the environment of ``make bench-peers``. Xplique differentiates the logits, which a copy of the model gives.
Where the two define a map differently, a second row shows them with one definition.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import keras
import numpy as np
import tensorflow as tf
from PIL import Image
from xplique.attributions import GradCAM, GradCAMPP, GradientInput, GuidedBackprop, IntegratedGradients, Rise, Saliency

from benchmarks import networks
from picasso import explain
from picasso.attribution.rank_agreement import rank_correlation
from picasso.models.arrays import Array
from picasso.models.keras import KerasModel

# Of each image, so many of the most probable classes are looked at.
CLASSES = 2
IMAGES = 5
MASKS = 2000
SAMPLES = networks.EXAMPLES / "samples"
FOLDERS = {"MNIST example": "mnist", "EfficientNet-Lite0": "photographs"}
# Xplique takes the gradient at the ends of equal pieces, Picasso inside of them, so that only many points are the same.
STEPS = {"MNIST example": 1024, "EfficientNet-Lite0": 256}

Maps = list[Array]


@dataclass(frozen=True)
class Case:
    """A model and images.

    Attributes:
        name: what the model is called.
        model: as Picasso loads it.
        scores: a copy of its Keras model that ends in the logits.
        files: the images.
        inputs: the same as the model's numbers ``(n, H, W, C)``.
        targets: the classes that are looked at, one-hot, ``(n, k, K)``.
        black: the number that stands for black.
    """

    name: str
    model: KerasModel
    scores: keras.Model
    files: Sequence[Path]
    inputs: Array
    targets: Array
    black: float

    @classmethod
    def of(cls, name: str) -> Case:
        """Load a network and some of its samples."""
        model = networks.network(name)
        model.top_probs = CLASSES
        files = [file for file in sorted((SAMPLES / FOLDERS[name]).iterdir()) if file.suffix in (".jpg", ".png")]
        files = files[:: len(files) // IMAGES][:IMAGES]
        inputs = model.inputs_of([Image.open(file) for file in files])
        best = np.argsort(-model.predict(inputs), axis=1, kind="stable")[:, :CLASSES]
        black = model.encode([Image.new("RGB" if model.input_shape[2] == 3 else "L", inputs.shape[2:0:-1])])
        targets = np.eye(model.num_classes, dtype=np.float32)[best]
        return cls(name, model, without_softmax(model.model), files, inputs, targets, float(black.min()))

    @property
    def batch(self) -> int:
        """How many inputs go through Xplique's copy at once."""
        return self.model.batch_size

    def ours(self, visualization: str, **settings: Any) -> Maps:
        """Return the maps of a visualization, image by image and class by class."""
        results = explain(self.model, list(self.files), visualization, **settings)
        return [panel.array for one in results for panel in one.panels if panel.class_index is not None]

    def theirs(self, explainer: Any) -> Maps:
        """Return Xplique's maps in the same order."""
        found = [explainer.explain(np.repeat(one[None], CLASSES, 0), of) for one, of in self.pairs()]
        return list(np.concatenate(found)[..., 0])

    def pairs(self) -> Iterator[tuple[Array, Array]]:
        """Yield each input with its targets ``(k, K)``."""
        yield from zip(self.inputs, self.targets, strict=True)


def without_softmax(model: keras.Model) -> keras.Model:
    """Return a copy of a model whose last layer is linear."""
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    copy.layers[-1].activation = keras.activations.linear
    return copy


class SummedGradCAMPP(GradCAMPP):  # type: ignore[misc]
    """Grad-CAM++ with the sum over the feature map in the denominator, as in the paper."""

    @staticmethod
    def _compute_weights(feature_maps_gradients: Any, feature_maps: Any) -> Any:
        """Give Xplique's own code maps whose mean is the sum of the given ones."""
        places = tf.cast(tf.reduce_prod(tf.shape(feature_maps)[1:3]), tf.float32)
        return GradCAMPP._compute_weights(feature_maps_gradients, feature_maps * places)


def small_maps(case: Case, kind: type[GradCAM]) -> Maps:
    """Return class activation maps as they are before Xplique enlarges them to the size of the image."""
    explainer = kind(case.scores, conv_layer=case.model.layer(None))
    found = []
    for one, targets in case.pairs():
        maps, gradients = explainer._gradient(tf.repeat(one[None], CLASSES, 0), tf.constant(targets))
        found += list(explainer._apply_weights(explainer._compute_weights(gradients, maps), maps).numpy())
    return found


def guided_maps(case: Case) -> Maps:
    """Return Xplique's guided gradients, reduced as Picasso does."""
    explainer = GuidedBackprop(case.scores, batch_size=case.batch, reducer=None)
    found = [explainer.explain(np.repeat(one[None], CLASSES, 0), of) for one, of in case.pairs()]
    return list(np.abs(np.concatenate(found)).max(axis=-1))


def guided_below_the_cap(max_value: float | None = None, threshold: float = 0.0) -> Callable[..., Any]:
    """Return a rectifier whose gradient passes neither below the threshold nor where the output is cut off."""
    rectify = keras.layers.ReLU(max_value=max_value, threshold=threshold)

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def guided(inputs: Any) -> tuple[Any, Callable[[Any], Any]]:
        def gradient(above: Any) -> Any:
            inside = (inputs > threshold) & (inputs < (np.inf if max_value is None else max_value))
            return tf.where(inside & (above > 0), above, tf.zeros_like(above))

        return rectify(inputs), gradient

    return guided  # type: ignore[no-any-return]


def compared(case: Case) -> Iterator[tuple[str, Maps, Maps]]:
    """Yield the name of each method with the maps of both."""
    gradients = case.ours("SaliencyMaps")
    yield "gradient", gradients, case.theirs(Saliency(case.scores, batch_size=case.batch, reducer="max"))
    products = case.ours("SaliencyMaps", Method="gradient x input")
    yield "gradient x input", products, case.theirs(GradientInput(case.scores, batch_size=case.batch, reducer="sum"))
    guided = case.ours("SaliencyMaps", Method="guided backpropagation")
    yield "guided backpropagation", guided, guided_maps(case)
    with mock.patch("xplique.attributions.guided_backpropagation.guided_relu_policy", guided_below_the_cap):
        yield "guided backpropagation, ReLU6 closed at 6", guided, guided_maps(case)
    steps = STEPS[case.name]
    along = {"steps": steps, "baseline_value": case.black, "batch_size": case.batch, "reducer": "sum"}
    integrated = case.ours("IntegratedGradients", Baseline="black", Steps=steps, Error=0.01)
    yield "integrated gradients", integrated, case.theirs(IntegratedGradients(case.scores, **along))
    yield "Grad-CAM", case.ours("GradCAM"), small_maps(case, GradCAM)
    plus = case.ours("GradCAMPlusPlus")
    yield "Grad-CAM++", plus, small_maps(case, GradCAMPP)
    yield "Grad-CAM++, sum in the denominator", plus, small_maps(case, SummedGradCAMPP)
    masked = Rise(case.model.model, nb_samples=MASKS, mask_value=case.black, batch_size=case.batch)
    yield f"RISE, {MASKS} masks each", case.ours("RISE", Masks=MASKS, Error=0), case.theirs(masked)


def main() -> None:
    """Print a row for each method and network, or those of the networks that are named."""
    print("| method | model | maps | lowest rank correlation | median |")
    print("| --- | --- | --- | --- | --- |")
    for name in FOLDERS:
        if len(sys.argv) > 1 and name not in sys.argv[1:]:
            continue
        for method, ours, theirs in compared(Case.of(name)):
            found = [rank_correlation(one, other) for one, other in zip(ours, theirs, strict=True)]
            # Where nothing speaks for a class, a rectified map is flat in both.
            values = [value for value in found if value is not None]
            cells = (method, name, str(len(values)), f"{min(values):.4f}", f"{statistics.median(values):.4f}")
            print("| " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
