"""The examples in docstrings run as they stand, and every public name has one.

A class or a function is public if ``__all__`` lists it, in one of the packages below or in a module of
``picasso.attribution``, or if a page of the documentation imports it in an example or shows its docstring.

Docstrings are read from the source, and an example starts without any name, like a reader who pastes it. So an example
imports all that it uses, and nothing here imports TensorFlow; the examples that do are slow.
"""

from __future__ import annotations

import ast
import doctest
import re
from pathlib import Path

import pytest
from flask import Flask

from tests.conftest import close
from tests.docs.blocks import BLOCKS, PAGES, ROOT

PACKAGES = ("picasso", "picasso.models", "picasso.visualizations", "picasso.audit.interventions")
# What the slow examples load or import; TensorFlow takes seconds to start.
ON_TENSORFLOW = re.compile(r"examples/keras/data/mnist\.keras|import (Explain|Audit)$", re.MULTILINE)


def name_of(file: Path) -> str:
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {
    name_of(file): ast.parse(file.read_text(encoding="utf-8")) for file in sorted((ROOT / "picasso").rglob("*.py"))
}
DEFINITIONS = {
    f"{module}.{node.name}": node
    for module, tree in MODULES.items()
    for node in tree.body
    if isinstance(node, ast.ClassDef | ast.FunctionDef)
}
# The docstrings with an example, those of methods and modules included, by their place.
EXAMPLES = {
    f"{module}:{getattr(node, 'name', '')}": text
    for module, tree in MODULES.items()
    for node in ast.walk(tree)
    if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
    and ">>> " in (text := ast.get_docstring(node) or "")
}


def home(module: str, name: str) -> str:
    """Return the full name where a name is defined, which a module may only import."""
    full = f"{module}.{name}"
    if full in DEFINITIONS:
        return full
    if full in MODULES:
        # A module has a docstring, but it is no class and no function.
        return ""
    for node in ast.walk(MODULES.get(module, ast.Module([], []))):
        if isinstance(node, ast.ImportFrom) and any((one.asname or one.name) == name for one in node.names):
            return home(node.module or "", name)
    return ""


def listed(module: str) -> list[str]:
    for node in MODULES[module].body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__all__":
            names: list[str] = ast.literal_eval(node.value)
            return names
    return []


def public() -> set[str]:
    """Return the full names of the public classes and functions; constants and types have no docstring."""
    packages = [*PACKAGES, *(module for module in MODULES if module.startswith("picasso.attribution."))]
    names = [(module, name) for module in packages for name in listed(module)]
    for block in BLOCKS:
        for node in ast.walk(ast.parse(block.text)) if block.language == "python" else []:
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("picasso"):
                names += [(node.module or "", one.name) for one in node.names]
    for text in PAGES.values():
        names += re.findall(r"^\.\. auto(?:function|class):: (\S+)\.(\w+)$", text, re.MULTILINE)
    return {home(module, name) for module, name in names} - {""}


@pytest.mark.parametrize("name", sorted(public()))
def test_public_names_have_examples(name: str) -> None:
    text = ast.get_docstring(DEFINITIONS[name]) or ""
    assert ">>> " in text.partition("\nExamples:\n")[2]


def test_each_way_to_be_public_finds_names() -> None:
    assert {"picasso.models.loading.load_model", "picasso.visualizations.settings.choice"} <= public()
    assert {
        "picasso.models.base.Model",
        "picasso.attribution.masks.RandomMasks",
        "picasso.web.app.create_app",
    } <= public()


def test_every_example_is_found() -> None:
    files = (ROOT / "picasso").rglob("*.py")
    assert len(EXAMPLES) == sum(
        len(re.findall(r"^ *Examples?:$", file.read_text(encoding="utf-8"), re.M)) for file in files
    )


@pytest.mark.parametrize("module", [name for name in MODULES if name.startswith("picasso.attribution.")])
def test_what_attribution_methods_share_is_described(module: str) -> None:
    rows = re.findall(rf"^\| `{re.escape(module)}` \| (.*) \|$", PAGES["your-own-visualization.md"], re.MULTILINE)
    assert [name for name in listed(module) if not any(f"`{name}`" in row for row in rows)] == []


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.slow] * bool(ON_TENSORFLOW.search(text)))
        for name, text in EXAMPLES.items()
    ],
)
def test_examples_run(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    example = doctest.DocTestParser().get_doctest(EXAMPLES[name], {"__name__": "__main__"}, name, name, 0)
    reported: list[str] = []
    try:
        result = doctest.DocTestRunner().run(example, out=reported.append, clear_globs=False)
    finally:
        for value in example.globs.values():
            if isinstance(value, Flask):
                close(value)
    assert result.attempted > 1
    assert result.failed == 0, "".join(reported)
