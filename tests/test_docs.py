"""The documentation: it is complete, its examples work, and it builds.

Examples are fenced blocks. What happens to one of them is said by a comment in the line before it, which readers
do not see:

``% run``       executed, in the order of the page and in one namespace per page
``% compile``   compiled only, because it imports what is not here
``% settings``  read and checked as a settings file

Every Python and YAML block must say which. Nothing here imports TensorFlow: ``load_model`` gives a NumPy model, and
the classes that examples derive from are NumPy models too. So an example that runs has the right calls, shapes and
types; that real models load is tested elsewhere. Lines of the shell are taken from ``console`` blocks.
"""

from __future__ import annotations

import ast
import importlib.util
import inspect
import io
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass, fields
from pathlib import Path
from types import ModuleType
from typing import Any

import click
import numpy as np
import pytest
from flask import Flask
from numpy.typing import NDArray

import picasso
from picasso import checking, configuration, errors, models, pipeline, visualizations, worker
from picasso.app import create_app
from picasso.cli import main
from picasso.models.base import Model
from picasso.models.card import Capability
from picasso.models.preprocessing import Preprocessing
from picasso.panels import Panel
from picasso.registry import Registry
from picasso.visualizations import BaseVisualization, Input, Task, choice, number, slider, toggle
from picasso.web.errors import SENTENCES
from tests.conftest import close, fake_settings, picture
from tests.fakes import LinearModel

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PLUGINS = DOCS / "plugins"
PAGES = {page.name: page.read_text(encoding="utf-8") for page in sorted(DOCS.glob("*.md"))}
ADDRESS = "http://127.0.0.1:5000"

Array = NDArray[np.float32]

