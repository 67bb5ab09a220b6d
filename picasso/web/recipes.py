"""How to make a run again without the pages: as a command line, and as Python."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from picasso.config import DEFAULTS, MODEL_SETTINGS, Settings
from picasso.explanation.registry import Registry
from picasso.jobs.run import Spec
from picasso.models.labels import AGAINST, Wanted
from picasso.models.loading import SETTINGS_SUFFIXES
from picasso.quoting import as_yaml, bracketed, is_name, keywords, literal, option, wrapped

# What decides on the results; the other settings are about the server.
DECISIVE = (*MODEL_SETTINGS, "TOP_CLASSES")
# What load_model() takes besides arguments of load().
OWN_NAMES = {"path", "labels", "preprocess", "output_kind", "trust_model"}
# Settings, and arguments of load(), that are paths, relative to the settings file.
PATHS = ("MODEL", "MODEL_CLS_PATH", "LABELS", "PLUGIN_DIRS", "data_dir", "path")
# How other texts begin that are paths.
PATH = re.compile(r"[/~\\]|\.\.?[/\\]|[A-Za-z]:[/\\]")


def as_command(
    settings: Settings, spec: Spec, registry: Registry, *, names: Sequence[str] = (), full_paths: bool = False
) -> str:
    """Return the command line that makes a run again, for a POSIX shell.

    Where no option says how the server was configured, lines that begin with ``#`` say what to write into the
    settings file before.

    Args:
        settings: those of the server.
        spec: the run.
        registry: the visualizations of the server.
        names: the class names in the order of the model's output; without them, classes are numbers.
        full_paths: whether to show where on the server the files are; otherwise only what they are called.
    """
    more = [*(["COMPARE"] if spec.models else []), *(["PLUGIN_DIRS"] if from_plugin(registry, spec) else [])]
    chosen = decisive(settings, full_paths, more)
    options: list[list[str]] = []
    if settings.source:
        options.append(option("--config", source(settings, full_paths)))
    if sayable(chosen, "MODEL"):
        # The option replaces the arguments of the settings file, too.
        standard = DEFAULTS["MODEL_LOAD_ARGS"] == settings.MODEL_LOAD_ARGS
        arguments = {} if standard else shown(settings, "MODEL_LOAD_ARGS", settings.MODEL_LOAD_ARGS, full_paths)
        chosen.pop("MODEL_LOAD_ARGS", None)
        options.append(option("--model", chosen.pop("MODEL")))
        options += [option("--load-arg", f"{key}={as_yaml(value)}") for key, value in arguments.items()]
    if sayable(chosen, "LABELS"):
        options.append(option("--labels", chosen.pop("LABELS")))
    if "PREPROCESS" in chosen:
        options.append(option("--preprocess", chosen.pop("PREPROCESS")))
    if "OUTPUT" in chosen:
        options.append(option("--output-kind", chosen.pop("OUTPUT")))
    if chosen.get("TRUST_MODEL"):
        del chosen["TRUST_MODEL"]
        options.append(["--trust-model"])
    controls = registry.get(spec.visualization).require().ALLOWED_SETTINGS.controls()
    values = {key: controls[key].show(value) if key in controls else value for key, value in spec.settings.items()}
    options.append(option("--visualization", spec.visualization))
    options += [option("--set", f"{key}={value}") for key, value in values.items()]
    options += [option("--class", str(by_name(index, names))) for index in spec.classes]
    options += [option("--compare", name) for name in spec.models]
    # What begins with a dash is a file here, not an option.
    images = [[f"./{name}" if name.startswith("-") else name] for name in names_of(spec)]
    where = source(settings, full_paths) if settings.source else "config.py"
    remarks = [
        f"# Write into {literal(where)} first, since no option says it: {key} = {literal(value)}\n"
        for key, value in chosen.items()
    ]
    return "".join(remarks) + wrapped([["picasso", "explain"], *images, *options])


def as_python(
    settings: Settings, spec: Spec, registry: Registry, *, names: Sequence[str] = (), full_paths: bool = False
) -> str:
    """Return the Python code that makes a run again; afterwards ``results`` holds what it made.

    The arguments are those of :func:`as_command`.
    """
    chosen = decisive(settings, full_paths, ["COMPARE"] if spec.models else [])
    arguments = [bracketed("[", map(literal, names_of(spec)), "]", 4), literal(spec.visualization)]
    if spec.classes:
        classes = (literal(by_name(index, names)) for index in spec.classes)
        arguments.append(bracketed("classes=[", classes, "]", 4))
    if from_plugin(registry, spec):
        folders = [literal(shown(settings, "PLUGIN_DIRS", folder, full_paths)) for folder in settings.PLUGIN_DIRS]
        arguments.append(bracketed("plugin_dirs=[", folders, "]", 4))
    arguments += keywords(spec.settings)
    imported, made = configured(settings, chosen, full_paths)
    if spec.models:
        names_of_models = bracketed("[", map(literal, ["", *spec.models]), "]")
        lines = [
            "from picasso.explanation import comparison",
            imported,
            "from picasso.models import load_configured",
            "",
        ]
        lines += [f"settings = {made}", f"names = {names_of_models}"]
        lines += ["models = {name: load_configured(settings.compared(name)) for name in names}"]
        explain = f"list({bracketed('comparison.explain_each(', ['models', *arguments], ')')})"
    else:
        explain = bracketed("picasso.explain(", ["model", *arguments], ")")
        if settings.source and settings.source.suffix in SETTINGS_SUFFIXES:
            parts = [literal(source(settings, full_paths)), *keywords(chosen)]
        else:
            parts = file_arguments(chosen) if not settings.source and model_file(chosen) else []
        lines = ["import picasso", *([] if parts else [imported])]
        lines += [f"from picasso.models import {'load_model' if parts else 'load_configured'}", ""]
        lines += [f"model = {bracketed('load_model(', parts, ')') if parts else f'load_configured({made})'}"]
    return "\n".join([*lines, f"results = {explain}", ""])


def configured(settings: Settings, chosen: Mapping[str, Any], full_paths: bool) -> tuple[str, str]:
    """Return an import, and the Python code with which it makes the settings of the server."""
    if not settings.source:
        return "from picasso.config import Settings", bracketed("Settings(", keywords(chosen), ")")
    parts = [literal(source(settings, full_paths))]
    if chosen:
        pairs = (f"{literal(key)}: {literal(value)}" for key, value in chosen.items())
        parts.append(bracketed("{", pairs, "}", 4))
    return "from picasso import config", bracketed("config.load(", parts, ")")


# ---- what is in the recipes -----------------------------------------------------------------------------------------


def decisive(settings: Settings, full_paths: bool, more: Sequence[str]) -> dict[str, Any]:
    """Return what overrides the settings file, or else the defaults, and decides on results; ``more`` may, too."""
    return {
        key: shown(settings, key, value, full_paths)
        for key, value in settings.overrides.items()
        if key in (*DECISIVE, *more) and (settings.source or value != DEFAULTS[key])
    }


def names_of(spec: Spec) -> list[str]:
    """Return what the user called the images."""
    return [image["name"] for image in spec.images]


def by_name(index: Wanted, names: Sequence[str]) -> int | str:
    """Return the name of a class if one can write it and it stands for no other class, or else the number."""
    if not isinstance(index, int):
        return AGAINST.join(str(by_name(one, names)) for one in index)
    name = names[index] if index < len(names) else ""
    usable = name and name.isprintable() and name == name.strip() and names.count(name) == 1
    return name if usable else index


def from_plugin(registry: Registry, spec: Spec) -> bool:
    """Tell whether a run's visualization lies in a folder of plugins."""
    return not registry.get(spec.visualization).require().__module__.startswith("picasso.visualizations.")


