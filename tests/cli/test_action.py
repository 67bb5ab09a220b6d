"""The composite action: its scripts run as GitHub's runner does, and its inputs are those that it uses."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.audit.test_audit import audit
from tests.cli.test_sarif import results
from tests.docs.blocks import BLOCKS, ROOT

ACTION: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
STEPS = {step["id"]: step for step in ACTION["runs"]["steps"] if "id" in step}
INPUT = re.compile(r"\$\{\{ inputs\.([\w-]+) \}\}")


def run_step(name: str, place: Path, programs: Path, **inputs: str) -> tuple[int, str, dict[str, str]]:
    """Run the script of a step, and return its status, what it printed and its outputs."""
    step, bash = STEPS[name], shutil.which("bash")
    assert step["shell"] == "bash"
    assert bash
    given = {key: one.get("default", "") for key, one in ACTION["inputs"].items()} | {
        key.replace("_", "-"): value for key, value in inputs.items()
    }
    variables = {key: INPUT.sub(lambda found: given[found[1]], text) for key, text in step["env"].items()}
    for file in ("output", "step_summary"):
        (place / file).touch()
    github = {
        "GITHUB_ACTION_PATH": str(ROOT),
        "GITHUB_OUTPUT": str(place / "output"),
        "GITHUB_STEP_SUMMARY": str(place / "step_summary"),
        "GITHUB_WORKSPACE": str(place),
        "RUNNER_TEMP": str(place),
    }
    path = os.pathsep.join([str(programs), str(Path(sys.executable).parent), os.environ["PATH"]])
    (place / "step.sh").write_text(step["run"], encoding="utf-8")
    done = subprocess.run(
        [bash, "--noprofile", "--norc", "-eo", "pipefail", str(place / "step.sh")],
        cwd=place,
        env=os.environ | github | variables | {"PATH": path, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    outputs = dict(line.split("=", 1) for line in (place / "output").read_text(encoding="utf-8").splitlines())
    return done.returncode, done.stdout + done.stderr, outputs


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A folder of programs that come first: a python and a picasso that only print their arguments, one per line."""
    folder = tmp_path / "programs"
    folder.mkdir()
    for name in ("python", "picasso"):
        (folder / name).write_text("#!/bin/sh\nprintf '%s\\n' \"$@\"\n", encoding="utf-8")
        (folder / name).chmod(0o755)
    return folder


def test_inputs_reach_the_command_whatever_they_contain(tmp_path: Path, programs: Path) -> None:
    odd = """a "b' $(touch bad) `touch bad`; touch bad"""
    status, said, outputs = run_step(
        "audit", tmp_path, programs, folder="-my images", model=odd, fail_on="0.3", arguments="--pairs=2\n\n--seed=3"
    )
    assert status == 0
    assert said.splitlines() == [
        "audit", "--out=picasso-audit", f"--summary={tmp_path / 'step_summary'}", "--annotations=github",
        f"--sarif={tmp_path / 'picasso.sarif'}", f"--model={odd}", "--fail-on=0.3", "--pairs=2", "--seed=3", "--",
        "-my images",
    ]  # fmt: skip
    assert outputs == {"status": "0"}
    assert not (tmp_path / "bad").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("  --pairs=2  ", ["--pairs=2"]),
        ("\n\n  --pairs=2\t\n   \n\t--seed=3\n\n", ["--pairs=2", "--seed=3"]),
        ("--pairs=2\r\n--trust-model\r\n", ["--pairs=2", "--trust-model"]),
        ("--pairs 2\n--budget   5m", ["--pairs=2", "--budget=5m"]),
        ("--masks=\"my masks\"\n--samples 'his images'", ["--masks=my masks", "--samples=his images"]),
        ('--load-arg "name= a \\"b\\" "', ['--load-arg=name= a \\"b\\" ']),
        ("--masks=it's\n--samples=\"half", ["--masks=it's", '--samples="half']),
        ("--masks=\"$(touch bad)\"\n'; touch bad; '\n$BAD *", ["--masks=$(touch bad)", "'; touch bad; '", "$BAD *"]),
        ("--masks=''", ["--masks="]),
        (" \r\n\t", []),
    ],
)
def test_arguments_are_one_per_line(arguments: str, words: list[str], tmp_path: Path, programs: Path) -> None:
    status, said, _ = run_step("audit", tmp_path, programs, folder=" images\n", model="\n", arguments=arguments)
    assert (status, said.splitlines()[5:]) == (0, [*words, "--", "images"])
    assert not (tmp_path / "bad").exists()


