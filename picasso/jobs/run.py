"""A run as a folder: its specification, its progress, whether it was cancelled, and its results.

The web server and the worker process share only these files, so any engine can pass them to a worker, and a run
outlives either side.

==================  ==============================================================================
``run.json``        :class:`Spec`: the visualization, its settings, the images
``progress-N``      the progress of shard N, its time so far in seconds, and the compile time
``results/NNNNN/``  the saved :class:`~picasso.explanation.result.Result` of image N
``done-N``          marks shard N as finished, with its time in seconds
``cancel``          marks a cancelled run
``error.json``      why it failed
==================  ==============================================================================
"""

from __future__ import annotations

import re
import secrets
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, NotRequired, TypedDict

import numpy as np
from numpy.typing import NDArray

from picasso import fileio
from picasso.errors import BadRequest, NotFound
from picasso.explanation.result import ARRAYS, DOCUMENT, Result
from picasso.jobs.base import Job
from picasso.targets import Wanted

# The position of the image, and the number of the preview if it is a preview.
PLACE = re.compile(r"\d{1,6}(p\d{1,6})?")


class StoredImage(TypedDict):
    """An image of a session: its number, its original name, and the name and path of its PNG.

    ``notes`` are notes for the user on how it was read. ``label`` are the folders that it was uploaded in, such as
    "animals/cat", which may be named after its class. With ``unread``, the path is that of a file of the user.
    """

    uid: int
    name: str
    filename: str
    path: str
    notes: NotRequired[list[str]]
    label: NotRequired[str]
    unread: NotRequired[bool]


def images_by_name(names: Sequence[str], images: Sequence[StoredImage]) -> dict[str, StoredImage]:
    """Return the images of a session that have these names; a number is also a name.

    Raises:
        BadRequest: there is no such image, or there are several.
    """
    found = {}
    for name in names:
        same = [image for image in images if image["name"] == name] or [
            image for image in images if str(image["uid"]) == name
        ]
        if not same:
            raise BadRequest(f"There is no image {name[:60]!r} in this session.", field="target")
        if len(same) > 1:
            numbers = ", ".join(str(image["uid"]) for image in same[:10])
            raise BadRequest(
                f"{len(same)} images are called {name[:60]}: {numbers}. Specify the number of the image instead.",
                field="target",
            )
        found[name] = same[0]
    return found


