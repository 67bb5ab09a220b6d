"""Where in the image feature maps lie: a detector of red behind everything that moves pixels, and the rules by hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from picasso import explain
from picasso.attribution.placement import Canvas, Side
from picasso.models.arrays import Array
from picasso.models.info import Layer, Place
from picasso.models.preprocessing import Preprocessing
from picasso.models.tf.layouts import COLUMNS, ROWS, Factor, Layout, joined, place_of, plain, reshaped
from picasso.models.tf.probing import tried

pytestmark = pytest.mark.filterwarnings("ignore")

HEIGHT, WIDTH, SQUARE = 24, 32, 4
# The square's corner; it lies within what every model below leaves of the image.
TOP, LEFT = 8, 10


@pytest.fixture(scope="module")
def keras() -> Iterator[Any]:
    from picasso.models.tf.runtime import keras

    yield keras
    keras.backend.clear_session()


def passing(keras: Any, kind: str, side: int, **options: Any) -> Callable[[Any], Any]:
    """Return a convolution that only moves values: of its windows, the one value in the middle counts."""

    def layer(tensor: Any) -> Any:
        channels = tensor.shape[-1]
        made = getattr(keras.layers, kind)(channels, side, use_bias=False, **options)
        output, weights = made(tensor), np.zeros((side, side, channels, channels), np.float32)
        weights[side // 2, side // 2] = np.eye(channels)
        made.set_weights([weights])
        return output

    return layer


def detector(keras: Any, front: Callable[[Any], Any]) -> Any:
    """Return a model that looks for red behind ``front``: its scores are the mean red and blue of all places."""
    layers = keras.layers
    inputs = keras.Input((HEIGHT, WIDTH, 3))
    colours, scores = layers.Conv2D(2, 1, activation="relu"), layers.Dense(2, activation="softmax")
    outputs = scores(layers.GlobalAveragePooling2D()(colours(layers.Rescaling(1 / 255)(front(inputs)))))
    colours.set_weights([np.array([[1, -1], [-0.5, 0], [-0.5, 1]], np.float32)[None, None], np.zeros(2)])
    scores.set_weights([np.array([[20, -20], [-20, 20]], np.float32), np.zeros(2)])
    return keras.Model(inputs, outputs)


FRONTS: dict[str, Callable[[Any], Callable[[Any], Any]]] = {
    "nothing": lambda k: k.layers.Identity(),
    "CenterCrop": lambda k: k.layers.CenterCrop(16, 20),
    "Cropping2D": lambda k: k.layers.Cropping2D(((0, 8), (6, 2))),
    "Resizing": lambda k: k.layers.Resizing(12, 24),
    "Resizing, crop_to_aspect_ratio": lambda k: k.layers.Resizing(12, 12, crop_to_aspect_ratio=True),
    "Resizing, pad_to_aspect_ratio": lambda k: k.layers.Resizing(16, 16, pad_to_aspect_ratio=True),
    "antialiased resize": lambda k: lambda x: k.ops.image.resize(x, (12, 16), antialias=True),
    "ZeroPadding2D": lambda k: k.layers.ZeroPadding2D(((0, 24), (8, 2))),
    "RandomCrop": lambda k: k.layers.RandomCrop(12, 12),
    "Permute": lambda k: k.layers.Permute((2, 1, 3)),
    "flips": lambda k: lambda x: k.ops.flip(x, 2)[:, ::-1],
    "slices": lambda k: lambda x: x[:, 4:-4, 8:],
    "strided slices": lambda k: lambda x: x[:, ::2, 1::2],
    "convolutions without padding": lambda k: lambda x: passing(k, "Conv2D", 5)(passing(k, "Conv2D", 3)(x)),
    "strided convolution": lambda k: passing(k, "Conv2D", 3, strides=2, padding="same"),
    "dilated convolution": lambda k: passing(k, "Conv2D", 3, dilation_rate=3),
    "Conv2DTranspose": lambda k: lambda x: passing(k, "Conv2DTranspose", 3, strides=2, padding="same")(x[:, 4:, :20]),
    "UpSampling2D": lambda k: lambda x: k.layers.UpSampling2D(2)(passing(k, "Conv2D", 3)(x[:, 2:18, 4:24])),
    "pooling": lambda k: lambda x: k.layers.AveragePooling2D(2)(x[:, 4:, 6:22]),
    "tokens and back": lambda k: lambda x: k.ops.reshape(k.ops.reshape(x[:, 4:20, 4:], (-1, 448, 3)), (-1, 16, 28, 3)),
}  # fmt: skip


def centre(array: Array) -> Array:
    """Return the centre of the positive values, as fractions of the image (down, right)."""
    positive = np.maximum(array, 0) / np.maximum(array, 0).sum()
    places = [(np.arange(side) + 0.5) / side for side in array.shape]
    return np.array([positive.sum(1) @ places[0], positive.sum(0) @ places[1]])


@pytest.mark.slow
@pytest.mark.parametrize("name", FRONTS)
def test_maps_lie_where_the_red_square_is(name: str, keras: Any) -> None:
    from picasso.models.keras import KerasModel

    model = KerasModel()
    model.model, model.preprocessing = detector(keras, FRONTS[name](keras)), Preprocessing("0..255")
    model.use(Path(__file__))
    pixels = np.full((HEIGHT, WIDTH, 3), 128, np.uint8)
    pixels[TOP : TOP + SQUARE, LEFT : LEFT + SQUARE] = 255, 0, 0

    def found(visualization: str, **settings: Any) -> Array:
        (result,) = explain(model, Image.fromarray(pixels), visualization, classes=[0], **settings)
        return centre(next(panel.array for panel in result.panels if panel.kind == "map"))

    saliency = found("SaliencyMaps")
    occlusion = found("PartialOcclusion", Window=0.1, Strides=20, Show="drop")
    assert model.layers()[-1].place is not None
    expected = (TOP + SQUARE / 2) / HEIGHT, (LEFT + SQUARE / 2) / WIDTH
    # A pixel and a half: models of every second pixel see the square that much displaced.
    for reference in (saliency, occlusion):
        np.testing.assert_allclose(reference, expected, atol=1.5 / HEIGHT)
    for visualization in ("CAM", "GradCAM", "HiResCAM", "LayerCAM", "ScoreCAM"):
        np.testing.assert_allclose(found(visualization), saliency, atol=1 / HEIGHT)


def test_places_of_a_network_by_hand(keras: Any) -> None:
    """Starts and steps of windows, joins and unknown operations, with the sums beside them."""
    from picasso.models.keras import KerasModel

    layers = keras.layers
    inputs = keras.Input((32, 48, 3))
    first = layers.Conv2D(4, 3, strides=2, padding="same", name="same")(inputs)
    second = layers.Conv2D(4, (5, 3), name="valid")(first)
    pooled = layers.MaxPooling2D(2)(second)
    gate = layers.Dense(4, activation="sigmoid")(layers.GlobalAveragePooling2D(keepdims=True)(pooled))
    gated = layers.Conv2D(4, 1, name="gated")(pooled * gate)
    outputs = layers.Dense(2, activation="softmax")(layers.GlobalAveragePooling2D()(gated))
    model = KerasModel()
    model.model = keras.Model(inputs, outputs)
    model.use(Path(__file__))
    found = {layer.name: layer.place for layer in model.layers()}
    # Of an even side, SAME pads one pixel behind: the first window has pixels 0 to 2.
    assert found["same"] == Place((1.5, 1.5), (2, 2))
    assert found["valid"] == Place((1.5 + 2 * 2, 1.5 + 2), (2, 2))
    # Half a value further for the pooling; squeeze-and-excite sees all of the image, and moves nothing.
    assert found["gated"] == Place((5.5 + 1, 3.5 + 1), (4, 4))


# ---- reshaping, without a framework -------------------------------------------------------------------------

IMAGE: Layout = (plain(None), (Factor(8, ROWS, 0.5, 1),), (Factor(6, COLUMNS, 0.5, 1),), plain(3))


def test_parts_that_changed_places_lie_nowhere_but_mirrored_edges_do(keras: Any) -> None:
    from picasso.models.keras import KerasModel

    layers, join = keras.layers, keras.layers.Concatenate(axis=1)
    inputs = keras.Input((12, 16, 3))
    halves = layers.Conv2D(2, 1, name="halves")(join([inputs[:, 6:], inputs[:, :6]]))
    mirrored = layers.Conv2D(2, 1, name="mirrored")(join([inputs[:, 2:0:-1], inputs]))
    together = layers.Concatenate()([layers.GlobalAveragePooling2D()(one) for one in (halves, mirrored)])
    model = KerasModel()
    model.model = keras.Model(inputs, layers.Dense(2, activation="softmax")(together))
    model.use(Path(__file__))
    found = {layer.name: layer.place for layer in model.layers()}
    assert found["halves"] is None
    assert found["mirrored"] == Place((-1.5, 0.5), (1, 1))


def test_values_keep_their_place_through_tokens_and_windows() -> None:
    tokens = reshaped(IMAGE, (None, 48, 3))
    assert tokens is not None
    assert reshaped(tokens, (None, 8, 6, 3)) == IMAGE
    assert place_of(tokens, (None, 48, 3)) is None
    windows = reshaped(IMAGE, (None, 4, 2, 3, 2, 3))
    assert windows is not None
    back = reshaped(windows, (None, 8, 6, 3))
    assert place_of(back, (None, 8, 6, 3)) == Place((0.5, 0.5), (1, 1))
    # Blocks of two by two pixels that became channels: a cell lies in the middle of its block.
    blocks = (*(windows[axis] for axis in (0, 1, 3)), windows[2] + windows[4] + windows[5])
    assert place_of(blocks, (None, 4, 3, 12)) == Place((1, 1), (2, 2))
    assert reshaped(IMAGE, (None, 5, 9, 3)) is None


def test_joined_maps_lie_between_those_that_are_nearly_at_one_place() -> None:
    def at(start: float) -> Layout:
        return (plain(None), (Factor(4, ROWS, start, 2),), (Factor(3, COLUMNS, 1, 2),), plain(8))

    shape = (None, 4, 3, 8)
    assert place_of(joined([at(1), at(2)], 4), shape) == Place((1.5, 1), (2, 2))
    assert place_of(joined([at(1), at(6)], 4), shape) is None
    # What is repeated over the image has no place of its own.
    assert place_of(joined([at(1), (plain(None), (), (), plain(8)), (plain(8),)], 4), shape) == Place((1, 1), (2, 2))


def test_trying_finds_crops_and_flips_and_gives_up_on_mixtures() -> None:
    def crop(images: Array) -> Array:
        return np.asarray(images[:, 3:15:3, 10:2:-1] / 255, np.float32)

    assert tried(crop, (20, 24, 3), None) == Place((3.5, 10.5), (3, -1))
    assert tried(crop, (20, 24, 3), 7) == Place((3.5, 10.5), (3, -1))
    assert tried(lambda images: np.repeat(images.mean(axis=1, keepdims=True), 20, axis=1), (20, 24, 3), None) is None
    assert tried(lambda images: np.zeros((len(images), 4, 4, 1), np.float32), (20, 24, 3), None) is None


# ---- drawing ------------------------------------------------------------------------------------------------


def canvas(place: Place | None, shape: tuple[int, int], size: tuple[int, int]) -> Canvas:
    return Canvas(Layer("maps", (*shape, 1), place=place), size)


def test_a_map_that_covers_the_image_is_kept_as_it_is() -> None:
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    # The last two are off by half a cell, as behind windows of three at steps of two.
    for place in (None, Place((2, 2), (4, 4)), Place((4, 4), (4, 4)), Place((0.5, 0.5), (4, 4))):
        drawn = canvas(place, (2, 3), (8, 12))
        assert drawn.draw(array) is array
        assert drawn.enlarge(array) is None
        assert bool(drawn.note) is (place is None)


def test_a_map_of_a_part_is_drawn_in_whole_cells() -> None:
    array = np.arange(1, 5, dtype=np.float32).reshape(2, 2)
    drawn = canvas(Place((6, 2), (4, 4)), (2, 2), (12, 12))
    assert drawn.draw(array).tolist() == [[0, 0, 0], [1, 2, 0], [3, 4, 0]]
    assert "from 0% to 67% across and 33% to 100% down" in drawn.note
    # Half cells, where whole ones do not fit; mirrored and turned, where the model does that.
    assert canvas(Place((4, 2), (4, 4)), (2, 2), (12, 12)).draw(array)[:, 0].tolist() == [0, 1, 1, 3, 3, 0]
    flipped = canvas(Place((2, 6), (4, -4)), (2, 2), (8, 8))
    assert flipped.draw(array).tolist() == [[2, 1], [4, 3]]
    turned = canvas(Place((2, 2), (4, 4), transposed=True), (2, 2), (8, 8))
    assert turned.draw(array).tolist() == [[1, 3], [2, 4]]


def test_cells_beyond_the_image_are_left_out() -> None:
    side = Side(count=4, start=-1, step=2, length=4)
    assert side.cells().tolist() == [1, 2]
    assert side.span == (0, 1)


def test_masks_are_smooth_and_0_where_there_are_no_cells() -> None:
    drawn = canvas(Place((3, 1), (2, 2)), (2, 2), (8, 8))
    mask = drawn.enlarge(np.array([[1, 1], [0, 0]], np.float32))
    assert mask is not None
    np.testing.assert_allclose(mask[:, 0], [0, 0, 1, 0.75, 0.25, 0, 0, 0], atol=1e-6)
    assert not mask[:, 4:].any()
