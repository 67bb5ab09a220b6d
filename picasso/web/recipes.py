"""Recipes that reproduce a run without the pages: as a command line and as Python code."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from picasso.config import DEFAULTS, MODEL_SETTINGS, Settings
from picasso.explanation.registry import Registry
from picasso.jobs.run import Spec
from picasso.models.loading import SETTINGS_SUFFIXES
from picasso.targets import Wanted
from picasso.targets.class_names import AGAINST
from picasso.web.quoting import as_yaml, bracketed, is_name, keywords, literal, option, wrapped

# The settings that affect results; the others concern the server.
DECISIVE = (*MODEL_SETTINGS, "TOP_CLASSES")
# The parameters of load_model() in addition to arguments of load().
ARGUMENTS = {
    "LABELS": "labels",
    "PREPROCESS": "preprocess",
    "TASK": "task",
    "UNIT": "unit",
    "OUTPUT": "output_kind",
    "TRUST_MODEL": "trust_model",
}
OWN_NAMES = {"path", *ARGUMENTS.values()}
# The settings, and arguments of load(), that are paths relative to the settings file.
PATHS = ("MODEL", "MODEL_CLS_PATH", "LABELS", "PLUGIN_DIRS", "data_dir", "path")
# The beginnings of other texts that are paths.
PATH = re.compile(r"[/~\\]|\.\.?[/\\]|[A-Za-z]:[/\\]")


def as_command(
    settings: Settings, spec: Spec, registry: Registry, *, names: Sequence[str] = (), full_paths: bool = False
) -> str:
    """Return the command line that reproduces a run, for a POSIX shell.

    For settings without a command line option, comment lines explain what to add to the settings file first.

    Args:
        settings: the settings of the server.
        spec: the specification of the run.
        registry: the visualizations of the server.
        names: the class names in the order of the model's output; without them, classes are shown as indices.
        full_paths: whether to show full paths on the server; otherwise only file names.
    """
    spec = comparing(spec)
    more = [*(["COMPARE"] if spec.models else []), *(["PLUGIN_DIRS"] if from_plugin(registry, spec) else [])]
    chosen = decisive(settings, full_paths, more)
    files = compared_files(chosen.get("COMPARE", {}))
    if files.keys() >= set(spec.models):
        chosen.pop("COMPARE", None)
    options: list[list[str]] = []
    if settings.source:
        options.append(option("--config", source(settings, full_paths)))
    if sayable(chosen, "MODEL"):
        # The option also replaces the arguments in the settings file.
        standard = DEFAULTS["MODEL_LOAD_ARGS"] == settings.MODEL_LOAD_ARGS
        arguments = {} if standard else shown(settings, "MODEL_LOAD_ARGS", settings.MODEL_LOAD_ARGS, full_paths)
        chosen.pop("MODEL_LOAD_ARGS", None)
        options.append(option("--model", chosen.pop("MODEL")))
        options += [option("--load-arg", f"{key}={as_yaml(value)}") for key, value in arguments.items()]
    if sayable(chosen, "LABELS"):
        options.append(option("--labels", chosen.pop("LABELS")))
    if "PREPROCESS" in chosen:
        options.append(option("--preprocess", chosen.pop("PREPROCESS")))
    if "TASK" in chosen:
        options.append(option("--task", chosen.pop("TASK")))
    if "UNIT" in chosen:
        options.append(option("--unit", chosen.pop("UNIT")))
    if "OUTPUT" in chosen:
        options.append(option("--output-kind", chosen.pop("OUTPUT")))
    if chosen.get("TRUST_MODEL"):
        del chosen["TRUST_MODEL"]
        options.append(["--trust-model"])
    controls = registry.get(spec.visualization).require().ALLOWED_SETTINGS.controls()
    values = {key: controls[key].show(value) if key in controls else value for key, value in spec.settings.items()}
    options.append(option("--visualization", spec.visualization))
    options += [option("--set", f"{key}={value}") for key, value in values.items()]
    options += [option("--target", str(by_name(one, names))) for one in spec.targets]
    options += [option("--compare", f"{name}={files[name]}" if name in files else name) for name in spec.models]
    # A file name that begins with a dash must not be read as an option.
    images = [[f"./{name}" if name.startswith("-") else name] for name in names_of(spec)]
    where = source(settings, full_paths) if settings.source else "config.py"
    remarks = [
        f"# First set this in {literal(where)}, because there is no option for it: {key} = {literal(value)}\n"
        for key, value in chosen.items()
    ]
    return "".join(remarks) + wrapped([["picasso", "explain"], *images, *options])


def as_python(
    settings: Settings, spec: Spec, registry: Registry, *, names: Sequence[str] = (), full_paths: bool = False
) -> str:
    """Return the Python code that reproduces a run and assigns its results to ``results``.

    The arguments are those of :func:`as_command`.
    """
    spec = comparing(spec)
    chosen = decisive(settings, full_paths, ["COMPARE"] if spec.models else [])
    arguments = [bracketed("[", map(literal, names_of(spec)), "]", 4), literal(spec.visualization)]
    if spec.targets:
        targets = (literal(by_name(one, names)) for one in spec.targets)
        arguments.append(bracketed("targets=[", targets, "]", 4))
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
    """Return an import and the Python expression that creates the settings of the server."""
    if not settings.source:
        return "from picasso.config import Settings", bracketed("Settings(", keywords(chosen), ")")
    parts = [literal(source(settings, full_paths))]
    if chosen:
        pairs = (f"{literal(key)}: {literal(value)}" for key, value in chosen.items())
        parts.append(bracketed("{", pairs, "}", 4))
    return "from picasso import config", bracketed("config.load(", parts, ")")


# ---- what is in the recipes -----------------------------------------------------------------------------------------


def decisive(settings: Settings, full_paths: bool, more: Sequence[str]) -> dict[str, Any]:
    """Return the overrides of the settings file or the defaults that affect results, including those in ``more``."""
    return {
        key: shown(settings, key, value, full_paths)
        for key, value in settings.overrides.items()
        if key in (*DECISIVE, *more) and (settings.source or value != DEFAULTS[key])
    }


def comparing(spec: Spec) -> Spec:
    """Return a run of a model of ``COMPARE`` as one that compares it with the main model, which has the same maps."""
    return replace(spec, models=[spec.model], model="") if spec.model else spec


def compared_files(models: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Return the files of the models of ``COMPARE`` that are fully specified by a file, by their names."""
    return {
        name: settings["MODEL"]
        for name, settings in models.items()
        if settings.get("MODEL") and settings == {"MODEL": settings["MODEL"], "MODEL_LOAD_ARGS": {}}
    }


