"""Finding visualizations and their templates, and saying why one that was found can't be used."""

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
# The files in the built-in folder that are no visualizations.
SUPPORT = {"__init__", "base", "panel", "settings"}
DEFAULT_TEMPLATE = "default.html"
# The order of families; others, which plugins may make up, follow.
FAMILIES = ("Answers", "Perturbation", "Gradients", "Class activation", "Regions")


@dataclass(frozen=True)
class Entry:
    """A visualization that was found.

    Attributes:
        name: the class's name, or the file's where it could not be imported.
        cls: the class, or None.
        template: the name of the template that draws it.
        reason: why it can't be used, or "".
        image: a small image of what it gives, or None.
    """

    name: str
    cls: type[BaseVisualization[Any]] | None = None
    template: str = DEFAULT_TEMPLATE
    reason: str = ""
    image: Path | None = None

    def require(self) -> type[BaseVisualization[Any]]:
        """Return the class, or raise a BadRequest that says why there is none."""
        if self.cls is None:
            raise BadRequest(f"{self.name} can't be used: {self.reason}")
        return self.cls

    @property
    def family(self) -> str:
        """The group of cards that it is shown in."""
        return self.cls.FAMILY if self.cls else "Can't be used"

    @property
    def description(self) -> str:
        """The class's one line, or ""."""
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
                raise ConfigurationError(f"There is no folder {folder}, which PLUGIN_DIRS names.", field="PLUGIN_DIRS")
            self._read(folder, folder, folder)
        for name, load in installed(GROUP):
            self._install(name, load)

    def entries(self) -> list[Entry]:
        """Return everything that was found, the usable first, family by family in alphabetical order."""
        return sorted(self._entries.values(), key=lambda entry: (entry.cls is None, place(entry.family), entry.name))

    def get(self, name: str) -> Entry:
        """Return the visualization of that name, usable or not.

        Raises:
            NotFound: there is none.
        """
        if name not in self._entries:
            known = ", ".join(entry.name for entry in self.entries() if entry.cls)
            raise NotFound(f"There is no visualization of that name; there are {known}.")
        return self._entries[name]

    def with_settings(self, names: Sequence[str], settings: Mapping[str, object]) -> dict[str, dict[str, object]]:
        """Return visualizations by name, each with those of some settings that it has; they are checked.

        Raises:
            NotFound: there is no such visualization.
            BadRequest: one can't be used, no one has a setting of such a name, or a value is wrong.
        """
        controls = {name: self.get(name).require().ALLOWED_SETTINGS.controls() for name in names}
        unknown = [key for key in settings if not any(key in known for known in controls.values())]
        chosen: dict[str, dict[str, object]] = {}
        for name, known in controls.items():
            chosen[name] = {key: value for key, value in settings.items() if key in known or key in unknown}
            self.get(name).require().ALLOWED_SETTINGS.parse(chosen[name])
        return chosen

    def unsuitable(self, model: Model) -> dict[str, str]:
        """Return why visualizations do not fit a model, by their names; those that fit are left out."""
        found, card = {}, model.card()
        for entry in self.entries():
            if entry.cls is None:
                continue
            missing = card.missing(entry.cls.NEEDS)
            why = f"needs {' and '.join(missing)}, which this model can't give." if missing else ""
            try:
                why = why or entry.cls.unsuitable(model)
            # A plugin's own code; what is wrong with it, its run will say.
            except Exception:
                log.exception("%s could not be asked whether it fits the model", entry.name)
            if why:
                found[entry.name] = why
        return found

    def _read(self, folder: Path, templates: Path, images: Path) -> None:
        for file in sorted(folder.glob("*.py")):
            if file.stem.startswith("_") or (folder == BUILT_IN and file.stem in SUPPORT):
                continue
            try:
                classes = visualizations_in(import_file(file, folder))
            # A plugin may raise anything, even SystemExit; it must not take the application down.
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
            self._entries[label] = Entry(label, reason=f"there already is a visualization called {name}; rename one.")
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
    """Return what families are ordered by."""
    return (FAMILIES.index(family) if family in FAMILIES else len(FAMILIES), family)


def import_file(file: Path, folder: Path) -> ModuleType:
    """Import one file: built-in ones by their own name, others under a name that can't clash."""
    if folder == BUILT_IN:
        return importlib.import_module(f"picasso.visualizations.{file.stem}")
    name = f"picasso_plugin_{abs(hash(str(folder)))}_{file.stem}"
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise ImportError(f"{file} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def visualizations_in(module: ModuleType) -> list[type[BaseVisualization[Any]]]:
    """Return the visualization classes that a module defines, not those that it imports."""
    return [
        cls
        for cls in vars(module).values()
        if isinstance(cls, type)
        and issubclass(cls, BaseVisualization)
        and cls.__module__ == module.__name__
        and not inspect.isabstract(cls)
    ]
