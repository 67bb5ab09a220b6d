"""EfficientNet-Lite0: converted weights against a forward pass in NumPy, and real photographs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from picasso import explain
from picasso.errors import ModelError
from picasso.examples import preparing, torch_file
from picasso.models import load_model
from tests.examples.numpy_efficientnet import forward, random_state

pytestmark = pytest.mark.filterwarnings("ignore")

EXAMPLES = Path(preparing.__file__).parent
LITE = EXAMPLES / "keras-efficientnet-lite"
PREPARED = (LITE / "data" / "efficientnet_lite0.keras").exists() and (preparing.PHOTOGRAPHS / "flower.jpg").exists()
needs_weights = pytest.mark.skipif(not PREPARED, reason="run make prepare EXAMPLE=keras-efficientnet-lite first")


@pytest.mark.slow
def test_converted_network_against_numpy(tmp_path: Path) -> None:
    from picasso.examples import efficientnet_lite

    state = random_state()
    preparing.save(efficientnet_lite.convert(state), tmp_path / "lite.keras")
    model = load_model(tmp_path / "lite.keras")
    inputs = np.random.default_rng(1).uniform(-1, 1, (2, 224, 224, 3)).astype(np.float32)
    expected = forward(state, inputs)
    np.testing.assert_allclose(model.logits(inputs), expected, atol=1e-4 * np.abs(expected).max())


def test_weights_of_another_network() -> None:
    from picasso.examples import efficientnet_lite

    state = random_state()
    with pytest.raises(ModelError, match="not those of EfficientNet-Lite0: extra left over"):
        efficientnet_lite.convert({**state, "extra": np.ones(3)})
    del state["_fc.bias"]
    with pytest.raises(ModelError, match="not those of EfficientNet-Lite0: '_fc.bias'"):
        efficientnet_lite.convert(state)


@pytest.mark.slow
@needs_weights
def test_photographs_are_recognized_and_logits_are_right() -> None:
    model = load_model(LITE / "config.py")
    expected = {
        "camera.png": "tripod",
        "chelsea.png": "tiger cat",
        "china.jpg": "palace",
        "coffee.png": "espresso",
        "flower.jpg": "daisy",
        "motorcycle_left.png": "moped",
        "rocket.jpg": "missile",
    }
    images = [Image.open(preparing.PHOTOGRAPHS / name) for name in expected]
    results = explain(model, images, "ClassProbabilities")
    assert [result.predictions[0]["name"] for result in results] == list(expected.values())
    inputs = model.preprocess(images)
    state = torch_file.read(LITE / "data" / "efficientnet-lite0-57934424.pth")
    np.testing.assert_allclose(model.logits(inputs), forward(state, inputs), atol=1e-4)
