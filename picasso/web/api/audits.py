"""The REST API: audits, from the first image to the report."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

from flask import Blueprint, Response, jsonify, request, send_file, url_for

from picasso.audit.selection import PAIRS, taken
from picasso.errors import BadRequest, Busy, TooLarge, UnsupportedImage
from picasso.evaluation.labeled_folder import Classes
from picasso.jobs.audit_job import Audit
from picasso.storage.session import Session
from picasso.web.context import each, find_session, in_time, json_body, make_session, need_session, services
from picasso.web.presentation import present_audit

blueprint = Blueprint("api_audits", __name__, url_prefix="/api")

EXAMPLE = '{"classes": {"tank": 60, "no tank": 60}}'
# No image folder has more, and each of them is looked up.
MAX_FOLDERS = 5_000
MAX_NUMBER = 999_999_999
# The report is one page without scripts that loads nothing. The sandbox is a second barrier against injected markup.
REPORT_POLICY = "; ".join(
    [
        "default-src 'none'",
        "img-src data:",
        "style-src 'unsafe-inline'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "sandbox",
    ]
)


def need_audit(audit_id: str) -> Audit:
    """Return an audit of the visitor's session, or raise NotFound."""
    return need_session().audit(audit_id)


def document(audit: Audit) -> dict[str, Any]:
    """Return an audit as JSON."""
    return present_audit(audit, services().runner.position(audit))


def documents(session: Session | None) -> list[dict[str, Any]]:
    """Return the audits of a session as JSON, the newest first."""
    return each(session.audits(), document) if session else []


def whole(body: dict[str, Any], field: str, default: int) -> int:
    """Return a non-negative integer from the body of a request."""
    value = body.get(field, default)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= MAX_NUMBER:
        raise BadRequest(f"{field} must be a whole number from 0 to {MAX_NUMBER}.", field=field)
    return value


@blueprint.post("/audits/estimate")
def estimate_audit() -> Response:
    """Return which classes an audit of these folders would compare, how many images it would use, and its time."""
    body = json_body(EXAMPLE, "classes")
    folders, pairs = body.get("classes"), whole(body, "pairs", PAIRS)
    counted = isinstance(folders, dict) and all(type(n) is int and 0 <= n <= MAX_NUMBER for n in folders.values())
    if not isinstance(folders, dict) or not counted or len(folders) > MAX_FOLDERS:
        raise BadRequest(f"classes must map folders to their numbers of images, as in {EXAMPLE}.", field="classes")
    classes, found = Classes(services().runner.class_names()), defaultdict[int, list[str]](list)
    for folder in sorted(folders):
        found[classes.innermost(folder)].append(folder)
    counts = {target: sum(folders[folder] for folder in some) for target, some in sorted(found.items())}
    chosen = taken(counts, classes.names)
    question = {"kind": "audit", "counts": {one: count for one, count in chosen.items() if count}, "pairs": pairs}
    return jsonify(
        classes=[
            {"name": classes.names[one], "folders": found[one], "images": counts[one], "taken": chosen[one]}
            for one in counts
        ],
        **services().runner.ask(question),
    )


@blueprint.post("/audits")
def create_audit() -> Response:
    """Create an audit; send its images next."""
    names = services().runner.class_names()
    services().runner.check_audits()
    audit = make_session().new_audit(names)
    return jsonify(ok=True, id=audit.id, url=url_for("api_audits.show_audit", audit_id=audit.id))


@blueprint.get("/audits")
def list_audits() -> Response:
    """List the session's audits, the newest first."""
    return jsonify(audits=documents(find_session()))


@blueprint.post("/audits/<audit_id>/images")
def add_audit_images(audit_id: str) -> Response:
    """Store images of one class: the multipart fields ``class`` (name, index or folder) and ``file``."""
    session, audit = need_session(), need_audit(audit_id)
    uploads = [file for file in request.files.getlist("file") if file.filename]
    folder = request.form.get("class", "")
    if not uploads or not folder:
        missing = "file" if folder else "class"
        raise BadRequest("Send images in the field file and their class in the field class.", field=missing)
    target = Classes(audit.class_names).innermost(folder)
    audit.check_open()
    session.check_room()
    refused, stored = [], 0
    try:
        for upload in in_time(uploads):
            try:
                session.add_audit_image(audit, target, upload.stream, upload.filename or "")
                stored += 1
            except (BadRequest, UnsupportedImage, TooLarge, Busy) as error:
                if isinstance(error, Busy) and upload is uploads[0]:
                    # Nothing was stored, so the client can send all images again.
                    raise
                refused.append(error.message)
    except TooLarge as error:
        refused.append(error.message)
    audit.note_refused(refused)
    return jsonify(stored=stored, refused=refused)


@blueprint.post("/audits/<audit_id>/start")
def start_audit(audit_id: str) -> tuple[Response, int, dict[str, str]]:
    """Queue an audit that has its images; one that was cancelled or failed continues where it stopped."""
    audit, body = need_audit(audit_id), json_body('{"pairs": 10}', "pairs")
    budget = body.get("budget")
    if budget is not None and (type(budget) not in (int, float) or not 0 < budget <= MAX_NUMBER):
        raise BadRequest("budget must be a number of seconds or omitted.", field="budget")
    services().runner.start_audit(
        audit, pairs=whole(body, "pairs", PAIRS), seed=whole(body, "seed", 0), budget=budget or MAX_NUMBER
    )
    url = url_for("api_audits.show_audit", audit_id=audit.id)
    return jsonify(ok=True, id=audit.id, url=url), 202, {"Location": url}


@blueprint.get("/audits/<audit_id>")
def show_audit(audit_id: str) -> Response:
    """Return the state of an audit and its findings so far."""
    return jsonify(document(need_audit(audit_id)))


@blueprint.post("/audits/<audit_id>/cancel")
def cancel_audit(audit_id: str) -> Response:
    """Stop an audit; its findings so far are kept, and it can be started again."""
    need_audit(audit_id).cancel()
    return jsonify(ok=True)


@blueprint.delete("/audits/<audit_id>")
def delete_audit(audit_id: str) -> Response:
    """Cancel an audit and delete its images and its report."""
    session = need_session()
    session.remove_audit(session.audit(audit_id))
    return jsonify(ok=True)


@blueprint.get("/audits/<audit_id>/report.html")
def audit_report(audit_id: str) -> Response:
    """Return the report of a finished audit as one self-contained page."""
    response = send_file(made(audit_id, "report.html"))
    response.headers["Content-Security-Policy"] = REPORT_POLICY
    return response


@blueprint.get("/audits/<audit_id>/audit.json")
def audit_json(audit_id: str) -> Response:
    """Return all findings of an audit."""
    return send_file(made(audit_id, "audit.json"), as_attachment=True)


@blueprint.get("/audits/<audit_id>/junit.xml")
def audit_junit(audit_id: str) -> Response:
    """Return the outcome of an audit as JUnit XML, for CI."""
    return send_file(made(audit_id, "junit.xml"), "application/xml", as_attachment=True)


def made(audit_id: str, name: str) -> Path:
    """Return a file of a finished audit, or raise BadRequest."""
    audit = need_audit(audit_id)
    if audit.state() != "finished":
        raise BadRequest("The audit is not finished. Wait for it, or start it again if it was cancelled.")
    return audit.out / name
