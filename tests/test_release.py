"""What keeps a version from being published."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.release import missing

ROOT = Path(__file__).parents[1]
CHANGES = "# Changes\n\n## 1.0.0rc1\n\n- All of it.\n"


def test_a_version_needs_a_number_and_a_section() -> None:
    assert missing("1.0.0rc1", CHANGES) == ""
    assert "no section ## 1.0.0" in missing("1.0.0", CHANGES)
    assert "no version that can be published" in missing("1.0.0.dev0", CHANGES)


def test_no_file_is_both_tracked_and_ignored() -> None:
    git = ["git", "ls-files", "--cached", "--ignored", "--exclude-standard"]
    done = subprocess.run(git, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("this is no checkout")
    assert done.stdout.splitlines() == []
