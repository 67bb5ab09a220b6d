"""What a scan finds in a model file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from picasso.models.scan.limits import Limits


class Kind(StrEnum):
    """What a finding is about, which decides who may lift it."""

    # The file names code, a file or an address. The setting TRUST_MODEL lifts it.
    CODE = "code"
    # The file uses a class or function of its author's. Whoever has it hands it over; TRUST_MODEL leaves it to the
    # framework, which does not find it either.
    CUSTOM = "custom"
    # Reading the file takes more memory or time than the limits allow. The setting MODEL_MB lifts it.
    LIMIT = "limit"
    # The file is cut off, contradicts itself, or is of no known format. Nothing lifts it.
    BROKEN = "broken"


@dataclass(frozen=True)
class Finding:
    """One reason not to load a model file.

    Attributes:
        kind: who may lift it.
        where: the place inside the file in the words of its format, such as ``layer "x" (Lambda), config.json,
            layers[1].config.function`` or ``node "gate/ReadFile", function "__inference_serve_12"``.
        what: one clause without a full stop, such as ``the operation ReadFile reads files``. Values of the file are
            shortened and free of control characters; see :func:`picasso.models.scan.quoting.shown`.
        name: of kind CUSTOM, the name under which the class or function is to be handed over.
    """

    kind: Kind
    where: str
    what: str
    name: str = ""


@dataclass(frozen=True)
class Context:
    """What the operator said before a file is read.

    Attributes:
        limits: the bounds on memory and time.
        known: names of layers and functions that the operator's own code registers, as ``"Name"`` or
            ``"Package>Name"``; the file may use them.
    """

    limits: Limits = field(default_factory=Limits)
    known: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Report:
    """The verdict on one model file or folder.

    Attributes:
        path: what was scanned.
        format: its format in words, such as ``"Keras 3 archive (.keras)"``, or "" where it is unknown.
        findings: all reasons not to load it, at most :attr:`Limits.findings` of each kind; none if it is data alone.
    """

    path: Path
    format: str
    findings: tuple[Finding, ...]

    def __iter__(self) -> Iterator[Finding]:
        return iter(self.findings)

    @property
    def is_data(self) -> bool:
        """Whether nothing was found."""
        return not self.findings
