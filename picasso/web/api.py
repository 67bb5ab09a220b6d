"""The REST API: the original's calls with the original's fields, and runs that can be watched and cancelled."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, jsonify, request, url_for

from picasso import __version__
from picasso.errors import BadRequest, NotReady, PicassoError
from picasso.runs import Run
from picasso.web.present import output_name, present_run
from picasso.web.services import drop_session, find_session, make_session, need_session, services

blueprint = Blueprint("api", __name__, url_prefix="/api")

# How long the synchronous call of the original waits before it gives up, in seconds.
PATIENCE = 600


@blueprint.get("/", strict_slashes=False)
def root() -> Response:
    """Say hello."""
    return jsonify(message="Picasso shows where an image classifier looks.", version=__version__)


@blueprint.get("/app_state")
def app_state() -> Response:
    """Return the title, the model and its checkpoint; ``state`` is loading, ready or failed."""
    status = services().runner.model_status()
    card = status.get("card") or {}
    return jsonify(
        app_title=services().settings.APP_TITLE,
        model_name=card.get("name", services().settings.MODEL_CLS_NAME),
        latest_ckpt_name=card.get("checkpoint", ""),
        latest_ckpt_time=card.get("checkpoint_time", ""),
        state=status["state"],
        model=card or None,
        error=status.get("error"),
    )


@blueprint.get("/model")
def show_model() -> Response:
    """Return what Picasso understood of the model, its layers, and its answers for the samples."""
    status = services().runner.model_status()
    if status["state"] != "ready":
        raise NotReady(status.get("error", "The model is still loading; try again in a few seconds."))
    return jsonify(status["report"])


@blueprint.post("/images")
def add_image() -> Response:
    """Store the pictures of the multipart field ``file``."""
    uploads = [file for file in request.files.getlist("file") if file.filename]
    if not uploads:
        raise BadRequest("Send one or more pictures as multipart/form-data in the field file.", field="file")
    stored = [make_session().add_picture(file.read(), file.filename or "") for file in uploads]
    images = [{"filename": one["filename"], "uid": one["uid"], "name": one["name"]} for one in stored]
    return jsonify(ok="true", file=stored[0]["filename"], uid=stored[0]["uid"], images=images)


@blueprint.get("/images")
def list_images() -> Response:
    """List the pictures of the session."""
    session = find_session()
    pictures = session.pictures() if session else []
    return jsonify(images=[{"filename": p["filename"], "uid": p["uid"], "name": p["name"]} for p in pictures])


@blueprint.delete("/images/<uid>")
def delete_image(uid: str) -> Response:
    """Remove a picture from the session."""
    need_session().remove_picture(uid)
    return jsonify(ok="true")


@blueprint.get("/visualizers")
def list_visualizers() -> Response:
    """List the visualizations; ``reason`` says why one can't be used with this model."""
    runner = services().runner
    entries = services().registry.entries()
    usable = [(entry, runner.unusable(entry)) for entry in entries]
    return jsonify(
        visualizers=[
            {"name": entry.name, "description": entry.description, **({"reason": reason} if reason else {})}
            for entry, reason in usable
        ]
    )


@blueprint.get("/visualizers/<name>")
def show_visualizer(name: str) -> Response:
    """Return the settings of a visualization: allowed values as strings, and each field in full."""
    cls = services().registry.get(name).require()
    controls = cls.ALLOWED_SETTINGS.controls()
    return jsonify(
        settings={key: control.options() for key, control in controls.items()},
        fields=[{"name": key, **control.describe()} for key, control in controls.items()],
        description=cls.DESCRIPTION,
        reference=cls.REFERENCE_LINK,
        needs=sorted(need.value for need in cls.NEEDS),
    )


@blueprint.get("/visualize")
def visualize() -> Response:
    """Run one visualization of one picture and wait for it: the original's call."""
    values = request.args.to_dict()
    uid, name = values.pop("image", None), values.pop("visualizer", None)
    if uid is None or name is None:
        missing = "image" if uid is None else "visualizer"
        raise BadRequest("Name the picture as image=<uid> and the visualization as visualizer=<name>.", field=missing)
    session = need_session()
    runner = services().runner
    run = runner.start(session.runs_folder, name, values, [session.picture(uid)])
    runner.wait(run, PATIENCE)
    state = run.state()
    if state["error"]:
        error = PicassoError(state["error"]["message"])
        error.code = state["error"]["code"]
        raise error
    if state["state"] != "finished":
        raise NotReady("The run was cancelled.")
    return jsonify(classic(run, next(run.results())))


def classic(run: Run, document: dict[str, Any]) -> dict[str, Any]:
    """Return a result with the fields and spellings of the original."""
    names = {
        kind: [output_name(run, "0", panel["file"]) for panel in document["panels"] if panel["kind"] == kind]
        for kind in ("map", "picture")
    }
    answer = {
        "input_file_name": document["filename"],
        "predict_probs": [{**one, "prob": f"{one['prob']:.3f}"} for one in document["predictions"]],
        "has_output": bool(names["map"]),
        "output_file_names": names["map"],
        "has_processed_input": bool(names["picture"]),
    }
    if names["picture"]:
        answer["processed_input_file_name"] = names["picture"][0]
    return answer


@blueprint.get("/reset")
def reset() -> Response:
    """Delete the session and its files."""
    return drop_session(jsonify(ok="true"))


@blueprint.post("/runs")
def start_run() -> tuple[Response, int, dict[str, str]]:
    """Queue a run: ``visualization``, ``settings`` and ``images`` (numbers; all if left out) as JSON."""
    body = request.get_json()
    if not isinstance(body, dict) or not isinstance(body.get("visualization"), str):
        raise BadRequest('Send a JSON object such as {"visualization": "SaliencyMaps"}.', field="visualization")
    settings, uids = body.get("settings", {}), body.get("images")
    if not isinstance(settings, dict):
        raise BadRequest("settings must be an object of names and values.", field="settings")
    if uids is not None and not isinstance(uids, list):
        raise BadRequest("images must be a list of picture numbers.", field="images")
    session = need_session()
    pictures = session.pictures() if uids is None else [session.picture(uid) for uid in uids]
    run = services().runner.start(session.runs_folder, body["visualization"], settings, pictures)
    url = url_for("api.show_run", run_id=run.id)
    return jsonify(ok=True, id=run.id, url=url), 202, {"Location": url}


@blueprint.get("/runs")
def list_runs() -> Response:
    """List the session's runs, the newest first, without their results."""
    session = find_session()
    runs = session.runs() if session else []
    return jsonify(runs=[{"id": run.id, "visualization": run.spec().visualization, **run.state()} for run in runs])


@blueprint.get("/runs/<run_id>")
def show_run(run_id: str) -> Response:
    """Return how a run stands and the results so far; ``?results=false`` leaves them out, for polling."""
    run = need_session().run(run_id)
    wanted = request.args.get("results") != "false"
    return jsonify(present_run(run, services().runner.position(run), results=wanted))


@blueprint.delete("/runs/<run_id>")
def delete_run(run_id: str) -> Response:
    """Cancel a run and delete its results."""
    session = need_session()
    session.remove_run(session.run(run_id))
    return jsonify(ok=True)
