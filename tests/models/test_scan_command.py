"""``picasso scan``: verdicts as text, as JSON and as an exit status, without any framework."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from onnx import helper

from picasso.cli.command import main
from picasso.models.recognition import Format
from picasso.models.scan import scan
from picasso.models.scan.checking import READERS
from picasso.models.scan.findings import Kind
from tests.hostile.make_models import every
from tests.hostile.models.onnx_files import custom, last, model
from tests.zoo.make_files import FOLDER


@pytest.fixture
def evil(tmp_path: Path) -> Path:
    """Write a file with an operation of somebody's own."""
    file = tmp_path / "evil.onnx"
    file.write_bytes(model([custom(), last("inner")]).SerializeToString())
    return file


@pytest.fixture
def cut(tmp_path: Path) -> Path:
    """Write a file that is cut off."""
    file = tmp_path / "cut.onnx"
    file.write_bytes(model([last("x")]).SerializeToString()[:-9])
    return file


def test_verdicts_and_statuses(evil: Path, cut: Path) -> None:
    good = FOLDER / "logits.onnx"
    for files, status in (
        ([good], 0),
        ([good, FOLDER / "keras1", FOLDER / "keras2_plain.h5"], 0),
        ([evil], 1),
        ([cut], 2),
        ([good, evil], 1),
        ([evil, cut, good], 2),
        ([Path("nope.keras")], 2),
    ):
        assert CliRunner().invoke(main, ["scan", *map(str, files)]).exit_code == status, files


def test_text_says_what_where_and_what_to_do(evil: Path, cut: Path) -> None:
    said = CliRunner().invoke(main, ["scan", str(FOLDER / "logits.onnx"), str(evil), str(cut), "nope.keras"]).output
    assert said.splitlines() == [
        f"{FOLDER / 'logits.onnx'}: ONNX: data alone",
        f"{evil}: ONNX: refused",
        '  code: the operation "Evil" of the domain "evil.domain" is code that is not in the file; '
        'node "custom" (Evil)',
        "  If you trust the file: --trust-model.",
        f"{cut}: ONNX: can't be read",
        "  broken: it is truncated; cut.onnx",
        "nope.keras: can't be read: There is no model file nope.keras.",
    ]


def test_json_says_the_same(evil: Path) -> None:
    scanned = CliRunner().invoke(main, ["scan", "--json", str(FOLDER / "logits.onnx"), str(evil), "nope.keras"])
    good, bad, missing = json.loads(scanned.output)
    assert good == {
        "path": str(FOLDER / "logits.onnx"), "format": "ONNX", "verdict": "data", "error": "", "findings": [],
    }  # fmt: skip
    (finding,) = bad["findings"]
    assert (bad["verdict"], finding["kind"], finding["where"]) == ("refused", "code", 'node "custom" (Evil)')
    assert finding["remedy"] == "If you trust the file: --trust-model."
    assert (missing["verdict"], missing["error"]) == ("unreadable", "There is no model file nope.keras.")
    assert scanned.exit_code == 2


def test_the_limit_is_an_option(tmp_path: Path) -> None:
    file = tmp_path / "a.onnx"
    weights = helper.make_tensor("w", 1, [1_000_000], bytes(4_000_000), raw=True)
    file.write_bytes(model([last("x")], [weights]).SerializeToString())
    assert CliRunner().invoke(main, ["scan", str(file)]).exit_code == 0
    limited = CliRunner().invoke(main, ["scan", "--model-mb", "3", str(file)])
    assert limited.exit_code == 1
    assert "To allow more: --model-mb 8000." in limited.output


def test_a_format_without_a_scanner_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "model.onnx"
    file.write_bytes(model([last("x")]).SerializeToString())
    assert scan(file).findings == ()
    monkeypatch.delitem(READERS, Format.ONNX)
    (finding,) = scan(file).findings
    assert (finding.kind, finding.what) == (Kind.CODE, "Picasso has no scanner for files of this format")


def test_no_framework_is_imported() -> None:
    files = [str(FOLDER / name) for name in ("logits.onnx", "float.tflite", "keras2_plain.h5", "keras2_zip.keras")]
    code = (
        "import sys; from picasso.cli.command import main\n"
        f"try: main(['scan', *{files!r}])\n"
        "except SystemExit as ended: assert ended.code == 0\n"
        "print(sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = ("tensorflow", "keras", "tf_keras", "onnx", "onnxruntime", "ai_edge_litert", "flatbuffers", "google", "PIL")
    assert [name for name in heavy if f"'{name}'" in done.stdout] == []


def test_every_hostile_file_has_a_name_of_its_own() -> None:
    names = [one.name for one in every()]
    assert len(names) == len(set(names)) >= 60
