"""Export of a run: its results as one table, and all its files as one archive."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
import time
import unicodedata
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from picasso import fileio
from picasso.errors import NotFound, PicassoError
from picasso.explanation.comparison import own_name
from picasso.jobs.run import Run
from picasso.models.info import ModelInfo

COLUMNS = (
    "image", "uid", "visualization", "model", "kind", "rank", "class_index", "class", "probability", "group", "title",
    "quantity", "minimum", "maximum", "target", "value", "unit", "share", "length", "left", "top", "right", "bottom",
)  # fmt: skip
# The columns of a detected object's box.
SIDES = ("left", "top", "right", "bottom")
# The characters with which spreadsheets recognize a formula, including East Asian full-width forms.
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")

TABLE, RESULTS, RUN = "results.csv", "results.json", "run.json"
# Already compressed.
PACKED = (".png", ".npz")
# The years that a zip file can store.
EARLIEST, LATEST = (1980, 1, 1, 0, 0, 0), (2107, 12, 31, 23, 59, 58)

Cell = str | float | None
Row = dict[str, Cell]


def table(documents: Iterable[Mapping[str, Any]]) -> str:
    """Return results as CSV with a header and lines that end in CR LF: a row for each prediction and each map.

    Numbers have all their digits. A text that a spreadsheet would read as a formula is prefixed with an apostrophe.

    Args:
        documents: those of :meth:`picasso.explanation.result.Result.as_dict` or :meth:`picasso.jobs.run.Run.results`;
            the column ``uid`` is empty for the former.
    """
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, COLUMNS, restval="", lineterminator="\r\n")
    writer.writeheader()
    for document in documents:
        writer.writerows({key: harmless(value) for key, value in row.items()} for row in rows(document))
    return text.getvalue()


def harmless(value: Cell) -> Cell:
    """Return a cell, with an apostrophe before a text that a spreadsheet would execute."""
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value


def rows(document: Mapping[str, Any]) -> Iterator[Row]:
    """Yield the rows of one result: the predictions of its model and of the compared models, then the maps."""
    compared = document["compared"]
    own = own_name(ModelInfo.from_dict(document["model"]), compared)
    answers = {own: document["predictions"], **compared}
    always = {"image": document["image"], "uid": document.get("uid"), "visualization": document["visualization"]}
    for model, predictions in answers.items():
        for rank, one in enumerate(predictions, 1):
            about: Row = {"rank": rank, "class_index": one["index"], "class": one["name"]}
            numbers = {key: one[key] for key in ("value", "unit", "share", "length") if key in one}
            about |= {"probability": one.get("prob"), **dict(zip(SIDES, one.get("box", ()), strict=False))}
            yield {**always, "model": model, "kind": "prediction", **about, **numbers}
    differences = {f"{name} minus {own}" for name in compared}
    for panel in document["panels"]:
        group = panel["group"]
        if panel["kind"] == "map":
            # A difference belongs to two models.
            model = group if group in compared else "" if group in differences else own
            names = {one["index"]: one["name"] for one in answers.get(model, ())}
            index = panel["class_index"]
            target = {key: panel[key] for key in ("target", "value", "unit")}
            # For a class that is not among the most probable, the title is the name.
            of_class = {"class_index": index, "class": None if index is None else names.get(index, panel["title"])}
            same = {key: panel[key] for key in ("probability", "group", "title", "quantity", "minimum", "maximum")}
            yield {**always, "model": model, "kind": "map", **of_class, **same, **target}


def archive(run: Run, target: BinaryIO, extra: Mapping[str, bytes]) -> None:
    """Write a zip of all results of a run so far.

    It contains ``results.csv`` and ``results.json`` (all results), ``run.json`` (the specification), and for each
    image a folder, such as ``0001-rose``, which :meth:`picasso.explanation.result.Result.load` can read. It does not
    reveal paths on the server. The same results always give the same bytes.

    Args:
        run: the run; results that it adds in the meantime are not included.
        target: the output stream; it need not be seekable. Files are written in blocks, so memory use is small.
        extra: further files by name.

    Raises:
        NotFound: the run was deleted in the meantime.
        PicassoError: the name of an extra file is not valid in the archive.
    """
    for name in extra:
        if not fileio.NAME.fullmatch(name) or name in (TABLE, RESULTS, RUN):
            raise PicassoError(f"{name!r} is not a valid name for a file in an archive.")
    try:
        spec, documents = run.spec(), list(run.results())
        folders = {document["position"]: folder_of(document) for document in documents}
        when = min(max(time.gmtime(spec.created)[:6], EARLIEST), LATEST)
        asked = {
            "visualization": spec.visualization,
            "settings": spec.settings,
            "classes": [one for one in spec.targets if not isinstance(one, str)],
            "targets": [one for one in spec.targets if isinstance(one, str)],
            "models": list(spec.models),
            "images": [
                {"name": image["name"], "uid": image["uid"], "folder": folders.get(position)}
                for position, image in enumerate(spec.images)
            ],
            "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(spec.created)),
        }
        results = [public(document, folders[document["position"]]) for document in documents]
        with zipfile.ZipFile(target, "w") as packed:
            texts = {TABLE: table(documents), RESULTS: as_json(results), RUN: as_json(asked)}
            written = {name: text.encode("utf-8", "backslashreplace") for name, text in texts.items()}
            for name, body in {**written, **extra}.items():
                packed.writestr(described(name, when), body)
            for position, folder in folders.items():
                for file in sorted(run.result_folder(position).iterdir()):
                    if fileio.child(file.parent, file.name):
                        copy(packed, described(f"{folder}/{file.name}", when), file)
    except FileNotFoundError:
        raise NotFound("The run was deleted while its archive was being written.") from None


def public(document: Mapping[str, Any], folder: str) -> dict[str, Any]:
    """Return the document of a result with its path in the archive instead of its URLs on the server."""
    return {**{key: value for key, value in document.items() if key not in ("place", "filename")}, "folder": folder}


def folder_of(document: Mapping[str, Any]) -> str:
    """Return the name of a result's folder: its unique number and the safe part of its image's name.

    Only ASCII letters, digits, ``-`` and ``_`` are kept, so that it can be unpacked safely on any system.
    """
    plain = unicodedata.normalize("NFKD", Path(document["image"]).stem).encode("ascii", "ignore").decode()
    safe = re.sub(r"[^0-9A-Za-z_]+", "-", plain).strip("-")[:40].rstrip("-")
    return f"{document['position'] + 1:04d}-{safe or 'image'}"


def as_json(document: Any) -> str:
    """Return a document as readable JSON."""
    return json.dumps(document, ensure_ascii=False, allow_nan=False, indent=1)


def described(name: str, when: tuple[int, ...]) -> zipfile.ZipInfo:
    """Return the entry of a file: a plain file of that time, compressed unless it already is."""
    entry = zipfile.ZipInfo(name, (when[0], when[1], when[2], when[3], when[4], when[5]))
    entry.compress_type = zipfile.ZIP_STORED if name.endswith(PACKED) else zipfile.ZIP_DEFLATED
    entry.external_attr = 0o644 << 16
    entry.create_system = 3
    return entry


def copy(packed: zipfile.ZipFile, entry: zipfile.ZipInfo, file: Path) -> None:
    """Write a file into an archive, block by block."""
    entry.file_size = file.stat().st_size
    with file.open("rb") as source, packed.open(entry, "w") as sink:
        shutil.copyfileobj(source, sink)