def test_inputs_of_several_lines_lose_what_yaml_adds(tmp_path: Path, programs: Path) -> None:
    given = {"model": "a b.keras\n", "preprocess": "  torch crop\n\n", "out": "out\n"}
    _, said, _ = run_step("audit", tmp_path, programs, folder="images", **given)
    lines = said.splitlines()
    assert lines[1] == "--out=out"
    assert lines[5:] == ["--model=a b.keras", "--preprocess=torch crop", "--", "images"]


def test_what_is_installed(tmp_path: Path, programs: Path) -> None:
    pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    assert run_step("install", tmp_path, programs)[1].splitlines() == [*pip, str(ROOT)]
    assert (
        run_step("install", tmp_path, programs, install="picasso-viz[onnx]")[1].splitlines()[-1] == "picasso-viz[onnx]"
    )
    assert STEPS["install"]["if"] == "inputs.install != 'none'"


def test_every_input_is_used_and_every_step_runs_when_the_audit_fails() -> None:
    text = (ROOT / "action.yml").read_text(encoding="utf-8")
    assert {*re.findall(r"inputs\.([\w-]+)", text)} == set(ACTION["inputs"])
    for step in ACTION["runs"]["steps"]:
        if "uses" in step:
            assert step["if"].startswith("always() && ")
            assert re.fullmatch(r"[\w/-]+@v\d+", step["uses"])
        else:
            assert "${{" not in step["run"]


@pytest.mark.slow
def test_the_step_audits_a_model(tmp_path: Path) -> None:
    assert audit(tmp_path, 0.9).exit_code == 1
    shutil.rmtree(tmp_path / "out")
    given = {"folder": "images", "config": "config.py", "out": "out", "arguments": "  --pairs '3'\r\n\n--seed=0 \n"}
    own = tmp_path / "own"
    own.mkdir()
    (own / "picasso").write_text(f'#!/bin/sh\nexec {sys.executable} -m picasso "$@"\n', encoding="utf-8")
    (own / "picasso").chmod(0o755)
    status, said, outputs = run_step("audit", tmp_path, own, **given)
    assert (status, outputs) == (1, {"status": "1", "sarif": str(tmp_path / "picasso.sarif")}), said
    assert "::error title=Picasso audit::" in said
    assert (tmp_path / "step_summary").read_text(encoding="utf-8").startswith("## Picasso audit: failed")
    assert {one["level"] for one in results(tmp_path / "picasso.sarif")} >= {"error"}
    (tmp_path / "out" / "audit.json").rename(tmp_path / "baseline.json")
    (tmp_path / "output").unlink()
    status, said, outputs = run_step("audit", tmp_path, own, baseline="baseline.json", **given)
    assert (status, outputs["status"]) == (0, "0"), said
    assert "so it does not fail." in said
    (tmp_path / "output").unlink()
    status, said, outputs = run_step("audit", tmp_path, own, fail_on="much", **given)
    assert (status, outputs["status"]) == (2, "2"), said
    assert json.loads((tmp_path / "picasso.sarif").read_text())["runs"][0]["results"][0]["ruleId"] == "audit-failed"


def test_the_workflow_in_the_documentation_uses_it() -> None:
    (block,) = (one for one in BLOCKS if one.mark == "action")
    workflow = yaml.safe_load(block.text)
    (job,) = workflow["jobs"].values()
    (step,) = (one for one in job["steps"] if "picasso@" in one.get("uses", ""))
    assert set(step["with"]) <= set(ACTION["inputs"])
    assert {key for key, one in ACTION["inputs"].items() if one.get("required")} <= set(step["with"])
    assert job["permissions"] == {"contents": "read", "security-events": "write"}