@dataclass(frozen=True)
class Spec:
    """The specification of a run.

    Attributes:
        visualization: the name of its class.
        settings: validated settings by public name.
        images: the images to explain.
        shard_size: the number of images per shard.
        configuration: how the worker finds the model: a settings file and overrides.
        created: the time of its creation in seconds since the epoch.
        targets: what to explain: indices of classes, pairs of them for "a vs b", or texts; none for the most important
            predictions of each image.
        models: the names of the models to compare with; see the setting ``COMPARE``.
        references: the other images that targets name, such as that of "like:other.png", by these names.
        model: the name of the model of ``COMPARE`` that is explained instead of the main model, or "". Without
            ``targets``, it is explained what the main model predicts.
        workspace: whether the workspace started it for one image; lists of runs omit it.
    """

    visualization: str
    settings: dict[str, Any]
    images: list[StoredImage]
    shard_size: int
    configuration: dict[str, Any]
    created: float
    targets: Sequence[Wanted] = ()
    models: Sequence[str] = ()
    references: dict[str, StoredImage] = field(default_factory=dict)
    model: str = ""
    workspace: bool = False

    def position(self, uid: int) -> int | None:
        """Return the position of an image by its number, or None if the run does not have it."""
        return next((place for place, image in enumerate(self.images) if image["uid"] == uid), None)

    @property
    def shards(self) -> int:
        """The number of shards."""
        return -(-len(self.images) // self.shard_size)

    def shard(self, number: int) -> list[tuple[int, StoredImage]]:
        """Return the images of one shard with their positions in the run."""
        start = number * self.shard_size
        return list(enumerate(self.images))[start : start + self.shard_size]


class State(TypedDict):
    """The state of a run.

    ``fraction`` is 0..1. ``seconds`` is the computing time so far, and ``compiling`` the part of it, spent or expected,
    for compilation that happens once per model. ``preview`` changes whenever the current image has a new preview.
    """

    state: Literal["waiting", "running", "finished", "cancelled", "failed"]
    fraction: float
    done: int
    total: int
    seconds: float
    compiling: float
    preview: str
    error: dict[str, str] | None


class Run(Job):
    """The folder of one run; its state is always read from its files."""

    kind = "run"
    document, gone = "run.json", "There is no such run in this session. It may have been deleted or have expired."

    @classmethod
    def create(cls, parent: Path, spec: Spec) -> Run:
        """Create the folder of a new run with an unguessable id."""
        run = cls(parent / secrets.token_hex(8))
        with fileio.whole_folder(run.folder) as draft:
            (draft / "results").mkdir()
            fileio.write_json(draft / cls.document, asdict(spec))
        return run

    def spec(self) -> Spec:
        """Return the specification, or raise NotFound if the run was deleted in the meantime."""
        document = fileio.read_json(self.folder / self.document)
        if document is None:
            raise NotFound(self.gone)
        return Spec(**document)

    @property
    def created(self) -> float:
        """The time of its creation, in seconds since the epoch."""
        return self.spec().created

    # ---- written by the worker ----------------------------------------------------------------------------

    def report(self, shard: int, fraction: float, seconds: float, compiling: float = 0.0) -> None:
        """Store the progress of a shard, 0..1, its time, and the part of it, spent or expected, for compilation."""
        fileio.write_json(self.folder / f"progress-{shard}", [round(fraction, 4), seconds, round(compiling, 3)])

    def finish(self, shard: int, seconds: float) -> None:
        """Mark a shard as done, with its time."""
        fileio.write_json(self.folder / f"done-{shard}", [1.0, seconds, 0.0])

    def finished(self, shard: int) -> bool:
        """Tell whether a shard is done."""
        return (self.folder / f"done-{shard}").exists()

    def result_folder(self, position: int) -> Path:
        """Return the folder of the result of one image."""
        return self.folder / "results" / f"{position:05d}"

    def preview(self, position: int, result: Result) -> None:
        """Save a preview of an image's result; the last two previews are kept for clients that are loading them."""
        (self.folder / "previews").mkdir(exist_ok=True)
        earlier = self._previews(position)
        number = int(earlier[-1].name.partition("p")[2]) + 1 if earlier else 0
        result.save(self.folder / "previews" / f"{position}p{number}")
        for folder in earlier[:-1]:
            shutil.rmtree(folder, ignore_errors=True)

    def forget_drafts(self, position: int) -> None:
        """Delete the incomplete result of an image that a dead process left behind."""
        for draft in self.folder.glob(f"results/.{position:05d}.*"):
            shutil.rmtree(draft, ignore_errors=True)

    def forget_previews(self, position: int) -> None:
        """Delete the previews of an image."""
        for folder in self._previews(position):
            shutil.rmtree(folder, ignore_errors=True)

    def _previews(self, position: int) -> list[Path]:
        """Return the folders of an image's previews, oldest first."""
        found = self.folder.glob(f"previews/{position}p[0-9]*")
        return sorted(found, key=lambda folder: int(folder.name.partition("p")[2]))

    def computed(self, shard: int) -> float:
        """Return the time in seconds of all shards except one so far."""
        # This lists the files, because the folder may be deleted at any time.
        names = [file.name for mark in ("done", "progress") for file in self.folder.glob(f"{mark}-*")]
        others = {int(name.rpartition("-")[2]) for name in names} - {shard}
        return sum(seconds for _, seconds, _ in filter(None, map(self._report, others)))

    # ---- read by both sides -------------------------------------------------------------------------------

    def state(self) -> State:
        """Return the state of the run: waiting, running, finished, cancelled or failed."""
        spec = self.spec()
        shards = range(spec.shards)
        # Checked first: the worker may finish while this method reads, and a finished run must not look incomplete.
        finished = all(self.finished(shard) for shard in shards)
        reports = {shard: report for shard in shards if (report := self._report(shard)) is not None}
        done = sum(fraction * len(spec.shard(shard)) for shard, (fraction, *_) in reports.items())
        error = self.error()
        begun: Literal["waiting", "running"] = "running" if reports else "waiting"
        stopped = (self.folder / "cancel").exists()
        return State(
            state="failed" if error else "finished" if finished else "cancelled" if stopped else begun,
            fraction=round(done / max(1, len(spec.images)), 4),
            done=sum(1 for _ in self.folder.glob("results/[0-9]*/")),
            total=len(spec.images),
            seconds=round(sum(seconds for _, seconds, _ in reports.values()), 3),
            compiling=round(sum(compiling for *_, compiling in reports.values()), 3),
            preview=" ".join(sorted(folder.name for folder in self.folder.glob("previews/[0-9]*"))),
            error=error,
        )

    def at_work(self) -> bool:
        """Tell whether it is queued or running."""
        try:
            return self.state()["state"] in ("waiting", "running")
        except NotFound:
            return False

    def _report(self, shard: int) -> tuple[float, float, float] | None:
        """Return the progress, the time and the compile time of a shard, or None if it has not started."""
        for name in ("done", "progress"):
            report = fileio.read_json(self.folder / f"{name}-{shard}")
            if report is not None:
                return report[0], report[1], report[2]
        return None

    def results(self, *, previews: bool = False, only: int | None = None) -> Iterator[dict[str, Any]]:
        """Yield the documents of the finished results, in the order of the images.

        Each is :meth:`picasso.explanation.result.Result.as_dict` with the stored image that it belongs to. With
        ``previews``, the previews of unfinished results are included; ``only`` is the position of the only image to
        look at.
        """
        images = self.spec().images
        for position in range(len(images)) if only is None else [only]:
            image = images[position]
            place, document = str(position), fileio.read_json(self.result_folder(position) / DOCUMENT)
            if document is None and previews and (shown := self._previews(position)):
                place, document = shown[-1].name, fileio.read_json(shown[-1] / DOCUMENT)
            if document is not None:
                stored = {"uid": image["uid"], "filename": image["filename"]}
                yield {**document, "position": position, "place": place, **stored}

    def array(self, place: str, name: str) -> NDArray[Any] | None:
        """Return an array of one image's result or preview, or None if there is none of that name."""
        file = self.file(place, ARRAYS)
        if file is None:
            return None
        with np.load(file) as arrays:
            return arrays[name] if name in arrays.files else None

    def file(self, place: str, name: str) -> Path | None:
        """Return a file of one image's result or preview, or None if there is none of that name.

        If a page requests a preview that no longer exists, it gets the newest one or the result.
        """
        if not PLACE.fullmatch(place):
            return None
        position, preview, _ = place.partition("p")
        folders = [self.result_folder(int(position))]
        if preview:
            # The result is checked last, because it is saved before the previews are deleted.
            folders = [self.folder / "previews" / place, *reversed(self._previews(int(position))), *folders]
        found = (fileio.child(folder, name) for folder in folders)
        return next((file for file in found if file is not None), None)
