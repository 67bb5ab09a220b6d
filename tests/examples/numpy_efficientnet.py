"""EfficientNet-Lite0 without Keras: straight from the names and axes of the PyTorch file, in float64."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

State = dict[str, NDArray[Any]]


def forward(state: State, images: NDArray[Any]) -> NDArray[Any]:
    """Return the logits ``(N, 1000)`` of images ``(N, 224, 224, 3)``."""
    halving = {1, 3, 5, 11}
    x = np.moveaxis(images.astype(np.float64), -1, 1)
    x = relu6(normalize(state, "_bn0", stem(x, state["_conv_stem.weight"])))
    for index in range(16):
        name, entry = f"_blocks.{index}", x
        if f"{name}._expand_conv.weight" in state:
            x = relu6(normalize(state, f"{name}._bn0", pointwise(x, state[f"{name}._expand_conv.weight"])))
        x = depthwise(x, state[f"{name}._depthwise_conv.weight"], 2 if index in halving else 1)
        x = relu6(normalize(state, f"{name}._bn1", x))
        x = normalize(state, f"{name}._bn2", pointwise(x, state[f"{name}._project_conv.weight"]))
        x = x + entry if x.shape == entry.shape else x
    x = relu6(normalize(state, "_bn1", pointwise(x, state["_conv_head.weight"])))
    return np.asarray(x.mean(axis=(2, 3)) @ state["_fc.weight"].T + state["_fc.bias"])


def relu6(x: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(np.clip(x, 0, 6))


def normalize(state: State, name: str, x: NDArray[Any]) -> NDArray[Any]:
    weight, bias, mean, variance = (
        state[f"{name}.{part}"].astype(np.float64)[:, None, None]
        for part in ("weight", "bias", "running_mean", "running_var")
    )
    return np.asarray((x - mean) / np.sqrt(variance + 1e-3) * weight + bias)


def pointwise(x: NDArray[Any], weight: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(np.einsum("nchw,oc->nohw", x, weight[:, :, 0, 0], optimize=True))


def taps(x: NDArray[Any], kernel: int, stride: int) -> Iterator[tuple[int, int, NDArray[Any]]]:
    """Yield what each position of a kernel sees, padded as TensorFlow's "SAME" is."""
    side = -(-x.shape[2] // stride)
    total = max((side - 1) * stride + kernel - x.shape[2], 0)
    around = (total // 2, total - total // 2)
    x = np.pad(x, ((0, 0), (0, 0), around, around))
    for row in range(kernel):
        for column in range(kernel):
            reach = (side - 1) * stride + 1
            yield row, column, x[:, :, row : row + reach : stride, column : column + reach : stride]


def stem(x: NDArray[Any], weight: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(sum(pointwise(part, weight[:, :, r : r + 1, c : c + 1]) for r, c, part in taps(x, 3, 2)))


def depthwise(x: NDArray[Any], weight: NDArray[Any], stride: int) -> NDArray[Any]:
    kernel = weight.shape[-1]
    return np.asarray(sum(part * weight[:, 0, r, c][:, None, None] for r, c, part in taps(x, kernel, stride)))


def random_state() -> State:
    """Return random weights under PyTorch's names, sized by the published block arguments."""
    generator = np.random.default_rng(0)
    state: State = {}

    def convolution(name: str, *shape: int) -> None:
        state[f"{name}.weight"] = generator.normal(0, (2 / np.prod(shape[1:])) ** 0.5, shape).astype(np.float32)

    def normalization(name: str, width: int) -> None:
        for part in ("weight", "running_var"):
            state[f"{name}.{part}"] = generator.uniform(0.7, 1.3, width).astype(np.float32)
        for part in ("bias", "running_mean"):
            state[f"{name}.{part}"] = generator.normal(0, 0.3, width).astype(np.float32)
        state[f"{name}.num_batches_tracked"] = np.array(7)

    convolution("_conv_stem", 32, 3, 3, 3)
    normalization("_bn0", 32)
    # Repeats, kernel, expansion, channels in and out.
    stages = [(1, 3, 1, 32, 16), (2, 3, 6, 16, 24), (2, 5, 6, 24, 40), (3, 3, 6, 40, 80), (3, 5, 6, 80, 112)]
    stages += [(4, 5, 6, 112, 192), (1, 3, 6, 192, 320)]
    blocks = [(k, e, i if n == 0 else o, o) for repeats, k, e, i, o in stages for n in range(repeats)]
    for index, (kernel, expansion, inputs, outputs) in enumerate(blocks):
        name, width = f"_blocks.{index}", inputs * expansion
        if expansion > 1:
            convolution(f"{name}._expand_conv", width, inputs, 1, 1)
            normalization(f"{name}._bn0", width)
        convolution(f"{name}._depthwise_conv", width, 1, kernel, kernel)
        normalization(f"{name}._bn1", width)
        convolution(f"{name}._project_conv", outputs, width, 1, 1)
        normalization(f"{name}._bn2", outputs)
    convolution("_conv_head", 1280, 320, 1, 1)
    normalization("_bn1", 1280)
    convolution("_fc", 1000, 1280)
    state["_fc.bias"] = generator.normal(0, 0.1, 1000).astype(np.float32)
    return state
