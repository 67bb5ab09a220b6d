"""Import a user's code for a model: the model class, and the function that preprocesses images."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from PIL import Image

from picasso.config import Settings
from picasso.errors import ConfigurationError
from picasso.models.arrays import Array
from picasso.models.base import Model
from picasso.models.environment import choose_tensorflow
from picasso.plugins import Plugins, installed, subclasses

Preprocess = Callable[[Sequence[Image.Image]], Array]

# The group of entry points with which installed packages register model classes.
GROUP = "picasso.models"
# A file that contains one of these names needs Keras on TensorFlow, even if it imports Keras first.
ON_TENSORFLOW = (b"picasso.models.keras", b"picasso.models.tensorflow", b"picasso.models.saved_model")


def find_function(text: str) -> Preprocess:
    """Return the function at ``module:function`` or ``file.py:function``.

    Raises:
        ConfigurationError: the module or file can't be imported, or does not contain the function.
    """
    place, _, name = text.rpartition(":")
    functions = Plugins[Preprocess]("function", "PREPROCESS", functions_of)
    if place.endswith(".py"):
        read_file(functions, Path(place))
    else:
        functions.read_module(place)
    found = functions.all().get(name)
    if found is None:
        raise ConfigurationError(f"{place} has no function {name}, which PREPROCESS names.", field="PREPROCESS")
    return found


def functions_of(module: ModuleType) -> list[tuple[str, Preprocess]]:
    """Return the callable objects in a module, each with its name."""
    return [(name, value) for name, value in vars(module).items() if callable(value)]


def read_file(plugins: Plugins[Any], file: Path) -> None:
    """Import a user's file. If it refers to a TensorFlow model class, first make TensorFlow the backend of Keras."""
    if file.is_file() and any(name in file.read_bytes() for name in ON_TENSORFLOW):
        choose_tensorflow()
    plugins.read_file(file)


def opens_images(settings: Settings) -> bool:
    """Tell whether the model class in the settings overrides ``open_image()``, without loading the model."""
    return not settings.MODEL and find_class(settings).open_image is not Model.open_image


def find_class(settings: Settings) -> type[Model]:
    """Return the model class in the settings: from the file ``MODEL_CLS_PATH``, or else from an installed package.

    The file is executed.

    Raises:
        ConfigurationError: there is no such class, or its file or package can't be imported.
    """
    name = settings.MODEL_CLS_NAME
    if not settings.MODEL_CLS_PATH:
        return installed_class(name)
    path = settings.path(settings.MODEL_CLS_PATH)
    classes = Plugins[type[Model]]("model class", "MODEL_CLS_PATH", classes_of)
    read_file(classes, path)
    known = classes.all()
    if name not in known:
        raise ConfigurationError(
            f"{path} has no model class {name}; it has {', '.join(known) or 'none'}. Set "
            "MODEL_CLS_NAME to one of them.",
            field="MODEL_CLS_NAME",
        )
    return known[name]


def installed_class(name: str) -> type[Model]:
    """Return the model class that an installed package registers as an entry point in the group ``picasso.models``.

    Raises:
        ConfigurationError: there is no such entry point, it can't be imported, or it is a module with several classes.
    """
    classes = Plugins[type[Model]]("model class", "MODEL_CLS_NAME", classes_of)
    classes.read_installed(GROUP, name)
    if not classes.found:
        known = ", ".join(known for known, _ in installed(GROUP)) or "none"
        raise ConfigurationError(
            f"No installed package offers a model class {name}; there are: {known}. If it is your own, set "
            "MODEL_CLS_PATH to its file.",
            field="MODEL_CLS_NAME",
        )
    # The name of the entry point may differ from the name of the class.
    found = list(classes.all().values())
    if len(found) > 1:
        raise ConfigurationError(f"The entry point {name} must refer to one model class.", field="MODEL_CLS_NAME")
    return found[0]


def classes_of(loaded: object) -> Iterable[tuple[str, type[Model]]]:
    """Return the model classes in a module, or the one class of an entry point, each with its name."""
    return subclasses(Model, loaded).items()  # type: ignore[type-abstract]
