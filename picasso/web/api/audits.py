"""The REST API: audits, from the first image to the report."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from flask import Blueprint, Response, send_file, url_for
from msgspec import Meta, convert, field
from werkzeug.datastructures import FileStorage

from picasso.audit.selection import MAX_PER_CLASS, MAX_UPLOADED, PAIRS, left_out, taken
from picasso.errors import BadRequest, Busy, NotFound, TooLarge, UnsupportedImage
from picasso.evaluation.labeled_folder import Classes
from picasso.jobs.audit_documents import Example, FindingDocument, MendingDocument, StateName
from picasso.jobs.audit_job import Audit
from picasso.storage.session import Session
from picasso.web.api.documents import (
    MAX_NUMBER,
    Address,
    Count,
    Document,
    Done,
    ErrorDetail,
    Fraction,
    Number,
    Request,
    Started,
)
from picasso.web.api.operations import AUDITS, operation
from picasso.web.context import each, find_session, in_time, make_session, need_session, services
from picasso.web.presentation import remaining

blueprint = Blueprint("api_audits", __name__, url_prefix="/api")

# No image folder has more, and each of them is looked up.
MAX_FOLDERS = 5_000
AuditId = Annotated[str, Meta(description="The id of an audit.")]
EvidenceName = Annotated[str, Meta(description="The name of an image of the evidence, such as 0-0-before.png.")]
EVIDENCE = re.compile(r"[a-z0-9]+-\d+-(before|after)\.png")
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


class Folders(Request):
    """The input of an estimate.

    Attributes:
        classes: folders, such as "images/tank", with their numbers of images; the innermost folder that is named
            after a class or its index determines the class.
        pairs: the maximum number of class pairs, the most suspicious first; 0 for all.
    """

    classes: Annotated[dict[str, Number], Meta(max_length=MAX_FOLDERS)]
    pairs: Number = PAIRS


class ClassOfFolders(Document):
    """The images of one class.

    Attributes:
        folders: the folders named after it.
        images: the number of its images.
        taken: the number of images that an audit uses; 0 if there are too few.
    """

    name: str
    folders: list[str]
    images: int
    taken: Annotated[int, Meta(ge=0, le=MAX_PER_CLASS)]


class AuditEstimate(Document):
    """The estimated cost of an audit.

    Attributes:
        sentence: the number of class pairs and of model predictions, as a sentence.
        seconds: the estimated time, or null if it is not known yet.
    """

    classes: list[ClassOfFolders]
    sentence: str
    seconds: float | None


class AuditImages(Request, kw_only=True):
    """The images of one class.

    Attributes:
        class: the name or index of their class, or a folder named after it.
        file: the images.
    """

    folder: Annotated[str, Meta(min_length=1)] = field(name="class")
    file: Annotated[list[FileStorage], Meta(min_length=1)]


class StoredImages(Document):
    """The outcome of an upload to an audit.

    Attributes:
        stored: the number of stored images.
        refused: one sentence for each image that was not stored.
    """

    stored: Count
    refused: list[str]


class AuditOptions(Request):
    """The options of an audit.

    Attributes:
        pairs: the maximum number of class pairs, the most suspicious first; 0 for all.
        seed: the random seed.
        budget: the time in seconds after which nothing further is tested; the default and the maximum are 70% of the
            setting ``RUN_MINUTES``.
    """

    pairs: Number = PAIRS
    seed: Number = 0
    budget: Annotated[float, Meta(gt=0, le=MAX_NUMBER)] | None = None


class AuditedClass(Document):
    """A class and its number of images."""

    name: str
    images: Annotated[int, Meta(ge=1, le=MAX_UPLOADED)]


class AuditDocument(Document):
    """An audit, its state, and its findings so far.

    Attributes:
        cost: the estimated cost, or null until the images have been read.
        fraction: the progress of the current phase, reading or trying.
        seconds: the computing time so far.
        remaining: the estimated computing time left in seconds, or null if it is unknown.
        position: the number of runs and audits ahead of this one.
        done: the number of class pairs done.
        total: the total number of class pairs.
        pair: the two classes of the current pair, or none.
        trying: the current intervention.
        findings: the findings so far; all are judged together, so a finding may still disappear.
        verdict: null until the audit is complete.
        example: the image that illustrates the verdict, before and after the change with the largest effect; null
            until the audit is complete, or if nothing was tested.
        left_out: sentences on images that could not be used, and on classes with too few images.
        error: why it failed, or null.
        page: the page that shows the audit.
        report_url: the report, or null until the audit is finished.
        mendable: whether the model can be mended by this audit.
        mending: the result of mending the model, or null if it was not tried.
        mended_url: the mended copy of the model, or null if there is none.
        json_url: all findings as JSON.
        junit_url: the outcome as JUnit XML, for CI.
        sarif_url: the findings as SARIF, for code scanning.
        summary_url: a short summary in Markdown, for a pull request.
        model_card_url: a model card in Markdown with its figures, as a zip.
    """

    id: str
    state: StateName
    classes: list[AuditedClass]
    cost: str | None
    fraction: Fraction
    seconds: Annotated[float, Meta(ge=0)]
    remaining: float | None
    position: Count
    done: Count
    total: Count
    pair: Annotated[list[str], Meta(max_length=2)]
    trying: str
    findings: list[FindingDocument]
    verdict: str | None
    example: Example | None
    left_out: list[str]
    error: ErrorDetail | None
    url: Address
    page: Address
    report_url: Address | None
    json_url: Address | None
    junit_url: Address | None
    sarif_url: Address | None
    summary_url: Address | None
    model_card_url: Address | None
    mendable: bool
    mending: MendingDocument | None
    mended_url: Address | None


class Audits(Document):
    """The audits of the session, the newest first."""

    audits: list[AuditDocument]


def need_audit(audit_id: str) -> Audit:
    """Return an audit of the visitor's session, or raise NotFound."""
    return need_session().audit(audit_id)


