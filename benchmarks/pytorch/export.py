"""Write networks by both exporters of PyTorch, and what PyTorch itself computes for them: ``make bench-pytorch``.

    python -m benchmarks.pytorch.export FOLDER [NAME ...]

It runs in an environment with PyTorch and without Picasso; :mod:`benchmarks.pytorch.compare` reads the folder.
"""

from __future__ import annotations

import copy
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.pytorch import EXPORTERS, IMAGES, SIDE, positions
from benchmarks.pytorch.networks import NETWORKS, Network, build, normalized, smooth_noise

BATCH = 16
# More than 0, and nothing beside other numbers.
TINY = 1e-30


def export(model: torch.nn.Module, file: Path, exporter: str) -> None:
    """Write a network with batches of any size, ``image`` to ``logits``, into one file."""
    example = torch.zeros(2, 3, SIDE, SIDE)
    names: dict[str, Any] = {"input_names": ["image"], "output_names": ["logits"]}
    if exporter == "script":
        axes = {"image": {0: "batch"}, "logits": {0: "batch"}}
        torch.onnx.export(model, (example,), file, dynamo=False, dynamic_axes=axes, **names)
    else:
        shapes = ({0: torch.export.Dim("batch")},)
        torch.onnx.export(model, (example,), file, dynamo=True, dynamic_shapes=shapes, external_data=False, **names)


def references(network: Network, model: torch.nn.Module) -> dict[str, NDArray[Any]]:
    """Return what PyTorch computes for :data:`IMAGES` images, all with channels last.

    Returns:
        ``inputs`` and ``gradients`` (of the top class' logit) ``(N, 224, 224, 3)``, ``logits`` and ``probabilities``
        ``(N, 1000)``, ``maps`` and ``map_gradients`` of the last block ``(N, h, w, c)``, ``fill`` ``(224, 224, 3)``,
        ``occluded``, the probability of the top class of the first image with each window grey, ``(positions,)``, and
        ``rounding``, how far ``gradients`` are from those in float64, relative to the largest of each image, ``(N,)``.
    """
    images = smooth_noise(IMAGES, 5).requires_grad_()
    logits, maps = with_maps(network, model, images)
    top = logits.argmax(1)
    gradients, map_gradients = torch.autograd.grad(logits.gather(1, top[:, None]).sum(), (images, maps))
    grey = normalized(torch.full((1, 3, SIDE, SIDE), 0.5))
    found = {
        "inputs": images.permute(0, 2, 3, 1),
        "gradients": gradients.permute(0, 2, 3, 1),
        "logits": logits,
        "probabilities": logits.softmax(1),
        "maps": channels_last(network, maps),
        "map_gradients": channels_last(network, map_gradients),
        "fill": grey[0].permute(1, 2, 0),
        "occluded": occluded(model, images[0].detach(), grey[0], int(top[0])),
        "rounding": rounding(model, images.detach(), top, gradients),
    }
    return {name: np.ascontiguousarray(values.detach().numpy()) for name, values in found.items()}


def with_maps(network: Network, model: torch.nn.Module, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the logits, and the output of the last block as a hook sees it."""
    seen = []

    def keep(module: torch.nn.Module, inputs: Any, output: torch.Tensor) -> torch.Tensor:
        seen.append(output.relu() if network.rectified else output)
        # What follows may write into its input; and the ReLU that follows must not take away the gradient at 0.
        return seen[0] + TINY if network.rectified else output.clone()

    handle = model.get_submodule(network.block).register_forward_hook(keep)
    logits = model(images)
    handle.remove()
    return logits, seen[0]


def channels_last(network: Network, maps: torch.Tensor) -> torch.Tensor:
    """Return maps as ``(N, h, w, c)``; of a sequence of tokens, those of the patches."""
    if maps.ndim == 3:
        count, tokens, channels = maps.shape
        side = round((tokens - 1) ** 0.5)
        return maps[:, 1:].reshape(count, side, side, channels)
    return maps if network.channels_last else maps.permute(0, 2, 3, 1)


def rounding(model: torch.nn.Module, images: torch.Tensor, top: torch.Tensor, found: torch.Tensor) -> torch.Tensor:
    """Return the largest difference of each image's gradients from those in float64, relative to the largest."""
    exact = images.double().requires_grad_()
    logits = copy.deepcopy(model).double()(exact)
    (expected,) = torch.autograd.grad(logits.gather(1, top[:, None]).sum(), exact)
    return (found - expected).abs().amax((1, 2, 3)) / expected.abs().amax((1, 2, 3))


def occluded(model: torch.nn.Module, image: torch.Tensor, grey: torch.Tensor, best: int) -> torch.Tensor:
    """Return the probability of a class for each position of the window."""
    copies = []
    for left, top, right, bottom in positions():
        covered = image.clone()
        covered[:, top:bottom, left:right] = grey[:, top:bottom, left:right]
        copies.append(covered)
    with torch.no_grad():
        return torch.cat([model(part).softmax(1)[:, best] for part in torch.stack(copies).split(BATCH)])


def main(folder: Path, names: list[str]) -> None:
    """Write all networks, or those that are named, into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for network in NETWORKS:
        if names and network.name not in names:
            continue
        model = build(network)
        for exporter in EXPORTERS:
            export(model, folder / f"{network.name}-{exporter}.onnx", exporter)
        np.savez(folder / f"{network.name}.npz", allow_pickle=False, **references(network, model))
        print(f"wrote {network.name}", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
