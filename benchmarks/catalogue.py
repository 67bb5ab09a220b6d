"""Which published architectures load, and which methods explain them: ``make bench-catalogue``.

Each network of ``keras.applications`` and, where ``keras_hub`` is installed, backbones of KerasHub made from a
configuration (nothing is downloaded) is saved with random weights, loaded in a process of its own, and explained by
every visualization. It takes about 40 seconds for each. Words after ``python -m benchmarks.catalogue`` choose
networks by a part of their name.
"""

from __future__ import annotations

import inspect
import os
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measuring import elsewhere, markdown

SIDE = 96
CLASSES = 10
#: As few samples as the settings allow: what is asked here is whether a method runs.
QUICK: Mapping[str, Mapping[str, Any]] = {
    "PartialOcclusion": {"Strides": 5},
    "RISE": {"Masks": 50},
    "IntegratedGradients": {"Steps": 8},
    "ScoreCAM": {"Channels": "64"},
    "KernelSHAP": {"Regions": 10, "Samples": 50},
    "LIME": {"Regions": 10, "Samples": 50},
    "XRAI": {"Steps": 8},
    "ActivationMaximization": {"Steps": 8},
}
#: The number type's rounding, through hundreds of layers.
TOLERANCE = 1e-4


def applications() -> dict[str, Callable[[], Any]]:
    """Return what builds each network of ``keras.applications``, by name."""
    import keras

    def builder(make: Any) -> Callable[[], Any]:
        return lambda: make(weights=None, input_shape=(SIDE, SIDE, 3), classes=CLASSES)

    made = vars(keras.applications)
    return {name: builder(make) for name, make in sorted(made.items()) if inspect.isfunction(make)}


def hub() -> dict[str, Callable[[], Any]]:
    """Return what builds image classifiers of KerasHub from small configurations; none where it is not installed."""
    try:
        from keras_hub import models
    except ImportError:
        return {}
    shape = (SIDE, SIDE, 3)
    transformer: dict[str, Any] = {"num_layers": 3, "num_heads": 4, "hidden_dim": 64}
    residual: dict[str, Any] = {
        "input_conv_filters": [64],
        "input_conv_kernel_sizes": [7],
        "stackwise_num_filters": [64, 64, 128],
        "stackwise_num_blocks": [2, 2, 2],
        "stackwise_num_strides": [1, 2, 2],
    }
    mixed: dict[str, Any] = {
        "layerwise_depths": [2, 2, 2, 2],
        "num_layers": 4,
        "layerwise_num_heads": [1, 2, 4, 8],
        "layerwise_sr_ratios": [8, 4, 2, 1],
        "max_drop_path_rate": 0.1,
        "layerwise_patch_sizes": [7, 3, 3, 3],
        "layerwise_strides": [4, 2, 2, 2],
        "hidden_dims": [16, 32, 64, 128],
    }
    partial: dict[str, Any] = {
        "stage_type": "csp",
        "bottle_ratio": [0.5],
        "block_ratio": [0.5],
        "stem_filters": 32,
        "stem_kernel_size": 3,
        "stem_strides": 2,
        "stackwise_depth": [1, 2, 2],
        "stackwise_strides": [2, 2, 2],
        "stackwise_num_filters": [32, 64, 128],
    }
    configurations: dict[str, tuple[str, dict[str, Any]]] = {
        "ViT": ("ViT", {**transformer, "patch_size": 16, "mlp_dim": 128}),
        "DeiT": ("DeiT", {**transformer, "patch_size": 16, "intermediate_dim": 128}),
        "ResNet": ("ResNet", {**residual, "block_type": "basic_block"}),
        "ResNetV2": ("ResNet", {**residual, "block_type": "bottleneck_block", "use_pre_activation": True}),
        "MiT": ("MiT", mixed),
        "CSPDarkNet": ("CSPNet", {**partial, "block_type": "dark_block"}),
        "CSPResNeXt": ("CSPNet", {**partial, "block_type": "bottleneck_block", "groups": 4}),
        "DenseNet": ("DenseNet", {"stackwise_num_repeats": [2, 2, 2]}),
        "VGG": ("VGG", {"stackwise_num_repeats": [1, 2, 2], "stackwise_num_filters": [16, 32, 64]}),
        "Xception": ("Xception", {"stackwise_conv_filters": [[32, 64], [64, 128]], "stackwise_pooling": [True, False]}),
        "SwinTransformer": (
            "SwinTransformer",
            {"embed_dim": 24, "depths": [2, 2], "num_heads": [2, 4], "window_size": 6},
        ),
    }

    def builder(name: str, options: dict[str, Any]) -> Callable[[], Any]:
        def build() -> Any:
            backbone = getattr(models, f"{name}Backbone")(image_shape=shape, **options)
            return getattr(models, f"{name}ImageClassifier")(backbone=backbone, num_classes=CLASSES)

        return build

    return {f"KerasHub {name}": builder(kind, options) for name, (kind, options) in configurations.items()}


