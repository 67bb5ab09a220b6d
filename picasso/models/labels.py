"""Class names: from a file of text, JSON, YAML or CSV, in the forms that people have them in, and back to numbers."""

from __future__ import annotations

import csv
import difflib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from picasso.errors import BadRequest, ConfigurationError, reason

#: The number of a class, or those of two: the first rather than the second.
Wanted = int | Sequence[int]
AGAINST = " vs "


def numbers(names: Sequence[str], wanted: Sequence[str | int]) -> list[Wanted]:
    """Return the numbers of classes that are named, or numbered already; a name wins over a number.

    "a vs b" stands for two classes, the first rather than the second.

    Raises:
        BadRequest: there is no such class; says which names are close.
    """
    known = {name: index for index, name in reversed(list(enumerate(names)))}
    found: dict[Wanted, None] = {}
    for one in wanted:
        text = str(one)
        if isinstance(one, int) or AGAINST not in text or text.strip() in known:
            found[number(names, known, one)] = None
            continue
        # A name may hold the word itself: the first way to read it that makes sense is taken.
        parts = text.split(AGAINST)
        ways = [(AGAINST.join(parts[:at]), AGAINST.join(parts[at:])) for at in range(1, len(parts))]
        way = next((way for way in ways if all(part.strip() in known for part in way)), ways[0])
        first, second = (number(names, known, part) for part in way)
        if first == second:
            raise BadRequest(f"{text[:60]} names one class twice; name two.", field="class")
        found[first, second] = None
    return list(found)


def number(names: Sequence[str], known: Mapping[str, int], wanted: str | int) -> int:
    """Return the number of one class; see :func:`numbers`."""
    text = str(wanted).strip()
    index = known.get(text) if isinstance(wanted, str) else None
    # A number of thousands of digits can't even be read.
    if index is None and text.isdecimal() and len(text) < 10 and int(text) < len(names):
        index = int(text)
    if index is None:
        near = difflib.get_close_matches(text, names, n=3, cutoff=0.5)
        hint = f"Close to it: {', '.join(near)}." if near else f"Write a name, or a number from 0 to {len(names) - 1}."
        raise BadRequest(f"The model has no class {text[:60]}. {hint}", field="class")
    return index


def read(file: Path) -> list[str]:
    """Return the class names in the order of the model's output.

    Accepted are: a ``.txt`` with one name per line; a ``.json`` or ``.yaml`` with a list of names, a mapping
    from index to name (or to a list that ends with it, as in Keras' ``imagenet_class_index.json``) or from
    name to index (as in ``class_indices``); a ``.csv`` whose last column is the name and, where there are
    several, whose first is the index.

    Raises:
        ConfigurationError: the file is missing, of another kind, or its indices leave gaps.
    """
    readers = {".txt": lines, ".csv": table, ".json": document, ".yaml": document, ".yml": document}
    if not file.is_file():
        raise ConfigurationError(f"There is no file of labels {file}.", field="LABELS")
    if file.suffix.lower() not in readers:
        raise ConfigurationError(f"Labels can be {', '.join(readers)} files, not {file.name}.", field="LABELS")
    try:
        names = readers[file.suffix.lower()](file.read_text(encoding="utf-8-sig"))
    except Exception as error:
        raise ConfigurationError(f"The labels in {file} can't be read: {reason(error)}.", field="LABELS") from error
    if not names:
        raise ConfigurationError(f"There are no labels in {file}.", field="LABELS")
    return names


def lines(text: str) -> list[str]:
    """Return the lines that are not empty."""
    return [line.strip() for line in text.splitlines() if line.strip()]


def table(text: str) -> list[str]:
    """Return the names of a table, ordered by its index column if it has one."""
    rows = [row for row in csv.reader(text.splitlines()) if row]
    if rows and len(rows[0]) > 1 and not rows[0][0].strip().isdecimal():
        rows = rows[1:]
    if all(len(row) == 1 for row in rows):
        return [row[0].strip() for row in rows]
    return ordered({int(row[0]): row[-1].strip() for row in rows})


def document(text: str) -> list[str]:
    """Return the names of a list or mapping; YAML reads JSON too."""
    try:
        content: Any = json.loads(text)
    except ValueError:
        content = yaml.safe_load(text)
    if isinstance(content, list):
        return [str(name) for name in content]
    if not isinstance(content, dict):
        raise ValueError("neither a list nor a mapping")
    if all(isinstance(value, int) for value in content.values()):
        return ordered({value: str(name) for name, value in content.items()})
    return ordered({int(key): str(value[-1] if isinstance(value, list) else value) for key, value in content.items()})


def ordered(names: dict[int, str]) -> list[str]:
    """Return names by index, which must run from 0 without gaps."""
    if sorted(names) != list(range(len(names))):
        raise ValueError(f"the {len(names)} indices do not run from 0 to {len(names) - 1}")
    return [names[index] for index in range(len(names))]