def names_of(spec: Spec) -> list[str]:
    """Return the original names of the images."""
    return [image["name"] for image in spec.images]


def by_name(index: Wanted, names: Sequence[str]) -> int | str:
    """Return the name of a class if it is printable and unambiguous, or else its index; another target unchanged."""
    if isinstance(index, str):
        return index
    if not isinstance(index, int):
        return AGAINST.join(str(by_name(one, names)) for one in index)
    name = names[index] if index < len(names) else ""
    usable = name and name.isprintable() and name == name.strip() and names.count(name) == 1
    return name if usable else index


def from_plugin(registry: Registry, spec: Spec) -> bool:
    """Tell whether a run's visualization is a plugin."""
    return not registry.get(spec.visualization).require().__module__.startswith("picasso.visualizations.")


def sayable(chosen: Mapping[str, Any], key: str) -> bool:
    """Tell whether a path is set that can be used outside of settings, that is, without ``{picasso}``."""
    return bool(chosen.get(key)) and "{picasso}" not in chosen[key]


def model_file(chosen: Mapping[str, Any]) -> bool:
    """Tell whether all chosen settings can be passed to load_model()."""
    arguments = chosen.get("MODEL_LOAD_ARGS", {})
    known = chosen.keys() <= {"MODEL", "MODEL_LOAD_ARGS", *ARGUMENTS}
    paths = sayable(chosen, "MODEL") and (sayable(chosen, "LABELS") or not chosen.get("LABELS"))
    return paths and known and all(map(is_name, arguments)) and not arguments.keys() & OWN_NAMES


def file_arguments(chosen: Mapping[str, Any]) -> list[str]:
    """Return the arguments of load_model() for a model file."""
    named = {word: chosen[key] for key, word in ARGUMENTS.items() if key in chosen}
    return [literal(chosen["MODEL"]), *keywords({**named, **chosen.get("MODEL_LOAD_ARGS", {})})]


# ---- where things are -----------------------------------------------------------------------------------------------


def shown(settings: Settings, key: str, value: Any, full_paths: bool) -> Any:
    """Return the value of a setting, or of a part of one, with full paths or only their last parts."""
    if isinstance(value, dict):
        return {name: shown(settings, name, one, full_paths) for name, one in value.items()}
    if isinstance(value, list):
        return [shown(settings, key, one, full_paths) for one in value]
    # Paths within Picasso are not secret, and they differ on other machines.
    if not isinstance(value, str) or not value or "{picasso}" in value:
        return value
    if key == "PREPROCESS":
        file, colon, function = value.rpartition(":")
        return f"{shown(settings, 'path', file, full_paths)}{colon}{function}" if file.endswith(".py") else value
    if full_paths:
        return str(settings.path(value)) if key in PATHS else value
    return Path(value).name or "." if key in PATHS or PATH.match(value) or is_there(settings, value) else value


def is_there(settings: Settings, text: str) -> bool:
    """Tell whether a text with a slash, which could also be the name of a tensor, is an existing path."""
    try:
        return "/" in text and (settings.path(text).exists() or Path(text).exists())
    except (OSError, ValueError):
        return False


def source(settings: Settings, full_paths: bool) -> str:
    """Return the path of the settings file as it is shown."""
    return str(shown(settings, "path", str(settings.source), full_paths))
