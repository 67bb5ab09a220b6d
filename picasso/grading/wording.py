"""One sentence for a person about what the tests of maps found."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from picasso.grading.curves import EDGES, RANDOM

if TYPE_CHECKING:
    from picasso.grading.outcome import ImageGrade

#: Maps with a rank correlation of at least this are alike, and those below the other number are not.
ALIKE, DIFFERENT = 0.7, 0.5


def sentence(images: Sequence[ImageGrade]) -> str:
    """Return what the tests say about the maps of some images; numbers are means over those that were tested."""
    parts = [part for part in (beaten(images), weights(images), fills(images), flips(images)) if part]
    said = "; ".join(parts)
    untested = dict.fromkeys(one for image in images for one in image.untested)
    missing = f"Not tested: {'; '.join(untested)}." if untested else ""
    return " ".join(filter(None, [f"{said[0].upper()}{said[1:]}." if said else "", missing]))


def beaten(images: Sequence[ImageGrade]) -> str:
    """Say on how many images the maps are better than the controls."""
    known = [(one.beats(EDGES), one.beats(RANDOM)) for one in images if one.curves]
    if not known:
        return ""
    edges, random = (sum(bool(each) for each in side) for side in zip(*known, strict=True))
    if len(known) == 1:
        return {
            (True, True): "beats an edge detector and a random map",
            (True, False): "beats an edge detector, but not a random map",
            (False, True): "beats a random map, but not an edge detector",
            (False, False): "beats neither an edge detector nor a random map",
        }[bool(edges), bool(random)]
    return f"beats an edge detector on {edges} of {len(known)} images, and a random map on {random}"


def weights(images: Sequence[ImageGrade]) -> str:
    """Say whether the maps change if weights are replaced by random ones."""
    found = [one.weights.agreement for one in images if one.weights]
    if not found:
        return ""
    largest = mean(found)
    follows = "hardly follows the weights" if largest >= ALIKE else "follows the weights in part"
    if largest < DIFFERENT:
        follows = "follows the weights"
    return f"{follows} (agreement with maps of random weights up to {largest:.2f})"


def fills(images: Sequence[ImageGrade]) -> str:
    """Say whether the fill of hidden parts matters."""
    tests = [one.fills for one in images if one.fills]
    if not tests:
        return ""
    agreement = mean(test.agreement or 0.0 for test in tests)
    matters = "the fill hardly matters" if agreement >= ALIKE else "the fill matters"
    return f"{matters} ({tests[0].fill} and {tests[0].other} agree by {agreement:.2f})"


def flips(images: Sequence[ImageGrade]) -> str:
    """Say whether flipped images get flipped maps."""
    found = [one.flip.agreement or 0.0 for one in images if one.flip]
    if not found:
        return ""
    agreement = mean(found)
    if agreement >= ALIKE:
        return f"a flipped image gets the flipped map (agreement {agreement:.2f})"
    return f"a flipped image gets another map (agreement {agreement:.2f})"


def mean(values: Iterable[float]) -> float:
    """Return the mean of at least one number."""
    listed = list(values)
    return sum(listed) / len(listed)
