"""The queued and running jobs of a session, which every page shows in its header."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, render_template, url_for

from picasso.errors import NotFound
from picasso.jobs.audit_job import Audit
from picasso.jobs.base import Job
from picasso.jobs.concept_search import ConceptSearch
from picasso.jobs.ranking_job import MethodRanking
from picasso.jobs.run import Run
from picasso.web.context import find_session, services
from picasso.web.pages.inside import page_of

blueprint = Blueprint("jobs", __name__)


@dataclass(frozen=True)
class JobStatus:
    """A queued or running job, as the header shows it.

    Attributes:
        id: its id.
        name: what it does.
        page: the address of its page.
        cancel: the address that cancels it.
        fraction: the completed fraction, 0..1.
        waiting: whether it has not started.
    """

    id: str
    name: str
    page: str
    cancel: str
    fraction: float
    waiting: bool

    @classmethod
    def of(cls, job: Job) -> JobStatus | None:
        """Return the status of a job; None if it has ended, or is a single map of the workspace.

        Raises:
            NotFound: it was deleted.
        """
        if job.is_stopped():
            return None
        if isinstance(job, Audit):
            progress, page = job.progress(), url_for("audits.show_audit", audit_id=job.id)
            cancel, fraction = url_for("audits.cancel", audit_id=job.id), progress.fraction
            # Reading the images is the first, short part.
            fraction = fraction if progress.state == "running" else 0.0
            return cls(job.id, "Audit", page, cancel, fraction, job.state() == "waiting")
        if isinstance(job, ConceptSearch):
            name = f"Concepts, {counted(len(job.order().images))}"
            cancel = url_for("inside.cancel_search", search_id=job.id)
            return cls(job.id, name, page_of(job), cancel, job.progress()[0], job.state() == "waiting")
        if isinstance(job, MethodRanking):
            page, cancel = url_for("pages.choose", _anchor="ranking"), url_for("rankings.cancel", ranking_id=job.id)
            return cls(job.id, "Ranking of methods", page, cancel, job.progress()[0], job.state() == "waiting")
        if not isinstance(job, Run):
            return None
        state, spec = job.state(), job.spec()
        if spec.workspace:
            # The workspace itself shows the progress of its maps.
            return None
        name = f"{spec.visualization}, {counted(len(spec.images))}"
        page, cancel = url_for("pages.show_runs", ids=job.id), url_for("pages.cancel_run", run_id=job.id)
        return cls(job.id, name, page, cancel, state["fraction"], state["state"] == "waiting")


def counted(images: int) -> str:
    """Return a number of images in words."""
    return f"{images} image{'s' if images != 1 else ''}"


def at_work() -> list[JobStatus]:
    """Return the visitor's queued and running jobs, oldest first; without any, no file is read."""
    session, found = find_session(), []
    for job in services().runner.at_work(session.folder) if session else ():
        with suppress(NotFound):
            if status := JobStatus.of(job):
                found.append(status)
    return found


@blueprint.app_context_processor
def layout() -> dict[str, Any]:
    """Provide the function that the layout calls; pages without the layout don't pay for it."""
    return {"jobs_at_work": at_work}


@blueprint.get("/jobs")
def show() -> str:
    """Return the part of the header that shows the jobs, for the script that updates it."""
    return render_template("jobs.html")
