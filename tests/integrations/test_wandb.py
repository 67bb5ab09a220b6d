"""``picasso audit`` and ``explain`` with ``--log-to wandb``, offline, read back from the file that it writes."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.audit.test_audit import audit
from tests.cli.test_command import config
from tests.conftest import noise_image, png
from tests.docs.blocks import ROOT, block_of, listed

__all__ = ["config"]

pytest.importorskip("wandb")


def records(content: bytes) -> list[Any]:
    """Return the records of the file of an offline run.

    After a header of 7 bytes, it is a log as LevelDB writes it: blocks of 32 KiB with parts of records, each after
    its checksum, its length and its kind (1: all, 2: first, 3: middle, 4: last).
    """
    from wandb.proto import wandb_internal_pb2

    found, part, at = [], b"", 7
    while at + 7 <= len(content):
        left = 32768 - at % 32768
        if left < 7:
            at += left
            continue
        _, length, kind = struct.unpack_from("<IHB", content, at)
        part += content[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):
            record = wandb_internal_pb2.Record()
            record.ParseFromString(part)
            found.append(record)
            part = b""
    return found


def offline(tmp_path: Path, project: str, status: int, *words: str) -> tuple[Any, dict[str, Any], Any]:
    """Run a command, and return the run, its numbers and its artifact."""
    home = {name: str(tmp_path / name.lower()) for name in ("HOME", "WANDB_CACHE_DIR", "WANDB_DATA_DIR")}
    done = subprocess.run(
        [sys.executable, "-m", "picasso", *words, "--log-to", "wandb"],
        cwd=tmp_path, capture_output=True, text=True, timeout=300,
        env=os.environ | home | {"WANDB_MODE": "offline", "WANDB_PROJECT": project, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == status, done.stdout + done.stderr
    (file,) = tmp_path.glob("wandb/offline-run-*/run-*.wandb")
    found = records(file.read_bytes())
    (run,) = (one.run for one in found if one.WhichOneof("record_type") == "run")
    assert run.project == project
    values: dict[str, Any] = {}
    for one in found:
        for item in one.summary.update:
            values[item.key or "/".join(item.nested_key)] = json.loads(item.value_json)
    (artifact,) = (one.artifact for one in found if one.WhichOneof("record_type") == "artifact")
    return run, values, artifact


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_the_audit_is_an_offline_run(tmp_path: Path) -> None:
    audit(tmp_path, 0.9)
    words = ["audit", "images", "--config", "config.py", "--out", "out"]
    run, values, artifact = offline(tmp_path, "tanks", 1, *words)
    written = json.loads((tmp_path / "out" / "audit.json").read_text())
    assert run.job_type == "picasso-audit"
    assert values["audit/alarms"] == sum(one["alarm"] for one in written["findings"]) > 0
    assert values["audit/reliance"] > 0.1
    names = {f"{artifact.name}/{one.path}" for one in artifact.manifest.contents}
    assert names == {f"picasso-audit/{name}" for name in ("audit.json", "junit.xml", "report.html")}
    measured = {name: value for name, value in values.items() if not name.startswith("_")}
    # The page shows what MLflow has; the first line is the name of its run.
    assert block_of("mlflow").splitlines()[1:] == [*listed(measured), *sorted(names)]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_results_are_an_offline_run(config: Path, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png(noise_image()))
    words = ["explain", "a.png", "--config", str(config), "-v", "SaliencyMaps", "--class", "gnu", "--out", "out"]
    run, values, artifact = offline(tmp_path, "digits", 0, *words)
    folder = tmp_path / "out" / "a-SaliencyMaps"
    written = json.loads((folder / "result.json").read_text())
    assert run.job_type == "picasso-explain"
    assert values["explain/value/a.png/SaliencyMaps/gnu"] == written["panels"][-1]["probability"]
    assert values["explain/results"] == 1
    assert (artifact.name, {one.path for one in artifact.manifest.contents}) == (
        "picasso-explain",
        {"report.html", *(f"a-SaliencyMaps/{file.name}" for file in folder.iterdir())},
    )