FENCE = re.compile(r"(?:^% (?P<mark>\w+)\n)?^```(?P<language>\w+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
# Names that the server makes up, so that those of an example stand for those of the test.
GENERATED = re.compile(r"[0-9a-f]{12,}")


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    page: str
    line: int
    mark: str
    language: str
    text: str

    def code(self) -> Any:
        return compile("\n" * self.line + self.text, str(DOCS / self.page), "exec", dont_inherit=True)


def read_blocks(page: str) -> list[Block]:
    text = PAGES[page]
    return [
        Block(page, text[: found.start("text")].count("\n"), found["mark"] or "", found["language"], found["text"])
        for found in FENCE.finditer(text)
    ]


BLOCKS = [block for page in PAGES for block in read_blocks(page)]


def marked(mark: str) -> list[Any]:
    return [pytest.param(block, id=f"{block.page}:{block.line}") for block in BLOCKS if block.mark == mark]


def shell_lines(block: Block) -> list[list[str]]:
    """Return the commands that a console block shows, as words, without variables set before them."""
    lines = [line[2:] for line in block.text.replace("\\\n", " ").splitlines() if line.startswith("$ ")]
    return [[word for word in shlex.split(line) if not re.match(r"[A-Z_]+=", word)] for line in lines]


def commands(program: str) -> list[list[str]]:
    """Return the arguments of every line of the pages that starts a program."""
    lines = [line for block in BLOCKS if block.language == "console" for line in shell_lines(block)]
    return [line[1:] for line in lines if Path(line[0]).name == program]


def section(page: str, heading: str) -> str:
    """Return the part of a page below a heading, up to the next heading of the same or a higher level."""
    text = PAGES[page]
    level = len(heading) - len(heading.lstrip("#"))
    match = re.search(rf"^{re.escape(heading)}$(.*?)(?=^#{{1,{level}}} |\Z)", text, re.MULTILINE | re.DOTALL)
    assert match, f"{page} has no section {heading}"
    return match[1]


# ---- models and an application in plain NumPy -------------------------------------------------------------


# Every argument of load_model and of a load() that the page of the formats describes.
LOAD_OPTIONS = {"labels", "preprocess", *re.findall(r"^\| `(\w+)` \|", PAGES["formats.md"], re.MULTILINE)}


class DigitModel(LinearModel):
    """What ``load_model`` gives to examples: ten digits, 28 by 28 pixels."""

    def load(self, **arguments: Any) -> None:
        super().load(shape=(28, 28, 1))
        self.num_classes = 10
        self.weights = np.random.default_rng(5).normal(scale=0.01, size=(10, 28, 28, 1)).astype(np.float32)

    def class_names(self) -> list[str]:
        return list("0123456789")


class BaseOfExamples(LinearModel):
    """What the model classes of the pages derive from: five classes, and pictures that are not square."""

    def load(self, **arguments: Any) -> None:
        super().load(shape=(24, 32, 3))
        self.num_classes = 5
        self.weights = self.weights[:5] * np.float32(0.01)

    def class_names(self) -> list[str]:
        return list("abcde")


class InlineEngine:
    """Computes a shard at once, in this process."""

    def __init__(self, configured: dict[str, Any], work_dir: Path) -> None:
        self._model, _ = worker.equipment(json.dumps(configured, sort_keys=True))

    def submit(self, folder: Path, shard: int, priority: int = 0) -> Future[None]:
        worker.run_shard(str(folder), shard)
        future: Future[None] = Future()
        future.set_result(None)
        return future

    def model_status(self) -> dict[str, Any]:
        report = checking.check(self._model, [pipeline.Picture("one", picture())])
        return {"state": "ready", "card": self._model.card().as_dict(), "report": report.as_dict()}

    def close(self) -> None:
        pass


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> Iterator[Flask]:
    """The application with a NumPy model, no worker process, and the plugin of the pages."""
    monkeypatch.setattr("picasso.app.LocalEngine", InlineEngine)
    application = create_app(fake_settings(PLUGIN_DIRS=[str(PLUGINS)]))
    yield application
    close(application)


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current folder that looks like the checkout and may be written to."""
    for name in ("picasso", "docs"):
        (tmp_path / name).symlink_to(ROOT / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def stand_ins(monkeypatch: pytest.MonkeyPatch) -> None:
    """NumPy models in the place of those that need TensorFlow."""

    def load_model(path: str, **options: Any) -> DigitModel:
        assert not set(options) - LOAD_OPTIONS, options
        model = DigitModel()
        model.load()
        return model

    monkeypatch.setattr(models, "load_model", load_model)
    for module, name in (("picasso.models.keras", "KerasModel"), ("picasso.models.tensorflow", "TFModel")):
        stand_in = ModuleType(module)
        setattr(stand_in, name, BaseOfExamples)
        monkeypatch.setitem(sys.modules, module, stand_in)


def run_page(page: str) -> dict[str, Any]:
    """Execute the blocks of a page that are marked so and return what they defined."""
    module = ModuleType("example")
    for block in read_blocks(page):
        if block.mark == "run":
            exec(block.code(), vars(module))  # noqa: S102 - our own documentation
    return vars(module)


# ---- examples ---------------------------------------------------------------------------------------------


def test_every_example_says_what_is_done_with_it() -> None:
    marks = {"python": {"run", "compile", "settings"}, "yaml": {"settings"}}
    silent = [f"{block.page}:{block.line}" for block in BLOCKS if block.mark not in marks.get(block.language, {""})]
    assert not silent
    assert sum(text.count("\n% ") for text in PAGES.values()) == sum(bool(block.mark) for block in BLOCKS)


@pytest.mark.parametrize("name", sorted({block.page for block in BLOCKS if block.mark == "run"}))
def test_examples_run(name: str, checkout: Path, stand_ins: None) -> None:
    run_page(name)


def test_the_python_of_the_readme_runs(checkout: Path, stand_ins: None) -> None:
    picture().save("street.png")
    (block,) = readme("python")
    exec(compile(block, "README.md", "exec"), {})  # noqa: S102 - our own documentation


@pytest.mark.parametrize("block", marked("compile"))
def test_examples_compile(block: Block) -> None:
    block.code()


@pytest.mark.parametrize("block", marked("settings"))
def test_settings_files_are_valid(block: Block, tmp_path: Path) -> None:
    file = tmp_path / f"config.{'py' if block.language == 'python' else block.language}"
    file.write_text(block.text, encoding="utf-8")
    settings = configuration.load(file)
    assert settings.source == file.resolve()
    assert settings.model_load_args() or settings.MODEL


@pytest.mark.parametrize("name", ["FlowerModel", "OldFlowerModel"])
def test_model_classes_of_the_pages_prepare_pictures(name: str, checkout: Path, stand_ins: None) -> None:
    model: Model = run_page("your-own-model.md")[name]()
    model.load()
    model.warm_up()
    views = [picture(seed, size, mode) for seed, (size, mode) in enumerate([((50, 20), "RGB"), ((9, 31), "L")])]
    prepared = pipeline.prepare(model, [pipeline.Picture("one", view) for view in views])
    for one in prepared:
        assert one.exact_view
        assert one.view.size == (32, 24)
        assert -1 <= one.array.min() < 0 < one.array.max() <= 1
        assert one.predictions[0]["name"] in {"daisy", "dandelion", "rose", "sunflower", "tulip"}


@pytest.mark.parametrize(
    ("heading", "place"),
    [
        ("## Keras", "keras.KerasModel"),
        ("## SavedModel", "saved_model.SavedModel"),
        ("## TensorFlow 1", "tensorflow.TFModel"),
        ("## ONNX", "predict_only.ONNXModel"),
        ("## TFLite", "predict_only.TFLiteModel"),
    ],
)
def test_every_argument_of_every_format_is_described(heading: str, place: str) -> None:
    """Read from the source, so that nothing here imports TensorFlow."""
    module, name = place.split(".")
    tree = ast.parse((ROOT / "picasso" / "models" / f"{module}.py").read_text(encoding="utf-8"))
    cls = next(node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == name)
    load = next(node for node in cls.body if isinstance(node, ast.FunctionDef) and node.name == "load")
    described = re.findall(r"^\| `(\w+)` \|", section("formats.md", heading), re.MULTILINE)
    assert set(described) == {argument.arg for argument in load.args.args} - {"self"}
    assert f"`picasso.models.{place}`" in PAGES["formats.md"]


def test_the_note_about_preprocessing_is_quoted_as_it_is() -> None:
    quoted = " ".join(PAGES["your-own-model.md"].replace("\n>", "").split())
    assert pipeline.UNFAITHFUL in quoted


# ---- command line -----------------------------------------------------------------------------------------


def readme(language: str) -> list[str]:
    """Return the blocks of the README in a language."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    return [found["text"] for found in FENCE.finditer(text) if found["language"] == language]


README_COMMANDS = [
    shlex.split(line, comments=True)
    for block in readme("sh")
    for line in block.splitlines()
    if not line.startswith("#")
]


@pytest.mark.parametrize(
    "arguments",
    commands("picasso") + [line[1:] for line in README_COMMANDS if line[0] == "picasso"],
    ids=" ".join,
)
def test_command_lines_parse(arguments: list[str]) -> None:
    name, *rest = arguments
    try:
        top = main.make_context("picasso", list(arguments))
        chosen = main.commands[name].make_context(name, rest, parent=top).params
    # What --help and --version do, after they have printed; a wrong option is an error of another kind.
    except click.exceptions.Exit:
        return
    assert all((ROOT / word).exists() for word in arguments if word.startswith("picasso/"))
    if chosen.get("preprocess"):
        Preprocessing.parse(chosen["preprocess"])
    if name == "explain":
        visualization = Registry([PLUGINS]).get(chosen["visualization"]).require()
        visualization.ALLOWED_SETTINGS.parse(dict(pair.split("=") for pair in chosen["pairs"]))


def test_make_targets_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    shown = re.findall(r"`make (\w+)", "".join(PAGES.values()))
    lines = commands("make") + [line[1:] for line in README_COMMANDS if line[0] == "make"]
    targets = {word for line in lines for word in line if "=" not in word} | set(shown)
    assert targets
    assert [target for target in targets if not re.search(rf"^{target}:", makefile, re.MULTILINE)] == []


@pytest.mark.parametrize("name", sorted(main.commands))
def test_every_option_is_described(name: str) -> None:
    text = section("command-line.md", f"## picasso {name}")
    for parameter in main.commands[name].params:
        names = parameter.opts if isinstance(parameter, click.Option) else [(parameter.name or "").upper()]
        assert [one for one in names if f"`{one}" not in text] == []


def test_general_options_are_described() -> None:
    for option in ("--help", "-h", "--version"):
        assert f"{option}`" in PAGES["command-line.md"]


# ---- REST -------------------------------------------------------------------------------------------------


def api_routes(app: Flask) -> set[tuple[str, str]]:
    rules = [rule for rule in app.url_map.iter_rules() if rule.rule.startswith("/api")]
    return {(method, rule.rule) for rule in rules for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}}


