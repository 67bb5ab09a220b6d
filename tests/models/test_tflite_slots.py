"""Every TFLite operation that a file may use has its numbers of inputs and outputs; names are read in linear time."""

from __future__ import annotations

from picasso.models.scan.tflite_loops import Graph, changing, read
from picasso.models.scan.tflite_operations import ALLOWED
from picasso.models.scan.tflite_slots import SLOTS
from picasso.models.tf.tflite.names import layer_names


def test_every_allowed_operation_is_in_the_table() -> None:
    assert SLOTS.keys() == ALLOWED


def test_a_counter_changes_and_a_constant_does_not() -> None:
    body = Graph((4, 1, 5), (0, 1, 2), steps=[((0, 3), (4,)), ((1, 3), (5,))])
    assert changing(body) == [True, False, False]
    assert read(Graph((9,), (0, 1, 2), steps=[((0, 3), (8,)), ((8, 2), (9,))])) == [0, 2]


def test_very_long_names_are_cut() -> None:
    assert len(layer_names(["conv" + "1" * 200_000 + "!", "a/" * 200_000 + "x"])) == 2
    assert layer_names(["net/a/Relu", "net/b/c/Relu"]) == ["a", "b.c"]
