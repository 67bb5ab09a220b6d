"""What SECURITY.md promises and the tests are in step."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.threats.promises import EXPLANATIONS, PROMISES
from tests.threats.test_lines import functions

SECURITY = " ".join((Path(__file__).parents[2] / "SECURITY.md").read_text(encoding="utf-8").split())


@pytest.mark.parametrize("sentence", PROMISES)
def test_each_promise_is_made_and_has_tests(sentence: str) -> None:
    assert sentence in SECURITY
    assert PROMISES[sentence]
    for test in PROMISES[sentence]:
        file, name = test.split("::")
        assert name in functions(file), test


def test_every_sentence_is_a_promise_with_tests_or_an_explanation() -> None:
    left = SECURITY.partition("## Dependencies")[0]
    for sentence in sorted((*PROMISES, *EXPLANATIONS), key=len, reverse=True):
        assert sentence in SECURITY
        left = left.replace(sentence, "")
    assert left.replace("# Security", "").replace("-", "").split() == []