def test_every_route_is_described(app: Flask) -> None:
    described = re.findall(r"^### `([A-Z]+) (/api\S*)`$", PAGES["rest.md"], re.MULTILINE)
    assert set(described) == api_routes(app)
    assert len(described) == len(set(described))


def request_of(words: list[str], names: dict[str, str]) -> dict[str, Any]:
    """Turn the arguments of curl into those of the test client, with the names that this server made up."""

    def real(text: str) -> str:
        return GENERATED.sub(lambda found: names.get(found.group(), found.group()), text)

    request: dict[str, Any] = {"method": "GET"}
    rest = iter(words)
    for word in rest:
        if word == "-X":
            request["method"] = next(rest)
        elif word == "-F":
            field, _, file = next(rest).partition("=@")
            body = io.BytesIO((ROOT / file).read_bytes())
            request.setdefault("data", {}).setdefault(field, []).append((body, Path(file).name))
            request["method"] = "POST"
        elif word == "--json":
            request |= {"json": json.loads(real(next(rest))), "method": "POST"}
        elif word in ("-b", "-c", "-o"):
            next(rest)
        else:
            assert word.startswith(f"{ADDRESS}/api/"), word
            request["path"] = real(word.removeprefix(ADDRESS))
    return request


def compare(shown: Any, real: Any, names: dict[str, str], where: str = "answer") -> None:
    """Check that an answer has the fields and types that the page shows, and learn generated names from it."""
    if isinstance(shown, dict):
        assert isinstance(real, dict), where
        # What is said of a model may grow; every other answer is shown with all its fields.
        assert list(shown) == [key for key in real if key in shown or not where.endswith(".model")], where
        for key, value in shown.items():
            compare(value, real[key], names, f"{where}.{key}")
    elif isinstance(shown, list):
        assert isinstance(real, list), where
        assert bool(shown) == bool(real), where
        for one in shown[:1]:
            compare(one, real[0], names, f"{where}[0]")
    elif isinstance(shown, str):
        assert isinstance(real, str), where
        names.update(zip(GENERATED.findall(shown), GENERATED.findall(real), strict=True))
    else:
        assert type(shown) is type(real), where


