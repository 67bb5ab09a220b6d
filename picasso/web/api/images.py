"""The REST API: the pictures of a session."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from flask import Blueprint, Response, jsonify, request

from picasso.errors import BadRequest, Busy, NotFound
from picasso.jobs.run import StoredPicture
from picasso.web.context import find_session, in_time, json_body, make_session, need_session, picture_numbers

blueprint = Blueprint("api_pictures", __name__, url_prefix="/api")


@blueprint.post("/images")
def add_image() -> Response:
    """Store the pictures of the multipart field ``file``."""
    uploads = [file for file in request.files.getlist("file") if file.filename]
    if not uploads:
        raise BadRequest("Send one or more pictures as multipart/form-data in the field file.", field="file")
    session, stored = make_session(), list[StoredPicture]()
    for file in in_time(uploads):
        try:
            stored.append(session.add_picture(file.stream, file.filename or ""))
        except Busy:
            # Whoever tries again sends all of them again.
            for picture in stored:
                # Somebody may have removed it in another tab.
                with suppress(NotFound):
                    session.remove_picture(picture["uid"])
            raise
    return jsonify(ok="true", file=stored[0]["filename"], uid=stored[0]["uid"], images=list(map(described, stored)))


@blueprint.get("/images")
def list_images() -> Response:
    """List the pictures of the session."""
    session = find_session()
    pictures = session.pictures() if session else []
    return jsonify(images=list(map(described, pictures)))


def described(picture: StoredPicture) -> dict[str, Any]:
    """Return what the API says of a picture; where it lies is nobody's business."""
    shown = {"filename": picture["filename"], "uid": picture["uid"], "name": picture["name"]}
    return {**shown, "notes": picture.get("notes", [])}


@blueprint.delete("/images/<uid>")
def delete_image(uid: str) -> Response:
    """Remove a picture from the session."""
    need_session().remove_picture(uid)
    return jsonify(ok="true")


@blueprint.put("/images/order")
def arrange_images() -> Response:
    """Put pictures into an order: ``images``, a list of numbers; those left out follow as they were."""
    uids = json_body('{"images": [2, 0, 1]}', "images").get("images")
    need_session().arrange(picture_numbers(uids))
    return list_images()
