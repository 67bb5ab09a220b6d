"""Which questions are the same: every part of the key, what is never reused, and whose names results have."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from picasso import config
from picasso.jobs import repeatable, worker
from picasso.jobs.run import Run, StoredImage
from picasso.models.user_code import find_class
from tests.jobs.asking import Asking, document, files

OCCLUSION = {"visualization": "PartialOcclusion"}


@pytest.fixture
def asking(tmp_path: Path) -> Asking:
    return Asking(tmp_path)


@pytest.mark.parametrize(
    "asked",
    [
        OCCLUSION,
        {"visualization": "RISE", "chosen": {"Masks": 60}},
        {"images": (0, 1, 2, 3, 4)},
        {"models": ["other"]},
        {"model": "other"},
        {"visualization": "ClassProbabilities", "images": (0, 1)},
        {"targets": ["2", "3"]},
    ],
    ids=lambda asked: " ".join(map(str, asked.values())),
)
def test_the_second_answer_is_that_of_computing_anew(asking: Asking, tmp_path: Path, asked: dict[str, Any]) -> None:
    asked = {**asked, "targets": [int(one) for one in asked.get("targets", [])]}
    first = asking.run("anna", **asked)
    assert asking.totals()[:2] == (0, len(first.spec().images))
    second = asking.run("bert", **asked)
    count = len(second.spec().images)
    assert asking.totals()[:2] == (count, count)
    alone = Asking(tmp_path / "alone", megabytes=0)
    shutil.copy2(asking.file, alone.file)
    overrides = asking.settings()
    anew = alone.run("bert", overrides=overrides, **asked)
    for position in range(count):
        assert files(second, position) == files(anew, position)
        assert list(document(second, position).items()) == list(document(anew, position).items())
        assert document(second, position)["image"].startswith("bert")
        assert (second.result_folder(position) / "result.json").read_bytes().startswith(b'{\n "visualization"')
    assert second.state()["fraction"] == 1.0


def test_what_changes_the_answer_is_part_of_the_question(asking: Asking, tmp_path: Path) -> None:
    labels = tmp_path / "labels.txt"
    labels.write_text("\n".join("tuvwxyz"))
    asked: dict[str, dict[str, Any]] = {
        "the image": {"images": (9,)},
        "images computed together": {"images": (0, 1)},
        "their order": {"images": (1, 0)},
        "the visualization": {"visualization": "GradCAM"},
        "a setting": {"chosen": {"Method": "gradient x input"}},
        "a seed": {"chosen": {"Method": "SmoothGrad", "Seed": 1}},
        "another seed": {"chosen": {"Method": "SmoothGrad", "Seed": 2}},
        "a target": {"targets": [2]},
        "another target": {"targets": [3]},
        "the order of targets": {"targets": [3, 2]},
        "a pair": {"targets": [[3, 2]]},
        "a compared model": {"models": ["other"]},
        "another name of it": {"models": ["third"]},
        "two compared models": {"models": ["other", "third"]},
        "in another order": {"models": ["third", "other"]},
        "another model alone": {"model": "other"},
        "notes": {"images": [asking.image("anna", 0, notes=["It was read in grey."])]},
        "the arguments of the model": {"overrides": asking.settings({"shape": [6, 9, 3]})},
        "the preprocessing": {"overrides": asking.settings(PREPROCESS="-1..1")},
        "class names": {"overrides": asking.settings(LABELS=str(labels))},
        "the number of classes shown": {"overrides": asking.settings(TOP_CLASSES=2)},
        "the memory of occlusion": {"overrides": asking.settings(OCCLUSION_MB=200)},
        "the arithmetic": {"overrides": asking.settings(PRECISION="fast")},
        "its limit": {"overrides": asking.settings(PRECISION="fast", PRECISION_LIMIT=0.02)},
        "the task": {"overrides": asking.settings({"embedding": True})},
    }
    assert not asking.hit("anna")
    for part, one in asked.items():
        assert not asking.hit("anna", **one), part
    assert len(asking.entries()) == len(asked) + 1
    for part, one in asked.items():
        assert asking.hit("bert", **one), part


@pytest.mark.parametrize("change", ["model file", "label file", "own code", "environment"])
def test_a_change_outside_of_the_settings_is_noticed(
    asking: Asking, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    labels = tmp_path / "labels.txt"
    labels.write_text("\n".join("tuvwxyz"))
    overrides = asking.settings(LABELS=str(labels))
    assert not asking.hit("anna", overrides=overrides)
    assert asking.hit("bert", overrides=overrides)
    if change == "model file":
        asking.file.write_bytes(b"\2")
    elif change == "label file":
        labels.write_text("\n".join("abcdefg"))
    elif change == "own code":
        monkeypatch.setattr(repeatable, "own_code", lambda: "edited")
    else:
        other = {**repeatable.environment(), "machine": ["another"]}
        monkeypatch.setattr(repeatable, "environment", lambda: other)
    worker.main_model.cache_clear()
    assert not asking.hit("anna", overrides=overrides)
    assert asking.hit("bert", overrides=overrides)


def test_other_images_count_by_their_content_and_have_the_names_of_who_asks(asking: Asking) -> None:
    overrides = asking.settings({"embedding": True})

    def like(session: str, *references: StoredImage, visualization: str = "SaliencyMaps") -> Run:
        named = {image["name"]: image for image in references}
        targets = [f"like:{name}" for name in named]
        images = [asking.image(session, 0)]
        return asking.run(session, images, visualization, overrides=overrides, targets=targets, references=named)

    first = like("anna", asking.image("anna", 1, "like.png"), asking.image("anna", 2, "a"))
    assert [panel["target"] for panel in document(first)["panels"]] == ["like:like.png", "like:a"]
    before = asking.totals()
    second = like("bert", asking.image("bert", 1, "a"), asking.image("bert", 2, "<b>"))
    assert asking.totals().hits == before.hits + 1
    assert [panel["target"] for panel in document(second)["panels"]] == ["like:a", "like:<b>"]
    assert [panel["title"] for panel in document(second)["panels"]] == ["like a", "like <b>"]
    assert files(second) == files(first)
    # The same names and other images.
    like("carl", asking.image("carl", 2, "a"), asking.image("carl", 1, "<b>"))
    assert asking.totals().hits == before.hits + 1
    text = b"".join(file.read_bytes() for file in asking.cache.rglob("document-*"))
    assert b"like.png" not in text
    assert b"<b>" not in text


def test_nothing_of_who_asked_first_is_in_the_cache(asking: Asking) -> None:
    image = asking.image("anna5e55ion", 0, "anna-secret.png", ["A note."])
    run = asking.run("anna5e55ion", [image], models=["other"])
    found = [file for file in asking.cache.rglob("*") if file.is_file()]
    assert len(found) > 5
    for file in found:
        text = str(file.relative_to(asking.cache)).encode() + file.read_bytes()
        for secret in ("anna", image["filename"], run.id, str(asking.folder)):
            assert secret.encode() not in text, (file.name, secret)


def random_model(asking: Asking) -> dict[str, Any]:
    return {"overrides": asking.settings({"jitter": 0.1})}


def trusted_model(asking: Asking) -> dict[str, Any]:
    return {"overrides": asking.settings(TRUST_MODEL=True)}


def model_without_files(asking: Asking) -> dict[str, Any]:
    return {"overrides": asking.settings({"unsaid": True})}


def class_that_promises_nothing(asking: Asking) -> dict[str, Any]:
    return {"overrides": asking.settings(MODEL_CLS_NAME="UndeclaredModel")}


def compared_model_that_is_random(asking: Asking) -> dict[str, Any]:
    other = {"MODEL_LOAD_ARGS": {"file": str(asking.file), "jitter": 0.1}}
    return {"overrides": asking.settings(COMPARE={"other": other}), "models": ["other"]}


def function_for_preprocessing(asking: Asking) -> dict[str, Any]:
    code = asking.folder / "own.py"
    code.write_text(
        "import numpy as np\n\ndef prepare(images):\n    return np.stack([np.resize(one, (6, 9, 3)) for one in images])"
    )
    return {"overrides": asking.settings(PREPROCESS=f"{code}:prepare")}


def plugin_that_promises_nothing(asking: Asking) -> dict[str, Any]:
    return {"visualization": "Means"}


@pytest.mark.parametrize(
    "unsure",
    [
        random_model,
        trusted_model,
        model_without_files,
        class_that_promises_nothing,
        compared_model_that_is_random,
        function_for_preprocessing,
        plugin_that_promises_nothing,
    ],
)
def test_what_is_not_known_for_sure_is_computed_anew(
    asking: Asking, unsure: Callable[[Asking], dict[str, Any]]
) -> None:
    asked = unsure(asking)
    for _ in range(2):
        asking.run(**asked)
    assert (asking.totals(), asking.entries()) == ((0, 0, 0), [])


PLUGIN = """
from picasso.visualizations import BaseVisualization, Panel
{imports}

