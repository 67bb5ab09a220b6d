"""How tasks and jobs end: what the engine reports of a task, and what becomes of its job."""

from __future__ import annotations

import logging
from concurrent.futures import Future

from picasso.errors import NotFound, PicassoError, RunError, WorkerCrashed, reason
from picasso.jobs.tasks import AnyJob

log = logging.getLogger(__name__)


def outcome_of(job: AnyJob) -> str:
    """Return how a job has ended: finished, failed, cancelled or deleted; or its state if it has not."""
    try:
        state = job.state()
    except NotFound:
        return "deleted"
    if job.deleted():
        return "deleted"
    return state if isinstance(state, str) else state["state"]


def completed(future: Future[None]) -> bool:
    """Tell whether a task ended without an error of the engine."""
    return not future.cancelled() and future.exception() is None


def crashed(future: Future[None]) -> bool:
    """Tell whether the worker process of a task crashed."""
    return not future.cancelled() and isinstance(future.exception(), WorkerCrashed)


def fail(job: AnyJob, future: Future[None]) -> None:
    """Fail a job with the error of one of its tasks, if there is one, unless the job has ended or was stopped."""
    try:
        error = None if future.cancelled() else future.exception()
        if error is not None and not job.is_stopped() and outcome_of(job) != "finished":
            log.error("%s %s: %s", job.kind, job.id, error)
            job.fail(failure(error))
    except Exception:
        log.exception("the error of %s can't be stored", job.id)


def failure(error: BaseException) -> PicassoError:
    """Return an error of the engine as one for users."""
    return error if isinstance(error, PicassoError) else PicassoError(reason(error))


def end(job: AnyJob) -> None:
    """Fail a job that the engine has finished without an outcome, such as if a plugin raises Cancelled itself."""
    if job.at_work():
        log.error("%s ended without a result", job.id)
        job.fail(RunError("It ended without a result. The log may have details."))
