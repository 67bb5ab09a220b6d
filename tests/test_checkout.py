"""The check that tests leave the checkout alone sees what they would do to it."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import difference, states


@pytest.mark.parametrize(
    "deed",
    [
        lambda package: (package / "model.keras").write_bytes(b"1"),
        lambda package: (package / "config.py").write_text("MODEL = 'other'", encoding="utf-8"),
        lambda package: (package / "config.py").unlink(),
        lambda package: (package / "config.py").rename(package / "settings.py"),
        lambda package: ((package / "data").mkdir(), (package / "data").rmdir()),
    ],
)
def test_files_that_tests_add_change_or_delete_are_seen(deed: Callable[[Path], object], tmp_path: Path) -> None:
    package = tmp_path / "picasso"
    (package / "__pycache__").mkdir(parents=True)
    (package / "config.py").write_text("MODEL = ''", encoding="utf-8")
    before = states(tmp_path)
    assert difference(before, states(tmp_path)) == []
    time.sleep(0.02)  # the clock of a file system may be coarse
    deed(package)
    assert difference(before, states(tmp_path)) != []


@pytest.mark.parametrize("name", ["__pycache__", "node_modules", ".pytest_cache", "test-results"])
def test_what_tools_keep_there_is_left_out(name: str, tmp_path: Path) -> None:
    (tmp_path / "config.py").write_bytes(b"")
    before = states(tmp_path)
    (tmp_path / name).mkdir()
    (tmp_path / name / "file").write_bytes(b"1")
    assert difference(before, states(tmp_path)) == []
