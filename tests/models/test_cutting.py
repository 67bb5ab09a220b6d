"""What is cut out of a graph answers as the graph does, whatever stands in between."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def cutter() -> tuple[Any, dict[str, Any]]:
    """A cutter and the tensors of a graph with a variable, a loop, a called function and a control dependency."""
    from picasso.models.tf.cutting import Cutter
    from picasso.models.tf.runtime import tf, tf1

    weight = tf.Variable([1.0, 2.0, 3.0])
    tensors: dict[str, Any] = {}

    doubled = tf.function(lambda values: 2 * values + weight)

    def build() -> None:
        tensors["input"] = tf1.placeholder(tf.float32, [None, 3], "input")
        tensors["other"] = tf1.placeholder(tf.int64, [None])
        tensors["called"] = doubled(tensors["input"])
        _, tensors["looped"] = tf.while_loop(
            lambda step, values: step < 3, lambda step, values: (step + 1, values * weight), (0, tensors["called"])
        )
        with tf.control_dependencies([tf.identity(tensors["input"])]):
            tensors["after"] = tf.reduce_sum(tensors["looped"], axis=1)
        tensors["gathered"] = tf.gather(tensors["looped"], tensors["other"], batch_dims=1)
        tensors["gradient"] = tf.gradients(tensors["gathered"], tensors["input"])[0]
        tensors["top"] = tf.math.top_k(tensors["input"]).indices

    return Cutter(tf1.wrap_function(build, [])), {**tensors, "weight": weight}


INPUTS = np.array([[1, 0, 2], [3, -1, 0.5]], np.float32)
WEIGHT = np.array([1, 2, 3], np.float32)
CALLED = 2 * INPUTS + WEIGHT
LOOPED = CALLED * WEIGHT**3


def test_it_answers_as_the_whole_graph(cutter: tuple[Any, dict[str, Any]]) -> None:
    cut, tensors = cutter
    function = cut.cut([tensors["input"]], [tensors["looped"], tensors["after"], tensors["called"], tensors["top"]])
    answers = [one.numpy() for one in function(INPUTS)]
    for answer, expected in zip(answers, (LOOPED, LOOPED.sum(1), CALLED, [[2], [0]]), strict=True):
        np.testing.assert_allclose(answer, expected, rtol=1e-6)
    function = cut.cut([tensors["input"], tensors["other"]], [tensors["gradient"]])
    (gradient,) = function(INPUTS, np.array([1, 2]))
    np.testing.assert_allclose(gradient, [[0, 16, 0], [0, 0, 54]], rtol=1e-6)


def test_it_begins_in_the_middle_and_may_end_where_it_begins(cutter: tuple[Any, dict[str, Any]]) -> None:
    cut, tensors = cutter
    middle, looped = cut.cut([tensors["called"]], [tensors["called"], tensors["looped"]])(INPUTS)
    np.testing.assert_array_equal(middle, INPUTS)
    np.testing.assert_allclose(looped, INPUTS * WEIGHT**3, rtol=1e-6)


def test_it_sees_what_was_added_later_and_what_variables_hold_now(cutter: tuple[Any, dict[str, Any]]) -> None:
    from picasso.models.tf.runtime import tf

    cut, tensors = cutter
    function = cut.cut([tensors["input"]], [tensors["called"]])
    with tensors["input"].graph.as_default():
        added = tf.negative(tensors["called"])
    np.testing.assert_array_equal(cut.cut([tensors["input"]], [added])(INPUTS)[0], -CALLED)
    tensors["weight"].assign(10 * WEIGHT)
    try:
        np.testing.assert_array_equal(function(INPUTS)[0], 2 * INPUTS + 10 * WEIGHT)
    finally:
        tensors["weight"].assign(WEIGHT)


def test_an_operation_may_be_placed_beside_one_that_is_left_out(cutter: tuple[Any, dict[str, Any]]) -> None:
    from picasso.models.tf.runtime import tf

    cut, tensors = cutter
    with tensors["input"].graph.as_default():
        left_out = tf.exp(tensors["input"])
        with tf.compat.v1.colocate_with(left_out.op):
            beside = tf.negative(tensors["input"])
    np.testing.assert_array_equal(cut.cut([tensors["input"]], [beside])(INPUTS)[0], -INPUTS)


def test_what_depends_on_more_than_its_inputs_is_an_error(cutter: tuple[Any, dict[str, Any]]) -> None:
    cut, tensors = cutter
    with pytest.raises(Exception, match="Placeholder|placeholder"):
        cut.cut([tensors["input"]], [tensors["gathered"]])(INPUTS)
