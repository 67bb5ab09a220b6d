"""The registry of visualizations and their templates, with the reasons why some can't be used."""

from __future__ import annotations

import importlib.util
import inspect
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from picasso.config import PACKAGE
from picasso.errors import BadRequest, ConfigurationError, NotFound
from picasso.models.base import Model
from picasso.plugins import Plugin, Plugins, subclasses
from picasso.targets import OutputTask
from picasso.visualizations.base import BaseVisualization

log = logging.getLogger(__name__)

# The entry points of installed packages.
GROUP = "picasso.visualizations"
BUILT_IN = PACKAGE / "visualizations"
TEMPLATES = PACKAGE / "templates"
CARDS = PACKAGE / "static" / "cards"
# The modules in the built-in folder that are not visualizations.
SUPPORT = {"__init__", "base", "panel", "settings"}
DEFAULT_TEMPLATE = "default.html"
# The order of families; others, from plugins, follow.
FAMILIES = (
    "Answers",
    "Perturbation",
    "Gradients",
    "Class activation",
    "Transformers",
    "Regions",
    "Feature visualization",
)


@dataclass(frozen=True)
class Entry:
    """A visualization in the registry.

    Attributes:
        name: the name of the class, or of the file if it could not be imported.
        cls: the class, or None.
        template: the name of its template.
        reason: why it can't be used, or "".
        image: a small example image, or None.
    """

    name: str
    cls: type[BaseVisualization[Any]] | None = None
    template: str = DEFAULT_TEMPLATE
    reason: str = ""
    image: Path | None = None

    def require(self) -> type[BaseVisualization[Any]]:
        """Return the class, or raise a BadRequest with the reason if there is none."""
        if self.cls is None:
            raise BadRequest(f"{self.name} can't be used: {self.reason}")
        return self.cls

    @property
    def family(self) -> str:
        """The heading under which its card is shown."""
        return self.cls.FAMILY if self.cls else "Can't be used"

    @property
    def description(self) -> str:
        """The description of the class, or ""."""
        return self.cls.DESCRIPTION if self.cls else ""

    @property
    def title(self) -> str:
        """The name for people, such as "Grad-CAM"."""
        return self.cls.title() if self.cls else self.name

    @property
    def misleads(self) -> str:
        """The sentence on when its maps mislead, or ""."""
        return self.cls.MISLEADS if self.cls else ""

    @property
    def documentation(self) -> str:
        """The page and the anchor of its section in the documentation, or ""."""
        return self.cls.DOCUMENTATION if self.cls else ""

    def as_dict(self) -> dict[str, Any]:
        """Return its name, description and settings as JSON-ready values, and as ``error`` why it can't be used."""
        controls = self.cls.ALLOWED_SETTINGS.controls() if self.cls else {}
        settings = [
            {"name": name, "default": control.show(control.default), "help": control.help, "allowed": control.allowed()}
            for name, control in controls.items()
        ]
        error = "" if self.cls else self.reason
        return {"name": self.name, "description": self.description, "error": error, "settings": settings}


