"""Which method is best for a model, according to the grades of its maps of some images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from picasso.grading.curves import EDGES, RANDOM
from picasso.grading.outcome import Grade, ImageGrade
from picasso.grading.wording import ALIKE

HEADS = ("method", "score", "edges", "random", "weights")
#: A method is preferred to another only if both are graded on this many images.
MIN_IMAGES = 5
#: The probability of preferring a method to the default although it is not better.
LEVEL = 0.05


@dataclass(frozen=True)
class MapScore:
    """What a ranking keeps of the grade of one map.

    Attributes:
        score: the score of the map, or None if it was not measured.
        edges: whether it beats an edge detector.
        random: whether it beats a random map.
        agreement: its agreement with maps of random weights, 0..1, or None if that was not tested.
        untested: a sentence for each test that could not be made, with the reason.
    """

    score: float | None = None
    edges: bool = False
    random: bool = False
    agreement: float | None = None
    untested: tuple[str, ...] = ()

    @classmethod
    def of(cls, grade: ImageGrade) -> MapScore:
        """Return what counts of a grade."""
        agreement = grade.weights.agreement if grade.weights else None
        return cls(grade.score, bool(grade.beats(EDGES)), bool(grade.beats(RANDOM)), agreement, grade.untested)


@dataclass(frozen=True)
class Standing:
    """How a method does on some images.

    Attributes:
        visualization: its name.
        scores: the score for each image, or None where it was not measured.
        edges: the number of images on which its maps beat an edge detector.
        random: the number on which they beat a random map.
        agreement: the mean agreement with maps of random weights, 0..1; None if that was not tested.
        untested: a sentence for each test that could not be made, with the reason.

    Examples:
        >>> from picasso.grading.ranking import MapScore, Standing
        >>> Standing.of("RISE", [MapScore(0.25, edges=True), None, MapScore(0.75)]).score
        0.5
    """

    visualization: str
    scores: tuple[float | None, ...]
    edges: int
    random: int
    agreement: float | None
    untested: tuple[str, ...]

    @classmethod
    def of(cls, visualization: str, maps: Sequence[MapScore | None]) -> Standing:
        """Return the standing of a method with these maps; None for an image whose map is not graded."""
        known = [one for one in maps if one is not None]
        agreements = [one.agreement for one in known if one.agreement is not None]
        return cls(
            visualization,
            tuple(one.score if one else None for one in maps),
            sum(one.edges for one in known),
            sum(one.random for one in known),
            sum(agreements) / len(agreements) if agreements else None,
            tuple(dict.fromkeys(text for one in known for text in one.untested)),
        )

    @property
    def measured(self) -> int:
        """The number of images with a score."""
        return sum(one is not None for one in self.scores)

    @property
    def score(self) -> float | None:
        """The mean score over the images that have one, or None."""
        known = [one for one in self.scores if one is not None]
        return sum(known) / len(known) if known else None

    @property
    def follows(self) -> bool:
        """Whether its maps depend on the weights, as far as that was tested, and beat random maps on most images."""
        return (self.agreement is None or self.agreement < ALIKE) and 2 * self.random > self.measured

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON-ready values."""
        return {**asdict(self), "score": self.score, "measured": self.measured}


def ranked(standings: Sequence[Standing]) -> list[Standing]:
    """Return standings on the same images, the best first: that with the highest mean score; those without one last.

    Examples:
        >>> from picasso.grading.ranking import MapScore, Standing, ranked
        >>> worse, better = (Standing.of(name, [MapScore(score)]) for name, score in (("LIME", 0.1), ("RISE", 0.2)))
        >>> [one.visualization for one in ranked([worse, better])]
        ['RISE', 'LIME']
    """
    return sorted(standings, key=lambda one: (one.score is None, -(one.score or 0.0), one.visualization))


@dataclass(frozen=True)
class Preference:
    """The method that a ranking recommends.

    Attributes:
        visualization: its name, or "" if no method is recommended.
        sentence: why, for a person.
    """

    visualization: str
    sentence: str


