"""Fast arithmetic: used only on request, where the processor has it and it is accurate; said, and kept out of maps."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest

from picasso import config, explain
from picasso.errors import ConfigurationError
from picasso.jobs.prediction_job import identity
from picasso.models import load_model, precision
from picasso.models.arrays import Array
from picasso.models.base import Model
from picasso.models.occlusion import covered
from picasso.targets import Regression
from picasso.visualizations.panel import Panel
from tests.conftest import FAKES, noise_image
from tests.fakes import LinearModel

Kind = TypeVar("Kind", bound=Model)
EXACTLY = "Exact arithmetic is used instead of fast arithmetic: "
WINDOWS = [(x, y, x + 3, y + 3) for y in range(0, 25, 5) for x in range(0, 25, 5)]


class Rounding(LinearModel):
    """Fast logits are off by a known number for the first class, and less for the others."""

    takes_fast = True
    off, fast = 0.02, False

    def compute_fast(self, *, fast: bool) -> None:
        self.fast = fast

    def batch_logits(self, inputs: Array) -> Array:
        weights = np.linspace(1, 0, self.num_classes, dtype=np.float32)
        return super().batch_logits(inputs) / 10 + np.float32(self.fast * self.off) * weights


class Numbers(Rounding):
    """Returns numbers of about a thousand, of which fast ones are off by 20."""

    off = 20.0

    def load(self, **arguments: Any) -> None:
        super().load(**arguments)
        self.spec = Regression((self.num_classes,))

    def batch_probabilities(self, inputs: Array) -> Array:
        return self.batch_logits(inputs) + np.float32(1000)


@pytest.fixture(autouse=True)
def processor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A processor with bfloat16."""
    file = tmp_path / "cpuinfo"
    file.write_text("processor\t: 0\nflags\t\t: fpu avx512f avx512_bf16 sse\n")
    monkeypatch.setattr(precision, "CPU", file)
    return file


def loaded(made: Kind, limit: float = 0.01) -> Kind:
    made.precision, made.precision_limit = "fast", limit
    made.load()
    made.warm_up()
    return made


def test_the_difference_is_measured_and_said() -> None:
    model = loaded(Rounding())
    found = model.imprecision
    assert found
    assert found.logits == pytest.approx(0.02, rel=1e-3)
    assert 0.001 < found.values == found.share < 0.01
    assert found.images == 9, "seven photographs, noise and a gradient"
    assert model.notes == (
        f"Fast arithmetic (bfloat16): probabilities of 9 test images differ from exact ones by up to "
        f"{found.values:.2g}. "
        "Other images may differ more. Gradients are exact.",
    )
    assert model.card().precision == "fast"
    assert model.card().notes[0] == model.notes[0]


def test_exact_is_the_default() -> None:
    model = Rounding()
    model.load()
    model.warm_up()
    assert not model.fast
    assert not model.notes
    assert (model.card().precision, model.imprecision) == ("exact", None)


def test_too_large_a_difference_is_refused() -> None:
    model = loaded(Rounding(), 0.001)
    assert model.notes[0].startswith(f"{EXACTLY}probabilities of 9 test images differ from exact ones by up to 0.00")
    assert model.notes[0].endswith(", more than PRECISION_LIMIT = 0.001 allows.")
    assert not model.fast, "it computes exactly again"
    assert (model.card().precision, model.imprecision) == ("exact", None)


@pytest.mark.parametrize(("limit", "arithmetic"), [(0.03, "fast"), (0.01, "exact")])
def test_numbers_are_compared_with_the_largest(limit: float, arithmetic: str) -> None:
    model = loaded(Numbers(), limit)
    assert model.precision == arithmetic
    assert "outputs of 9 test images differ from exact ones by up to 20, that is 0.0" in model.notes[0]


@pytest.mark.parametrize("text", ["flags : fpu avx512f\n", "Features : asimd bf16\n", None])
def test_other_processors_compute_exactly(text: str | None, processor: Path) -> None:
    processor.unlink() if text is None else processor.write_text(text)
    model = loaded(Rounding())
    assert model.notes == (
        f"{EXACTLY}this processor can't multiply bfloat16 numbers (it lacks avx512_bf16 and amx_bf16).",
    )
    assert not model.fast


def test_other_frameworks_compute_exactly() -> None:
    (note,) = loaded(LinearModel()).notes
    assert note == f"{EXACTLY}only Keras and TensorFlow models can use it, and this one is of the framework numpy."


def test_arithmetic_without_effect_is_not_called_fast() -> None:
    model = Rounding()
    model.off = 0.0
    assert loaded(model).notes == (f"{EXACTLY}TensorFlow computes this model without bfloat16.",)


def test_what_fails_computes_exactly() -> None:
    class Failing(Rounding):
        def compute_fast(self, *, fast: bool) -> None:
            if fast:
                raise NotImplementedError
            super().compute_fast(fast=fast)

    model = loaded(Failing())
    assert model.notes == (f"{EXACTLY}it could not be compared with exact arithmetic: NotImplementedError.",)
    assert model.precision == "exact"


