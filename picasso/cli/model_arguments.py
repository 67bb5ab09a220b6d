"""The models on a command line: the one to explain, and those to compare it with; imports nothing slow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from picasso.config import Settings
from picasso.errors import BadRequest, PicassoError

# The settings that specify a model file.
ModelSettings = dict[str, Any]


def main_and_others(
    given: Sequence[Path], arguments: Mapping[str, Any]
) -> tuple[ModelSettings, dict[Path, ModelSettings]]:
    """Return the settings of the model to explain, and those of the others by their paths.

    The first path is the model to explain; if it is a folder, its newest model.

    Args:
        given: model files, or folders of one or several models.
        arguments: the arguments for loading them.

    Raises:
        ModelError: one of them does not exist or is no model.
    """
    first, *others = [models_at(path, arguments) for path in given]
    *earlier, (_, main) = first
    return main, dict([*earlier, *(one for models in others for one in models)])


def models_at(path: Path, arguments: Mapping[str, Any]) -> list[tuple[Path, ModelSettings]]:
    """Return the models at a path with their settings."""
    from picasso.models.checkpoints import models_at as found_at

    def with_arguments(settings: ModelSettings) -> ModelSettings:
        return {**settings, "MODEL_LOAD_ARGS": {**settings["MODEL_LOAD_ARGS"], **arguments}}

    return [(file.resolve(), with_arguments(settings)) for file, settings in found_at(path)]


def to_compare(
    texts: Sequence[str], settings: Settings, others: Mapping[Path, ModelSettings], arguments: Mapping[str, Any]
) -> dict[str, ModelSettings]:
    """Return the settings of the models to compare with, by their names.

    Args:
        texts: the values of ``--compare``: a name in the setting ``COMPARE``, ``FILE``, ``NAME=FILE`` or a folder.
        settings: the settings without these models.
        others: further models by their paths, which get the names of their files.
        arguments: the arguments for loading them.

    Raises:
        BadRequest: a text is neither a name nor a path, or two models have the same name.
        ModelError: a file is no model.
    """
    files, named = dict(others), []
    for text in texts:
        name, equals, rest = text.partition("=")
        if text in settings.COMPARE:
            named.append((text, settings.COMPARE[text]))
        elif equals and name and not Path(text).exists():
            models = models_at(Path(rest), arguments)
            named += [(f"{name}/{file.name}" if len(models) > 1 else name, one) for file, one in models]
        else:
            files |= models_of(text, settings, arguments)
    found: dict[str, ModelSettings] = {}
    for name, one in [*zip(names_of(list(files)), files.values(), strict=True), *named]:
        if found.get(name, one) != one:
            raise BadRequest(f"Two models are called {name}. Name one of them: --compare NAME=FILE.", field="compare")
        found[name] = one
    return found


def models_of(text: str, settings: Settings, arguments: Mapping[str, Any]) -> dict[Path, ModelSettings]:
    """Return the models at the path in a ``--compare``; its error also says which names there are."""
    try:
        return dict(models_at(Path(text), arguments))
    except PicassoError as error:
        if Path(text).exists():
            raise
        known = ", ".join(settings.COMPARE) or "none"
        raise BadRequest(
            f"There is no model {text}: no file or folder has this path, and the setting COMPARE has no model of this "
            f"name. Its models are: {known}.",
            field="compare",
        ) from error


def names_of(files: Sequence[Path]) -> list[str]:
    """Return the names of model files, with as many parent folders as tell them apart."""
    from picasso.explanation import inputs

    return inputs.names_of(files)
