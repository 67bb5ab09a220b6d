"""Every intervention is described in docs/interventions.md."""

from __future__ import annotations

import re
from pathlib import Path

from picasso.audit.interventions import INTERVENTIONS

PAGE = Path(__file__).resolve().parents[2] / "docs" / "interventions.md"


def test_every_intervention_is_described_and_nothing_else() -> None:
    rows = re.findall(r"^\| ([^|]+) \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    cells = [cell for cell in rows if cell not in {"Name", "---"}]
    # A row may be about several: the corners with commas, the edges, which have commas themselves, with semicolons.
    names = [name.strip() for cell in cells for name in re.split(";" if ";" in cell else ",", cell)]
    assert sorted(names) == sorted(one.name for one in INTERVENTIONS)
