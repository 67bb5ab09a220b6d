"""From a file or from the settings to a loaded model; the only place where model code is executed."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

from picasso import configuration
from picasso.configuration import Settings
from picasso.errors import ConfigurationError, ModelError, reason
from picasso.models.base import Model

KERAS_SUFFIXES = (".keras", ".h5", ".hdf5")
SETTINGS_SUFFIXES = (".py", ".yaml", ".yml")


def load_model(path: str | Path, **options: Any) -> Model:
    """Load a classifier and warm it up.

    Args:
        path: a Keras file (``.keras``, ``.h5``, ``.hdf5``), a TensorFlow 1 checkpoint (the ``.index`` file,
            or the prefix that its three files share), or a settings file (``.py``, ``.yaml``).
        options: arguments of the ``load`` method of the class, such as ``tf_input_var``; for a settings
            file, settings that win over those in it.

    Raises:
        ModelError: the file is missing, broken or of a format that is not supported.
        ConfigurationError: the settings file is wrong.
    """
    file = Path(path)
    if file.suffix in SETTINGS_SUFFIXES:
        return load_configured(configuration.load(file, options))
    prefix = file.with_suffix("") if file.suffix in (".index", ".meta") else file
    model: Model
    if file.suffix in KERAS_SUFFIXES:
        from picasso.models.keras import KerasModel

        model = KerasModel()
        model.load(path=str(file), **options)
    elif Path(f"{prefix}.index").is_file():
        from picasso.models.tensorflow import TFModel

        model = TFModel()
        model.load(path=str(prefix), **options)
    elif not file.exists():
        raise ModelError(f"There is no model file {file}.")
    else:
        accepted = ", ".join(KERAS_SUFFIXES)
        raise ModelError(f"{file} is no model that Picasso can load: it takes {accepted} and TensorFlow checkpoints.")
    model.warm_up()
    return model


def load_configured(settings: Settings) -> Model:
    """Load the model that ``MODEL_CLS_PATH``, ``MODEL_CLS_NAME`` and ``MODEL_LOAD_ARGS`` name, and warm it up.

    Raises:
        ConfigurationError: there is no such file or class in it, or load() does not take these arguments.
        ModelError: the class could not load its files.
    """
    model = find_class(settings)()
    model.top_probs = settings.TOP_CLASSES
    try:
        model.load(**settings.model_load_args())
    except TypeError as error:
        # The message of a wrong call names the argument; anything deeper is the class's own fault.
        if error.__traceback__ and error.__traceback__.tb_next is None:
            raise ConfigurationError(
                f"MODEL_LOAD_ARGS does not fit {settings.MODEL_CLS_NAME}.load(): {error}."
            ) from error
        raise
    model.warm_up()
    return model


def find_class(settings: Settings) -> type[Model]:
    """Execute the file of the model class and return the class."""
    path, name = settings.path(settings.MODEL_CLS_PATH), settings.MODEL_CLS_NAME
    if not path.is_file():
        raise ConfigurationError(f"There is no file {path}, which MODEL_CLS_PATH names.", field="MODEL_CLS_PATH")
    spec = importlib.util.spec_from_file_location(f"picasso_model_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise ConfigurationError(f"MODEL_CLS_PATH must name a Python file, not {path}.", field="MODEL_CLS_PATH")
    module = importlib.util.module_from_spec(spec)
    # Registered before it runs, as the import system does: dataclasses and pickles look their module up.
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise ConfigurationError(f"{path}, which MODEL_CLS_PATH names, can't be imported: {reason(error)}.") from error
    cls = getattr(module, name, None)
    if isinstance(cls, type) and issubclass(cls, Model):
        return cls
    models = [key for key, value in vars(module).items() if isinstance(value, type) and issubclass(value, Model)]
    raise ConfigurationError(
        f"{path} has no model class {name}; it has {', '.join(models) or 'none'}. Write its name into MODEL_CLS_NAME.",
        field="MODEL_CLS_NAME",
    )