def document(audit: Audit) -> AuditDocument:
    """Return the public description of an audit."""
    state, progress, found, names = audit.state(), audit.progress(), audit.findings(), audit.class_names
    elapsed = (progress.seconds - progress.began) / progress.workers
    left = remaining(progress.fraction, elapsed) if state == "running" else None
    error, mending, alarms = audit.error(), audit.mending(), any(one["alarm"] for one in found["findings"])

    def link(name: str, module: str = "api_audits") -> str | None:
        return url_for(f"{module}.{name}", audit_id=audit.id) if state == "finished" else None

    return AuditDocument(
        id=audit.id,
        state=state,
        classes=[AuditedClass(name=names[target], images=count) for target, count in sorted(audit.counts().items())],
        cost=progress.cost or None,
        fraction=progress.fraction,
        seconds=progress.seconds,
        remaining=left,
        position=services().runner.position(audit),
        done=progress.done,
        total=progress.total,
        pair=list(progress.pair),
        trying=progress.trying,
        findings=found["findings"],
        verdict=found["verdict"],
        example=found["example"],
        left_out=left_behind(audit, state, names),
        error=convert(error, ErrorDetail) if error else None,
        url=url_for("api_audits.show_audit", audit_id=audit.id),
        page=url_for("audits.show_audit", audit_id=audit.id),
        report_url=link("audit_report"),
        json_url=link("audit_json"),
        junit_url=link("audit_junit"),
        sarif_url=link("audit_sarif", "api_audit_downloads"),
        summary_url=link("audit_summary", "api_audit_downloads"),
        model_card_url=link("audit_model_card", "api_audit_downloads"),
        mendable=services().settings.MENDING and state == "finished" and alarms and mending is None,
        mending=mending,
        mended_url=link("audit_mended") if mending and mending["mended"] else None,
    )