class Own(BaseVisualization):
    {declared}

    def make_visualization(self, task):
        for image in task.inputs:
            yield [Panel("own", image.array[..., 0] * {factor})]
"""


def test_a_plugin_is_identified_by_its_source(asking: Asking, tmp_path: Path) -> None:
    def run(declared: str = "REPEATABLE = True", imports: str = "", factor: int = 1) -> bool | None:
        number = len(list(tmp_path.glob("plugins*")))
        folder = tmp_path / f"plugins{number}"
        folder.mkdir()
        (folder / "helper.py").write_text("")
        (folder / "own.py").write_text(PLUGIN.format(declared=declared, imports=imports, factor=factor))
        before = asking.totals()
        asking.run(visualization="Own", overrides=asking.settings(PLUGIN_DIRS=[str(folder)]))
        after = asking.totals()
        return None if after == before else after.hits > before.hits

    assert run() is False
    assert run() is True
    assert run(factor=2) is False
    assert run(imports="import math, numpy.linalg as n\nfrom PIL import Image") is False
    assert run(declared="REPEATABLE = False") is None
    assert run(declared="pass") is None
    inherited = "from picasso.visualizations.saliency_maps import SaliencyMaps as BaseVisualization"
    assert run(declared="pass", imports=inherited) is None
    assert run(imports="def load():\n    from yaml import load") is None


def test_imports_of_unknown_modules_are_found_anywhere() -> None:
    assert repeatable.known_imports(b"import os.path\nfrom numpy.linalg import norm\nimport picasso as p")
    for code in ("import json.decoder, helper", "from . import helper", "class A:\n def f(): import helper.part"):
        assert not repeatable.known_imports(code.encode())


def test_all_built_in_methods_are_reused() -> None:
    registry = worker.visualizations('{"file": null, "overrides": {}}')
    for entry in registry.entries():
        assert entry.cls
        assert repeatable.code_of(entry.cls) == ""


def test_classes_of_bundled_examples_are_own_code() -> None:
    cls = find_class(config.build({}, None))
    assert not cls.__module__.startswith("picasso.")
    assert repeatable.code_of(cls) == ""


def test_the_code_of_a_class_is_its_own_and_that_of_its_bases() -> None:
    from tests import fakes

    known = repeatable.code_of(fakes.FileModel)
    assert known
    assert re.fullmatch(r"[0-9a-f]{64} FileModel", known)
    assert repeatable.code_of(fakes.LinearModel) is None


def test_a_resumed_shard_asks_about_what_is_left(asking: Asking) -> None:
    first = asking.run("anna", (0, 1, 2))
    for position in (1, 2):
        shutil.rmtree(first.result_folder(position))
    (first.folder / "done-0").unlink()
    worker.run_shard(str(first.folder), 0)
    assert first.state()["state"] == "finished"
    assert len(asking.entries()) == 2
    assert asking.hit("bert", (1, 2))
