"""Pictures: uploaded ones, samples, and everything that runs have drawn."""

from __future__ import annotations

from pathlib import Path

from flask import Blueprint, Response, send_file

from picasso.errors import NotFound
from picasso.web.present import output_file
from picasso.web.services import need_session, services

blueprint = Blueprint("files", __name__, static_folder=None)


def sample_file(name: str) -> Path:
    """Return the path of a sample, or raise NotFound."""
    file = services().samples.get(name)
    if file is None:
        raise NotFound("There is no such sample.", field="sample")
    return file


def send(path: Path) -> Response:
    """Send a file that never changes under its name; only the visitor's own browser may keep it."""
    response = send_file(path, conditional=True)
    response.headers["Cache-Control"] = "private, max-age=3600"
    return response


@blueprint.get("/samples/<path:name>")
def sample(name: str) -> Response:
    """Serve a sample."""
    return send(sample_file(name))


@blueprint.get("/inputs/<name>")
@blueprint.get("/api/inputs/<name>", endpoint="api_picture")
def picture(name: str) -> Response:
    """Serve an uploaded picture of this session."""
    return send(need_session().picture_file(name))


@blueprint.get("/outputs/<name>")
@blueprint.get("/api/outputs/<name>", endpoint="api_output")
def output(name: str) -> Response:
    """Serve a file of one of this session's results."""
    return send(output_file(need_session(), name))