def left_behind(audit: Audit, state: str, names: Sequence[str]) -> list[str]:
    """Return sentences on the uploaded images and classes that an audit does not use."""
    few = left_out(audit.counts(), names) if state != "gathering" else ""
    return [*audit.refused(), *([few] if few else [])]


def documents(session: Session | None) -> list[AuditDocument]:
    """Return the public descriptions of a session's audits, the newest first."""
    return each(session.audits(), document) if session else []


@blueprint.post("/audits/estimate")
@operation(AUDITS, errors=(500, 503), example='{"classes": {"images/tank": 60, "images/no tank": 60}, "pairs": 10}')
def estimate_audit(body: Folders) -> AuditEstimate:
    """Return which classes an audit of these folders would compare, how many images it would use, and its time."""
    folders = body.classes
    classes, found = Classes(services().model.class_names()), defaultdict[int, list[str]](list)
    for folder in sorted(folders):
        found[classes.innermost(folder)].append(folder)
    counts = {target: sum(folders[folder] for folder in some) for target, some in sorted(found.items())}
    chosen = taken(counts, classes.names)
    counted = {one: count for one, count in chosen.items() if count}
    answer = services().runner.ask({"kind": "audit", "counts": counted, "pairs": body.pairs})
    listed = [
        ClassOfFolders(name=classes.names[one], folders=found[one], images=counts[one], taken=chosen[one])
        for one in counts
    ]
    return AuditEstimate(classes=listed, sentence=answer["sentence"], seconds=answer["seconds"])


@blueprint.post("/audits")
@operation(AUDITS, session="started", errors=(413, 429, 500, 503, 507))
def create_audit() -> Started:
    """Create an audit; send its images next."""
    names = services().model.class_names()
    services().model.check_audits()
    audit = make_session().new_audit(names)
    return Started(id=audit.id, url=url_for("api_audits.show_audit", audit_id=audit.id))


@blueprint.get("/audits")
@operation(AUDITS, session="used")
def list_audits() -> Audits:
    """List the session's audits, the newest first."""
    return Audits(audits=documents(find_session()))


@blueprint.post("/audits/<audit_id>/images")
@operation(AUDITS, session="needed", errors=(503, 507), example="-F class=tank -F file=@image.png")
def add_audit_images(audit_id: AuditId, form: AuditImages) -> StoredImages:
    """Store images of one class: the multipart fields ``class`` (name, index or folder) and ``file``."""
    session, audit = need_session(), need_audit(audit_id)
    target = Classes(audit.class_names).innermost(form.folder)
    audit.check_open()
    session.check_room()
    refused, stored = [], 0
    try:
        for upload in in_time(form.file):
            try:
                session.add_audit_image(audit, target, upload.stream, upload.filename or "")
                stored += 1
            except (BadRequest, UnsupportedImage, TooLarge, Busy) as error:
                if isinstance(error, Busy) and upload is form.file[0]:
                    # Nothing was stored, so the client can send all images again.
                    raise
                refused.append(error.message)
    except TooLarge as error:
        refused.append(error.message)
    audit.note_refused(refused)
    return StoredImages(stored=stored, refused=refused)


@blueprint.post("/audits/<audit_id>/start")
@operation(
    AUDITS,
    status=202,
    session="needed",
    errors=(500, 503, 507),
    example='{"pairs": 10, "seed": 0, "budget": 300}',
)
def start_audit(audit_id: AuditId, body: AuditOptions) -> Started:
    """Queue an audit that has its images; one that was cancelled or failed continues where it stopped."""
    audit = need_audit(audit_id)
    services().runner.start_audit(audit, pairs=body.pairs, seed=body.seed, budget=body.budget or MAX_NUMBER)
    return Started(id=audit.id, url=url_for("api_audits.show_audit", audit_id=audit.id))


@blueprint.post("/audits/<audit_id>/mend")
@operation(AUDITS, status=202, session="needed", errors=(500, 503, 507))
def mend_model(audit_id: AuditId) -> Started:
    """Queue the mending of the model by a finished audit with findings; the model of the server stays the same."""
    audit = need_audit(audit_id)
    start_mending(audit)
    return Started(id=audit.id, url=url_for("api_audits.show_audit", audit_id=audit.id))


