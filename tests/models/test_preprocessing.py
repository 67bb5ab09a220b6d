"""Preprocessing by name: against the arithmetic of the frameworks, and images of every shape."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from picasso.errors import ConfigurationError, ModelError
from picasso.models.preprocessing import FILTERS, RANGES, RESIZES, Preprocessing
from tests.conftest import noise_image

SHAPE = (6, 9, 3)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", Preprocessing("", "stretch")),
        ("-1..1", Preprocessing("-1..1", "stretch")),
        ("crop 0..255", Preprocessing("0..255", "crop")),
        ("tf fit", Preprocessing("-1..1", "fit")),
        ("imagenet", Preprocessing("torch", "stretch")),
        ("crop 0.875 torch bilinear", Preprocessing("torch", "crop", "bilinear", cropped="0.875")),
        ("crop 224/232 area", Preprocessing("", "crop", "box", cropped="224/232")),
        ("256 crop", Preprocessing("", "crop", cropped="256")),
        ("noantialias bilinear", Preprocessing("", "stretch", "bilinear", antialias=False)),
        ("bgr 0..1", Preprocessing("0..1", order="bgr")),
        ("rgb caffe", Preprocessing("caffe", order="rgb")),
    ],
)
def test_words(text: str, expected: Preprocessing) -> None:
    assert Preprocessing.parse(text) == expected
    assert Preprocessing.parse(expected.keywords()) == expected


def test_words_that_change_nothing_are_not_written() -> None:
    assert Preprocessing.parse("rgb stretch bicubic -1..1").keywords() == "-1..1"
    assert Preprocessing.parse("bgr caffe").keywords() == "caffe"
    assert Preprocessing().keywords() == ""


@pytest.mark.parametrize(
    ("words", "order"), [("0..255", [9, 5, 1]), ("0..255 bgr", [1, 5, 9]), ("0..255 rgb", [9, 5, 1])]
)
def test_the_order_of_channels(words: str, order: list[int]) -> None:
    image = Image.new("RGB", (1, 1), (9, 5, 1))
    assert Preprocessing.parse(words).encode([image], (1, 1, 3))[0, 0, 0].tolist() == order
    grey = Preprocessing.parse(words).encode([Image.new("L", (1, 1), 7)], (1, 1, 1))
    assert grey.ravel().tolist() == [7]


def test_the_order_of_a_value_range_can_be_changed() -> None:
    image = noise_image(1)
    usual, other = (Preprocessing.parse(words).encode([image], SHAPE) for words in ("caffe", "caffe rgb"))
    np.testing.assert_array_equal(usual, other[..., ::-1])
    assert Preprocessing.parse("caffe rgb").describe() == "stretch, values caffe, RGB"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "0-1",
            "Unknown preprocessing '0-1'. The keywords are 0..1, 0..255, -1..1, torch, caffe, -128..127, tf, imagenet",
        ),
        ("crop fit", "can't be both crop and fit"),
        ("rgb bgr", "can't be both rgb and bgr"),
        ("tf 0..1", "can't be both -1..1 and 0..1"),
        ("nearest box", "can't be both nearest and box"),
        ("0.875", "The number 0.875 must be used with crop, not with stretch"),
        ("fit 0.875", "The number 0.875 must be used with crop, not with fit"),
        ("crop 0", "0.1 to 1 .* or the length of that side in pixels .*, not 0"),
        ("crop 1/0", "not 1/0"),
        ("crop 224.5", r"not 224\.5"),
        ("crop 99999999", "not 99999999"),
        ("crop 0.5 0.6", r"can't be both 0\.5 and 0\.6"),
        ("lanczos noantialias", "lanczos always antialiases; noantialias works only with nearest, bilinear, bicubic"),
    ],
)
def test_wrong_words_list_the_right_ones(text: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        Preprocessing.parse(text)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("mode", ["tf", "torch", "caffe"])
def test_the_modes_of_keras(mode: str) -> None:
    from keras.applications.imagenet_utils import preprocess_input

    pixels = np.asarray(noise_image(), np.float32)[None]
    ours = Preprocessing.parse(mode).encode([noise_image()], SHAPE)
    np.testing.assert_allclose(ours, preprocess_input(pixels.copy(), mode=mode, data_format="channels_last"), atol=2e-5)
    assert ours.dtype == np.float32


def test_plain_ranges() -> None:
    black_and_white = [Image.new("L", (9, 6), shade) for shade in (0, 255)]
    for name, (low, high) in {"0..1": (0, 1), "-1..1": (-1, 1), "0..255": (0, 255), "": (0, 1)}.items():
        inputs = Preprocessing(name).encode(black_and_white, (6, 9, 1))
        assert (inputs[0].min(), inputs[1].max()) == (low, high)


def test_colour_ranges_refuse_grey_models() -> None:
    with pytest.raises(ModelError, match="torch is for colour images; this model expects grey"):
        Preprocessing("torch").encode([noise_image(mode="L")], (6, 9, 1))


@pytest.mark.parametrize("resize", RESIZES)
@pytest.mark.parametrize("size", [(9, 6), (1, 1), (40, 5), (5, 400)])
def test_every_image_gets_the_right_size_and_mode(resize: str, size: tuple[int, int]) -> None:
    for mode in ("RGB", "L"):
        for channels, expected in ((3, "RGB"), (1, "L")):
            view = Preprocessing(resize=resize).view(noise_image(1, size, mode), (6, 9, channels))
            assert (view.size, view.mode) == ((9, 6), expected)


@pytest.mark.parametrize("words", ["crop 0.5", "crop 7/8", "crop 40", "nearest", "crop 0.3 noantialias", "fit lanczos"])
@pytest.mark.parametrize("size", [(9, 6), (1, 1), (40, 5), (5, 400), (6, 9)])
def test_every_way_to_resize_gives_the_right_size(words: str, size: tuple[int, int]) -> None:
    view = Preprocessing.parse(words).view(noise_image(1, size, "RGB"), (6, 9, 3))
    assert (view.size, view.mode) == ((9, 6), "RGB")


def test_a_crop_larger_than_the_image_is_refused() -> None:
    with pytest.raises(ModelError, match="crops 9 x 6 pixels out of 5 x 5; specify a larger number after crop"):
        Preprocessing.parse("crop 5").view(noise_image(size=(8, 8)), SHAPE)


def torchvision(image: Image.Image, side: int, part: int, method: Image.Resampling) -> np.ndarray:
    """Resize(side) and CenterCrop(part) of torchvision, as its functional_pil does them."""
    width, height = image.size
    size = (side, int(side * height / width)) if width <= height else (int(side * width / height), side)
    resized = image.resize(size, method)
    left, top = round((size[0] - part) / 2.0), round((size[1] - part) / 2.0)
    return np.asarray(resized.crop((left, top, left + part, top + part)), int)


@pytest.mark.parametrize("size", [(300, 200), (200, 301), (64, 64), (57, 43), (500, 90)])
@pytest.mark.parametrize(
    ("words", "side", "part"),
    [("crop 0.875", 64, 56), ("crop 56/58", 58, 56), ("crop 58", 58, 56), ("crop 0.95", 58, 56), ("crop 1", 56, 56)],
)
@pytest.mark.parametrize("method", FILTERS)
def test_crop_is_what_torchvision_does(size: tuple[int, int], words: str, side: int, part: int, method: str) -> None:
    image = noise_image(2, size)
    ours = Preprocessing.parse(f"{words} {method}").view(image, (part, part, 3))
    theirs = torchvision(image, side, part, FILTERS[method])
    np.testing.assert_array_equal(ours, theirs)


def test_a_long_and_thin_image_is_not_enlarged_as_a_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    image = noise_image(2, (4000, 10))
    whole = np.asarray(Preprocessing.parse("crop 64 bilinear").view(image, (56, 56, 3)), int)
    monkeypatch.setattr("picasso.models.preprocessing.MAX_PIXELS", 10_000)
    centre = np.asarray(Preprocessing.parse("crop 64 bilinear").view(image, (56, 56, 3)), int)
    assert np.abs(whole - centre).max() <= 1


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("method", ["nearest", "bilinear", "bicubic", "lanczos", "box", "hamming"])
def test_the_filters_of_keras_load_img(method: str, tmp_path: Path) -> None:
    from keras.utils import load_img

    image = noise_image(3, (50, 31))
    image.save(tmp_path / "x.png")
    theirs = load_img(tmp_path / "x.png", target_size=(20, 24), interpolation=method)
    np.testing.assert_array_equal(Preprocessing.parse(method).view(image, (20, 24, 3)), theirs)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("size", [(50, 31), (24, 20), (7, 5), (300, 11)])
def test_bilinear_without_antialiasing_is_what_image_dataset_from_directory_does(size: tuple[int, int]) -> None:
    from picasso.models.tf.runtime import tf

    image = noise_image(3, size)
    theirs = tf.image.resize(np.asarray(image, np.float32), (20, 24), "bilinear").numpy()
    ours = np.asarray(Preprocessing.parse("bilinear noantialias").view(image, (20, 24, 3)), np.float32)
    assert np.abs(ours - theirs).max() <= 0.501
    smooth = np.asarray(Preprocessing.parse("bilinear").view(image, (20, 24, 3)), np.float32)
    if size[0] > 24:
        assert np.abs(smooth - theirs).max() > 20


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
    for name in RANGES:
        assert Preprocessing.parse(f"{name} crop").describe() == f"crop, values {name}"
    assert Preprocessing.parse("area tf").describe() == "stretch, box, values -1..1"
    assert "a guess" in Preprocessing().describe()
