"""Innocent folders of plain MNIST: two or three classes of digits, which often look alike, as they are in its files."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from benchmarks.audit.worlds.digits import digits, numbers_of

NAME = "mnist"
# The digits of the folders of each half.
FOLDERS: dict[str, tuple[tuple[int, ...], ...]] = {
    "tuning": ((2, 3), (5, 6), (0, 8), (1, 4), (8, 9), (2, 6), (3, 9), (0, 5), (1, 2, 7), (0, 6, 8)),
    "test": ((3, 8), (4, 9), (7, 9), (1, 7), (3, 5), (5, 8), (0, 6), (2, 7), (3, 5, 8), (4, 7, 9)),
}


def digits_of(digit: int, half: str, each: int, seed: int) -> NDArray[np.uint8]:
    """Return test digits of a class, ``(each, 28, 28, 1)``; the halves share none."""
    numbers = numbers_of("test", digit)
    some = numbers[::2] if half == "tuning" else numbers[1::2]
    chosen = np.random.default_rng([seed, digit]).choice(some, each, replace=False)
    return np.asarray(digits("test").images[chosen][..., None])
