"""The interventions of audits: the built-in ones, and those from files of the operator."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from picasso.audit.interventions import INTERVENTIONS, KINDS, Intervention
from picasso.config import installed
from picasso.errors import BadRequest, ConfigurationError, reason
from picasso.explanation.registry import import_file


def catalogue(files: Sequence[Path] = ()) -> tuple[Intervention, ...]:
    """Return the built-in interventions, those of files and those of installed packages.

    Each file has a list ``INTERVENTIONS``. An entry point of the group ``picasso.interventions`` is an intervention or
    a list of them.

    Raises:
        ConfigurationError: a file can't be imported or has no such list, an item is not an intervention or has an
            unknown kind, or a name is used twice.
    """
    found = list(INTERVENTIONS)
    for file in files:
        add(found, str(file), lambda file=file: import_file(file, file.parent).INTERVENTIONS)  # type: ignore[misc]
    for name, load in installed("picasso.interventions"):
        add(found, f"the installed plugin {name}", load)
    return tuple(found)


def add(found: list[Intervention], source: str, load: Callable[[], Any]) -> None:
    """Add the interventions of one source to those that were found before.

    Raises:
        ConfigurationError: see :func:`catalogue`.
    """
    try:
        loaded = load()
        listed = [loaded] if isinstance(loaded, Intervention) else list(loaded)
    except (Exception, SystemExit) as error:
        why = f"{source} has no list INTERVENTIONS: {reason(error)}."
        raise ConfigurationError(why, field="INTERVENTIONS") from error
    for one in listed:
        if wrong := what_is_wrong(one):
            raise ConfigurationError(f"In {source}, {wrong}", field="INTERVENTIONS")
        if one.name in {other.name for other in found}:
            raise ConfigurationError(
                f"There already is an intervention called {one.name}; rename the one in {source}.",
                field="INTERVENTIONS",
            )
        found.append(one)


def what_is_wrong(one: object) -> str:
    """Return an error message if something is not a valid intervention, or ""."""
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