def test_rest_examples(app: Flask) -> None:
    """Every line of curl is sent, in the order of the page, and answered with the fields that the page shows."""
    client = app.test_client()
    names: dict[str, str] = {}
    sent: set[tuple[str, str]] = set()
    answer: Any = None
    for block in read_blocks("rest.md"):
        if block.language == "console":
            for _, *words in shell_lines(block):
                request = request_of(words, names)
                rule, _ = app.url_map.bind("").match(request["path"].partition("?")[0], request["method"], True)
                sent.add((request["method"], rule.rule))
                with client.open(**request) as response:
                    answer = response.get_json(silent=True)
                wrong = 400 if "Window=0.33" in request["path"] else 0
                assert response.status_code in (wrong or 200, 202), f"{block.page}:{block.line}: {answer}"
        elif block.language == "json":
            compare(json.loads(block.text), answer, names)
    assert sent == api_routes(app)


def family(cls: type[errors.PicassoError]) -> Iterator[type[errors.PicassoError]]:
    yield cls
    for derived in cls.__subclasses__():
        yield from family(derived)


def test_every_error_code_is_described() -> None:
    rows = [row for row in section("rest.md", "## Errors").splitlines() if row.startswith("|")]
    codes = {(cls.status, cls.code) for cls in family(errors.PicassoError) if cls.__module__.startswith("picasso")}
    codes |= {(status, code) for status, (code, _) in SENTENCES.items()}
    missing = [
        (status, code)
        for status, code in codes
        if not any(row.startswith(f"| {status} |") and f"`{code}`" in row for row in rows)
    ]
    assert missing == []


# ---- settings ---------------------------------------------------------------------------------------------


