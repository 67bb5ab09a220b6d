"""Rebuild architectures of Keras 1 (2015 to 2017) in Keras 3, which can still read their weights."""

from __future__ import annotations

from typing import Any

from picasso.errors import ModelError
from picasso.models.tf.runtime import keras


def convert(document: dict[str, Any]) -> Any:
    """Return the sequential model of a decoded JSON of Keras 1, with random weights.

    Raises:
        ModelError: the model is not sequential, has its channels first, or has a layer that can't be converted.
    """
    if document.get("class_name") != "Sequential":
        kind = document.get("class_name")
        raise ModelError(f"The architecture is a {kind} of Keras 1; only Sequential ones can be converted.")
    described = document["config"]
    layers = described["layers"] if isinstance(described, dict) else described
    shape = layers[0]["config"].get("batch_input_shape") if layers else None
    if not shape:
        raise ModelError("The architecture of Keras 1 does not specify its input shape.")
    converted = [keras.Input(batch_shape=tuple(shape)), *(layer(one["class_name"], one["config"]) for one in layers)]
    return keras.Sequential(converted)


def layer(kind: str, config: dict[str, Any]) -> Any:
    """Return one layer, with the arguments converted to Keras 3, or raise a ModelError."""
    layers, name = keras.layers, config.get("name")
    if config.get("dim_ordering") == "th":
        raise ModelError(f"The layer {name} orders its channels first (dim_ordering 'th'), which can't be converted.")
    activation = {"activation": config.get("activation", "linear"), "use_bias": config.get("bias", True)}
    if kind == "Convolution2D":
        size, strides = (config["nb_row"], config["nb_col"]), tuple(config["subsample"])
        padding = config["border_mode"]
        return layers.Conv2D(config["nb_filter"], size, strides=strides, padding=padding, name=name, **activation)
    if kind in ("MaxPooling2D", "AveragePooling2D"):
        size, strides = tuple(config["pool_size"]), tuple(config["strides"])
        return getattr(layers, kind)(size, strides, padding=config["border_mode"], name=name)
    if kind == "Dense":
        return layers.Dense(config["output_dim"], name=name, **activation)
    if kind == "Dropout":
        return layers.Dropout(config["p"], name=name)
    if kind == "Activation":
        return layers.Activation(config["activation"], name=name)
    if kind == "ZeroPadding2D":
        return layers.ZeroPadding2D(tuple(config["padding"]), name=name)
    if kind in ("Flatten", "GlobalAveragePooling2D", "GlobalMaxPooling2D"):
        return getattr(layers, kind)(name=name)
    raise ModelError(f"The layer {name} of Keras 1 is a {kind}, which can't be converted.")
