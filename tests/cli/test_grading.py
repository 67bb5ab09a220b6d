"""``picasso explain --grade``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.test_command import config, run
from tests.conftest import noise_image, png

__all__ = ["config"]


def test_grades_are_written_and_methods_ranked(config: Path, tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(png(noise_image(ord(name[0]))))
    out, images = tmp_path / "out", [tmp_path / "a.png", tmp_path / "b.png"]
    methods = ["-v", "PartialOcclusion", "-v", "SaliencyMaps", "--set", "Strides=5"]
    done = run("explain", *images, "--config", config, *methods, "--out", out, "--grade")
    assert done.exit_code == 0, done.output
    documents = {name: json.loads((out / f"{name}-grade.json").read_text()) for name in methods[1:4:2]}
    for name, document in documents.items():
        assert [one["image"] for one in document["images"]] == ["a.png", "b.png"]
        assert [len(one["curves"]) for one in document["images"]] == [3, 3]
        assert f"{name}: {document['sentence']} -> {out / f'{name}-grade.json'}" in done.output
    assert documents["PartialOcclusion"]["settings"]["Strides"] == 5
    heads, *rows = done.output.splitlines()[-3:]
    assert heads.split() == ["method", "score", "edges", "random", "weights"]
    best = sorted(documents, key=lambda name: -documents[name]["score"])
    assert [row.split()[0] for row in rows] == best
    assert rows[0].split()[1] == f"{documents[best[0]]['score']:.3f}"


def test_a_method_without_maps_does_not_stop_the_others(config: Path, tmp_path: Path) -> None:
    """What was explained is printed as JSON, the other methods are graded, and the status tells."""
    (tmp_path / "a.png").write_bytes(png(noise_image(1)))
    methods = ["-v", "ClassProbabilities", "-v", "SaliencyMaps"]
    out = tmp_path / "out"
    done = run("explain", tmp_path / "a.png", "--config", config, *methods, "--out", out, "--grade", "--json")
    assert done.exit_code == 2
    assert "ClassProbabilities is not graded: ClassProbabilities makes no map of" in done.stderr
    assert sorted(file.name for file in out.glob("*-grade.json")) == ["SaliencyMaps-grade.json"]
    assert [one["visualization"] for one in json.loads(done.stdout)] == ["ClassProbabilities", "SaliencyMaps"]


@pytest.mark.parametrize("options", [["--target", "ant", "--target", "bee"], ["--class", "1", "--class", "2"]])
def test_a_grade_of_several_targets_is_refused(config: Path, tmp_path: Path, options: list[str]) -> None:
    (tmp_path / "a.png").write_bytes(png())
    done = run("explain", tmp_path / "a.png", "--config", config, "--grade", *options)
    assert done.exit_code == 2
    assert "--grade is about one target. Give one --target" in done.output
