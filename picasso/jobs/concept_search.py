"""A search for concepts as a folder of files, like a run in :mod:`picasso.jobs.run`.

====================  =============================================================================================
``search.json``       :class:`ConceptOrder`: the images, the layer, and how the worker finds the model
``progress.json``     the progress, 0..1, and the computing time so far in seconds
``found/``            ``concepts.json``, ``factors.npz``, and for exemplar 2 of concept 1 ``1-2-crop.png`` and
                      ``1-2-heat.png``; it exists as a whole once the search is finished
``cancel``            marks a cancelled search
``error.json``        why it failed
====================  =============================================================================================
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from picasso import fileio
from picasso.inside.concept_card import Concepts
from picasso.jobs.reporting_job import Order, ReportingJob

DOCUMENT, FACTORS = "concepts.json", "factors.npz"


@dataclass(frozen=True)
class ConceptOrder(Order):
    """What to search for.

    Attributes:
        layer: the name of the layer.
        target: the index of the class whose concepts are wanted; None for all images.
        count: the number of concepts.
        audit: the ``audit.json`` of the audit whose findings are compared with the concepts, or "".
    """

    layer: str
    target: int | None
    count: int
    audit: str


class ConceptSearch(ReportingJob[ConceptOrder]):
    """The folder of one search; its state is read from its files."""

    document, kind, order_type = "search.json", "concepts", ConceptOrder
    gone = "There is no such search for concepts in this session. It may have been deleted or have expired."

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._found = folder / "found"

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
