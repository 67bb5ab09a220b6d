"""Tables of values or labels: CSV files with one row for each image."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from picasso.errors import reason
from picasso.evaluation.labeled_folder import Classes, abridged, plain
from picasso.evaluation.truth.files import Images, Truth, excerpt, invalid, only, read, shown
from picasso.imaging import decode

# The headings of the column with the file names of images, and of that with the labels of an image.
IMAGE_HEADINGS = ("image", "file", "filename", "file name", "path")
LABEL_HEADINGS = ("label", "labels", "class", "classes")
# The separators of columns, and of several labels in one cell.
COLUMNS, LABELS = ("\t", ";", ","), ("|", ";", ",")
YES, NO = ("1", "true", "yes"), ("0", "false", "no", "")


def values(folder: Path, names: Sequence[str]) -> Truth[NDArray[np.float64]]:
    """Return the values of each image, ``(D,)``, from the one CSV of a folder with the columns ``image,NAME...``.

    Args:
        folder: the folder with the images.
        names: the names of the values in the order of the model's output. If there is one, a single column with any
            name is accepted.

    Raises:
        BadRequest: there is no CSV or there are several, or a row is invalid.
    """
    file = usual(folder, "values")
    table = Table(file)
    single = len(names) == 1 and len(table.heading) == 2
    columns = [1 - table.images] if single else [table.column(name) for name in names]
    entries = {}
    for image, row in table.rows():
        numbers = []
        for column in columns:
            try:
                number = float(row[column])
            except ValueError:
                number = math.nan
            if not math.isfinite(number):
                raise invalid(
                    f"{table.where(image)}: {excerpt(table.heading[column])} is {excerpt(row[column])}, not a number."
                )
            numbers.append(number)
        entries[image] = np.array(numbers)
    return Images(folder).truth(entries, table.where)


def labels(folder: Path, names: Sequence[str]) -> Truth[NDArray[np.bool_]]:
    """Return whether each image has each label, ``(K,)``, from the one CSV of a folder.

    Its columns are ``image,labels``, with the names of the labels separated by ``|``, ``;`` or a comma, or ``image``
    and one column for each label with 0 or 1.

    Args:
        folder: the folder with the images.
        names: the names of the labels in the order of the model's output.

    Raises:
        BadRequest: there is no CSV or there are several, or a row is invalid.
    """
    file = usual(folder, "labels")
    table = Table(file)
    by_name = len(table.heading) == 2 and plain(table.heading[1 - table.images]) in LABEL_HEADINGS
    read_row = label_names(table, names) if by_name else label_flags(table, names)
    entries = {image: read_row(image, row) for image, row in table.rows()}
    return Images(folder).truth(entries, table.where)


def usual(folder: Path, content: str) -> Path:
    """Return the CSV of a folder that is called like its content, or else the only one."""
    file = folder / f"{content}.csv"
    return file if file.is_file() else only(folder, ("*.csv",), content)


class Table:
    """A CSV in UTF-8 whose first row has the names of its columns, separated by commas, semicolons or tabs.

    Args:
        file: the CSV.

    Raises:
        BadRequest: it can't be read, or has no column of images.
    """

    def __init__(self, file: Path) -> None:
        self.name = decode.path_name(str(file))
        try:
            text = read(file).decode("utf-8-sig")
            first = text.lstrip().partition("\n")[0]
            self.separator = next((mark for mark in COLUMNS if mark in first), ",")
            reader = csv.reader(io.StringIO(text, newline=""), delimiter=self.separator, strict=True)
            rows = [(reader.line_num, [cell.strip() for cell in row]) for row in reader]
        except UnicodeDecodeError as error:
            raise invalid(f"{self.name} is not text in UTF-8. Save it in that encoding.") from error
        except csv.Error as error:
            raise invalid(f"{self.name} can't be read as CSV: {reason(error)}.") from error
        rows = [(line, row) for line, row in rows if any(row)]
        self.heading = rows[0][1] if rows else []
        images = [column for column, name in enumerate(self.heading) if plain(name) in IMAGE_HEADINGS]
        if len(images) != 1 or len(self.heading) < 2:
            raise invalid(
                f"{self.name}: the first row must have the names of the columns, one of them image; it is "
                f"{excerpt(self.separator.join(self.heading))}."
            )
        self.images = images[0]
        self._rows = rows[1:]
        self._lines: dict[str, int] = {}

    def column(self, name: str) -> int:
        """Return the column with a name; an exact name takes precedence over a similar one."""
        for wanted, heading in ((name, self.heading), (plain(name), [plain(one) for one in self.heading])):
            found = [column for column, one in enumerate(heading) if one == wanted and column != self.images]
            if len(found) > 1:
                raise invalid(f"{self.name}: {len(found)} columns are called {excerpt(name)}.")
            if found:
                return found[0]
        raise invalid(
            f"{self.name} has no column {excerpt(name)}; its columns are {abridged(list(map(excerpt, self.heading)))}."
        )

    def rows(self) -> list[tuple[str, list[str]]]:
        """Return the name of the image and the cells of each row."""
        found = []
        for line, row in self._rows:
            if len(row) != len(self.heading):
                raise invalid(
                    f"{self.name}, row {line}: {len(row)} columns, but the first row has {len(self.heading)}."
                )
            image = row[self.images]
            if not image:
                raise invalid(f"{self.name}, row {line}: the name of the image is missing.")
            if image in self._lines:
                raise invalid(f"{self.name}, row {line}: {shown(image)} is already in row {self._lines[image]}.")
            self._lines[image] = line
            found.append((image, row))
        return found

    def where(self, image: str) -> str:
        """Return the file and row of an image, to begin a sentence."""
        return f"{self.name}, row {self._lines[image]}"


def label_names(table: Table, names: Sequence[str]) -> Callable[[str, list[str]], NDArray[np.bool_]]:
    """Return a function that reads a row with the names of the labels of an image in one cell."""
    known = Classes(names)

    def read_row(image: str, row: list[str]) -> NDArray[np.bool_]:
        found = np.zeros(len(names), bool)
        cell = row[1 - table.images]
        mark = next((mark for mark in LABELS if mark in cell), "|")
        # A name may contain a comma.
        pieces = [cell] if known.target(cell) is not None else cell.split(mark)
        for name in filter(None, map(str.strip, pieces)):
            index = known.target(name)
            if index is None:
                raise invalid(f"{table.where(image)}: {excerpt(name)} is no label; the labels are {abridged(names)}.")
            found[index] = True
        return found

    return read_row


def label_flags(table: Table, names: Sequence[str]) -> Callable[[str, list[str]], NDArray[np.bool_]]:
    """Return a function that reads a row with 0 or 1 for each label."""
    columns = [table.column(name) for name in names]

    def read_row(image: str, row: list[str]) -> NDArray[np.bool_]:
        for column in columns:
            if row[column].casefold() not in (*YES, *NO):
                raise invalid(
                    f"{table.where(image)}: {excerpt(table.heading[column])} is {excerpt(row[column])}, not 0 or 1."
                )
        return np.array([row[column].casefold() in YES for column in columns])

    return read_row
