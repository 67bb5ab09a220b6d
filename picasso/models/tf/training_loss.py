"""Read the training loss from a Keras file, which distinguishes classifiers from regressions."""

from __future__ import annotations

import json
import re
import zipfile
from pathlib import Path
from typing import Any

import h5py

from picasso.models.outputs import Training

CROSSENTROPIES = {
    "binarycrossentropy": Training.BINARY,
    "binaryfocalcrossentropy": Training.BINARY,
    "categoricalcrossentropy": Training.CATEGORICAL,
    "categoricalfocalcrossentropy": Training.CATEGORICAL,
    "sparsecategoricalcrossentropy": Training.CATEGORICAL,
}
REGRESSIONS = {
    "meansquarederror", "mse", "meanabsoluteerror", "mae", "meanabsolutepercentageerror", "mape",
    "meansquaredlogarithmicerror", "msle", "huber", "logcosh", "poisson",
}  # fmt: skip


def training_of(file: Path) -> Training | None:
    """Return the task that a model was trained for, or None if the file does not state it or has several losses.

    A cross-entropy counts only with ``from_logits=True``, because the result is used for outputs without a softmax or
    sigmoid.
    """
    try:
        loss = stored_loss(file)
    except Exception:
        # Errors in the file are reported when it is loaded.
        return None
    options = loss.get("config", {}) if isinstance(loss, dict) else {}
    name = loss.get("class_name", "") if isinstance(loss, dict) else loss
    if name == "function":
        name = options
    word = re.sub(r"[^a-z]", "", str(name).lower())
    if word in REGRESSIONS:
        return Training.REGRESSION
    logits = isinstance(options, dict) and options.get("from_logits") is True
    return CROSSENTROPIES.get(word) if logits else None


def stored_loss(file: Path) -> Any:
    """Return the loss in a file: its name, or a dictionary of its class and arguments."""
    if file.suffix == ".keras":
        with zipfile.ZipFile(file) as archive:
            return json.loads(archive.read("config.json"))["compile_config"]["loss"]
    with h5py.File(file) as stored:
        return json.loads(stored.attrs["training_config"])["loss"]
