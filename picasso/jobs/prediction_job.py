"""The predictions for all images of a session as a folder of files, like a run in :mod:`picasso.jobs.run`.

====================  ================================================================================
``predictions.json``  when it was created
``start.json``        :class:`Order`: the images to predict, and how the worker finds the model
``order``             the id of this order
``rows.jsonl``        a random mark, then one :class:`Row` per line: the predictions of an image by a model
``progress.json``     :class:`Progress`
``done``              marks that all images of an order have a row, with its id and the last progress
``cancel``            marks cancelled predictions
``error.json``        why they failed
====================  ================================================================================

Rows are kept when images are added or removed, so only new images are computed.
"""

from __future__ import annotations

import functools
import json
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple, NotRequired, TypedDict

from picasso import fileio
from picasso.errors import NotFound
from picasso.jobs.base import Job
from picasso.jobs.run import StoredImage
from picasso.targets import Prediction

StateName = Literal["idle", "waiting", "running", "finished", "cancelled", "failed"]
# The number of predictions kept per image.
MAX_TOP = 5
# The number of sessions whose rows are kept in memory; the rows of 5,000 images take about 4 MB.
CACHED = 4


class Row(TypedDict):
    """The predictions of one image.

    Attributes:
        uid: the number of the image.
        model: which model predicted it; see :func:`identity`.
        top: the first :data:`MAX_TOP` predictions.
        error: why the image could not be predicted.
    """

    uid: int
    model: str
    top: list[Prediction]
    error: NotRequired[str]


@dataclass(frozen=True)
class Order:
    """What to predict.

    Attributes:
        configuration: where the worker finds the model; see :func:`picasso.jobs.worker.reference`.
        images: the images.
        id: distinguishes it from other orders.
    """

    configuration: dict[str, Any]
    images: list[StoredImage]
    id: str = field(default_factory=functools.partial(secrets.token_hex, 8))


@dataclass(frozen=True)
class Progress:
    """The progress of predictions.

    Attributes:
        done: the number of images that have a row.
        total: the number of images.
        computed: the number of rows computed since the last start, which took ``seconds``.
        seconds: the computing time since the last start.
    """

    done: int = 0
    total: int = 0
    computed: int = 0
    seconds: float = 0.0


def identity(card: Mapping[str, Any]) -> str:
    """Return what identifies the predictions of a model: the hash of its files, or its name and checkpoint; and fast.

    Args:
        card: the description of the model, :meth:`picasso.models.info.ModelInfo.as_dict`.
    """
    named = f"{card['name']} {card['checkpoint']} {card['checkpoint_time']}"
    known = str(card["fingerprint"])[:16] or named
    precision = card.get("precision", "exact")
    return known if precision == "exact" else f"{known} {precision}"


