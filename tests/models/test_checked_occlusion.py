"""The fast occlusion may fail in any way, at any time: whole images take over, and the method says so."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from picasso.errors import Cancelled
from picasso.models.arrays import Array
from picasso.models.occlusion import Box, Part, covered
from picasso.models.tf.incremental.checked import Checked
from picasso.models.tf.incremental.plan import Chunk, Plan
from picasso.models.tf.incremental.steps import Unsupported
from tests.fakes import LinearModel

BOXES: list[Box] = [(x, y, x + 2, y + 2) for y in range(4) for x in range(7)]
CHUNKS = 4


@pytest.fixture
def model() -> LinearModel:
    model = LinearModel()
    model.load()
    return model


@pytest.fixture
def inputs(model: LinearModel) -> tuple[Array, Array]:
    image, fill = np.random.default_rng(4).normal(size=(2, *model.input_shape)).astype(np.float32)
    return image, fill


class Engine:
    """Answers rightly, until ``wrong(number of the chunk, its answers)`` changes that; proofs have fewer windows."""

    def __init__(self, model: LinearModel, wrong: Callable[[int, Array], Array] = lambda number, part: part) -> None:
        self._model, self._wrong = model, wrong
        self.gain = 3.0

    def plan(self, boxes: list[Box], memory: int) -> Plan:
        chunks = np.array_split(np.arange(len(boxes)), CHUNKS if len(boxes) == len(BOXES) else 1)
        return Plan([Chunk(members, {}, {}) for members in chunks], self.gain)

    def run(self, image: Array, fill: Array, boxes: list[Box], plan: Plan) -> Iterator[Part]:
        for number, chunk in enumerate(plan.chunks):
            part = self._model.predict(covered(image, fill, [boxes[index] for index in chunk.members]))
            yield chunk.members, self._wrong(number, part) if len(boxes) == len(BOXES) else part


def checked(model: LinearModel, engine: Any, inputs: tuple[Array, Array]) -> Checked:
    def build() -> Any:
        if isinstance(engine, BaseException):
            raise engine
        return engine

    plain = super(LinearModel, model).occlude
    return Checked("net.keras", build, plain, model.predict, lambda: inputs, 1_000_000, model.spec)


def compute(one: Checked, inputs: tuple[Array, Array]) -> tuple[Array, str]:
    occlusion = one.occlude(*inputs, BOXES)
    found = np.full((len(BOXES), 7), np.nan, np.float32)
    for members, part in occlusion.parts:
        assert np.isnan(found[members]).all(), "no window is answered twice"
        found[members] = part
    return found, occlusion.method


def expected(model: LinearModel, inputs: tuple[Array, Array]) -> Array:
    return model.predict(covered(*inputs, BOXES))


def test_a_right_engine_is_used(model: LinearModel, inputs: tuple[Array, Array]) -> None:
    found, method = compute(checked(model, Engine(model), inputs), inputs)
    assert method == "only what a window changes, 3.0 times less work"
    np.testing.assert_allclose(found, expected(model, inputs), atol=1e-6)


@pytest.mark.parametrize(
    "error", [ValueError("no shape"), MemoryError(), RuntimeError("resource"), AssertionError(), KeyError("x:0")]
)
def test_building_may_fail(
    error: Exception, model: LinearModel, inputs: tuple[Array, Array], caplog: pytest.LogCaptureFixture
) -> None:
    one = checked(model, error, inputs)
    found, method = compute(one, inputs)
    assert method.startswith("a whole image for each window, because computing only what it changes failed")
    assert type(error).__name__ in method
    assert "Traceback" in caplog.text
    assert "net.keras" in caplog.text
    np.testing.assert_allclose(found, expected(model, inputs), atol=1e-6)
    assert one.passes(BOXES) == len(BOXES), "the estimate knows"


def test_what_is_not_supported_is_no_failure(
    model: LinearModel, inputs: tuple[Array, Array], caplog: pytest.LogCaptureFixture
) -> None:
    _, method = compute(checked(model, Unsupported("it has the operation Magic"), inputs), inputs)
    assert method == "a whole image for each window, because it has the operation Magic"
    assert not caplog.records


def off(part: Array) -> Array:
    return part + np.float32(0.001)


def fails(part: Array) -> Array:
    raise ValueError("out of range")


def not_a_number(part: Array) -> Array:
    return part * np.float32(np.nan)


def too_large(part: Array) -> Array:
    return part + 1


@pytest.mark.parametrize(
    ("wrong", "number"),
    # Whole images are compared with the first and the last chunk, which is computed second.
    [(off, 0), (off, 1), *((wrong, number) for wrong in (fails, not_a_number, too_large) for number in range(CHUNKS))],
)
def test_a_chunk_may_fail(
    wrong: Callable[[Array], Array],
    number: int,
    model: LinearModel,
    inputs: tuple[Array, Array],
    caplog: pytest.LogCaptureFixture,
) -> None:
    one = checked(model, Engine(model, lambda at, part: wrong(part) if at == number else part), inputs)
    found, method = compute(one, inputs)
    np.testing.assert_allclose(found, expected(model, inputs), atol=1e-6)
    assert "Traceback" in caplog.text
    if number < 2:
        assert method.startswith("a whole image for each window, because computing only what it changes failed")
    else:
        left = (CHUNKS - number) * len(BOXES) // CHUNKS
        assert method.startswith("only what a window changes, 3.0 times less work; a whole image for each of ")
        assert f"{left} of {len(BOXES)} windows, because computing only what it changes failed" in method
    caplog.clear()
    found, method = compute(one, inputs)
    assert method.startswith("a whole image for each window, because computing only what it changes failed")
    assert not caplog.records, "it is not tried again"


def test_windows_that_are_left_out_are_answered(model: LinearModel, inputs: tuple[Array, Array]) -> None:
    class Short(Engine):
        def run(self, *arguments: Any) -> Iterator[Part]:
            parts = list(super().run(*arguments))
            yield from parts[:3]

    found, method = compute(checked(model, Short(model), inputs), inputs)
    np.testing.assert_allclose(found, expected(model, inputs), atol=1e-6)
    assert "7 windows were not computed" in method


def test_the_proof_finds_what_is_wrong_at_borders(
    model: LinearModel, inputs: tuple[Array, Array], caplog: pytest.LogCaptureFixture
) -> None:
    class Edgy(Engine):
        def run(self, image: Array, fill: Array, boxes: list[Box], plan: Plan) -> Iterator[Part]:
            height, width, _ = image.shape
            for members, part in super().run(image, fill, boxes, plan):
                at_border = [boxes[index][2] == width and boxes[index][3] == height for index in members]
                yield members, part + 0.01 * np.array(at_border, np.float32)[:, None]

    one = checked(model, Edgy(model), inputs)
    assert one.engine is None
    assert "its results are off by 0.01" in one.reason


@pytest.mark.parametrize("number", [0, 2])
def test_a_run_that_is_cancelled_ends(number: int, model: LinearModel, inputs: tuple[Array, Array]) -> None:
    def cancelled(at: int, part: Array) -> Array:
        if at == number:
            raise Cancelled
        return part

    one = checked(model, Engine(model, cancelled), inputs)
    with pytest.raises(Cancelled):
        compute(one, inputs)
    assert one.engine is not None


def test_a_fast_way_that_saves_nothing_is_not_taken(model: LinearModel, inputs: tuple[Array, Array]) -> None:
    engine = Engine(model)
    engine.gain = 1.1
    one = checked(model, engine, inputs)
    found, method = compute(one, inputs)
    assert method == ("a whole image for each window, because computing only what a window changes would save nothing")
    assert one.passes(BOXES) == len(BOXES)
    np.testing.assert_allclose(found, expected(model, inputs), atol=1e-6)
