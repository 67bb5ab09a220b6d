"""Finding visualizations: built-in ones, plugins, broken files, clashes."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from picasso import config, explain
from picasso.cli import scaffold
from picasso.errors import BadRequest, ConfigurationError, NotFound
from picasso.explanation.registry import FAMILIES, Registry
from picasso.visualizations.class_activation import GradCAM
from tests.conftest import PLUGINS, noise_image
from tests.fakes import LinearModel


def test_the_built_in_visualizations() -> None:
    entries = Registry().entries()
    families: dict[str, list[str]] = {}
    for entry in entries:
        families.setdefault(entry.family, []).append(entry.name)
    assert families == {
        "Answers": ["ClassProbabilities"],
        "Perturbation": ["PartialOcclusion", "RISE"],
        "Gradients": ["IntegratedGradients", "SaliencyMaps"],
        "Class activation": ["CAM", "GradCAM", "GradCAMPlusPlus", "HiResCAM", "LayerCAM", "ScoreCAM"],
        "Transformers": ["AttentionRollout", "AttnLRP", "TransformerAttribution"],
        "Regions": ["KernelSHAP", "LIME", "XRAI"],
        "Feature visualization": ["ActivationMaximization"],
    }
    assert list(families) == list(FAMILIES)
    for entry in entries:
        assert entry.description.endswith(".")
        assert entry.misleads.endswith(".")
        assert len(re.findall(r"[.!?] ", entry.misleads)) == 0, "one sentence"
        assert entry.reason == ""


def test_titles_are_the_usual_names() -> None:
    registry = Registry([PLUGINS])
    assert {entry.name: entry.title for entry in Registry().entries()} == {
        "ClassProbabilities": "Predictions",
        "PartialOcclusion": "Partial occlusion",
        "RISE": "RISE",
        "IntegratedGradients": "Integrated gradients",
        "SaliencyMaps": "Saliency maps",
        "CAM": "CAM",
        "GradCAM": "Grad-CAM",
        "GradCAMPlusPlus": "Grad-CAM++",
        "HiResCAM": "HiResCAM",
        "LayerCAM": "LayerCAM",
        "ScoreCAM": "Score-CAM",
        "AttentionRollout": "Attention rollout",
        "AttnLRP": "AttnLRP",
        "TransformerAttribution": "Transformer attribution",
        "KernelSHAP": "Kernel SHAP",
        "LIME": "LIME",
        "XRAI": "XRAI",
        "ActivationMaximization": "Activation maximization",
    }
    assert registry.get("WithoutTemplate").title == "Without template"
    assert registry.get("broken").title == "broken"
    assert registry.get("broken").misleads == registry.get("broken").documentation == ""


@pytest.mark.parametrize(
    ("name", "title"), [("XGradCAM", "X grad CAM"), ("Lime2Fast", "Lime 2 fast"), ("FunViz", "Fun viz"), ("Ü", "Ü")]
)
def test_a_title_is_not_inherited(name: str, title: str) -> None:
    derived: type[GradCAM] = type(name, (GradCAM,), {})
    assert derived.title() == title
    derived = type(name, (GradCAM,), {"TITLE": "As I say"})
    assert derived.title() == "As I say"


def test_plugins_with_and_without_template() -> None:
    registry = Registry([PLUGINS])
    assert registry.get("Means").template == "Means.html"
    assert registry.get("WithoutTemplate").template == "default.html"


def test_a_broken_file_is_listed_with_its_reason() -> None:
    entry = Registry([PLUGINS]).get("broken")
    assert entry.reason == "broken.py can't be imported: RuntimeError: this plugin is broken on purpose."
    with pytest.raises(BadRequest, match="broken can't be used: broken.py"):
        entry.require()


@pytest.mark.parametrize("body", ["raise SystemExit(1)", "def (", "import nonexistent_module"])
def test_files_that_fail_in_other_ways(tmp_path: Path, body: str) -> None:
    (tmp_path / "odd.py").write_text(body)
    registry = Registry([tmp_path])
    assert "odd.py can't be imported" in registry.get("odd").reason
    assert registry.get("SaliencyMaps").cls


def test_names_that_clash_are_listed_and_do_not_replace() -> None:
    registry = Registry([PLUGINS])
    cls = registry.get("PartialOcclusion").require()
    assert cls.__module__ == "picasso.visualizations.partial_occlusion"
    assert "another visualization is also called" in registry.get("PartialOcclusion (plugins/means.py)").reason


@pytest.mark.parametrize("name", ["__init__", "base", "settings", "../x", "", "partial_occlusion"])
def test_unknown_names(name: str) -> None:
    with pytest.raises(NotFound, match="The visualizations are ClassProbabilities"):
        Registry().get(name)


def test_missing_folders_end_start_up(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="The folder .*nowhere in PLUGIN_DIRS does not exist"):
        Registry([tmp_path / "nowhere"])


def test_dropped_into_the_built_in_folders(tmp_path: Path) -> None:
    """The original's way: a class beside the others and a template beside the others, no other file touched."""
    package = tmp_path / "picasso"
    shutil.copytree(config.PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__", "data", "samples"))
    files = (package / "visualizations" / "dropped_in.py", package / "templates" / "DroppedIn.html")
    for file, text in zip(files, scaffold.texts("DroppedIn").values(), strict=True):
        file.write_text(text)
    program = """
import numpy, picasso
from picasso.examples.brightness import BrightnessModel
from picasso.explanation.registry import Registry

model = BrightnessModel()
model.load()
(result,) = picasso.explain(model, numpy.eye(8), "DroppedIn", Patch=2)
print(picasso.__file__, Registry().get("DroppedIn").template, *result.panels[0].array.shape)
"""
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path, env=environment
    )
    assert done.stdout.split() == [str(package / "__init__.py"), "DroppedIn.html", "4", "4"], done.stderr


