"""An audit that is killed at any moment and started again gives the same report, byte for byte."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from picasso.audit.interventions import INTERVENTIONS
from picasso.audit.properties import Images
from tests.audit.test_audit import Judge, noise_images

# Three classes give more than one pair, so the audit can be killed between pairs.
CONFIG = """
MODEL_CLS_PATH = {file!r}
MODEL_CLS_NAME = "Three"
MODEL_LOAD_ARGS = {{}}
"""


def save(folder: Path) -> None:
    """Write images of three classes, and settings."""
    views: dict[int, Images] = {target: some[:16] for target, some in noise_images("brightness").items()}
    views[2] = views[0].copy()
    views[2][:, 6:18, 2:6] += 0.3
    for target, name in enumerate([*Judge().class_names(), "truck"]):
        place = folder / "images" / name
        place.mkdir(parents=True)
        for index, view in enumerate(np.round(np.clip(views[target], 0, 1) * 255).astype(np.uint8)):
            Image.fromarray(view).save(place / f"{index:02d}.png")
    (folder / "config.py").write_text(CONFIG.format(file=str(Path(__file__).with_name("test_audit.py"))))


def start(folder: Path, out: str) -> subprocess.Popen[bytes]:
    words = [sys.executable, "-m", "picasso", "audit", "images", "--config", "config.py", "--out", out]
    root = Path(__file__).resolve().parents[2]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    return subprocess.Popen(words, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def kill(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGKILL)
    process.wait(timeout=20)


def written(folder: Path) -> dict[str, bytes]:
    """Return all files of a report except the stored trials."""
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in sorted(folder.rglob("*"))
        if file.is_file() and "trials" not in file.parts
    }


def tried(folder: Path) -> int:
    """Return the number of interventions that an audit has stored so far, over all pairs of classes."""
    return sum(json.loads(file.read_text())["tried"] for file in (folder / "trials").glob("pair-*.json"))


@pytest.mark.slow
def test_killed_in_the_midst_it_goes_on_and_writes_the_same(tmp_path: Path) -> None:
    save(tmp_path)
    assert start(tmp_path, "whole").wait(timeout=300) == 1
    total, kept = tried(tmp_path / "whole"), [0]
    assert total > len(INTERVENTIONS)
    # Once during the first pair of classes, and twice later.
    for moment in (1, total // 3, 2 * total // 3):
        process = start(tmp_path, "killed")
        while tried(tmp_path / "killed") < moment and process.poll() is None:
            time.sleep(0.005)
        kill(process)
        kept.append(tried(tmp_path / "killed"))
    assert kept == sorted(kept)
    assert kept[1] < total
    assert start(tmp_path, "killed").wait(timeout=300) == 1
    whole, killed = written(tmp_path / "whole"), written(tmp_path / "killed")
    assert {"report.html", "audit.json", "junit.xml"} < set(whole)
    assert whole.keys() == killed.keys()
    assert whole == killed
