"""What happens when something breaks: ``python -m benchmarks.faults``; prints what was done and what came of it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from benchmarks.load import DIGITS
from benchmarks.measuring import markdown
from benchmarks.serving import Client, Refused, Server

LONG = {"visualization": "PartialOcclusion", "settings": {"Strides": 30, "Window": 0.05, "Occlusion": "all"}}
SHORT = {"visualization": "SaliencyMaps"}
# Nothing is to be found that was computed before.
COMPUTED: dict[str, Any] = {"CACHE_MB": 0}


def begun(client: Client) -> str:
    """Start a long run of all digits, and return its address when it is at work."""
    client.upload(DIGITS)
    url: str = client.json("start", "POST", "/api/runs", LONG)["url"]
    while client.json("poll", "GET", url)["state"] == "waiting":
        time.sleep(0.01)
    return url


def ended(client: Client, url: str) -> tuple[dict[str, Any], float]:
    """Wait for the end of a run; return it and how many seconds that took."""
    started = time.perf_counter()
    while True:
        state: dict[str, Any] = client.json("poll", "GET", url)
        if state["state"] not in ("waiting", "running"):
            return state, time.perf_counter() - started
        time.sleep(0.02)


def goes_on(client: Client) -> str:
    """Say whether a short run succeeds, and after how many seconds."""
    started = time.perf_counter()
    state, _ = ended(client, client.json("start", "POST", "/api/runs", SHORT)["url"])
    return f"the next run {state['state']} after {time.perf_counter() - started:.1f} s"


def killed_worker(server: Server) -> str:
    """Kill -9 of the process that computes, in the middle of a run."""
    client = Client(server.address)
    url = begun(client)
    os.kill(server.worker, signal.SIGKILL)
    state, seconds = ended(client, url)
    return f"the run {state['state']} after {seconds:.2f} s: “{state['error']['message']}”; {goes_on(client)}"


def stopped_worker(server: Server) -> str:
    """The process that computes is stopped in the middle of a run, as one is that hangs."""
    client = Client(server.address)
    url = begun(client)
    os.kill(server.worker, signal.SIGSTOP)
    state, seconds = ended(client, url)
    said = f"the run {state['state']} after {seconds:.0f} s: “{state['error']['message']}”; {goes_on(client)}"
    return f"{said}; /readyz is answered {client.request('ready', 'GET', '/readyz')[0]}"


def vanished_session(server: Server, folder: Path) -> str:
    """The folder of a session is deleted in the middle of its run."""
    client, other = Client(server.address), Client(server.address)
    begun(client)
    other.upload(DIGITS[:1])
    (sessions,) = folder.glob("picasso-*/sessions")
    newest = max(sessions.glob("*/runs/*"), key=lambda path: path.stat().st_ctime)
    shutil.rmtree(newest.parents[1])
    status, _ = client.request("poll", "GET", "/api/runs")
    again = len(client.upload(DIGITS[:1]))
    return f"its visitor is answered {status} and can upload again ({again} image); for another {goes_on(other)}"


def full_disk(server: Server, folder: Path) -> str:
    """The disk is filled to the last byte."""
    client = Client(server.address)
    client.upload(DIGITS[:1])
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))
    try:
        client.upload(DIGITS[:1])
        said = "the upload was taken"
    except Refused as refused:
        said = f"an upload is answered {str(refused).strip()}"
    status = client.request("page", "GET", "/")[0]
    ballast.unlink()
    return f"{said}; the page {status}; with room again {goes_on(client)}"


def terminated(server: Server, folder: Path) -> str:
    """SIGTERM in the middle of a run."""
    begun(Client(server.address))
    worker, started = server.worker, time.perf_counter()
    server.process.terminate()
    status = server.process.wait(timeout=60)
    seconds = time.perf_counter() - started
    left = [path.name for path in folder.iterdir()]
    return f"ended after {seconds:.1f} s with status {status}; {alive(worker)}; files left: {len(left)}"


def killed_server(folder: Path) -> str:
    """SIGKILL in the middle of a run, and a new start."""
    with Server(COMPUTED, folder) as server:
        client = Client(server.address)
        begun(client)
        worker = server.worker
        server.process.kill()
        server.process.wait()
        deadline = time.monotonic() + 10
        while Path(f"/proc/{worker}").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        said = alive(worker)
    left = len(list(folder.iterdir()))
    with Server(COMPUTED, folder) as server:
        now = len(list(folder.iterdir()))
        status, _ = client_of(server, client).request("images", "GET", "/api/images")
        other = Client(server.address)
        other.upload(DIGITS[:1])
        return (
            f"{said}; folders left {left}, after the new start {now} (its own); an old cookie is answered {status}; "
            f"{goes_on(other)}"
        )


def client_of(server: Server, old: Client) -> Client:
    """Return a client of a server that still has the cookie of another one."""
    client = Client(server.address)
    client._cookie = old._cookie
    return client


def alive(pid: int) -> str:
    """Say whether a worker lives."""
    return "its worker still lives" if Path(f"/proc/{pid}").exists() else "its worker is gone"


@contextmanager
def small_disk() -> Iterator[Path | None]:
    """Yield a folder on a disk of 8 MB of its own, or None where one may not be made."""
    with tempfile.TemporaryDirectory() as name:
        mount = ["/bin/mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", name]
        if subprocess.run(mount, capture_output=True, check=False).returncode:
            yield None
            return
        try:
            yield Path(name)
        finally:
            subprocess.run(["/bin/umount", "-l", name], check=False)


def main() -> None:
    """Break one thing after the other."""
    rows: list[tuple[str, str]] = []

    def tell(scene: Callable[..., str], *arguments: Any) -> None:
        rows.append(((scene.__doc__ or "").rstrip("."), scene(*arguments)))
        print(*rows[-1], sep=": ", flush=True)

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with Server(COMPUTED, folder) as server:
            tell(killed_worker, server)
            tell(stopped_worker, server)
            tell(vanished_session, server, folder)
            tell(terminated, server, folder)
        tell(killed_server, folder)
    with small_disk() as disk:
        if disk:
            with Server(COMPUTED, disk) as server:
                tell(full_disk, server, disk)
    print("\n".join(markdown(("fault", "result"), rows)))


if __name__ == "__main__":
    main()
