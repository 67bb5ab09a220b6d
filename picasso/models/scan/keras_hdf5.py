"""Scan Keras files in HDF5 (``.h5``, ``.hdf5``): whole models or weights."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from picasso.models.scan import keras_config
from picasso.models.scan.findings import Context, Finding, Kind
from picasso.models.scan.hdf5_headers import UnknownStructure
from picasso.models.scan.hdf5_plain import PlainFile
from picasso.models.scan.json_reading import Unreadable, parse

CONFIG, TRAINING = "model_config", "training_config"


def scan(path: Path, context: Context) -> Iterator[Finding]:
    """Yield the findings in an ``.h5`` or ``.hdf5`` file."""
    with path.open("rb") as stream:
        yield from faults_of_stream(stream, context, path.name)


def faults_of_stream(stream: IO[bytes], context: Context, where: str) -> Iterator[Finding]:
    """Yield the findings in HDF5 data, a file or a member of an archive.

    Files as Keras writes them are read without the HDF5 library, which takes time to import; others with it.
    """
    try:
        found, texts = read(stream, context, where)
        yield from found
        if any(one.kind is not Kind.CODE for one in found):
            return
        for name, text in texts.items():
            place = f"{where}, attribute {name}"
            document = parse(text, context, place)
            if name == CONFIG and (not isinstance(document, dict) or "config" not in document):
                yield Finding(Kind.BROKEN, place, "the JSON does not describe a Keras model")
            else:
                yield from keras_config.judge(document, context, place, trained=name == TRAINING)
    except Unreadable as error:
        yield error.finding


def read(stream: IO[bytes], context: Context, where: str) -> tuple[list[Finding], dict[str, bytes]]:
    """Return the findings about a file's structure, and its model and training configurations by attribute name.

    Raises:
        Unreadable: it can't be read at all.
    """
    size = stream.seek(0, io.SEEK_END)
    names = (CONFIG, TRAINING)
    try:
        file = PlainFile(stream, size, context, where)
        return list(file.faults()), {name: file.text(name) for name in names if name in file.attributes}
    except UnknownStructure:
        from picasso.models.scan import hdf5_library

        return hdf5_library.read(stream, size, context, where, names)
    except (struct.error, IndexError, UnicodeError) as error:
        raise Unreadable(Kind.BROKEN, where, "the HDF5 data is truncated") from error