def start_mending(audit: Audit) -> None:
    """Queue the mending of the model, or continue it.

    Raises:
        BadRequest: this server does not offer it, or the audit has no findings.
    """
    if not services().settings.MENDING:
        raise BadRequest("This server does not offer mended models (setting MENDING).")
    need_session().check_room()
    audit.check_mendable()
    order = audit.order()
    services().runner.start_audit(audit, pairs=order.pairs, seed=order.seed, budget=order.budget, mend=True)


@blueprint.get("/audits/<audit_id>")
@operation(AUDITS, session="needed")
def show_audit(audit_id: AuditId) -> AuditDocument:
    """Return the state of an audit and its findings so far."""
    return document(need_audit(audit_id))


@blueprint.post("/audits/<audit_id>/cancel")
@operation(AUDITS, session="needed")
def cancel_audit(audit_id: AuditId) -> Done:
    """Stop an audit; its findings so far are kept, and it can be started again."""
    need_audit(audit_id).cancel()
    return Done()


@blueprint.delete("/audits/<audit_id>")
@operation(AUDITS, session="needed")
def delete_audit(audit_id: AuditId) -> Done:
    """Cancel an audit and delete its images and its report."""
    session = need_session()
    session.remove_audit(session.audit(audit_id))
    return Done()


@blueprint.get("/audits/<audit_id>/report.html")
@operation(AUDITS, media=("text/html",), says="The report.", session="needed", partial=True)
def audit_report(audit_id: AuditId) -> Response:
    """Return the report of a finished audit as one self-contained page."""
    response = send_file(made(audit_id, "report.html"))
    response.headers["Content-Security-Policy"] = REPORT_POLICY
    return response


@blueprint.get("/audits/<audit_id>/audit.json")
@operation(AUDITS, media=("application/json",), says="All findings.", session="needed", partial=True)
def audit_json(audit_id: AuditId) -> Response:
    """Return all findings of an audit."""
    return send_file(made(audit_id, "audit.json"), as_attachment=True)


@blueprint.get("/audits/<audit_id>/evidence/<name>")
@operation(AUDITS, media=("image/png",), says="The image.", session="needed", partial=True)
def audit_evidence(audit_id: AuditId, name: EvidenceName) -> Response:
    """Return an image of a finding, before or after the change, as the model sees it."""
    # While the model is mended, the audit runs, but its evidence is complete.
    file = need_audit(audit_id).out / "evidence" / name
    if EVIDENCE.fullmatch(name) and file.is_file():
        return send_file(file)
    made(audit_id, "evidence")
    raise NotFound("There is no such image in the evidence of this audit; its `shown` and `example` name them.")


@blueprint.get("/audits/<audit_id>/junit.xml")
@operation(AUDITS, media=("application/xml",), says="The outcome, as JUnit XML.", session="needed", partial=True)
def audit_junit(audit_id: AuditId) -> Response:
    """Return the outcome of an audit as JUnit XML, for CI."""
    return send_file(made(audit_id, "junit.xml"), "application/xml", as_attachment=True)


@blueprint.get("/audits/<audit_id>/mended.keras")
@operation(
    AUDITS, media=("application/octet-stream",), says="The mended model.", session="needed", errors=(), partial=True
)
def audit_mended(audit_id: AuditId) -> Response:
    """Return the mended copy of the model as a Keras file."""
    file = made(audit_id, "mended.keras")
    if not file.is_file():
        raise NotFound("There is no mended model in this audit.")
    return send_file(file, "application/octet-stream", as_attachment=True)


def made(audit_id: str, name: str) -> Path:
    """Return a file of a finished audit, or raise BadRequest."""
    audit = need_audit(audit_id)
    if audit.state() != "finished":
        raise BadRequest("The audit is not finished. Start it if it is not running, and wait for it.")
    return audit.out / name
