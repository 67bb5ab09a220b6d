"""Which images the gallery shows and in which order, and what their predictions say about the model."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

from picasso.errors import BadRequest
from picasso.evaluation.intervals import interval
from picasso.evaluation.labeled_folder import ClassAccuracy, by_class
from picasso.jobs.run import StoredImage
from picasso.targets.class_names import by_name, choices, number
from picasso.web.predicted import Row

# The number of images of a page.
PAGE = 100
# The number of classes in the confusion matrix.
MAX_CLASSES = 20
# A prediction is unsure if the probabilities of its first two classes differ by less.
UNSURE = 0.2

SHOW: Mapping[str, tuple[str, Callable[[Row], bool]]] = {
    "all": ("all images", lambda row: True),
    "mistakes": ("mistakes", lambda row: row.correct is False),
    "right": ("right answers", lambda row: row.correct is True),
    "unsure": ("unsure", lambda row: row.margin is not None and row.margin < UNSURE),
}
# Images without a prediction come last in any order but that of the upload.
SORT: Mapping[str, tuple[str, Callable[[Row], Any]]] = {
    "upload": ("as uploaded", lambda row: 0),
    "least": ("least confident first", lambda row: 2.0 if row.confidence is None else row.confidence),
    "mistakes": (
        "most confident mistake first",
        lambda row: (row.correct is not False, -(row.confidence or 0.0)),
    ),
}


@dataclass(frozen=True)
class Selection:
    """The state of the gallery, which is the query of its address.

    Attributes:
        label: show only images of this class, by name, or by number if several classes have the name; "" for all.
        predicted: show only images that are predicted as this class.
        show: a key of :data:`SHOW`.
        sort: a key of :data:`SORT`.
    """

    label: str = ""
    predicted: str = ""
    show: str = "all"
    sort: str = "upload"

    @classmethod
    def of(cls, fields: Mapping[str, str]) -> Self:
        """Return the state in an address or a form.

        Raises:
            BadRequest: a value is invalid.
        """
        given = {name: fields[name].strip() for name in ("label", "predicted", "show", "sort") if fields.get(name)}
        for name, known in (("show", SHOW), ("sort", SORT)):
            if given.get(name, next(iter(known))) not in known:
                raise BadRequest(f"{name} must be one of {', '.join(known)}, not {given[name][:60]!r}.", field=name)
        return cls(**given)

    def query(self, **changed: str) -> dict[str, str]:
        """Return the fields that differ from the default, after changes."""
        fields = asdict(replace(self, **changed))
        return {name: value for name, value in fields.items() if value != getattr(Selection(), name)}

    def chosen(self, images: Sequence[StoredImage], rows: Mapping[int, Row], names: Sequence[str]) -> list[StoredImage]:
        """Return the images that are shown, in their order.

        Raises:
            BadRequest: the model has no such class.
        """
        known = by_name(names)
        label, predicted = (self._class(name, known, names) for name in ("label", "predicted"))
        wanted = SHOW[self.show][1]
        shown = [
            image
            for image in images
            if wanted(row := rows[image["uid"]]) and label in (None, row.target) and predicted in (None, row.index)
        ]
        if self.sort != "upload":
            key = SORT[self.sort][1]
            shown.sort(key=lambda image: key(rows[image["uid"]]))
        return shown

    def _class(self, field: str, known: Mapping[str, Sequence[int]], names: Sequence[str]) -> int | None:
        """Return the index of the class in a field, or None if it is empty or the model has no classes."""
        wanted: str = getattr(self, field)
        if not wanted or not names:
            return None
        try:
            return number(names, known, wanted)
        except BadRequest as error:
            error.field = field
            raise


@dataclass(frozen=True)
class Rate:
    """A share of images with its 95% confidence interval, 0..1."""

    right: int
    images: int
    low: float
    high: float

    @classmethod
    def of(cls, right: int, images: int) -> Self:
        """Return the share of right answers."""
        return cls(right, images, *interval(right, images))

    @property
    def fraction(self) -> float:
        """The accuracy."""
        return self.right / max(1, self.images)


@dataclass(frozen=True)
class Cell:
    """One count of the confusion matrix, with its share of the row in tenths."""

    count: int
    tenths: int
    right: bool
    predicted: str


@dataclass(frozen=True)
class Line:
    """One row of the confusion matrix: the images of one class.

    Attributes:
        label: the value of the class in an address.
        name: its display name.
        cells: the counts by predicted class.
        elsewhere: the number of images predicted as classes that are not in the matrix.
    """

    label: str
    name: str
    cells: tuple[Cell, ...]
    elsewhere: int


@dataclass(frozen=True)
class ClassRate:
    """The accuracy of one class.

    Attributes:
        label: the value of the class in an address.
        name: its display name.
        share: its accuracy.
        mistaken_for: the name of the most frequent wrong prediction, or "".
    """

    label: str
    name: str
    share: Rate
    mistaken_for: str


@dataclass(frozen=True)
class Summary:
    """What the predictions of labelled images say about a model.

    Attributes:
        total: the accuracy.
        classes: the accuracy of each class that has images.
        columns: the display names of the predicted classes in the matrix.
        matrix: the confusion matrix.
        hidden: the number of classes that occur and are not in the matrix.
    """

    total: Rate
    classes: tuple[ClassRate, ...]
    columns: tuple[str, ...]
    matrix: tuple[Line, ...]
    hidden: int


def summary(rows: Mapping[int, Row], names: Sequence[str]) -> Summary | None:
    """Return the summary of the images whose class and prediction are known, or None if there are none."""
    answers: dict[int, list[int]] = defaultdict(list)
    for row in rows.values():
        if row.target is not None and row.index is not None:
            answers[row.target].append(row.index)
    if not answers:
        return None
    values = choices(names)
    found = [(target, answers[target]) for target in sorted(answers)]
    shares: list[tuple[int, ClassAccuracy]] = list(zip(sorted(answers), by_class(dict(found), names), strict=True))
    classes = tuple(
        ClassRate(*values[target], Rate.of(one.right, one.images), one.mistaken_for) for target, one in shares
    )
    right, images = (sum(getattr(one, name) for _, one in shares) for name in ("right", "images"))
    return Summary(Rate.of(right, images), classes, *confusion(answers, values))


def confusion(
    answers: Mapping[int, Sequence[int]], values: Sequence[tuple[str, str]]
) -> tuple[tuple[str, ...], tuple[Line, ...], int]:
    """Return the columns and rows of the confusion matrix, and the number of classes that are left out.

    It has the classes that occur; if there are more than :data:`MAX_CLASSES`, the most confused ones, in that order.
    """
    counts = {target: Counter(predicted) for target, predicted in answers.items()}
    mistakes = Counter[int]()
    for target, row in counts.items():
        for index, count in row.items():
            # Classes that only occur are counted, too.
            mistakes[target] += count if index != target else 0
            mistakes[index] += count if index != target else 0
    shown = sorted(mistakes)
    if len(shown) > MAX_CLASSES:
        shown = sorted(shown, key=lambda index: -mistakes[index])[:MAX_CLASSES]
    lines = []
    for target in shown:
        if target in counts:
            row, images = counts[target], counts[target].total()
            cells = tuple(
                Cell(row[index], -(-10 * row[index] // images), index == target, values[index][0]) for index in shown
            )
            lines.append(Line(*values[target], cells, images - sum(cell.count for cell in cells)))
    return tuple(values[index][1] for index in shown), tuple(lines), len(mistakes) - len(shown)
