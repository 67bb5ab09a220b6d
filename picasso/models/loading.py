"""Load models from files, from the settings or from memory, with the class for the format or with the user's class."""

from __future__ import annotations

import pkgutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from picasso import config, remedies
from picasso.config import Settings
from picasso.errors import ConfigurationError, ModelCodeError, ModelError, PicassoError, reason
from picasso.models import memory_limit
from picasso.models.base import Model
from picasso.models.label_files import as_given
from picasso.models.label_files import read as read_labels
from picasso.models.outputs import parse, parse_decoder, parse_task
from picasso.models.preprocessing import Preprocessing
from picasso.models.recognition import ACCEPTED, Format, recognize
from picasso.models.scan import Limits
from picasso.models.user_code import Preprocess, find_class, find_function
from picasso.remedies import Interface
from picasso.targets import OutputTask

SETTINGS_SUFFIXES = (".py", ".yaml", ".yml")
KERAS = "picasso.models.keras:KerasModel"
# The settings that decide what a model answers.
DECISIVE = (*config.MODEL_SETTINGS, "TOP_CLASSES", "OCCLUSION_MB", "PRECISION", "PRECISION_LIMIT")
# The class that loads each format. It is imported when it is needed, because most of them import a framework.
CLASSES: dict[Format, str] = {
    Format.KERAS_ARCHIVE: KERAS,
    Format.KERAS_HDF5: KERAS,
    Format.KERAS_JSON: KERAS,
    Format.SAVED_MODEL: "picasso.models.saved_model:SavedModel",
    Format.CHECKPOINT: "picasso.models.tensorflow:TFModel",
    Format.FROZEN_GRAPH: "picasso.models.tensorflow:TFModel",
    Format.ONNX: "picasso.models.onnx:ONNXModel",
    Format.TFLITE: "picasso.models.tflite:TFLiteModel",
}


class About(NamedTuple):
    """What the user says about the output of a model.

    Attributes:
        output_kind: the kind of its values, or "".
        task: what the model was trained to do, or "".
        unit: the unit of the values of a regression, or "".
    """

    output_kind: str = ""
    task: str = ""
    unit: str = ""


NOTHING = About()


def load_model(
    path: Any,
    *,
    labels: str | Path | Sequence[str] | Mapping[Any, Any] = (),
    preprocess: str | Preprocess = "",
    output_kind: str = "",
    task: str = "",
    unit: str = "",
    model_mb: int | None = None,
    precision: str | None = None,
    precision_limit: float | None = None,
    **options: Any,
) -> Model:
    """Load a classifier and warm it up.

    Args:
        path: a Keras file (``.keras``, ``.h5``, ``.hdf5``, ``.json``), a SavedModel folder, a TensorFlow 1
            checkpoint (the ``.index`` file, or the prefix that its three files share) or frozen graph (``.pb``),
            an ``.onnx`` or ``.tflite`` file, a folder that contains one of these, or a settings file (``.py``,
            ``.yaml``). A ``keras.Model`` in memory is accepted, too.
        labels: the class names, a mapping between names and indices, or a file of them (see
            :mod:`picasso.models.label_files`).
        preprocess: keywords such as ``"-1..1 crop"`` (see :mod:`picasso.models.preprocessing`), a function that
            converts a list of PIL images to an array ``(N, H, W, C)``, or the place of such a function:
            ``"module:function"`` or ``"file.py:function"``.
        output_kind: the kind of the output values, such as ``"logits"``: a value of
            :class:`~picasso.models.outputs.OutputKind`. It is detected by default.
        task: what the model was trained to do, such as ``"segmentation"``: a value of
            :class:`~picasso.targets.OutputTask`. It is detected by default.
        unit: the unit of the values of a regression, such as ``"years"``.
        model_mb: the maximum size of the file's unpacked tensors, in megabytes; 4000 by default.
        precision: ``"exact"``, the default, or ``"fast"`` to compute predictions with bfloat16 if they are close to
            exact ones; the model's ``notes`` say how close. The settings of a settings file are ``PRECISION`` and
            ``PRECISION_LIMIT``.
        precision_limit: the maximum difference of a probability; of other outputs, relative to the largest, 0..1. By
            default 0.01.
        options: arguments of the ``load`` method of the model's class, such as ``tf_input_var``; for a settings
            file, settings that replace those in the file.

    Raises:
        ModelError: the file is missing, broken or of a format that is not supported.
        ConfigurationError: the settings file or one of the arguments is wrong.

    Examples:
        >>> import picasso
        >>> from picasso.config import PACKAGE
        >>> model = picasso.load_model(PACKAGE / "examples/keras/data/mnist.keras", labels=list("0123456789"))
        >>> model.input_shape, model.num_classes
        ((28, 28, 1), 10)
    """
    remedies.set_interface(Interface.PYTHON)
    names, about = as_given(labels), About(output_kind, task, unit)
    arithmetic = {"precision": precision, "precision_limit": precision_limit}
    chosen = {name.upper(): value for name, value in arithmetic.items() if value is not None}
    for name, value in chosen.items():
        config.check(name, value, "")
    if not isinstance(path, str | Path):
        model, arguments = in_memory(path)
        compute_by(model, chosen)
        return prepare(model, {**arguments, **options}, names, preprocess, about)
    file = Path(path)
    if file.suffix in SETTINGS_SUFFIXES:
        said: dict[str, Any] = {} if model_mb is None else {"MODEL_MB": model_mb}
        settings = config.load(file, {**said, **chosen, **options})
        return load_configured(
            settings, labels=names, preprocess=preprocess, output_kind=output_kind, task=task, unit=unit
        )
    model, arguments = open_file(file)
    compute_by(model, chosen)
    if model_mb is not None:
        model.limits = Limits.of(model_mb)
    return prepare(model, {**arguments, **options}, names, preprocess, about)


