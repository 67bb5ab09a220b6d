"""What a Keras file says of the loss that its model was trained with, which tells scores from measurements."""

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
    """Return what a model file was trained for, or None where it does not say, or of several outputs.

    A cross-entropy counts only if it takes logits: it is asked about outputs that have no softmax or sigmoid.
    """
    try:
        loss = stored_loss(file)
    except Exception:
        # Loading the file says what is wrong with it.
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
    """Return the loss as a file describes it: its name, or its class and arguments."""
    if file.suffix == ".keras":
        with zipfile.ZipFile(file) as archive:
            return json.loads(archive.read("config.json"))["compile_config"]["loss"]
    with h5py.File(file) as stored:
        return json.loads(stored.attrs["training_config"])["loss"]
