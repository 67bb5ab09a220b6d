"""Which pictures an audit takes: enough of a class to say something, no more than are needed, evenly chosen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

from picasso.errors import BadRequest

# Fewer pictures of a class say nothing, and more of them are not needed.
FEWEST, MOST = 8, 200
# How many pairs are looked at unless more are asked for; two classes have one, five have ten, ten have 45.
PAIRS = 10
# All are held in memory, as the model sees them.
MOST_PICTURES = 4_000

T = TypeVar("T")


def taken(counts: Mapping[int, int]) -> dict[int, int]:
    """Return how many pictures of each class an audit takes, of so many that there are: 0 where they are too few.

    Raises:
        BadRequest: fewer than two classes have enough, or there are too many classes.
    """
    enough = [target for target, count in counts.items() if count >= FEWEST]
    if len(enough) < 2:
        raise BadRequest(
            f"An audit compares classes: it needs two or more with {FEWEST} pictures each, in folders of their names. "
            f"There {'is one' if enough else 'are none'} with so many.",
            field="pictures",
        )
    most = min(MOST, MOST_PICTURES // len(enough))
    if most < FEWEST:
        raise BadRequest(f"An audit takes at most {MOST_PICTURES // FEWEST} classes; leave some out.", field="pictures")
    return {target: min(count, most) if target in enough else 0 for target, count in counts.items()}


def spread(found: Sequence[T], count: int) -> list[T]:
    """Return so many of these, evenly spread."""
    return [found[index * len(found) // count] for index in range(count)]
