"""Plugins of installed packages: visualizations, interventions and model classes as entry points."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from picasso import config
from picasso.audit.catalogue import catalogue
from picasso.errors import ConfigurationError
from picasso.explanation.registry import Registry
from picasso.models.loading import find_class

VISUALIZATION = """
import numpy as np
from picasso.visualizations import BaseVisualization, Panel

class Halves(BaseVisualization):
    DESCRIPTION = "The left half."

    def make_visualization(self, task):
        for one in task.inputs:
            yield [Panel("left", np.ones((2, 2), np.float32))]
"""
INTERVENTION = """
from picasso.audit.interventions import Intervention

class Nothing(Intervention):
    kind, name = "region", "{name}"

    def change(self, case, generator):
        return None

    def words(self, case):
        return "changing nothing"

nothing = Nothing()
"""
MODEL = """
from tests.fakes import LinearModel

class OursModel(LinearModel):
    pass
"""


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of installed packages, on the path."""
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


def install(site: Path, module: str, source: str, group: str, value: str) -> None:
    """Put a package of one module into a folder, as pip does."""
    (site / f"{module}.py").write_text(source)
    information = site / f"{module}-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text(f"[picasso.{group}]\n{module} = {value}\n")


@pytest.mark.parametrize("value", ["halves_plugin:Halves", "halves_plugin"])
def test_a_visualization_is_found_with_its_template(site: Path, value: str) -> None:
    assert "Halves" not in [entry.name for entry in Registry().entries()]
    install(site, "halves_plugin", VISUALIZATION, "visualizations", value)
    (site / "Halves.html").write_text("{% extends 'result.html' %}")
    registry = Registry()
    entry = registry.get("Halves")
    assert (entry.cls is not None, entry.template, registry.plugin_dirs) == (True, "Halves.html", [site])


@pytest.mark.parametrize(
    ("source", "value", "why"),
    [
        ("raise SystemExit(3)", "bad_plugin", "SystemExit: 3"),
        ("x = 3", "bad_plugin:x", "TypeError"),
        ("x = 3", "bad_plugin", "must be a BaseVisualization, or a module that defines some"),
        ("x = 3", "bad_plugin:y", "AttributeError"),
    ],
)
def test_a_visualization_that_fails_says_why(site: Path, source: str, value: str, why: str) -> None:
    install(site, "bad_plugin", source, "visualizations", value)
    entry = Registry().get("bad_plugin")
    assert entry.cls is None
    assert why in entry.reason
    assert Registry().get("RISE").cls is not None


def test_an_intervention_is_tried(site: Path) -> None:
    before = catalogue()
    install(
        site, "nothing_plugin", INTERVENTION.format(name="nothing at all"), "interventions", "nothing_plugin:nothing"
    )
    assert [one.name for one in catalogue()] == [*(one.name for one in before), "nothing at all"]


def test_an_intervention_of_a_name_that_there_is_says_where(site: Path) -> None:
    install(site, "nothing_plugin", INTERVENTION.format(name="brightness"), "interventions", "nothing_plugin:nothing")
    with pytest.raises(
        ConfigurationError, match="called brightness; rename the one in the installed plugin nothing_plugin"
    ):
        catalogue()


def test_a_model_class_is_found_by_its_name(site: Path) -> None:
    install(site, "ours", MODEL, "models", "ours:OursModel")
    settings = config.build({"MODEL_CLS_PATH": "", "MODEL_CLS_NAME": "ours"}, None)
    assert find_class(settings).__name__ == "OursModel"
    with pytest.raises(ConfigurationError, match="offers a model class theirs; there are: ours"):
        find_class(config.build({"MODEL_CLS_PATH": "", "MODEL_CLS_NAME": "theirs"}, None))
