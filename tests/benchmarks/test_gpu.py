"""The benchmark of GPUs: what it does without one, and how seconds are counted."""

from __future__ import annotations

import time

import pytest

from benchmarks import gpu, measuring, methods, occlusion


def test_without_a_gpu_it_says_so_and_fails(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(gpu, "cards", list)
    with pytest.raises(SystemExit) as ended:
        gpu.main()
    assert ended.value.code == 2
    assert capsys.readouterr().err == "TensorFlow finds no GPU on this machine, so there is nothing to measure.\n"


def test_with_a_gpu_both_tables_follow_its_name(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(measuring.ELAPSED, "")
    monkeypatch.setattr(gpu, "cards", lambda: ["A card"])
    monkeypatch.setattr(occlusion, "table", lambda: ["occlusion"])
    monkeypatch.setattr(methods, "times", lambda: ["methods"])
    gpu.main()
    first, *others = capsys.readouterr().out.splitlines()
    assert first.startswith("A card, TensorFlow ")
    assert others == ["", "occlusion", "", "methods"]


def test_seconds_are_those_of_the_cpu_or_elapsed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "process_time", iter([1.0, 1.5]).__next__)
    monkeypatch.setattr(time, "perf_counter", iter([1.0, 4.0]).__next__)
    monkeypatch.delenv(measuring.ELAPSED, raising=False)
    assert measuring.cpu(int) == 0.5
    monkeypatch.setenv(measuring.ELAPSED, "1")
    assert measuring.cpu(int) == 3.0
