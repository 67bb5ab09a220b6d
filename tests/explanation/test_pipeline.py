"""From images to results: inputs of every kind, progress, and sentences where something is wrong."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from picasso import explain
from picasso.errors import BadRequest, Cancelled, ModelError, NotFound, RunError
from picasso.explanation import pipeline
from picasso.explanation.inputs import UNFAITHFUL, NamedImage, prepare
from picasso.explanation.registry import Registry
from picasso.models.arrays import Array
from picasso.visualizations import BaseVisualization, Panel, Task, VisualizationSettings
from tests.conftest import PLUGINS, noise_image, png
from tests.fakes import BlackBoxModel, GreyModel, LinearModel, PooledModel

NAMES = [entry.name for entry in Registry().entries()]
# Settings with which the slow ones are quick.
QUICK: dict[str, dict[str, Any]] = {
    "RISE": {"Masks": 50},
    "LIME": {"Samples": 50, "Regions": 4},
    "KernelSHAP": {"Samples": 50, "Regions": 4},
    "IntegratedGradients": {"Steps": 8},
    "XRAI": {"Steps": 8},
    "ActivationMaximization": {"Steps": 8},
}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("cls", [LinearModel, GreyModel, PooledModel])
@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "P", "1", "LA", "CMYK", "I;16"])
def test_every_visualization_renders_every_kind_of_image(
    name: str, cls: type[LinearModel], mode: str, tmp_path: Path
) -> None:
    model = cls()
    model.load()
    if Registry().unsuitable(model).get(name):
        pytest.skip("does not fit this model")
    for size in ((9, 6), (1, 1), (1, 500), (200, 70)):
        image = noise_image(1, size)
        sixteen = Image.fromarray(np.asarray(image.convert("L"), np.uint16) * 257)
        (result,) = explain(model, sixteen if mode == "I;16" else image.convert(mode), name, **QUICK.get(name, {}))
        assert result.visualization == name
        assert result.notes == ()
        assert sum(one["prob"] for one in result.predictions) <= 1.0001
        result.save(tmp_path / f"{size[0]}x{size[1]}")


def test_kinds_of_sources(linear: LinearModel, tmp_path: Path) -> None:
    file = tmp_path / "a.png"
    file.write_bytes(png(noise_image(3)))
    sources: list[Any] = [file, str(file), noise_image(3), np.asarray(noise_image(3))]
    results = explain(linear, sources, "ClassProbabilities")
    assert [result.image for result in results] == ["a.png", "a.png", "image 2", "image 3"]
    assert len({str(result.predictions) for result in results}) == 1
    assert len(explain(linear, file, "ClassProbabilities")) == 1
    assert explain(linear, [], "ClassProbabilities") == []


def test_classes_of_visualizations_and_plugin_folders(linear: LinearModel) -> None:
    (result,) = explain(linear, noise_image(), "Means", plugin_dirs=[PLUGINS], Weight="2", Invert=True, Rows=3)
    assert result.panels[0].array.shape == (3, 2)
    assert result.panels[0].array[0, 0] == pytest.approx(-2 * np.asarray(noise_image()).mean() / 255, rel=1e-5)
    cls = Registry([PLUGINS]).get("Means").require()
    assert explain(linear, noise_image(), cls)[0].visualization == "Means"


def test_progress_grows_to_one(linear: LinearModel) -> None:
    seen: list[float] = []
    explain(linear, [noise_image(seed) for seed in range(6)], progress=seen.append, Window=0.1, Strides=30)
    assert seen[0] == 0
    assert seen[-1] == 1
    assert seen == sorted(seen)
    assert len(seen) > 12


def test_progress_may_end_the_run(linear: LinearModel) -> None:
    def stop(fraction: float) -> None:
        if fraction > 0.5:
            raise Cancelled

    with pytest.raises(Cancelled):
        explain(linear, [noise_image(), noise_image(1)], progress=stop)


@pytest.mark.parametrize("name", ["PartialOcclusion", "SaliencyMaps"])
def test_chosen_classes_are_looked_at_while_the_most_probable_are_told(linear: LinearModel, name: str) -> None:
    images = [noise_image(seed) for seed in range(6)]
    usual = explain(linear, images, name)
    chosen = explain(linear, images, name, classes=["gnu", 0])
    for one, other, image in zip(usual, chosen, images, strict=True):
        assert one.predictions == other.predictions
        maps = [panel for panel in other.panels if panel.kind == "map"]
        assert [(panel.title, panel.class_index) for panel in maps] == [("gnu", 6), ("ant", 0)]
        probabilities = linear.predict(linear.preprocess([image]))[0]
        assert [panel.probability for panel in maps] == pytest.approx([probabilities[6], probabilities[0]])
        same = {panel.class_index: panel.array for panel in one.panels if panel.kind == "map"}
        for panel in maps:
            if panel.class_index in same:
                np.testing.assert_array_equal(panel.array, same[panel.class_index])


def test_one_class_needs_no_list(linear: LinearModel) -> None:
    for wanted in ("fox", 5, "5"):
        (result,) = explain(linear, noise_image(), "SaliencyMaps", classes=wanted)
        assert [panel.title for panel in result.panels] == ["fox"]


def test_there_is_no_class_of_such_a_number(linear: LinearModel) -> None:
    for wrong in (-1, 7):
        with pytest.raises(BadRequest, match=f"There is no class {wrong}; the model has 7") as caught:
            prepare(linear, [NamedImage("p", noise_image())], [0, wrong])
        assert caught.value.field == "class"


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"visualization": "Nonsense"}, NotFound, "The visualizations are ClassProbabilities, PartialOcclusion, RISE"),
        ({"Window": "0.7"}, BadRequest, "Window must be one of"),
        ({"classes": ["ant", "fxo"]}, BadRequest, "The model has no class fxo. Similar names: fox"),
        (
            {"classes": [7]},
            BadRequest,
            r"The model has no class 7. Specify a name \(ant, .*\), or a number",
        ),
        ({"images": "/nowhere.png"}, BadRequest, "nowhere.png can't be read: No such file"),
        (
            {"images": np.zeros((2, 2, 4, 4, 3), np.uint8)},
            BadRequest,
            r"shape \(2, 2, 4, 4, 3\)\. Images must have the shape \(H, W\)",
        ),
        ({"images": np.full((4, 4), 2.0)}, BadRequest, "has floats from 2 to 2, but floats must be in 0..1"),
    ],
)
def test_wrong_arguments(linear: LinearModel, arguments: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        explain(linear, **{"images": noise_image(), **arguments})


def test_models_that_lack_what_is_needed() -> None:
    model = BlackBoxModel()
    model.load()
    with pytest.raises(
        ModelError, match="SaliencyMaps needs gradients, which the model BlackBoxModel does not provide"
    ):
        explain(model, noise_image(), "SaliencyMaps")
    assert explain(model, noise_image(), "PartialOcclusion")


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("raise", "Trouble failed on image 0: ZeroDivisionError"),
        ("nan", "NaN or infinite values for image 0"),
        ("short", "yielded nothing for image 0"),
        ("rubbish", "yielded a str instead of a Panel"),
        ("shape", r"made a map of shape \(2, 2, 2, 2\)"),
    ],
)
def test_visualizations_that_go_wrong(linear: LinearModel, kind: str, message: str) -> None:
    with pytest.raises(RunError, match=message):
        explain(linear, noise_image(), "Trouble", plugin_dirs=[PLUGINS], Kind=kind)


class Cropping(LinearModel):
    """Crops in preprocess() and forgets to say so in view()."""

    def preprocess(self, raw_inputs: Sequence[Image.Image]) -> Array:
        views = [image.crop((0, 0, image.width // 2, image.height // 2)).resize((9, 6)) for image in raw_inputs]
        return np.stack([np.asarray(view, np.float32) for view in views]) / 127.5 - 1


def test_a_view_that_does_not_match_is_replaced_and_noted() -> None:
    model = Cropping()
    model.load()
    (result,) = explain(model, noise_image(1, (90, 60)), "PartialOcclusion")
    assert result.notes == (UNFAITHFUL,)
    cropped = model.preprocess([noise_image(1, (90, 60))])[0]
    expected = (cropped - cropped.min()) / np.ptp(cropped) * 255
    np.testing.assert_allclose(result.view, expected, atol=1)


@pytest.mark.parametrize(
    ("answer", "message"),
    [(np.zeros((1, 2, 3)), r"shape \(1, 2, 3\), not \(1, 6, 9, 3\)"), (None, "ValueError: no idea")],
)
def test_preprocess_that_goes_wrong(answer: Any, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = LinearModel()
    model.load()

    def preprocess(raw_inputs: object) -> Any:
        if answer is None:
            raise ValueError("no idea")
        return answer

    monkeypatch.setattr(model, "preprocess", preprocess)
    with pytest.raises(ModelError, match=message):
        explain(model, noise_image(), "ClassProbabilities")


class Restless(BaseVisualization[VisualizationSettings]):
    """Reports a progress that goes back, and beyond the end."""

    def make_visualization(self, task: Task[VisualizationSettings]) -> Iterator[Sequence[Panel]]:
        for image in task.inputs:
            for done in (1, 3, 2, 5):
                task.progress(done, 4)
            yield [Panel("map", image.array[..., 0])]


def test_progress_never_goes_back_nor_beyond_the_end(linear: LinearModel) -> None:
    told: list[float] = []
    explain(linear, [noise_image(0), noise_image(1)], Restless, progress=told.append)
    assert told == sorted(told)
    assert max(told) == 1
    assert 3 / 8 in told


def test_few_large_images_are_in_memory_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    model = LinearModel()
    model.load()
    images = [np.full((10, side, 3), 90, np.uint8) for side in (5, 50, 5, 5, 5, 5, 5, 50)]
    # An image of 10 x 50 pixels has 2,000 bytes: it ends its group.
    monkeypatch.setattr(pipeline, "GROUP_BYTES", 1_000)
    fractions: list[float] = []
    sizes = []
    for group, report in pipeline.groups(model, images, fractions.append):
        sizes.append([one.image.width for one in group])
        report(0.5)
    assert sizes == [[5, 50], [5, 5, 5, 5], [5, 50]]
    assert fractions == [1 / 8, 4 / 8, 7 / 8]
    whole = explain(model, images, "ClassProbabilities")
    assert [one.image for one in whole] == [f"image {index}" for index in range(8)]
