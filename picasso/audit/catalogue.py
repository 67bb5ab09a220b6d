"""What audits try: what Picasso has, and what the operator adds in files of their own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from picasso.audit.interventions import INTERVENTIONS, KINDS, Intervention
from picasso.errors import ConfigurationError, reason
from picasso.registry import import_file


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
            named = isinstance(getattr(one, "name", None), str)
            if not isinstance(one, Intervention) or not named or getattr(one, "kind", None) not in KINDS:
                wanted = f"an Intervention with a name, whose kind is one of {', '.join(KINDS)}"
                raise ConfigurationError(f"{one!r} in {file} must be {wanted}.", field="INTERVENTIONS")
            if one.name in {other.name for other in found}:
                raise ConfigurationError(
                    f"There already is an intervention called {one.name}; rename that in {file}.", field="INTERVENTIONS"
                )
            found.append(one)
    return tuple(found)
