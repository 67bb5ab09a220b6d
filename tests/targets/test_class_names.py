"""Class names in the forms that people have them in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from picasso.errors import BadRequest, ConfigurationError
from picasso.models.label_files import as_given, read
from picasso.targets.class_names import MAX_LISTED, choices, number, numbers

NAMES = ["ant", "bee, honey", "cat"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("cat,1,0\ndog,0,1\n", "the columns 2, 3 could all be the indices"),
        ("file,cat,dog\na.png,1,0\nb.png,0,1\n", "the columns 2, 3 could all be the indices"),
        ("0,0\n1,1\n", "no column contains the class names"),
    ],
)
def test_a_table_that_is_no_list_of_classes(text: str, why: str, tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text(text)
    with pytest.raises(ConfigurationError, match=why):
        read(tmp_path / "labels.csv")


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
        ("first.csv", 'ant,0\n"bee, honey",1\ncat,2\n'),
        ("headed.csv", 'index,name,count\n2,cat,7\n0,ant,9\n1,"bee, honey",8\n'),
        ("one.csv", 'name\nant\n"bee, honey"\ncat\n'),
        ("excel.csv", "\ufeffindex;Name\r\n0;ant\r\n1;bee, honey\r\n2;cat\r\n"),
        ("teachable_machine.txt", "0 ant\n1 bee, honey\n2 cat\n"),
        ("one_based.txt", "1. ant\n2. bee, honey\n3. cat\n"),
        ("colons.txt", "2: cat\n0: ant\n1: bee, honey\n"),
        ("places.txt", "ant 0\nbee, honey 1\ncat 2\n"),
        ("synset_words.txt", "n01440764 ant\nn01443537 bee, honey\nn01484850 cat\n"),
        ("clsidx_to_labels.txt", "{0: 'ant',\n 1: \"bee, honey\",\n 2: 'cat'}\n"),
        ("printed.txt", "['ant', 'bee, honey', 'cat']"),
        ("quoted.txt", '"ant",\n"bee, honey",\n"cat"\n'),
        ("config.json", '{"size": 8, "id2label": {"0": "ant", "1": "bee, honey", "2": "cat"}, "label2id": {}}'),
        ("data.yaml", "path: x\nnc: 3\nnames:\n  0: ant\n  1: bee, honey\n  2: cat\n"),
        ("numbers_as_text.json", '{"ant": "0", "cat": "2", "bee, honey": "1"}'),
        ("map_clsloc.txt", "n01440764 1 ant\nn01443537 2 bee, honey\nn01484850 3 cat\n"),
    ],
)
def test_accepted_forms(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    assert read(tmp_path / name) == NAMES


@pytest.mark.parametrize(
    ("name", "text", "names"),
    [
        ("a.yaml", "- yes\n- no\n- maybe\n", ["yes", "no", "maybe"]),
        ("b.yaml", "- 0123\n- 12:30\n- 1e3\n- null\n- ~\n- 2020-01-01\n- 1.50\n- On\n- 0x1F\n- =\n- <<\n- 7",
         ["0123", "12:30", "1e3", "null", "~", "2020-01-01", "1.50", "On", "0x1F", "=", "<<", "7"]),
        ("c.yaml", "{no: 0, yes: 1, 12:30: 2}", ["no", "yes", "12:30"]),
        ("d.yaml", "0: no\n1: yes\n2: 2020-01-01\n", ["no", "yes", "2020-01-01"]),
        ("e.yaml", "crane: 0\nmaillot: 1\ncrane: 2\n", ["crane", "maillot", "crane"]),
        # Folders that are numbers, in the order of text; and years.
        ("f.json", '{"0": 0, "1": 1, "10": 2, "2": 3}', ["0", "1", "10", "2"]),
        ("g.json", '{"0": "0", "1": "1", "2": "10", "3": "2"}', ["0", "1", "10", "2"]),
        ("h.yaml", "0: 1990\n1: 2000\n", ["1990", "2000"]),
        ("i.json", "[true, null, 1.0, 12, 1e3]", ["true", "null", "1.0", "12", "1e3"]),
        ("j.json", '{"crane": 0, "maillot": 1, "crane": 2}', ["crane", "maillot", "crane"]),
        # Numbers that are part of the names.
        ("k.txt", "1 star\n2 star\n3 star\n", ["1 star", "2 star", "3 star"]),
        ("l.txt", "0\n1\n2\n", ["0", "1", "2"]),
        ("m.txt", "7 up\n0 cat\n", ["7 up", "0 cat"]),
        ("n.txt", "0:30\n1:45\n", ["0:30", "1:45"]),
        ("p.txt", "[ant]\n[bee]\n", ["[ant]", "[bee]"]),
        ("q.txt", '"ant"\nbee\n', ['"ant"', "bee"]),
        ("o.txt", "n01440764 tench, Tinca tinca\ndog\n", ["n01440764 tench, Tinca tinca", "dog"]),
    ],
)  # fmt: skip
def test_text_stays_as_it_is_written(tmp_path: Path, name: str, text: str, names: list[str]) -> None:
    (tmp_path / name).write_text(text)
    assert read(tmp_path / name) == names


def test_halves_of_letters_become_question_marks(tmp_path: Path) -> None:
    (tmp_path / "labels.json").write_text(r'["cat \ud83d", "\ud83d\udc15"]')
    assert read(tmp_path / "labels.json") == ["cat ?", "\N{DOG}"]


def test_utf_16_as_some_editors_save_it(tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_bytes("größe\r\nhöhe\r\n".encode("utf-16"))
    assert read(tmp_path / "labels.txt") == ["größe", "höhe"]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("labels.docx", "x", "can be .txt, .csv, .json, .yaml, .yml files, not labels.docx"),
        ("empty.txt", "\n\n", "There are no labels"),
        ("gap.json", '{"0": "a", "2": "b"}', "the 2 indices do not run from 0 to 1"),
        ("text.json", '"x"', "neither a list nor a mapping"),
        ("broken.json", "{", "can't be read"),
        ("table.csv", "index,name\nx,y\n", "no column contains the class indices"),
        ("commas.csv", "tench, Tinca tinca\ngoldfish\n", "row 2 has 1 columns and the first has 2; write names with"),
        ("nested.yaml", "- cat\n- dog: 1\n", "expected a class name, found a list or mapping: "),
        ("other.json", '{"version": 2, "author": "x"}', "from name to index; 'version' fits neither"),
        ("twice.yaml", "0: a\n0: b\n", "the 2 indices do not run from 0 to 1"),
    ],
)
def test_refused_with_a_sentence(tmp_path: Path, name: str, text: str, message: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(ConfigurationError, match=message):
        read(tmp_path / name)


@pytest.mark.parametrize("body", ["größe".encode("latin-1"), "cat\ndog".encode("utf-16-le")])
def test_other_encodings_are_refused_with_what_to_do(tmp_path: Path, body: bytes) -> None:
    (tmp_path / "a.txt").write_bytes(body)
    with pytest.raises(ConfigurationError, match="it is not text in UTF-8; save it in that encoding"):
        read(tmp_path / "a.txt")


@pytest.mark.parametrize(
    "given",
    [NAMES, np.array(NAMES), {"cat": np.int64(2), "ant": np.int64(0), "bee, honey": np.int64(1)},
     {2: "cat", 0: "ant", 1: "bee, honey"}],
)  # fmt: skip
def test_names_and_mappings_in_python(given: Any) -> None:
    assert as_given(given) == NAMES


def test_a_mapping_in_python_without_indices() -> None:
    with pytest.raises(ConfigurationError, match="The labels can't be read: .*; 'ant' fits neither"):
        as_given({"ant": "bee"})
    assert as_given("labels.txt") == "labels.txt"


def test_missing(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="There is no label file"):
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


def test_a_name_wins_over_a_number() -> None:
    names = ["1", "0", "crane", "ant"]
    assert numbers(names, ["0", "1"]) == [1, 0]
    assert numbers(names, [0, 1]) == [0, 1]
    assert numbers(names, ["crane", "3"]) == [2, 3]


def test_of_two_classes_with_one_name_the_user_chooses() -> None:
    names = ["crane", "maillot", "crane"]
    asked: list[list[str | int]] = [["crane"], ["maillot vs crane"], [1, "crane"]]
    for wanted in asked:
        with pytest.raises(
            BadRequest, match="2 classes are called crane: 0, 2. Specify the number of the class"
        ) as caught:
            numbers(names, wanted)
        assert caught.value.field == "class"
    assert numbers(names, ["2", 0, "maillot vs 2"]) == [2, 0, (1, 2)]
    assert choices(names) == [("0", "crane (0)"), ("maillot", "maillot"), ("2", "crane (2)")]


def test_what_is_longer_than_two_names_and_more_than_anybody_looks_at_is_refused_before_it_is_read() -> None:
    names = ["cat", "dog", "a vs b"]
    # Read in all ways, the first would take terabytes.
    for wanted in ("a vs " * 800_000, "x" * 4_000_000):
        with pytest.raises(BadRequest, match="no name is as long as that"):
            numbers(names, [wanted])
    with pytest.raises(BadRequest, match="1,001 classes are requested; the maximum is 1,000"):
        numbers(names, ["cat"] * 1_001)
    assert numbers(names, ["   a vs b vs dog   "]) == [(2, 1)]


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ("cta", "The model has no class cta. Similar names: cat."),
        ("zebra", "The model has no class zebra. Specify a name (ant, bee, honey, cat), or a number from 0 to 2."),
        ("3", "no class 3. Specify a name (ant, bee, honey, cat), or a number from 0 to 2."),
        (-1, "no class -1. Specify a name"),
        ("", "no class . Specify a name"),
        (True, "no class True. Specify a name"),
        (1.5, "no class 1.5. Specify a name"),
        ("\u00b2", "no class \u00b2. Specify a name"),
        ("9" * 100, f"no class {'9' * 60}. Specify a name"),
    ],
)
def test_unknown_classes_are_refused_with_what_is_close(wanted: str | int, message: str) -> None:
    with pytest.raises(BadRequest) as caught:
        numbers(NAMES, ["ant", wanted])
    assert message in caught.value.message
    assert caught.value.field == "class"


def test_few_names_are_listed_and_one_is_named() -> None:
    with pytest.raises(BadRequest, match=r"no value 7\. Its only value is age\."):
        number(["age"], {"age": [0]}, "7", "value")
    many = [f"name {index}" for index in range(MAX_LISTED + 1)]
    with pytest.raises(BadRequest, match=r"no class 77\. Specify a name, or a number from 0 to 10\."):
        numbers(many, ["77"])
