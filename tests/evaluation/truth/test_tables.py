"""Tables of values and labels: the forms that are read, and a sentence for each fault."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from picasso.errors import BadRequest
from picasso.evaluation.truth.tables import labels, values

NAMES = ("dog", "traffic light", "cat, small")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a.png", "deep/b.png", "c.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.new("L", (4, 4)).save(tmp_path / name)
    return tmp_path


def write(folder: Path, text: str) -> None:
    (folder / "truth.csv").write_bytes(text.encode("utf-8"))


@pytest.mark.parametrize(
    "text",
    [
        "image,age,height\na.png,30,1.8\ndeep/b.png,-2e1,0\nd.png,1,2\n",
        "\ufeffheight;File name;Other;AGE\r\n1.8;a.png;x;30\r\n\r\n0;b.png;y;-20\r\n5;d.png;;5\r\n",
        'age\theight\timage\n30\t1.8\t"a.png"\n-20\t0\tdeep\\b.png\n1\t1\td.png',
    ],
)
def test_values(folder: Path, text: str) -> None:
    write(folder, text)
    truth = values(folder, ("age", "height"))
    assert list(truth.of) == [folder / "a.png", folder / "deep" / "b.png"]
    np.testing.assert_array_equal(list(truth.of.values()), [[30, 1.8], [-20, 0]])
    assert (truth.without, truth.missing) == (("c.png",), ("d.png",))


def test_a_single_value_needs_no_name(folder: Path) -> None:
    write(folder, "image,anything\nc.png,3")
    np.testing.assert_array_equal(values(folder, ("age",)).of[folder / "c.png"], [3])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", 'truth.csv: the first row must have the names of the columns, one of them image; it is ""'),
        ("a.png,3,4\n", 'one of them image; it is "a.png,3,4"'),
        ("image,file,age\n", "one of them image"),
        ("image,age\na.png,3", 'truth.csv has no column "height"; its columns are "image", "age"'),
        ("image,age,age,height\na.png,3,3,3", '2 columns are called "age"'),
        ("image,age,height\na.png,3", "row 2: 2 columns, but the first row has 3"),
        ("image,age,height\n\na.png,3,x", 'row 3: "height" is "x", not a number'),
        ("image,age,height\na.png,nan,1", 'row 2: "age" is "nan", not a number'),
        ("image,age,height\na.png,,1", 'row 2: "age" is "", not a number'),
        ("image,age,height\n,1,1", "row 2: the name of the image is missing"),
        ("image,age,height\na.png,1,1\na.png,1,1", "row 3: a.png is already in row 2"),
        ("image,age,height\nb.png,1,1\ndeep/b.png,1,1", "row 3: the image deep/b.png has two entries"),
        (
            "image,age,height\nd.png,1,1\n",
            "none of the 3 images. Its first entry is d.png, and the first image is a",
        ),
        ("image,age,height\n", "none of the 3 images. Its first entry is none"),
        ('image,age,height\n"a.png,1,1', "can't be read as CSV: Error"),
    ],
)
def test_each_fault_of_values_has_a_sentence(folder: Path, text: str, message: str) -> None:
    write(folder, text)
    with pytest.raises(BadRequest, match=message):
        values(folder, ("age", "height"))


def test_one_table_in_utf_8(folder: Path) -> None:
    with pytest.raises(BadRequest, match=r"There is no file of values in .*: \*.csv"):
        values(folder, ("age",))
    (folder / "truth.csv").write_bytes("image,age\nä.png,1".encode("latin-1"))
    with pytest.raises(BadRequest, match="is not text in UTF-8. Save it in that encoding"):
        values(folder, ("age",))
    (folder / "more.csv").write_text("")
    with pytest.raises(BadRequest, match="several files of values in .*: more.csv, truth.csv"):
        values(folder, ("age",))


@pytest.mark.parametrize(
    "text",
    [
        'image,labels\na.png,dog|Traffic_Light\nb.png,"cat, small"\nc.png,\n',
        'image,labels\na.png,"dog, 1"\nb.png,"cat, small"\nc.png,\n',
        'image\tlabel\na.png\tdog; traffic light;\nb.png\t"cat, small"\nc.png\t\n',
        'image,Dog,traffic light,"cat, small"\na.png,1,TRUE,0\nb.png,0,no,yes\nc.png,,false,0\n',
    ],
)
def test_labels(folder: Path, text: str) -> None:
    write(folder, text)
    truth = labels(folder, NAMES)
    assert list(truth.of) == [folder / "a.png", folder / "deep" / "b.png", folder / "c.png"]
    np.testing.assert_array_equal(
        list(truth.of.values()), [[True, True, False], [False, False, True], [False, False, False]]
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("image,labels\na.png,dog|cow", 'row 2: "cow" is no label; the labels are dog, traffic light, cat, small'),
        ("image,dog\na.png,1", 'has no column "traffic light"'),
        ("image;dog;traffic light;cat, small\na.png;1;2;0", 'row 2: "traffic light" is "2", not 0 or 1'),
    ],
)
def test_each_fault_of_labels_has_a_sentence(folder: Path, text: str, message: str) -> None:
    write(folder, text)
    with pytest.raises(BadRequest, match=message):
        labels(folder, NAMES)
