"""The widget for notebooks: what its traits say about each choice, without a browser."""

from __future__ import annotations

import base64
import io
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import picasso
from picasso.errors import BadRequest, ConfigurationError
from picasso.explanation import exploration, figure, pipeline
from picasso.explanation.exploration import Choice
from tests.conftest import noise_image, png
from tests.fakes import BlackBoxModel, DetectorModel, LinearModel, RegressorModel, SegmenterModel

PLUGIN = """
from picasso.visualizations import BaseVisualization
class Broken(BaseVisualization):
    def make_visualization(self, task):
        raise {error}
"""


def loaded(model: Any) -> Any:
    model.load()
    return model


def made(model: Any = None, images: Any = None, **options: Any) -> Any:
    model = loaded(LinearModel()) if model is None else model
    return picasso.widget(model, [noise_image(seed) for seed in range(3)] if images is None else images, **options)


def pixels(address: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2])))


def test_the_first_image_brings_a_quick_map_and_offers_the_exact_one() -> None:
    widget = made()
    shown = widget.shown
    assert (shown["image"], shown["question"], shown["method"], shown["error"]) == (0, "look", "GradCAM", "")
    assert shown["better"] == {"name": "PartialOcclusion", "title": "Partial occlusion"}
    assert shown["title"] == "Grad-CAM"
    assert [one["name"] for one in shown["chips"]] == [one["name"] for one in widget.result.predictions]
    assert [one["amount"] for one in shown["chips"]] == [f"{one['prob']:.4f}" for one in widget.result.predictions]
    assert shown["target"] == shown["chips"][0]["target"]
    assert widget.progress == ""
    # A kernel sends traits as JSON.
    json.dumps([widget.shown, widget.menu])


def test_the_map_and_its_legend_are_those_of_the_result() -> None:
    widget = made()
    target = "2"
    widget.choice = {"image": 1, "method": "PartialOcclusion", "target": target, "turn": 4}
    panel = next(one for one in widget.result.panels if one.target == target)
    (first, *_), result = widget.shown["panels"], widget.result
    assert (result.visualization, result.image, widget.shown["turn"]) == ("PartialOcclusion", "image 1", 4)
    assert first["title"] == panel.title
    assert first["alt"] == f"Partial occlusion of image 1: {panel.title}"
    drawn = np.asarray(figure.enlarged(panel, result.view, ""))
    assert np.array_equal(np.asarray(pixels(first["src"])), drawn)
    assert not np.array_equal(np.asarray(pixels(widget.shown["plain"])), drawn)
    assert first["low"].endswith("against")
    assert first["high"].startswith("for")
    assert widget.shown["better"] == {}


def test_results_are_computed_once_for_an_image_and_a_method(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def counted(*given: Any, **options: Any) -> Any:
        calls.append(given)
        return pipeline.run(*given, **options)

    monkeypatch.setattr(exploration, "run", counted)
    widget = made()
    first = widget.result
    for choice in ({"image": 1}, {"image": 0}, {"target": widget.shown["chips"][1]["target"]}, {"method": "GradCAM"}):
        widget.choice = choice
    assert widget.result is first
    assert len(calls) == 2
    monkeypatch.setattr(exploration, "MAX_RESULTS", 2)
    widget.choice = {"image": 2}
    widget.choice = {"image": 0}
    assert len(calls) == 4
    assert widget.result is not first


def test_questions_are_those_of_the_workspace() -> None:
    widget = made()
    assert [one["name"] for one in widget.menu["questions"]] == ["look", "parts", "detail", "why"]
    for question, method in (("parts", "PartialOcclusion"), ("detail", "SaliencyMaps"), ("why", "GradCAM")):
        widget.choice = {"question": question}
        assert (widget.shown["question"], widget.shown["method"], widget.shown["error"]) == (question, method, "")
    best, *others = widget.result.predictions
    pairs = [f"{best['name']} rather than {one['name']}" for one in others]
    assert [one["name"] for one in widget.shown["chips"]] == pairs


def test_the_menu_names_methods_for_people_and_says_why_others_do_not_fit() -> None:
    methods = {one["name"]: one for one in made(loaded(BlackBoxModel())).menu["methods"]}
    assert methods["PartialOcclusion"] == {
        "name": "PartialOcclusion", "title": "Partial occlusion", "family": "Perturbation", "reason": "",
    }  # fmt: skip
    assert methods["GradCAM"]["reason"].startswith("needs feature maps, ")
    widget = made(loaded(BlackBoxModel()))
    assert widget.shown["method"] == "PartialOcclusion"
    widget.choice = {"method": "GradCAM"}
    assert widget.shown["error"] == f"Grad-CAM {methods['GradCAM']['reason']}"
    assert widget.result is None


def test_images_of_all_kinds_have_thumbnails_and_predictions(tmp_path: Path) -> None:
    noise_image(4, (400, 300)).save(tmp_path / "wide.png")
    widget = made(images=[tmp_path / "wide.png", png(), np.zeros((6, 9, 3), np.uint8)])
    strip = widget.menu["images"]
    assert [one["name"] for one in strip] == ["wide.png", "image 1", "image 2"]
    assert pixels(strip[0]["src"]).size == (exploration.THUMBNAIL, 72)
    widget.choice = {"image": 0}
    best = widget.result.predictions[0]
    assert strip[0]["predicted"] == f"{best['name']} {best['prob']:.3f}"


def test_the_number_of_images_is_bounded_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exploration, "MAX_IMAGES", 5)
    taken: list[Image.Image] = []

    def endless() -> Iterator[Image.Image]:
        while True:
            taken.append(noise_image(len(taken)))
            yield taken[-1]

    menu = made(images=endless()).menu
    assert (len(menu["images"]), len(taken)) == (5, 6)
    assert menu["more"] == "Only the first 5 images are shown. Pass a part of the list to see others."
    assert made(images=taken[:5]).menu["more"] == ""


