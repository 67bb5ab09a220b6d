"""The REST API: interactive questions, answered between two chunks of the current computation."""

from __future__ import annotations

from flask import Blueprint, Response, jsonify, request

from picasso.errors import BadRequest
from picasso.imaging.masking import MaskEdit
from picasso.web.context import json_body, need_session, services, session_images

blueprint = Blueprint("api_questions", __name__, url_prefix="/api")

# The maximum number of images in one question, because other questions wait for its answer.
MAX_IMAGES = 16


@blueprint.post("/what-if")
def what_if() -> Response:
    """Hide parts of images and return the predictions before and after."""
    body = json_body('{"shapes": [{"box": [0, 0, 0.5, 0.5]}]}', "shapes")
    session = need_session()
    uids = body.get("images")
    images = session_images(session, uids)
    if not images:
        raise BadRequest("There are no images. Upload some first.", field="images")
    if len(images if uids is None else uids) > MAX_IMAGES:
        raise BadRequest(f"A request can cover at most {MAX_IMAGES} images. List them in images.", field="images")
    shapes, fill = body.get("shapes", []), body.get("fill", "grey")
    MaskEdit.parse(shapes, fill)
    other, show = body.get("other"), body.get("view", False)
    if not isinstance(show, bool):
        raise BadRequest("view must be true or false.", field="view")
    question = {
        "kind": "what if",
        "paths": [image["path"] for image in images],
        "shapes": shapes,
        "fill": fill,
        "other": None if other is None else session.image(other)["path"],
        "show": show,
    }
    answers = services().runner.ask(question)["answers"]
    named = ({"uid": image["uid"], "name": image["name"]} for image in images)
    return jsonify(answers=[{**name, **answer} for name, answer in zip(named, answers, strict=True)])


@blueprint.get("/visualizers/<name>/estimate")
def estimate(name: str) -> Response:
    """Return the estimated seconds of a visualization per image (null if unknown), and once per model."""
    settings = services().registry.get(name).require().ALLOWED_SETTINGS.parse(request.args.to_dict()).as_dict()
    if services().runner.model_status()["state"] == "loading":
        return jsonify(seconds_per_image=None, seconds_once=0.0)
    answer = services().runner.ask({"kind": "estimate", "visualization": name, "settings": settings})
    return jsonify(seconds_per_image=answer["seconds"], seconds_once=answer["once"])
