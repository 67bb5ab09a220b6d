"""Keras runs on TensorFlow and reads files under its own defaults, whatever the environment around it says."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from picasso.errors import ModelError
from picasso.models import environment
from tests.zoo.make_files import CLASSES, SHAPE

pytestmark = pytest.mark.filterwarnings("ignore")

OTHER = {"backend": "torch", "floatx": "float16", "epsilon": 0.01, "image_data_format": "channels_first"}
PROGRAM = """
import sys
import numpy as np
from picasso.models import load_model
model = load_model(sys.argv[1])
import keras
print(model.predict(np.load(sys.argv[2])).tolist(), keras.backend.backend(), keras.config.floatx())
"""


@pytest.mark.slow
def test_settings_of_keras_change_nothing_that_is_read_from_a_file(tmp_path: Path) -> None:
    from picasso.models.tf.runtime import keras

    layers = keras.layers
    inputs = keras.Input(SHAPE)
    # A Rescaling with a factor for each channel and a Normalization look these settings up as they answer.
    features = layers.Rescaling([1.0, 2.0, 3.0])(inputs)
    features = layers.Normalization(mean=[0.1, 0.2, 0.3], variance=[1e-6, 0.5, 1.0])(features)
    features = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3, activation="relu")(features))
    original = keras.Model(inputs, layers.Dense(CLASSES, activation="softmax")(features))
    original.save(tmp_path / "model.keras")
    images = np.random.default_rng(2).random((2, *SHAPE), np.float32)
    np.save(tmp_path / "images.npy", images)
    (tmp_path / "keras.json").write_text(json.dumps(OTHER))
    # The class imports Keras before Picasso's own classes do.
    own = "import keras\nfrom picasso.models.keras import KerasModel\n\n\nclass Own(KerasModel):\n    pass\n"
    (tmp_path / "model.py").write_text(own)
    (tmp_path / "config.py").write_text(
        'MODEL_CLS_PATH = "model.py"\nMODEL_CLS_NAME = "Own"\nMODEL_LOAD_ARGS = {"path": "model.keras"}\n'
    )
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, tmp_path / "config.py", tmp_path / "images.npy"],
        env={**os.environ, "KERAS_HOME": str(tmp_path), "KERAS_BACKEND": "jax"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    answers, backend, floatx = done.stdout.strip().rsplit(" ", 2)
    np.testing.assert_allclose(json.loads(answers), original(images), atol=1e-6)
    # What the user set is in force again for the rest of the program.
    assert (backend, floatx) == ("tensorflow", "float16")


@pytest.mark.parametrize("chosen", ["torch", "jax"])
def test_keras_on_another_backend_is_one_sentence(chosen: str, monkeypatch: pytest.MonkeyPatch) -> None:
    keras: Any = SimpleNamespace(backend=SimpleNamespace(backend=lambda: chosen))
    monkeypatch.setitem(sys.modules, "keras", keras)
    monkeypatch.setenv("KERAS_BACKEND", chosen)
    with pytest.raises(ModelError, match=f"the backend {chosen}, .* set KERAS_BACKEND=tensorflow in the environment"):
        environment.choose_tensorflow()
    monkeypatch.delitem(sys.modules, "keras")
    environment.choose_tensorflow()
    assert os.environ["KERAS_BACKEND"] == "tensorflow"


def test_a_wrong_keras_json_is_named(tmp_path: Path) -> None:
    (tmp_path / "keras.json").write_text('{"floatx": "bfloat16"}')
    (tmp_path / "model.h5").write_bytes(b"")
    done = subprocess.run(
        [sys.executable, "-m", "picasso", "check", "--model", tmp_path / "model.h5"],
        env={**os.environ, "KERAS_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    expected = "picasso: Keras does not accept the settings in its file keras.json: ValueError: Invalid `floatx`"
    assert done.stderr.startswith(expected)
