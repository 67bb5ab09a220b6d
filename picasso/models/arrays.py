"""The arrays that go in and out of models; batch first, channels last."""

import numpy as np
from numpy.typing import NDArray

#: Inputs ``(N, H, W, C)``, probabilities and logits ``(N, K)``, feature maps ``(N, h, w, c)``.
Array = NDArray[np.float32]
#: One class index per input, ``(N,)``.
Classes = NDArray[np.int64]
#: Height, width and channels of an input.
Shape = tuple[int, int, int]
