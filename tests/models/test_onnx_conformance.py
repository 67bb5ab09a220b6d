"""ONNX graphs as TensorFlow operations, against the ONNX project's own tests."""

from __future__ import annotations

from pathlib import Path

import pytest

onnx = pytest.importorskip("onnx")

from onnx import numpy_helper  # noqa: E402
from onnx.backend.test import loader  # noqa: E402
from onnx.backend.test.runner import Runner  # noqa: E402

from tests.models.onnx_conformance import compare, computed, excluded, failure, model_of  # noqa: E402

# The cases themselves divide by 0 and overflow while they are made.
pytestmark = pytest.mark.filterwarnings("ignore")

# Cases of single operations that fail, by reason.
KNOWN = {
    "half precision is rounded differently, by one unit in the last place": {
        "test_attention_4d_causal_fp16",
        "test_attention_4d_causal_fp16_expanded",
        "test_attention_4d_gqa_with_past_and_present_fp16",
        "test_attention_4d_gqa_with_past_and_present_fp16_expanded",
    },
    "numbers that should be 0 are 2e-7 in the expected outputs, which are less exact": {
        "test_dft_inverse",
        "test_dft_inverse_opset19",
    },
    "the condition, which is the only input, chooses between sequences": {"test_if_seq"},
}
# The version of the package whose cases the page on ONNX files counts.
MEASURED = "1.23.2"

LIGHT = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"


def failures(kind: str) -> tuple[dict[str, str], int]:
    """Return why cases of a kind fail, by name, and the number of those that image models may need."""
    found, count = {}, 0
    for case in loader.load_model_tests(kind=kind):
        model = model_of(case)
        if excluded(model):
            continue
        count += 1
        reason = failure(case, model)
        if reason:
            found[case.name] = reason
    return found, count


@pytest.mark.parametrize(("kind", "least"), [("pytorch-operator", 35), ("pytorch-converted", 82), ("simple", 15)])
def test_every_case_passes(kind: str, least: int) -> None:
    found, count = failures(kind)
    assert not found
    assert count >= least


@pytest.mark.slow
def test_cases_of_single_operations_pass() -> None:
    found, count = failures("node")
    known = {name for names in KNOWN.values() for name in names}
    assert found.keys() <= known, {name: found[name] for name in found.keys() - known}
    if onnx.__version__ == MEASURED:
        # The figures of the page on ONNX files.
        assert (count - len(found), count) == (1480, 1487)


@pytest.mark.slow
@pytest.mark.parametrize("path", sorted(LIGHT.glob("*.onnx")), ids=lambda path: path.stem)
def test_networks_of_all_layers_pass(path: Path) -> None:
    model = onnx.load(str(path))
    weights = {one.name for one in model.graph.initializer}
    (image,) = (one for one in model.graph.input if one.name not in weights)
    expected = onnx.TensorProto.FromString(path.with_name(f"{path.stem}_output_0.pb").read_bytes())
    (value,) = computed(model, [Runner.generate_dummy_data(image)])
    compare(value, numpy_helper.to_array(expected), 1e-3, 1e-7)
