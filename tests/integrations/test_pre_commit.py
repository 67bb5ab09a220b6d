"""The pre-commit hook, run by pre-commit in a small repository."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from picasso.cli.check_files import SUFFIXES
from tests.cli.test_command import ONNX
from tests.docs.blocks import BLOCKS, ROOT, block_of

pytest.importorskip("pre_commit")

HOOKS = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with a model, a text and a file that is no model."""
    folder = tmp_path / "repository"
    folder.mkdir()
    shutil.copy(ONNX, folder / "good.onnx")
    (folder / "broken.onnx").write_bytes(b"no model")
    (folder / "notes.txt").write_text("notes\n")
    for words in (["init", "-q"], ["add", "."]):
        subprocess.run(["git", *words], cwd=folder, check=True)  # noqa: S607
    return folder


def pre_commit(repository: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run pre-commit as somebody does who has Picasso in the current environment."""
    variables = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    variables |= {"PATH": path, "PYTHONPATH": str(ROOT), "PRE_COMMIT_HOME": str(repository.parent / "cache")}
    return subprocess.run(
        [sys.executable, "-m", "pre_commit", *words],
        cwd=repository, env=variables, capture_output=True, text=True, timeout=300,
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="pre-commit takes hooks from a repository of git")
def test_try_repo_checks_the_changed_models(repository: Path) -> None:
    tried = ["try-repo", str(ROOT), "picasso-check"]
    done = pre_commit(repository, *tried, "--verbose", "--files", "good.onnx", "notes.txt")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "format  ONNX" in done.stdout
    done = pre_commit(repository, *tried, "--files", "good.onnx", "broken.onnx")
    assert done.returncode == 1
    assert "picasso: " in done.stdout
    assert "broken.onnx" in done.stdout
    assert "exit code: 2" in done.stdout
    done = pre_commit(repository, *tried, "--files", "notes.txt")
    assert (done.returncode, "Skipped" in done.stdout) == (0, True)


@pytest.mark.slow
def test_the_configuration_in_the_documentation(repository: Path) -> None:
    (block,) = (one for one in BLOCKS if one.mark == "hook")
    configuration = yaml.safe_load(block.text)
    (used,) = configuration["repos"]
    (hook,) = used["hooks"]
    assert used["repo"].endswith("/picasso")
    # The same hook from this checkout, without a copy of its repository.
    (own,) = HOOKS
    local = {"repos": [{"repo": "local", "hooks": [own | hook]}]}
    (repository / ".pre-commit-config.yaml").write_text(yaml.safe_dump(local), encoding="utf-8")
    (repository / "labels.txt").write_text("\n".join(map(str, range(4))), encoding="utf-8")
    done = pre_commit(repository, "run", "--files", "good.onnx")
    assert "exit code: 1" in done.stdout, done.stdout + done.stderr
    assert "so the check fails." in done.stdout
    done = pre_commit(repository, "run", "--files", "good.onnx", "broken.onnx")
    told = re.sub(r"written [\d-]+ [\d:]+", "written 2026-03-01 12:00:00", done.stdout)
    assert block_of("commit").strip() == told.strip()


@pytest.mark.slow
def test_the_sarif_file_has_the_alerts_of_all_models(repository: Path) -> None:
    (own,) = HOOKS
    hook = own | {"args": ["--fail-on", "warning", "--sarif", "check.sarif"]}
    local = {"repos": [{"repo": "local", "hooks": [hook]}]}
    (repository / ".pre-commit-config.yaml").write_text(yaml.safe_dump(local), encoding="utf-8")
    shutil.copy(ONNX, repository / "other.onnx")
    done = pre_commit(repository, "run", "--files", "good.onnx", "broken.onnx", "other.onnx")
    assert "exit code: 2" in done.stdout, done.stdout + done.stderr
    found = json.loads((repository / "check.sarif").read_text(encoding="utf-8"))["runs"][0]["results"]
    places = {one["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] for one in found}
    assert places == {"good.onnx", "broken.onnx", "other.onnx"}


def test_the_hook_takes_the_files_that_it_checks() -> None:
    (hook,) = HOOKS
    assert hook["files"] == rf"\.({'|'.join(one[1:] for one in SUFFIXES)})$"
