"""What the files in the folder of an audit hold; see :mod:`picasso.jobs.audit_job`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypedDict

StateName = Literal["gathering", "waiting", "reading", "running", "finished", "cancelled", "failed"]
#: States in which something is still going to happen by itself.
AT_WORK = ("waiting", "reading", "running")


class Direction(TypedDict):
    """What became of the images of one class.

    Attributes:
        of: the name of their class.
        towards: the name of the class that they were changed towards.
        fraction: how far that moved them, where 1 is all of the way.
        low: the lower end of its 95% interval.
        high: the upper end.
        flips: the share of them that changed their class.
        control_flips: the same after an equal change within their own class.
    """

    of: str
    towards: str
    fraction: float
    low: float
    high: float
    flips: float
    control_flips: float


class FindingDocument(TypedDict):
    """Something that the model seems to go by.

    Attributes:
        name: what was changed.
        kind: which kind of change that is.
        alarm: false for what is only told: the thing itself may lie there.
        sentence: all of it in words.
        directions: both of them, the stronger first.
    """

    name: str
    kind: str
    alarm: bool
    sentence: str
    directions: list[Direction]


@dataclass(frozen=True)
class AuditRequest:
    """How an audit is to be done.

    Attributes:
        configuration: where the worker finds the model; see :func:`picasso.jobs.worker.reference`.
        pairs: how many pairs of classes are looked at, the most finding first; 0 takes all.
        seed: for whatever is drawn at random.
        budget: seconds after which no further pair is begun.
    """

    configuration: dict[str, Any]
    pairs: int
    seed: int
    budget: float


@dataclass(frozen=True)
class Progress:
    """What an audit is doing.

    Attributes:
        state: what is done now.
        fraction: how much of that is done, 0..1.
        seconds: how long all of it took so far.
        cost: what it costs, in a sentence; "" until that is known.
        done: how many pairs of classes were looked at.
        total: how many will be.
        began: how many seconds it took until the first pair was begun.
        pair: the names of the two classes that are being looked at.
        trying: what is being changed.
    """

    state: Literal["reading", "running"] = "reading"
    fraction: float = 0.0
    seconds: float = 0.0
    cost: str = ""
    done: int = 0
    total: int = 0
    began: float = 0.0
    pair: Sequence[str] = field(default_factory=list)
    trying: str = ""


class Findings(TypedDict):
    """What was found so far; the verdict is None until everything was tried."""

    findings: list[FindingDocument]
    verdict: str | None
