"""Class names in the forms that people have them in."""

from __future__ import annotations

from pathlib import Path

import pytest

from picasso.errors import BadRequest, ConfigurationError
from picasso.models.labels import numbers, read

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


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ([], []),
        (["cat", "ant"], [2, 0]),
        ([2, "0", " 1 "], [2, 0, 1]),
        (["bee, honey", "1", 1], [1]),
        (["cat ", 2, "cat", 0], [2, 0]),
    ],
)
def test_classes_are_found_by_name_or_number(wanted: list[str | int], found: list[int]) -> None:
    assert numbers(NAMES, wanted) == found


def test_a_name_wins_over_a_number_and_the_first_of_a_name_over_the_others() -> None:
    names = ["1", "0", "crane", "crane"]
    assert numbers(names, ["0", "1"]) == [1, 0]
    assert numbers(names, [0, 1]) == [0, 1]
    assert numbers(names, ["crane", "3"]) == [2, 3]


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ("cta", "The model has no class cta. Close to it: cat."),
        ("zebra", "The model has no class zebra. Write a name, or a number from 0 to 2."),
        ("3", "no class 3. Write a name, or a number from 0 to 2."),
        (-1, "no class -1. Write"),
        ("", "no class . Write"),
        (True, "no class True. Write"),
        (1.5, "no class 1.5. Write"),
        ("\u00b2", "no class \u00b2. Write"),
        ("9" * 10_000, f"no class {'9' * 60}. Write"),
    ],
)
def test_unknown_classes_are_refused_with_what_is_close(wanted: str | int, message: str) -> None:
    with pytest.raises(BadRequest) as caught:
        numbers(NAMES, ["ant", wanted])
    assert message in caught.value.message
    assert caught.value.field == "class"
