"""Every visualization on every task that it declares: grey and colour, square and not, one and twenty images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from picasso import explain
from picasso.explanation.registry import Registry
from picasso.explanation.result import Result
from picasso.models.arrays import Shape
from tests.conftest import noise_image
from tests.task_models import NAMES, TaskModel, loaded

REGISTRY = Registry()
VISUALIZATIONS = {entry.name: entry.cls for entry in REGISTRY.entries() if entry.cls}
SHAPES: dict[str, Shape] = {"colour": (12, 16, 3), "grey": (12, 16, 1), "square": (12, 12, 3)}
QUICK: dict[str, dict[str, Any]] = {
    "PartialOcclusion": {"Window": 0.3, "Strides": 5},
    "RISE": {"Masks": 50},
    "LIME": {"Samples": 250, "Regions": 4},
    "KernelSHAP": {"Samples": 250, "Regions": 4},
    "IntegratedGradients": {"Steps": 8},
    "XRAI": {"Steps": 8},
    "ScoreCAM": {"Channels": "64"},
}
# Other settings under which a visualization computes something else.
OTHERS: list[tuple[str, dict[str, Any]]] = [
    *(
        ("SaliencyMaps", {"Method": method, "Samples": 4})
        for method in ("gradient x input", "SmoothGrad", "VarGrad", "guided backpropagation")
    ),
    *(
        ("PartialOcclusion", {"Window": 0.3, "Strides": 5, "Show": show})
        for show in ("drop of log-odds", "probability")
    ),
    ("PartialOcclusion", {"Window": 0.3, "Strides": 5, "Occlusion": "all"}),
    ("IntegratedGradients", {"Steps": 8, "Baseline": "several"}),
    *((name, {"Rectified": False}) for name in ("GradCAM", "GradCAMPlusPlus", "HiResCAM", "LayerCAM", "ScoreCAM")),
]
# Several targets of each task, which every image has.
TARGETS: dict[str, Sequence[str]] = {
    "classification": ["bee", "ant vs cat"],
    "multi-label": ["night", "people vs indoor"],
    "regression": ["value:age", "income"],
    "segmentation": ["grass", "sky@3,4", "@2,2,9,9"],
    "detection": ["box:0", "dog", "cat@2,2,9,9"],
    "embedding": ["like:{other}"],
}
# Visualizations that are fast enough for many images.
CHEAP = ("ClassProbabilities", "SaliencyMaps", "GradCAM", "PartialOcclusion", "RISE")


def pairs() -> list[tuple[str, str]]:
    """Return the visualizations with the tasks that they declare."""
    return [(name, str(task)) for name, cls in VISUALIZATIONS.items() for task in NAMES if task in cls.TASKS]


def checked(result: Result, titles: int) -> None:
    """See that there are finite maps of all targets."""
    maps = [panel for panel in result.panels if panel.target]
    assert len(maps) == (0 if result.visualization == "ClassProbabilities" else titles)
    for panel in result.panels:
        assert np.isfinite(panel.array).all()
        assert panel.kind == "image" or panel.quantity
        panel.describe()
    assert all(panel.value is not None and panel.unit for panel in maps)


def asked(task: str, folder: Any) -> list[str]:
    """Return several targets of a task."""
    other = folder / "other.png"
    noise_image(9, (16, 12)).save(other)
    return [one.format(other=other) for one in TARGETS[task]]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("name", "task"), pairs())
def test_every_visualization_explains_the_tasks_that_it_declares(
    name: str, task: str, shape: str, tmp_path: Any
) -> None:
    model, image, settings = loaded(task, SHAPES[shape]), noise_image(1, (20, 15)), QUICK.get(name, {})
    assert name not in REGISTRY.unsuitable(model)
    (result,) = explain(model, image, name, **settings)
    height, width, _ = model.input_shape
    assert result.view.shape[:2] == (height, width)
    checked(result, len({panel.target for panel in result.panels if panel.target}))
    targets = asked(task, tmp_path)
    (result,) = explain(model, image, name, targets=targets, **settings)
    checked(result, len(targets))


@pytest.mark.parametrize("task", NAMES)
@pytest.mark.parametrize(("name", "settings"), OTHERS, ids=str)
def test_other_settings(name: str, settings: dict[str, Any], task: str, tmp_path: Any) -> None:
    targets = asked(task, tmp_path)
    (result,) = explain(loaded(task), noise_image(1, (20, 15)), name, targets=targets, **settings)
    checked(result, len(targets))


@pytest.mark.parametrize("task", NAMES)
@pytest.mark.parametrize("name", CHEAP)
def test_twenty_images_are_explained_as_one_by_one(name: str, task: str) -> None:
    model, settings = loaded(task), QUICK.get(name, {})
    images = [noise_image(seed, (16, 12)) for seed in range(20)]
    results = explain(model, images, name, **settings)
    assert len(results) == 20
    for index in (0, 7, 19):
        (alone,) = explain(model, images[index], name, **settings)
        assert results[index].predictions == alone.predictions
        for one, other in zip(results[index].panels, alone.panels, strict=True):
            np.testing.assert_allclose(one.array, other.array, atol=1e-5)


class Blind(TaskModel):
    """Detects nothing."""

    def batch_logits(self, inputs: Any) -> Any:
        return 0 * super().batch_logits(inputs)


@pytest.mark.parametrize("name", [name for name, task in pairs() if task == "detection"])
def test_an_image_without_objects_has_no_maps(name: str) -> None:
    model = Blind()
    model.load("detection")
    (result,) = explain(model, noise_image(), name, **QUICK.get(name, {}))
    assert (result.predictions, result.panels) == ((), ())


@pytest.mark.parametrize("name", [name for name, task in pairs() if task == "regression"])
def test_large_values_with_an_offset(name: str) -> None:
    """The maps of a regression scale with its values, and an offset does not make rounding errors visible."""
    small, large = loaded("regression"), loaded("regression")
    large.SCALE, large.OFFSET = 5000.0, 40_000.0
    settings = QUICK.get(name, {})
    one, other = (explain(model, noise_image(1, (20, 15)), name, **settings)[0] for model in (small, large))
    for first, second in zip(one.panels, other.panels, strict=True):
        if first.kind == "map" and name not in ("RISE",) and "x pixel" not in first.quantity:
            assert not first.flat
            assert not second.flat
    still = loaded("regression")
    still.dense[:] = 0
    still.SCALE, still.OFFSET = 1.0, 40_000.0
    (flat,) = explain(still, noise_image(1, (20, 15)), name, **settings)
    assert all(panel.flat for panel in flat.panels if panel.target)
