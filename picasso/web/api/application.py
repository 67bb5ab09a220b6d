"""The REST API: the application, its model and its visualizations, and the synchronous call of the original."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, jsonify, request

from picasso import __version__
from picasso.errors import BadRequest, NotReady, error_from
from picasso.jobs.run import Run
from picasso.web.context import drop_session, need_session, services
from picasso.web.presentation import output_name

blueprint = Blueprint("api", __name__, url_prefix="/api")

# The timeout of the synchronous call of the original, in seconds.
RUN_TIMEOUT = 600


@blueprint.get("/", strict_slashes=False)
def root() -> Response:
    """Return a greeting and the version."""
    return jsonify(message="Picasso shows where an image classifier looks.", version=__version__)


@blueprint.get("/app_state")
def app_state() -> Response:
    """Return the title, the model and its checkpoint; ``state`` is loading, ready or failed."""
    status = services().runner.model_status()
    card = status.get("card") or {}
    return jsonify(
        app_title=services().settings.APP_TITLE,
        model_name=card.get("name", services().settings.model_name()),
        latest_ckpt_name=card.get("checkpoint", ""),
        latest_ckpt_time=card.get("checkpoint_time", ""),
        state=status["state"],
        model=card or None,
        error=status.get("error"),
    )


@blueprint.get("/model")
def show_model() -> Response:
    """Return a summary of the model, its layers, and its predictions for the samples."""
    status = services().runner.model_status()
    if status["state"] != "ready":
        loading = f"{services().settings.model_name()} is still loading. Try again in a few seconds."
        raise NotReady(status.get("error", loading))
    return jsonify(status["report"])


@blueprint.get("/visualizers")
def list_visualizers() -> Response:
    """List the visualizations; ``reason`` explains why one can't be used with this model."""
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
    """Run one visualization of one image and wait for the result: the call of the original."""
    values = request.args.to_dict()
    uid, name = values.pop("image", None), values.pop("visualizer", None)
    if uid is None or name is None:
        missing = "image" if uid is None else "visualizer"
        raise BadRequest("Specify the image as image=<uid> and the visualization as visualizer=<name>.", field=missing)
    session = need_session()
    session.check_room()
    # Picasso's own server reports whether the client is still connected; other servers may not.
    gone = request.environ.get("waitress.client_disconnected", lambda: False)
    run = services().runner.run_and_wait(
        session.runs_folder, name, values, [session.image(uid)], timeout=RUN_TIMEOUT, gone=gone
    )
    state = run.state()
    if state["error"]:
        raise error_from({"code": state["error"]["code"], "message": state["error"]["message"], "field": None})
    if state["state"] != "finished":
        raise NotReady("The run was cancelled.")
    return jsonify(classic(run, next(run.results())))


def classic(run: Run, document: dict[str, Any]) -> dict[str, Any]:
    """Return a result with the field names of the original."""
    names = {
        kind: [output_name(run, "0", panel["file"]) for panel in document["panels"] if panel["kind"] == kind]
        for kind in ("map", "image")
    }
    answer = {
        "input_file_name": document["filename"],
        "predict_probs": [{**one, "prob": f"{one['prob']:.3f}"} for one in document["predictions"]],
        "has_output": bool(names["map"]),
        "output_file_names": names["map"],
        "has_processed_input": bool(names["image"]),
    }
    if names["image"]:
        answer["processed_input_file_name"] = names["image"][0]
    return answer


@blueprint.get("/reset")
def reset() -> Response:
    """Delete the session and its files."""
    return drop_session(jsonify(ok="true"))
