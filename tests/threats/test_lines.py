"""The list of threats and the tests are in step."""

from __future__ import annotations

import ast
import functools
from pathlib import Path

import pytest

from tests.threats.lines import LINES

TESTS = Path(__file__).parents[1]


@functools.cache
def functions(file: str) -> set[str]:
    """Return the names of a module's functions; nothing is imported, since some need a browser."""
    return {node.name for node in ast.parse((TESTS / file).read_text()).body if isinstance(node, ast.FunctionDef)}


def test_no_threat_is_left_out() -> None:
    assert sorted(LINES) == list(range(1, 42))


@pytest.mark.parametrize("number", LINES)
def test_the_tests_exist(number: int) -> None:
    line = LINES[number]
    assert line.tests
    for test in line.tests:
        file, name = test.split("::")
        assert name in functions(file), test


def test_every_test_here_belongs_to_a_threat() -> None:
    named = {test for line in LINES.values() for test in line.tests}
    for file in ("test_paths", "test_abuse", "test_border", "test_connections", "test_faults"):
        there = {f"threats/{file}.py::{name}" for name in functions(f"threats/{file}.py") if name.startswith("test_")}
        assert there <= named
