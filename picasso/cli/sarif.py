"""SARIF 2.1.0: what a command found, as a file that code scanning services read; imports nothing slow."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote

from picasso import __version__
from picasso.errors import BadRequest, PicassoError

if TYPE_CHECKING:
    from picasso.config import Settings

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
PAPER = "https://doi.org/10.5334/jors.178"
# GitHub shows the first 5,000 results of a run; it refuses a file with more than 25,000.
MAX_ALERTS = 5000


class Level(StrEnum):
    """How severe an alert is, the most severe first."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True)
class Rule:
    """What alerts of one kind are about.

    Attributes:
        id: its name for programs, which never changes.
        title: what is reported, in a few words.
        help: what it means and what to do.
    """

    id: str
    title: str
    help: str


@dataclass(frozen=True)
class Alert:
    """One thing that was found.

    Attributes:
        rule: what it is an example of.
        level: how severe it is.
        message: what was found.
        path: the file or folder that it is about.
        key: what tells it apart from others of the rule and the path, the same in each run; by default the message.
    """

    rule: Rule
    level: Level
    message: str
    path: Path
    key: str = ""


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
    """Write alerts; see :func:`sarif`.

    Raises:
        BadRequest: the file can't be written.
    """
    try:
        file.write_text(json.dumps(sarif(alerts), indent=1), encoding="utf-8")
    except OSError as error:
        raise BadRequest(f"The SARIF file {file} can't be written: {error.strerror}.", field="sarif") from error


def sarif(alerts: Sequence[Alert]) -> dict[str, Any]:
    """Return a log of one run with at most :data:`MAX_ALERTS` alerts, the most severe first.

    Args:
        alerts: what was found.

    Returns:
        A log as `SARIF 2.1.0 <https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html>`_ defines it. Paths
        below the current folder are relative to it.

    Examples:
        >>> from pathlib import Path
        >>> from picasso.cli.sarif import Alert, Level, Rule, sarif
        >>> rule = Rule("dark", "A dark image", "Take a lighter one.")
        >>> log = sarif([Alert(rule, Level.WARNING, "The image is dark.", Path("a b.png"))])
        >>> log["runs"][0]["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
        'a%20b.png'
    """
    shown = sorted(alerts, key=lambda one: list(Level).index(one.level))[:MAX_ALERTS]
    rules = list(dict.fromkeys(one.rule for one in shown))
    driver = {
        "name": "Picasso",
        "version": __version__,
        "informationUri": PAPER,
        "rules": [
            {
                "id": rule.id,
                "shortDescription": {"text": rule.title},
                "fullDescription": {"text": rule.help},
                "help": {"text": rule.help, "markdown": rule.help},
            }
            for rule in rules
        ],
    }
    results = [
        {
            "ruleId": one.rule.id,
            "ruleIndex": rules.index(one.rule),
            "level": str(one.level),
            "message": {"text": one.message},
            "locations": [{"physicalLocation": location(one.path)}],
            "partialFingerprints": {"primaryLocationLineHash": fingerprint(one)},
        }
        for one in shown
    ]
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [{"tool": {"driver": driver}, "results": results}]}


def location(path: Path) -> dict[str, Any]:
    """Return the place of an alert. Models and images have no lines, but GitHub requires one."""
    whole, here = path.resolve(), Path.cwd()
    address: dict[str, str]
    if whole.is_relative_to(here):
        address = {"uri": quote(whole.relative_to(here).as_posix()), "uriBaseId": "%SRCROOT%"}
    else:
        address = {"uri": whole.as_uri()}
    return {"artifactLocation": address, "region": {"startLine": 1, "startColumn": 1, "endLine": 1, "endColumn": 1}}


def fingerprint(alert: Alert) -> str:
    """Return what tells an alert apart from others at the same place, by which GitHub knows it again."""
    text = "\n".join([alert.rule.id, alert.key or alert.message])
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()[:16]
