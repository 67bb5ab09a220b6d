"""Model files that nobody should load, made from nothing: for each format a module with a list ``FILES``.

``python -m tests.hostile.make_models FOLDER`` writes them all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Hostile:
    """A model file that has to be refused.

    Attributes:
        name: of the file or folder that is to be loaded, unique among all.
        kind: what the first finding has to be about, as in :class:`picasso.models.scan.findings.Kind`.
        said: a regular expression that is found in ``what; where`` of one of the findings.
        write: writes the file into a folder. It is given the folder and a path outside of it that the file names; a
            marker lies there, or would appear there, if the file had its way.
    """

    name: str
    kind: str
    said: str
    write: Callable[[Path, Path], None]