def load_tables() -> ModuleType:
    spec = importlib.util.spec_from_file_location("tables_of_the_docs", DOCS / "_ext" / "tables.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_setting_is_described() -> None:
    made: dict[str, str] = load_tables().substitutions()
    assert "{{ settings }}" in PAGES["settings.md"]
    assert "{{ replaced }}" in PAGES["settings.md"]
    for key, default in configuration.DEFAULTS.items():
        assert f"| `{key}` | {type(default).__name__} |" in made["settings"]
    for key in configuration.REPLACED:
        assert f"| `{key}` |" in made["replaced"]
    assert not re.search(r"\n\n|\{\{", made["settings"] + made["replaced"])


def test_tables_of_the_pages_exist() -> None:
    made = load_tables().substitutions()
    used = [name for text in PAGES.values() for name in re.findall(r"^\{\{ (\w+) \}\}$", text, re.MULTILINE)]
    assert sorted(used) == sorted(made)


# ---- visualizations ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("entry", Registry().entries(), ids=lambda entry: entry.name)
def test_every_built_in_visualization_is_described(entry: Any) -> None:
    text = section("visualizations.md", f"## {entry.name}")
    assert entry.cls.REFERENCE_LINK in text
    assert "misleads" in text
    if entry.cls.ALLOWED_SETTINGS.controls():
        assert f"{{{{ settings_of_{entry.name} }}}}" in text


def contract() -> list[tuple[str, str]]:
    """Return everything that the author of a visualization may use, and the section that must mention it."""
    macros = (ROOT / "picasso" / "templates" / "macros.html").read_text(encoding="utf-8")
    fields_of = {
        "### Class attributes": [*BaseVisualization.__annotations__, "make_visualization"],
        "### The task": [
            *(f"task.{field.name}" for field in fields(Task)),
            *(field.name for field in fields(Input)),
        ],
        "### Panels": [field.name for field in fields(Panel)],
        "### Settings fields": [
            name
            for function in (choice, number, slider, toggle)
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
    pictures = [picture(seed) for seed in range(3)]
    results = picasso.explain(linear, pictures, "FunViz", plugin_dirs=[PLUGINS], Direction=direction, Bands=4)
    assert len(results) == len(pictures)
    for image, result in zip(pictures, results, strict=True):
        (panel,) = result.panels
        expected = bands_of(linear.weights[panel.class_index or 0], linear.preprocess([image])[0], 4, axis)
        np.testing.assert_allclose(panel.array, expected, atol=1e-4)
        assert panel.title == result.predictions[0]["name"]
        assert panel.signed


def test_the_plugin_of_the_pages_appears_and_renders(app: Flask) -> None:
    client = app.test_client()
    assert "FunViz" in client.get("/").text
    form = client.get("/visualizations/FunViz").text
    assert 'name="Direction"' in form
    assert 'name="Bands"' in form
    with (ROOT / "picasso/examples/samples/mnist/4-00004.png").open("rb") as file:
        client.post("/api/images", data={"file": file})
    started = client.post("/api/runs", json={"visualization": "FunViz", "settings": {"Bands": 3}})
    assert started.status_code == 202
    page = client.get(f"/runs/{started.get_json()['id']}").text
    assert "red bands speak for the class" in page
    assert "drop of the logit" in page


# ---- pages ------------------------------------------------------------------------------------------------


def test_every_module_is_in_the_architecture() -> None:
    package = ROOT / "picasso"
    modules = [file.name for file in package.glob("*.py") if not file.name.startswith("__")]
    modules += [file.name for file in package.glob("models/*.py") if not file.name.startswith("__")]
    folders = [f"{file.parent.name}/" for file in package.glob("*/__init__.py")]
    text = section("architecture.md", "## Modules")
    assert [name for name in modules + folders if f"`{name}`" not in text] == []


@pytest.mark.parametrize("name", PAGES)
def test_relative_links_resolve(name: str) -> None:
    targets = re.findall(r"\]\(([^)\s]+)\)", PAGES[name])
    included = re.findall(r"^(?:```\{literalinclude\}|:file:) (\S+)$", PAGES[name], re.MULTILINE)
    files = [target.partition("#")[0] for target in targets if "://" not in target] + included
    assert [file for file in files if file and not (DOCS / file).is_file()] == []


def test_every_page_is_in_a_table_of_contents() -> None:
    listed = re.findall(r"^```\{toctree\}\n(.*?)^```$", PAGES["index.md"], re.MULTILINE | re.DOTALL)
    names = {f"{line}.md" for part in listed for line in part.splitlines() if line and not line.startswith(":")}
    assert names | {"index.md"} == set(PAGES)


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
    pages = (tmp_path / "html").glob("*.html")
    assert [page.name for page in pages if foreign.search(page.read_text(encoding="utf-8"))] == []
