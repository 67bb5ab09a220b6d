"""Read class names from the usual forms of text, JSON, YAML and CSV files."""

from __future__ import annotations

import codecs
import csv
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from picasso.errors import ConfigurationError, reason, text_of

# The synset before a name in files of ImageNet, such as synset_words.txt.
SYNSET = re.compile(r"n\d{8}[\s,:]+(?=\S)")
# A number before a name, as in Teachable Machine's files, or after it, as in Places365. A name contains a letter.
BEFORE = re.compile(r"(?P<index>\d+)(?:[\s:,;]|[.)]\s)\s*(?P<name>\S.*)")
BEHIND = re.compile(r"(?P<name>.*\S)[\s,;]\s*(?P<index>\d+)")
QUOTED = re.compile(r"""(?P<quote>["'])(?P<name>.+)(?P=quote),?""")
LETTER = re.compile(r"[^\W\d_]")
# The recognized headings of a column of names.
HEADINGS = ("name", "names", "class", "classes", "label", "labels", "class name", "class_name", "classname")
# The keys under which other tools store the names beside other settings.
KEPT_UNDER = ("id2label", "names", "class_names", "classes", "labels", "class_indices")
INDEX = re.compile(r"0|[1-9]\d{0,8}")


def read(file: Path) -> list[str]:
    """Return the class names in the order of the model's output.

    Accepted are: a ``.txt`` with one name per line, from which line numbers and ImageNet's synsets are removed; a
    ``.json`` or ``.yaml`` with a list of names, a mapping from index to name (or to a list that ends with it, as in
    Keras' ``imagenet_class_index.json``) or from name to index (as in ``class_indices``); a ``.csv`` with a column of
    names and optionally a column of indices.

    Raises:
        ConfigurationError: the file is missing, has another format, or its indices have gaps.
    """
    readers = {".txt": lines, ".csv": table, ".json": document, ".yaml": document, ".yml": document}
    if not file.is_file():
        raise ConfigurationError(f"There is no label file {file}.", field="LABELS")
    if file.suffix.lower() not in readers:
        raise ConfigurationError(f"Labels can be {', '.join(readers)} files, not {file.name}.", field="LABELS")
    try:
        names = readers[file.suffix.lower()](decoded(file.read_bytes()))
    except Exception as error:
        raise ConfigurationError(f"The labels in {file} can't be read: {reason(error)}.", field="LABELS") from error
    if not names:
        raise ConfigurationError(f"There are no labels in {file}.", field="LABELS")
    # JSON can contain lone surrogates, which can't be encoded in UTF-8.
    return [text_of(name) for name in names]


def decoded(body: bytes) -> str:
    """Decode UTF-8, or UTF-16 with a byte order mark as some Windows editors write it, with line feeds as line ends."""
    wide = body.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        text = body.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise ValueError("it is not text in UTF-8; save it in that encoding")
    return text.replace("\r\n", "\n").replace("\r", "\n")


# ---- lines --------------------------------------------------------------------------------------------------------


def lines(text: str) -> list[str]:
    """Return the names in non-empty lines, or those of a dictionary or list that Python printed."""
    whole = text.strip()
    if (whole[:1], whole[-1:]) in (("{", "}"), ("[", "]")):
        try:
            return document(whole)
        except yaml.YAMLError:
            if whole[0] == "{":
                raise
    names = [line.strip() for line in text.split("\n") if line.strip()]
    quoted = [QUOTED.fullmatch(name) for name in names]
    return numbered([match["name"] for match in quoted if match] if all(quoted) else names)


def numbered(names: list[str]) -> list[str]:
    """Remove synsets if every name has one, and numbers if every name has one and they count the lines."""
    if all(SYNSET.match(name) for name in names):
        names = [SYNSET.sub("", name, count=1) for name in names]
    for pattern, firsts in ((BEFORE, (0, 1)), (BEHIND, (0,))):
        found = [match for name in names if (match := pattern.fullmatch(name)) and LETTER.search(match["name"])]
        bare = {int(match["index"]): match["name"] for match in found}
        counted = any(sorted(bare) == list(range(first, first + len(names))) for first in firsts)
        # The numbers in "1 star" and "2 star" are part of the names: without them, the names would not be distinct.
        if counted and len(names) > 1 and len(set(bare.values())) > 0.9 * len(names):
            return [bare[index] for index in sorted(bare)]
    return names


# ---- tables -------------------------------------------------------------------------------------------------------


def table(text: str) -> list[str]:
    """Return the names in a table, in the order of its column of indices if it has one."""
    written = text.strip("\n").split("\n")
    separator = next((mark for mark in ("\t", ";") if all(mark in line for line in written if line.strip())), ",")
    rows = [[cell.strip() for cell in row] for row in csv.reader(written, delimiter=separator) if any(row)]
    width = len(rows[0]) if rows else 0
    for number, row in enumerate(rows, 1):
        if len(row) != width:
            raise ValueError(
                f"row {number} has {len(row)} columns and the first has {width}; write names with commas in quotes"
            )
    heading = [cell.casefold() for cell in rows[0]] if rows else []
    if width == 1:
        return [row[0] for row in rows[heading[0] in HEADINGS :]]
    headed = not any(map(INDEX.fullmatch, heading))
    body = rows[headed:]
    orders = {column: cells for column in range(width) if is_order(cells := [row[column] for row in body])}
    if not orders:
        raise ValueError("no column contains the class indices, from 0 without gaps")
    if any(cells != next(iter(orders.values())) for cells in orders.values()):
        numbers = ", ".join(str(column + 1) for column in orders)
        raise ValueError(f"the columns {numbers} could all be the indices of the classes; keep one of them")
    indices = next(iter(orders))
    others = [column for column in range(width) if column not in orders]
    if not others:
        raise ValueError("no column contains the class names")
    names = next((column for column in others if headed and heading[column] in HEADINGS), others[-1])
    return ordered([(int(row[indices]), row[names]) for row in body])


