"""The session of one visitor: its ordered images and its jobs, all as files in one folder."""

from __future__ import annotations

import functools
import itertools
import json
import os
import re
import secrets
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, TypeVar

from picasso import fileio
from picasso.config import Settings
from picasso.errors import NotFound, TooLarge
from picasso.imaging import decode
from picasso.imaging.decoders import Decoders
from picasso.jobs.audit_job import Audit
from picasso.jobs.base import Job
from picasso.jobs.concept_search import ConceptSearch
from picasso.jobs.prediction_job import Predictions
from picasso.jobs.ranking_job import MethodRanking
from picasso.jobs.reporting_job import ReportingJob
from picasso.jobs.run import Run, StoredImage
from picasso.storage.quota import Quotas

# The descriptions of a session's images, one JSON file each.
DOCUMENTS = "[0-9]*.json"
NUMBER = re.compile(r"[0-9]{1,9}")
# The format of session and run ids; longer ones could exceed the limits of file names.
ID = re.compile(r"[0-9A-Za-z]{1,64}")
# The maximum length of the name of a session.
MAX_NAME = 80
# The names of channels, and how many a session may have.
CHANNEL_NAMES, MAX_CHANNEL_NAMES = "channel_names.json", 1_000
# Audits without images are small, but their number must be limited.
MAX_AUDITS = 20
# The searches for concepts and the rankings that are kept; older ones are deleted when another is started.
MAX_SEARCHES = MAX_RANKINGS = 10


# The number of descriptions of images in memory, for all sessions: about 20 MB.
MAX_DOCUMENTS = 20_000
# The folders of an image that are kept: the innermost ones, and the maximum length of each name.
MAX_FOLDERS, MAX_FOLDER_NAME = 4, 200

J = TypeVar("J", bound=Job)


