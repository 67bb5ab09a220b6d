"""What pictures are called: names that tell them apart."""

from __future__ import annotations

from pathlib import Path

import pytest

from picasso import explain
from picasso.inputs import names_of
from tests.conftest import picture, png
from tests.fakes import LinearModel


@pytest.mark.parametrize(
    ("files", "names"),
    [
        (["a.png", "b.png"], ["a.png", "b.png"]),
        (["cats/1.png", "dogs/1.png", "2.png"], ["cats/1.png", "dogs/1.png", "2.png"]),
        (["/x/a/i/1.png", "/y/a/i/1.png", "/y/b/i/1.png"], ["x/a/i/1.png", "y/a/i/1.png", "b/i/1.png"]),
        (["a/1.png", "a/../a/1.png"], ["1.png", "1.png"]),
        (["/1.png", "/a/1.png"], ["//1.png", "a/1.png"]),
        ([], []),
    ],
)
def test_names_tell_files_apart(files: list[str], names: list[str]) -> None:
    assert names_of(files) == names


def test_results_of_files_of_one_name_have_different_names(linear: LinearModel, tmp_path: Path) -> None:
    files = [tmp_path / folder / "1.png" for folder in ("cats", "dogs")]
    for seed, file in enumerate(files):
        file.parent.mkdir()
        file.write_bytes(png(picture(seed)))
    results = explain(linear, [*files, picture(3)], "ClassProbabilities")
    assert [result.picture for result in results] == ["cats/1.png", "dogs/1.png", "picture 2"]
