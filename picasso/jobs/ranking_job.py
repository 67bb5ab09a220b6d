"""A ranking of methods as a folder of files, like a run in :mod:`picasso.jobs.run`.

======================  ===========================================================================================
``ranking.json``        :class:`RankingOrder`: the images, the methods, and how the worker finds the model
``progress.json``       the progress, 0..1, and the computing time so far in seconds
``maps/``               a :class:`picasso.grading.ranking.MapScore` for each image and method, such as ``3-RISE.json``
``controls/``           the curves of the controls of each image, such as ``3.json``
``begun``               which map is being graded
``outcome.json``        :class:`picasso.grading.ranking.Preference`; it exists once the ranking is finished
``cancel``              marks a cancelled ranking
``error.json``          why it failed
======================  ===========================================================================================
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from picasso import fileio
from picasso.grading.curves import Curve
from picasso.grading.ranking import MapScore, Preference, Standing
from picasso.jobs.reporting_job import Order, ReportingJob


@dataclass(frozen=True)
class RankingOrder(Order):
    """What to rank; the methods are graded on the images.

    Attributes:
        methods: the titles of the visualizations by their names.
        default: the name of the visualization that is used without a ranking.
    """

    methods: Mapping[str, str]
    default: str


class MethodRanking(ReportingJob[RankingOrder]):
    """The folder of one ranking; its state is read from its files."""

    document, kind, order_type = "ranking.json", "ranking", RankingOrder
    gone = "There is no such ranking in this session. It may have been deleted or have expired."
    folders = ("maps", "controls")

    # ---- written by the worker ----------------------------------------------------------------------------

    def begin(self, image: int, method: str) -> None:
        """Note which map is graded next, in case that the process does not survive it.

        Args:
            image: the position of the image.
            method: the name of the visualization.
        """
        fileio.write_json(self.folder / "begun", [image, method])

    def keep(self, image: int, method: str, score: MapScore) -> None:
        """Store what was found for a map; the arguments are as above."""
        fileio.write_json(self._map(image, method), asdict(score))

    def keep_controls(self, image: int, curves: Sequence[Curve]) -> None:
        """Store the curves of the controls of an image."""
        fileio.write_json(self.folder / "controls" / f"{image}.json", [vars(one) for one in curves])

    def finish(self, preference: Preference) -> None:
        """Store the end, which finishes the ranking."""
        fileio.write_json(self.folder / "outcome.json", asdict(preference))

    def pass_over(self, why: str) -> bool:
        """Leave the map that was begun without a score; tell whether there is one.

        Args:
            why: the reason, as a sentence.
        """
        found = self.begun()
        if found:
            self.keep(*found, MapScore(untested=(why,)))
        return found is not None

    # ---- read by both processes ---------------------------------------------------------------------------

    def _map(self, image: int, method: str) -> Path:
        return self.folder / "maps" / f"{image}-{method}.json"

    def begun(self) -> tuple[int, str] | None:
        """Return the map that was begun and is not graded: the position of the image, and the visualization."""
        image, method = fileio.read_json(self.folder / "begun") or (0, "")
        return None if not method or self._map(image, method).exists() else (image, method)

    def score(self, image: int, method: str) -> MapScore | None:
        """Return what was found for a map, or None if it is not graded yet; the arguments are as above."""
        document = fileio.read_json(self._map(image, method))
        return MapScore(**{**document, "untested": tuple(document["untested"])}) if document else None

    def controls(self, image: int) -> list[Curve] | None:
        """Return the curves of the controls of an image, or None if they are not known yet."""
        stored = fileio.read_json(self.folder / "controls" / f"{image}.json")
        if stored is None:
            return None
        return [Curve(one["order"], tuple(one["deletion"]), tuple(one["insertion"])) for one in stored]

    def standings(self) -> list[Standing]:
        """Return how each method does on the images so far."""
        order = self.order()
        images = range(len(order.images))
        return [Standing.of(name, [self.score(image, name) for image in images]) for name in order.methods]

    def is_done(self) -> bool:
        """Tell whether the end is stored."""
        return (self.folder / "outcome.json").is_file()

    def preference(self) -> Preference | None:
        """Return the end, or None if the ranking is not finished."""
        document = fileio.read_json(self.folder / "outcome.json")
        return Preference(**document) if document else None
