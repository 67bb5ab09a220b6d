"""The session of one visitor: its images in their order, its runs and audits; all of it files in one folder."""

from __future__ import annotations

import itertools
import os
import re
import secrets
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, TypeVar

from picasso import fileio
from picasso.config import Settings
from picasso.errors import NotFound, TooLarge
from picasso.imaging import decode
from picasso.imaging.decoders import Decoders
from picasso.jobs.audit_job import Audit
from picasso.jobs.base import Job
from picasso.jobs.run import Run, StoredImage
from picasso.storage.quota import Quotas

# The descriptions of a session's images, one JSON file each.
DOCUMENTS = "[0-9]*.json"
NUMBER = re.compile(r"[0-9]{1,9}")
# Ids of sessions and runs; a longer one could not even be looked for.
ID = re.compile(r"[0-9A-Za-z]{1,64}")
# Their folders are small as long as they hold no images, but there should not be any number of them.
MAX_AUDITS = 20


J = TypeVar("J", bound=Job)


class Session:
    """The folder of one visitor: uploaded images, runs and audits."""

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
        self._quotas = quotas
        self._folder, self._settings, self._lock = folder, settings, lock
        self._images = folder / "images"
        self._order = folder / "order.json"

    def touch(self) -> None:
        """Note that the session is in use."""
        os.utime(self._folder)

    def at_work(self) -> bool:
        """Tell whether one of its runs or audits waits or computes."""
        return any(job.at_work() for job in (*self.runs(), *self.audits()))

    def empty(self) -> bool:
        """Tell whether it holds no image, no run and no audit."""
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
            source: the bytes of the file, or what they are read from.
            name: what the visitor calls it.

        Raises:
            UnsupportedImage, BadRequest, TooLarge, Busy: see :meth:`picasso.imaging.decoders.Decoders.stored`.
            TooLarge: the session holds as many images as it may.
        """
        self.check_room()
        with self._decoders.stored(source, name) as decoded, self._lock, fileio.room_on_disk():
            if sum(1 for _ in self._images.glob(DOCUMENTS)) >= self._settings.MAX_IMAGES:
                raise TooLarge(f"A session holds {self._settings.MAX_IMAGES} images at most; remove some first.")
            uid, shown = self._next_uid(), self._name(name)
            filename = f"{uid:04d}-{secrets.token_hex(6)}.png"
            document = StoredImage(
                uid=uid,
                name=shown,
                filename=filename,
                path=str(self._images / filename),
                notes=list(decoded.notes),
            )
            try:
                decoded.pixels.replace(self._images / filename)
                # Made at once: a page of a hundred images would wait for a hundred to be read again.
                decoded.small.replace(self._thumbnail(filename))
                fileio.write_json(self._document(uid), document)
            except OSError:
                # A full disk has no room for half an image either.
                self._forget(document)
                raise
            return document

    def _name(self, path: str) -> str:
        """Return what an upload is called: by its folder, too, where another of this name came from another folder.

        Browsers send the paths of what lies in a folder that was chosen or dropped as a whole.
        """
        name, known = decode.display_name(path), self._folder / "names.json"
        if "/" not in path.replace("\\", "/"):
            return name
        # By the path, since the same one may be sent again.
        names: dict[str, str] = fileio.read_json(known) or {}
        # What was removed again is not forgotten, so there must be an end.
        names = names if len(names) < 2 * self._settings.MAX_IMAGES else {}
        if path not in names:
            taken = set(names.values())
            full = decode.path_name(path)
            numbered = (f"{full} ({number})" for number in itertools.count(2))
            names[path] = next(one for one in itertools.chain((name, full), numbered) if one not in taken)
            fileio.write_json(known, names)
        return names[path]

    def check_room(self) -> None:
        """Raise TooLarge or StorageFull where no more may be stored; see :class:`picasso.storage.quota.Quotas`."""
        self._quotas.check(self._folder)

    def _next_uid(self) -> int:
        """Count up; a removed image's number is not used again."""
        counter = self._folder / "next_uid"
        uid: int = fileio.read_json(counter) or 0
        fileio.write_json(counter, uid + 1)
        return uid

    def images(self) -> list[StoredImage]:
        """Return the images in the order that :meth:`arrange` gave them, later ones in the order of their upload."""
        documents = (fileio.read_json(file) for file in self._images.glob(DOCUMENTS))
        order = {uid: place for place, uid in enumerate(fileio.read_json(self._order) or [])}
        known = [document for document in documents if document]
        return sorted(known, key=lambda document: (order.get(document["uid"], len(order)), int(document["uid"])))

    def arrange(self, uids: Sequence[int | str]) -> None:
        """Put the images of these numbers first, in this order; the others follow as they were."""
        first = [self.image(uid)["uid"] for uid in uids]
        rest = [image["uid"] for image in self.images() if image["uid"] not in first]
        with fileio.room_on_disk():
            fileio.write_json(self._order, [*dict.fromkeys(first), *rest])

    def move(self, uid: int | str, places: int) -> None:
        """Move an image towards the end by so many places, or towards the beginning if ``places`` is negative."""
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
            raise NotFound("There is no image of that number in this session.", field="image")
        return stored

    def _document(self, uid: int) -> Path:
        return self._images / f"{uid:04d}.json"

    def remove_image(self, uid: str | int) -> None:
        """Forget an image; runs that already have it keep their results."""
        self._forget(self.image(uid))

    def _forget(self, image: StoredImage) -> None:
        """Delete the files of an image, as far as they are there."""
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
        """Return the path of the small version of a stored image, or raise NotFound."""
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
        run.cancel()
        fileio.remove(run.folder, self._trash)

    # ---- audits -------------------------------------------------------------------------------------------

    def new_audit(self, class_names: Sequence[str]) -> Audit:
        """Begin an audit of a model with these classes; its images come later.

        Raises:
            TooLarge: the session holds as many audits, or as much, as it may.
        """
        self.check_room()
        with self._lock, fileio.room_on_disk():
            if sum(1 for _ in self.audits()) >= MAX_AUDITS:
                raise TooLarge(f"A session holds {MAX_AUDITS} audits at most; delete some first.")
            return Audit.create(self.audits_folder, class_names)

    def add_audit_image(self, audit: Audit, target: int, source: bytes | IO[bytes], name: str) -> None:
        """Check an upload and store it as an image of a class.

        Raises:
            UnsupportedImage, BadRequest, TooLarge, Busy: see :meth:`picasso.imaging.decoders.Decoders.stored` and
                :meth:`Audit.add`.
        """
        body = self._decoders.checked(source, name)
        with self._lock, fileio.room_on_disk():
            audit.add(target, body, decode.display_name(name))

    def audit(self, audit_id: str) -> Audit:
        """Return one of the session's audits, or raise NotFound."""
        return self._job(Audit, self.audits_folder, audit_id)

    def _job(self, kind: type[J], parent: Path, job_id: str) -> J:
        folder = parent / job_id
        if not ID.fullmatch(job_id) or folder.is_symlink() or not (folder / kind.document).is_file():
            raise NotFound(kind.gone)
        return kind(folder)

    def _jobs(self, kind: type[J], parent: Path) -> list[J]:
        """Return runs or audits in the order in which they were begun, the last one first."""
        found: list[tuple[float, J]] = []
        for file in parent.glob(f"*/{kind.document}"):
            # It may be deleted while this reads; and one that is just being made has another name yet.
            with suppress(NotFound):
                if ID.fullmatch(file.parent.name):
                    found.append(((job := kind(file.parent)).created, job))
        return [job for _, job in sorted(found, key=lambda one: one[0], reverse=True)]

    def audits(self) -> list[Audit]:
        """Return the audits, the newest first."""
        return self._jobs(Audit, self.audits_folder)

    def remove_audit(self, audit: Audit) -> None:
        """Cancel an audit and delete its files."""
        audit.cancel()
        fileio.remove(audit.folder, self._trash)
