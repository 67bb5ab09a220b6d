"""Which method is best for a model, according to the grades of its maps of some images."""

from __future__ import annotations

from collections.abc import Sequence

from picasso.grading.curves import EDGES, RANDOM
from picasso.grading.outcome import Grade

HEADS = ("method", "score", "edges", "random", "weights")


def ranked(grades: Sequence[Grade]) -> list[Grade]:
    """Return grades for the same images, the best first: that with the highest mean score; those without one last.

    Examples:
        >>> from picasso.grading.outcome import Grade
        >>> from picasso.grading.ranking import ranked
        >>> [one.visualization for one in ranked([Grade("RISE", {}, ())])]
        ['RISE']
    """
    return sorted(grades, key=lambda one: (one.score is None, -(one.score or 0.0), one.visualization))


def lines(grades: Sequence[Grade]) -> list[str]:
    """Return the ranking as a table in plain text.

    The columns are the mean score, the number of images on which the maps beat an edge detector and a random map, and
    the mean agreement with maps of random weights.
    """
    rows = [HEADS, *(row(one) for one in ranked(grades))]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADS))]
    return ["  ".join([first.ljust(widths[0]), *map(str.rjust, rest, widths[1:])]) for first, *rest in rows]


def numbers(grade: Grade) -> dict[str, float]:
    """Return the numbers of a grade: its ``score``, and the shares of the images, 0..1, on which the maps are better.

    ``beats_edges`` is about an edge detector, ``beats_random`` about a random map, and ``weights`` is the mean
    agreement with maps of random weights, 0..1. What was not tested is left out.

    Examples:
        >>> from picasso.grading.outcome import Grade
        >>> from picasso.grading.ranking import numbers
        >>> numbers(Grade("RISE", {}, ()))
        {}
    """
    known = [one for one in grade.images if one.curves]
    tested = [one.weights.agreement for one in grade.images if one.weights]
    found = {} if grade.score is None else {"score": grade.score}
    if known:
        for name, order in (("beats_edges", EDGES), ("beats_random", RANDOM)):
            found[name] = sum(bool(one.beats(order)) for one in known) / len(known)
    if tested:
        found["weights"] = sum(tested) / len(tested)
    return found


def row(grade: Grade) -> tuple[str, ...]:
    """Return the cells of one method; "-" for what was not tested."""
    found, known = numbers(grade), [one for one in grade.images if one.curves]
    return (
        grade.visualization,
        f"{found['score']:.3f}" if "score" in found else "-",
        *(f"{sum(bool(one.beats(order)) for one in known)} of {len(known)}" for order in (EDGES, RANDOM)),
        f"{found['weights']:.2f}" if "weights" in found else "-",
    )
