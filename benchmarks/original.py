"""The baseline: partial occlusion as the tool of 2017 did it, written anew on today's TensorFlow.

All occluded pictures are painted one by one, preprocessed together, and predicted in one call.
"""

from __future__ import annotations

import keras
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from picasso.visualizations.partial_occlusion import OcclusionSettings, boxes


def occlude(model: keras.Model, picture: Image.Image, settings: OcclusionSettings) -> NDArray[np.float32]:
    """Return the class probabilities at every window position, ``(strides, strides, K)``."""
    painted = []
    for box in boxes(picture.size, settings):
        copy = picture.copy()
        copy.paste(128, box)
        painted.append(copy)
    inputs = np.stack([np.asarray(image, np.float32)[..., None] / 255 for image in painted])
    probabilities = model.predict(inputs, batch_size=len(inputs), verbose=0)
    return np.asarray(probabilities, np.float32).reshape(settings.strides, settings.strides, -1)