def test_the_scaffold_works_as_it_is(tmp_path: Path, linear: LinearModel) -> None:
    files = scaffold.write("FunViz", tmp_path / "mine")
    assert [file.name for file in files] == ["fun_viz.py", "FunViz.html"]
    assert Registry([tmp_path / "mine"]).get("FunViz").template == "FunViz.html"
    (result,) = explain(linear, noise_image(), "FunViz", plugin_dirs=[tmp_path / "mine"], Patch=3)
    assert result.panels[0].array.shape == (2, 3)
    assert result.panels[0].signed
    with pytest.raises(BadRequest, match="already exists; nothing was written"):
        scaffold.write("FunViz", tmp_path / "mine")


@pytest.mark.parametrize("name", ["funViz", "Fun-Viz", "F", "../Evil", "Fun Viz", ""])
def test_scaffold_names(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadRequest, match="is not a valid class name"):
        scaffold.write(name, tmp_path)
    assert not list(tmp_path.iterdir())


def test_settings_without_a_control_are_refused_with_the_reason(tmp_path: Path) -> None:
    files = scaffold.write("Careless", tmp_path)
    text = files[0].read_text()
    files[0].write_text(re.sub(r"patch: int = slider\(.*\)", "patch: int = 3", text))
    assert "its setting patch is not declared with choice()" in Registry([tmp_path]).get("Careless").reason


def test_what_must_be_installed_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Registry().get("LIME").cls is not None
    monkeypatch.setattr("picasso.visualizations.lime.LIME.EXTRA", ("regions", "no_such_module"))
    entry = Registry().get("LIME")
    assert entry.reason == "needs another package: pip install 'picasso-viz[regions]'."
    with pytest.raises(BadRequest, match="LIME can't be used: needs another package"):
        entry.require()


def test_a_plugin_that_cannot_be_asked_is_left_usable(monkeypatch: pytest.MonkeyPatch, linear: LinearModel) -> None:
    def fail(model: object) -> str:
        raise RuntimeError("on purpose")

    monkeypatch.setattr("picasso.visualizations.rise.RISE.unsuitable", fail)
    assert list(Registry().unsuitable(linear)) == ["CAM"]
