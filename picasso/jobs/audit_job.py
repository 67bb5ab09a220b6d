"""An audit as a folder, as :mod:`picasso.jobs.run` has it of a run: what to do, how far it is, what was found so far.

The web server gathers the images, the process that computes tries things on them; they share nothing but these files.

==================  ==============================================================================
``audit.json``      when it was begun, and the names of the model's classes
``images/``       image N of class T as ``T-N``, and its name in ``T-N.json``
``refused.json``    a sentence for each image that was not taken, and for the classes that were left out
``counts.json``     how many there are of each class, so that nobody has to list thousands for each that comes
``start.json``      :class:`~picasso.jobs.audit_documents.Order`: it waits for its turn; written anew to go on
``progress.json``   :class:`~picasso.jobs.audit_documents.Progress`: what is being done, and what it costs
``findings.json``   the findings so far, and at last the verdict
``trials/``         what was tried so far, so that it goes on after any interruption
``out/``            the report, JSON, JUnit, and the evidence
``done``            it is finished
``cancel``          somebody no longer wants it
``error.json``      why it failed
==================  ==============================================================================

What tries things, :mod:`picasso.jobs.auditor`, needs SciPy and a model; the web server imports neither.
"""

from __future__ import annotations

import secrets
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from picasso import fileio
from picasso.audit.selection import MAX_IMAGES, MAX_PER_CLASS, taken
from picasso.errors import BadRequest, NotFound, PicassoError, TooLarge
from picasso.jobs.audit_documents import AT_WORK, AuditRequest, FindingDocument, Findings, Progress, StateName
from picasso.jobs.base import Job

# So often an audit is taken up again by itself where the process that computed it died.
RESUMPTIONS = 2
# Of images that are not taken, so many sentences are kept.
MAX_REFUSED = 50


