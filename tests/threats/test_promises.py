"""What SECURITY.md promises and the tests are in step."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.threats.promises import PROMISES
from tests.threats.test_lines import functions

SECURITY = " ".join((Path(__file__).parents[2] / "SECURITY.md").read_text(encoding="utf-8").split())


@pytest.mark.parametrize("sentence", PROMISES)
def test_each_promise_is_made_and_has_tests(sentence: str) -> None:
    assert sentence in SECURITY
    assert PROMISES[sentence]
    for test in PROMISES[sentence]:
        file, name = test.split("::")
        assert name in functions(file), test
