"""The REST API: what a finished audit gives to a build, a pull request and the readers of a model."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

from flask import Blueprint, Response, send_file

from picasso import fileio
from picasso.audit.reporting.alerts import audit_alerts
from picasso.audit.reporting.failures import FailureRule
from picasso.audit.reporting.model_card import model_card
from picasso.audit.reporting.summary import summary
from picasso.evaluation.sarif import sarif
from picasso.web.api.audits import AuditId, made, need_audit
from picasso.web.api.operations import AUDITS, operation

blueprint = Blueprint("api_audit_downloads", __name__, url_prefix="/api")

# The name of the folder of images in a model card. That of the visitor is not known: several may be uploaded.
FOLDER = "images"


@blueprint.get("/audits/<audit_id>/audit.sarif")
@operation(
    AUDITS, media=("application/sarif+json",), says="The findings, as SARIF 2.1.0.", session="needed", partial=True
)
def audit_sarif(audit_id: AuditId) -> Response:
    """Return the findings of an audit as SARIF 2.1.0, for code scanning."""
    written = written_by(audit_id)
    # The path of the model on the server is nobody's business.
    model = Path(written["model"]["checkpoint"] or written["model"]["name"])
    log = sarif(audit_alerts(written, FailureRule().judge(written), [], model))
    return attached(json.dumps(log, indent=1).encode(), "application/sarif+json", "audit.sarif")


@blueprint.get("/audits/<audit_id>/summary.md")
@operation(AUDITS, media=("text/markdown",), says="The summary.", session="needed", partial=True)
def audit_summary(audit_id: AuditId) -> Response:
    """Return a short summary of an audit in Markdown, for a pull request."""
    written = written_by(audit_id)
    images = sum(need_audit(audit_id).counts().values())
    text = summary(written, FailureRule().judge(written), [], images=images)
    return attached(text.encode("utf-8", "replace"), "text/markdown", "summary.md")


@blueprint.get("/audits/<audit_id>/model-card.zip")
@operation(AUDITS, media=("application/zip",), says="The model card.", session="needed", partial=True)
def audit_model_card(audit_id: AuditId) -> Response:
    """Return a model card in Markdown with its two figures, as a zip."""
    written, body = written_by(audit_id), io.BytesIO()
    with zipfile.ZipFile(body, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("model-card.md", model_card(written, FOLDER, ".").encode("utf-8", "replace"))
        for when in ("before", "after") if written["example"] else ():
            name = Path(written["example"][when]["file"]).name
            file = fileio.child(made(audit_id, "evidence"), name)
            if file is not None:
                packed.write(file, f"evidence/{name}")
    return attached(body.getvalue(), "application/zip", "model-card.zip")


def written_by(audit_id: str) -> dict[str, Any]:
    """Return the content of the ``audit.json`` of a finished audit, or raise BadRequest."""
    return fileio.read_document(made(audit_id, "audit.json"))


def attached(body: bytes, media: str, name: str) -> Response:
    """Return a file to save."""
    return send_file(io.BytesIO(body), media, as_attachment=True, download_name=name)
