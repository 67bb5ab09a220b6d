"""The REST API: runs, which can be watched and cancelled, and their results."""

from __future__ import annotations

from typing import Any

import numpy as np
from flask import Blueprint, Response, jsonify, request, url_for

from picasso.errors import BadRequest, NotFound
from picasso.jobs.run import Run
from picasso.web.context import each, find_session, json_body, need_session, services, session_images
from picasso.web.presentation import present_run

blueprint = Blueprint("api_runs", __name__, url_prefix="/api")

EXAMPLE = '{"visualization": "SaliencyMaps"}'


def words(body: dict[str, Any], field: str) -> list[str | int]:
    """Return a list of names or numbers from the body of a request; an empty one if it is omitted."""
    values = body.get(field, [])
    if not isinstance(values, list) or not all(isinstance(one, str | int) for one in values):
        raise BadRequest(f"{field} must be a list of names or numbers.", field=field)
    return values


@blueprint.post("/runs")
def start_run() -> tuple[Response, int, dict[str, str]]:
    """Queue a run: ``visualization`` (required), ``settings``, ``images``, ``classes`` and ``models``."""
    body = json_body(EXAMPLE, "visualization")
    name, settings = body.get("visualization"), body.get("settings", {})
    if not isinstance(name, str):
        raise BadRequest(f"visualization must be a name, as in {EXAMPLE}.", field="visualization")
    if not isinstance(settings, dict):
        raise BadRequest("settings must be an object of names and values.", field="settings")
    session = need_session()
    session.check_room()
    images = session_images(session, body.get("images"))
    run = services().runner.start(
        session.runs_folder, name, settings, images, classes=words(body, "classes"), models=words(body, "models")
    )
    url = url_for("api_runs.show_run", run_id=run.id)
    return jsonify(ok=True, id=run.id, url=url), 202, {"Location": url}


@blueprint.get("/runs")
def list_runs() -> Response:
    """List the session's runs, the newest first, without their results."""
    session = find_session()
    return jsonify(runs=each(session.runs() if session else [], described))


def described(run: Run) -> dict[str, Any]:
    """Return the entry of a run in the list of runs."""
    return {"id": run.id, "visualization": run.spec().visualization, **run.state()}


@blueprint.get("/runs/<run_id>")
def show_run(run_id: str) -> Response:
    """Return the state of a run and the results so far; ``?results=false`` omits them, for polling."""
    run = need_session().run(run_id)
    wanted = request.args.get("results", "true")
    if wanted not in ("true", "false"):
        raise BadRequest("results must be true or false.", field="results")
    return jsonify(present_run(run, services().runner.position(run), results=wanted == "true"))


@blueprint.delete("/runs/<run_id>")
def delete_run(run_id: str) -> Response:
    """Cancel a run and delete its results."""
    session = need_session()
    session.remove_run(session.run(run_id))
    return jsonify(ok=True)


@blueprint.post("/runs/<run_id>/cancel")
def cancel_run(run_id: str) -> Response:
    """Stop a run; finished results are kept."""
    run = need_session().run(run_id)
    run.cancel()
    return jsonify(ok=True)


@blueprint.get("/runs/<run_id>/values/<place>/<int:panel>")
def show_values(run_id: str, place: str, panel: int) -> Response:
    """Return the values of a map as float32, little-endian, row by row; its ``shape`` is in the result."""
    values = need_session().run(run_id).array(place, f"panel_{panel}")
    # Images consist of bytes and have their own URL.
    if values is None or values.dtype == np.uint8:
        raise NotFound("There is no such map in this session.")
    response = Response(values.astype("<f4").tobytes(), mimetype="application/octet-stream")
    response.headers["Cache-Control"] = "private, max-age=3600"
    return response
