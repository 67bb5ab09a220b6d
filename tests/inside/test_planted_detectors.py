"""Cards of channels of a Keras model that is built by hand: detectors of stripes, of red and of a corner."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PIL import Image

import picasso
from picasso.inside.channel import EXEMPLARS, channel_card
from picasso.inside.effects import channel_effects
from picasso.models import Edit
from picasso.models.base import Model

pytestmark = pytest.mark.filterwarnings("ignore")

SIDE, WINDOW, WITH, ALL = 24, 7, 12, 30
# The image has values of 0.5 plus or minus this where the pattern is.
CONTRAST = 0.4
# The share of the pattern's value of the detector at which the answer changes.
THRESHOLD = 0.8


def of_stripes() -> list[np.ndarray]:
    """Stripes at 45 degrees, and at -45 degrees."""
    rows, columns = np.mgrid[:WINDOW, :WINDOW]
    stripes = np.sign(np.sin(2 * np.pi * (rows + columns + 0.5) / 4))[..., None]
    return [stripes, stripes[:, ::-1]]


def of_red() -> list[np.ndarray]:
    """A red square, and squares of other colours."""
    colours = [(1, -1, -1), (-1, 1, -1), (-1, -1, 1), (1, 1, -1), (1, -1, 1), (1, 1, 1)]
    return [np.broadcast_to(np.array(colour, float), (WINDOW, WINDOW, 3)) for colour in colours]


def of_corner() -> list[np.ndarray]:
    """The upper left corner of a frame, the other corners, and its sides."""
    corner, side = np.full((2, WINDOW, WINDOW, 1), -1.0)
    corner[1:3, 1:] = corner[1:, 1:3] = side[1:3] = 1
    return [corner, *(np.rot90(corner, turns) for turns in (1, 2, 3)), side, np.rot90(side)]


def with_detector(pattern: np.ndarray) -> Model:
    """A model whose class 1 depends on channel 1 of 3 alone, which is the correlation with a pattern."""
    keras = pytest.importorskip("keras")
    colours = pattern.shape[2]
    kernel = np.random.default_rng(1).normal(0, 0.01, (WINDOW, WINDOW, colours, 3))
    kernel[..., 1] = pattern - pattern.mean()
    threshold = THRESHOLD * CONTRAST * float((kernel[..., 1] * pattern).sum())
    inputs = keras.Input((SIDE, SIDE, colours))
    maps = keras.layers.Conv2D(3, WINDOW, activation="relu", padding="same", name="detectors")(inputs)
    outputs = keras.layers.Dense(2, activation="softmax", name="head")(keras.layers.GlobalMaxPooling2D()(maps))
    network = keras.Model(inputs, outputs)
    network.get_layer("detectors").set_weights([kernel, np.zeros(3)])
    network.get_layer("head").set_weights([np.array([[0, 0], [0, 4], [0, 0]]), np.array([0.0, -4 * threshold])])
    return picasso.load_model(network, preprocess="0..1")


def images_of(patterns: list[np.ndarray]) -> tuple[list[Image.Image], list[tuple[int, int]]]:
    """Images of noise; the first ones have the first pattern somewhere, the rest the others. Also, where it is."""
    random = np.random.default_rng(0)
    images, places = [], []
    for number in range(ALL):
        pixels = random.uniform(0.4, 0.6, (SIDE, SIDE, patterns[0].shape[2]))
        top, left = (int(one) for one in random.integers(0, SIDE - WINDOW, 2))
        shown = patterns[0] if number < WITH else patterns[1 + number % (len(patterns) - 1)]
        pixels[top : top + WINDOW, left : left + WINDOW] = 0.5 + CONTRAST * shown
        images.append(Image.fromarray((255 * pixels).round().astype(np.uint8).squeeze()))
        places.append((top, left))
    return images, places


@pytest.mark.parametrize("patterns", [of_stripes(), of_red(), of_corner()], ids=["stripes", "red", "corner"])
def test_a_planted_detector_is_found(patterns: list[np.ndarray]) -> None:
    model = with_detector(patterns[0])
    images, places = images_of(patterns)
    card = channel_card(model, "detectors", 1, images)
    for exemplars in (card.by_activation, card.by_relevance):
        shown = [int(one.image.removeprefix("image ")) for one in exemplars]
        assert len(set(shown)) == EXEMPLARS
        assert set(shown) <= set(range(WITH))
        for index, one in zip(shown, exemplars, strict=True):
            top, left = places[index]
            assert one.box == (left, top, left + WINDOW, top + WINDOW)
            assert one.crop.size == (WINDOW, WINDOW)
    assert [vars(one) for one in card.changes] == [{"before": "1", "after": "0", "images": WITH, "among": WITH}]
    assert channel_card(model, "detectors", 0, images, steps=0).changes == ()
    assert card.preferred is not None
    assert card.preferred_value > card.by_activation[0].value
    assert f"Its value for the preferred input is {card.preferred_value:.3g}." in card.sentences()
    found = np.asarray(card.preferred, np.float64)
    assert found.shape[:2] == (WINDOW, WINDOW)
    assert np.corrcoef(found.ravel(), patterns[0].ravel())[0, 1] >= 0.9


@pytest.mark.parametrize("patterns", [of_stripes(), of_red(), of_corner()], ids=["stripes", "red", "corner"])
def test_exactly_the_images_with_the_pattern_depend_on_its_detector(patterns: list[np.ndarray]) -> None:
    model = with_detector(patterns[0])
    images, _ = images_of(patterns)
    inputs = model.inputs_of(images)
    assert np.flatnonzero(model.predict(inputs).argmax(axis=1)).tolist() == list(range(WITH))
    for channel in range(3):
        edited = model.edited(inputs, Edit("detectors", [channel], scale=0))
        expected: list[Any] = [] if channel == 1 else list(range(WITH))
        assert np.flatnonzero(edited.argmax(axis=1)).tolist() == expected
    effects = channel_effects(model, "detectors", images).channels
    assert [(one.channel, one.changed) for one in effects] == [(1, WITH), (0, 0), (2, 0)]
