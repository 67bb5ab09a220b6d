"""How inputs depend on pixels: for all value ranges, and refused where the preprocessing isn't linear."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PIL import Image

from picasso.attribution.pixel_inputs import PixelInputs
from picasso.errors import BadRequest
from picasso.models.preprocessing import Preprocessing
from tests.conftest import noise_image
from tests.fakes import LinearModel

SIZE = (9, 6)


def model_with(values: str, **options: Any) -> LinearModel:
    model = LinearModel()
    model.load(**options)
    model.preprocessing = Preprocessing(values)
    return model


@pytest.mark.parametrize("values", ["0..1", "0..255", "-1..1", "torch", "caffe"])
def test_inputs_are_those_of_the_model(values: str) -> None:
    model = model_with(values)
    view = noise_image()
    pixels = PixelInputs.of(model, view)
    assert pixels.shape == model.input_shape
    expected = model.encode([view])
    made = pixels.encode(np.asarray(view)[None] / 255.0)
    np.testing.assert_allclose(made, expected, atol=1e-5 * float(np.ptp(expected)))
    random = np.random.default_rng(0)
    one, gradients = random.random((1, *pixels.shape)), random.random(expected.shape).astype(np.float32)
    forward = ((pixels.encode(one) - pixels.black) * gradients).sum()
    assert (one * pixels.backward(gradients)).sum() == pytest.approx(forward, rel=1e-5)


def test_grey_views() -> None:
    model = model_with("-1..1", shape=(6, 9, 1))
    view = noise_image(mode="L").resize(SIZE)
    pixels = PixelInputs.of(model, view)
    assert pixels.shape == (6, 9, 1)
    np.testing.assert_allclose(
        pixels.encode(np.asarray(view)[None, ..., None] / 255.0), model.encode([view]), atol=1e-6
    )


class Own(LinearModel):
    """Models whose preprocessing is the user's."""

    def preprocess(self, raw_inputs: Any) -> Any:
        return np.stack([self.one(np.asarray(image.resize(SIZE), np.float32) / 255) for image in raw_inputs])

    def one(self, pixels: Any) -> Any:
        return pixels


class Inverted(Own):
    def one(self, pixels: Any) -> Any:
        return 1 - pixels[..., ::-1]


class MinusMean(Own):
    """Subtracts an image, as Caffe's models did."""

    def one(self, pixels: Any) -> Any:
        return pixels - np.linspace(0, 1, pixels.size).reshape(pixels.shape)


class Gamma(Own):
    def one(self, pixels: Any) -> Any:
        return pixels**2.2


class Stretched(Own):
    def one(self, pixels: Any) -> Any:
        return (pixels - pixels.mean()) / pixels.std()


class Flipped(Own):
    def one(self, pixels: Any) -> Any:
        return pixels[::-1]


class Failing(Own):
    def one(self, pixels: Any) -> Any:
        raise ValueError("no plain images")


class Opening(LinearModel):
    def open_image(self, source: Any, name: str) -> Any:
        return super().open_image(source, name)


def loaded(kind: type[LinearModel]) -> LinearModel:
    model = kind()
    model.load(shape=(6, 9, 3))
    return model


@pytest.mark.parametrize("kind", [Inverted, MinusMean])
def test_linear_preprocessing_of_the_user(kind: type[LinearModel]) -> None:
    model = loaded(kind)
    view = noise_image().resize(SIZE)
    pixels = PixelInputs.of(model, view)
    np.testing.assert_allclose(pixels.encode(np.asarray(view)[None] / 255.0), model.encode([view]), atol=1e-5)


@pytest.mark.parametrize("kind", [Gamma, Stretched, Flipped, Failing, Opening])
def test_other_preprocessing_is_refused(kind: type[LinearModel]) -> None:
    with pytest.raises(BadRequest, match="An image can't be sought for this model, because"):
        PixelInputs.of(loaded(kind), Image.new("RGB", SIZE))


def test_views_of_another_size_are_refused(linear: LinearModel) -> None:
    model = loaded(Own)
    with pytest.raises(BadRequest, match="linear function of one pixel"):
        PixelInputs.of(model, Image.new("RGB", (18, 12)))