def measure(name: str) -> dict[str, Any]:
    """Save one network, load it, check it and explain an image by every visualization.

    Returns:
        The CPU seconds of loading, the default layer, the number of visualizations that run, what the others say, and
        by how much probabilities differ from the framework's own answer.
    """
    import keras

    from picasso import explain
    from picasso.evaluation import model_check
    from picasso.explanation.inputs import image_from
    from picasso.explanation.registry import Registry
    from picasso.models import load_model

    keras.utils.set_random_seed(0)
    network = {**applications(), **hub()}[name]()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "network.keras"
        network.save(file)
        started = time.process_time()
        model = load_model(file)
        seconds = time.process_time() - started
        image = image_from(np.random.default_rng(1).integers(0, 256, (SIDE, SIDE, 3), np.uint8), 0)
        report = model_check.check(model, [image])
        inputs = model.inputs_of([image.image])
        own = np.asarray(network(inputs, training=False), np.float64)
        if np.abs(own.sum(axis=1) - 1).max() > TOLERANCE:
            own = np.exp(own - own.max(axis=1, keepdims=True))
            own /= own.sum(axis=1, keepdims=True)
        refused, run = {}, 0
        unsuitable = Registry().unsuitable(model)
        for entry in Registry().entries():
            if entry.cls is None or entry.name in unsuitable:
                refused[entry.name] = unsuitable.get(entry.name, entry.reason)
                continue
            explain(model, [image.image], entry.name, classes=0, **QUICK.get(entry.name, {}))
            run += 1
    return {
        "load": seconds,
        "layer": next((layer.name for layer in report.layers if layer.default), ""),
        "run": run,
        "refused": refused,
        "error": float(np.abs(model.predict(inputs) - own).max()),
        "warnings": list(report.warnings),
    }


def table(names: Sequence[str]) -> list[str]:
    """Measure networks, each in a process of its own, and return a Markdown table."""
    rows = []
    for name in names:
        found = elsewhere("catalogue", name)
        assert found["error"] < TOLERANCE, f"{name}: probabilities are off by {found['error']:.2g}"
        lacking = ", ".join(found["refused"])
        runs = f"all {found['run']}" if not lacking else f"{found['run']}; not {lacking}"
        rows.append((name, f"{found['load']:.1f}", f"`{found['layer']}`" if found["layer"] else "none", runs))
        print(*rows[-1], f"{found['error']:.1e}", *found["refused"].values(), sep=" | ", flush=True)
    return markdown(("network", "loads in (CPU s)", "default layer", "visualizations that run"), rows)


def main() -> None:
    """Measure the networks whose names hold one of the words given, or all."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    words = sys.argv[1:]
    names = [name for name in (*applications(), *hub()) if not words or any(word in name for word in words)]
    print("\n".join(table(names)))


if __name__ == "__main__":
    main()
