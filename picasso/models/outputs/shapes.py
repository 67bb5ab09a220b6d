"""Which shapes of an output are those of a classifier."""

from __future__ import annotations

from collections.abc import Sequence


def class_count(shape: Sequence[int | str | None], fixed_batch: int | None) -> int | None:
    """Return K, the number of values for each image, or None where an output is not that of a classifier.

    Sides of 1 do not count: ``(N, K)``, ``(N, 1, 1, K)`` and ``(N, K, 1, 1)`` are K values, ``(N,)`` is one.

    Args:
        shape: with the batch first; sides that are not known are None or a name.
        fixed_batch: the only number of images that the model takes at once, or None.
    """
    if fixed_batch == 1 and len(shape) == 1 and shape[0] not in (1, None):
        # The axis of a batch of one was dropped.
        shape = (1, *shape)
    sides = [side for side in shape[1:] if side != 1]
    if not shape or len(sides) > 1:
        return None
    side = sides[0] if sides else 1
    return side if isinstance(side, int) and side > 0 else None
