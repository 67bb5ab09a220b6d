"""Which model it is: hashes that ``sha256sum`` agrees with, of exactly the files that were loaded."""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from picasso import __version__, config
from picasso.errors import ModelError
from picasso.evaluation import model_check
from picasso.models import load_configured, provenance
from picasso.models.info import ModelInfo
from picasso.models.newest import beside
from picasso.models.provenance import fingerprint, versions
from tests.fakes import LinearModel

PACKAGE = Path(config.PACKAGE)
ZOO = Path(__file__).parents[1] / "zoo"


def sha256sum(names: list[str], folder: Path) -> bytes:
    program = shutil.which("sha256sum") or pytest.skip("there is no sha256sum here")
    return subprocess.run([program, *names], capture_output=True, cwd=folder, check=True).stdout


def test_one_file_has_the_hash_that_sha256sum_says() -> None:
    file = PACKAGE / "examples" / "keras" / "data" / "mnist.keras"
    assert fingerprint([file]) == hashlib.sha256(file.read_bytes()).hexdigest()
    assert fingerprint([file]) == sha256sum([file.name], file.parent).decode().split()[0]


def test_files_may_be_named_as_text(tmp_path: Path) -> None:
    file = tmp_path / "weights.bin"
    file.write_bytes(b"weights")
    assert fingerprint([str(file)]) == fingerprint([file]) != ""
    assert fingerprint([str(tmp_path)]) == fingerprint([tmp_path]) != ""


def test_no_files_have_none(tmp_path: Path) -> None:
    assert fingerprint([]) == ""
    assert fingerprint([tmp_path]) == ""


