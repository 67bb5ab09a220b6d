"""A search for concepts as a folder of files, like a run in :mod:`picasso.jobs.run`.

====================  =============================================================================================
``search.json``       :class:`Order`: the images, the layer, and how the worker finds the model
``progress.json``     the progress, 0..1, and the computing time so far in seconds
``found/``            ``concepts.json``, ``factors.npz``, and for exemplar 2 of concept 1 ``1-2-crop.png`` and
                      ``1-2-heat.png``; it exists as a whole once the search is finished
``cancel``            marks a cancelled search
``error.json``        why it failed
====================  =============================================================================================
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from picasso import fileio
from picasso.errors import NotFound
from picasso.inside.concept_card import Concepts
from picasso.jobs.base import ReportingJob
from picasso.jobs.run import StoredImage

DOCUMENT, FACTORS = "concepts.json", "factors.npz"


@dataclass(frozen=True)
class Order:
    """What to search for.

    Attributes:
        configuration: how the worker finds the model.
        images: the images to look at.
        layer: the name of the layer.
        target: the index of the class whose concepts are wanted; None for all images.
        count: the number of concepts.
        audit: the ``audit.json`` of the audit whose findings are compared with the concepts, or "".
        model: the identity of the model; see :func:`picasso.jobs.prediction_job.identity`.
        created: the time of the creation, in seconds since the epoch.
    """

    configuration: dict[str, Any]
    images: Sequence[StoredImage]
    layer: str
    target: int | None
    count: int
    audit: str
    model: str
    created: float


class ConceptSearch(ReportingJob):
    """The folder of one search; its state is read from its files."""

    document, kind = "search.json", "concepts"
    gone = "There is no such search for concepts in this session. It may have been deleted or have expired."

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._found = folder / "found"

    @classmethod
    def create(cls, parent: Path, order: Order) -> ConceptSearch:
        """Create the folder of a new search with an unguessable id."""
        search = cls(parent / secrets.token_hex(8))
        parent.mkdir(exist_ok=True)
        with fileio.whole_folder(search.folder) as draft:
            fileio.write_json(draft / cls.document, asdict(order))
        return search

    def order(self) -> Order:
        """Return what to search for, or raise NotFound if the search was deleted in the meantime."""
        document = fileio.read_json(self.folder / self.document)
        if document is None:
            raise NotFound(self.gone)
        return Order(**document)

    @property
    def created(self) -> float:
        """The time of its creation, in seconds since the epoch."""
        return self.order().created

    # ---- written by the worker ----------------------------------------------------------------------------

    def finish(self, found: Concepts) -> None:
        """Store the concepts; this finishes the search."""
        with fileio.whole_folder(self._found) as draft:
            for one in found.concepts:
                for number, shown in enumerate(one.exemplars, start=1):
                    shown.crop.save(draft / f"{one.number}-{number}-crop.png")
                    shown.heat.save(draft / f"{one.number}-{number}-heat.png")
            found.factors.save(draft / FACTORS)
            fileio.write_json(draft / DOCUMENT, {**found.as_dict(), "sentences": found.sentences()})

    # ---- read by both processes ---------------------------------------------------------------------------

    def is_done(self) -> bool:
        """Tell whether the concepts are stored."""
        return (self._found / DOCUMENT).is_file()

    def found(self) -> dict[str, Any] | None:
        """Return the concepts as :meth:`picasso.inside.concept_card.Concepts.as_dict` does, with their sentences.

        None if the search is not finished.
        """
        found: dict[str, Any] | None = fileio.read_json(self._found / DOCUMENT)
        return found

    def file(self, name: str) -> Path | None:
        """Return a file of the result, or None if there is none of that name."""
        return fileio.child(self._found, name)

    @property
    def factors(self) -> Path:
        """The file of the factorization; see :meth:`picasso.inside.factors.Factors.read`."""
        return self._found / FACTORS