def test_maps_leave_out_what_fast_arithmetic_explains() -> None:
    model = loaded(Rounding())
    assert model.imprecision
    chance = 2 * model.imprecision.values
    result = explain(model, noise_image(), "PartialOcclusion", Window=0.3)[0]
    panel = next(one for one in result.panels if "drop of the probability" in one.quantity)
    assert panel.noise_level == pytest.approx(chance)
    assert f"Fast arithmetic changes differences of probabilities by up to {chance:.2g}" in panel.note
    assert not ((np.abs(panel.array) > 0) & (np.abs(panel.array) <= chance)).any()
    assert result.model.precision == "fast"


def test_gradients_keep_their_own_rounding() -> None:
    values = np.array([[0.001, -0.5]], np.float32)
    gradient = Panel("x", values, quantity="gradient of the logit", signed=True)
    assert gradient.above_fast(0.01, 0.1) == gradient
    drop = Panel("x", values, quantity="drop of the probability", signed=True).above_fast(0.01, 0.1)
    assert drop.array.tolist() == [[0, -0.5]]
    assert drop.noise_level == 0.02


def test_predictions_of_both_kinds_are_kept_apart() -> None:
    card = loaded(Rounding()).card().as_dict()
    assert identity(card) != identity({**card, "precision": "exact"})


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"PRECISION": "quick"}, 'The setting PRECISION must be "exact" or "fast", but is \'quick\''),
        ({"PRECISION_LIMIT": 2.0}, "The setting PRECISION_LIMIT must be from 0 to 1, but is 2.0"),
        ({"PRECISION_LIMIT": float("nan")}, "must be from 0 to 1, but is nan"),
        ({"PRECISION_LIMIT": True}, "must be of type float"),
    ],
)
def test_wrong_settings_are_refused(values: dict[str, Any], why: str) -> None:
    with pytest.raises(ConfigurationError, match=why):
        config.build(values, None)
    words = {key.lower(): value for key, value in values.items()}
    with pytest.raises(ConfigurationError, match=why):
        load_model("none.keras", **words)


def test_only_what_was_chosen_replaces_the_settings_of_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def loaded(said: str, **chosen: Any) -> tuple[str, float]:
        seen: list[tuple[str, float]] = []
        monkeypatch.setattr(precision, "choose", lambda model: seen.append((model.precision, model.precision_limit)))
        file = tmp_path / "config.py"
        file.write_text(f'MODEL_CLS_PATH = "{FAKES}"\nMODEL_CLS_NAME = "LinearModel"\n{said}\n')
        load_model(file, **chosen)
        return seen[-1]

    assert loaded("") == ("exact", 0.01)
    assert loaded('PRECISION = "fast"', precision="exact") == ("exact", 0.01)
    assert loaded('PRECISION = "fast"', precision_limit=1e-5) == ("fast", 1e-5)
    assert loaded("PRECISION_LIMIT = 0.0001", precision="fast") == ("fast", 0.0001)
    assert loaded('PRECISION = "fast"\nPRECISION_LIMIT = 1') == ("fast", 1)


# ---- TensorFlow -------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_network_computes_fast_and_exactly_in_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    if not precision.bfloat16_flags():
        pytest.skip("the processor has no bfloat16")
    path, digits = config.PACKAGE / "examples/keras/data/mnist.keras", config.PACKAGE / "examples/samples/mnist"
    exact, fast = load_model(path), load_model(path, precision="fast", precision_limit=0.02)
    assert fast.imprecision
    assert 1e-4 < fast.imprecision.values < 0.02
    inputs = exact.inputs_of([exact.opened(file.read_bytes(), file.name) for file in sorted(digits.glob("*.png"))])
    expected, found = exact.predict(inputs), fast.predict(inputs)
    assert 0 < np.abs(found - expected).max() < 0.02
    # The last layer is exact: no steps of bfloat16.
    assert np.abs(found.sum(axis=1) - 1).max() < 1e-5
    logits = fast.logits(inputs)
    assert ((logits.view(np.uint32) & 0xFFFF) != 0).mean() > 0.9
    results = [explain(model, digits / "8-00061.png", "PartialOcclusion", Strides=5) for model in (exact, fast)]
    assert [panel.quantity for panel in results[0][0].panels] == [panel.quantity for panel in results[1][0].panels]
    np.testing.assert_array_equal(exact.predict(inputs), expected, "the other model stays exact")
    classes = expected.argmax(axis=1)
    np.testing.assert_array_equal(fast.input_gradients(inputs, classes), exact.input_gradients(inputs, classes))
    fill = np.zeros_like(inputs[0])
    occlusion = fast.occlude(inputs[0], fill, WINDOWS)
    assert occlusion.method.startswith("only what a window changes")
    windows = exact.predict(covered(inputs[0], fill, WINDOWS))
    for members, part in occlusion.parts:
        assert np.abs(part - windows[members]).max() < 0.02
    assert "because" not in occlusion.method, "no fallback"
    refused = load_model(path, precision="fast", precision_limit=1e-5)
    np.testing.assert_array_equal(refused.predict(inputs), expected)
    assert "more than PRECISION_LIMIT = 1e-05 allows" in refused.notes[-1]
