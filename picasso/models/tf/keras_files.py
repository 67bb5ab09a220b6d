"""Read Keras files of all generations; errors state how to make an unreadable file readable."""

from __future__ import annotations

import json
import re
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py

from picasso import remedies
from picasso.errors import ModelError, reason
from picasso.models.recognition import decoded
from picasso.models.scan import Limits, keras_symbols
from picasso.models.tf import keras2
from picasso.models.tf.keras1 import convert
from picasso.models.tf.runtime import keras, standard
from picasso.models.tf.weight_budget import budget

Objects = dict[str, Any]

# The messages of Keras 3 and 2 about unknown classes and functions.
LOCATED = re.compile(r"Could not locate (?:class|function) '([^']+)'")
UNKNOWN = re.compile(r"Unknown [a-z ]+: '?([\w>./-]+)")


def from_file(
    file: Path,
    custom_objects: Objects | None,
    trust: bool,
    limits: Limits,
    input_shape: Sequence[int] | None = None,
) -> tuple[Any, tuple[str, ...]]:
    """Load a whole model from ``.keras``, ``.h5`` or ``.hdf5``; return it with notes for the user.

    Keras 3 is tried first. A file of Keras 2 that it can't read, or reads differently from Keras 2, is read by the
    package ``tf_keras`` if that is installed. The file must have been scanned before.

    Raises:
        ModelError: the file can't be read; the message states what to install, to set or to save again.
    """
    generation = written_by(file)
    objects = {**(shims() if generation == "2" else {}), **(custom_objects or {})}
    try:
        with standard(keras), budget(keras, limits, file):
            model = keras.models.load_model(file, custom_objects=objects, compile=False, safe_mode=not trust)
    except ModelError:
        raise
    except Exception as error:
        if generation == "2" and not (holds_lambda(error) or holds_weights_only(error)):
            # tf_keras does not know custom classes either.
            if (own := missing_class(error)) and own not in keras_symbols.KERAS:
                raise unreadable(file, error) from error
            tf_keras = keras2.need_tf_keras(file, error)
            try:
                return keras2.load(tf_keras, file, custom_objects, limits), ()
            except ModelError:
                raise
            except Exception as second:
                raise unreadable(file, second) from second
        raise unreadable(file, error) from error
    if generation == "2":
        return keras2.compared(model, file, custom_objects, limits, input_shape)
    return model, ()


def known_names(custom_objects: Objects | None) -> frozenset[str]:
    """Return the names of the classes and functions that the user's code passes or has registered."""
    registries = [custom_objects or {}, keras.saving.get_custom_objects()]
    if (tf_keras := sys.modules.get("tf_keras")) is not None:
        registries.append(tf_keras.saving.get_custom_objects())
    return frozenset(name for registry in registries for name in registry)


def check_ending(file: Path) -> None:
    """Reject a file name that Keras would assign to another format than Picasso.

    Raises:
        ModelError: the suffix has capital letters.
    """
    if file.suffix != file.suffix.lower():
        name = file.with_suffix(file.suffix.lower()).name
        raise ModelError(
            f"Keras supports the suffix {file.suffix.lower()} only in lower case: rename {file.name} to {name}."
        )


def check_content(file: Path) -> None:
    """Compare the beginning and the end of a file with its suffix, because Keras relies on the suffix alone.

    Raises:
        ModelError: the file is empty, truncated, or its content does not match its suffix.
    """
    with file.open("rb") as stream:
        start = stream.read(8)
    found = ".keras" if start.startswith(b"PK\x03\x04") else ".h5" if start == b"\x89HDF\r\n\x1a\n" else ""
    promised = ".keras" if file.suffix.lower() == ".keras" else ".h5"
    if not start:
        raise ModelError(f"{file.name} is empty; copy the model again, or save it again.")
    if not found:
        raise ModelError(f"{file.name} is not a Keras model: it is neither a .keras nor an .h5 file.")
    if found == ".keras" and not zipfile.is_zipfile(file):
        raise ModelError(
            f"{file.name} is truncated: it begins as a .keras file, but its end is missing; copy it again."
        )
    if found != promised:
        raise ModelError(f"{file.name} contains a {found} file; rename it to {file.with_suffix(found).name}.")


def from_architecture(
    architecture: Path, weights: Path, custom_objects: Objects | None, trust: bool, limits: Limits
) -> Any:
    """Build a model from a JSON of Keras 1, 2 or 3 and load its weights.

    Raises:
        ModelError: the JSON describes no model that Keras can build, or the weights do not fit.
    """
    model = build(architecture, weights, custom_objects, trust, limits)
    try:
        model.load_weights(weights)
    except Exception as error:
        raise ModelError(f"The weights in {weights.name} do not fit {architecture.name}: {reason(error)}.") from error
    return model