def compute_by(model: Model, chosen: Mapping[str, Any]) -> None:
    """Set the arithmetic of an unloaded model, if it was chosen."""
    model.precision = chosen.get("PRECISION", model.precision)
    model.precision_limit = chosen.get("PRECISION_LIMIT", model.precision_limit)


def open_file(path: Path) -> tuple[Model, dict[str, Any]]:
    """Return an unloaded model of the class for a path's format, and the arguments for its ``load`` method.

    Raises:
        ModelError: the path does not exist, or Picasso can't load it.
    """
    found = recognize(path)
    weights = {"weights": str(found.weights)} if found.weights else {}
    return unloaded(CLASSES[found.format]), {"path": str(found.path), **weights}


def in_memory(model: Any) -> tuple[Model, dict[str, Any]]:
    """Return an unloaded model for a Keras model in memory, and the arguments for its ``load`` method.

    Raises:
        ModelError: the object is no Keras model.
    """
    kinds = {(cls.__module__.partition(".")[0], cls.__name__) for cls in type(model).__mro__}
    if kinds & {("keras", "Model"), ("tf_keras", "Model")}:
        return unloaded(KERAS), {"model": model}
    raise ModelError(
        f"load_model() can't load an object of the type {type(model).__name__}. Pass a keras.Model, or the path of a "
        f"file or folder. Supported formats: {ACCEPTED}."
    )


def unloaded(place: str) -> Model:
    """Return a new, unloaded model of the class at ``module:Class``."""
    model: Model = pkgutil.resolve_name(place)()
    return model


def load_configured(
    settings: Settings,
    *,
    labels: str | Path | Sequence[str] = (),
    preprocess: str | Preprocess = "",
    output_kind: str = "",
    task: str = "",
    unit: str = "",
) -> Model:
    """Load the model that the settings specify, and warm it up.

    The settings specify a model file (``MODEL``), or else a model class (``MODEL_CLS_NAME``, in the file
    ``MODEL_CLS_PATH`` or in an installed package). ``MODEL_LOAD_ARGS`` are arguments for its ``load`` method.

    Args:
        settings: the settings.
        labels: the class names or a file of them, instead of the setting ``LABELS``.
        preprocess: keywords or a function, instead of the setting ``PREPROCESS``.
        output_kind: the kind of the output values, instead of the setting ``OUTPUT``.
        task: what the model was trained to do, instead of the setting ``TASK``.
        unit: the unit of the values of a regression, instead of the setting ``UNIT``.

    Raises:
        ConfigurationError: the model class does not exist, its ``load`` method does not accept the arguments, or
            the labels, the preprocessing or the kind of the output is wrong.
        ModelError: the files of the model are missing, broken or not supported.

    Examples:
        >>> from picasso import config
        >>> from picasso.models import load_configured
        >>> settings = config.load(
        ...     overrides={
        ...         "MODEL_CLS_PATH": "{picasso}/examples/brightness.py",
        ...         "MODEL_CLS_NAME": "BrightnessModel",
        ...         "MODEL_LOAD_ARGS": {"side": 32},
        ...     }
        ... )
        >>> model = load_configured(settings)
        >>> model.input_shape, model.class_names()
        ((32, 32, 1), ('dark', 'bright'))
    """
    remedies.set_interface(Interface(settings.interface))
    if settings.MODEL:
        model, arguments = open_file(settings.path(settings.MODEL))
    else:
        model, arguments = find_class(settings)(), {}
    model.top_probs, model.occlusion_mb = settings.TOP_CLASSES, settings.OCCLUSION_MB
    model.precision, model.precision_limit = settings.PRECISION, settings.PRECISION_LIMIT
    model.limits = Limits.of(settings.MODEL_MB)
    model.configured = {name: getattr(settings, name) for name in DECISIVE}
    names = labels or (settings.path(settings.LABELS) if settings.LABELS else ())
    words = preprocess or settings.PREPROCESS
    if isinstance(words, str) and words.partition(":")[0].endswith(".py"):
        words = str(settings.path(words))
    # Passed only if it is set, so that the load() of a user's class does not need this argument.
    trust = {"trust_model": True} if settings.TRUST_MODEL else {}
    arguments = {**arguments, **trust, **settings.model_load_args()}
    about = About(output_kind or settings.OUTPUT, task or settings.TASK, unit or settings.UNIT)
    return prepare(model, arguments, names, words, about)


