"""A grid of maps: rows are images, columns are methods, models or targets; and the runs that have the maps."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from picasso.attribution.rank_agreement import rank_correlation
from picasso.errors import NotFound
from picasso.explanation.comparison import mean
from picasso.jobs import worker
from picasso.jobs.run import Run, StoredImage
from picasso.storage.session import Session
from picasso.targets import Wanted
from picasso.web.context import each, services
from picasso.web.pages.run_view import RunView, target_of, text_of
from picasso.web.presentation import present

# Words in the quantities of maps that only say how much a place matters, and of those that are low where it matters.
MAGNITUDES, REMAINDERS = ("|", "variance", "standard error"), "while covered"


class Request(NamedTuple):
    """What the runs of a column compute, apart from the images.

    ``settings`` and ``wanted`` are validated, and ``model`` is the name of a model of ``COMPARE``, or "".
    """

    method: str
    settings: Mapping[str, Any]
    wanted: Sequence[Wanted]
    model: str

    def fits(self, look: RunView) -> bool:
        """Tell whether a run computes this."""
        spec = look.spec
        return (
            (spec.visualization, spec.settings, spec.model, list(spec.models))
            == (self.method, self.settings, self.model, [])
            and [text_of(one) for one in spec.targets] == [text_of(one) for one in self.wanted]
            and spec.configuration == worker.reference(services().settings)
        )


@dataclass(frozen=True)
class Column:
    """A column: its heading, its request, and which of its targets it shows.

    Attributes:
        title: the heading.
        request: what its runs compute.
        target: the text of the target to show, or "" for the target at ``place``.
        place: the place of the target among those that a result explains.
    """

    title: str
    request: Request
    target: str = ""
    place: int = 0


@dataclass(frozen=True)
class Cell:
    """A map of one image.

    Attributes:
        folder: the folder of its run.
        document: the result, with addresses.
        panel: the description of the map in it, with addresses.
    """

    folder: Path
    document: Mapping[str, Any]
    panel: Mapping[str, Any]

    @property
    def run_id(self) -> str:
        """The id of its run."""
        return self.folder.name

    @property
    def value(self) -> float | None:
        """The value of the target, such as the probability of a class."""
        found = self.panel["probability"] if self.panel["value"] is None else self.panel["value"]
        return None if found is None else float(found)

    @property
    def best(self) -> Mapping[str, Any] | None:
        """The most important prediction of the model."""
        return next(iter(self.document["predictions"]), None)

    @property
    def stored(self) -> tuple[Path, int, str, float, str]:
        """Where the values of the map are, their rounding error and their quantity."""
        panel = self.panel
        return self.folder, self.document["position"], panel["array"], panel["noise"], panel["quantity"]


@dataclass(frozen=True)
class Row:
    """An image with its cells, one for each column, and the mean agreement of their maps."""

    image: StoredImage
    cells: Sequence[Cell | None]
    agreement: float | None

    @property
    def shown(self) -> list[tuple[int, Cell]]:
        """The cells that there are, with the numbers of their columns."""
        return [(number, cell) for number, cell in enumerate(self.cells) if cell]


@dataclass(frozen=True)
class Grid:
    """A grid: its images, its columns, and the runs of the session that fit."""

    images: Sequence[StoredImage]
    columns: Sequence[Column]
    looks: Sequence[RunView]

    @classmethod
    def of(cls, session: Session, images: Sequence[StoredImage], columns: Sequence[Column]) -> Grid:
        """Find the runs of a session that have the maps of a grid, the newest first."""
        requests, wanted = [one.request for one in columns], {image["uid"] for image in images}
        looks = [
            look
            for look in each(session.runs(), RunView.at)
            if any(one.fits(look) for one in requests) and wanted & {image["uid"] for image in look.spec.images}
        ]
        return cls(images, columns, looks)

    @cached_property
    def requests(self) -> list[tuple[Request, str]]:
        """The different requests, each with the headings of its columns."""
        found: list[tuple[Request, list[str]]] = []
        for column in self.columns:
            same = next((titles for request, titles in found if request == column.request), None)
            if same is None:
                found.append((column.request, [column.title]))
            else:
                same.append(column.title)
        return [(request, ", ".join(titles)) for request, titles in found]

    def runs_of(self, request: Request) -> list[RunView]:
        """Return the runs that compute what is requested."""
        return [look for look in self.looks if request.fits(look)]

    def missing(self, request: Request, *, again: bool) -> list[StoredImage]:
        """Return the images that no run has computed or will compute.

        Args:
            request: what is requested.
            again: whether those of cancelled and failed runs are missing too.
        """
        there: set[int] = set()
        for look in self.runs_of(request):
            finished = look.running or not again or look.state["state"] == "finished"
            found = look.spec.images if finished else look.run.results()
            there |= {image["uid"] for image in found}
        return [image for image in self.images if image["uid"] not in there]

    @cached_property
    def running(self) -> list[tuple[RunView, str]]:
        """The unfinished runs with the headings of their columns."""
        return [(look, titles) for request, titles in self.requests for look in self.runs_of(request) if look.running]

    @cached_property
    def failures(self) -> list[tuple[str, str]]:
        """The headings and the errors of columns without a map whose last run failed."""
        found = []
        for request, titles in self.requests:
            runs = self.runs_of(request)
            error = runs[0].state["error"] if runs else None
            if error and self.missing(request, again=True):
                found.append((titles, error["message"]))
        return found

    @cached_property
    def untried(self) -> bool:
        """Whether there are maps that no run was started for."""
        return any(self.missing(request, again=False) for request, _ in self.requests)

    @cached_property
    def incomplete(self) -> bool:
        """Whether there are maps that no run has or will have."""
        return any(self.missing(request, again=True) for request, _ in self.requests)

    @cached_property
    def rows(self) -> list[Row]:
        """The rows in the order of the images."""
        results = [(request, self._results(request)) for request, _ in self.requests]

        def row(image: StoredImage) -> Row:
            by_column = (next(found for one, found in results if one == column.request) for column in self.columns)
            cells = [
                cell_of(found.get(image["uid"]), column) for found, column in zip(by_column, self.columns, strict=True)
            ]
            pairs = itertools.combinations([cell for cell in cells if cell], 2)
            return Row(image, cells, mean([agreement(one, two) for one, two in pairs]))

        return [row(image) for image in self.images]

    def _results(self, request: Request) -> dict[int, tuple[Path, dict[str, Any]]]:
        """Return the results of a request by the numbers of their images; newer runs take precedence."""
        found: dict[int, tuple[Path, dict[str, Any]]] = {}
        for look in self.runs_of(request):
            for document in documents(look.run):
                found.setdefault(document["uid"], (look.run.folder, document))
        return found


def documents(run: Run) -> Iterator[dict[str, Any]]:
    """Yield the results of a run; none if it was deleted in the meantime."""
    try:
        yield from present(run)
    except NotFound:
        return


def cell_of(result: tuple[Path, dict[str, Any]] | None, column: Column) -> Cell | None:
    """Return the map of a column in the result of an image, or None if there is none."""
    if result is None:
        return None
    folder, document = result
    by_target: dict[str, dict[str, Any]] = {}
    for panel in document["panels"]:
        if panel["kind"] == "map":
            by_target.setdefault(target_of(panel), panel)
    found = list(by_target.values())
    panel = by_target.get(column.target) if column.target else next(iter(found[column.place :]), None)
    return None if panel is None else Cell(folder, document, panel)


def agreement(one: Cell, two: Cell) -> float | None:
    """Return how far two maps of an image agree, or None if they explain different targets or one is flat."""
    same = target_of(dict(one.panel)) == target_of(dict(two.panel))
    classes = one.document["model"]["classes"] == two.document["model"]["classes"]
    return correlation(one.stored, two.stored) if same and classes else None


@functools.lru_cache(maxsize=4096)
def correlation(one: tuple[Path, int, str, float, str], two: tuple[Path, int, str, float, str]) -> float | None:
    """Return the rank correlation of two stored maps, of one quantity or of different ones."""
    arrays = [Run(folder).array(str(position), name) for folder, position, name, *_ in (one, two)]
    if any(array is None for array in arrays):
        return None
    first, second = evidence([array for array in arrays if array is not None], [one[-1], two[-1]])
    return rank_correlation(first, second, (one[3], two[3]))


def evidence(arrays: Sequence[NDArray[Any]], quantities: Sequence[str]) -> list[NDArray[Any]]:
    """Return maps of an image so that in all of them high values mean the same, whatever their quantities are.

    What remains of a value while a place is covered is low where the place matters. If one of two maps only has
    magnitudes, as a saliency map has, so has the other.
    """
    if len(set(quantities)) == 1:
        return list(arrays)
    turned = [
        array.max() - array if REMAINDERS in quantity else array
        for array, quantity in zip(arrays, quantities, strict=True)
    ]
    magnitudes = any(word in quantity for word in MAGNITUDES for quantity in quantities)
    return [np.abs(array) for array in turned] if magnitudes else turned
