"""Choose the output with the class scores among several, by name or position."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from picasso import remedies
from picasso.errors import ModelError


def choose_output(outputs: Mapping[str, Any], wanted: int | str | None, label: str) -> int:
    """Return the position of the output with the class scores.

    Args:
        outputs: a description of each output (its shape) by name, in the model's order.
        wanted: the name or the position of one of them; None if the user chose none.
        label: the model's name in error messages.

    Raises:
        ModelError: there are several and none was chosen, or there is none of that name or position.
    """
    names = list(outputs)
    if wanted is None and len(names) == 1:
        return 0
    if isinstance(wanted, str) and wanted in names:
        return names.index(wanted)
    position = int(wanted) if isinstance(wanted, int | str) and str(wanted).lstrip("-").isdigit() else None
    if position is not None and -len(names) <= position < len(names):
        return position % len(names)
    how = remedies.argument("output", names[0] if names else 0)
    listed = ", ".join(f"{name} {described}".strip() for name, described in outputs.items())
    if wanted is None:
        problem = f"{label} has {len(names)} outputs: {listed}. Specify the one with the class scores"
    else:
        count = "one output" if len(names) == 1 else f"{len(names)} outputs"
        problem = f"{label} has no output {wanted!r}; it has {count}: {listed}. Specify one of them"
    raise ModelError(f"{problem}, by its name or its position from 0: {how}.", field="output")