def prepare(
    model: Model,
    arguments: dict[str, Any],
    labels: str | Path | Sequence[str],
    preprocess: str | Preprocess,
    about: About = NOTHING,
) -> Model:
    """Set the class names, preprocessing and kind of output of an unloaded model, then load it and warm it up."""
    if labels:
        names = read_labels(Path(labels)) if isinstance(labels, str | Path) else labels
        model.labels = tuple(map(str, names))
    if not (callable(preprocess) or isinstance(preprocess, str)):
        raise ConfigurationError(
            f"{remedies.called('PREPROCESS')} must be keywords such as '-1..1 crop', a function or its location, such "
            f"as 'module:function', not {preprocess!r}.",
            field="PREPROCESS",
        )
    if "input_shape" in arguments:
        check_shape(arguments["input_shape"])
    if callable(preprocess) or ":" in preprocess:
        function = preprocess if callable(preprocess) else find_function(preprocess)
        # Set on the instance, because other models may have the same class.
        model.preprocess = function  # type: ignore[method-assign, assignment]
    elif preprocess:
        model.preprocessing = Preprocessing.parse(preprocess)
    name = type(model).__name__
    configure_output(model, about)
    try:
        with memory_limit.memory(model.limits.megabytes):
            model.load(**arguments)
            model.warm_up()
        # Computed now, because the files may change later, for example if training continues.
        _ = model.fingerprint
    except PicassoError:
        raise
    # A user's class may raise any exception, even SystemExit. Chaining the exceptions keeps its traceback.
    except (Exception, SystemExit) as error:
        # If the traceback ends in this function, load() did not accept the arguments, and the message names one.
        if isinstance(error, TypeError) and error.__traceback__ and error.__traceback__.tb_next is None:
            raise ConfigurationError(
                f"{name}.load() doesn't accept these arguments: {error}. Check {remedies.load_arguments()}."
            ) from error
        raise ModelCodeError(f"{name} could not be loaded: {reason(error)}.") from error
    return model


def configure_output(model: Model, about: About) -> None:
    """Set what the user says about the output of an unloaded model.

    Raises:
        ConfigurationError: there is no such kind or task, or the class of the model decides itself.
    """
    name, kind, task = type(model).__name__, parse(about.output_kind), parse_task(about.task)
    if kind and not model.reads_output_kind:
        raise ConfigurationError(
            f"{remedies.called('OUTPUT')} has no effect on {name}, because its code returns probabilities.",
            field="OUTPUT",
        )
    if task and task is not OutputTask.CLASSIFICATION and not model.reads_task:
        raise ConfigurationError(
            f"{remedies.called('TASK')} has no effect on {name}: its load() sets spec, or else it is a classifier.",
            field="TASK",
        )
    parse_decoder(about.task)
    model.output_kind, model.task, model.unit = kind or "", about.task if task else "", about.unit


def check_shape(given: Any) -> None:
    """Raise a ConfigurationError unless the user's shape is None or ``(H, W, C)``, three positive integers."""
    try:
        right = given is None or (len(given) == 3 and all(side == int(side) and side > 0 for side in given))
    except (TypeError, ValueError):
        right = False
    if not right:
        raise ConfigurationError(
            f"The argument input_shape is (height, width, channels), such as [224, 224, 3], not {given!r}.",
            field="input_shape",
        )
