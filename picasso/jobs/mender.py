"""Mend the model of a finished audit in the worker process; the copy and its numbers lie in the folder of the audit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from picasso.audit import audit
from picasso.errors import Cancelled, PicassoError
from picasso.jobs.audit_documents import MendingDocument
from picasso.jobs.audit_job import Audit
from picasso.mending import document, mend
from picasso.models.base import Model


def mend_model(job: Audit, audited: audit.Audit, note: Callable[..., Any], wrap: Callable[[Model], Model]) -> None:
    """Mend the model of an audit and store the result, or the sentence that says why that is impossible.

    Args:
        job: the audit.
        audited: its result.
        note: stores changed values of the progress.
        wrap: makes a model yield to other work.

    Raises:
        Cancelled: the audit was cancelled or deleted.
    """
    # A worker process that died may have left a copy without its result.
    for file in (job.mended, document.beside(job.mended)):
        file.unlink(missing_ok=True)

    def progress(fraction: float, what: str) -> None:
        note(fraction=round(fraction, 4), trying=what)

    try:
        done = mend.mend(audited, job.mended, progress=progress, wrap=wrap)
    except Cancelled:
        raise
    except PicassoError as error:
        job.note_mending(MendingDocument(mended=False, sentence=error.message, rows=[], advice=""))
        return
    rows = [[label, before, after] for label, before, after in document.rows(done)]
    job.note_mending(MendingDocument(mended=done.mended, sentence=done.sentence, rows=rows, advice=done.advice))
