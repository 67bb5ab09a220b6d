"""The SARIF file of a command, or of several that share one; imports nothing slow."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from picasso.errors import BadRequest, PicassoError
from picasso.evaluation.sarif import Alert, Level, Rule, sarif

if TYPE_CHECKING:
    from picasso.config import Settings


@dataclass
class Collected:
    """The alerts of several commands that share a SARIF file, which is written after the last of them.

    Attributes:
        file: the file that they name; None for none.
        alerts: what all of them found.
        complete: whether no command ended by an unexpected error, after which nothing is known of its model.
    """

    file: Path | None = None
    alerts: list[Alert] = field(default_factory=list)
    complete: bool = True

    def write(self) -> None:
        """Write the file, if one is named and all commands ended as expected.

        Raises:
            BadRequest: the file can't be written.
        """
        if self.file and self.complete:
            # Several models may find the same of an image.
            write_sarif(self.file, list(dict.fromkeys(self.alerts)))


@dataclass
class SarifFile:
    """The SARIF file of a command: alerts are added to it, and it is written when the command ends.

    An error that ends the command becomes an alert of the rule ``failed``, unless there is an alert of that level.

    Attributes:
        file: where it is written; None for nowhere.
        failed: the rule of an error that ends the command.
        path: what such an error is about.
        alerts: what was found.
        shared: takes the alerts, instead of the file, if the file is that of several commands.
    """

    file: Path | None
    failed: Rule
    path: Path
    alerts: list[Alert] = field(default_factory=list)
    shared: Collected | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if isinstance(error, PicassoError) and not any(one.level is Level.ERROR for one in self.alerts):
            self.alerts.append(Alert(self.failed, Level.ERROR, error.message, self.path))
        # After an unexpected error nothing is known of what was not looked at.
        expected = kind is None or isinstance(error, PicassoError | SystemExit)
        if self.shared is not None:
            self.shared.file = self.file
            self.shared.alerts += self.alerts
            self.shared.complete &= expected
        elif self.file and expected:
            write_sarif(self.file, self.alerts)


def model_path(settings: Settings) -> Path:
    """Return the file or folder of a model, or else of its settings, or else the current folder."""
    return settings.path(settings.MODEL) if settings.MODEL else settings.source or Path()


def write_sarif(file: Path, alerts: Sequence[Alert]) -> None:
    """Write alerts; see :func:`picasso.evaluation.sarif.sarif`.

    Raises:
        BadRequest: the file can't be written.
    """
    try:
        file.write_text(json.dumps(sarif(alerts), indent=1), encoding="utf-8")
    except OSError as error:
        raise BadRequest(f"The SARIF file {file} can't be written: {error.strerror}.", field="sarif") from error
