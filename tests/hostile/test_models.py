"""Every hostile model file: refused for the right reason, without looking elsewhere, in little memory."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.hostile.make_models import every, write

MAX_MEGABYTES = 300
# What scans paths in a process of its own, and says what it found, opened and did, and how much memory it took.
SCANNING = """
import json, os, sys
from pathlib import Path
# Imported before anything is recorded: NumPy asks the system which processor it has.
import h5py

done = []
def note(event, arguments):
    if event == "open":
        done.append(os.fsdecode(arguments[0]) if isinstance(arguments[0], (str, bytes)) else "")
    elif event.split(".")[0] in ("socket", "subprocess", "ctypes") or event in ("os.system", "os.exec", "exec_file"):
        done.append(event)
sys.addaudithook(note)
from picasso.models.scan import scan
found = {}
for line in sys.stdin:
    path = line.strip()
    found[path] = [[str(one.kind), f"{one.what}; {one.where}"] for one in scan(Path(path))]
heavy = [name for name in ("tensorflow", "keras", "onnx", "onnxruntime", "ai_edge_litert") if name in sys.modules]
# Not ru_maxrss, which counts what the process that began this one had taken.
(line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:")]
memory = int(line.split()[1]) // 1024
print(json.dumps({"found": found, "done": done, "heavy": heavy, "memory": memory}))
"""


@pytest.fixture(scope="module")
def scanned(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Write all hostile files, and scan them in another process."""
    folder = tmp_path_factory.mktemp("hostile")
    outside = folder / "outside" / "secret.txt"
    outside.parent.mkdir()
    outside.write_text("marker\n" * 100)
    before = {one.name for one in outside.parent.iterdir()}
    paths = {hostile.name: write(hostile, folder, outside) for hostile in every()}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", SCANNING],
        input="\n".join(map(str, paths.values())), capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert {one.name for one in outside.parent.iterdir()} == before
    return {**json.loads(done.stdout), "paths": paths, "folder": folder}


def test_each_is_refused_for_its_reason(scanned: dict[str, Any]) -> None:
    wrong = {}
    for hostile in every():
        found = scanned["found"][str(scanned["paths"][hostile.name])]
        if [kind for kind, _ in found][:1] != [hostile.kind] or not any(
            re.search(hostile.said, one) for _, one in found
        ):
            wrong[hostile.name] = found[:3]
    assert wrong == {}
    assert len(scanned["found"]) >= 60


def test_messages_hold_no_path_and_no_content(scanned: dict[str, Any]) -> None:
    said = [one for found in scanned["found"].values() for _, one in found]
    assert [one for one in said if str(scanned["folder"]) in one or "marker" in one or not one.isprintable()] == []


def test_nothing_else_is_opened_and_nothing_is_run(scanned: dict[str, Any]) -> None:
    folder = scanned["folder"]
    own = [path if path.is_dir() else path.parent for path in scanned["paths"].values()]
    looked = [Path(one) for one in scanned["done"] if str(folder) in one]
    assert looked
    assert [one for one in looked if not any(one.resolve().is_relative_to(place) for place in own)] == []
    rest = [one for one in scanned["done"] if str(folder) not in one]
    assert [one for one in rest if one.startswith(("socket", "subprocess", "os.")) or "passwd" in one] == []
    assert scanned["heavy"] == []


def test_bombs_take_little_memory(scanned: dict[str, Any]) -> None:
    assert scanned["memory"] < MAX_MEGABYTES
