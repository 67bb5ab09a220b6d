"""Plugins: files, modules and installed packages of every kind, and what is said about broken ones."""

from __future__ import annotations

import importlib.metadata
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from picasso import config, plugins
from picasso.audit.catalogue import catalogue
from picasso.errors import ConfigurationError, ModelError
from picasso.explanation.registry import Registry
from picasso.models.user_code import find_class
from picasso.plugins import Plugins
from tests.docs.blocks import read_blocks

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


def test_packages_are_read_once(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read, asked = importlib.metadata.entry_points, []

    def counted(**chosen: str) -> Any:
        asked.append(chosen)
        return read(**chosen)

    install(site, "halves_plugin", VISUALIZATION, "visualizations", "halves_plugin")
    monkeypatch.setattr(importlib.metadata, "entry_points", counted)
    names = [[name for name, _ in plugins.installed("picasso.visualizations")] for _ in range(3)]
    assert "halves_plugin" in names[0]
    assert names[0] == names[1] == names[2]
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("source", "value", "why"),
    [
        ("raise SystemExit(3)", "bad_plugin", "SystemExit: 3"),
        ("x = 3", "bad_plugin:x", "TypeError"),
        ("x = 3", "bad_plugin", "bad_plugin of an installed package offers no visualization."),
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


@pytest.mark.parametrize(
    ("source", "value", "why"),
    [
        (
            INTERVENTION.format(name="brightness"),
            "bad_plugin:nothing",
            "another intervention is also called brightness",
        ),
        ("x = 3", "bad_plugin", "offers no intervention: TypeError: there is no list INTERVENTIONS"),
        ("x = 3", "bad_plugin:y", "can't be imported: AttributeError"),
        ("raise SystemExit(3)", "bad_plugin:x", "can't be imported: SystemExit: 3"),
        ("INTERVENTIONS = []", "bad_plugin", "offers no intervention."),
    ],
)
def test_an_intervention_that_fails_says_why(site: Path, source: str, value: str, why: str) -> None:
    install(site, "bad_plugin", source, "interventions", value)
    with pytest.raises(ConfigurationError, match=f"bad_plugin of an installed package,? {why}"):
        catalogue()


def test_a_model_class_is_found_by_its_name(site: Path) -> None:
    install(site, "ours", MODEL, "models", "ours:OursModel")
    settings = config.build({"MODEL_CLS_PATH": "", "MODEL_CLS_NAME": "ours"}, None)
    assert find_class(settings).__name__ == "OursModel"
    with pytest.raises(ConfigurationError, match="offers a model class theirs; there are: ours"):
        find_class(config.build({"MODEL_CLS_PATH": "", "MODEL_CLS_NAME": "theirs"}, None))


@pytest.mark.parametrize(
    ("source", "value", "why"),
    [
        ("raise SystemExit(3)", "bad:OursModel", "bad of an installed package can't be imported: SystemExit: 3"),
        ("x = 3", "bad:x", "bad of an installed package offers no model class: TypeError: 3 is no class derived"),
        ("x = 3", "bad", "bad of an installed package offers no model class."),
        (MODEL, "bad", "The entry point bad must refer to one model class"),
    ],
)
def test_a_model_class_that_fails_says_why(site: Path, source: str, value: str, why: str) -> None:
    install(site, "bad", source, "models", value)
    with pytest.raises(ConfigurationError, match=why):
        find_class(config.build({"MODEL_CLS_PATH": "", "MODEL_CLS_NAME": "bad"}, None))


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("raise SystemExit(3)", "model.py, which MODEL_CLS_PATH names, can't be imported: SystemExit: 3"),
        (
            MODEL,
            "model.py has no model class Model1; it has LinearModel, OursModel. Set MODEL_CLS_NAME",
        ),
        ("x = 3", "model.py has no model class Model1; it has none"),
    ],
)
def test_a_file_of_a_model_class_that_fails_says_why(tmp_path: Path, source: str, why: str) -> None:
    (tmp_path / "model.py").write_text(source)
    settings = {"MODEL_CLS_PATH": str(tmp_path / "model.py"), "MODEL_CLS_NAME": "Model1"}
    with pytest.raises(ConfigurationError, match=why):
        find_class(config.build(settings, None))


def numbers(wrong: str = "") -> Plugins[int]:
    """Plugins that are the whole numbers of a module."""
    return Plugins(
        "number",
        "NUMBERS",
        lambda module: [(name, one) for name, one in vars(module).items() if isinstance(one, int)],
        lambda number: wrong if number < 0 else "",
    )


def test_a_second_plugin_of_a_name_replaces_nothing(tmp_path: Path) -> None:
    plugins = numbers()
    for folder, source in (("a", "one = 1"), ("b", "one = 2; two = 2"), ("c", "one = 3")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "own.py").write_text(source)
        plugins.read_file(tmp_path / folder / "own.py")
    assert {name: plugin.value for name, plugin in plugins.found.items()} == {
        "one": 1,
        "one (b/own.py)": None,
        "two": 2,
        "one (c/own.py)": None,
    }
    assert plugins.found["one (b/own.py)"].reason == "another number is also called one. Rename one of them."


