"""Candidates of hand-made outputs of each kind of detector, with boxes that can be computed by hand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from picasso.errors import BadRequest, ModelCodeError, ModelError
from picasso.targets import decoders
from picasso.targets.boxes import Candidates, suppressed
from picasso.targets.decoders import (
    DECODERS,
    CenterNetDecoder,
    CustomDecoder,
    Decoder,
    TensorFlowDecoder,
    YoloDecoder,
    recognize,
)

Values = dict[str, NDArray[np.float32]]


def flat(outputs: Values) -> NDArray[np.float32]:
    """Return the raw output ``(N, D)`` of outputs ``(N, ...)``."""
    return np.concatenate([values.reshape(len(values), -1) for values in outputs.values()], axis=1)


def shapes_of(outputs: Values) -> dict[str, tuple[int, ...]]:
    return {name: values.shape[1:] for name, values in outputs.items()}


def assert_places(decoder: Decoder, raw: NDArray[np.float32], image: int = 0) -> None:
    """Check for each class score above zero that it is the number at its place, and changes with it."""
    before = decoder.decode(raw)[image]
    assert before.places is not None
    assert before.places.shape == before.scores.shape
    pairs = np.argwhere(before.scores > 0)
    assert len(pairs)
    for candidate, index in pairs:
        place = before.places[candidate, index]
        assert raw[image, place] == before.scores[candidate, index]
        changed = raw.copy()
        changed[image, place] *= 1.01
        expected = before.scores.copy()
        expected[candidate, index] *= np.float32(1.01)
        after = decoder.decode(changed)[image]
        np.testing.assert_array_equal(after.scores, expected)
        np.testing.assert_array_equal(after.boxes, before.boxes)


# ---- TensorFlow ---------------------------------------------------------------------------------------------------


def detections() -> Values:
    """Return two images of 200 x 100 pixels with two detections and with one, beside what pads them."""
    boxes = np.zeros((2, 3, 4), np.float32)
    boxes[0, :2] = [[0.1, 0.2, 0.5, 0.4], [0.0, 0.0, 1.0, 1.0]]
    boxes[1, 0] = [0.25, 0.5, 0.75, 1]
    return {
        "detection_boxes": boxes,
        "detection_classes": np.array([[3, 1, 1], [2, 1, 1]], np.float32),
        "detection_scores": np.array([[0.9, 0.6, 0.0], [0.7, 0.5, 0.5]], np.float32),
        "num_detections": np.array([2, 1], np.float32),
    }


def test_detections_of_tensorflow() -> None:
    outputs = detections()
    decoder = TensorFlowDecoder(shapes_of(outputs), (100, 200), 3)
    first, second = decoder.decode(flat(outputs))
    np.testing.assert_allclose(first.boxes, [[40, 10, 80, 50], [0, 0, 200, 100]], rtol=1e-6)
    np.testing.assert_allclose(first.scores, [[0, 0, 0.9], [0.6, 0, 0]])
    np.testing.assert_array_equal(first.objectness, [1, 1])
    # The second image has one detection, although its padding has scores.
    np.testing.assert_allclose(second.boxes, [[100, 25, 200, 75]])
    np.testing.assert_allclose(second.scores, [[0, 0.7, 0]])
    assert first.places is None
    assert decoder.notes == ()


def test_several_scores_of_detections_of_tensorflow() -> None:
    outputs = detections()
    outputs["detection_multiclass_scores"] = np.zeros((2, 3, 4), np.float32)
    outputs["detection_multiclass_scores"][0, 0] = [0.05, 0.02, 0.03, 0.9]
    decoder = TensorFlowDecoder(shapes_of(outputs), (100, 200), 3)
    (first, second) = decoder.decode(flat(outputs))
    np.testing.assert_allclose(first.scores, [[0.02, 0.03, 0.9]])
    assert first.places is None
    assert second.scores.shape == (0, 3)


def test_boxes_before_suppression_of_tensorflow() -> None:
    outputs = detections()
    raw_boxes = np.array([[[0.1, 0.2, 0.5, 0.4], [0.5, 0.5, 0.6, 0.7]]] * 2, np.float32)
    raw_scores = np.array([[[0.1, 0.2, 0.1, 0.6], [1.0, 0.0, 0.0, 0.001]]] * 2, np.float32)
    outputs = {"raw_detection_boxes": raw_boxes, **outputs, "raw_detection_scores": raw_scores}
    decoder = TensorFlowDecoder(shapes_of(outputs), (100, 200))
    first = decoder.decode(flat(outputs))[0]
    # The second box is background: its scores are below the floor.
    np.testing.assert_allclose(first.boxes, [[40, 10, 80, 50]], rtol=1e-6)
    np.testing.assert_allclose(first.scores, [[0.2, 0.1, 0.6]])
    assert_places(decoder, flat(outputs))
    assert decoder.notes == ("The first of the 4 class scores of raw_detection_scores is that of the background.",)
    without = TensorFlowDecoder(shapes_of(outputs), (100, 200), 4).decode(flat(outputs))[0]
    np.testing.assert_allclose(without.scores, raw_scores[0])


def test_classes_of_tensorflow_that_are_not_known() -> None:
    outputs = detections()
    unnamed = TensorFlowDecoder(shapes_of(outputs), (100, 200))
    assert unnamed.decode(flat(outputs))[0].scores.shape == (2, 90)
    assert unnamed.notes == ("The model has 90 classes, as in COCO. If not, name them with LABELS.",)
    with pytest.raises(ModelError, match="detects class 3, but 2 classes are known"):
        TensorFlowDecoder(shapes_of(outputs), (100, 200), 2).decode(flat(outputs))


# ---- YOLO ---------------------------------------------------------------------------------------------------------

# Centre, width and height, then two classes, for an input of 64 pixels: 64 + 16 + 4 cells.
ROWS = np.zeros((84, 6), np.float32)
ROWS[:, :2] = np.stack(np.divmod(np.arange(84), 10), axis=1) * 6
ROWS[5] = [30, 20, 20, 10, 0.8, 0.1]
ROWS[70] = [10.5, 12, 4, 8, 0.0, 0.3]
BOXES = [[20.0, 15.0, 40.0, 25.0], [8.5, 8.0, 12.5, 16.0]]


def test_yolo_with_the_values_first() -> None:
    raw = np.stack([ROWS.T.ravel(), np.zeros(84 * 6, np.float32)])
    decoder = YoloDecoder({"output0": (6, 84)}, (64, 64))
    first, second = decoder.decode(raw)
    np.testing.assert_array_equal(first.boxes, np.array(BOXES, np.float32))
    np.testing.assert_array_equal(first.scores, ROWS[[5, 70], 4:])
    np.testing.assert_array_equal(first.objectness, [1, 1])
    assert second.boxes.shape == (0, 4)
    assert second.scores.shape == (0, 2)
    assert_places(decoder, raw)
    assert decoder.notes == ("The output output0 of shape (6, 84) has 84 boxes, no objectness and 2 class scores.",)


def test_yolo_with_the_boxes_first() -> None:
    decoder = YoloDecoder({"output0": (84, 6)}, (64, 64))
    raw = ROWS.reshape(1, -1)
    np.testing.assert_array_equal(decoder.decode(raw)[0].boxes, np.array(BOXES, np.float32))
    assert_places(decoder, raw)


def test_yolo_with_objectness() -> None:
    # Three boxes for each of the 84 cells.
    rows = np.zeros((252, 7), np.float32)
    rows[:84] = np.insert(ROWS, 4, 0, axis=1)
    rows[[5, 70], 4] = [0.5, 0.02]
    raw = rows.reshape(1, -1)
    decoder = YoloDecoder({"out": (252, 7)}, (64, 64))
    (found,) = decoder.decode(raw)
    # 0.02 x 0.3 is below the floor.
    np.testing.assert_array_equal(found.boxes, np.array(BOXES[:1], np.float32))
    np.testing.assert_array_equal(found.scores, ROWS[[5], 4:])
    np.testing.assert_array_equal(found.objectness, [0.5])
    assert [one.score for one in suppressed(found)] == pytest.approx([0.4])
    assert_places(decoder, raw)
    assert decoder.notes == ("The output out of shape (252, 7) has 252 boxes, objectness and 2 class scores.",)


@pytest.mark.parametrize(
    ("shape", "known", "expected"),
    [
        ((84, 8400), {}, 80),
        ((25200, 85), {}, 80),
        ((8400, 85), {}, 81),
        ((8400, 85), {"classes": 80}, 80),
        ((8400, 85), {"objectness": True}, 80),
        ((25200, 85), {"objectness": False}, 81),
        ((25200, 85), {"classes": 81}, 81),
        ((300, 605), {"classes": 601}, 601),
    ],
)
def test_what_the_values_of_yolo_are(shape: tuple[int, int], known: dict[str, Any], expected: int) -> None:
    assert YoloDecoder({"out": shape}, (640, 640), **known).classes == expected


def test_yolo_boxes_as_fractions() -> None:
    rows = ROWS.copy()
    rows[:, :4] /= [64, 32, 64, 32]
    raw = rows.reshape(1, -1)
    by_values = YoloDecoder({"out": (84, 6)}, (32, 64)).decode(raw)[0]
    np.testing.assert_allclose(by_values.boxes, BOXES)
    by_option = YoloDecoder({"out": (84, 6)}, (32, 64), normalized=False).decode(raw)[0]
    np.testing.assert_allclose(by_option.boxes, np.array(BOXES) / [64, 32, 64, 32], rtol=1e-6)


def test_a_yolo_model_of_other_classes_is_refused() -> None:
    with pytest.raises(ModelError, match="not that of a YOLO model with 3 classes"):
        YoloDecoder({"out": (84, 8400)}, (640, 640), 3)
    with pytest.raises(ModelError, match="has one output"):
        YoloDecoder({"out": (84, 8400), "masks": (32, 160, 160)}, (640, 640))


# ---- CenterNet ----------------------------------------------------------------------------------------------------


def maps() -> Values:
    """Return two images of 60 x 40 pixels, as 6 x 8 cells: 7.5 x 40/6 pixels each."""
    heat, size, offset = (np.zeros((2, 6, 8, channels), np.float32) for channels in (3, 2, 2))
    heat[0, 2, 3] = [0.1, 0.9, 0.0]
    heat[0, 2, 4] = [0.0, 0.8, 0.5]
    heat[0, 5, 7, 2] = 0.4
    size[0, 2, 3], offset[0, 2, 3] = [2, 3], [0.5, 0.25]
    size[0, 2, 4], offset[0, 2, 4] = [1, 1], [0, 0]
    size[0, 5, 7], offset[0, 5, 7] = [4, 2], [0.5, 0.5]
    heat[1, 0, 0, 0] = 0.7
    size[1, 0, 0] = [1, 1]
    return {"offset": offset, "heat": heat, "size": size}


def test_centernet() -> None:
    outputs = maps()
    decoder = CenterNetDecoder(shapes_of(outputs), (40, 60))
    first, second = decoder.decode(flat(outputs))
    tall, wide = 40 / 6, 7.5
    # x = (3 + 0.5) cells, 2 cells wide; y = (2 + 0.25) cells, 3 cells high.
    np.testing.assert_allclose(
        first.boxes,
        [
            [2.5 * wide, 0.75 * tall, 4.5 * wide, 3.75 * tall],
            [3.5 * wide, 1.5 * tall, 4.5 * wide, 2.5 * tall],
            [5.5 * wide, 4.5 * tall, 9.5 * wide, 6.5 * tall],
        ],
        rtol=1e-6,
    )
    # 0.8 is not a maximum of its class, because 0.9 is beside it.
    np.testing.assert_array_equal(first.scores, np.array([[0.1, 0.9, 0], [0, 0, 0.5], [0, 0, 0.4]], np.float32))
    np.testing.assert_allclose(second.boxes, [[-wide / 2, -tall / 2, wide / 2, tall / 2]], rtol=1e-6)
    assert decoder.notes == ("heat is the heat map, size the sizes, and offset the offsets.",)
    assert_places(decoder, flat(outputs))
    assert_places(decoder, flat(outputs), image=1)


def test_local_maxima_are_those_of_a_slow_search() -> None:
    heat = np.random.default_rng(0).integers(0, 6, (3, 5, 7, 2)).astype(np.float32)
    expected = np.empty_like(heat)
    for n, row, column, k in np.ndindex(heat.shape):
        expected[n, row, column, k] = heat[n, max(0, row - 1) : row + 2, max(0, column - 1) : column + 2, k].max()
    np.testing.assert_array_equal(decoders.neighbourhood_maximum(heat), expected)


@pytest.mark.parametrize(
    ("shapes", "expected"),
    [
        ({"a": (4, 4, 2), "b": (4, 4, 5), "c": (4, 4, 2)}, ("b", "a", "c")),
        ({"reg": (4, 4, 2), "hm": (4, 4, 5), "wh": (4, 4, 2)}, ("hm", "wh", "reg")),
        ({"offsets": (4, 4, 2), "x": (4, 4, 2), "heat_map": (4, 4, 2)}, ("heat_map", "x", "offsets")),
        ({"size_regression": (4, 4, 2), "x": (4, 4, 2), "y": (4, 4, 1)}, ("y", "size_regression", "x")),
        ({"one": (4, 4, 2), "two": (4, 4, 2), "three": (4, 4, 2)}, ("one", "two", "three")),
        ({"heat": (4, 4, 3), "size": (4, 4, 2), "offset": (2, 2, 2)}, None),
        ({"heat": (4, 4, 3), "size": (4, 4, 2), "depth": (4, 4, 1)}, None),
    ],
)
def test_which_map_is_which(shapes: dict[str, tuple[int, ...]], expected: tuple[str, str, str] | None) -> None:
    assert decoders.centernet_maps(shapes) == expected
    if expected is None:
        with pytest.raises(ModelError, match="three outputs"):
            CenterNetDecoder(shapes, (40, 40))


# ---- functions of model classes -----------------------------------------------------------------------------------


def custom(function: Any, classes: int | None = None) -> list[Candidates]:
    raw = (np.arange(12).reshape(2, 6) / 12).astype(np.float32)
    return CustomDecoder({"a": (4,), "b": (2, 1)}, (10, 10), classes, decode_boxes=function).decode(raw)


def test_a_function_of_the_model_class() -> None:
    def decode_boxes(outputs: Values) -> list[tuple[Any, ...]]:
        assert {name: values.shape for name, values in outputs.items()} == {"a": (2, 4), "b": (2, 2, 1)}
        return [([outputs["a"][0]], [[0.5, outputs["b"][0, 1, 0]]], [0.25]), ([], np.zeros((0, 2)))]

    first, second = custom(decode_boxes, 2)
    np.testing.assert_allclose(first.boxes, [[0, 1 / 12, 2 / 12, 3 / 12]])
    np.testing.assert_allclose(first.scores, [[0.5, 5 / 12]])
    np.testing.assert_allclose(first.objectness, [0.25])
    assert first.places is None
    assert (second.boxes.shape, second.scores.shape) == ((0, 4), (0, 2))


GOOD = (np.zeros((3, 4)), np.full((3, 2), 0.5))


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        ([GOOD], "returned 1 results for 2 images"),
        ([GOOD, (np.zeros((3, 5)), GOOD[1])], r"shapes \(3, 5\), \(3, 2\)"),
        ([GOOD, (GOOD[0], np.zeros(3))], r"shapes \(3, 4\), \(3,\)"),
        ([GOOD, (*GOOD, np.ones(2))], r"shapes \(3, 4\), \(3, 2\), \(2,\)"),
        ([GOOD, (GOOD[0],)], "must return boxes and class scores"),
        ([GOOD, 5], "must return boxes and class scores"),
        ([GOOD, (GOOD[0], np.full((3, 4), 0.5))], "numbers differ: 2, 4"),
        ([GOOD, (GOOD[0], 3 * GOOD[1])], "probabilities are 0 to 1"),
    ],
)
def test_what_a_function_may_not_return(returned: list[Any], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        custom(lambda outputs: returned)


def test_a_function_that_fails() -> None:
    with pytest.raises(ModelCodeError, match=r"decode_boxes\(\) of the model failed: KeyError"):
        custom(lambda outputs: outputs["missing"])
    with pytest.raises(ModelCodeError, match="read-only"):
        custom(lambda outputs: outputs["a"].fill(0))
    with pytest.raises(ModelCodeError, match="numbers differ: 2, 3"):
        custom(lambda outputs: [GOOD, GOOD], 3)

    def refuse(outputs: Values) -> Any:
        raise BadRequest("Choose another image.")

    with pytest.raises(BadRequest, match="Choose another image"):
        custom(refuse)


# ---- all ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shapes", "size", "name"),
    [
        (shapes_of(detections()), (100, 200), "tensorflow"),
        ({"raw_detection_boxes": (9, 4), "raw_detection_scores": (9, 3)}, (100, 200), "tensorflow"),
        (shapes_of(maps()), (40, 60), "centernet"),
        ({"out": (84, 8400)}, (640, 640), "yolo"),
        ({"out": (8400, 84)}, (640, 640), "yolo"),
        ({"out": (25200, 85)}, (640, 640), "yolo"),
        ({"out": (5, 2100)}, (320, 320), "yolo"),
        ({"out": (84, 5040)}, (384, 640), "yolo"),
        # Final detections, not candidates.
        ({"out": (300, 6)}, (640, 640), ""),
        ({"out": (1000,)}, (224, 224), ""),
        ({"out": (64, 64, 21)}, (64, 64), ""),
        ({}, (64, 64), ""),
    ],
)
def test_recognition(shapes: dict[str, tuple[int, ...]], size: tuple[int, int], name: str) -> None:
    found = recognize(shapes, size)
    assert found.name == name
    assert found.reason.endswith(".")
    if name:
        DECODERS[name](shapes, size)


@pytest.mark.parametrize("kind", ["yolo", "centernet", "tensorflow"])
def test_logits_are_refused(kind: str) -> None:
    outputs = {"yolo": {"out": ROWS[None]}, "centernet": maps(), "tensorflow": detections()}[kind]
    name = {"yolo": "out", "centernet": "heat", "tensorflow": "detection_scores"}[kind]
    outputs = outputs | {name: outputs[name] - 7 if kind == "centernet" else outputs[name] * 40}
    with pytest.raises(ModelError, match=f"scores of {name} go from .* Apply the sigmoid"):
        DECODERS[kind](shapes_of(outputs), (64, 64)).decode(flat(outputs))


def test_values_that_are_not_finite_are_left_out() -> None:
    rows = ROWS.copy()
    rows[5, 2], rows[70, 5], rows[3, 4] = np.inf, np.nan, 0.5
    (found,) = YoloDecoder({"out": (84, 6)}, (64, 64)).decode(rows.reshape(1, -1))
    np.testing.assert_array_equal(found.scores, [[0.5, 0]])


def test_only_the_best_candidates_are_kept() -> None:
    number = 3 * decoders.MAX_CANDIDATES
    rows = np.random.default_rng(1).random((number, 7)).astype(np.float32)
    (found,) = YoloDecoder({"out": (number, 7)}, (640, 640), 3).decode(rows.reshape(1, -1))
    lowest = np.sort(rows[:, 4:].max(axis=1))[-decoders.MAX_CANDIDATES]
    np.testing.assert_array_equal(found.scores, rows[rows[:, 4:].max(axis=1) >= lowest, 4:])


def test_the_images_of_a_batch_do_not_depend_on_each_other() -> None:
    random = np.random.default_rng(2)
    shapes = {"heat": (6, 8, 3), "size": (6, 8, 2), "offset": (6, 8, 2)}
    raw = random.random((5, sum(map(math.prod, shapes.values())))).astype(np.float32)
    raw[2] = 0
    decoder = CenterNetDecoder(shapes, (48, 64))
    together = decoder.decode(raw)
    for image, found in enumerate(together):
        (alone,) = decoder.decode(raw[image : image + 1])
        for name in ("boxes", "scores", "objectness", "places"):
            np.testing.assert_array_equal(getattr(found, name), getattr(alone, name))
    assert len(together[2].boxes) == 0