def preference(standings: Sequence[Standing], default: str, titles: Mapping[str, str]) -> Preference:
    """Return the method to prefer for a model.

    That is the one with the best mean score, of those whose maps depend on the weights and beat random maps on most
    images. Another method than the default is only preferred if its scores are higher on the same images beyond chance:
    a paired t-test, with the level divided by the number of methods (Bonferroni).

    Args:
        standings: the methods, all with the same images.
        default: the name of the method that is used without a ranking.
        titles: the names for people.
    """
    able = [one for one in ranked(standings) if one.measured >= MIN_IMAGES and one.follows]
    if not able:
        return Preference(
            "",
            f"No method is preferred: that takes scores on at least {MIN_IMAGES} images, maps that beat a random map on"
            " most of them, and maps that change with the weights.",
        )
    best = able[0]
    name, usual = titles[best.visualization], titles.get(default, default)
    # One with a higher score may have failed a test.
    whose = name if ranked(standings)[0] == best else f"Of the methods that pass the tests, {name}"
    praised = f"{whose} has the best mean score, {best.score:.3f} over {best.measured} images"
    if best.visualization == default:
        return Preference(default, f"{praised}, and is the method that is used anyway.")
    other = next((one for one in standings if one.visualization == default), None)
    if other is None:
        return Preference(best.visualization, f"{praised}. The usual method was not among those that were ranked.")
    if not other.follows:
        return Preference(best.visualization, f"{praised}. {usual} failed one of the tests.")
    pairs = [(a, b) for a, b in zip(best.scores, other.scores, strict=True) if a is not None and b is not None]
    if len(pairs) < MIN_IMAGES:
        return Preference(
            default,
            f"{praised}, but fewer than {MIN_IMAGES} of them have a score of {usual}, too, so {usual} is used as"
            " before.",
        )
    chance = chance_of(pairs) * max(1, len(standings) - 1)
    if chance < LEVEL:
        return Preference(best.visualization, f"{praised}; {usual} has {other.score:.3f}. {certainty(chance)}")
    return Preference(
        default,
        f"{praised}, but is not better than {usual} ({other.score:.3f}) beyond chance, so {usual} is used as before.",
    )


def chance_of(pairs: Sequence[tuple[float, float]]) -> float:
    """Return the p-value of a one-sided paired t-test that the first of each pair is higher on average."""
    from scipy.stats import ttest_rel

    differences = {first - second for first, second in pairs}
    if len(differences) == 1:
        # Without any spread, the test is not defined.
        return 0.0 if differences.pop() > 0 else 1.0
    first, second = zip(*pairs, strict=True)
    return float(ttest_rel(first, second, alternative="greater").pvalue)


def certainty(chance: float) -> str:
    """Say how improbable a difference is by chance, below :data:`LEVEL`.

    Examples:
        >>> from picasso.grading.ranking import certainty
        >>> certainty(0.0149)
        'Such a difference arises by chance with a probability below 0.05.'
    """
    limit = next(limit for limit in (0.001, 0.01, LEVEL) if chance < limit)
    return f"Such a difference arises by chance with a probability below {limit}."


def standing_of(grade: Grade) -> Standing:
    """Return the standing of a method that was graded on its own."""
    return Standing.of(grade.visualization, list(map(MapScore.of, grade.images)))


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
    standing = standing_of(grade)
    found = {} if standing.score is None else {"score": standing.score}
    if standing.measured:
        found["beats_edges"] = standing.edges / standing.measured
        found["beats_random"] = standing.random / standing.measured
    if standing.agreement is not None:
        found["weights"] = standing.agreement
    return found


def lines(grades: Sequence[Grade]) -> list[str]:
    """Return the ranking as a table in plain text.

    The columns are the mean score, the number of images on which the maps beat an edge detector and a random map, and
    the mean agreement with maps of random weights.
    """
    standings = ranked(list(map(standing_of, grades)))
    rows = [HEADS, *map(row, standings)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADS))]
    return ["  ".join([first.ljust(widths[0]), *map(str.rjust, rest, widths[1:])]) for first, *rest in rows]


def row(standing: Standing) -> tuple[str, ...]:
    """Return the cells of one method; "-" for what was not tested."""
    return (
        standing.visualization,
        "-" if standing.score is None else f"{standing.score:.3f}",
        *(f"{count} of {standing.measured}" for count in (standing.edges, standing.random)),
        "-" if standing.agreement is None else f"{standing.agreement:.2f}",
    )
