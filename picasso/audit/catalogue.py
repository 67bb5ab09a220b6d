"""What audits try: what Picasso has, and what the operator adds in files of their own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from picasso.audit.interventions import INTERVENTIONS, KINDS, Intervention
from picasso.errors import BadRequest, ConfigurationError, reason
from picasso.explanation.registry import import_file


def catalogue(files: Sequence[Path] = ()) -> tuple[Intervention, ...]:
    """Return the built-in interventions and those of files; each file has a list ``INTERVENTIONS``.

    Raises:
        ConfigurationError: a file can't be imported or has no such list, one in it is no intervention or of no known
            kind, or a name is there twice.
    """
    found = list(INTERVENTIONS)
    for file in files:
        try:
            listed = list(import_file(file, file.parent).INTERVENTIONS)
        except (Exception, SystemExit) as error:
            why = f"{file} has no list INTERVENTIONS: {reason(error)}."
            raise ConfigurationError(why, field="INTERVENTIONS") from error
        for one in listed:
            if wrong := what_is_wrong(one):
                raise ConfigurationError(f"In {file}, {wrong}", field="INTERVENTIONS")
            if one.name in {other.name for other in found}:
                raise ConfigurationError(
                    f"There already is an intervention called {one.name}; rename that in {file}.", field="INTERVENTIONS"
                )
            found.append(one)
    return tuple(found)


def what_is_wrong(one: object) -> str:
    """Say what keeps something from being tried as an intervention, as a sentence; "" if nothing does."""
    wanted = f"an Intervention with a name, whose kind is one of {', '.join(KINDS)}"
    try:
        named = isinstance(getattr(one, "name", None), str)
        kind = getattr(one, "kind", None)
        right = isinstance(one, Intervention) and named and any(kind == known for known in KINDS)
        return "" if right else f"{one!r} must be {wanted}."
    # Its name, its kind or what it says of itself may be code.
    except Exception as error:
        return f"a {type(one).__name__} must be {wanted}: {reason(error)}."


def checked(interventions: Sequence[Intervention]) -> tuple[Intervention, ...]:
    """Return interventions as they are, or say before anything is computed that one of them can't be tried.

    Raises:
        BadRequest: one is none or of no known kind, or two have one name.
    """
    names: set[str] = set()
    for one in interventions:
        if wrong := what_is_wrong(one):
            raise BadRequest(wrong[0].upper() + wrong[1:], field="interventions")
        if one.name in names:
            raise BadRequest(f"Two interventions are called {one.name}; rename one.", field="interventions")
        names.add(one.name)
    return tuple(interventions)