class Predictions(Job):
    """The folder of the predictions of one session; the state is read from the files."""

    kind = "predictions"
    document, gone = "predictions.json", "There are no predictions in this session. Start them first."

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._rows = folder / "rows.jsonl"

    @classmethod
    def create(cls, parent: Path) -> Predictions:
        """Create the folder, with an unguessable id."""
        job = cls(parent / secrets.token_hex(8))
        parent.mkdir(exist_ok=True)
        with fileio.whole_folder(job.folder) as draft:
            fileio.write_json(draft / cls.document, {"created": time.time()})
        return job

    @property
    def created(self) -> float:
        """The time of its creation, in seconds since the epoch."""
        document = fileio.read_json(self.folder / self.document)
        if document is None:
            raise NotFound(self.gone)
        return float(document["created"])

    # ---- starting -----------------------------------------------------------------------------------------

    def start(self, order: Order) -> None:
        """Queue the predictions of these images; existing rows are kept.

        Raises:
            NotFound: the session was deleted in the meantime.
        """
        with self.unless_deleted(NotFound(self.gone)):
            # Written before the marks are removed: on a full disk, the state stays the same.
            fileio.write_json(self.folder / "start.json", asdict(order))
            # The worker may finish the order before this one now, or after the marks are removed.
            fileio.write_json(self.folder / "order", order.id)
            for mark in ("done", "progress.json", "error.json", "cancel"):
                (self.folder / mark).unlink(missing_ok=True)

    def order(self) -> Order:
        """Return the images to predict."""
        document = fileio.read_json(self.folder / "start.json")
        if document is None:
            raise NotFound(self.gone)
        return Order(**document)

    # ---- written by the worker ----------------------------------------------------------------------------

    def open(self, model: str, images: Sequence[StoredImage]) -> set[int]:
        """Return the numbers of the images that have a row of this model, and drop all other rows.

        Args:
            model: the identity of the model.
            images: the images to predict.
        """
        wanted = {image["uid"] for image in images}
        lines = read_lines(self._rows)
        rows = {row["uid"]: row for row in map(parsed, lines) if row and row["model"] == model and row["uid"] in wanted}
        # A worker that died may have left half a line, to which nothing can be appended. The first line is the mark.
        if len(rows) != len(lines) - 1:
            mark = fileio.readable_json({"mark": secrets.token_hex(8)}) + b"\n"
            fileio.write_bytes(self._rows, mark + b"".join(map(line, rows.values())))
        return set(rows)

    def append(self, rows: Iterable[Row]) -> None:
        """Store rows."""
        with self._rows.open("ab") as file:
            file.write(b"".join(map(line, rows)))

    def report(self, progress: Progress) -> None:
        """Store the progress."""
        fileio.write_json(self.folder / "progress.json", asdict(progress))

    def finish(self, progress: Progress, order: Order) -> None:
        """Mark that all images of an order have a row, with the last progress: a new start may have deleted that."""
        fileio.write_json(self.folder / "done", {"order": order.id, "progress": asdict(progress)})

    # ---- read by both processes ---------------------------------------------------------------------------

    def state(self) -> StateName:
        """Return the state."""
        if end := self.end():
            return end
        if not (self.folder / "start.json").exists():
            return "idle"
        return "running" if (self.folder / "progress.json").exists() else "waiting"

    def is_done(self) -> bool:
        """Tell whether all images of the latest order have a row."""
        return self._last() is not None

    def _last(self) -> dict[str, Any] | None:
        """Return the progress at the end of the latest order, or None before that."""
        done = fileio.read_json(self.folder / "done")
        if not done or done["order"] != fileio.read_json(self.folder / "order"):
            return None
        progress: dict[str, Any] = done["progress"]
        return progress

    def at_work(self) -> bool:
        """Tell whether predictions are queued or running."""
        return not self.deleted() and self.state() in ("waiting", "running")

    def progress(self) -> Progress:
        """Return the latest progress."""
        return Progress(**(self._last() or fileio.read_json(self.folder / "progress.json") or {}))

    def computed(self) -> float:
        """Return the computing time since the last start, in seconds."""
        return self.progress().seconds

    def rows(self, model: str) -> Mapping[int, Row]:
        """Return the rows of a model so far by the number of the image; don't change them.

        Only the first two predictions of each are kept in memory, and only what was appended is read, so this is cheap.
        """
        return CACHE.rows(self._rows, model)

    def full_rows(self, model: str) -> dict[int, Row]:
        """Return the rows of a model with all predictions, from the file."""
        rows = map(parsed, read_lines(self._rows))
        return {row["uid"]: row for row in rows if row and row["model"] == model}


class Cached(NamedTuple):
    """The rows in the first bytes of a file."""

    mark: bytes
    size: int
    rows: Mapping[int, Row]


class RowCache:
    """The rows of the files that were read last."""

    def __init__(self) -> None:
        self._files: OrderedDict[Path, Cached] = OrderedDict()
        self._lock = threading.Lock()

    def rows(self, file: Path, model: str) -> Mapping[int, Row]:
        """Return the rows of a model in a file by the number of the image."""
        with self._lock:
            known = self._files.pop(file, Cached(b"", 0, {}))
            try:
                with file.open("rb") as opened:
                    mark = opened.readline()
                    # A file only grows, until another one with another mark replaces it.
                    known = known if known.mark == mark else Cached(mark, len(mark), {})
                    opened.seek(known.size)
                    known = extended(known, opened.read())
            except FileNotFoundError:
                return {}
            self._files[file] = known
            if len(self._files) > CACHED:
                self._files.popitem(last=False)
        return {uid: row for uid, row in known.rows.items() if row["model"] == model}


CACHE = RowCache()


def extended(known: Cached, body: bytes) -> Cached:
    """Return cached rows with those in the next bytes of their file; half a line is left for the next time."""
    whole = body[: body.rfind(b"\n") + 1]
    # The old rows stay as they are, because another thread may be reading them.
    rows = dict(known.rows)
    for row in map(parsed, whole.splitlines()):
        if row:
            rows[row["uid"]] = {**row, "top": row["top"][:2]}
    return Cached(known.mark, known.size + len(whole), rows)


def read_lines(file: Path) -> list[bytes]:
    """Return the lines of a file; none if it does not exist."""
    try:
        return file.read_bytes().splitlines()
    except FileNotFoundError:
        return []


def line(row: Row) -> bytes:
    """Return a row as a line of JSON."""
    return fileio.readable_json(row) + b"\n"


def parsed(text: bytes) -> Row | None:
    """Return the row in a line, or None if the line is incomplete."""
    try:
        row: Row = json.loads(text)
    except ValueError:
        return None
    return row if isinstance(row, dict) and "uid" in row and "top" in row else None
