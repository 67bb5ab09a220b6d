"""The output shapes of classifiers."""

from __future__ import annotations

from collections.abc import Sequence


def class_count(shape: Sequence[int | str | None], fixed_batch: int | None) -> int | None:
    """Return K, the number of values per image, or None if the shape is not that of a classifier's output.

    Axes of length 1 are ignored: ``(N, K)``, ``(N, 1, 1, K)`` and ``(N, K, 1, 1)`` are K values, ``(N,)`` is one.

    Args:
        shape: the shape, batch axis first; unknown lengths are None or a name.
        fixed_batch: the fixed batch size of the model, or None.
    """
    if fixed_batch == 1 and len(shape) == 1 and shape[0] not in (1, None):
        # The model dropped the batch axis of length 1.
        shape = (1, *shape)
    sides = [side for side in shape[1:] if side != 1]
    if not shape or len(sides) > 1:
        return None
    side = sides[0] if sides else 1
    return side if isinstance(side, int) and side > 0 else None
