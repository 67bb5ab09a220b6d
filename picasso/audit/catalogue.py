"""The interventions of audits: the built-in ones, those from files of the operator and those of installed packages."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType

from picasso.audit import interventions as built_in
from picasso.audit.interventions import KINDS, Intervention
from picasso.errors import BadRequest, reason
from picasso.plugins import Plugins

# The entry points of installed packages.
GROUP = "picasso.interventions"


def catalogue(files: Sequence[Path] = ()) -> tuple[Intervention, ...]:
    """Return the built-in interventions, those of files and those of installed packages.

    Each file has a list ``INTERVENTIONS``. An entry point of the group ``picasso.interventions`` is an intervention, a
    list of them, or a module with such a list.

    Raises:
        ConfigurationError: a file can't be imported or has no such list, an item is not an intervention or has an
            unknown kind, or a name is used twice.
    """
    plugins = Plugins("intervention", "INTERVENTIONS", interventions_of, what_is_wrong)
    plugins.read_module(built_in.__name__)
    for file in files:
        plugins.read_file(file)
    plugins.read_installed(GROUP)
    return tuple(plugins.all().values())


def interventions_of(loaded: object) -> Iterator[tuple[str, Intervention]]:
    """Yield the interventions of a module, of a list or a single one, with their names."""
    if isinstance(loaded, ModuleType):
        if not hasattr(loaded, "INTERVENTIONS"):
            raise TypeError("there is no list INTERVENTIONS")
        loaded = loaded.INTERVENTIONS
    for one in [loaded] if isinstance(loaded, Intervention) else list(loaded):  # type: ignore[call-overload]
        yield type(one).__name__ if what_is_wrong(one) else one.name, one


def what_is_wrong(one: object) -> str:
    """Return an error message if something is not a valid intervention, or ""."""
    if isinstance(one, type):
        return f"{one.__name__} is a class; add an instance, {one.__name__}()."
    wanted = f"an Intervention with a name, whose kind is one of {', '.join(KINDS)}"
    try:
        named = isinstance(getattr(one, "name", None), str)
        kind = getattr(one, "kind", None)
        right = isinstance(one, Intervention) and named and any(kind == known for known in KINDS)
        return "" if right else f"{one!r} must be {wanted}."
    # The name, the kind and the representation may be properties that fail.
    except Exception as error:
        return f"a {type(one).__name__} must be {wanted}: {reason(error)}."


def checked(interventions: Sequence[Intervention]) -> tuple[Intervention, ...]:
    """Return the interventions after validating them, before anything is computed.

    Raises:
        BadRequest: one is not an intervention or has an unknown kind, or two have the same name.
    """
    names: set[str] = set()
    for one in interventions:
        if wrong := what_is_wrong(one):
            raise BadRequest(wrong[0].upper() + wrong[1:], field="interventions")
        if one.name in names:
            raise BadRequest(f"Two interventions are called {one.name}; rename one.", field="interventions")
        names.add(one.name)
    return tuple(interventions)
