"""TFLite files that TensorFlow's converter writes, and the answers of LiteRT."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from picasso.models.litert import Interpreter
from picasso.models.tf.runtime import tf

KINDS = ("float", "half", "dynamic", "int8")


def written(converter: Any, file: Path, kind: str = "float", images: Any = None) -> Path:
    """Write what a converter converts.

    Args:
        converter: a ``TFLiteConverter``.
        file: the file to write.
        kind: how numbers are stored, from ``KINDS``.
        images: examples for the ranges of numbers of ``int8``.
    """
    if kind != "float":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if kind == "half":
        converter.target_spec.supported_types = [tf.float16]
    if kind == "int8":
        converter.representative_dataset = lambda: ([image[None]] for image in images)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.uint8
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        file.write_bytes(converter.convert())
    return file


def of_function(function: Callable[[Any], Any], shape: tuple[int, ...], file: Path) -> Path:
    """Write a function of one image ``(1, H, W, C)``."""
    compute = tf.function(function, input_signature=[tf.TensorSpec((1, *shape))])
    return written(tf.lite.TFLiteConverter.from_concrete_functions([compute.get_concrete_function()]), file)


def of_keras(model: Any, file: Path, kind: str = "float", images: Any = None) -> Path:
    """Write a Keras model."""
    return written(tf.lite.TFLiteConverter.from_keras_model(model), file, kind, images)


def answers(file: Path, images: NDArray[np.float32]) -> list[NDArray[Any]]:
    """Return the outputs of LiteRT for images, which it computes one by one."""
    interpreter = Interpreter(file)
    outputs = [int(one["index"]) for one in interpreter.outputs]
    return [
        np.concatenate(parts) for parts in zip(*(interpreter.run(one[None], outputs) for one in images), strict=True)
    ]