def sayable(chosen: Mapping[str, Any], key: str) -> bool:
    """Tell whether a path is set that can be written outside of settings, which alone know ``{picasso}``."""
    return bool(chosen.get(key)) and "{picasso}" not in chosen[key]


def model_file(chosen: Mapping[str, Any]) -> bool:
    """Tell whether all that is chosen can be said to load_model()."""
    arguments = chosen.get("MODEL_LOAD_ARGS", {})
    known = chosen.keys() <= {"MODEL", "MODEL_LOAD_ARGS", "LABELS", "PREPROCESS", "OUTPUT", "TRUST_MODEL"}
    paths = sayable(chosen, "MODEL") and (sayable(chosen, "LABELS") or not chosen.get("LABELS"))
    return paths and known and all(map(is_name, arguments)) and not arguments.keys() & OWN_NAMES


def file_arguments(chosen: Mapping[str, Any]) -> list[str]:
    """Return the arguments of load_model() for a model file."""
    words = {"LABELS": "labels", "PREPROCESS": "preprocess", "OUTPUT": "output_kind", "TRUST_MODEL": "trust_model"}
    named = {word: chosen[key] for key, word in words.items() if key in chosen}
    return [literal(chosen["MODEL"]), *keywords({**named, **chosen.get("MODEL_LOAD_ARGS", {})})]


# ---- where things are -----------------------------------------------------------------------------------------------


def shown(settings: Settings, key: str, value: Any, full_paths: bool) -> Any:
    """Return the value of a setting, or of a part of one, with its paths in full or cut to their last parts."""
    if isinstance(value, dict):
        return {name: shown(settings, name, one, full_paths) for name, one in value.items()}
    if isinstance(value, list):
        return [shown(settings, key, one, full_paths) for one in value]
    # What lies in Picasso itself is no secret, and elsewhere on another machine.
    if not isinstance(value, str) or not value or "{picasso}" in value:
        return value
    if key == "PREPROCESS":
        file, colon, function = value.rpartition(":")
        return f"{shown(settings, 'path', file, full_paths)}{colon}{function}" if file.endswith(".py") else value
    if full_paths:
        return str(settings.path(value)) if key in PATHS else value
    return Path(value).name or "." if key in PATHS or PATH.match(value) or is_there(settings, value) else value


def is_there(settings: Settings, text: str) -> bool:
    """Tell whether a text with a slash, such as the name of a tensor may be, is a path to something."""
    try:
        return "/" in text and (settings.path(text).exists() or Path(text).exists())
    except (OSError, ValueError):
        return False


def source(settings: Settings, full_paths: bool) -> str:
    """Return how the settings file is written."""
    return str(shown(settings, "path", str(settings.source), full_paths))
