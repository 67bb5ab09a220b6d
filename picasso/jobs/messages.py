"""What the server and the process that computes say to each other: plain values, sent as JSON.

An exception could hold anything, even what can't be sent or can't be read again. So of an error only its code, message
and field travel, and whoever asked raises Picasso's own error of that code.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from picasso import fileio
from picasso.errors import ErrorDocument, PicassoError


@dataclass(frozen=True)
class Request:
    """What the server wants.

    Attributes:
        number: the answer has the same.
        kind: a shard of a run, an audit, or a question of :mod:`picasso.explanation.questions`.
        folder: of the run or the audit.
        shard: its number.
        question: the question.
    """

    number: int
    kind: Literal["shard", "audit", "question"]
    folder: str = ""
    shard: int = 0
    question: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Answer:
    """What came of a request: a value, or an error; neither for a shard or an audit, which say all in their folder."""

    number: int
    value: Any = None
    error: ErrorDocument | None = None


@dataclass(frozen=True)
class Status:
    """How the model stands: ``state`` (ready or failed), and ``card`` and ``report``, or ``error``."""

    status: Mapping[str, Any]


@dataclass(frozen=True)
class Pulse:
    """A sign of life, every :data:`PULSE_SECONDS`.

    Attributes:
        steps: how many chunks of work were done since the process began.
        cpu: seconds of processor time that the process has used.
    """

    steps: int
    cpu: float


Message = Request | Answer | Status | Pulse
KINDS: dict[str, type[Request | Answer | Status | Pulse]] = {
    kind.__name__: kind for kind in (Request, Answer, Status, Pulse)
}

PULSE_SECONDS = 1.0


def pack(message: Message) -> bytes:
    """Return a message as bytes.

    Raises:
        PicassoError: it holds something that is no plain value.
    """
    try:
        document = {"message": type(message).__name__, **asdict(message)}
        # Requests name folders, which must stay as they are.
        if isinstance(message, Request):
            return json.dumps(document, allow_nan=False).encode()
        return fileio.readable_json(document)
    except (TypeError, ValueError, RecursionError) as error:
        raise PicassoError(f"What was computed can't be sent: {error}.") from error


def unpack(body: bytes) -> Message:
    """Return the message that :func:`pack` made into bytes.

    Raises:
        ValueError: it is none.
    """
    try:
        document = json.loads(body)
        return KINDS[document.pop("message")](**document)
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError("What came through the pipe is no message.") from error
