"""Workers of a folder that are killed while they compute an audit: the audit is that of one process."""

from __future__ import annotations

import json
import random
import subprocess
import threading
import time
from pathlib import Path

import pytest

from picasso.jobs import task_folder
from tests.jobs.test_batch import config, contents, images, run
from tests.jobs.test_folder_worker import command

__all__ = ["config", "images"]

KILLS = 3


def killer(folder: Path, workers: list[subprocess.Popen[bytes]], ended: threading.Event, killed: set[int]) -> None:
    """Kill the worker of each pair once, at a random moment, and start another one."""
    moments = random.Random(1)  # noqa: S311
    while len(killed) < KILLS and not ended.wait(0.02):
        for lease in folder.glob("*/tasks/taken/*"):
            try:
                pair = json.loads(lease.read_text())["shard"]
            except FileNotFoundError:
                # The worker has ended its task.
                continue
            holds = [one for one in workers if f"-{one.pid}-" in lease.name and one.poll() is None]
            # The command gives up a pair whose worker dies twice.
            if pair in killed or not holds:
                continue
            time.sleep(moments.uniform(0.0, 0.5))
            if lease.exists():
                holds[0].kill()
                holds[0].wait()
                killed.add(pair)
                workers.append(command(folder))
            break


@pytest.mark.slow
def test_an_audit_whose_workers_are_killed_is_that_of_one_process(
    config: Path, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(task_folder.Life.__init__, "__defaults__", (3.0,))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    asked = ("audit", images, "--config", config, "--pairs", 0, "--seed", 1)
    alone = run(*asked, "--out", tmp_path / "alone")
    assert alone.exit_code in (0, 1), alone.output
    shared = tmp_path / "shared"
    shared.mkdir()
    killed: set[int] = set()
    ended, workers = threading.Event(), [command(shared), command(shared)]
    thread = threading.Thread(target=killer, args=(shared, workers, ended, killed))
    thread.start()
    try:
        together = run(*asked, "--out", tmp_path / "together", "--engine", f"folder:{shared}")
    finally:
        ended.set()
        thread.join()
        for one in workers:
            one.terminate()
            one.wait(timeout=20)
    assert together.exit_code == alone.exit_code, together.output
    assert killed
    assert contents(tmp_path / "together" / "trials") == contents(tmp_path / "alone" / "trials")
    documents = [json.loads((tmp_path / out / "audit.json").read_text()) for out in ("alone", "together")]
    for document in documents:
        document.pop("created", None)
    assert documents[0] == documents[1]
    assert not list(shared.iterdir())
