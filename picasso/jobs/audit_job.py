"""The state of an audit as a folder of files, like that of a run in :mod:`picasso.jobs.run`.

The web server collects the images and the worker process runs the tests. They share nothing but these files.

==================  =======================================================================
"""

from __future__ import annotations

import secrets
import shutil
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from picasso import fileio
from picasso.audit.selection import MAX_PER_CLASS, MAX_UPLOADED, considered, taken
from picasso.errors import BadRequest, NotFound, TooLarge
from picasso.imaging import decode
from picasso.jobs.audit_documents import (
    AT_WORK,
    AuditRequest,
    Example,
    FindingDocument,
    Findings,
    MendingDocument,
    Progress,
    StateName,
)
from picasso.jobs.base import Job

# How often an audit is resumed automatically after its worker process died.
RESUMPTIONS = 2
# The largest number of stored sentences about rejected images.
MAX_REFUSED = 50


class Audit(Job):
    """The folder of one audit; its state is read from the files."""

    kind = "audit"
    document, gone = "audit.json", "There is no such audit in this session. It may have been deleted or have expired."

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.trials, self.out = folder / "trials", folder / "out"
        self._pairs = folder / "pairs"
        self.mended = self.out / "mended.keras"

    @classmethod
    def create(cls, parent: Path, class_names: Sequence[str]) -> Audit:
        """Create the folder of a new audit, with an unguessable id."""
        audit = cls(parent / secrets.token_hex(8))
        parent.mkdir(exist_ok=True)
        with fileio.whole_folder(audit.folder) as draft:
            (draft / "images").mkdir()
            fileio.write_json(draft / cls.document, {"created": time.time(), "classes": list(class_names)})
        return audit

    def _document(self) -> dict[str, Any]:
        document: dict[str, Any] | None = fileio.read_json(self.folder / self.document)
        if document is None:
            raise NotFound(self.gone)
        return document

    @property
    def created(self) -> float:
        """The creation time, in seconds since the epoch."""
        return float(self._document()["created"])

    @property
    def class_names(self) -> list[str]:
        """The class names of the model."""
        names: list[str] = self._document()["classes"]
        return names

    # ---- images -----------------------------------------------------------------------------------------

    def add(self, target: int, body: bytes, name: str) -> None:
        """Store an uploaded image of a class under a generated name; it is never served.

        Raises:
            BadRequest: the audit has already been started.
            TooLarge: the audit has the maximum number of images, in total or of this class.
            NotFound: the audit was deleted in the meantime.
        """
        self.check_open()
        counts = self.counts()
        if counts[target] >= MAX_PER_CLASS:
            raise TooLarge(
                f"An audit accepts at most {MAX_PER_CLASS} images of a class; {self.class_names[target]} has them."
            )
        if counts.total() >= MAX_UPLOADED:
            raise TooLarge(f"An audit accepts at most {MAX_UPLOADED:,} images; leave out some classes.")
        file = self.folder / "images" / f"{target}-{counts[target]:05d}"
        counts[target] += 1
        with self.unless_deleted(NotFound(self.gone)):
            try:
                fileio.write_json(file.with_suffix(".json"), name)
                fileio.write_bytes(file, body)
                fileio.write_json(self.folder / "counts.json", counts)
            except OSError:
                file.unlink(missing_ok=True)
                file.with_suffix(".json").unlink(missing_ok=True)
                raise

    def link(self, folder: Path, counts: Mapping[int, int]) -> None:
        """Use the images of a folder where they are, instead of :meth:`add`.

        Args:
            folder: contains one folder of images for each class.
            counts: the number of images of each class.
        """
        fileio.write_json(self.folder / "linked.json", str(folder.absolute()))
        fileio.write_json(self.folder / "counts.json", dict(counts))

    def linked(self) -> Path | None:
        """Return the folder of :meth:`link`, or None."""
        linked = fileio.read_json(self.folder / "linked.json")
        return None if linked is None else Path(linked)

    def check_open(self) -> None:
        """Raise BadRequest if the audit no longer accepts images."""
        if self.state() != "gathering":
            raise BadRequest("The audit was started already and accepts no more images; create a new audit.")

    def images(self) -> list[tuple[int, Path]]:
        """Return the images with the indices of their classes, in upload order."""
        found = [file for file in (self.folder / "images").glob("[0-9]*-[0-9]*") if not file.suffix]
        return sorted((int(file.name.partition("-")[0]), file) for file in found)

    def name_of(self, image: str) -> str:
        """Return the original name of an image."""
        return str(fileio.read_json(self.folder / "images" / f"{image}.json") or decode.display_name(image))

    def counts(self) -> Counter[int]:
        """Return the number of images of each class."""
        counted: dict[str, int] = fileio.read_json(self.folder / "counts.json") or {}
        return Counter({int(target): count for target, count in counted.items()})

    def note_refused(self, sentences: Sequence[str]) -> None:
        """Store the messages about rejected images, for the page of the audit."""
        known = self.refused()
        new = [one for one in dict.fromkeys(sentences) if one not in known]
        if new and len(known) < MAX_REFUSED:
            with self.unless_deleted(NotFound(self.gone)):
                fileio.write_json(self.folder / "refused.json", [*known, *new][:MAX_REFUSED])

    def refused(self) -> list[str]:
        """Return the messages about rejected images and classes that were left out."""
        sentences: list[str] = fileio.read_json(self.folder / "refused.json") or []
        return sentences

    # ---- starting and stopping ----------------------------------------------------------------------------

    def start(self, order: AuditRequest) -> None:
        """Queue the audit; a cancelled or failed audit continues where it stopped, a finished one mends its model.

        Raises:
            BadRequest: the audit is queued, running or finished, or there are too few images.
            NotFound: the audit was deleted in the meantime.
        """
        if order.mend:
            self.check_mendable()
        elif self.state() not in ("gathering", "cancelled", "failed"):
            raise BadRequest("The audit has already started.")
        taken(self.counts(), self.class_names)
        with self.unless_deleted(NotFound(self.gone)):
            # The worker may have been killed between the verdict and the end; it computes the verdict again.
            if (found := self.findings())["verdict"]:
                self.find(found["findings"])
            # Written before the marks are removed: on a full disk, the state stays the same.
            fileio.write_json(self.folder / "start.json", asdict(order))
            for mark in ("progress.json", "interrupted.json", "error.json", "cancel", "done"):
                (self.folder / mark).unlink(missing_ok=True)
            shutil.rmtree(self._pairs, ignore_errors=True)

    def check_mendable(self) -> None:
        """Raise BadRequest unless the audit has findings to mend the model by, or was stopped while mending it."""
        state, found = self.state(), self.findings()["findings"]
        stopped = state in ("cancelled", "failed") and self.order().mend
        if stopped or (state == "finished" and any(one["alarm"] for one in found) and not self.mending()):
            return
        raise BadRequest("Only a finished audit with findings can mend the model, and only once.")

    def order(self) -> AuditRequest:
        """Return the options of the audit."""
        document = fileio.read_json(self.folder / "start.json")
        if document is None:
            raise NotFound("The audit was not started, or has been deleted.")
        return AuditRequest(**document)

    def pairs(self) -> int:
        """Return the largest number of pairs of classes that the audit compares."""
        classes = sum(count > 0 for count in taken(self.counts(), self.class_names).values())
        every = considered(classes)
        return min(self.order().pairs or every, every)

    def let_yield(self, *, yields: bool) -> None:
        """Say whether others wait, so that workers may pause pairs of classes."""
        with suppress(OSError):
            if yields:
                (self.folder / "yield").touch()
            else:
                (self.folder / "yield").unlink(missing_ok=True)

    def yields(self) -> bool:
        """Tell whether others wait."""
        return (self.folder / "yield").exists()

    def pause(self, pair: int, *, paused: bool) -> None:
        """Say whether the test of a pair of classes stopped because others wait, so that it must go on."""
        file = self._pairs / f"{pair}.paused"
        if paused:
            file.touch()
        else:
            file.unlink(missing_ok=True)

    def is_paused(self, pair: int) -> bool:
        """Tell whether the test of a pair of classes must go on."""
        return (self._pairs / f"{pair}.paused").exists()

    def interrupted(self) -> bool:
        """Record that the worker process died; return whether to resume the audit."""
        file = self.folder / "interrupted.json"
        before: int = fileio.read_json(file) or 0
        if before >= RESUMPTIONS or self.is_stopped() or self.state() == "finished":
            return False
        try:
            fileio.write_json(file, before + 1)
        except OSError:
            # Deleted in the meantime, or the disk is full: without the count, the audit might be resumed forever.
            return False
        return True

    # ---- written by the worker ----------------------------------------------------------------------------

    def report(self, progress: Progress, pair: int | None = None) -> None:
        """Store the progress of the audit, or of the test of one pair of classes, by its position in the plan."""
        if pair is None:
            fileio.write_json(self.folder / "progress.json", asdict(progress))
        else:
            # Don't create parents: an audit that was deleted in the meantime must not reappear.
            self._pairs.mkdir(exist_ok=True)
            fileio.write_json(self._pairs / f"{pair}.json", asdict(progress))

    def find(
        self, findings: Sequence[FindingDocument], verdict: str | None = None, example: Example | None = None
    ) -> None:
        """Store the findings so far, and finally the verdict and its example."""
        document = Findings(findings=list(findings), verdict=verdict, example=example)
        fileio.write_json(self.folder / "findings.json", document)

    def note_mending(self, result: MendingDocument) -> None:
        """Store the result of mending the model."""
        fileio.write_json(self.folder / "mending.json", result)

    def mending(self) -> MendingDocument | None:
        """Return the result of mending the model, or None if it was not tried."""
        stored: MendingDocument | None = fileio.read_json(self.folder / "mending.json")
        return stored

    def finish(self) -> None:
        """Mark the audit as finished."""
        (self.folder / "done").touch()

    # ---- read by both processes ---------------------------------------------------------------------------

    def state(self) -> StateName:
        """Return the state of the audit."""
        if end := self.end():
            return end
        if not (self.folder / "start.json").exists():
            return "gathering"
        return progress.state if (progress := self._progress()) else "waiting"

    def at_work(self) -> bool:
        """Tell whether the audit is waiting or being computed."""
        return not self.deleted() and self.state() in AT_WORK

    def progress(self) -> Progress:
        """Return the latest progress, that of all pairs together while they are tests of their own."""
        return self._progress() or Progress()

    def _progress(self) -> Progress | None:
        """Return the latest progress, or None if nothing has started."""
        if (whole := fileio.read_json(self.folder / "progress.json")) is not None:
            return Progress(**whole)
        parts = self._parts()
        if not parts:
            return None
        seconds = sum(one.seconds for one in parts)
        running = [one for one in parts if one.state == "running"]
        if not running:
            return Progress("reading", max(one.fraction for one in parts), seconds)
        total, current = running[0].total, [one for one in running if one.fraction < 1] or running[-1:]
        return replace(
            current[0],
            fraction=round(sum(one.fraction for one in running) / max(1, total), 4),
            seconds=seconds,
            done=sum(one.done for one in running),
            began=seconds - sum(one.seconds - one.began for one in running),
            workers=len(current),
        )

    def _parts(self) -> list[Progress]:
        """Return the progress of each pair that is a test of its own and has begun."""
        found = sorted(self._pairs.glob("[0-9]*.json"), key=lambda file: int(file.stem))
        return [Progress(**one) for one in map(fileio.read_json, found) if one is not None]

    def computed_of(self, pair: int | None = None) -> float:
        """Return the computing time of one pair that is a test of its own, or of all of them, in seconds."""
        if pair is None:
            return sum(one.seconds for one in self._parts())
        return float((fileio.read_json(self._pairs / f"{pair}.json") or {}).get("seconds", 0.0))

    def findings(self) -> Findings:
        """Return the findings so far."""
        stored: Findings | None = fileio.read_json(self.folder / "findings.json")
        return stored or Findings(findings=[], verdict=None, example=None)

    def computed(self) -> float:
        """Return the computing time so far, in seconds."""
        return self.progress().seconds
