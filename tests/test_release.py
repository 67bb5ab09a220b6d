"""What keeps a version from being published."""

from __future__ import annotations

from tests.release import missing

CHANGES = "# Changes\n\n## 1.0.0rc1\n\n- All of it.\n"


def test_a_version_needs_a_number_and_a_section() -> None:
    assert missing("1.0.0rc1", CHANGES) == ""
    assert "no section ## 1.0.0" in missing("1.0.0", CHANGES)
    assert "no version that can be published" in missing("1.0.0.dev0", CHANGES)