class Session:
    """The folder of one visitor: uploaded images, runs, audits and predictions."""

    def __init__(
        self,
        folder: Path,
        settings: Settings,
        lock: threading.Lock,
        quotas: Quotas,
        trash: Path,
        decoders: Decoders,
    ) -> None:
        self._trash, self._decoders = trash, decoders
        self.id = folder.name
        self.runs_folder, self.audits_folder = folder / "runs", folder / "audits"
        self.searches_folder, self.rankings_folder = folder / "concepts", folder / "rankings"
        self._predictions = folder / "predictions"
        self._quotas = quotas
        self._folder, self._settings, self._lock = folder, settings, lock
        self._images = folder / "images"
        self._order, self._counter = folder / "order.json", folder / "next_uid"

    @property
    def folder(self) -> Path:
        """The folder of all its files."""
        return self._folder

    @property
    def name(self) -> str:
        """The name that its visitor gave it, or ""."""
        return str(fileio.read_json(self._folder / "name.json") or "")

    def rename(self, name: str) -> None:
        """Name the session; long names are cut."""
        with fileio.room_on_disk():
            fileio.write_json(self._folder / "name.json", printable(name, MAX_NAME))

    def last_used(self) -> float:
        """Return the time of the last request that used it, in seconds since the epoch."""
        return self._folder.stat().st_mtime

    def touch(self) -> None:
        """Mark the session as in use."""
        os.utime(self._folder)

    def at_work(self) -> bool:
        """Tell whether one of its jobs is queued or running."""
        return any(job.at_work() for job in self.jobs())

    def empty(self) -> bool:
        """Tell whether it has no images, runs or audits."""
        held = (
            self._images.glob(DOCUMENTS),
            self.runs_folder.glob(f"*/{Run.document}"),
            self.audits_folder.glob(f"*/{Audit.document}"),
        )
        return not any(any(True for _ in found) for found in held)

    # ---- images -----------------------------------------------------------------------------------------

    def add_image(self, source: bytes | IO[bytes], name: str) -> StoredImage:
        """Decode an upload and store its pixels as a PNG under a generated name.

        Args:
            source: the bytes of the file, or a stream of them.
            name: the file name.

        Raises:
            UnsupportedImage, BadRequest, TooLarge, Busy: see :meth:`picasso.imaging.decoders.Decoders.stored`.
            TooLarge: the session has the maximum number of images.
        """
        self.check_room()
        with self._decoders.stored(source, name) as decoded, self._lock, fileio.room_on_disk():
            self._check_count()
            uid, shown = self._next_uid(), self._name(name)
            filename = f"{uid:04d}-{secrets.token_hex(6)}.png"
            document = StoredImage(
                uid=uid,
                name=shown,
                filename=filename,
                path=str(self._images / filename),
                notes=list(decoded.notes),
            )
            if label := label_of(name):
                document["label"] = label
            try:
                decoded.pixels.replace(self._images / filename)
                # Created now, because a page of a hundred images would otherwise have to read a hundred images again.
                decoded.small.replace(self._thumbnail(filename))
                fileio.write_json(self._document(uid), document)
            except OSError:
                # Do not leave an incomplete image on a full disk.
                self._forget(document)
                raise
            return document

    def _check_count(self) -> None:
        """Raise TooLarge if the session has the maximum number of images."""
        most = self._settings.MAX_IMAGES
        # Counting thousands of files for each of them takes long, and the numbers of images bound their count.
        if (fileio.read_json(self._counter) or 0) >= most and len(self._documents()) >= most:
            raise TooLarge(f"A session can have at most {most} images. Remove some first.")

    def _name(self, path: str) -> str:
        """Return the display name of an upload, including its folder if another folder has a file of the same name.

        Browsers send the paths of files in a folder that was chosen or dropped as a whole.
        """
        name, known = decode.display_name(path), self._folder / "names.json"
        if "/" not in path.replace("\\", "/"):
            return name
        # Identified by the path, because the same file may be sent again.
        names: dict[str, str] = fileio.read_json(known) or {}
        # The names of removed images are kept too, so their number must be limited.
        names = names if len(names) < 2 * self._settings.MAX_IMAGES else {}
        if path not in names:
            taken = set(names.values())
            full = decode.path_name(path)
            numbered = (f"{full} ({number})" for number in itertools.count(2))
            names[path] = next(one for one in itertools.chain((name, full), numbered) if one not in taken)
            fileio.write_json(known, names)
        return names[path]

    def check_room(self) -> None:
        """Raise TooLarge or StorageFull if a quota is exhausted; see :class:`picasso.storage.quota.Quotas`."""
        self._quotas.check(self._folder)

    def _next_uid(self) -> int:
        """Return the next number; numbers of removed images are not reused."""
        uid: int = fileio.read_json(self._counter) or 0
        fileio.write_json(self._counter, uid + 1)
        return uid

    def images(self) -> list[StoredImage]:
        """Return the images in the order set by :meth:`arrange`, followed by later ones in upload order.

        Don't change them: they are shared.
        """
        order = {uid: place for place, uid in enumerate(fileio.read_json(self._order) or [])}
        known = []
        for file in self._documents():
            # It may be removed in another tab.
            with suppress(FileNotFoundError):
                known.append(read_document(file))
        return sorted(known, key=lambda document: (order.get(document["uid"], len(order)), int(document["uid"])))

    def _documents(self) -> list[str]:
        """Return the paths of the descriptions of images."""
        with os.scandir(self._images) as entries:
            return [entry.path for entry in entries if entry.name[0].isdecimal() and entry.name.endswith(".json")]

    def arrange(self, uids: Sequence[int | str]) -> None:
        """Put the images with these numbers first, in this order; the others follow in their old order."""
        first = [self.image(uid)["uid"] for uid in uids]
        named = set(first)
        rest = [image["uid"] for image in self.images() if image["uid"] not in named]
        with fileio.room_on_disk():
            fileio.write_json(self._order, [*dict.fromkeys(first), *rest])

    def move(self, uid: int | str, places: int) -> None:
        """Move an image towards the end by ``places`` positions, or towards the beginning if it is negative."""
        moved = self.image(uid)["uid"]
        order = [image["uid"] for image in self.images()]
        place = max(0, order.index(moved) + places)
        order.remove(moved)
        order.insert(place, moved)
        self.arrange(order)

    def image(self, uid: str | int) -> StoredImage:
        """Return one image by its number, or raise NotFound."""
        number = str(uid)
        stored: StoredImage | None = None
        if NUMBER.fullmatch(number):
            stored = fileio.read_json(self._document(int(number)))
        if stored is None:
            raise NotFound("There is no image with that number in this session.", field="image")
        return stored

    def _document(self, uid: int) -> Path:
        return self._images / f"{uid:04d}.json"

    def remove_image(self, uid: str | int) -> None:
        """Remove an image and stop its map in the workspace; runs that already have it keep their results."""
        image = self.image(uid)
        for run in self.runs():
            if (spec := run.spec()).workspace and spec.position(image["uid"]) is not None and run.at_work():
                run.cancel()
        self._forget(image)

    def _forget(self, image: StoredImage) -> None:
        """Delete the files of an image, if they exist."""
        self._document(image["uid"]).unlink(missing_ok=True)
        Path(image["path"]).unlink(missing_ok=True)
        self._thumbnail(image["filename"]).unlink(missing_ok=True)

    def image_file(self, filename: str) -> Path:
        """Return the path of a stored image, or raise NotFound."""
        file = fileio.child(self._images, filename)
        if file is None or file.suffix != ".png":
            raise NotFound("There is no such image in this session.")
        return file

    def thumbnail_file(self, filename: str) -> Path:
        """Return the path of the thumbnail of a stored image, or raise NotFound."""
        return self._thumbnail(self.image_file(filename).name)

    def _thumbnail(self, filename: str) -> Path:
        return self._images / f"{filename}.webp"

    # ---- runs ---------------------------------------------------------------------------------------------

    def run(self, run_id: str) -> Run:
        """Return one of the session's runs, or raise NotFound."""
        return self._job(Run, self.runs_folder, run_id)

    def runs(self) -> list[Run]:
        """Return the runs, the newest first."""
        return self._jobs(Run, self.runs_folder)

    def remove_run(self, run: Run) -> None:
        """Cancel a run and delete its files."""
        self._remove(run)

    # ---- channels ---------------------------------------------------------------------------------------

    def channel_names(self, model: str) -> dict[str, dict[int, str]]:
        """Return the names that the visitor gave to channels of a model, by layer and index.

        Args:
            model: the identity of the model; see :func:`picasso.jobs.prediction_job.identity`.
        """
        stored = (fileio.read_json(self._folder / CHANNEL_NAMES) or {}).get(model, {})
        return {layer: {int(index): name for index, name in named.items()} for layer, named in stored.items() if named}

    def name_channel(self, model: str, layer: str, channel: int, name: str) -> None:
        """Name a channel of a model; "" removes the name.

        Raises:
            TooLarge: the session has the maximum number of names.
        """
        with self._lock, fileio.room_on_disk():
            stored = fileio.read_json(self._folder / CHANNEL_NAMES) or {}
            named = stored.setdefault(model, {}).setdefault(layer, {})
            named.pop(str(channel), None)
            if text := printable(name, MAX_NAME):
                if sum(len(one) for layers in stored.values() for one in layers.values()) >= MAX_CHANNEL_NAMES:
                    raise TooLarge(f"A session can name at most {MAX_CHANNEL_NAMES:,} channels. Remove a name first.")
                named[str(channel)] = text
            fileio.write_json(self._folder / CHANNEL_NAMES, stored)

    # ---- concepts ---------------------------------------------------------------------------------------

    def search(self, search_id: str) -> ConceptSearch:
        """Return one of the session's searches for concepts, or raise NotFound."""
        return self._job(ConceptSearch, self.searches_folder, search_id)

    def searches(self) -> list[ConceptSearch]:
        """Return the searches for concepts, the newest first."""
        return self._jobs(ConceptSearch, self.searches_folder)

    def remove_search(self, search: ConceptSearch) -> None:
        """Cancel a search for concepts and delete its files."""
        self._remove(search)

    def keep_latest_searches(self) -> None:
        """Delete the oldest searches for concepts, if there are too many and they have ended."""
        self._keep_latest(self.searches(), MAX_SEARCHES)

    # ---- rankings ---------------------------------------------------------------------------------------

    def ranking(self, ranking_id: str) -> MethodRanking:
        """Return one of the session's rankings of methods, or raise NotFound."""
        return self._job(MethodRanking, self.rankings_folder, ranking_id)

    def rankings(self) -> list[MethodRanking]:
        """Return the rankings of methods, the newest first."""
        return self._jobs(MethodRanking, self.rankings_folder)

    def remove_ranking(self, ranking: MethodRanking) -> None:
        """Cancel a ranking and delete its files."""
        self._remove(ranking)

    def keep_latest_rankings(self) -> None:
        """Delete the oldest rankings, if there are too many and they have ended."""
        self._keep_latest(self.rankings(), MAX_RANKINGS)

    def preferred_method(self, model: str) -> str:
        """Return the name of the visualization that the newest ranking of a model prefers, or "" if there is none.

        Args:
            model: the identity of the model; see :func:`picasso.jobs.prediction_job.identity`.
        """
        for ranking in self.rankings():
            with suppress(NotFound):
                if (found := ranking.preference()) and ranking.order().model == model:
                    return found.visualization
        return ""

    # ---- all jobs -----------------------------------------------------------------------------------------

    def jobs(self) -> list[Job]:
        """Return the runs, the audits, the searches for concepts, the rankings and the predictions."""
        predictions = self._jobs(Predictions, self._predictions)
        return [*self.runs(), *self.audits(), *self.searches(), *self.rankings(), *predictions]

    def _remove(self, job: Job) -> None:
        """Cancel a job and delete its files."""
        job.cancel()
        fileio.remove(job.folder, self._trash)

    def _keep_latest(self, jobs: Sequence[ReportingJob[Any]], most: int) -> None:
        """Delete what has ended of the jobs beyond a number, of which the newest come first."""
        for job in [one for one in jobs[most:] if not one.at_work()]:
            self._remove(job)

    def predictions(self) -> Predictions | None:
        """Return the predictions for all images, or None if they were never started."""
        return next(iter(self._jobs(Predictions, self._predictions)), None)

    def need_predictions(self) -> Predictions:
        """Return the predictions for all images; create them if there are none."""
        with self._lock, fileio.room_on_disk():
            return self.predictions() or Predictions.create(self._predictions)

    # ---- audits -------------------------------------------------------------------------------------------

    def new_audit(self, class_names: Sequence[str]) -> Audit:
        """Create an audit of a model with these classes; its images are added later.

        Raises:
            TooLarge: the session has the maximum number of audits, or has reached its quota.
        """
        self.check_room()
        with self._lock, fileio.room_on_disk():
            if sum(1 for _ in self.audits()) >= MAX_AUDITS:
                raise TooLarge(f"A session can have at most {MAX_AUDITS} audits. Delete some first.")
            return Audit.create(self.audits_folder, class_names)

    def add_audit_image(self, audit: Audit, target: int, source: bytes | IO[bytes], name: str) -> None:
        """Validate an upload and store it as an image of a class.

        Raises:
            UnsupportedImage, BadRequest, TooLarge, Busy: see :meth:`picasso.imaging.decoders.Decoders.stored` and
                :meth:`Audit.add`.
        """
        body = self._decoders.checked(source, name)
        with self._lock, fileio.room_on_disk():
            audit.add(target, body, decode.display_name(name))

    def copy_to_audit(self, audit: Audit, target: int, image: StoredImage) -> None:
        """Store an image of the session as an image of a class.

        Raises:
            BadRequest, TooLarge, NotFound: see :meth:`Audit.add`.
        """
        with self._lock, fileio.room_on_disk(), suppress(FileNotFoundError):
            audit.add(target, Path(image["path"]).read_bytes(), image["name"])

    def audit(self, audit_id: str) -> Audit:
        """Return one of the session's audits, or raise NotFound."""
        return self._job(Audit, self.audits_folder, audit_id)

    def _job(self, kind: type[J], parent: Path, job_id: str) -> J:
        folder = parent / job_id
        if not ID.fullmatch(job_id) or folder.is_symlink() or not (folder / kind.document).is_file():
            raise NotFound(kind.gone)
        return kind(folder)

    def _jobs(self, kind: type[J], parent: Path) -> list[J]:
        """Return runs or audits by the time of their creation, the newest first."""
        found: list[tuple[float, J]] = []
        for file in parent.glob(f"*/{kind.document}"):
            # It may be deleted during this method; and one that is just being created still has a temporary name.
            with suppress(NotFound):
                if ID.fullmatch(file.parent.name):
                    found.append(((job := kind(file.parent)).created, job))
        return [job for _, job in sorted(found, key=lambda one: one[0], reverse=True)]

    def audits(self) -> list[Audit]:
        """Return the audits, the newest first."""
        return self._jobs(Audit, self.audits_folder)

    def remove_audit(self, audit: Audit) -> None:
        """Cancel an audit and delete its files."""
        self._remove(audit)


# A description never changes, and its path belongs to no other image: numbers and ids of sessions are not reused.
@functools.lru_cache(maxsize=MAX_DOCUMENTS)
def read_document(file: str) -> StoredImage:
    """Return the description of an image.

    Raises:
        FileNotFoundError: the image was removed.
    """
    document: StoredImage = json.loads(Path(file).read_bytes())
    return document


def label_of(path: str) -> str:
    """Return the innermost folders in the path of an upload, such as "animals/cat", or "" if it has none.

    One of them may be named after the class of the image. Names are printable and bounded, and none of them leads to
    another folder.
    """
    parts = ("".join(filter(str.isprintable, part)).strip() for part in path.replace("\\", "/").split("/")[:-1])
    named = [part[:MAX_FOLDER_NAME] for part in parts if part not in ("", ".", "..")]
    return "/".join(named[-MAX_FOLDERS:])


def printable(text: str, limit: int) -> str:
    """Return a text on one line, without characters that can't be printed; long ones are cut."""
    words = "".join(letter if letter.isprintable() else " " for letter in text).split()
    return " ".join(words)[:limit].strip()
