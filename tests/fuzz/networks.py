"""Random networks: their occlusion maps against windows that are really painted, asked of Keras itself.

``python -m tests.fuzz.networks --count 300 --seed 1`` builds networks of random layers, one for each seed from that one
on, and computes an occlusion map of each by recomputing only what changes, whether it pays or not. It prints a line for
each network and fails where a map differs from painted windows by more than 5e-5, or where anything is raised.
"""

from __future__ import annotations

import argparse
import gc
import sys
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from picasso import explain
from picasso.imaging.masking import filling
from picasso.models.arrays import Array
from picasso.models.keras import KerasModel
from picasso.models.preprocessing import Preprocessing
from picasso.models.tf.incremental import checked
from picasso.visualizations.partial_occlusion import FILLS, REMAINS, OcclusionSettings, boxes

TOLERANCE = 5e-5
CLASSES = 4
# How much input images are changed to see what rounding does, as a share, and how many times as much probabilities may.
NUDGE, CONDITION = 1e-6, 20
# After so many networks that fit nowhere, something is wrong with the generator.
ATTEMPTS = 20
ACTIVATIONS = (
    "relu", "relu6", "elu", "selu", "silu", "gelu", "tanh", "sigmoid", "softplus", "softsign", "mish", "leaky_relu",
    "hard_silu", "hard_sigmoid", "linear", "exponential", "celu", "squareplus",
)  # fmt: skip


