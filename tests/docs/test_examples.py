"""The examples of the pages and of the README run, compile, or are valid settings."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from picasso import config
from picasso.explanation import inputs
from picasso.models.base import Model
from tests.conftest import noise_image
from tests.docs.blocks import BLOCKS, PAGES, ROOT, Block, marked, readme, run_page, section


def test_every_example_says_what_is_done_with_it() -> None:
    marks = {
        "python": {"run", "compile", "settings"},
        "yaml": {"settings", "manifest", "workflow", "action", "hook"},
        "text": {"", "summary", "annotations", "mlflow", "commit"},
        "json": {"", "sarif"},
    }
    silent = [f"{block.page}:{block.line}" for block in BLOCKS if block.mark not in marks.get(block.language, {""})]
    assert not silent
    assert sum(text.count("\n% ") for text in PAGES.values()) == sum(bool(block.mark) for block in BLOCKS)


@pytest.mark.parametrize("name", sorted({block.page for block in BLOCKS if block.mark == "run"}))
def test_examples_run(name: str, checkout: Path, stand_ins: None) -> None:
    run_page(name)


def test_the_python_of_the_readme_runs(checkout: Path, stand_ins: None) -> None:
    noise_image().save("street.png")
    (block,) = readme("python")
    exec(compile(block, "README.md", "exec"), {})  # noqa: S102 - our own documentation


@pytest.mark.parametrize("block", marked("compile"))
def test_examples_compile(block: Block) -> None:
    block.code()


@pytest.mark.parametrize("block", marked("settings"))
def test_settings_files_are_valid(block: Block, tmp_path: Path) -> None:
    file = tmp_path / f"config.{'py' if block.language == 'python' else block.language}"
    file.write_text(block.text, encoding="utf-8")
    settings = config.load(file)
    assert settings.source == file.resolve()
    assert settings.model_load_args() or settings.MODEL


@pytest.mark.parametrize("name", ["FlowerModel", "OldFlowerModel"])
def test_model_classes_of_the_pages_prepare_images(name: str, checkout: Path, stand_ins: None) -> None:
    model: Model = run_page("your-own-model.md")[name]()
    model.load()
    model.warm_up()
    views = [noise_image(seed, size, mode) for seed, (size, mode) in enumerate([((50, 20), "RGB"), ((9, 31), "L")])]
    prepared = inputs.prepare(model, [inputs.NamedImage("one", view) for view in views])
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
        ("## ONNX", "onnx.ONNXModel"),
        ("## TFLite", "tflite.TFLiteModel"),
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
    assert inputs.UNFAITHFUL in quoted
