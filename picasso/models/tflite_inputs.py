"""Detect the pixel values that a TFLite graph expects, from the first operations on its input.

The results of the first operations are computed for constant images. :mod:`picasso.models.tf.input_values` does so for
TensorFlow.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from picasso.models import value_range
from picasso.models.outputs.tflite_graph import TFLiteReader
from picasso.models.tflite_schema import TFLiteGraph


def find(file: Path, graph: TFLiteGraph, batch: int, shape: tuple[int, ...]) -> str:
    """Return the value range that the first operations of a file imply, a key of ``value_range.RAW``, or "".

    Args:
        file: the ``.tflite`` file, whose input is float.
        graph: its content.
        batch: the batch size of the input.
        shape: the shape of one image, ``(H, W, C)``.
    """
    from ai_edge_litert import interpreter as litert

    ends = TFLiteReader(graph).behind_first_operations()
    if not ends:
        return ""
    # By default, the interpreter reuses the memory of these tensors and fuses operations.
    interpreter = litert.Interpreter(
        model_path=str(file),
        experimental_preserve_all_tensors=True,
        experimental_op_resolver_type=litert.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    interpreter.allocate_tensors()
    (source,) = interpreter.get_input_details()
    answers = []
    for value in value_range.PROBES:
        interpreter.set_tensor(source["index"], np.full((batch, *shape), value, source["dtype"]))
        interpreter.invoke()
        answers.append([interpreter.get_tensor(index).astype(np.float64) for index in ends])
    found = {value_range.of_values(np.stack(values)) for values in zip(*answers, strict=True)}
    return found.pop() if len(found) == 1 else ""
