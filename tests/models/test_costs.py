"""What the plan says it saves: everything counts, not only convolutions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from picasso.models.tf.incremental.checked import MIN_GAIN
from picasso.models.tf.incremental.products import convolution, einstein, matrices, transposed


class Operation:
    """The attributes of an operation."""

    def __init__(self, type_: str, **attributes: Any) -> None:
        self.type, self._attributes = type_, attributes

    def get_attr(self, name: str) -> Any:
        return self._attributes[name]


def test_products_of_matrices() -> None:
    plain = Operation("MatMul", transpose_a=False)
    assert matrices(plain, [(6, 5), (5, 7)], (6, 7)) == 6 * 5 * 7
    assert matrices(Operation("MatMul", transpose_a=True), [(5, 6), (5, 7)], (6, 7)) == 6 * 5 * 7
    batch = Operation("BatchMatMulV2", adj_x=False, adj_y=True)
    assert matrices(batch, [(1, 3, 16, 8), (1, 3, 16, 8)], (1, 3, 16, 16)) == 3 * 16 * 16 * 8


@pytest.mark.parametrize(
    ("equation", "shapes", "output", "expected"),
    [
        ("ab,bc->ac", [(6, 5), (5, 7)], (6, 7), 6 * 5 * 7),
        ("aecd,abcd->acbe", [(1, 9, 2, 4), (1, 9, 2, 4)], (1, 2, 9, 9), 2 * 9 * 9 * 4),
        ("...x,xy->...y", [(1, 4, 5, 6), (6, 3)], (1, 4, 5, 3), 4 * 5 * 3 * 6),
    ],
)
def test_sums_of_products(equation: str, shapes: list[tuple[int, ...]], output: tuple[int, ...], expected: int) -> None:
    assert einstein(Operation("Einsum", equation=equation.encode()), shapes, output) == expected


def test_convolutions_of_other_kinds() -> None:
    # Each of 4 x 5 places of 6 channels is multiplied with 3 x 3 x 8 numbers.
    assert transposed(None, [(4,), (3, 3, 8, 6), (1, 4, 5, 6)], (1, 8, 10, 8)) == 4 * 5 * 6 * 3 * 3 * 8
    assert convolution(None, [(1, 9, 9, 9, 2), (3, 3, 3, 2, 5)], (1, 7, 7, 7, 5)) == 7**3 * 5 * 27 * 2


@pytest.fixture(scope="module")
def keras() -> Any:
    import keras

    keras.utils.set_random_seed(5)
    return keras


def gain(keras: Any, build: Any, windows: int = 10) -> tuple[float, str]:
    """Return what the plan of a network says it saves, and what a map says of how it was computed."""
    from pathlib import Path

    from picasso.models.keras import KerasModel
    from picasso.visualizations.partial_occlusion import OcclusionSettings, boxes

    inputs = keras.Input((48, 64, 3))
    model = KerasModel()
    output = keras.layers.Dense(4, activation="softmax")(build(keras.layers, inputs))
    model.model = keras.Model(inputs, output)
    model.use(Path(__file__))
    some = boxes((64, 48), OcclusionSettings(window=0.1, strides=windows))
    plan = model._occluder.plan(some)
    assert plan is not None
    image = np.random.default_rng(0).random((2, 48, 64, 3), np.float32)
    assert model.occlusion_passes(some) == pytest.approx(
        len(some) / max(1.0, plan.gain if plan.gain >= MIN_GAIN else 1.0)
    )
    return plan.gain, model.occlude(image[0], image[1], some).method


def transformer(k: Any, x: Any) -> Any:
    x = k.Reshape((-1, 24))(k.Conv2D(24, 8, strides=8)(x))
    for _ in range(2):
        y = k.LayerNormalization()(x)
        x = x + k.MultiHeadAttention(2, 12)(y, y)
        x = x + k.Dense(24)(k.Dense(96, activation="gelu")(k.LayerNormalization()(x)))
    return k.GlobalAveragePooling1D()(x)


@pytest.mark.slow
def test_a_transformer_has_nothing_to_save_and_says_so(keras: Any) -> None:
    saved, method = gain(keras, transformer)
    assert saved < 1.1
    assert method == "a whole image for each window, because computing only what a window changes would save nothing"


def convolutions(k: Any, x: Any) -> Any:
    for filters in (16, 24, 32):
        x = k.Conv2D(filters, 3, padding="same", activation="relu")(x)
    return k.GlobalAveragePooling2D()(x)


def test_a_network_of_convolutions_saves_much(keras: Any) -> None:
    saved, method = gain(keras, convolutions)
    assert saved > 3
    assert method == f"only what a window changes, {saved:.1f} times less work"


def late_attention(k: Any, x: Any) -> Any:
    x = k.Conv2D(8, 3, padding="same", activation="relu")(x)
    return transformer(k, k.Conv2D(8, 3, padding="same")(x))


@pytest.mark.slow
def test_what_follows_is_counted_too(keras: Any) -> None:
    alone, both = gain(keras, convolutions)[0], gain(keras, late_attention)[0]
    assert both < alone
