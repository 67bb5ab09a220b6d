"""What jobs share that one worker at a time computes: an order, a fraction as progress, and an end."""

from __future__ import annotations

import math
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, Generic, Literal, Self, TypeVar

from picasso import fileio
from picasso.errors import Cancelled, NotFound
from picasso.jobs.base import Job
from picasso.jobs.run import StoredImage

#: The states of a :class:`ReportingJob`.
StateName = Literal["waiting", "running", "finished", "cancelled", "failed"]
# The time between two reports of the progress.
REPORT_SECONDS = 0.5


@dataclass(frozen=True)
class Order:
    """What a job is to compute.

    Attributes:
        configuration: how the worker finds the model.
        images: the images to look at.
        model: the identity of the model; see :func:`picasso.jobs.prediction_job.identity`.
        created: the time of the creation, in seconds since the epoch.
    """

    configuration: dict[str, Any]
    images: Sequence[StoredImage]
    model: str
    created: float


OrderT = TypeVar("OrderT", bound=Order)


class ReportingJob(Job, Generic[OrderT]):
    """A job with an order, whose progress is a fraction in a file, with the computing time so far."""

    #: The class of its order.
    order_type: type[OrderT]
    #: The folders that it has from the beginning.
    folders: ClassVar[Sequence[str]] = ()

    @classmethod
    def create(cls, parent: Path, order: OrderT) -> Self:
        """Create the folder of a new job with an unguessable id."""
        job = cls(parent / secrets.token_hex(8))
        parent.mkdir(exist_ok=True)
        with fileio.whole_folder(job.folder) as draft:
            for name in cls.folders:
                (draft / name).mkdir()
            fileio.write_json(draft / cls.document, asdict(order))
        return job

    def order(self) -> OrderT:
        """Return what to compute, or raise NotFound if the job was deleted in the meantime."""
        document = fileio.read_json(self.folder / self.document)
        if document is None:
            raise NotFound(self.gone)
        return self.order_type(**document)

    @property
    def created(self) -> float:
        """The time of its creation, in seconds since the epoch."""
        return self.order().created

    # ---- written by the worker ----------------------------------------------------------------------------

    def report(self, fraction: float, seconds: float) -> None:
        """Store the progress, 0..1, and the computing time so far."""
        fileio.write_json(self.folder / "progress.json", [round(fraction, 4), round(seconds, 3)])

    def reporter(self, checkpoint: Callable[[], None]) -> Callable[[float], None]:
        """Return a function that stores the finished fraction now and then, with the time from now on.

        Args:
            checkpoint: what it calls each time.

        The function raises Cancelled if the job was cancelled or deleted.
        """
        before, began, reported = self.computed(), time.perf_counter(), -math.inf

        def report(fraction: float) -> None:
            nonlocal reported
            if self.is_stopped():
                raise Cancelled
            if (seconds := time.perf_counter() - began) - reported > REPORT_SECONDS:
                self.report(fraction, before + seconds)
                reported = seconds
            checkpoint()

        return report

    # ---- read by both processes ---------------------------------------------------------------------------

    def state(self) -> StateName:
        """Return its state."""
        return self.end() or ("running" if (self.folder / "progress.json").exists() else "waiting")

    def at_work(self) -> bool:
        """Tell whether it is queued or running."""
        return not self.deleted() and self.state() in ("waiting", "running")

    def progress(self) -> tuple[float, float]:
        """Return the progress, 0..1, and the computing time so far in seconds."""
        fraction, seconds = fileio.read_json(self.folder / "progress.json") or (0.0, 0.0)
        return (1.0 if self.is_done() else fraction), seconds

    def computed(self) -> float:
        """Return the computing time so far, in seconds."""
        return self.progress()[1]