class Audit(Job):
    """The folder of one audit; every question is answered by looking at its files."""

    document, gone = "audit.json", "There is no such audit in this session; it may have expired."

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.trials, self.out = folder / "trials", folder / "out"

    @classmethod
    def create(cls, parent: Path, class_names: Sequence[str]) -> Audit:
        """Make the folder of a new audit with an id that can't be guessed."""
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

    @contextmanager
    def unless_deleted(self, instead: BaseException) -> Iterator[None]:
        """Raise something else where the audit was deleted meanwhile, so that its files can't be read or written."""
        try:
            yield
        except (OSError, PicassoError) as error:
            if self.deleted():
                raise instead from error
            raise

    @property
    def created(self) -> float:
        """When it was begun, in seconds since the epoch."""
        return float(self._document()["created"])

    @property
    def class_names(self) -> list[str]:
        """The names of the model's classes."""
        names: list[str] = self._document()["classes"]
        return names

    # ---- images -----------------------------------------------------------------------------------------

    def add(self, target: int, body: bytes, name: str) -> None:
        """Store an image of a class under a generated name, as it was sent; it is never served, only read.

        Raises:
            BadRequest: the audit was started.
            TooLarge: there are as many images, or as many of this class, as an audit takes.
            NotFound: the audit was deleted meanwhile.
        """
        self.check_open()
        counts = self.counts()
        if counts[target] >= MAX_PER_CLASS:
            raise TooLarge(
                f"An audit takes at most {MAX_PER_CLASS} images of a class; {self.class_names[target]} has them."
            )
        if counts.total() >= MAX_IMAGES:
            raise TooLarge(f"An audit takes at most {MAX_IMAGES} images; leave out some classes.")
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

    def check_open(self) -> None:
        """Raise BadRequest where no more images are taken."""
        if self.state() != "gathering":
            raise BadRequest("The audit was started already and takes no more images; begin another one.")

    def images(self) -> list[tuple[int, Path]]:
        """Return the images with the indices of their classes, in the order in which they came."""
        found = [file for file in (self.folder / "images").glob("[0-9]*-[0-9]*") if not file.suffix]
        return sorted((int(file.name.partition("-")[0]), file) for file in found)

    def name_of(self, image: str) -> str:
        """Return what the visitor calls an image."""
        return str(fileio.read_json(self.folder / "images" / f"{image}.json") or image)

    def counts(self) -> Counter[int]:
        """Return how many images there are of each class."""
        counted: dict[str, int] = fileio.read_json(self.folder / "counts.json") or {}
        return Counter({int(target): count for target, count in counted.items()})

    def note_refused(self, sentences: Sequence[str]) -> None:
        """Keep what was said of images that were not taken, so that the page of the audit can say it, too."""
        known = self.refused()
        new = [one for one in dict.fromkeys(sentences) if one not in known]
        if new and len(known) < MAX_REFUSED:
            with self.unless_deleted(NotFound(self.gone)):
                fileio.write_json(self.folder / "refused.json", [*known, *new][:MAX_REFUSED])

    def refused(self) -> list[str]:
        """Return what was said of images that were not taken, and of classes that were left out."""
        sentences: list[str] = fileio.read_json(self.folder / "refused.json") or []
        return sentences

    # ---- starting and stopping ----------------------------------------------------------------------------

    def start(self, order: AuditRequest) -> None:
        """Note that it waits for its turn; one that ended before its time goes on where it was.

        Raises:
            BadRequest: it is at work or finished, or there are too few images.
            NotFound: it was deleted meanwhile.
        """
        if self.state() not in ("gathering", "cancelled", "failed"):
            raise BadRequest("The audit was started already.")
        taken(self.counts(), self.class_names)
        with self.unless_deleted(NotFound(self.gone)):
            # One that was killed between its verdict and its end says so anew.
            if (found := self.findings())["verdict"]:
                self.find(found["findings"])
            # Before the marks go: where the disk is full, it stays as it is and is not taken for one that waits.
            fileio.write_json(self.folder / "start.json", asdict(order))
            for mark in ("progress.json", "interrupted.json", "error.json", "cancel"):
                (self.folder / mark).unlink(missing_ok=True)

    def order(self) -> AuditRequest:
        """Return how it is to be done."""
        document = fileio.read_json(self.folder / "start.json")
        if document is None:
            raise NotFound("The audit was not started, or deleted meanwhile.")
        return AuditRequest(**document)

    def interrupted(self) -> bool:
        """Note that the process that computed it died; tell whether to take it up again."""
        file = self.folder / "interrupted.json"
        before: int = fileio.read_json(file) or 0
        if before >= RESUMPTIONS or self.is_stopped() or self.state() == "finished":
            return False
        try:
            fileio.write_json(file, before + 1)
        except OSError:
            # Deleted meanwhile, or no room on the disk: without the count it might be taken up for ever.
            return False
        return True

    # ---- written by whoever computes ----------------------------------------------------------------------

    def report(self, progress: Progress) -> None:
        """Note what is being done."""
        fileio.write_json(self.folder / "progress.json", asdict(progress))

    def find(self, findings: Sequence[FindingDocument], verdict: str | None = None) -> None:
        """Note what was found so far, and at last the verdict."""
        fileio.write_json(self.folder / "findings.json", {"findings": findings, "verdict": verdict})

    def finish(self) -> None:
        """Note that everything is there."""
        (self.folder / "done").touch()

    # ---- asked by both sides ------------------------------------------------------------------------------

    def state(self) -> StateName:
        """Return how it stands."""
        # Asked first: it may be finished while this reads.
        if (self.folder / "done").exists():
            return "finished"
        if (self.folder / "error.json").exists():
            return "failed"
        if (self.folder / "cancel").exists():
            return "cancelled"
        if not (self.folder / "start.json").exists():
            return "gathering"
        return self.progress().state if (self.folder / "progress.json").exists() else "waiting"

    def at_work(self) -> bool:
        """Tell whether it waits or computes."""
        return not self.deleted() and self.state() in AT_WORK

    def progress(self) -> Progress:
        """Return what was being done when it was last heard of."""
        return Progress(**(fileio.read_json(self.folder / "progress.json") or {}))

    def findings(self) -> Findings:
        """Return what was found so far."""
        return fileio.read_json(self.folder / "findings.json") or Findings(findings=[], verdict=None)

    def computed(self) -> float:
        """Return how many seconds it took so far."""
        return self.progress().seconds
