"""The pages of audits: choose a folder, watch the findings, open the report."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress

from flask import Blueprint, make_response, redirect, render_template, request, url_for
from werkzeug.datastructures import FileStorage
from werkzeug.wrappers import Response

from picasso.audit.selection import MAX_PER_CLASS, MIN_PER_CLASS, PAIRS, left_out, spread, taken
from picasso.config import IMAGES
from picasso.errors import BadRequest, NotReady, PicassoError
from picasso.evaluation.labeled_folder import Classes
from picasso.imaging.decode import display_name
from picasso.jobs.audit_documents import AT_WORK
from picasso.jobs.audit_job import MAX_REFUSED
from picasso.web.api.audits import document, documents, need_audit, start_mending
from picasso.web.api.documents import MAX_NUMBER
from picasso.web.context import find_session, in_time, make_session, need_session, services

blueprint = Blueprint("audits", __name__)


def choose(error: PicassoError | None = None, refused: Sequence[str] = ()) -> str:
    """Return the upload page, optionally with an error and with sentences on rejected images."""
    names = []
    with suppress(NotReady):
        names = services().model.class_names()
    return render_template(
        "audits.html",
        audits=documents(find_session()),
        class_names=names,
        fewest=MIN_PER_CLASS,
        most=MAX_PER_CLASS,
        pairs=PAIRS,
        most_bytes=services().settings.MAX_UPLOAD_MB * 1_000_000,
        error=error,
        refused=refused,
        no_audits=services().model.no_audits(),
    )


@blueprint.get("/audit")
def index() -> str:
    """Show the upload form and the audits of the session."""
    return choose()


@blueprint.post("/audit")
def start() -> Response:
    """Upload a whole folder from a browser without JavaScript, and start the audit."""
    refused: list[str] = []
    try:
        by_class = grouped([file for file in request.files.getlist("file") if file.filename], refused)
        counts, names = {target: len(found) for target, found in by_class.items()}, services().model.class_names()
        chosen = taken(counts, names)
        # These are not stored.
        refused += [sentence] if (sentence := left_out(counts, names)) else []
        return redirect(url_for("audits.show_audit", audit_id=audited(by_class, chosen, refused)), 303)
    except PicassoError as error:
        return make_response(choose(error, refused[:MAX_REFUSED]), error.status)


def grouped(uploads: list[FileStorage], refused: list[str]) -> dict[int, list[FileStorage]]:
    """Return the uploaded images by class, in the order of their paths, which browsers send for folders.

    For each skipped file that is not hidden, a sentence is added to ``refused``.
    """
    classes, found = Classes(services().model.class_names()), defaultdict[int, list[FileStorage]](list)
    for file in sorted(uploads, key=lambda file: file.filename or ""):
        folders, _, name = (file.filename or "").rpartition("/")
        hidden = any(part.startswith(".") for part in (*folders.split("/"), name))
        if folders and not hidden and name.lower().endswith(tuple(IMAGES)):
            found[classes.innermost(folders)].append(file)
        elif not hidden:
            why = "does not have the extension of an image" if folders else "is not in a class folder"
            refused.append(f"{display_name(name)} {why} and was skipped.")
    if not found:
        raise BadRequest("Choose a folder with one subfolder of images per class.", field="file")
    return dict(sorted(found.items()))


def audited(by_class: dict[int, list[FileStorage]], chosen: dict[int, int], refused: list[str]) -> str:
    """Start an audit with these images of each class, and return its id; unreadable images are refused."""
    services().model.check_audits()
    session = make_session()
    audit = session.new_audit(services().model.class_names())
    try:
        images = [(target, file) for target, files in by_class.items() for file in spread(files, chosen[target])]
        for target, file in in_time(images):
            # An unreadable image does not affect the others; with too few readable images, the audit does not start.
            try:
                session.add_audit_image(audit, target, file.stream, file.filename or "")
            except PicassoError as error:
                refused.append(error.message)
        audit.note_refused(refused)
        pairs = request.form.get("pairs", PAIRS, type=int)
        services().runner.start_audit(audit, pairs=max(0, pairs), seed=0, budget=budget())
    except PicassoError:
        session.remove_audit(audit)
        raise
    return audit.id


def budget() -> float:
    """Return the time in seconds after which nothing further is tested, from the minutes of a form."""
    minutes = request.form.get("minutes", 0.0, type=float)
    return 60 * minutes if 0 < minutes < MAX_NUMBER else MAX_NUMBER


@blueprint.get("/audits/<audit_id>")
def show_audit(audit_id: str) -> str:
    """Show an audit: its progress, its findings so far, and finally the verdict."""
    audit = document(need_audit(audit_id))
    return render_template("auditing.html", audit=audit, at_work=audit.state in AT_WORK)


@blueprint.post("/audits/<audit_id>/start")
def go_on(audit_id: str) -> Response:
    """Continue an audit that was cancelled or failed, with its original options."""
    audit = need_audit(audit_id)
    order = audit.order()
    if order.mend:
        start_mending(audit)
        return redirect(url_for("audits.show_audit", audit_id=audit_id), 303)
    services().runner.start_audit(audit, pairs=order.pairs, seed=order.seed, budget=order.budget)
    return redirect(url_for("audits.show_audit", audit_id=audit_id), 303)


@blueprint.post("/audits/<audit_id>/mend")
def mend(audit_id: str) -> Response:
    """Mend the model by a finished audit with findings."""
    start_mending(need_audit(audit_id))
    return redirect(url_for("audits.show_audit", audit_id=audit_id), 303)


@blueprint.post("/audits/<audit_id>/cancel")
def cancel(audit_id: str) -> Response:
    """Stop an audit; its findings so far are kept."""
    need_audit(audit_id).cancel()
    return redirect(url_for("audits.show_audit", audit_id=audit_id), 303)


@blueprint.post("/audits/<audit_id>/remove")
def remove(audit_id: str) -> Response:
    """Delete an audit with its images and its report."""
    need_session().remove_audit(need_audit(audit_id))
    return redirect(url_for("audits.index"), 303)
