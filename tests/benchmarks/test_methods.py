"""The table of the methods' times, from what the processes that measure answer."""

from __future__ import annotations

import json

import pytest

from benchmarks import methods


def test_the_table_has_each_network_and_says_what_does_not_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    def elsewhere(word: str, arguments: str) -> dict[str, float]:
        name, visualization, settings, rounds = json.loads(arguments)
        assert (word, visualization, settings) == ("methods", "CAM", {})
        # The first of the rounds compiles.
        assert rounds > 1
        fits = name == "EfficientNet-Lite0"
        return {"wall": 0.123, "first": 1.5, "cpu": 0.2, "peak": 29.6, "model": 500.0} if fits else {}

    monkeypatch.setattr(methods, "elsewhere", elsewhere)
    head, _, row = methods.times(["CAM"])
    assert head.count("|") == row.count("|")
    assert row == "| CAM | does not fit |  |  |  | 0.12 | 1.50 | 0.20 | 30 |"