class Registry:
    """All visualizations of the built-in folder, of ``plugin_dirs`` and of installed packages, read once.

    A package offers visualizations as entry points of the group ``picasso.visualizations``, each a class or a module;
    templates and card images lie beside the class, as in a plugin folder.

    Raises:
        ConfigurationError: a plugin folder does not exist.
    """

    def __init__(self, plugin_dirs: Sequence[Path] = ()) -> None:
        self.plugin_dirs = list(plugin_dirs)
        plugins = Plugins("visualization", "PLUGIN_DIRS", visualizations_of, why_unusable)
        for file in files_in(BUILT_IN):
            if file.stem not in SUPPORT:
                plugins.read_module(f"picasso.visualizations.{file.stem}", file.name)
        for folder in plugin_dirs:
            if not folder.is_dir():
                raise ConfigurationError(f"The folder {folder} in PLUGIN_DIRS does not exist.", field="PLUGIN_DIRS")
            for file in files_in(folder):
                plugins.read_file(file, file.name)
        plugins.read_installed(GROUP)
        self._entries = {name: self._entry(plugin) for name, plugin in plugins.found.items()}

    def entries(self) -> list[Entry]:
        """Return all entries, the usable ones first, sorted by family and name."""
        return sorted(self._entries.values(), key=lambda entry: (entry.cls is None, place(entry.family), entry.name))

    def get(self, name: str) -> Entry:
        """Return the visualization with that name, usable or not.

        Raises:
            NotFound: there is none.
        """
        if name not in self._entries:
            known = ", ".join(entry.name for entry in self.entries() if entry.cls)
            raise NotFound(f"There is no visualization {name[:60]!r}. The visualizations are {known}.")
        return self._entries[name]

    def with_settings(self, names: Sequence[str], settings: Mapping[str, object]) -> dict[str, dict[str, object]]:
        """Return visualizations by name, each with those of the given settings that it has; they are validated.

        Raises:
            NotFound: there is no such visualization.
            BadRequest: one can't be used, none has a setting of that name, or a value is invalid.
        """
        controls = {name: self.get(name).require().ALLOWED_SETTINGS.controls() for name in names}
        unknown = [key for key in settings if not any(key in known for known in controls.values())]
        chosen: dict[str, dict[str, object]] = {}
        for name, known in controls.items():
            chosen[name] = {key: value for key, value in settings.items() if key in known or key in unknown}
            self.get(name).require().ALLOWED_SETTINGS.parse(chosen[name])
        return chosen

    def unsuitable(self, model: Model) -> dict[str, str]:
        """Return the reasons why visualizations do not fit a model, by name; those that fit are omitted."""
        found, card = {}, model.card()
        for entry in self.entries():
            if entry.cls is None:
                continue
            missing, task = card.missing(entry.cls.NEEDS), model.spec.task
            why = f"needs {' and '.join(missing)}, which this model does not provide." if missing else ""
            if task not in entry.cls.TASKS:
                why = unsuited(entry.cls, task)
            try:
                why = why or entry.cls.unsuitable(model)
            # This is code of a plugin; its run will report the error.
            except Exception:
                log.exception("the check whether %s fits the model failed", entry.name)
            if why:
                found[entry.name] = why
        return found

    def _entry(self, plugin: Plugin[type[BaseVisualization[Any]]]) -> Entry:
        """Return the entry of a plugin, with the template and the image that lie beside its class."""
        cls, name = plugin.value, plugin.name
        if cls is None:
            if plugin.error:
                log.error("The visualization %s can't be imported", plugin.source, exc_info=plugin.error)
            return Entry(name, reason=plugin.reason)
        folder = Path(inspect.getfile(cls)).parent
        templates, images = (TEMPLATES, CARDS) if folder == BUILT_IN else (folder, folder)
        if folder.resolve() not in {BUILT_IN.resolve(), *(one.resolve() for one in self.plugin_dirs)}:
            self.plugin_dirs.append(folder)
        template = f"{name}.html" if (templates / f"{name}.html").is_file() else DEFAULT_TEMPLATE
        shown = (images / f"{name}{suffix}" for suffix in (".webp", ".png"))
        return Entry(name, cls, template, image=next((file for file in shown if file.is_file()), None))


def unsuited(visualization: type[BaseVisualization[Any]], task: OutputTask) -> str:
    """Return why a visualization can't explain a model of a task, as the end of a sentence."""
    return f"explains {', '.join(sorted(visualization.TASKS))}, and this model does {task}."


def place(family: str) -> tuple[int, str]:
    """Return the sort key of a family."""
    return (FAMILIES.index(family) if family in FAMILIES else len(FAMILIES), family)


def files_in(folder: Path) -> list[Path]:
    """Return the Python files of a folder, without those whose names begin with an underscore."""
    return [file for file in sorted(folder.glob("*.py")) if not file.stem.startswith("_")]


def visualizations_of(loaded: object) -> Iterator[tuple[str, type[BaseVisualization[Any]]]]:
    """Yield the visualizations that a module defines, without imported ones, or the one of an entry point."""
    for cls in subclasses(BaseVisualization, loaded).values():  # type: ignore[type-abstract]
        defined = not isinstance(loaded, ModuleType) or cls.__module__ == loaded.__name__
        if defined and not inspect.isabstract(cls):
            yield cls.__name__, cls


def why_unusable(cls: type[BaseVisualization[Any]]) -> str:
    """Return why a visualization can't be used, or ""."""
    try:
        # The template lies beside it.
        inspect.getfile(cls)
        cls.ALLOWED_SETTINGS.controls()
    except TypeError as error:
        return f"{error}."
    if cls.EXTRA and importlib.util.find_spec(cls.EXTRA[1]) is None:
        return f"needs another package: pip install 'picasso-viz[{cls.EXTRA[0]}]'."
    return ""
