"""Class names in the forms that people have them in."""

from __future__ import annotations

from pathlib import Path

import pytest

from picasso.errors import ConfigurationError
from picasso.models.labels import read

NAMES = ["ant", "bee, honey", "cat"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("labels.txt", "ant\n bee, honey \n\ncat\n"),
        ("labels.txt", "\ufeffant\r\nbee, honey\r\ncat"),
        ("list.json", '["ant", "bee, honey", "cat"]'),
        ("names.json", '{"2": "cat", "0": "ant", "1": "bee, honey"}'),
        ("imagenet_class_index.json", '{"0": ["n01", "ant"], "1": ["n02", "bee, honey"], "2": ["n03", "cat"]}'),
        ("class_indices.json", '{"ant": 0, "cat": 2, "bee, honey": 1}'),
        ("list.yaml", "- ant\n- bee, honey\n- cat\n"),
        ("names.yml", "0: ant\n1: bee, honey\n2: cat\n"),
        ("names.csv", 'ant\n"bee, honey"\ncat\n'),
        ("table.csv", 'index,name\n2,cat\n0,ant\n1,"bee, honey"\n'),
        ("three.csv", '0,n01,ant\n1,n02,"bee, honey"\n2,n03,cat\n'),
    ],
)
def test_accepted_forms(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    assert read(tmp_path / name) == NAMES


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("labels.docx", "x", "can be .txt, .csv, .json, .yaml, .yml files, not labels.docx"),
        ("empty.txt", "\n\n", "There are no labels"),
        ("gap.json", '{"0": "a", "2": "b"}', "the 2 indices do not run from 0 to 1"),
        ("text.json", '"x"', "neither a list nor a mapping"),
        ("broken.json", "{", "can't be read"),
        ("table.csv", "index,name\nx,y\n", "can't be read: ValueError"),
    ],
)
def test_refused_with_a_sentence(tmp_path: Path, name: str, text: str, message: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(ConfigurationError, match=message):
        read(tmp_path / name)


def test_missing(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="There is no file of labels"):
        read(tmp_path / "none.txt")
