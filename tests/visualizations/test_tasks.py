"""Every visualization on every task that it declares: grey and colour, square and not, one and twenty images."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from PIL import Image

from picasso import explain
from picasso.explanation.registry import Registry
from picasso.explanation.result import Result
from picasso.models.arrays import Shape
from picasso.models.info import Capability
from picasso.targets import OutputTask, phrase
from picasso.visualizations.panel import Panel
from picasso.visualizations.saliency_maps import SaliencyMaps
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
    "ActivationMaximization": {"Steps": 8},
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
    if shape == "colour":
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
        for prediction, other in zip(results[index].predictions, alone.predictions, strict=True):
            assert phrase(prediction) == phrase(other)
        for panel, same in zip(results[index].panels, alone.panels, strict=True):
            np.testing.assert_allclose(panel.array, same.array, atol=1e-5)


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


# The square in the middle is one region, or several; its surroundings are others.
SQUARES = np.full((12, 16, 3), 40, np.uint8)
SQUARES[3:9, 4:12] = (220, 190, 90)
SQUARES[:3, :6] = (90, 240, 160)
BY_REGRESSION = [name for name, task in pairs() if task == "regression" and name != "ClassProbabilities"]


def maps_of(name: str, scale: float, offset: float) -> list[Panel]:
    """Return the maps of a regression whose values are scaled."""
    model = loaded("regression")
    model.SCALE, model.OFFSET = scale, offset
    (result,) = explain(model, SQUARES, name, **QUICK.get(name, {}))
    return [panel for panel in result.panels if panel.target]


@pytest.mark.parametrize("name", BY_REGRESSION)
def test_the_maps_of_values_in_thousands(name: str) -> None:
    """Neither the unit of a value nor an offset changes what a map shows."""
    for small, large in zip(maps_of(name, 1, 0), maps_of(name, 5000, 40_000), strict=True):
        assert (small.flat, large.flat) == (False, False)
        one, other = (panel.array - panel.array.mean() for panel in (small, large))
        np.testing.assert_allclose(other / np.abs(other).max(), one / np.abs(one).max(), atol=0.02)


@pytest.mark.parametrize("name", [name for name in BY_REGRESSION if len(VISUALIZATIONS[name].NEEDS) == 1])
def test_rounding_errors_of_large_values_are_not_shown(name: str) -> None:
    """The differences of a value of 40,000 that changes by less than a float32 can tell are flat."""
    assert all(panel.flat for panel in maps_of(name, 1e-6, 40_000))


def test_without_differences_score_cam_weighs_all_feature_maps_alike() -> None:
    for panel in maps_of("ScoreCAM", 0, 40_000):
        model = loaded("regression")
        maps = model.batch_feature_maps(model.inputs_of([Image.fromarray(SQUARES)]), "maps")[0]
        varying = maps[..., maps.std(axis=(0, 1)) > 0]
        np.testing.assert_allclose(panel.array[:6, :8], varying.mean(axis=-1)[:6, :8], rtol=1e-5)


@pytest.mark.parametrize("name", [name for name, cls in VISUALIZATIONS.items() if {Capability.PREDICTIONS} < cls.NEEDS])
def test_the_likeness_of_an_image_with_itself_has_no_gradient(name: str) -> None:
    others = ("ScoreCAM", "IntegratedGradients", "XRAI", "AttentionRollout", "ActivationMaximization")
    if OutputTask.EMBEDDING not in VISUALIZATIONS[name].TASKS or name in others:
        pytest.skip("it compares with other images, or uses no gradient")
    (result,) = explain(loaded("embedding"), SQUARES, name)
    assert [panel.flat for panel in result.panels] == [True]


def test_the_estimated_time_depends_on_the_targets() -> None:
    passes = {task: SaliencyMaps.passes(loaded(task), SaliencyMaps.ALLOWED_SETTINGS()) for task in NAMES}
    assert passes == {
        "classification": 7, "multi-label": 7, "regression": 5, "segmentation": 7, "detection": 11, "embedding": 3,
    }  # fmt: skip


@pytest.mark.parametrize("name", [name for name in VISUALIZATIONS if name != "ClassProbabilities"])
def test_texts_fit_all_tasks(name: str) -> None:
    cls = VISUALIZATIONS[name]
    texts = [cls.DESCRIPTION, cls.describe(cls.ALLOWED_SETTINGS())]
    texts += [control.help for control in cls.ALLOWED_SETTINGS.controls().values()]
    for text in texts:
        # A class is only an example of what can be explained.
        without = text
        for example in ("(of a class: its logit)", "(of a class: its probability)", "such as the logit of a class"):
            without = without.replace(example, "")
        without = without.replace("In the map of a probable class", "")
        assert not re.search(r"\bclass(es)?\b|logit\b", without), text