def build(architecture: Path, weights: Path, custom_objects: Objects | None, trust: bool, limits: Limits) -> Any:
    """Return the model of a JSON file, with random weights; their size is limited by that of the file of weights."""
    document = decoded(architecture)
    if document is None:
        raise ModelError(f"{architecture.name} doesn't describe a Keras model; write it with model.to_json().")
    generation = generation_of(document)
    # The compile configuration may refer to functions that are missing; whole models are read without it too.
    document.pop("compile_config", None)
    try:
        with standard(keras), budget(keras, limits, architecture, weights):
            if generation == "1":
                return convert(document)
            if generation == "3":
                # Unlike model_from_json(), this public function has the argument safe_mode.
                return keras.saving.deserialize_keras_object(document, custom_objects, safe_mode=not trust)
    except ModelError:
        raise
    except Exception as error:
        raise unreadable(architecture, error) from error
    tf_keras = keras2.need_tf_keras(architecture, None)
    with standard(tf_keras), budget(tf_keras, limits, architecture, weights):
        return tf_keras.models.model_from_json(json.dumps(document), custom_objects=custom_objects)


def written_by(file: Path) -> str:
    """Return the generation of Keras that wrote a file, ``"2"`` or ``"3"``, or "" if the file does not say."""
    try:
        if file.suffix == ".keras":
            with zipfile.ZipFile(file) as archive:
                return str(json.loads(archive.read("metadata.json"))["keras_version"])[:1]
        with h5py.File(file) as archive:
            version = archive.attrs.get("keras_version", "")
            return (version.decode() if isinstance(version, bytes) else str(version))[:1]
    except Exception:
        # The readers raise undocumented exceptions for broken archives.
        return ""


def generation_of(document: dict[str, Any]) -> str:
    """Return the generation of Keras that wrote an architecture: ``"1"``, ``"2"`` or ``"3"``."""
    return "3" if "module" in document else str(document.get("keras_version", "1"))[:1]


def describe(file: Path, model: Any) -> str:
    """Return a description of a model's file: the generation of Keras, the format, and whether tf_keras read it."""
    document = decoded(file) if file.suffix == ".json" else None
    generation = generation_of(document) if document else written_by(file)
    reader = ", read by tf_keras" if type(model).__module__.startswith("tf_keras") else ""
    kind = "architecture (.json) and weights" if document else f"file ({file.suffix})"
    return f"Keras {generation} {kind}{reader}".replace("  ", " ")


def shims() -> Objects:
    """Return layers that accept and ignore arguments in files of Keras 2 that Keras 3 no longer has."""

    def without(layer: type[Any], dropped: set[str]) -> type[Any]:
        def initialize(self: Any, *arguments: Any, **options: Any) -> None:
            layer.__init__(self, *arguments, **{key: value for key, value in options.items() if key not in dropped})

        return type(layer.__name__, (layer,), {"__init__": initialize})

    kernel = {"kernel_initializer", "kernel_regularizer", "kernel_constraint"}
    kinds = {
        keras.layers.Conv2DTranspose: {"groups"},
        keras.layers.DepthwiseConv2D: {"groups"},
        keras.layers.SeparableConv2D: {"groups", *kernel},
    }
    return {kind.__name__: without(kind, dropped) for kind, dropped in kinds.items()}


def holds_lambda(error: Exception) -> bool:
    """Tell whether Keras rejected a file because it contains code."""
    text = str(error)
    return "safe_mode" in text or "unsafe deserialization" in text.lower()


def holds_weights_only(error: Exception) -> bool:
    """Tell whether a file was rejected because it contains no architecture."""
    return "No model config found" in str(error)


def missing_class(error: BaseException | None) -> str:
    """Return the full name of the class or function that Keras did not find, such as ``package>Name``, or ""."""
    while error is not None:
        text = str(error)
        found = LOCATED.search(text) or UNKNOWN.search(text)
        if found:
            # If Keras gives only part of the name, the configuration in its message contains the full name.
            whole = re.search(rf"'registered_name': '([^']+>{re.escape(found[1])})'", text)
            return whole[1] if whole else found[1]
        error = error.__cause__ or error.__context__
    return ""


def unreadable(file: Path, error: Exception) -> ModelError:
    """Return the error for a file that Keras 3 can't read."""
    if holds_lambda(error):
        return ModelError(
            f"{file.name} contains Python code (a Lambda layer or the like), which runs when the model is loaded. "
            f"If you trust the file: {remedies.setting('TRUST_MODEL')}."
        )
    if holds_weights_only(error):
        return ModelError(
            f"{file.name} contains only weights. Put the architecture beside it as JSON (model.to_json()) and specify "
            "the .json as the model, or save the whole model."
        )
    if (own := missing_class(error)) in keras_symbols.OPERATIONS:
        return ModelError(
            f"{file.name} uses {own}, an operation of keras.ops, which Keras can't read from a file in this format: "
            "save the whole model as .keras."
        )
    if own:
        return ModelError(
            f"{file.name} uses {own}, a class or function that is not part of Keras. Pass it: {remedies.objects(own)}."
        )
    return ModelError(f"Keras could not load {file.name}: {reason(error)}.")