def test_an_unreadable_image_keeps_its_place(tmp_path: Path) -> None:
    (tmp_path / "torn.png").write_bytes(png()[:40])
    noise_image().save(tmp_path / "whole.png")
    widget = made(images=[tmp_path / "torn.png", tmp_path / "whole.png"])
    assert "torn.png" in widget.shown["error"]
    assert widget.menu["images"][0]["error"] == widget.shown["error"]
    widget.choice = {"image": 1}
    assert (widget.shown["error"], widget.result.image) == ("", "whole.png")


@pytest.mark.parametrize(
    ("choice", "sentence"),
    [
        ({"image": 3}, "There is no image 3; the images are 0 to 2."),
        ({"image": -1}, "There is no image -1; the images are 0 to 2."),
        ({"question": "colour"}, "There is no question 'colour' about this model."),
        ({"method": "Nothing"}, "There is no visualization 'Nothing'. The visualizations are"),
    ],
)
def test_a_wrong_choice_is_one_sentence(choice: dict[str, Any], sentence: str) -> None:
    widget = made()
    widget.choice = {**choice, "turn": 7}
    assert widget.shown["error"].startswith(sentence)
    assert (widget.shown["turn"], widget.result) == (7, None)
    widget.choice = {}
    assert (widget.shown["error"], widget.result.image) == ("", "image 0")


def test_what_a_browser_sends_is_not_trusted() -> None:
    assert Choice.read({"image": "1", "question": 3, "method": None, "target": ["a"], "more": 1}) == Choice()
    assert Choice.read({"image": True}) == Choice()
    widget = made()
    widget.choice = {"target": "no such target"}
    assert widget.shown["target"] == widget.shown["chips"][0]["target"]


def test_an_error_of_a_plugin_and_an_interruption_are_one_sentence(tmp_path: Path) -> None:
    for name, error in (("broken", "ValueError('wrong shape')"), ("slow", "KeyboardInterrupt")):
        text = PLUGIN.format(error=error).replace("Broken", name.title())
        (tmp_path / f"{name}.py").write_text(text)
    widget = made(plugin_dirs=[tmp_path])
    widget.choice = {"method": "Broken"}
    assert widget.shown["error"] == "Broken failed: ValueError: wrong shape."
    widget.choice = {"method": "Slow", "turn": 2}
    assert widget.shown["error"].startswith("The computation was interrupted.")
    assert widget.shown["turn"] == 2
    widget.choice = {}
    assert widget.shown["error"] == ""


def test_progress_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("picasso.explanation.notebook_widget.REPORT_SECONDS", -1.0)
    widget, said = made(), []
    widget.observe(lambda change: said.append(change["new"]), "progress")
    widget.choice = {"method": "PartialOcclusion"}
    assert said[0] == "computing … 0%"
    assert "computing … 100%" in said
    assert said[-1] == ""


@pytest.mark.parametrize(
    ("model", "names"),
    [(RegressorModel, ["age", "experience"]), (DetectorModel, ["dog", "cat <b>"]), (SegmenterModel, None)],
)
def test_targets_of_other_tasks_are_chips(model: type[Any], names: list[str] | None) -> None:
    widget = made(loaded(model()))
    assert widget.shown["error"] == ""
    titles = [panel.title for panel in widget.result.panels if panel.target]
    assert [one["name"] for one in widget.shown["chips"]] == list(dict.fromkeys(titles))
    assert titles
    assert "why" not in [one["name"] for one in widget.menu["questions"]]
    if names:
        assert {title.split(" ")[0] for title in titles} <= {name.split(" ")[0] for name in names}


def test_targets_and_settings_can_be_passed() -> None:
    widget = made(targets=["bee vs dog", "ant"], Window=0.5)
    assert [one["name"] for one in widget.shown["chips"]] == ["bee rather than dog", "ant"]
    widget.choice = {"method": "PartialOcclusion"}
    assert widget.result.settings["Window"] == 0.5


def test_long_names_are_cut_off() -> None:
    class Wordy(LinearModel):
        def class_names(self) -> list[str]:
            return ["w" * 5000] * 7

    widget = made(loaded(Wordy()))
    assert len(widget.shown["chips"][0]["name"]) == exploration.MAX_NAME + 1
    assert len(widget.menu["images"][0]["predicted"]) == exploration.MAX_NAME + 1


def test_wrong_arguments_are_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match=r"widget\(\) requires a loaded model, not a str"):
        made("flowers.keras")
    with pytest.raises(BadRequest, match="There is no image to show. The image .*missing.png can't be read"):
        made(images=tmp_path / "missing.png")
    with pytest.raises(BadRequest, match="There is no image to show. Pass file names"):
        made(images=[])
    with pytest.raises(BadRequest, match="There are no images in the folder"):
        made(images=tmp_path)
    with pytest.raises(BadRequest, match="unicorn"):
        made(targets="unicorn")
    with pytest.raises(BadRequest, match="Windows"):
        made(Windows=0.5)
    with pytest.raises(ConfigurationError, match="does not exist"):
        made(plugin_dirs=[tmp_path / "none"])


def test_the_package_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "anywidget", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'picasso-viz\[notebook\]'"):
        made()


def test_picasso_itself_imports_no_anywidget() -> None:
    code = "import sys, picasso; picasso.widget, picasso.explain; assert 'anywidget' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
