"""Hostile Keras files are refused before anything of them is read by Keras, and nothing that they name is opened."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from picasso.errors import ModelError
from picasso.models.scan import scan
from picasso.models.scan.findings import Kind
from tests.hostile.models import Hostile
from tests.hostile.models.keras_files import FILES, members, packed, weights

LONG_AGO = 1_000_000_000
MAX_MEGABYTES = 300


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """Return a file outside of the model's folder that was last read long ago."""
    file = tmp_path / "outside" / "secret.txt"
    file.parent.mkdir()
    file.write_text("marker\n" * 100)
    os.utime(file, (LONG_AGO, LONG_AGO))
    return file


def untouched(file: Path) -> bool:
    """Tell whether a file of :func:`outside` was neither read nor changed, and none was written beside it."""
    return file.stat().st_atime == LONG_AGO == file.stat().st_mtime and [*file.parent.iterdir()] == [file]


def written(hostile: Hostile, folder: Path, outside: Path) -> Path:
    """Return the path of a hostile file, written into a folder of its own."""
    (folder / "model").mkdir(exist_ok=True)
    hostile.write(folder / "model", outside)
    return folder / "model" / hostile.name


@pytest.mark.parametrize("hostile", FILES, ids=lambda hostile: hostile.name)
def test_a_hostile_file_is_found_out(hostile: Hostile, outside: Path, tmp_path: Path) -> None:
    report = scan(written(hostile, tmp_path, outside))
    found = [one for one in report if one.kind == hostile.kind and re.search(hostile.said, f"{one.what}; {one.where}")]
    assert found, report.findings
    assert untouched(outside)
    assert not [path for path in tmp_path.rglob("*") if "escaped" in path.name]


def test_reading_a_file_would_show(outside: Path) -> None:
    before = outside.stat().st_atime
    outside.read_text()
    if outside.stat().st_atime == before:
        pytest.skip("this file system does not keep when a file was read")


SCANNING = """
import sys
from pathlib import Path
from picasso.models.scan import scan
for line in sys.stdin:
    scan(Path(line.strip()))
# Not ru_maxrss, which counts what the process that began this one had taken.
(line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:")]
print(int(line.split()[1]) // 1024)
"""


def test_a_bomb_ends_in_little_memory(outside: Path, tmp_path: Path) -> None:
    bombs = [hostile for hostile in FILES if hostile.kind == "limit" or "bomb" in hostile.name]
    assert len(bombs) > 8
    paths = [str(written(hostile, tmp_path, outside)) for hostile in bombs]
    ended = subprocess.run(
        [sys.executable, "-c", SCANNING], input="\n".join(paths), capture_output=True, text=True, check=True
    )
    assert int(ended.stdout) < MAX_MEGABYTES


@pytest.mark.parametrize("name", ["wide.keras", "wide.json", "wide_2.json"])
def test_a_few_lines_do_not_become_gigabytes_of_weights(name: str, tmp_path: Path) -> None:
    from picasso.models import load_model

    wide: dict[str, Any] = {"class_name": "Dense", "config": {"units": 30_000}}
    if name != "wide_2.json":
        wide = {"module": "keras.layers", "registered_name": None, **wide}
    layers = [
        {**wide, "class_name": "InputLayer", "config": {"batch_shape": [None, 8, 8, 3], "name": "i"}},
        {**wide, "class_name": "Flatten", "config": {"name": "f"}},
        *({**wide, "config": {**wide["config"], "name": f"d{number}"}} for number in range(2)),
    ]
    whole = {**wide, "class_name": "Sequential", "config": {"name": "m", "layers": layers}}
    if name == "wide_2.json":
        whole["keras_version"] = "2.15.0"
        layers[0]["config"] = {"batch_input_shape": [None, 8, 8, 3], "name": "i"}
    else:
        whole["module"] = "keras"
    if name == "wide.keras":
        (tmp_path / name).write_bytes(packed(members(whole)))
    else:
        (tmp_path / name).write_text(json.dumps(whole))
        (tmp_path / "weights.h5").write_bytes(weights())
    with pytest.raises(ModelError, match=f"{name} was not loaded: its layers create weights of more than 50 MB"):
        load_model(tmp_path / name, trust_model=True)


@pytest.mark.slow
def test_no_hostile_file_is_loaded(outside: Path, tmp_path: Path) -> None:
    from picasso.models import load_model
    from picasso.models.tf.runtime import keras

    for hostile in FILES:
        file = written(hostile, tmp_path, outside)
        with pytest.raises(ModelError) as caught:
            load_model(file)
        assert "\n" not in caught.value.message, hostile.name
        # What the file says may be quoted; where it lies is told by its name.
        assert str(file.parent) not in caught.value.message, hostile.name
        if hostile.kind != "code":
            # Whom one trusts may still send a file that fills the memory.
            with pytest.raises(ModelError):
                load_model(file, trust_model=True)
    assert untouched(outside)
    assert keras.config.image_data_format() == "channels_last"
    assert keras.config.floatx() == "float32"


@pytest.mark.parametrize("size", [0, 1, 30, 200, 2000])
def test_a_file_cut_off_anywhere_is_refused_in_a_sentence(size: int, tmp_path: Path) -> None:
    for zoo in ("keras2_plain.h5", "keras2_zip.keras", "keras2_split/model.json"):
        whole = Path(__file__).parent.parent / "zoo" / zoo
        (tmp_path / whole.name).write_bytes(whole.read_bytes()[:size])
        if whole.suffix == ".json":
            (tmp_path / "weights.h5").write_bytes((whole.parent / "weights.h5").read_bytes())
        assert not scan(tmp_path / whole.name).is_data


def test_what_hides_behind_a_registered_name_is_judged(tmp_path: Path) -> None:
    """Old files are read by class: a registered name does not make TFSMLayer a class of one's own."""
    known = frozenset({"flowers>Scale"})
    hidden = {"class_name": "TFSMLayer", "config": {"name": "x", "filepath": "y"}, "registered_name": "flowers>Scale"}
    for part in (hidden, {**hidden, "module": "flowers"}):
        file = tmp_path / "m.json"
        file.write_text(json.dumps({"class_name": "Sequential", "config": {"name": "m", "layers": [part]}}))
        (found,) = scan(file, known=known)
        assert found.kind is Kind.CODE
