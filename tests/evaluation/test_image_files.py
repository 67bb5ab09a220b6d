"""Compact lists of image files, against those of pathlib."""

from __future__ import annotations

import os
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from picasso.config import IMAGES
from picasso.evaluation.image_files import ImageFiles, images_below
from picasso.evaluation.labeled_folder import LabeledImage, LabeledImages, files_by_class

NAMES = [
    "b.png",
    "a/2.JPG",
    "a-b/1.png",
    "a/1.png",
    ".hidden.png",
    "a/deep/er/x.webp",
    "ümläut 1.png",
    "line\nbreak.gif",
]


def test_the_list_is_that_of_pathlib(tmp_path: Path) -> None:
    for name in [*NAMES, "notes.txt", "a/.png", "no ending"]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    # A name that is no text is read and written as it is.
    (tmp_path / os.fsdecode(b"\xff.png")).touch()
    (tmp_path / "elsewhere").symlink_to(tmp_path / "a", target_is_directory=True)
    files = images_below(tmp_path)
    assert list(files) == sorted(file for file in tmp_path.rglob("*") if file.suffix.lower() in IMAGES)
    assert len(files) == len(NAMES) + 1
    assert all(file.is_file() for file in files)
    (tmp_path / "folder.png").mkdir()
    assert list(images_below(tmp_path)) == list(files)


def test_some_of_the_files_share_their_names() -> None:
    files = ImageFiles.of(Path("f"), [f"{index}.png" for index in range(10)])
    some = files.chosen(np.array([7, 2, 0]))
    assert [file.name for file in some] == ["7.png", "2.png", "0.png"]
    assert [file.name for file in some.chosen([2, 1])] == ["0.png", "2.png"]
    assert [file.name for file in files[8:]] == ["8.png", "9.png"]
    assert some[-1] == Path("f/0.png")
    for wrong in (files, some):
        with pytest.raises(IndexError):
            wrong[10]
    assert list(ImageFiles.of(Path("f"), [])) == []


def test_a_hundred_thousand_names_take_five_megabytes(tmp_path: Path) -> None:
    names = [f"img_{index:07d}.png" for index in range(100_000)]
    tracemalloc.start()
    try:
        files = ImageFiles.of(tmp_path, names)
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert files[99_999].name == "img_0099999.png"
    # 16 bytes of the name and its end, 8 of the place of the end; 400 as a path.
    assert held < 50 * len(names)


def test_labelled_images_are_made_when_they_are_asked_for() -> None:
    one, other, third = (ImageFiles.of(Path(name), ["1.png", "2.png"]) for name in ("tank", "0", "cat"))
    images = LabeledImages([(1, one), (2, ImageFiles.of(Path("empty"), [])), (0, third), (1, other)])
    every = [LabeledImage(file, target) for target, files in ((1, one), (0, third), (1, other)) for file in files]
    assert list(images) == every
    assert (len(images), images[-1], images[1::4]) == (6, every[-1], every[1::4])
    assert {target: list(files) for target, files in images.by_class.items()} == files_by_class(every)
    assert list(files_by_class(every)) == [1, 0]
