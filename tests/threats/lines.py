"""Each threat by its number, what has to come of it, and the tests for it; ``test_lines`` keeps them in step."""

from __future__ import annotations

from tests.threats import around, crowds, sent

LINES = {**sent.LINES, **around.LINES, **crowds.LINES}
