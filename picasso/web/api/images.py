"""The REST API: the images of a session."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from flask import Blueprint, Response, jsonify, request

from picasso.errors import BadRequest, Busy, NotFound
from picasso.jobs.run import StoredImage
from picasso.web.context import find_session, image_numbers, in_time, json_body, make_session, need_session

blueprint = Blueprint("api_images", __name__, url_prefix="/api")


@blueprint.post("/images")
def add_image() -> Response:
    """Store the images of the multipart field ``file``."""
    uploads = [file for file in request.files.getlist("file") if file.filename]
    if not uploads:
        raise BadRequest("Send one or more images as multipart/form-data in the field file.", field="file")
    session, stored = make_session(), list[StoredImage]()
    for file in in_time(uploads):
        try:
            stored.append(session.add_image(file.stream, file.filename or ""))
        except Busy:
            # A client that tries again sends all of them again.
            for image in stored:
                # It may have been removed in another tab.
                with suppress(NotFound):
                    session.remove_image(image["uid"])
            raise
    return jsonify(ok="true", file=stored[0]["filename"], uid=stored[0]["uid"], images=list(map(described, stored)))


@blueprint.get("/images")
def list_images() -> Response:
    """List the images of the session."""
    session = find_session()
    images = session.images() if session else []
    return jsonify(images=list(map(described, images)))


def described(image: StoredImage) -> dict[str, Any]:
    """Return the public description of an image, without its path on the server."""
    shown = {"filename": image["filename"], "uid": image["uid"], "name": image["name"]}
    return {**shown, "notes": image.get("notes", [])}


@blueprint.delete("/images/<uid>")
def delete_image(uid: str) -> Response:
    """Remove an image from the session."""
    need_session().remove_image(uid)
    return jsonify(ok="true")


@blueprint.put("/images/order")
def arrange_images() -> Response:
    """Reorder the images: ``images`` is a list of numbers; omitted ones follow in their old order."""
    uids = json_body('{"images": [2, 0, 1]}', "images").get("images")
    need_session().arrange(image_numbers(uids))
    return list_images()
