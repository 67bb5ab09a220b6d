"""A Dask cluster of this machine: a scheduler, and workers as they are started by hand."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from tests.cli.test_command import free_port

ROOT = Path(__file__).parents[1]


class Cluster:
    """A scheduler on loopback without workers yet.

    Args:
        folder: for the files of the workers.
        scheme: "tcp", or "tls" with certificates in the environment.
        environment: variables of the scheduler and the workers.
    """

    def __init__(self, folder: Path, scheme: str = "tcp", environment: Mapping[str, str] | None = None) -> None:
        self._folder, self._port, self._scheme = folder, free_port(), scheme
        self._environment = environment or {}
        self.workers: list[subprocess.Popen[bytes]] = []
        self.start_scheduler()

    @property
    def engine(self) -> str:
        """The value of ENGINE."""
        return f"{'dask+tls' if self._scheme == 'tls' else 'dask'}://127.0.0.1:{self._port}"

    def start_scheduler(self) -> None:
        """Start the scheduler, also again after its end."""
        own = [
            "--protocol",
            self._scheme,
            "--host",
            "127.0.0.1",
            "--port",
            str(self._port),
            "--dashboard-address",
            "127.0.0.1:0",
        ]
        self.scheduler = self._start("scheduler", *own)

    def add(self, *options: str, prefix: tuple[str, ...] = ()) -> subprocess.Popen[bytes]:
        """Start a worker: a nanny and its process."""
        own = ["--host", "127.0.0.1", "--dashboard-address", "127.0.0.1:0", "--local-directory", str(self._folder)]
        address = f"{self._scheme}://127.0.0.1:{self._port}"
        worker = self._start("worker", address, *own, *(options or ("--nthreads", "1")), prefix=prefix)
        self.workers.append(worker)
        return worker

    def _start(self, *arguments: str, prefix: tuple[str, ...] = ()) -> subprocess.Popen[bytes]:
        paths = os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH"), str(ROOT)]))
        variables = {**os.environ, "PYTHONPATH": paths, **self._environment}
        with (self._folder / f"{arguments[0]}.log").open("ab") as log:
            command = [*prefix, sys.executable, "-m", "dask", *arguments]
            return subprocess.Popen(command, cwd=self._folder, env=variables, stdout=log, stderr=log)

    def close(self) -> None:
        """End everything."""
        for process in (*self.workers, self.scheduler):
            process.terminate()
        for process in (*self.workers, self.scheduler):
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        # The processes of nannies that were killed end by themselves, a moment later.
        time.sleep(0.1)
