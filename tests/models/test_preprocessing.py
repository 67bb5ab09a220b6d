"""Preprocessing by name: against the arithmetic of the frameworks, and pictures of every shape."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from picasso.errors import ConfigurationError, ModelError
from picasso.models.preprocessing import ALIASES, RANGES, RESIZES, Preprocessing
from tests.conftest import picture

SHAPE = (6, 9, 3)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", Preprocessing("", "stretch")),
        ("-1..1", Preprocessing("-1..1", "stretch")),
        ("crop 0..255", Preprocessing("0..255", "crop")),
        ("tf fit", Preprocessing("-1..1", "fit")),
        ("imagenet", Preprocessing("torch", "stretch")),
    ],
)
def test_words(text: str, expected: Preprocessing) -> None:
    assert Preprocessing.parse(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0-1", "Unknown preprocessing '0-1'; the words are 0..1, 0..255, -1..1, torch, caffe, tf, imagenet, stretch"),
        ("crop fit", "can't be both crop and fit"),
        ("tf 0..1", "can't be both -1..1 and 0..1"),
    ],
)
def test_wrong_words_list_the_right_ones(text: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        Preprocessing.parse(text)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("mode", ["tf", "torch", "caffe"])
def test_the_modes_of_keras(mode: str) -> None:
    from keras.applications.imagenet_utils import preprocess_input

    pixels = np.asarray(picture(), np.float32)[None]
    ours = Preprocessing.parse(mode).encode([picture()], SHAPE)
    np.testing.assert_allclose(ours, preprocess_input(pixels.copy(), mode=mode, data_format="channels_last"), atol=2e-5)
    assert ours.dtype == np.float32


def test_plain_ranges() -> None:
    black_and_white = [Image.new("L", (9, 6), shade) for shade in (0, 255)]
    for name, (low, high) in {"0..1": (0, 1), "-1..1": (-1, 1), "0..255": (0, 255), "": (0, 1)}.items():
        inputs = Preprocessing(name).encode(black_and_white, (6, 9, 1))
        assert (inputs[0].min(), inputs[1].max()) == (low, high)


def test_colour_ranges_refuse_grey_models() -> None:
    with pytest.raises(ModelError, match="torch is for colour pictures; this model takes grey"):
        Preprocessing("torch").encode([picture(mode="L")], (6, 9, 1))


@pytest.mark.parametrize("resize", RESIZES)
@pytest.mark.parametrize("size", [(9, 6), (1, 1), (40, 5), (5, 400)])
def test_every_picture_gets_the_right_size_and_mode(resize: str, size: tuple[int, int]) -> None:
    for mode in ("RGB", "L"):
        for channels, expected in ((3, "RGB"), (1, "L")):
            view = Preprocessing(resize=resize).view(picture(1, size, mode), (6, 9, channels))
            assert (view.size, view.mode) == ((9, 6), expected)


def test_stretch_fit_and_crop_keep_what_they_say() -> None:
    wide = Image.new("L", (40, 10), 100)
    wide.paste(200, (0, 0, 10, 10))
    stretched, fitted, cropped = (
        np.asarray(Preprocessing(resize=resize).view(wide, (20, 20, 1))) for resize in ("stretch", "fit", "crop")
    )
    assert (stretched[10, 1], stretched[0, 10]) == (200, 100)
    assert (fitted[10, 1], fitted[0, 10]) == (200, 0)  # black bars above and below
    assert (cropped == 100).all()  # the bright left end is cut away


def test_descriptions_name_every_choice() -> None:
    for name in [*RANGES, *ALIASES]:
        described = Preprocessing.parse(f"{name} crop").describe()
        assert described == f"crop, values {ALIASES.get(name, name)}"
    assert "a guess" in Preprocessing().describe()
