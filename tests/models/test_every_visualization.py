"""Every visualization on every kind of model that it says that it fits, and a reason for every other one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from picasso import explain
from picasso.errors import ModelError
from picasso.examples import mnist
from picasso.explanation.registry import Registry
from picasso.explanation.result import Result
from picasso.models import load_model
from picasso.models.base import Model
from picasso.models.info import Capability
from picasso.models.preprocessing import Preprocessing
from tests.conftest import noise_image
from tests.zoo.make_files import FOLDER

pytestmark = pytest.mark.filterwarnings("ignore")

CLASSES = 3
WIDE, GREY, SQUARE = (12, 16, 3), (12, 16, 1), (12, 12, 3)
REGISTRY = Registry()
NAMES = [entry.name for entry in REGISTRY.entries() if entry.cls]
QUICK: dict[str, dict[str, Any]] = {
    "PartialOcclusion": {"Window": 0.3, "Strides": 5},
    "RISE": {"Masks": 50},
    "LIME": {"Samples": 250, "Regions": 4},
    "KernelSHAP": {"Samples": 250, "Regions": 4},
    "IntegratedGradients": {"Steps": 8},
    "XRAI": {"Steps": 8},
    "ActivationMaximization": {"Steps": 8},
    "ScoreCAM": {"Channels": "64"},
}
METHODS = ("gradient", "gradient x input", "SmoothGrad", "VarGrad", "guided backpropagation")

Build = Callable[[Any], Any]


def pooled(keras: Any, tensor: Any, activation: str = "softmax") -> Any:
    layers = keras.layers
    return layers.Dense(CLASSES, activation=activation)(layers.GlobalAveragePooling2D()(tensor))


def flat(keras: Any, shape: tuple[int, ...] = WIDE, units: int = CLASSES, activation: str = "softmax") -> Any:
    layers = keras.layers
    pieces = [layers.Conv2D(4, 3, activation="relu"), layers.Flatten(), layers.Dense(units, activation=activation)]
    return keras.Sequential([keras.Input(shape), *pieces])


def pooling(keras: Any, shape: tuple[int, ...] = WIDE, activation: str = "softmax") -> Any:
    inputs = keras.Input(shape)
    return keras.Model(inputs, pooled(keras, keras.layers.Conv2D(4, 3, activation="relu")(inputs), activation))


def nested(keras: Any) -> Any:
    layers = keras.layers
    backbone = keras.Sequential([keras.Input(WIDE), layers.Conv2D(4, 3), layers.ReLU()], name="backbone")
    head = [layers.GlobalAveragePooling2D(), layers.Dense(CLASSES, activation="softmax")]
    return keras.Sequential([keras.Input(WIDE), backbone, *head])


def subclassed(keras: Any) -> Any:
    layers = keras.layers

    class Own(keras.Model):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.features, self.pool = layers.Conv2D(4, 3, activation="relu"), layers.GlobalAveragePooling2D()
            self.scores = layers.Dense(CLASSES)

        def call(self, images: Any, training: bool = False) -> Any:
            return keras.ops.softmax(self.scores(self.pool(self.features(images))))

    return Own()


def residual(keras: Any) -> Any:
    layers = keras.layers
    inputs = keras.Input(WIDE)
    start = layers.Conv2D(4, 3, padding="same")(inputs)
    branch = layers.DepthwiseConv2D(3, padding="same")(layers.ReLU()(layers.BatchNormalization()(start)))
    return keras.Model(inputs, pooled(keras, layers.ReLU()(layers.Add()([branch, start]))))


def mobile(keras: Any) -> Any:
    layers = keras.layers
    inputs = keras.Input(WIDE)
    tensor = layers.ReLU(6)(layers.BatchNormalization()(layers.Conv2D(4, 3, strides=2, use_bias=False)(inputs)))
    tensor = layers.ReLU(6)(layers.BatchNormalization()(layers.DepthwiseConv2D(3, padding="same")(tensor)))
    tensor = layers.ReLU(6)(layers.Conv2D(6, 1)(tensor))
    tensor = layers.Reshape((1, 1, 6))(layers.GlobalAveragePooling2D()(tensor))
    return keras.Model(inputs, layers.Softmax()(layers.Reshape((CLASSES,))(layers.Conv2D(CLASSES, 1)(tensor))))


def hidden_layer(keras: Any, activation: str = "silu") -> Any:
    layers = keras.layers
    inputs = keras.Input(WIDE)
    tensor = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3, activation=activation)(inputs))
    tensor = layers.Dense(5, activation=activation)(tensor)
    return keras.Model(inputs, layers.Dense(CLASSES, activation="softmax")(tensor))


def early_pooling(keras: Any) -> Any:
    layers = keras.layers
    inputs = keras.Input(SQUARE)
    tensor = layers.GlobalMaxPooling2D()(layers.MaxPooling2D()(layers.Conv2D(4, 3, activation="gelu")(inputs)))
    return keras.Model(inputs, layers.Dense(CLASSES, activation="softmax")(tensor))


#: How each is built, and whether it ends in average pooling and one dense layer.
KERAS: dict[str, tuple[Build, bool]] = {
    "flatten": (flat, False),
    "flatten, grey": (lambda keras: flat(keras, GREY), False),
    "pooling": (pooling, True),
    "pooling, grey": (lambda keras: pooling(keras, GREY), True),
    "pooling, square": (lambda keras: pooling(keras, SQUARE), True),
    "nested": (nested, True),
    "subclassed": (subclassed, True),
    "residual": (residual, True),
    "one sigmoid unit": (lambda keras: flat(keras, units=1, activation="sigmoid"), False),
    "several sigmoids": (lambda keras: pooling(keras, activation="sigmoid"), True),
    "mobile": (mobile, True),
    "hidden layer, silu": (hidden_layer, False),
    "hidden layer, relu": (lambda keras: hidden_layer(keras, "relu"), False),
    "max pooling, gelu": (early_pooling, False),
}
#: The files of the zoo: whether they must be trusted, and as above.
FILES = {
    "keras2_plain.h5": (False, False),
    "keras2_separable.h5": (False, True),
    "keras2_nested.h5": (True, True),
    "keras2_operation.h5": (True, True),
    "keras2_zip.keras": (True, True),
    "keras2_split/model.json": (True, True),
    "keras1": (False, False),
    "logits.onnx": (False, True),
    "fixed_batch.onnx": (False, True),
    "float.tflite": (False, True),
    "quantized.tflite": (False, False),
}
CHECKPOINT = "TensorFlow 1 checkpoint"
UNTRANSLATED = "float.tflite without a translation"
ALL = [*KERAS, *FILES, CHECKPOINT, UNTRANSLATED]
GRADIENT_FREE = {UNTRANSLATED}
CAM_FITS = {name: fits for group in (KERAS, FILES) for name, (_, fits) in group.items()}
CAM_FITS |= {CHECKPOINT: False, UNTRANSLATED: False}

Models = Callable[[str], Model]


@pytest.fixture(scope="module")
def models() -> Iterator[Models]:
    from picasso.models.keras import KerasModel
    from picasso.models.tf.runtime import keras
    from picasso.models.tf.tflite.table import OPERATIONS

    keras.utils.set_random_seed(5)
    loaded: dict[str, Model] = {}

    def load(name: str) -> Model:
        if name in KERAS:
            model = KerasModel()
            model.model, model.preprocessing = KERAS[name][0](keras), Preprocessing("0..1")
            model.use(Path(__file__), input_shape=WIDE if name == "subclassed" else None)
            model.warm_up()
            return model
        if name in FILES:
            return load_model(FOLDER / name, preprocess="0..1", trust_model=FILES[name][0])
        if name == UNTRANSLATED:
            with pytest.MonkeyPatch.context() as patch:
                patch.delitem(OPERATIONS, "CONV_2D")
                return load_model(FOLDER / "float.tflite", preprocess="0..1")
        return load_model(Path(mnist.__file__).parent / "tensorflow" / "config.py")

    yield lambda name: loaded.setdefault(name, loaded.get(name) or load(name))
    keras.backend.clear_session()


def check(result: Result, model: Model) -> None:
    """See that there is a finite map or image of each class that is looked at, but for the answers themselves."""
    expected = [] if result.visualization == "ClassProbabilities" else [one["index"] for one in result.predictions]
    maps = [panel for panel in result.panels if panel.class_index is not None]
    assert [panel.class_index for panel in maps] == expected
    assert len(result.predictions) == min(model.num_classes, model.top_probs)
    for panel in result.panels:
        assert panel.array.ndim == (2 if panel.kind == "map" else panel.array.ndim)
        assert np.isfinite(panel.array).all()
    # It draws images, not maps.
    drawn = result.visualization == "ActivationMaximization"
    assert all(panel.kind == "image" if drawn else panel.kind == "map" and panel.quantity for panel in maps)


@pytest.mark.parametrize("name", ALL)
def test_every_visualization_that_fits_explains_each_class(name: str, models: Models) -> None:
    model = models(name)
    reasons = REGISTRY.unsuitable(model)
    assert (Capability.GRADIENTS in model.capabilities) is (name not in GRADIENT_FREE)
    for visualization in NAMES:
        if visualization in reasons:
            assert reasons[visualization].startswith("needs ")
            assert reasons[visualization].endswith(".")
            if name in GRADIENT_FREE:
                with pytest.raises(ModelError, match=f"{visualization} needs "):
                    explain(model, noise_image(1, (20, 15)), visualization)
            continue
        (result,) = explain(model, noise_image(1, (20, 15)), visualization, **QUICK.get(visualization, {}))
        check(result, model)
    assert ("CAM" not in reasons) is CAM_FITS[name]
    needs = {entry.name: entry.cls.NEEDS for entry in REGISTRY.entries() if entry.cls}
    attention = {visualization for visualization, need in needs.items() if Capability.ATTENTION in need}
    gradients = {visualization for visualization, need in needs.items() if len(need) > 1}
    assert attention <= set(reasons)
    assert set(reasons) - {"CAM"} == (gradients - {"CAM"} if name in GRADIENT_FREE else attention)


@pytest.mark.parametrize("name", ["flatten", "hidden layer, relu", "hidden layer, silu", "max pooling, gelu"])
def test_cam_is_refused_where_more_than_one_dense_layer_follows(name: str, models: Models) -> None:
    assert REGISTRY.unsuitable(models(name))["CAM"].startswith("needs a model that ends in global average pooling")
    with pytest.raises(ModelError, match="CAM needs a model that ends in global average pooling"):
        explain(models(name), noise_image(1, (20, 15)), "CAM")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["flatten, grey", "mobile", CHECKPOINT])
@pytest.mark.parametrize("method", METHODS)
def test_every_kind_of_saliency(name: str, method: str, models: Models) -> None:
    (result,) = explain(models(name), noise_image(2), "SaliencyMaps", Method=method, Samples=4)
    check(result, models(name))


@pytest.mark.parametrize("name", ["hidden layer, silu", "max pooling, gelu"])
def test_models_without_rectifiers_are_not_guided(name: str, models: Models) -> None:
    with pytest.raises(ModelError, match="has no rectifiers"):
        explain(models(name), noise_image(2), "SaliencyMaps", Method="guided backpropagation")


@pytest.mark.parametrize("name", ["pooling, grey", "mobile"])
@pytest.mark.parametrize("visualization", ["CAM", "SaliencyMaps", "RISE", "LIME"])
def test_twenty_images_are_answered_as_one_by_one(name: str, visualization: str, models: Models) -> None:
    images: Sequence[Image.Image] = [noise_image(seed, (16, 12)) for seed in range(20)]
    settings = QUICK.get(visualization, {})
    results = explain(models(name), images, visualization, **settings)
    assert len(results) == 20
    for index in (0, 7, 19):
        check(results[index], models(name))
        (alone,) = explain(models(name), images[index], visualization, **settings)
        for one, other in zip(results[index].panels, alone.panels, strict=True):
            np.testing.assert_allclose(one.array, other.array, atol=1e-5)
