"""From a file or from the settings to a loaded model; the only place where model code is executed."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from PIL import Image

from picasso import config, remedies
from picasso.config import Settings, installed
from picasso.errors import ConfigurationError, ModelCodeError, PicassoError, reason
from picasso.models import memory_limit
from picasso.models.arrays import Array
from picasso.models.base import Model
from picasso.models.environment import choose_tensorflow
from picasso.models.formats import in_memory, open_file
from picasso.models.label_files import as_given
from picasso.models.label_files import read as read_labels
from picasso.models.outputs import parse
from picasso.models.preprocessing import Preprocessing
from picasso.models.scan import Limits
from picasso.remedies import Door

Preprocess = Callable[[Sequence[Image.Image]], Array]

SETTINGS_SUFFIXES = (".py", ".yaml", ".yml")
# A file that names one of these wants Keras on TensorFlow, even if it imports Keras first.
ON_TENSORFLOW = (b"picasso.models.keras", b"picasso.models.tensorflow", b"picasso.models.saved_model")


def load_model(
    path: Any,
    *,
    labels: str | Path | Sequence[str] | Mapping[Any, Any] = (),
    preprocess: str | Preprocess = "",
    output_kind: str = "",
    model_mb: int | None = None,
    **options: Any,
) -> Model:
    """Load a classifier and warm it up.

    Args:
        path: a Keras file (``.keras``, ``.h5``, ``.hdf5``, ``.json``), a SavedModel folder, a TensorFlow 1
            checkpoint (the ``.index`` file, or the prefix that its three files share) or frozen graph (``.pb``),
            an ``.onnx`` or ``.tflite`` file, a folder that holds one of these, or a settings file (``.py``,
            ``.yaml``). Or a ``keras.Model`` that is in memory.
        labels: the class names, a mapping between names and indices, or a file of them (see
            :mod:`picasso.models.label_files`).
        preprocess: words such as ``"-1..1 crop"`` (see :mod:`picasso.models.preprocessing`), a function from
            a list of PIL images to an array ``(N, H, W, C)``, or where to find one: ``"module:function"``.
        output_kind: what the values of the output are, such as ``"logits"``: a word of
            :class:`~picasso.models.outputs.OutputKind`. By default it is found out.
        model_mb: how many megabytes the tensors of the file may take, unpacked; 4000 by default.
        options: arguments of the ``load`` method of the class, such as ``tf_input_var``; for a settings
            file, settings that win over those in it.

    Raises:
        ModelError: the file is missing, broken or of a format that is not supported.
        ConfigurationError: the settings file, the labels or the preprocessing is wrong.
    """
    remedies.use(Door.PYTHON)
    names = as_given(labels)
    if not isinstance(path, str | Path):
        model, arguments = in_memory(path)
        return prepare(model, {**arguments, **options}, names, preprocess, output_kind)
    file = Path(path)
    if file.suffix in SETTINGS_SUFFIXES:
        said = {} if model_mb is None else {"MODEL_MB": model_mb}
        settings = config.load(file, {**said, **options})
        return load_configured(settings, labels=names, preprocess=preprocess, output_kind=output_kind)
    model, arguments = open_file(file)
    if model_mb is not None:
        model.limits = Limits.of(model_mb)
    return prepare(model, {**arguments, **options}, names, preprocess, output_kind)


def load_configured(
    settings: Settings,
    *,
    labels: str | Path | Sequence[str] = (),
    preprocess: str | Preprocess = "",
    output_kind: str = "",
) -> Model:
    """Load the model that the settings name, and warm it up.

    That is the file ``MODEL``, or else what ``MODEL_CLS_PATH``, ``MODEL_CLS_NAME`` and ``MODEL_LOAD_ARGS`` say.

    Raises:
        ConfigurationError: there is no such file or class in it, load() does not take these arguments, or the
            labels or the preprocessing are wrong.
        ModelError: the class could not load its files.
    """
    remedies.use(Door(settings.door))
    if settings.MODEL:
        model, arguments = open_file(settings.path(settings.MODEL))
    else:
        model, arguments = find_class(settings)(), {}
    model.top_probs, model.occlusion_mb = settings.TOP_CLASSES, settings.OCCLUSION_MB
    model.limits = Limits.of(settings.MODEL_MB)
    names = labels or (settings.path(settings.LABELS) if settings.LABELS else ())
    words = preprocess or settings.PREPROCESS
    if isinstance(words, str) and words.partition(":")[0].endswith(".py"):
        words = str(settings.path(words))
    # Only where it is set, so that a load() of somebody's own need not know it.
    trust = {"trust_model": True} if settings.TRUST_MODEL else {}
    arguments = {**arguments, **trust, **settings.model_load_args()}
    return prepare(model, arguments, names, words, output_kind or settings.OUTPUT)


def prepare(
    model: Model,
    arguments: dict[str, Any],
    labels: str | Path | Sequence[str],
    preprocess: str | Preprocess,
    output_kind: str = "",
) -> Model:
    """Tell a new model its class names, its preprocessing and what its output is, load it and warm it up."""
    if labels:
        names = read_labels(Path(labels)) if isinstance(labels, str | Path) else labels
        model.labels = tuple(map(str, names))
    if not (callable(preprocess) or isinstance(preprocess, str)):
        raise ConfigurationError(
            f"{remedies.called('PREPROCESS')} takes words such as '-1..1 crop', a function, or where one is, such as "
            f"'module:function', not {preprocess!r}.",
            field="PREPROCESS",
        )
    if "input_shape" in arguments:
        check_shape(arguments["input_shape"])
    if callable(preprocess) or ":" in preprocess:
        function = preprocess if callable(preprocess) else find_function(preprocess)
        # On this model only: its class may serve others.
        model.preprocess = function  # type: ignore[method-assign, assignment]
    elif preprocess:
        model.preprocessing = Preprocessing.parse(preprocess)
    name = type(model).__name__
    kind = parse(output_kind)
    if kind and not model.reads_output_kind:
        raise ConfigurationError(
            f"{remedies.called('OUTPUT')} can't be said of {name}, whose own code gives probabilities.",
            field="OUTPUT",
        )
    model.output_kind = kind or ""
    try:
        with memory_limit.memory(model.limits.megabytes):
            model.load(**arguments)
            model.warm_up()
        # Now, while the files are those that were loaded: somebody may train on and write them again.
        _ = model.fingerprint
    except PicassoError:
        raise
    # A class of the user's own may raise anything, even SystemExit; its traceback stays attached.
    except (Exception, SystemExit) as error:
        # A call that does not fit fails right here, and its message names the argument.
        if isinstance(error, TypeError) and error.__traceback__ and error.__traceback__.tb_next is None:
            raise ConfigurationError(f"{remedies.load_arguments()} does not fit {name}.load(): {error}.") from error
        raise ModelCodeError(f"{name} could not be loaded: {reason(error)}.") from error
    return model


def check_shape(given: Any) -> None:
    """Raise a ConfigurationError unless a shape that the user says is ``(H, W, C)``."""
    try:
        right = given is None or (len(given) == 3 and all(side == int(side) and side > 0 for side in given))
    except (TypeError, ValueError):
        right = False
    if not right:
        raise ConfigurationError(
            f"The argument input_shape is (height, width, channels), such as [224, 224, 3], not {given!r}.",
            field="input_shape",
        )


def find_function(text: str) -> Preprocess:
    """Return the function that ``module:function`` or ``file.py:function`` names.

    Raises:
        ConfigurationError: the module can't be imported or has no such function.
    """
    place, _, name = text.rpartition(":")
    module = import_file(Path(place), "PREPROCESS") if place.endswith(".py") else None
    try:
        module = module or importlib.import_module(place)
    except Exception as error:
        why = f"{place}, which PREPROCESS names, can't be imported: {reason(error)}."
        raise ConfigurationError(why, field="PREPROCESS") from error
    function: Preprocess | None = getattr(module, name, None)
    if not callable(function):
        raise ConfigurationError(f"{place} has no function {name}, which PREPROCESS names.", field="PREPROCESS")
    return function


def import_file(path: Path, setting: str) -> ModuleType:
    """Execute a Python file that a setting names and return its module.

    Raises:
        ConfigurationError: there is no such file, or it fails.
    """
    if not path.is_file():
        raise ConfigurationError(f"There is no file {path}, which {setting} names.", field=setting)
    spec = importlib.util.spec_from_file_location(f"picasso_user_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise ConfigurationError(f"{setting} must name a Python file, not {path}.", field=setting)
    if any(name in path.read_bytes() for name in ON_TENSORFLOW):
        choose_tensorflow()
    module = importlib.util.module_from_spec(spec)
    # Registered before it runs, as the import system does: dataclasses and pickles look their module up.
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    except PicassoError:
        raise
    except Exception as error:
        raise ConfigurationError(f"{path}, which {setting} names, can't be imported: {reason(error)}.") from error
    return module


def opens_images(settings: Settings) -> bool:
    """Tell whether the model class of the settings opens images itself, before it is loaded."""
    return not settings.MODEL and find_class(settings).open_image is not Model.open_image


def find_class(settings: Settings) -> type[Model]:
    """Execute the file of the model class and return the class; without a file, that of an installed package.

    Raises:
        ConfigurationError: there is no such class, or what defines it fails.
    """
    if not settings.MODEL_CLS_PATH:
        return installed_class(settings.MODEL_CLS_NAME)
    path, name = settings.path(settings.MODEL_CLS_PATH), settings.MODEL_CLS_NAME
    module = import_file(path, "MODEL_CLS_PATH")
    cls = getattr(module, name, None)
    if isinstance(cls, type) and issubclass(cls, Model):
        return cls
    models = [key for key, value in vars(module).items() if isinstance(value, type) and issubclass(value, Model)]
    raise ConfigurationError(
        f"{path} has no model class {name}; it has {', '.join(models) or 'none'}. Write its name into MODEL_CLS_NAME.",
        field="MODEL_CLS_NAME",
    )


def installed_class(name: str) -> type[Model]:
    """Return the model class that an installed package offers as an entry point of the group ``picasso.models``."""
    offered = dict(installed("picasso.models"))
    if name not in offered:
        known = ", ".join(offered) or "none"
        raise ConfigurationError(
            f"No installed package offers a model class {name}; there are: {known}. If it is your own, write its "
            "file into MODEL_CLS_PATH.",
            field="MODEL_CLS_NAME",
        )
    try:
        cls = offered[name]()
    except Exception as error:
        why = f"The installed model class {name} can't be imported: {reason(error)}."
        raise ConfigurationError(why, field="MODEL_CLS_NAME") from error
    if isinstance(cls, type) and issubclass(cls, Model):
        return cls
    raise ConfigurationError(f"The installed {name} is no class derived from Model.", field="MODEL_CLS_NAME")
