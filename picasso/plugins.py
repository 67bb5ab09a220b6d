"""Plugins: Python files and installed packages that add visualizations, interventions and model classes."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from operator import itemgetter
from pathlib import Path
from types import ModuleType
from typing import Any, Generic, TypeVar

from picasso.errors import ConfigurationError, PicassoError, reason

T = TypeVar("T")


@dataclass(frozen=True)
class Plugin(Generic[T]):
    """A plugin, or the reason why it can't be used.

    Attributes:
        name: the name of the plugin, or of its file or entry point if the import failed.
        source: the file or entry point, for messages; never a full path.
        value: the class or object, or None if it can't be used.
        reason: the reason why it can't be used, or "".
        error: the error that the import failed with, or None.
    """

    name: str
    source: str
    value: T | None = None
    reason: str = ""
    error: PicassoError | None = None

    def require(self, setting: str) -> T:
        """Return the value.

        Args:
            setting: the setting to correct if the plugin can't be used.

        Raises:
            ConfigurationError: the plugin can't be used.
        """
        if self.value is None:
            raise self.error or ConfigurationError(f"In {self.source}, {self.reason}", field=setting)
        return self.value


class Plugins(Generic[T]):
    """All plugins of one kind, by name, in the order in which they were read.

    A plugin may raise any exception, even SystemExit, but the application continues: the plugin is listed with the
    reason, a sentence. If two plugins have the same name, the second one is listed as unusable in the same way.

    Args:
        kind: the word for such a plugin in messages, such as "visualization".
        setting: the name of the setting that lists their files.
        offered: a function that returns the plugins of a module, or of the object of an entry point, with their names.
        wrong: a function that returns the reason why a plugin can't be used, or "".
    """

    def __init__(
        self,
        kind: str,
        setting: str,
        offered: Callable[[Any], Iterable[tuple[str, T]]],
        wrong: Callable[[T], str] = lambda _: "",
    ) -> None:
        self.kind = kind
        self.setting = setting
        self.found: dict[str, Plugin[T]] = {}
        self._offered = offered
        self._wrong = wrong

    def read_module(self, name: str, shown: str = "") -> None:
        """Import a module by name; ``shown`` is how messages refer to it."""
        self._read(
            name.rpartition(".")[2],
            name,
            shown or f"{name}, which {self.setting} names,",
            lambda: importlib.import_module(name),
        )

    def read_file(self, file: Path, shown: str = "") -> None:
        """Import a Python file; ``shown`` is how messages refer to it.

        Raises:
            ConfigurationError: there is no such file.
        """
        if not file.is_file():
            raise ConfigurationError(f"There is no file {file}, which {self.setting} names.", field=self.setting)
        self._read(
            file.stem,
            f"{file.parent.name}/{file.name}",
            shown or f"{file}, which {self.setting} names,",
            lambda: import_file(file),
        )

    def read_installed(self, group: str, only: str = "") -> None:
        """Import the entry points of a group, or only one of them."""
        for name, load in installed(group):
            if name == only or not only:
                source = f"{name} of an installed package"
                self._read(name, source, source, load, required=True)

    def all(self) -> dict[str, T]:
        """Return all plugins by name.

        Raises:
            ConfigurationError: one of them can't be used.
        """
        return {name: plugin.require(self.setting) for name, plugin in self.found.items()}

    def _read(self, name: str, source: str, shown: str, load: Callable[[], Any], *, required: bool = False) -> None:
        """Add the plugins of a source, or the reason if it can't be imported or contains none although ``required``."""
        problem = "can't be imported"
        try:
            loaded = load()
            problem = f"offers no {self.kind}"
            checked = [(key, value, self._wrong(value)) for key, value in self._offered(loaded)]
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            failed = ConfigurationError(f"{shown} {problem}: {reason(error)}.", field=self.setting)
            failed.__cause__ = error
            # The message of a PicassoError is complete, for the operator. Visitors see the reason, without paths.
            raised = error if isinstance(error, PicassoError) else failed
            self._add(Plugin(name, source, reason=failed.message, error=raised))
            return
        for key, value, wrong in checked:
            self._add(Plugin(key, source, None if wrong else value, wrong))
        if required and not checked:
            failed = ConfigurationError(f"{shown} {problem}.", field=self.setting)
            self._add(Plugin(name, source, reason=failed.message, error=failed))

    def _add(self, plugin: Plugin[T]) -> None:
        name = plugin.name
        if name in self.found:
            name = f"{name} ({plugin.source})"
            twice = f"another {self.kind} is also called {plugin.name}. Rename one of them."
            plugin = Plugin(name, plugin.source, reason=plugin.reason or twice, error=plugin.error)
        self.found[name] = plugin


def installed(group: str) -> list[tuple[str, Callable[[], Any]]]:
    """Return the entry points of installed packages: the name of each, and a function that imports it; sorted by name.

    Args:
        group: the group of entry points: ``"picasso.visualizations"``, ``"picasso.interventions"`` or
            ``"picasso.models"``.
    """
    times = tuple((str(Path(folder).absolute()), changed_at(Path(folder))) for folder in sys.path)
    return list(entry_points_in(times, group))


def changed_at(folder: Path) -> int:
    """Return when a folder was last changed, in nanoseconds, or 0 if it can't be read."""
    try:
        return folder.stat().st_mtime_ns
    except (OSError, ValueError):
        return 0


@lru_cache(maxsize=16)
def entry_points_in(times: tuple[tuple[str, int], ...], group: str) -> tuple[tuple[str, Callable[[], Any]], ...]:
    """Return the entry points of a group, read again when a folder of Python's search path has changed.

    Reading the metadata of all packages takes as long as a map by one gradient.
    """
    # Imported here, because only commands that look for plugins need it.
    from importlib.metadata import entry_points

    return tuple(sorted(((one.name, one.load) for one in entry_points(group=group)), key=itemgetter(0)))


def import_file(file: Path) -> ModuleType:
    """Execute a Python file and return it as a module, with a name that depends on the file's path."""
    name = f"picasso_plugin_{zlib.crc32(bytes(file.parent)):08x}_{file.stem}"
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise ImportError(f"{file.name} is no Python file")
    module = importlib.util.module_from_spec(spec)
    # Registered before execution, as the import system does, because dataclasses and pickle look up the module.
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def subclasses(base: type[T], loaded: object) -> dict[str, type[T]]:
    """Return ``base`` and the classes derived from it that a module contains or imports, by their names there.

    Args:
        base: the base class.
        loaded: a module, or a single class.

    Raises:
        TypeError: ``loaded`` is neither a module nor such a class.
    """
    if isinstance(loaded, ModuleType):
        return {name: one for name, one in vars(loaded).items() if isinstance(one, type) and issubclass(one, base)}
    if isinstance(loaded, type) and issubclass(loaded, base):
        return {loaded.__name__: loaded}
    raise TypeError(f"{loaded!r} is no class derived from {base.__name__}")
