"""The corpus itself: complete, small, frugal at the door, and what fuzzing found stays mended."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.hostile import BOMBS, CASES, FOLDER, found, make_files

MAX_BYTES = 350_000
MAX_MEGABYTES = 100

MEASURE = """
import json, sys
from pathlib import Path
from picasso.imaging import decode
from picasso.errors import PicassoError
from tests.hostile import FOLDER

def peak():
    status = Path("/proc/self/status")
    if status.exists():  # Unlike getrusage(), it does not count what the parent had when it started this.
        return int(status.read_text().split("VmHWM:")[1].split()[0]) // 1024
    import resource
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1_000_000

decode.read((FOLDER / "files" / "colours.png").read_bytes(), "x")
first = peak()
for name in sys.argv[1:]:
    try:
        decode.read((FOLDER / "files" / name).read_bytes(), name)
    except PicassoError as error:
        print(json.dumps([name, error.status, peak() - first]))
"""


def test_the_corpus_is_what_its_script_writes() -> None:
    made = make_files.make()
    assert set(made) == set(CASES) == {file.name for file in (FOLDER / "files").iterdir()}
    # What a compressor wrote may differ from one version of it to the next; what it means may not.
    for name in [one for one in CASES if one.split(".")[0] in ("svg", "html", "heic", "psd", "fits", "words")]:
        assert (FOLDER / "files" / name).read_bytes() == made[name]


def test_the_corpus_is_small() -> None:
    kept = [*(FOLDER / "files").iterdir(), *(FOLDER / "found").iterdir()]
    assert sum(file.stat().st_size for file in kept) < MAX_BYTES


def test_bombs_take_no_memory() -> None:
    command = [sys.executable, "-W", "error", "-c", MEASURE, *BOMBS]
    output = subprocess.run(command, capture_output=True, text=True, check=True, cwd=FOLDER.parents[1]).stdout
    measured = [json.loads(line) for line in output.splitlines()]
    assert [name for name, *_ in measured] == list(BOMBS)
    for name, status, megabytes in measured:
        assert status in (400, 413), name
        assert megabytes < MAX_MEGABYTES, name


@pytest.mark.parametrize("file", found(), ids=lambda file: file.name)
def test_what_fuzzing_found_stays_mended(file: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz", "--file", str(file)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        cwd=FOLDER.parents[1],
    )
    assert done.returncode == 0, done.stdout + done.stderr
