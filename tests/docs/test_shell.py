"""Every command of the README and of the pages works as it is typed.

The shell is that of a reader after ``make run`` and ``source .venv/bin/activate``: the environment's programs come
first, the home folder is empty, and the folder is that of the checkout, with the models and images of ``own_models``
under the names that pages use. All commands of a page run in the same folder, in their order.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.cli.test_command import free_port
from tests.docs.blocks import FENCE, PAGES, ROOT

# What is not run, and why. A make target is looked up instead.
NOT_RUN = {
    r"make ": "installs packages from the network, trains for minutes, or runs the tests themselves",
    r"source \.venv/bin/activate$": "is what the environment of this test stands for",
    r"(python3 -m venv \.venv|\.venv/bin/)": "installs packages from the network",
    r"docker ": "needs Docker",
    r"(export TF_NUM_INTRAOP_THREADS=\$SLURM|exec picasso work )": "needs Slurm; test_team.py runs the script",
    r"export DASK_": "needs certificates; test_dask_crew.py has some",
    r"pip install 'picasso-viz\[(mcp|mlflow|wandb)": "installs packages from the network",
    r"(export MLFLOW_|picasso (audit|explain) .* --log-to mlflow|WANDB_MODE=offline)": "see tests/integrations",
    r"picasso mcp ": "answers an agent's program on standard input; see tests/integrations",
    r"python -m benchmarks\.": "takes longer than an hour",
    r"python -m picasso\.examples\.tanks\.train ": "trains for minutes",
    r"curl ": "needs a server with a past; test_rest.py sends the requests of the page to one",
    r"(cd picasso/examples/tanks|picasso (audit|mend) images .*data/(cloudy|right)\.keras)": "see test_tanks.py",
    r"(picasso|tensorboard) .*(training/config\.yaml|--logdir)": "needs a training; see tests/callbacks",
    r"picasso serve .*/etc/picasso/password": "needs a file that only root can write",
}
SECONDS = 300
TEXTS = {"README.md": (ROOT / "README.md").read_text(encoding="utf-8"), **PAGES}


def commands(text: str) -> list[str]:
    """Return the commands in the blocks of a page."""
    found = []
    for block in FENCE.finditer(text):
        lines = block["text"].replace("\\\n", " ").splitlines()
        if block["language"] == "console":
            found += [line[2:] for line in lines if line.startswith("$ ")]
        elif block["language"] in ("sh", "bash"):
            found += [line for line in lines if line and not line.startswith("#")]
    return found


def why_not(command: str) -> str:
    """Return why a command is not run, or ""."""
    return next((reason for pattern, reason in NOT_RUN.items() if re.match(pattern, command)), "")


RUN = {page: [one for one in commands(text) if not why_not(one)] for page, text in TEXTS.items()}


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The reader's models and images."""
    folder = tmp_path_factory.mktemp("own")
    subprocess.run([sys.executable, "-m", "tests.docs.own_models", str(folder)], check=True, cwd=ROOT)
    return folder


@pytest.fixture
def checkout(own: Path, tmp_path: Path) -> Path:
    """A folder with what the checkout has, and with what is the reader's own."""
    folder = tmp_path / "checkout"
    shutil.copytree(own, folder)
    for name in ("picasso", "docs", "config.py", "Makefile"):
        (folder / name).symlink_to(ROOT / name)
    return folder


def environment(home: Path) -> dict[str, str]:
    """Return the variables of a clean shell."""
    programs = [str(Path(sys.executable).parent), "/usr/local/bin", "/usr/bin", "/bin"]
    variables = {"HOME": str(home), "PATH": os.pathsep.join(programs), "LANG": "C.UTF-8", "PIP_NO_INDEX": "1"}
    # If the tests run without an installation of this checkout.
    return variables | {name: os.environ[name] for name in ("PYTHONPATH",) if name in os.environ}


def serves(command: str, folder: Path, variables: dict[str, str], log: Path) -> str:
    """Start a server, on a free port, and return what it printed if its model does not become ready."""
    port = free_port()
    address = f"http://127.0.0.1:{port}/readyz"
    with log.open("wb") as output:
        arguments = ["bash", "-c", f"exec env {command} --port {port}"]
        server = subprocess.Popen(arguments, cwd=folder, env=variables, stdout=output, stderr=subprocess.STDOUT)
        try:
            deadline = time.monotonic() + SECONDS
            while server.poll() is None and time.monotonic() < deadline:
                try:
                    urllib.request.urlopen(address).close()
                    return ""
                except OSError:
                    time.sleep(0.5)
        finally:
            server.terminate()
            server.wait(timeout=30)
    return log.read_text(encoding="utf-8") or "it did not become ready"


def end(services: list[subprocess.Popen[bytes]]) -> None:
    """End programs that run until Ctrl-C, the last one first."""
    for service in reversed(services):
        service.send_signal(signal.SIGINT)
        service.wait(timeout=60)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name, found in RUN.items() if found])
def test_commands_work_as_typed(name: str, checkout: Path, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    home = tmp_path / "home"
    home.mkdir()
    variables, wrong = environment(home), []
    services: list[subprocess.Popen[bytes]] = []
    request.addfinalizer(lambda: end(services))
    for command in RUN[name]:
        if re.match(r"(dask (scheduler|worker)|picasso work) ", command) and "--idle" not in command:
            # It runs in a terminal of its own, until Ctrl-C.
            arguments = ["bash", "-c", f"exec {command}"]
            services.append(subprocess.Popen(arguments, cwd=checkout, env=variables, stderr=subprocess.DEVNULL))
            said = ""
        elif " serve" in command:
            said = serves(command, checkout, variables, tmp_path / "log")
        else:
            done = subprocess.run(
                ["bash", "-c", command],  # noqa: S607
                cwd=checkout,
                env=variables,
                capture_output=True,
                text=True,
                timeout=SECONDS,
            )
            # The status of an audit is its outcome: the untrained networks of this test separate no classes.
            judged = re.match("picasso audit .*report.html", f"{command} {done.stdout}", re.DOTALL)
            works = done.returncode == 0 or judged or (done.returncode == 1 and "--fail-on warning" in command)
            said = "" if works else f"{done.stdout}{done.stderr}" or "no output"
        wrong += [f"$ {command}\n{said[-1500:]}"] if said else []
    assert not wrong, "\n\n".join(wrong)


def test_what_is_not_run_is_there() -> None:
    every = [one for text in TEXTS.values() for one in commands(text)]
    assert [pattern for pattern in NOT_RUN if not any(re.match(pattern, one) for one in every)] == []


@pytest.mark.parametrize(
    "command", sorted({one for text in TEXTS.values() for one in commands(text) if one.startswith("make ")})
)
def test_make_knows_what_is_typed(command: str) -> None:
    words = shlex.split(command, comments=True)
    done = subprocess.run([*words, "--dry-run"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for example in (word.partition("=")[2] for word in words if word.startswith("EXAMPLE=")):
        config = re.search(r"--config (\S+)|python (\S+prepare_model\.py)", done.stdout)
        assert config, f"EXAMPLE={example} has no settings file"
        assert (ROOT / (config[1] or config[2])).is_file()
