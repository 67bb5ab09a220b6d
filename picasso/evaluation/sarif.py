"""SARIF 2.1.0: what was found, as a document that code scanning services read; imports nothing slow."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any
from urllib.parse import quote

from picasso import __version__

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


def sarif(alerts: Sequence[Alert]) -> dict[str, Any]:
    """Return a log of one run with at most :data:`MAX_ALERTS` alerts, the most severe first.

    Args:
        alerts: what was found.

    Returns:
        A log as `SARIF 2.1.0 <https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html>`_ defines it. Paths
        below the current folder are relative to it.

    Examples:
        >>> from pathlib import Path
        >>> from picasso.evaluation.sarif import Alert, Level, Rule, sarif
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