def write(folder: Path, **contents: str) -> Path:
    for name, text in contents.items():
        file = folder / name.replace("__", "/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return folder


def test_a_folder_has_the_hash_of_what_sha256sum_says_of_all_its_files(tmp_path: Path) -> None:
    folder = write(tmp_path / "model", b="1", a__z="2", a__y__x="3", c="")
    names = sorted(str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file())
    assert fingerprint([folder]) == hashlib.sha256(sha256sum(names, folder)).hexdigest()


def test_names_and_contents_count_and_the_place_does_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = write(tmp_path / "one", model="w", weights__0="v")
    hashes = {
        fingerprint([one]),
        fingerprint([write(tmp_path / "moved" / "elsewhere", model="w", weights__0="v")]),
        fingerprint([one / "weights", one / "model"]),
        fingerprint([one / "model", one / "weights" / "0", one / "model"]),
    }
    monkeypatch.chdir(one)
    assert hashes == {fingerprint([Path("weights"), Path("model")])}
    others = [
        write(tmp_path / "renamed", model="w", weights__1="v"),
        write(tmp_path / "changed", model="w", weights__0="u"),
        write(tmp_path / "swapped", model="v", weights__0="w"),
        write(tmp_path / "more", model="w", weights__0="v", weights__1=""),
    ]
    assert len(hashes | {fingerprint([other]) for other in others}) == 1 + len(others)


def test_a_name_can_not_pretend_to_be_two_lines(tmp_path: Path) -> None:
    two = write(tmp_path / "two", a="1", b="2")
    second = hashlib.sha256(b"2").hexdigest()
    (tmp_path / "one").mkdir()
    # The "/" of a path can't be part of a name, but the end of a line can.
    (tmp_path / "one" / f"a\n{second}  b").write_text("1")
    assert fingerprint([two]) != fingerprint([tmp_path / "one"])
    (tmp_path / "one" / os.fsdecode(b"\xff")).write_text("")
    names = sorted(file.name for file in (tmp_path / "one").iterdir())
    assert fingerprint([tmp_path / "one"]) == hashlib.sha256(sha256sum(names, tmp_path / "one")).hexdigest()


def test_a_pipe_in_a_folder_is_left_alone(tmp_path: Path) -> None:
    folder = write(tmp_path / "model", a="1")
    before = fingerprint([folder])
    os.mkfifo(folder / "pipe")
    assert fingerprint([folder]) == before


@pytest.mark.parametrize("count", [1, 2])
def test_a_file_that_is_gone(tmp_path: Path, count: int) -> None:
    write(tmp_path, **{"0": "", "1": ""})
    (tmp_path / "1").unlink()
    with pytest.raises(ModelError, match=r"The model file 1 can't be read: No such file or directory\.") as caught:
        fingerprint([tmp_path / "1", tmp_path / "0"][:count])
    assert str(tmp_path) not in caught.value.message


def test_files_beside_a_prefix(tmp_path: Path) -> None:
    endings = (".meta", ".index", ".data-*-of-*")
    wanted = ["m[1]-5.data-00000-of-00001", "m[1]-5.index", "m[1]-5.meta"]
    for name in (*wanted, "m[1]-50.index", "m[1]-5.txt", "m1-5.index"):
        (tmp_path / name).touch()
    (tmp_path / "m[1]-5.data-0-of-2").mkdir()
    assert [file.name for file in beside(tmp_path / "m[1]-5", endings)] == wanted


# ---- what models say of themselves ----------------------------------------------------------------------------------


class FileModel(LinearModel):
    def load(self, **arguments: Any) -> None:
        super().load()
        self.files = (Path(arguments["path"]),)


def load(file: Path, tmp_path: Path) -> FileModel:
    code = tmp_path / "model.py"
    code.write_text("from tests.models.test_provenance import FileModel\n")
    settings = {"MODEL_CLS_PATH": str(code), "MODEL_CLS_NAME": "FileModel", "MODEL_LOAD_ARGS": {"path": str(file)}}
    model = load_configured(config.build({}, None, settings))
    assert type(model) is FileModel
    return model


def test_a_model_keeps_the_hash_of_what_was_loaded(tmp_path: Path) -> None:
    file = tmp_path / "weights"
    file.write_bytes(b"1")
    model = load(file, tmp_path)
    file.write_bytes(b"2")
    assert model.card().fingerprint == hashlib.sha256(b"1").hexdigest()
    assert load(file, tmp_path).card().fingerprint == hashlib.sha256(b"2").hexdigest()
    assert ("sha256", hashlib.sha256(b"1").hexdigest()[:12]) in model_check.check(model, []).lines()


def test_a_model_that_names_no_file_has_no_hash(linear: LinearModel) -> None:
    assert linear.card().fingerprint == ""
    assert "sha256" not in dict(model_check.check(linear, []).lines())


def test_a_card_survives_json_and_old_cards_can_be_read(linear: LinearModel) -> None:
    card = linear.card()
    again = ModelInfo.from_dict(card.as_dict())
    assert again == card
    assert hash(again) == hash(card)
    old = {key: value for key, value in card.as_dict().items() if key not in ("fingerprint", "versions")}
    read = ModelInfo.from_dict(old)
    assert (read.fingerprint, read.versions) == ("", {})


def test_versions_are_of_what_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in set(provenance.COMPUTING) - {"numpy"}:
        monkeypatch.delitem(sys.modules, name, raising=False)
    least = {"python": platform.python_version(), "picasso": __version__, "numpy": np.__version__}
    assert versions() == least
    torch, silent = ModuleType("torch"), ModuleType("silent_runtime")
    torch.__version__ = "9.8.7"  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torch", torch)
    monkeypatch.setitem(sys.modules, "silent_runtime", silent)
    monkeypatch.setattr(provenance, "COMPUTING", ("numpy", "torch", "silent_runtime"))
    assert versions() == {**least, "torch": "9.8.7"}


def test_a_runtime_that_does_not_say_its_version_is_asked_for_it_elsewhere() -> None:
    import importlib.metadata

    import ai_edge_litert

    assert versions()["ai_edge_litert"] == importlib.metadata.version("ai-edge-litert")
    assert ai_edge_litert


def test_the_weights_beside_an_onnx_file_count(tmp_path: Path) -> None:
    from picasso.models import load_model

    file = tmp_path / "logits.onnx"
    file.write_bytes((ZOO / "logits.onnx").read_bytes())
    alone = load_model(file, preprocess="0..1")
    assert alone.card().fingerprint == hashlib.sha256(file.read_bytes()).hexdigest()
    assert "onnxruntime" in alone.card().versions
    (tmp_path / "logits.onnx.data").write_bytes(b"1")
    assert load_model(file, preprocess="0..1").card().fingerprint != alone.card().fingerprint
