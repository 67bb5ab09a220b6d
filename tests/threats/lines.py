"""The list of threats by number: the required outcome and the tests of each. ``test_lines`` checks the tests."""

from __future__ import annotations

from tests.threats import around, crowds, sent

LINES = {**sent.LINES, **around.LINES, **crowds.LINES}
