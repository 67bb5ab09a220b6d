"""Code of the user for a model: the class that loads it, and a function that prepares images."""

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

# The entry points of installed packages.
GROUP = "picasso.models"
# A file that names one of these wants Keras on TensorFlow, even if it imports Keras first.
ON_TENSORFLOW = (b"picasso.models.keras", b"picasso.models.tensorflow", b"picasso.models.saved_model")


def find_function(text: str) -> Preprocess:
    """Return the function that ``module:function`` or ``file.py:function`` names.

    Raises:
        ConfigurationError: the module can't be imported or has no such function.
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
    """Return everything in a module that can be called, by name."""
    return [(name, value) for name, value in vars(module).items() if callable(value)]


def read_file(plugins: Plugins[Any], file: Path) -> None:
    """Import a file of the user; if it names a class of TensorFlow, Keras runs on TensorFlow."""
    if file.is_file() and any(name in file.read_bytes() for name in ON_TENSORFLOW):
        choose_tensorflow()
    plugins.read_file(file)


def opens_images(settings: Settings) -> bool:
    """Tell whether the model class of the settings opens images itself, before it is loaded."""
    return not settings.MODEL and find_class(settings).open_image is not Model.open_image


def find_class(settings: Settings) -> type[Model]:
    """Execute the file of the model class and return the class; without a file, that of an installed package.

    Raises:
        ConfigurationError: there is no such class, or what defines it fails.
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
            f"{path} has no model class {name}; it has {', '.join(known) or 'none'}. Write its name into "
            "MODEL_CLS_NAME.",
            field="MODEL_CLS_NAME",
        )
    return known[name]


def installed_class(name: str) -> type[Model]:
    """Return the model class that an installed package offers as an entry point of the group ``picasso.models``."""
    classes = Plugins[type[Model]]("model class", "MODEL_CLS_NAME", classes_of)
    classes.read_installed(GROUP, name)
    if not classes.found:
        known = ", ".join(known for known, _ in installed(GROUP)) or "none"
        raise ConfigurationError(
            f"No installed package offers a model class {name}; there are: {known}. If it is your own, write its "
            "file into MODEL_CLS_PATH.",
            field="MODEL_CLS_NAME",
        )
    # The entry point has a name of its own.
    found = list(classes.all().values())
    if len(found) > 1:
        raise ConfigurationError(f"The entry point {name} must name one model class.", field="MODEL_CLS_NAME")
    return found[0]


def classes_of(loaded: object) -> Iterable[tuple[str, type[Model]]]:
    """Return the model classes in a file, by name, or the one of an entry point."""
    return subclasses(Model, loaded).items()  # type: ignore[type-abstract]
