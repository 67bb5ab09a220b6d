"""Which images an audit takes: enough of a class to say something, no more than are needed, evenly chosen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

from picasso.errors import BadRequest

# Fewer images of a class say nothing, and more of them are not needed.
MIN_PER_CLASS, MAX_PER_CLASS = 8, 200
# How many pairs are looked at unless more are asked for; two classes have one, five have ten, ten have 45.
PAIRS = 10
# All are held in memory, as the model sees them.
MAX_IMAGES = 4_000
# Of classes that are left out, so many are named.
NAMED = 20

T = TypeVar("T")


def taken(counts: Mapping[int, int], names: Sequence[str] = ()) -> dict[int, int]:
    """Return how many images of each class an audit takes, of so many that there are: 0 where they are too few.

    Args:
        counts: how many there are, by class.
        names: of all classes, for the error.

    Raises:
        BadRequest: fewer than two classes have enough, or there are too many classes.
    """
    enough = [target for target, count in counts.items() if count >= MIN_PER_CLASS]
    if len(enough) < 2:
        raise BadRequest(
            f"An audit compares classes: it needs two or more with {MIN_PER_CLASS} images each, in folders of their "
            "names. "
            f"There {'is one' if enough else 'are none'} with so many. {left_out(counts, names)}".rstrip(),
            field="images",
        )
    most = min(MAX_PER_CLASS, MAX_IMAGES // len(enough))
    if most < MIN_PER_CLASS:
        raise BadRequest(
            f"An audit takes at most {MAX_IMAGES // MIN_PER_CLASS} classes; leave some out.", field="images"
        )
    return {target: min(count, most) if target in enough else 0 for target, count in counts.items()}


def left_out(counts: Mapping[int, int], names: Sequence[str]) -> str:
    """Return a sentence that names the classes of which there are too few images; "" if there are none."""
    few = [(names[target], count) for target, count in counts.items() if count < MIN_PER_CLASS and target < len(names)]
    if not few:
        return ""
    listed = ", ".join(f"{name} ({count})" for name, count in few[:NAMED])
    more = f" and {len(few) - NAMED} more" if len(few) > NAMED else ""
    return f"Left out, because there are fewer than {MIN_PER_CLASS} images: {listed}{more}."


def spread(found: Sequence[T], count: int) -> list[T]:
    """Return so many of these, evenly spread."""
    return [found[index * len(found) // count] for index in range(count)]
