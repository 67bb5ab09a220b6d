"""The scripts of the page *Serving a team* that need a cluster: what they start is started here."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from picasso.cli.command import main
from picasso.jobs.tasks import Task
from tests.docs.blocks import FENCE, PAGES, ROOT
from tests.jobs.test_engine import until
from tests.jobs.test_folder_worker import Server


def block(language: str, holding: str) -> str:
    """Return the block of the page in a language that holds a text."""
    found = [one["text"] for one in FENCE.finditer(PAGES["team.md"]) if one["language"] == language]
    (text,) = [one for one in found if holding in one]
    return text


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    (tmp_path / "picasso").mkdir()
    server = Server(tmp_path / "picasso")
    yield server
    server.close()


def test_the_script_for_slurm_starts_a_worker_that_ends_with_term(server: Server, tmp_path: Path) -> None:
    text = block("sh", "#SBATCH").replace("/shared", shlex.quote(str(tmp_path)))
    script = tmp_path / "workers.sh"
    script.write_text(text)
    crew = server.start()
    programs = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    variables = {**os.environ, "SLURM_CPUS_PER_TASK": "1", "PATH": programs, "PYTHONPATH": str(ROOT)}
    started = subprocess.Popen(["/bin/sh", str(script)], env=variables, stderr=subprocess.DEVNULL)
    try:
        run = server.run("session")
        server.tasks.add(Task(run.folder)).result(timeout=90)
        assert run.state()["state"] == "finished"
    finally:
        started.terminate()
    # The shell was replaced by the worker, so the signal reaches it.
    assert started.wait(timeout=30) == 0
    until(lambda: crew.health() == "no workers", 10)


def test_slurm_sends_a_signal_that_a_worker_understands() -> None:
    options = dict(line.removeprefix("#SBATCH --").split("=") for line in block("sh", "#SBATCH").splitlines()[1:8])
    # Without B:, the script gets none.
    assert options["signal"] == "B:TERM@60"
    assert options["array"] == "1-4"


def test_the_deployment_for_kubernetes_starts_workers() -> None:
    document = yaml.safe_load(block("yaml", "kind: Deployment"))
    template = document["spec"]["template"]
    assert document["spec"]["selector"]["matchLabels"] == template["metadata"]["labels"]
    (container,) = template["spec"]["containers"]
    program, command, folder = container["command"]
    assert program == "picasso"
    assert command in main.commands
    (mounted,), (volume,) = container["volumeMounts"], template["spec"]["volumes"]
    assert mounted["name"] == volume["name"]
    assert folder.startswith(f"{mounted['mountPath']}/")
    # The user of the image; tasks of other users are ignored.
    user = template["spec"]["securityContext"]["runAsUser"]
    assert f"--uid {user} " in (ROOT / "Dockerfile").read_text()
