"""The results of a scan of a model file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from picasso.models.scan.limits import Limits


class Kind(StrEnum):
    """The kind of a finding, which determines how a user can permit it."""

    # The file refers to code, a file or an address. The setting TRUST_MODEL permits it.
    CODE = "code"
    # The file uses a custom class or function, which the user must pass. With TRUST_MODEL the framework decides, but
    # it does not find the class either.
    CUSTOM = "custom"
    # Reading the file takes more memory or time than the limits allow. The setting MODEL_MB permits it.
    LIMIT = "limit"
    # The file is truncated, inconsistent or of an unknown format. No setting permits it.
    BROKEN = "broken"


@dataclass(frozen=True)
class Finding:
    """One reason not to load a model file.

    Attributes:
        kind: its kind.
        where: the place inside the file in the terms of its format, such as ``layer "x" (Lambda), config.json,
            layers[1].config.function`` or ``node "gate/ReadFile", function "__inference_serve_12"``.
        what: one clause without a full stop, such as ``the operation ReadFile reads files``. Values from the file are
            shortened and free of control characters; see :func:`picasso.models.scan.quoting.shown`.
        name: for the kind CUSTOM, the name under which the class or function must be passed; otherwise "".
    """

    kind: Kind
    where: str
    what: str
    name: str = ""


@dataclass(frozen=True)
class Context:
    """The user's settings for a scan.

    Attributes:
        limits: the limits on memory and time.
        known: the names of layers and functions that the user's code registers, as ``"Name"`` or ``"Package>Name"``;
            the file may use them.
    """

    limits: Limits = field(default_factory=Limits)
    known: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Report:
    """The result of the scan of one model file or folder.

    Attributes:
        path: the path that was scanned.
        format: the name of its format, a value of :class:`picasso.models.recognition.Format`.
        findings: the reasons not to load it, at most :attr:`Limits.findings` of each kind; none if it is only data.
    """

    path: Path
    format: str
    findings: tuple[Finding, ...]

    def __iter__(self) -> Iterator[Finding]:
        return iter(self.findings)

    @property
    def is_data(self) -> bool:
        """True if there are no findings."""
        return not self.findings
