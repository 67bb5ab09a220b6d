"""The registry of visualizations and their templates, with the reasons why some can't be used."""

from __future__ import annotations

import importlib.util
import inspect
import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from picasso.config import PACKAGE, installed
from picasso.errors import BadRequest, ConfigurationError, NotFound, reason
from picasso.models.base import Model
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
FAMILIES = ("Answers", "Perturbation", "Gradients", "Class activation", "Regions")


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


class Registry:
    """All visualizations of the built-in folder, of ``plugin_dirs`` and of installed packages, read once.

    A package offers visualizations as entry points of the group ``picasso.visualizations``, each a class or a module;
    templates and card images lie beside the class, as in a plugin folder.

    Raises:
        ConfigurationError: a plugin folder does not exist.
    """

    def __init__(self, plugin_dirs: Sequence[Path] = ()) -> None:
        self.plugin_dirs = list(plugin_dirs)
        self._entries: dict[str, Entry] = {}
        self._read(BUILT_IN, TEMPLATES, CARDS)
        for folder in self.plugin_dirs:
            if not folder.is_dir():
                raise ConfigurationError(f"The folder {folder} in PLUGIN_DIRS does not exist.", field="PLUGIN_DIRS")
            self._read(folder, folder, folder)
        for name, load in installed(GROUP):
            self._install(name, load)

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
            raise NotFound(f"There is no visualization of that name. The visualizations are {known}.")
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
            missing = card.missing(entry.cls.NEEDS)
            why = f"needs {' and '.join(missing)}, which this model does not provide." if missing else ""
            try:
                why = why or entry.cls.unsuitable(model)
            # This is code of a plugin; its run will report the error.
            except Exception:
                log.exception("the check whether %s fits the model failed", entry.name)
            if why:
                found[entry.name] = why
        return found

    def _read(self, folder: Path, templates: Path, images: Path) -> None:
        for file in sorted(folder.glob("*.py")):
            if file.stem.startswith("_") or (folder == BUILT_IN and file.stem in SUPPORT):
                continue
            try:
                classes = visualizations_in(import_file(file, folder))
            # A plugin may raise anything, even SystemExit, but must not stop the application.
            except BaseException as error:
                if isinstance(error, KeyboardInterrupt):
                    raise
                log.exception("The visualization file %s can't be imported", file)
                why = f"{file.name} can't be imported: {reason(error)}."
                self._entries.setdefault(file.stem, Entry(file.stem, reason=why))
                continue
            for cls in classes:
                self._add(cls, file, templates, images)

    def _install(self, name: str, load: Callable[[], Any]) -> None:
        try:
            found = load()
            classes = visualizations_in(found) if isinstance(found, ModuleType) else [found]
            files = [Path(inspect.getfile(cls)) for cls in classes if issubclass(cls, BaseVisualization)]
            if not files or len(files) < len(classes):
                raise TypeError(f"{found!r} must be a BaseVisualization, or a module that defines some")
        # As above: an installed plugin may raise anything.
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            log.exception("The installed visualization %s can't be imported", name)
            self._entries.setdefault(name, Entry(name, reason=f"the installed plugin can't be used: {reason(error)}."))
            return
        for cls, file in zip(classes, files, strict=True):
            if file.parent not in self.plugin_dirs:
                self.plugin_dirs.append(file.parent)
            self._add(cls, file, file.parent, file.parent)

    def _add(self, cls: type[BaseVisualization[Any]], file: Path, templates: Path, images: Path) -> None:
        name = cls.__name__
        if name in self._entries:
            label = f"{name} ({file.parent.name}/{file.name})"
            self._entries[label] = Entry(
                label, reason=f"another visualization is also called {name}. Rename one of them."
            )
            return
        try:
            cls.ALLOWED_SETTINGS.controls()
        except TypeError as error:
            self._entries[name] = Entry(name, reason=f"{error}.")
            return
        if cls.EXTRA and importlib.util.find_spec(cls.EXTRA[1]) is None:
            why = f"needs another package: pip install 'picasso-viz[{cls.EXTRA[0]}]'."
            self._entries[name] = Entry(name, reason=why)
            return
        template = f"{name}.html" if (templates / f"{name}.html").is_file() else DEFAULT_TEMPLATE
        shown = (images / f"{name}{suffix}" for suffix in (".webp", ".png"))
        image = next((file for file in shown if file.is_file()), None)
        self._entries[name] = Entry(name, cls, template, image=image)


def place(family: str) -> tuple[int, str]:
    """Return the sort key of a family."""
    return (FAMILIES.index(family) if family in FAMILIES else len(FAMILIES), family)


def import_file(file: Path, folder: Path) -> ModuleType:
    """Import one file: built-in ones by their own name, others under a unique name."""
    if folder == BUILT_IN:
        return importlib.import_module(f"picasso.visualizations.{file.stem}")
    name = f"picasso_plugin_{abs(hash(str(folder)))}_{file.stem}"
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise ImportError(f"{file} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def visualizations_in(module: ModuleType) -> list[type[BaseVisualization[Any]]]:
    """Return the visualization classes defined in a module, without imported ones."""
    return [
        cls
        for cls in vars(module).values()
        if isinstance(cls, type)
        and issubclass(cls, BaseVisualization)
        and cls.__module__ == module.__name__
        and not inspect.isabstract(cls)
    ]
