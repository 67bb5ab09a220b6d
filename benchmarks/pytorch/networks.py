"""torchvision's networks with random weights that spread: what is compared must differ from class to class.

Fresh networks give nearly the same probability to all classes, skip their blocks (a layer scale of 1e-6) and have
batch statistics of 0 and 1, which an export folds away. Here the statistics are those of noise, scales and shifts are
drawn anew, and the last layer is centred and scaled so that the logits of an image have a standard deviation of 2.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch

try:
    import torchvision
except RuntimeError:
    # Its compiled operations are for another build of PyTorch. No network here uses them; they only have to exist.
    for operation in ("nms", "qnms"):
        torch.library.define(f"torchvision::{operation}", "(Tensor dets, Tensor scores, float threshold) -> Tensor")
    import torchvision

from benchmarks.pytorch import SIDE

# Its fused attention can't be exported.
torch.backends.mha.set_fastpath_enabled(False)

SPREAD = 2.0


class Network(NamedTuple):
    """A network of torchvision, and the module whose output its Grad-CAM is taken from.

    Attributes:
        block: the name of the module that computes the maps of the last block.
        head: the name of its last linear layer.
        channels_last: whether the maps have their channels last.
        rectified: whether a ReLU that is no module follows, and belongs to the block.
    """

    name: str
    block: str
    head: str
    channels_last: bool = False
    rectified: bool = False


NETWORKS = (
    Network("resnet18", "layer4", "fc"),
    Network("mobilenet_v3_small", "features", "classifier.3"),
    Network("efficientnet_b0", "features", "classifier.1"),
    Network("convnext_tiny", "features", "classifier.2"),
    Network("densenet121", "features", "classifier", rectified=True),
    Network("vit_b_16", "encoder.layers.encoder_layer_11.ln_1", "heads.head"),
    Network("swin_t", "features", "head", channels_last=True),
    Network("resnet50", "layer4", "fc"),
)


def build(network: Network, seed: int = 1) -> torch.nn.Module:
    """Return a network in evaluation mode, the same for the same seed."""
    torch.manual_seed(seed)
    model = getattr(torchvision.models, network.name)(weights=None)
    draw(model)
    with torch.no_grad():
        settle(model, smooth_noise(16, seed))
        centre(model, model.get_submodule(network.head), smooth_noise(16, seed + 1))
    return model.requires_grad_(False)


def draw(model: torch.nn.Module) -> None:
    """Draw scales between 0.5 and 1.5, and shifts around 0, wherever a network begins with ones, zeros or 1e-6."""
    for name, values in model.named_parameters():
        leaf = name.rpartition(".")[2]
        with torch.no_grad():
            if leaf == "layer_scale" or (leaf == "weight" and values.ndim == 1):
                values.uniform_(0.5, 1.5)
            elif leaf in ("bias", "in_proj_bias", "class_token"):
                values.normal_(0, 0.1)
            elif not values.any():
                values.normal_(0, 1 / math.sqrt(values.shape[-1]))


def settle(model: torch.nn.Module, images: torch.Tensor) -> None:
    """Give batch normalizations the statistics that images have there, and leave the network in evaluation mode."""
    model.train()
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None
        elif not isinstance(module, torch.nn.Sequential) and hasattr(module, "p"):
            module.eval()
    for batch in images.split(8):
        model(batch)
    model.eval()


def centre(model: torch.nn.Module, head: torch.nn.Module, images: torch.Tensor) -> None:
    """Shift and scale the logits, in the last layer, to a mean of 0 per class and a deviation of :data:`SPREAD`."""
    assert isinstance(head, torch.nn.Linear)
    logits = model(images)
    scale = SPREAD / (logits - logits.mean(0)).std()
    head.bias.copy_((head.bias - logits.mean(0)) * scale)
    head.weight.mul_(scale)


def smooth_noise(count: int, seed: int) -> torch.Tensor:
    """Return images of coloured clouds in ImageNet's normalization, ``(count, 3, 224, 224)``, about -2..2.6."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.zeros(count, 3, SIDE, SIDE)
    for side in (4, 14, 56):
        layer = torch.rand(count, 3, side, side, generator=generator)
        images += torch.nn.functional.interpolate(layer, (SIDE, SIDE), mode="bicubic")
    low, high = images.amin((1, 2, 3), keepdim=True), images.amax((1, 2, 3), keepdim=True)
    return normalized((images - low) / (high - low))


def normalized(values: torch.Tensor) -> torch.Tensor:
    """Turn values of 0..1, ``(N, 3, H, W)``, into ImageNet's normalization."""
    mean = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
    deviation = torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)
    return (values - mean) / deviation
