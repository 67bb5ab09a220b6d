"""The messages between the server and the worker process: plain values, sent as JSON.

An exception can contain anything, including objects that can't be serialized. So only the code, message and field of
an error are sent, and the receiver raises Picasso's own error with that code.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from picasso import fileio
from picasso.errors import ErrorDocument, PicassoError
from picasso.jobs.tasks import TaskKind


@dataclass(frozen=True)
class Request:
    """A request of the server.

    Attributes:
        number: its number, which the answer repeats.
        kind: that of a :class:`picasso.jobs.tasks.Task`, or a question of :mod:`picasso.explanation.questions`.
        folder: the folder of the job.
        shard: the number of the shard.
        question: the question.
    """

    number: int
    kind: TaskKind | Literal["question"]
    folder: str = ""
    shard: int = 0
    question: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Answer:
    """The answer to a request: a value or an error; neither for jobs, which write to their folders."""

    number: int
    value: Any = None
    error: ErrorDocument | None = None


@dataclass(frozen=True)
class Status:
    """The status of the model: ``state`` (ready or failed), and ``card`` and ``report``, or ``error``."""

    status: Mapping[str, Any]


@dataclass(frozen=True)
class Pulse:
    """A heartbeat, sent every :data:`PULSE_SECONDS`.

    Attributes:
        steps: the number of chunks of work done since the process started.
        cpu: the CPU time of the process in seconds.
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
        PicassoError: it contains something other than plain values.
    """
    try:
        document = {"message": type(message).__name__, **asdict(message)}
        # Requests contain paths of folders, which must not be changed.
        if isinstance(message, Request):
            return json.dumps(document, allow_nan=False).encode()
        return fileio.readable_json(document)
    except (TypeError, ValueError, RecursionError) as error:
        raise PicassoError(f"The result can't be sent: {error}.") from error


def unpack(body: bytes) -> Message:
    """Return the message in the bytes of :func:`pack`.

    Raises:
        ValueError: it is not a message.
    """
    try:
        document = json.loads(body)
        return KINDS[document.pop("message")](**document)
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError("The data from the pipe is not a message.") from error
