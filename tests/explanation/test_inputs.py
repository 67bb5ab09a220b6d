"""What can be handed in from Python: one door for files, folders, images, arrays, tensors and batches of them."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from picasso import explain
from picasso.errors import BadRequest, ModelCodeError
from picasso.evaluation import model_check
from picasso.explanation.inputs import expand, image_from, names_of
from picasso.models.arrays import Array
from picasso.models.base import Model
from tests.conftest import noise_image, png
from tests.fakes import GreyModel, LinearModel
from tests.imaging.test_decode import many_bands

PIXELS = np.asarray(noise_image())


class Tensor:
    """Something that NumPy can read."""

    def __init__(self, array: NDArray[Any]) -> None:
        self.array = array

    def __array__(self, dtype: Any = None, copy: Any = None) -> NDArray[Any]:
        return np.asarray(self.array, dtype)


def grey() -> GreyModel:
    model = GreyModel()
    model.load()
    return model


@pytest.mark.parametrize(
    "source",
    [
        PIXELS,
        PIXELS.astype(np.int64),
        PIXELS.astype(np.uint16) * 257,
        PIXELS / 255,
        (PIXELS / 255).astype(np.float32),
        Tensor(PIXELS),
        png(noise_image()),
        bytearray(png(noise_image())),
        io.BytesIO(png(noise_image())),
        noise_image(),
        np.dstack([PIXELS, np.full(PIXELS.shape[:2], 255, np.uint8)]),
        np.asfortranarray(PIXELS),
    ],
)
def test_every_kind_of_source_is_the_same_image(source: Any, linear: LinearModel) -> None:
    (expected,) = explain(linear, noise_image(), "ClassProbabilities")
    (result,) = explain(linear, source, "ClassProbabilities")
    assert result.predictions == expected.predictions
    np.testing.assert_array_equal(result.view, expected.view)


def test_batches_and_nested_lists_are_taken_apart(linear: LinearModel) -> None:
    batch = np.stack([np.asarray(noise_image(seed)) for seed in range(3)])
    single = [explain(linear, one, "ClassProbabilities")[0].predictions for one in batch]
    for images in (batch, Tensor(batch), [batch[:2], batch[2]], (one for one in batch), batch / 255):
        results = explain(linear, images, "ClassProbabilities")
        assert [one.predictions for one in results] == single
        assert [one.image for one in results] == ["image 0", "image 1", "image 2"]


def test_a_batch_of_16_bits_has_one_white(linear: LinearModel) -> None:
    bright = np.full((6, 9, 3), 51 * 257, np.uint16)
    dark = np.full((6, 9, 3), 255, np.uint16)
    results = explain(linear, np.stack([bright, dark]), "ClassProbabilities")
    assert [np.unique(one.view).tolist() for one in results] == [[51], [1]]
    alone = explain(linear, dark[None], "ClassProbabilities")
    assert np.unique(alone[0].view).tolist() == [255]


@pytest.mark.parametrize("model", ["model.keras", Path("model.keras"), object()])
def test_a_model_that_is_not_loaded_is_named(model: Any) -> None:
    with pytest.raises(BadRequest, match=r"requires a loaded model, not a \w+\. Pass picasso\.models\.load_model\("):
        explain(model, noise_image())


@pytest.mark.parametrize("shape", [(6, 9), (6, 9, 1)])
def test_grey_arrays(shape: tuple[int, ...]) -> None:
    model = grey()
    pixels = np.arange(54, dtype=np.uint8).reshape(6, 9)
    (result,) = explain(model, pixels.reshape(shape), "ClassProbabilities")
    np.testing.assert_array_equal(result.view, pixels)
    assert len(explain(model, np.stack([pixels] * 2).reshape(2, *shape), "ClassProbabilities")) == 2
    mask = pixels > 20
    np.testing.assert_array_equal(explain(model, mask, "ClassProbabilities")[0].view, mask * 255)


def test_a_folder_is_its_images(tmp_path: Path, linear: LinearModel) -> None:
    (tmp_path / "b").mkdir()
    for name in ("a.png", "b/c.tif", "b/.hidden.png"):
        noise_image().save(tmp_path / name)
    (tmp_path / "notes.txt").write_text("x")
    assert [one.image for one in explain(linear, tmp_path, "ClassProbabilities")] == ["a.png", "c.tif"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(
        BadRequest, match=r"There are no images in the folder .*empty\. Supported extensions: \.png, .*\.tiff"
    ):
        explain(linear, tmp_path / "empty", "ClassProbabilities")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (
            PIXELS.astype(np.float32),
            r"Image 0 has floats from \S+ to 2\d\d, but floats must be in 0\.\.1\. Divide them",
        ),
        (PIXELS / 127.5 - 1, "Image 0 has floats from -"),
        (np.full((6, 9, 3), np.nan), "Image 0 has NaN or infinite values"),
        (PIXELS.astype(np.int32) - 300, "Image 0 has integers from -"),
        (np.zeros((6, 9, 3), complex), "is an array of complex128. Images must have integers, booleans, or floats"),
        (np.zeros((3, 6, 9), np.uint8), r"Its channels come first: pass array.transpose\(1, 2, 0\)"),
        (
            np.zeros((6, 9, 2), np.uint8),
            r"is an array of shape \(6, 9, 2\)\. Images must have the shape \(H, W\), \(H, W, 1\), ",
        ),
        (
            np.zeros((6, 9, 13), np.uint8),
            r"shape \(6, 9, 13\).* For more channels .*, override open_image\(\) in a model",
        ),
        (np.zeros((0, 9, 3), np.uint8), r"is an array of shape \(0, 9, 3\)"),
        (np.zeros(3, np.uint8), r"is an array of shape \(3,\)"),
        (7, "A int is not an image. Pass file names, folders, PIL images or"),
        ([[1, 2]], "A int is not an image"),
        ("nowhere.png", "The image nowhere.png can't be read: No such file"),
        (b"no image", "image 0 is not a supported image"),
    ],
)
def test_what_is_no_image_is_one_sentence(source: Any, message: str, linear: LinearModel) -> None:
    with pytest.raises(BadRequest if not isinstance(source, bytes) else Exception, match=message) as caught:
        explain(linear, source, "ClassProbabilities")
    assert "\n" not in str(caught.value)


def test_notes_of_the_door_reach_the_result_and_the_check(linear: LinearModel) -> None:
    dark = np.linspace(3, 9, 162).astype(np.uint8).reshape(6, 9, 3)
    (result,) = explain(linear, dark, "ClassProbabilities")
    assert result.notes[0].startswith("Image 0 uses only the values 3 to 9 of 0 to 255")
    report = model_check.check(linear, [image_from(dark, 0)])
    assert result.notes[0] in report.warnings


def test_a_grey_batch_is_told_from_an_image_of_many_channels() -> None:
    model = grey()
    assert len(list(expand(np.zeros((5, 6, 9), np.uint8), model))) == 5
    assert len(list(expand(np.zeros((5, 6, 8), np.uint8), model))) == 1
    assert len(list(expand(np.zeros((6, 9, 3), np.uint8), model))) == 1


# ---- a model class that opens images itself -----------------------------------------------------------------------


class Bands(LinearModel):
    """Takes thirteen bands of any whole numbers."""

    def load(self, **arguments: Any) -> None:
        super().load(shape=(8, 8, 13))

    def open_image(self, source: bytes | NDArray[Any], name: str) -> NDArray[Any]:
        if isinstance(source, bytes):
            return np.frombuffer(source, np.uint16, 8 * 8 * 13, 8).reshape(8, 8, 13)
        return source

    def view(self, image: NDArray[Any]) -> Image.Image:  # type: ignore[override]
        return Image.fromarray(np.uint8(image[..., :3] >> 8))

    def preprocess(self, raw_inputs: Sequence[NDArray[Any]]) -> Array:  # type: ignore[override]
        return np.asarray(np.stack(raw_inputs) / 65535, np.float32)


def test_a_class_gets_the_array_or_the_bytes_of_the_file(tmp_path: Path) -> None:
    model = Bands()
    model.load()
    model.warm_up()
    bands = np.random.default_rng(2).integers(0, 65536, (8, 8, 13)).astype(np.uint16)
    (tmp_path / "x.tif").write_bytes(b"12345678" + bands.tobytes())
    expected = model.predict(np.asarray(bands[None] / 65535, np.float32))[0]
    for source in (bands, tmp_path / "x.tif", [bands], bands[None]):
        (result,) = explain(model, source, "ClassProbabilities")
        assert result.predictions[0]["prob"] == pytest.approx(expected.max())
        np.testing.assert_array_equal(result.view, bands[..., :3] >> 8)
        assert result.notes == ()
    for name in ("PartialOcclusion", "SaliencyMaps", "IntegratedGradients"):
        assert explain(model, bands, name)
    report = model_check.check(model, [image_from(bands, 0, model=model)])
    assert report.answers[0].predictions[0]["prob"] == pytest.approx(expected.max())


def test_an_open_image_that_fails_is_named() -> None:
    model = Bands()
    model.load()
    with pytest.raises(ModelCodeError, match=r"open_image\(\) of the model failed on image 0: ValueError: "):
        explain(model, b"short", "ClassProbabilities")
    usual = LinearModel()
    usual.load()
    with pytest.raises(Exception, match="unsupported kind of TIFF; .* override open_image"):
        explain(usual, many_bands(), "ClassProbabilities")


def test_open_image_by_default_is_the_usual_door() -> None:
    model: Model = LinearModel()
    np.testing.assert_array_equal(np.asarray(model.open_image(png(noise_image()), "x.png")), PIXELS)
    np.testing.assert_array_equal(np.asarray(model.open_image(PIXELS, "x")), PIXELS)
    assert not model.opens_images()


# ---- names ----


@pytest.mark.parametrize(
    ("files", "names"),
    [
        (["a.png", "b.png"], ["a.png", "b.png"]),
        (["cats/1.png", "dogs/1.png", "2.png"], ["cats/1.png", "dogs/1.png", "2.png"]),
        (["/x/a/i/1.png", "/y/a/i/1.png", "/y/b/i/1.png"], ["x/a/i/1.png", "y/a/i/1.png", "b/i/1.png"]),
        (["a/1.png", "a/../a/1.png"], ["1.png", "1.png"]),
        (["/1.png", "/a/1.png"], ["//1.png", "a/1.png"]),
        ([], []),
    ],
)
def test_names_tell_files_apart(files: list[str], names: list[str]) -> None:
    assert names_of(files) == names


def test_results_of_files_of_one_name_have_different_names(linear: LinearModel, tmp_path: Path) -> None:
    files = [tmp_path / folder / "1.png" for folder in ("cats", "dogs")]
    for seed, file in enumerate(files):
        file.parent.mkdir()
        file.write_bytes(png(noise_image(seed)))
    results = explain(linear, [*files, noise_image(3)], "ClassProbabilities")
    assert [result.image for result in results] == ["cats/1.png", "dogs/1.png", "image 2"]