class Builder:
    """Builds one random network; all choices follow from the seed.

    Attributes:
        blocks: what was built, in words.
    """

    def __init__(self, seed: int) -> None:
        import keras

        keras.utils.set_random_seed(seed)
        self.keras, self.k, self.rng, self.blocks = keras, keras.layers, np.random.default_rng(seed), list[str]()

    def any(self, *choices: Any) -> Any:
        """Return one of several."""
        return choices[int(self.rng.integers(len(choices)))]

    def act(self) -> str:
        """Return the name of an activation; often that of the usual one."""
        return str(self.any("relu", self.any(*ACTIVATIONS)))

    def network(self) -> Any:
        """Return the network, whose probabilities windows move."""
        height, width = (int(side) for side in self.rng.integers(13, 36, 2))
        inputs = self.keras.Input((height, width, self.any(1, 3, 3)))
        x = self.k.Conv2D(self.any(4, 6, 8), 3, padding=self.any("same", "valid"), activation=self.act())(inputs)
        if self.any(True, False, False):
            x = self.k.Conv2D(self.any(96, 100), 3, padding="same", activation="relu")(x)
            x = self.k.Conv2D(96, 3, padding="same")(x)
            x = self.k.Conv2D(8, 1)(x)
        kinds: list[Callable[[Any], Any]] = [getattr(self, name) for name in KINDS]
        for _ in range(int(self.rng.integers(2, 7))):
            kind = kinds[int(self.rng.integers(len(kinds)))]
            try:
                after = kind(x)
            except Unfitting:
                continue
            if None not in after.shape[1:] and after.shape[1] * after.shape[2] * after.shape[3] <= 30_000:
                self.blocks.append(kind.__name__)
                x = after
        return self.lively(self.keras.Model(inputs, self.head(x)))

    def head(self, x: Any) -> Any:
        """Return what turns maps into probabilities."""
        k, kind = self.k, self.any("mean", "mean", "flat", "largest", "tokens", "convolution")
        self.blocks.append(f"head: {kind}")
        if kind == "flat":
            x = k.Flatten()(x)
        elif kind == "largest":
            x = k.GlobalMaxPooling2D()(x)
        elif kind == "tokens":
            x = k.LayerNormalization()(self.tokens(x, self.any(1, 2)))
            x = k.GlobalAveragePooling1D()(x)
        else:
            x = k.GlobalAveragePooling2D()(k.Conv2D(6, 1)(x) if kind == "convolution" else x)
        if self.any(True, False):
            x = k.Dropout(0.3)(k.Dense(10, activation=self.act())(x))
        return k.Dense(CLASSES, activation="softmax")(x)

    def lively(self, network: Any) -> Any:
        """Give normalizations statistics, and the last layer weights with which a window moves the probabilities."""
        for layer in network._flatten_layers():
            if type(layer).__name__ == "BatchNormalization":
                layer.moving_mean.assign(self.rng.normal(size=layer.moving_mean.shape) * 0.3)
                layer.moving_variance.assign(self.rng.uniform(0.5, 2, layer.moving_variance.shape))
            elif type(layer).__name__ == "PReLU":
                layer.alpha.assign(self.rng.uniform(-0.3, 0.3, layer.alpha.shape))
        images = self.rng.random((2, *network.input_shape[1:])).astype(np.float32)
        middle = [slice(side // 4, side // 4 + max(1, side // 2)) for side in images.shape[1:3]]
        images[1] = images[0]
        images[1][middle[0], middle[1]] = 0.5
        last = network.layers[-1]
        clean, changed = np.asarray(self.keras.Model(network.inputs, last.input)(images, training=False), np.float64)
        kernel = self.rng.normal(size=last.kernel.shape)
        moved = np.abs((changed - clean) @ kernel).max()
        if not np.isfinite(moved):
            raise Unfitting
        # No more than a hundredfold, for what is magnified is rounding too.
        kernel /= max(moved, 1e-2 * np.abs(clean @ kernel).max(), 1e-6)
        last.kernel.assign(kernel)
        last.bias.assign(-clean @ kernel)
        self.need_digits(network, images)
        return network

    def need_digits(self, network: Any, images: Array) -> None:
        """Raise where a network has no answer: where one digit of the last place of its input decides.

        Such a one averages what a normalization has just made zero on average, and answers rounding. Keras itself
        answers it differently from batch to batch.
        """
        nudged = images * (1 + NUDGE * self.rng.standard_normal(images.shape).astype(np.float32))
        answers = (np.asarray(network(each, training=False)) for each in (images, nudged, images[:1]))
        here, there, alone = answers
        if max(np.abs(here - there).max(), np.abs(here[:1] - alone).max()) > CONDITION * NUDGE:
            raise Unfitting

    # ---- blocks: maps in, maps out ------------------------------------------------------------------------

    def convolution(self, x: Any) -> Any:
        size, dilated = (self.any(1, 2, 3, 3, 5), self.any(1, 2, 3, 5)), self.any(True, False, False, False)
        self.need(x, 2 * max(size) if dilated else max(size))
        steps = {"dilation_rate": 2} if dilated else {"strides": self.any(1, 1, 2, 3)}
        padding, bias = self.any("same", "valid"), self.any(True, False)
        filters = self.any(4, 6, 8)
        return self.k.Conv2D(filters, size, padding=padding, activation=self.act(), use_bias=bias, **steps)(x)

    def grouped(self, x: Any) -> Any:
        groups = self.any(*[one for one in (2, 3, 4) if x.shape[-1] % one == 0] or [1])
        options = {"groups": groups, "padding": self.any("same", "valid"), "use_bias": self.any(True, False)}
        self.need(x, 3)
        x = self.k.Conv2D(groups * self.any(1, 2, 3), 3, strides=self.any(1, 2), activation=self.act(), **options)(x)
        return self.k.Conv2D(6, 1)(x) if self.any(True, False) else x

    def depthwise(self, x: Any) -> Any:
        self.need(x, 5)
        steps = self.any({"strides": 1}, {"strides": 2}, {"dilation_rate": 2})
        options = {"depth_multiplier": self.any(1, 1, 2), "padding": self.any("same", "valid"), **steps}
        return self.k.DepthwiseConv2D(self.any(2, 3), activation=self.act(), **options)(x)

    def separable(self, x: Any) -> Any:
        self.need(x, 3)
        return self.k.SeparableConv2D(self.any(4, 7), 3, strides=self.any(1, 2), padding="same", activation="relu")(x)

    def transposed(self, x: Any) -> Any:
        padding, size = self.any("same", "valid"), self.any(2, 3, 4)
        return self.k.Conv2DTranspose(self.any(3, 5), size, strides=self.any(1, 2), padding=padding)(x)

    def normalization(self, x: Any) -> Any:
        groups = self.any(*[one for one in (1, 2, 4) if x.shape[-1] % one == 0])
        return self.any(
            self.k.BatchNormalization(scale=self.any(True, False), center=self.any(True, False)),
            self.k.LayerNormalization(),
            self.k.LayerNormalization(axis=[1, 2, 3]),
            self.k.GroupNormalization(groups),
            self.k.UnitNormalization(),
            self.k.Rescaling(1.7, -0.2),
        )(x)

    def activation(self, x: Any) -> Any:
        full = self.k.PReLU()
        return self.any(self.k.Activation(self.act()), self.k.PReLU(shared_axes=[1, 2]), full, self.k.ReLU(3, 0.1))(x)

    def pooling(self, x: Any) -> Any:
        self.need(x, 5)
        pool = self.any(self.k.MaxPooling2D, self.k.AveragePooling2D)
        return pool(self.any(2, 3, (1, 3)), strides=self.any(1, 2, 3), padding=self.any("same", "valid"))(x)

    def moved(self, x: Any) -> Any:
        self.need(x, 5)
        return self.any(
            self.k.ZeroPadding2D(((2, 1), (0, 3))),
            self.k.Cropping2D(((1, 0), (0, 2))),
            lambda one: self.keras.ops.flip(one, axis=1),
            lambda one: one[:, 1::2, :-1],
            lambda one: self.keras.ops.roll(one, 2, axis=2),
            lambda one: self.keras.ops.pad(one, [[0, 0], [1, 1], [1, 1], [0, 0]], mode="reflect"),
            self.k.Permute((2, 1, 3)),
        )(x)

    def resized(self, x: Any) -> Any:
        interpolation = self.any("nearest", "bilinear")
        odd = self.k.Resizing(x.shape[1] + self.any(-1, 3), x.shape[2] + self.any(0, 1), interpolation=interpolation)
        return self.any(self.k.UpSampling2D(2, interpolation=interpolation), odd)(x)

    def residual(self, x: Any) -> Any:
        y = self.k.BatchNormalization()(self.k.Conv2D(x.shape[-1], 3, padding="same", use_bias=False)(x))
        y = self.k.Conv2D(x.shape[-1], 3, padding="same")(self.k.Activation(self.act())(y))
        return self.k.Activation(self.act())(
            self.any(self.k.Add, self.k.Maximum, self.k.Subtract, self.k.Average)()([x, y])
        )

    def branches(self, x: Any) -> Any:
        k, options = self.k, {"strides": self.any(1, 2), "padding": "same"}
        parts = [k.Conv2D(4, 1, **options)(x), k.DepthwiseConv2D(5, **options)(x), k.MaxPooling2D(3, **options)(x)]
        return k.Concatenate()([*parts, k.Conv2D(3, (1, 7), activation=self.act(), **options)(x)])

    def squeezed(self, x: Any) -> Any:
        pooled = self.k.GlobalAveragePooling2D(keepdims=True)(x)
        gate = self.k.Dense(x.shape[-1], activation="sigmoid")(self.k.Dense(3, activation="relu")(pooled))
        return self.k.Multiply()([x, gate])

    def spatial_gate(self, x: Any) -> Any:
        ops = self.keras.ops
        seen = ops.concatenate([ops.mean(x, axis=-1, keepdims=True), ops.max(x, axis=-1, keepdims=True)], axis=-1)
        return x * self.k.Conv2D(1, 5, padding="same", activation="sigmoid")(seen)

    def context(self, x: Any) -> Any:
        """Return maps to which their mean is added, weighted by a softmax over all places."""
        ops, (_, height, width, channels) = self.keras.ops, x.shape
        weights = ops.softmax(ops.reshape(self.k.Conv2D(1, 1)(x), (-1, height * width, 1)), axis=1)
        mean = ops.sum(weights * ops.reshape(x, (-1, height * width, channels)), axis=1)
        return x + ops.reshape(self.k.Dense(channels)(mean), (-1, 1, 1, channels))

    def attention(self, x: Any) -> Any:
        x = self.k.AveragePooling2D(self.any(2, 3), padding="same")(x)
        return self.k.Reshape(x.shape[1:])(self.tokens(x, 1))

    def shuffled(self, x: Any) -> Any:
        """Return maps with channels in another order, by reshapes, and split and joined again."""
        ops, (_, height, width, channels) = self.keras.ops, x.shape
        if channels % 2:
            raise Unfitting
        x = ops.transpose(ops.reshape(x, (-1, height, width, 2, channels // 2)), (0, 1, 2, 4, 3))
        first, second = ops.split(ops.reshape(x, (-1, height, width, channels)), 2, axis=-1)
        return self.k.Concatenate()([self.k.Conv2D(channels // 2, 3, padding="same")(first), second])

    def deepened(self, x: Any) -> Any:
        """Return maps of half the size whose channels are those of 2 x 2 places."""
        ops, (_, height, width, channels) = self.keras.ops, x.shape
        self.need(x, 4)
        x = ops.reshape(x[:, : height // 2 * 2, : width // 2 * 2], (-1, height // 2, 2, width // 2, 2, channels))
        x = ops.reshape(ops.transpose(x, (0, 1, 3, 2, 4, 5)), (-1, height // 2, width // 2, 4 * channels))
        return self.k.Conv2D(8, 1)(x)

    def by_place(self, x: Any) -> Any:
        """Return maps behind dense layers at each place."""
        x = self.k.Dense(9, activation="gelu")(self.k.LayerNormalization()(x))
        return self.any(self.k.Dense(5), self.k.EinsumDense("abcd,de->abce", (None, None, 5)))(x)

    def u_shape(self, x: Any) -> Any:
        self.need(x, 6)
        down = self.k.Conv2D(8, 3, padding="same", activation=self.act())(self.k.MaxPooling2D(2, padding="same")(x))
        deep = self.k.Conv2D(8, 3, padding="same", activation="relu")(self.k.MaxPooling2D(2, padding="same")(down))
        up = self.joined(down, self.k.UpSampling2D(2)(deep))
        return self.joined(x, self.k.Conv2DTranspose(5, 2, strides=2)(up))

    def joined(self, skip: Any, up: Any) -> Any:
        """Return two maps one behind the other, the second cut to the size of the first."""
        both = self.k.Concatenate()([skip, up[:, : skip.shape[1], : skip.shape[2]]])
        return self.k.Conv2D(6, 3, padding="same", activation=self.act())(both)

    def nested(self, x: Any) -> Any:
        layers = [self.k.Conv2D(6, 3, padding="same"), self.k.BatchNormalization(), self.k.Activation(self.act())]
        return self.keras.Sequential([self.keras.Input(x.shape[1:]), *layers])(x)

    def tokens(self, x: Any, depth: int) -> Any:
        """Return the places as a row of tokens behind some blocks of attention, ``(N, H * W, C)``."""
        k, channels = self.k, x.shape[-1]
        x = k.Reshape((-1, channels))(x)
        for _ in range(depth):
            y = k.LayerNormalization()(x)
            x = x + k.MultiHeadAttention(2, 4)(y, y)
            x = x + k.Dense(channels)(k.Dense(2 * channels, activation="gelu")(k.LayerNormalization()(x)))
        return x

    def need(self, x: Any, side: int) -> None:
        """Raise where maps are smaller than that."""
        if min(x.shape[1:3]) < side + 1:
            raise Unfitting


KINDS = (
    "convolution", "convolution", "grouped", "depthwise", "separable", "transposed", "normalization", "activation",
    "pooling", "moved", "resized", "residual", "branches", "squeezed", "spatial_gate", "context", "attention",
    "shuffled", "deepened", "by_place", "u_shape", "nested",
)  # fmt: skip


class Unfitting(Exception):
    """A block does not fit behind the others, or a network answers nothing but rounding."""


@dataclass(frozen=True)
class Outcome:
    """What came of one network.

    Attributes:
        blocks: what it is made of.
        error: the largest difference of any probability.
        gain: how many times less work the plan takes, or 0 without a plan.
        method: how the map was computed, as it says itself.
        moved: by how much windows moved the probabilities, at most.
    """

    blocks: tuple[str, ...]
    error: float
    gain: float
    method: str
    moved: float


def build(seed: int) -> tuple[Builder, Any]:
    """Return the network of a seed, with its builder; where the first one does not fit, another one is built."""
    for attempt in range(ATTEMPTS):
        builder = Builder(seed + attempt * 1_000_000)
        try:
            return builder, builder.network()
        except Unfitting:
            continue
    raise RuntimeError(f"none of {ATTEMPTS} networks of seed {seed} fits")


def compare(seed: int) -> Outcome:
    """Build a network and compare its occlusion map with painted windows."""
    builder, network = build(seed)
    model = KerasModel()
    model.preprocessing = Preprocessing("0..1")
    model.model = network
    model.use(Path(__file__))
    height, width, channels = model.input_shape
    rng = builder.rng
    pixels = rng.integers(0, 256, (height, width) if channels == 1 else (height, width, channels), np.uint8)
    settings = OcclusionSettings(builder.any(0.1, 0.2, 0.3), builder.any(5, 10), builder.any(*FILLS), REMAINS)
    view = Image.fromarray(pixels)
    options: dict[str, Any] = {"Window": settings.window, "Strides": settings.strides, "Show": REMAINS}
    options["Occlusion"] = settings.occlusion
    (result,) = explain(model, view, "PartialOcclusion", classes=list(range(CLASSES)), **options)
    found = np.stack([panel.array.ravel() for panel in result.panels[1 : 1 + CLASSES]], axis=1)
    expected = painted(network, view, settings)
    plan = model._occluder.plan(boxes(view.size, settings))
    return Outcome(
        tuple(builder.blocks),
        float(np.abs(found - expected).max()),
        plan.gain if plan else 0.0,
        result.panels[0].note.removeprefix("Computed: "),
        float(np.ptp(expected, axis=0).max()),
    )


def painted(network: Any, view: Image.Image, settings: OcclusionSettings) -> Array:
    """Return what Keras answers to images on which windows are painted, ``(S * S, K)``."""
    views = []
    for box in boxes(view.size, settings):
        views.append(view.copy())
        views[-1].paste(filling(view, settings.occlusion).crop(box), box)
    inputs = np.stack([np.asarray(one, np.float32) for one in views]).reshape(-1, *network.input_shape[1:]) / 255
    return np.concatenate([np.asarray(network(inputs[i : i + 50], training=False)) for i in range(0, len(inputs), 50)])


def main(arguments: Sequence[str] | None = None) -> bool:
    """Compare networks, print what came of them, and tell whether all went well."""
    options = argparse.ArgumentParser(prog="python -m tests.fuzz.networks", description=__doc__)
    options.add_argument("--count", type=int, default=300, help="how many networks")
    options.add_argument("--seed", type=int, default=1, help="the first one's; the others follow")
    options.add_argument("--as-decided", action="store_true", help="compute only what changes only where it pays")
    chosen = options.parse_args(arguments)
    warnings.simplefilter("ignore")
    pays = checked.MIN_GAIN
    if not chosen.as_decided:
        checked.MIN_GAIN = 0.0
    import keras

    worst, crashes, ways = 0.0, 0, Counter[str]()
    for seed in range(chosen.seed, chosen.seed + chosen.count):
        keras.backend.clear_session()
        gc.collect()
        try:
            one = compare(seed)
        except Exception:
            crashes += 1
            print(f"{seed}: CRASH\n{traceback.format_exc()}", flush=True)
            continue
        worst = max(worst, one.error)
        way = "fast" if one.method.startswith("only what") and "whole" not in one.method else "plain"
        ways[f"{way}, and it {'pays' if one.gain >= pays else 'would not pay'}" if way == "fast" else one.method] += 1
        mark = "" if one.error < TOLERANCE else "OFF "
        print(f"{seed}: {mark}{one.error:.1e} of {one.moved:.2g}, {one.method} | {', '.join(one.blocks)}", flush=True)
    print(f"{chosen.count} networks: {crashes} crashes, largest error {worst:.1e}")
    for way, count in ways.most_common():
        print(f"  {count} {way}")
    return crashes == 0 and worst < TOLERANCE


if __name__ == "__main__":
    sys.exit(0 if main() else 1)
