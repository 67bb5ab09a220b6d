"""Which values an output can take, and what that says of it: graphs of a few operations, whatever the framework."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
import pytest

from picasso.errors import ConfigurationError, ModelError
from picasso.models.outputs import Analysis, Operation, OutputKind, Range, choose_output, class_count, decide, parse
from picasso.models.outputs import probes as probes_of
from picasso.models.outputs.kinds import to_probabilities

INFINITY = math.inf


class Expression:
    """Reads nested tuples such as ``("subtract", 1, ("sigmoid", IMAGE))``; those without a name are constants.

    The last may hold the parameters of the operation, under the name ``"numbers"``.
    """

    def is_constant(self, tensor: Any) -> bool:
        return not (isinstance(tensor, tuple) and isinstance(tensor[0], str))

    def constant(self, tensor: Any) -> Any:
        return np.asarray(tensor)

    def operation(self, tensor: Any) -> Operation:
        name, *inputs = tensor
        last = inputs[-1] if inputs else None
        numbers = inputs.pop()[1:] if isinstance(last, tuple) and last[0] == "numbers" else ()
        return Operation(name, inputs, numbers)


IMAGE = ("image",)
# A dense layer, of weights that nobody looks at where the input has no bounds.
SCORE = ("linear", IMAGE, 1.0, 0.0)
SIGMOID = ("sigmoid", SCORE)
SOFTMAX = ("softmax", SCORE)
RELU = ("clip", SCORE, ("numbers", 0.0, INFINITY))


@pytest.mark.parametrize(
    ("expression", "low", "high", "link", "source"),
    [
        (SCORE, -INFINITY, INFINITY, "", "linear"),
        (SIGMOID, 0, 1, "sigmoid", "nonlinear"),
        (("subtract", 1.0, SIGMOID), 0, 1, "sigmoid", "nonlinear"),
        (("clip", SIGMOID, ("numbers", 0.1, 0.9)), 0.1, 0.9, "sigmoid", "nonlinear"),
        (("multiply", ("add", SIGMOID, SIGMOID), 0.5), 0, 1, "sigmoid", "nonlinear"),
        (("pool", SOFTMAX), 0, 1, "softmax", "nonlinear"),
        (("join", SIGMOID, SIGMOID), 0, 1, "sigmoid", "nonlinear"),
        (("multiply", SOFTMAX, SOFTMAX), 0, 1, "", "nonlinear"),
        (("multiply", 100.0, SOFTMAX), 0, 100, "softmax", "nonlinear"),
        (("divide", ("clip", ("add", SCORE, 3.0), ("numbers", 0.0, 6.0)), 6.0), 0, 1, "", "rectified"),
        (("clip", ("add", ("multiply", SCORE, 0.2), 0.5), ("numbers", 0.0, 1.0)), 0, 1, "", "nonlinear"),
        (("divide", 1.0, ("add", 1.0, ("exp", ("negate", SCORE)))), 0, 1, "", "nonlinear"),
        (("divide", ("add", ("tanh", SCORE), 1.0), 2.0), 0, 1, "tanh", "nonlinear"),
        (("divide", ("exp", SCORE), ("sum", ("exp", SCORE))), 0, INFINITY, "", "nonlinear"),
        (("exp", ("log softmax", SCORE)), 0, 1, "softmax", "nonlinear"),
        (("log", SIGMOID), -INFINITY, 0, "log sigmoid", "nonlinear"),
        (("negate", ("softplus", ("negate", SCORE))), -INFINITY, 0, "log sigmoid", "nonlinear"),
        (("subtract", SOFTMAX, SOFTMAX), -1, 1, "", "nonlinear"),
        (("square", ("tanh", SCORE)), 0, 1, "", "nonlinear"),
        (("pool", RELU), 0, INFINITY, "", "features"),
        (("pool", ("multiply", SCORE, SIGMOID)), -INFINITY, INFINITY, "", "features"),
        (("pool", SCORE), -INFINITY, INFINITY, "", "linear"),
        (("multiply", SCORE, ("inverse root", ("sum", ("square", SCORE)))), -INFINITY, INFINITY, "", "normalized"),
        (("divide", SCORE, ("root", ("sum", ("square", SCORE)))), -INFINITY, INFINITY, "", "normalized"),
        (("linear", RELU, 1.0, 0.0), -INFINITY, INFINITY, "", "linear"),
        (("linear", SOFTMAX, ((0.25,), (0.75,)), 0.0, ("numbers", 0)), 0, 1, "", "linear"),
        (("linear", SOFTMAX, ((2.0,), (-3.0,)), 1.0, ("numbers", 0)), -2, 3, "", "linear"),
        (("linear", SOFTMAX, SIGMOID), 0, INFINITY, "", "nonlinear"),
        (("multiply", 30.0, ("tanh", SCORE)), -30, 30, "tanh", "nonlinear"),
        (("something", SCORE), -INFINITY, INFINITY, "", "unknown"),
        (("add", SIGMOID, ("something", SCORE)), -INFINITY, INFINITY, "", "unknown"),
    ],
)
def test_ranges(expression: Any, low: float, high: float, link: str, source: str) -> None:
    found = Analysis(Expression()).of(expression)
    np.testing.assert_allclose([found.low, found.high], [low, high])
    assert (found.link, found.source) == (link, source)


def test_a_graph_of_any_depth_ends() -> None:
    class Chain(Expression):
        """Tensors are numbers, each the one before it plus 1."""

        def is_constant(self, tensor: Any) -> bool:
            return not isinstance(tensor, int)

        def operation(self, tensor: Any) -> Operation:
            return Operation("add", [tensor + 1, 1.0])

    assert Analysis(Chain()).of(0).source == "unknown"


# ---- the decision ---------------------------------------------------------------------------------------------------

generator = np.random.default_rng(3)
SCORES = generator.normal(size=(12, 4)) * 5
SMALL = generator.random((12, 4)) * 0.2
DISTRIBUTION = to_probabilities(SCORES, OutputKind.LOGITS, 4)


def unit(low: float = 0, high: float = 1, link: str = "", source: str = "nonlinear") -> Range:
    return Range(low, high, link, source)


@pytest.mark.parametrize(
    ("values", "found", "kind", "basis", "notes"),
    [
        (DISTRIBUTION, unit(link="softmax"), "probabilities", "graph", 0),
        (DISTRIBUTION, None, "probabilities", "answers", 0),
        (DISTRIBUTION, unit(link="sigmoid"), "sigmoid", "graph", 0),
        (SMALL, unit(), "sigmoid", "graph", 0),
        (np.hstack([DISTRIBUTION, DISTRIBUTION]), unit(link="softmax"), "probabilities", "graph", 0),
        (SMALL, None, "sigmoid", "guess", 1),
        (SMALL, unit(-INFINITY, INFINITY, "", "linear"), "logits", "graph", 1),
        (SCORES, None, "logits", "guess", 1),
        (100 * DISTRIBUTION, None, "percent", "answers", 0),
        (100 * SMALL, unit(0, 100, "sigmoid"), "percent", "graph", 0),
        (np.log(DISTRIBUTION), None, "log probabilities", "answers", 0),
        (np.tanh(SCORES), unit(-1, 1, "tanh"), "tanh", "graph", 1),
        (SCORES[:, :1], unit(-INFINITY, INFINITY, "", "linear"), "logits", "guess", 1),
        (SMALL[:, :1], unit(-INFINITY, INFINITY, "", "linear"), "logits", "guess", 1),
        (SMALL[:, :1], None, "sigmoid", "guess", 1),
        (SMALL[:, :1], unit(), "sigmoid", "graph", 0),
        (np.tanh(SCORES[:, :1]), unit(-1, 1, "tanh"), "tanh", "graph", 1),
        (100 * SMALL[:, :1], unit(0, 100), "percent", "graph", 0),
        (np.log(SMALL[:, :1]), unit(-INFINITY, 0, "log sigmoid"), "log probabilities", "graph", 0),
        (np.ones((12, 1)), unit(link="softmax"), "sigmoid", "graph", 1),
    ],
)
def test_decisions(values: Any, found: Range | None, kind: str, basis: str, notes: int) -> None:
    decision = decide(values, found, None, "m")
    assert (decision.kind, decision.basis, len(decision.notes)) == (kind, basis, notes)
    assert all("OUTPUT = " in note or "always 1" in note for note in decision.notes)
    assert decision.describe()


@pytest.mark.parametrize(
    ("values", "found", "message"),
    [
        (np.abs(SCORES), unit(0, INFINITY, "", "rectified"), "4 values that are never negative"),
        (np.abs(SCORES), unit(0, INFINITY, "", "features"), "4 pooled features"),
        (SCORES / np.linalg.norm(SCORES, axis=1, keepdims=True), None, "4 values that are normalized"),
        (SCORES, unit(-INFINITY, INFINITY, "", "normalized"), "4 values that are normalized"),
        (SMALL * 12, unit(0, 2), "not all below 1, and do not sum to 1"),
        (np.abs(SCORES[:, :1]), unit(0, INFINITY, "", "rectified"), "one value that is never negative"),
        (SMALL[:, :1] * 12, unit(0, 2), "may be larger than 1"),
        (SCORES[:, :1] + 60, unit(-INFINITY, INFINITY, "", "linear"), "one value from .* to be a regression"),
    ],
)
def test_what_is_measured_and_how_to_insist(values: Any, found: Range | None, message: str) -> None:
    decision = decide(values, found, None, "m")
    (note,) = decision.notes
    assert re.search(message, note)
    assert (decision.kind, decision.basis) == ("values", "guess")
    assert f'TASK = "{decision.task}"' in note
    assert "output_kind in Python" in note
    assert decide(values, found, OutputKind.LOGITS, "m").basis == "said"


def test_no_finite_answers_are_refused() -> None:
    with pytest.raises(ModelError, match="returns no finite numbers for any of 12 test images"):
        decide(np.full((12, 4), np.nan), None, None, "m")


def test_the_users_word_must_fit_the_values() -> None:
    for word in OutputKind:
        values = {"percent": 100 * SMALL, "tanh": SMALL - 0.5, "log probabilities": np.log(SMALL)}.get(word, SMALL)
        assert decide(values, None, word, "m").kind is word
    for word in (OutputKind.PROBABILITIES, OutputKind.SIGMOID, OutputKind.TANH, OutputKind.PERCENT):
        with pytest.raises(ModelError, match=f"values from .* which are not {word}. output_kind is one of"):
            decide(SCORES * 100, None, word, "m")


def test_test_images_that_overflow_do_not_count() -> None:
    values = DISTRIBUTION.copy()
    values[3] = np.nan
    assert decide(values, None, None, "m").kind == "probabilities"


def test_words_of_kinds() -> None:
    assert parse("") is None
    for text in ("sigmoid logits", "Sigmoid-Logits", "sigmoid_logits"):
        assert parse(text) is OutputKind.SIGMOID_LOGITS
    with pytest.raises(ConfigurationError, match="no kind of output 'logit'; .* Did you mean 'logits'") as caught:
        parse("logit")
    assert caught.value.field == "OUTPUT"


@pytest.mark.parametrize(
    ("shape", "fixed", "count"),
    [
        ((None, 5), None, 5),
        ((None, 1, 1, 5), None, 5),
        (("N", 5, 1, 1), None, 5),
        ((None,), None, 1),
        ((None, 1), None, 1),
        ((1, 1), 1, 1),
        ((5,), 1, 5),
        ((1,), 1, 1),
        ((None, 24, 24, 4), None, None),
        ((None, None), None, None),
        ((None, 0), None, None),
        ((), None, None),
    ],
)
def test_shapes_of_classifiers(shape: Any, fixed: int | None, count: int | None) -> None:
    assert class_count(shape, fixed) == count


def test_choosing_an_output_by_name_or_place() -> None:
    outputs = {"boxes": "(N, 4)", "classes": "(N, 5)"}
    for wanted in ("classes", 1, "1", -1):
        assert choose_output(outputs, wanted, "m") == 1
    assert choose_output({"only": "(N, 3)"}, None, "m") == 0
    bad: list[tuple[int | str | None, str]] = [
        (None, r"m has 2 outputs: boxes \(N, 4\), classes \(N, 5\). Specify the one .* output=.boxes"),
        ("class", r"m has no output 'class'; it has 2 outputs: boxes \(N, 4\)"),
        (2, "m has no output 2"),
    ]
    for none, message in bad:
        with pytest.raises(ModelError, match=message) as caught:
            choose_output(outputs, none, "m")
        assert caught.value.field == "output"


def test_test_images_are_far_from_each_other() -> None:
    for shape in ((12, 16, 3), (1, 1, 1), (33, 7, 5)):
        images = probes_of(shape)
        assert images.shape == (12, *shape)
        assert images.dtype == np.float32
        assert images[:6].min() >= 0
        assert images[:6].max() <= 1
    images = probes_of((24, 32, 3))
    assert (images.min(), images.max()) == (-1, 255)
    distances = [np.abs(one - other).max() for i, one in enumerate(images) for other in images[:i]]
    assert min(distances) > 0.3


def test_a_range_with_one_end_has_another_side() -> None:
    assert Range(-INFINITY, 1e-4).within(-INFINITY, 0)
    assert not Range(0, INFINITY).within(-INFINITY, 0)


def test_negative_log_probabilities_are_no_log_probabilities() -> None:
    found = Analysis(Expression()).of(("negate", ("log softmax", SCORE)))
    values = -np.log(np.full((12, 4), 0.25) * np.linspace(0.1, 1, 12)[:, None])
    assert "4 values that are never negative" in decide(values, found, None, "The model").notes[0]