def test_a_broken_file_called_like_a_plugin_is_listed(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("one = 1")
    (tmp_path / "one.py").write_text("1 / 0")
    plugins = numbers()
    plugins.read_file(tmp_path / "a.py")
    plugins.read_file(tmp_path / "one.py", "one.py")
    assert plugins.found["one"].value == 1
    (broken,) = (plugin for name, plugin in plugins.found.items() if name != "one")
    assert broken.reason == "one.py can't be imported: ZeroDivisionError: division by zero."
    with pytest.raises(ConfigurationError, match="one.py can't be imported") as raised:
        plugins.all()
    assert isinstance(raised.value.__cause__, ZeroDivisionError)


def test_a_plugin_that_is_wrong_is_named_with_its_file(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text("good = 1; bad = -1")
    plugins = numbers("-1 is below 0.")
    plugins.read_file(tmp_path / "own.py")
    assert (plugins.found["good"].value, plugins.found["bad"].reason) == (1, "-1 is below 0.")
    with pytest.raises(ConfigurationError, match=rf"In {tmp_path.name}/own.py, -1 is below 0\.") as raised:
        plugins.all()
    assert raised.value.field == "NUMBERS"


def test_an_error_of_picasso_is_raised_unchanged_and_listed_without_paths(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text("from picasso import models\n\nmodels.load_model('/nowhere/secret/one.keras')\n")
    entry = Registry([tmp_path]).get("own")
    assert entry.reason == "own.py can't be imported: ModelError: There is no model file one.keras."
    settings = {"MODEL_CLS_PATH": str(tmp_path / "own.py"), "MODEL_CLS_NAME": "Model1"}
    with pytest.raises(ModelError, match=r"^There is no model file /nowhere/secret/one\.keras\.$"):
        find_class(config.build(settings, None))


def test_the_user_can_still_interrupt(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text("raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        numbers().read_file(tmp_path / "own.py")


def test_folders_that_can_not_be_read_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(path: Path, **_: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    known = plugins.installed("picasso.visualizations")
    monkeypatch.setattr(Path, "stat", refused)
    assert [name for name, _ in plugins.installed("picasso.visualizations")] == [name for name, _ in known]


def test_files_of_one_name_are_two_modules(tmp_path: Path) -> None:
    """A dataclass looks its module up, so the module must be registered, and not under the name of the other."""
    source = (
        "from dataclasses import KW_ONLY, dataclass\n\n@dataclass\nclass Point:\n    _: 'KW_ONLY'\n    x: int = {}\n"
    )
    points = Plugins[type]("class", "CLASSES", lambda module: [("Point" + str(module.Point().x), module.Point)])
    for number, folder in enumerate(("a", "b")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "own.py").write_text(source.format(number))
        points.read_file(tmp_path / folder / "own.py")
    first, second = points.all().values()
    assert first.__module__ != second.__module__


def test_the_entry_points_of_the_page_are_found(site: Path) -> None:
    """The table of the page, as pip installs it, with the module of each line."""
    (block,) = (one for one in read_blocks("your-own-visualization.md") if one.language == "toml")
    groups = tomllib.loads(block.text)["project"]["entry-points"]
    package = site / "my_package"
    package.mkdir()
    sources = {
        "halves": VISUALIZATION,
        "sky": INTERVENTION.format(name="the sky") + "INTERVENTIONS = [nothing]\n",
        "model": MODEL.replace("OursModel", "MyModel"),
    }
    for name, source in sources.items():
        (package / f"{name}.py").write_text(source)
    information = site / "my_package-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: my-package\nVersion: 1.0\n")
    lines = [f"[{group}]\n{key} = {value}" for group, table in groups.items() for key, value in table.items()]
    (information / "entry_points.txt").write_text("\n".join(lines))
    assert Registry().get("Halves").cls
    assert catalogue()[-1].name == "the sky"
    assert find_class(config.build({"MODEL_CLS_PATH": "", "MODEL_CLS_NAME": "MyModel"}, None)).__name__ == "MyModel"


def test_the_interventions_of_the_page_are_found_in_a_file(tmp_path: Path) -> None:
    (block,) = (one for one in read_blocks("interventions.md") if one.mark == "run")
    (tmp_path / "my_interventions.py").write_text(block.text)
    assert [one.name for one in catalogue([tmp_path / "my_interventions.py"])][-2:] == ["vignette", "the sky"]


def test_the_model_class_of_the_page_is_found_in_a_file(tmp_path: Path) -> None:
    (block,) = (one for one in read_blocks("your-own-model.md") if "class BrightnessModel" in one.text)
    (tmp_path / "model.py").write_text(block.text)
    settings = {"MODEL_CLS_PATH": str(tmp_path / "model.py"), "MODEL_CLS_NAME": "BrightnessModel"}
    assert find_class(config.build(settings, None)).framework == "numpy"
