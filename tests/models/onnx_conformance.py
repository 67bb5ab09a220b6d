"""The cases of the ONNX project's own tests, which its package contains, and what is expected of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from picasso.models.tf.onnx.table import tensor
from picasso.models.tf.onnx.translate import nodes_of, translate
from picasso.models.tf.runtime import tf

# Operations that no image model needs where it is explained, by reason.
EXCLUDED_OPERATIONS = {
    "losses": {"NegativeLogLikelihoodLoss", "SoftmaxCrossEntropyLoss"},
    "text": {"RegexFullMatch", "StringConcat", "StringNormalizer", "StringSplit", "TfIdfVectorizer"},
    "optional values and functions of sequences": {
        "Optional", "OptionalGetElement", "OptionalHasElement", "SequenceMap",
    },
    "random numbers": {
        "Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike",
    },
    "sound": {"BlackmanWindow", "HammingWindow", "HannWindow", "MelWeightMatrix", "STFT"},
    "image files": {"ImageDecoder"},
    "caches of language models": {"CausalConvWithState", "LinearAttention", "TensorScatter"},
}  # fmt: skip
# Trees and other models without images, optimizers of training, and what is not yet standard.
EXCLUDED_DOMAINS = {"ai.onnx.ml", "ai.onnx.preview", "ai.onnx.preview.training"}
# ONNX's numbers of types that TensorFlow does not compute with: text, complex numbers, floats of 8 and 4 bits, and
# integers of 4 and 2 bits.
EXCLUDED_TYPES = {8, 14, 15, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26}
# The outputs of bfloat16 are compared with this relative tolerance: two units in the last place.
BFLOAT16 = 2.0**-6


def excluded(model: Any) -> str:
    """Return why a model needs no translation, or nothing."""
    graph = model.graph
    reasons = filter(None, map(excluded_node, nodes_of(graph)))
    for one in (*graph.input, *graph.output, *graph.initializer, *graph.value_info):
        number = one.data_type if hasattr(one, "data_type") else one.type.tensor_type.elem_type
        if number in EXCLUDED_TYPES:
            return "types"
    if any(not one.type.HasField("tensor_type") for one in graph.input):
        return "sequences as inputs"
    return next(reasons, "")


def excluded_node(node: Any) -> str:
    """Return why a node needs no translation, or nothing."""
    for reason, names in EXCLUDED_OPERATIONS.items():
        if node.op_type in names:
            return reason
    numbers = {one.name: one.i for one in node.attribute}
    if numbers.get("training_mode") or (node.op_type == "Dropout" and any(node.input[2:])):
        return "training"
    if node.op_type in ("Cast", "QuantizeLinear") and EXCLUDED_TYPES & {numbers.get("to"), numbers.get("output_dtype")}:
        return "types"
    return node.domain if node.domain in EXCLUDED_DOMAINS else ""


def model_of(case: Any) -> Any:
    """Return the model of a case."""
    import onnx

    return case.model or onnx.load(str(Path(case.model_dir) / "model.onnx"))


def data_of(case: Any) -> Iterator[tuple[list[Any], list[Any]]]:
    """Yield the inputs and the expected outputs of a case."""
    import onnx
    from onnx import numpy_helper

    if case.data_sets:
        for inputs, outputs in case.data_sets:
            yield [plain(one) for one in inputs], [plain(one) for one in outputs]
        return
    for folder in sorted(Path(case.model_dir).glob("test_data_set_*")):
        values: dict[str, list[Any]] = {"input": [], "output": []}
        for kind, found in values.items():
            for place in range(len(list(folder.glob(f"{kind}_*.pb")))):
                content = (folder / f"{kind}_{place}.pb").read_bytes()
                found.append(numpy_helper.to_array(onnx.TensorProto.FromString(content)))
        yield values["input"], values["output"]


def plain(value: Any) -> Any:
    """Return a value of a case as an array, or as a list of arrays."""
    import onnx
    from onnx import numpy_helper

    if isinstance(value, onnx.TensorProto):
        return numpy_helper.to_array(value)
    return [plain(one) for one in value] if isinstance(value, list | tuple) else np.asarray(value)


def failure(case: Any, model: Any) -> str:
    """Return why a case fails, or nothing.

    Inputs of floating point are tensors, as images are, and the others but the first are known while the graph is
    translated, as shapes are. If an operation needs more, such as a known scale, only the first input is a tensor.
    """
    reason = ""
    for only_first in (False, True):
        try:
            for inputs, outputs in data_of(case):
                found = computed(model, inputs, only_first)
                for value, expected in zip(found, outputs, strict=True):
                    compare(value, expected, case.rtol, case.atol)
        except Exception as error:  # whatever a translation does wrong is a failure
            reason = reason or f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        else:
            return ""
    return reason


def computed(model: Any, inputs: Sequence[Any], only_first: bool = False) -> list[Any]:
    """Return the outputs of a model, computed by a TensorFlow function."""
    initial = {one.name for one in model.graph.initializer}
    names = [one.name for one in model.graph.input if one.name not in initial]
    given: Mapping[str, Any] = dict(zip(names, inputs, strict=False))
    live = {
        name: value
        for place, (name, value) in enumerate(given.items())
        if isinstance(value, np.ndarray) and (place == 0 or (not only_first and value.dtype.kind not in "iub"))
    }
    constants = {name: value for name, value in given.items() if name not in live}

    def function(*values: Any) -> list[Any]:
        found = translate(model, {**constants, **dict(zip(live, values, strict=True))})
        ordered = [found[one.name] for one in model.graph.output]
        return [[tensor(part) for part in one] if isinstance(one, list) else tensor(one) for one in ordered]

    traced = tf.function(function, autograph=False)(*map(tf.constant, live.values()))
    return [[part.numpy() for part in one] if isinstance(one, list) else one.numpy() for one in traced]


def compare(value: Any, expected: Any, relative: float, absolute: float) -> None:
    """Assert that an output has the expected type, shape and numbers.

    Raises:
        AssertionError: it has not.
    """
    if isinstance(expected, list):
        assert len(value) == len(expected)
        for one, other in zip(value, expected, strict=True):
            compare(one, other, relative, absolute)
        return
    assert value.dtype == expected.dtype
    assert value.shape == expected.shape
    if value.dtype.name == "bfloat16":
        value, expected, relative = value.astype(np.float32), expected.astype(np.float32), max(relative, BFLOAT16)
    np.testing.assert_allclose(value, expected, rtol=relative, atol=absolute)
