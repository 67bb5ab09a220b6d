"""Plugins that raise what can't be sent, can't be read, or says that it is something else; and some that hang."""

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from picasso.errors import Cancelled, PicassoError
from picasso.models.base import Model
from picasso.visualizations import BaseVisualization, Panel, Task, VisualizationSettings, choice


class Demanding(PicassoError):
    """Is made of two things, so that it can't be made again of its message alone."""

    def __init__(self, first: str, second: str) -> None:
        super().__init__(f"{first} and {second}.")
        self.lock = threading.Lock()


class Silent(Exception):
    """Fails when it is asked what it says."""

    def __str__(self) -> str:
        raise RuntimeError("I say nothing")


class Bare(BaseException):
    """Is no Exception."""


class Nameless(PicassoError):
    """Forgets to make itself a PicassoError."""

    def __init__(self) -> None:
        pass


@dataclass(frozen=True)
class FaultySettings(VisualizationSettings):
    """Which fault."""

    kind: str = choice(
        *("demanding", "silent", "bare", "nameless", "exit", "cancelled", "surrogate", "spin", "deadlock", "nan"),
        help="What goes wrong.",
    )


def go_wrong(kind: str) -> None:
    """Raise what is asked for, or never come back."""
    match kind:
        case "demanding":
            raise Demanding("one", "two")
        case "silent":
            raise Silent
        case "bare":
            raise Bare("bare")
        case "nameless":
            raise Nameless
        case "exit":
            raise SystemExit(3)
        case "cancelled":
            raise Cancelled
        case "surrogate":
            raise ValueError("half a letter: \ud800")
        case "deadlock":
            lock = threading.Lock()
            lock.acquire()
            lock.acquire()
    while kind == "spin":
        pass


class Faulty(BaseVisualization[FaultySettings]):
    """Goes wrong when it computes."""

    DESCRIPTION = "Goes wrong when it computes."
    ALLOWED_SETTINGS = FaultySettings

    def make_visualization(self, task: Task[FaultySettings]) -> Iterator[Sequence[Panel]]:
        """Say that half is done, and go wrong."""
        task.progress(1, 2)
        go_wrong(task.settings.kind)
        yield []


class Estimated(Faulty):
    """Goes wrong when it is asked how long it takes."""

    DESCRIPTION = "Goes wrong when it is asked how long it takes."

    @classmethod
    def passes(cls, model: Model, settings: Any) -> float:
        """Go wrong."""
        go_wrong(settings.kind)
        return float("nan")
