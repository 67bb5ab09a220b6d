"""The types of the arrays that models take and return: batch first, channels last."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

#: Inputs ``(N, H, W, C)``, probabilities and logits ``(N, K)``, feature maps ``(N, h, w, c)``.
Array = NDArray[np.float32]
#: One class index per input, ``(N,)``.
Classes = NDArray[np.int64]
#: Height, width and channels of an input.
Shape = tuple[int, int, int]


def fill_up(array: NDArray[Any], size: int) -> NDArray[Any]:
    """Return ``array`` with zeros appended until its length is a positive multiple of ``size``."""
    missing = -len(array) % size or (0 if len(array) else size)
    return np.concatenate([array, np.zeros((missing, *array.shape[1:]), array.dtype)])
