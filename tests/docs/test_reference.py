"""Settings, the plugin contract, modules and links: the pages are complete and build."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import os
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from flask import Flask

import picasso
from picasso import config, visualizations
from picasso.explanation.registry import Registry
from picasso.models.info import Capability
from picasso.models.loading import CLASSES
from picasso.models.recognition import Format
from picasso.models.scan.checking import READERS
from picasso.visualizations import BaseVisualization, Input, Task, choice, layer, number, slider, toggle
from picasso.visualizations.panel import Panel
from picasso.web.app import register_views
from picasso.web.documentation import tables
from tests.conftest import noise_image
from tests.docs.blocks import DOCS, PAGES, PLUGINS, ROOT, Array, Block, read_blocks, section
from tests.fakes import LinearModel


def load(file: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"{file.stem}_of_the_docs", file)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def generated() -> dict[str, str]:
    """Return the tables that are generated from the code."""
    app = Flask("picasso")
    register_views(app)
    return tables.substitutions(app)


def test_every_translated_operation_of_onnx_is_listed() -> None:
    # This registers the operations.
    importlib.import_module("picasso.models.tf.onnx.translate")
    from picasso.models.tf.onnx.table import OPERATIONS

    listed = re.findall(r"`(\w+)`", section("onnx.md", "## Operations").split("Not translated")[0])
    assert sorted(listed) == sorted(name.removeprefix("com.microsoft:") for name in OPERATIONS)


def test_every_setting_is_described() -> None:
    made = generated()
    assert "{{ settings }}" in PAGES["settings.md"]
    assert "{{ replaced }}" in PAGES["settings.md"]
    for key, default in config.DEFAULTS.items():
        assert f"| `{key}` | {type(default).__name__} |" in made["settings"]
    for key in config.REPLACED:
        assert f"| `{key}` |" in made["replaced"]
    assert not re.search(r"\n\n|\{\{", made["settings"] + made["replaced"])


def test_tables_of_the_pages_exist() -> None:
    made = generated()
    used = [name for text in PAGES.values() for name in re.findall(r"^\{\{ (\w+) \}\}$", text, re.MULTILINE)]
    assert sorted(used) == sorted(made)


@pytest.mark.parametrize("entry", Registry().entries(), ids=lambda entry: entry.name)
def test_every_built_in_visualization_is_described(entry: Any) -> None:
    (page,) = (name for name, text in PAGES.items() if f"\n({entry.name.lower()})=\n## {entry.title}\n" in text)
    assert page.startswith("visualizations/")
    text = section(page, f"## {entry.title}")
    assert entry.title == entry.name or f"`{entry.name}`" in text
    assert f"({entry.cls.REFERENCE_LINK})" in text or not entry.cls.REFERENCE_LINK
    for part in ("Computed", "What it costs", "How to read it", "When to use it", "When it misleads"):
        assert f"**{part}**\n: " in text
    if entry.cls.ALLOWED_SETTINGS.controls():
        assert f"{{{{ settings_of_{entry.name} }}}}" in text
        assert f"../images/methods/{entry.name}.webp" in text
    assert f"[{entry.title}]({Path(page).name}#{entry.name.lower()})" in PAGES["visualizations/index.md"]


def test_images_of_the_methods_are_light() -> None:
    images = {file.stem: file.stat().st_size for file in (DOCS / "images" / "methods").glob("*.webp")}
    with_maps = {one.name for one in Registry().entries() if one.cls and one.cls.ALLOWED_SETTINGS.controls()}
    assert set(images) == with_maps
    assert max(images.values()) < 25_000


def contract() -> list[tuple[str, str]]:
    """Return everything that the author of a visualization may use, and the section that must mention it."""
    macros = (ROOT / "picasso" / "templates" / "macros.html").read_text(encoding="utf-8")
    fields_of = {
        "### Class attributes": [
            *BaseVisualization.__annotations__,
            *(name for name, one in vars(BaseVisualization).items() if callable(one) and not name.startswith("_")),
            *(name for name, one in vars(BaseVisualization).items() if isinstance(one, classmethod)),
        ],
        "### The task": [
            *(f"task.{field.name}" for field in fields(Task)),
            *inspect.signature(Input).parameters,
            *(name for name in vars(Input) if not name.startswith("_")),
        ],
        "### Panels": [field.name for field in fields(Panel)],
        "### Settings fields": [
            name
            for function in (choice, number, slider, toggle, layer)
            for name in [function.__name__, *inspect.signature(function).parameters]
        ],
        "### Templates": re.findall(r"macro (\w+)\(", macros),
        "## The contract": [f"Capability.{one.name}" for one in Capability],
    }
    return [(heading, name) for heading, names in fields_of.items() for name in names]


@pytest.mark.parametrize("heading", sorted({heading for heading, _ in contract()}))
def test_the_plugin_contract_is_described(heading: str) -> None:
    text = section("your-own-visualization.md", heading)
    code = " ".join(re.findall(r"`([^`]+)`", text))
    missing = [name for where, name in contract() if where == heading and not re.search(rf"\b{name}\b", code)]
    assert missing == []


def test_public_names_are_described() -> None:
    places = {
        "your-own-visualization.md": visualizations.__all__,
        "python.md": [name for name in picasso.__all__ if not name.startswith("_")] + ["load_model"],
    }
    for page, names in places.items():
        assert [name for name in names if not re.search(rf"\b{name}\b", PAGES[page])] == []


def bands_of(weights: Array, inputs: Array, count: int, axis: int) -> Array:
    """Return by how much a linear logit falls when each band is set to the mean colour: a weighted sum."""
    change = (weights * (inputs - inputs.mean(axis=(0, 1)))).sum(axis=(1 - axis, 2))
    bands = np.array_split(change, count)
    lost = np.concatenate([np.full(len(band), band.sum()) for band in bands])
    return np.asarray(np.broadcast_to(np.expand_dims(lost, 1 - axis), inputs.shape[:2]), np.float32)


@pytest.mark.parametrize(("direction", "axis"), [("rows", 0), ("columns", 1)])
def test_the_plugin_of_the_pages_computes_what_it_says(direction: str, axis: int, linear: LinearModel) -> None:
    images = [noise_image(seed) for seed in range(3)]
    results = picasso.explain(linear, images, "FunViz", plugin_dirs=[PLUGINS], Direction=direction, Bands=4)
    assert len(results) == len(images)
    for image, result in zip(images, results, strict=True):
        (panel,) = result.panels
        expected = bands_of(linear.weights[panel.class_index or 0], linear.preprocess([image])[0], 4, axis)
        np.testing.assert_allclose(panel.array, expected, atol=1e-4)
        assert panel.title == result.predictions[0]["name"]
        assert panel.signed


def test_the_plugin_of_the_pages_appears_and_renders(app: Flask) -> None:
    client = app.test_client()
    assert "Fun viz" in client.get("/visualizations").text
    form = client.get("/visualizations/FunViz").text
    assert 'name="Direction"' in form
    assert 'name="Bands"' in form
    with (ROOT / "picasso/examples/samples/mnist/4-00004.png").open("rb") as file:
        client.post("/api/images", data={"file": file})
    started = client.post("/api/runs", json={"visualization": "FunViz", "settings": {"Bands": 3}})
    assert started.status_code == 202
    page = client.get(f"/runs/{started.get_json()['id']}").text
    assert "red bands are evidence for the class" in page
    assert "drop of the logit" in page


def test_every_package_is_in_the_architecture_and_its_files_exist() -> None:
    package, text = ROOT / "picasso", PAGES["architecture.md"]
    modules = [file.name for file in package.glob("*.py") if not file.name.startswith("__")]
    folders = [f"{file.parent.name}/" for file in package.glob("*/__init__.py")]
    assert [name for name in modules + folders if f"`{name}`" not in text] == []
    named = set(re.findall(r"`((?!docs/)[a-z_/]+\.py)`", text + PAGES["how-it-works.md"]))
    assert named
    assert [name for name in named if not any(file.match(name) for file in package.rglob("*.py"))] == []


@pytest.mark.parametrize("listing", [block for block in read_blocks("architecture.md") if block.language == "diff"])
def test_what_the_architecture_says_to_add_fits_the_files_that_there_are(listing: Block) -> None:
    """New files have a folder and replace none; what an addition changes is there."""
    changed = Path()
    for line in listing.text.splitlines():
        mark, content = line[0], line[1:]
        name = content.split("  ")[0]
        if mark == "-":
            assert content in changed.read_text(encoding="utf-8").splitlines()
        elif not content.startswith(" "):
            assert (ROOT / name).exists() is (mark == " "), name
            assert (ROOT / name).parent.is_dir(), name
            changed = ROOT / name
    assert sum(line.startswith("+tests/") for line in listing.text.splitlines()) == 1


def test_every_format_has_a_class_and_a_scanner() -> None:
    assert set(CLASSES) == set(READERS) == set(Format)
    for place in CLASSES.values():
        module, _, name = place.partition(":")
        assert f"\nclass {name}(" in (ROOT / f"{module.replace('.', '/')}.py").read_text(encoding="utf-8")


def test_the_drawing_of_the_packages_is_that_of_the_imports() -> None:
    packages = load(DOCS / "packages.py")
    assert packages.DRAWING.read_text(encoding="utf-8") == packages.drawing(), "run python docs/packages.py"


@pytest.mark.parametrize("name", PAGES)
def test_relative_links_resolve(name: str) -> None:
    targets = re.findall(r"\]\(([^)\s]+)\)", PAGES[name])
    included = re.findall(r"^(?:```\{literalinclude\}|:file:) (\S+)$", PAGES[name], re.MULTILINE)
    files = [target.partition("#")[0] for target in targets if "://" not in target] + included
    assert [file for file in files if file and not (DOCS / name).parent.joinpath(file).is_file()] == []


def test_every_page_is_in_a_table_of_contents() -> None:
    names = {
        (Path(page).parent / f"{line}.md").as_posix()
        for page, text in PAGES.items()
        for part in re.findall(r"^```\{toctree\}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
        for line in part.splitlines()
        if line and not line.startswith(":")
    }
    assert names | {"index.md"} == set(PAGES)


@pytest.mark.slow
@pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("sphinx", "furo", "myst_parser")),
    reason="the documentation's tools are not installed",
)
def test_the_documentation_builds_without_warnings(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", str(DOCS), str(tmp_path / "html")]
    built = subprocess.run(build, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert built.returncode == 0, built.stderr
    assert (tmp_path / "html" / "index.html").is_file()
    foreign = re.compile(r'(?:src|href)="(?:https?:)?//[^"]+\.(?:js|css|woff2?)')
    pages = (tmp_path / "html").rglob("*.html")
    assert [page.name for page in pages if foreign.search(page.read_text(encoding="utf-8"))] == []