def is_order(cells: Sequence[str]) -> bool:
    """Tell whether texts are the integers from 0 without gaps, each once, in any order."""
    return all(map(INDEX.fullmatch, cells)) and sorted(map(int, cells)) == list(range(len(cells)))


# ---- documents ----------------------------------------------------------------------------------------------------


class Pairs(list[tuple[Any, Any]]):
    """The keys and values of a mapping in the order of the document; keys may repeat."""


class AsWritten(yaml.SafeLoader):
    """A YAML loader that converts only integers: ``no``, ``0123``, ``12:30`` and dates stay text."""


def scalar(loader: AsWritten, node: yaml.ScalarNode) -> str | int:
    """Return an unquoted integer as int, and everything else as text."""
    text = str(loader.construct_scalar(node))
    return int(text) if node.style is None and INDEX.fullmatch(text) else text


def mapping(loader: AsWritten, node: yaml.MappingNode) -> Pairs:
    """Return a mapping as pairs."""
    made = loader.construct_object
    return Pairs((made(key, deep=True), made(value, deep=True)) for key, value in node.value)


# The tags that YAML assigns to scalars; all of them are read by the same function.
for tag in ("null", "bool", "int", "float", "timestamp", "merge", "value", "str", "binary"):
    AsWritten.add_constructor(f"tag:yaml.org,2002:{tag}", scalar)
AsWritten.add_constructor("tag:yaml.org,2002:map", mapping)


def from_json(text: str) -> Any:
    """Return the content of a JSON document; numbers that can't be indices stay text."""
    return json.loads(
        text,
        object_pairs_hook=Pairs,
        parse_float=str,
        parse_int=lambda digits: int(digits) if INDEX.fullmatch(digits) else digits,
    )


def document(text: str) -> list[str]:
    """Return the names of a list or mapping."""
    try:
        content = from_json(text)
    except ValueError:
        # AsWritten is a SafeLoader: it creates only lists, pairs, text and integers.
        content = yaml.load(text, AsWritten)  # noqa: S506
    if isinstance(content, list) and not isinstance(content, Pairs):
        return [name_of(name) for name in content]
    if not isinstance(content, Pairs):
        raise ValueError("neither a list nor a mapping")
    kept = {key: value for key, value in content if key in KEPT_UNDER and isinstance(value, list)}
    if kept:
        content = next(kept[key] for key in KEPT_UNDER if key in kept)
    return by_index(content) if isinstance(content, Pairs) else [name_of(name) for name in content]


def by_index(content: Pairs) -> list[str]:
    """Return the names of a mapping from index to name (or to a list that ends with it), or from name to index."""
    keys, values = [key for key, _ in content], [value for _, value in content]
    # In JSON, keys are always text.
    if is_indices(values) or (all(type(value) is int for value in values) and not is_indices(keys)):
        return ordered([(value, str(key)) for key, value in content])
    if all(INDEX.fullmatch(str(key)) for key in keys):
        return ordered([(int(key), name_of(value[-1] if isinstance(value, list) else value)) for key, value in content])
    if is_order([str(value) for value in values]):
        return ordered([(int(value), str(key)) for key, value in content])
    other = next(key for key in keys if not INDEX.fullmatch(str(key)))
    raise ValueError(f"a mapping must be from index to name, or from name to index; {other!r} fits neither")


def as_given(labels: Any) -> str | Path | list[str]:
    """Return class names that were passed in Python: the path of a file, or names in the order of the output.

    Args:
        labels: the names, a mapping such as Keras' ``class_indices`` or Transformers' ``id2label``, or a file.

    Raises:
        ConfigurationError: a mapping has no indices, or they have gaps.
    """
    if isinstance(labels, str | Path):
        return labels
    if not isinstance(labels, Mapping):
        return [str(label) for label in labels]
    try:
        return by_index(Pairs((plain(key), plain(value)) for key, value in labels.items()))
    except ValueError as error:
        raise ConfigurationError(f"The labels can't be read: {reason(error)}.", field="LABELS") from error


def plain(value: Any) -> Any:
    """Return an integer of any library, such as NumPy, as int, and any other value unchanged."""
    return value if isinstance(value, str | list | bool) or not hasattr(value, "__index__") else int(value)


def is_indices(values: Sequence[Any]) -> bool:
    """Tell whether values are the integers from 0 without gaps, each once, in any order."""
    return all(type(value) is int for value in values) and is_order([str(value) for value in values])


def name_of(value: Any) -> str:
    """Return a name as text, as written in the document."""
    if isinstance(value, list):
        raise ValueError(f"expected a class name, found a list or mapping: {str(value)[:60]}")
    # Only JSON has these values; they are written back as JSON's words, such as "true".
    return json.dumps(value) if value is None or isinstance(value, bool) else str(value)


def ordered(names: Sequence[tuple[int, str]]) -> list[str]:
    """Return names sorted by their indices, which must run from 0 without gaps, or raise ValueError."""
    if sorted(index for index, _ in names) != list(range(len(names))):
        raise ValueError(f"the {len(names)} indices do not run from 0 to {len(names) - 1}")
    return [name for _, name in sorted(names, key=lambda pair: pair[0])]
