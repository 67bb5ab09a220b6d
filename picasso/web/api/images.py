"""The REST API: the images of a session."""

from __future__ import annotations

from contextlib import suppress
from typing import Annotated, Literal

from flask import Blueprint
from msgspec import Meta
from werkzeug.datastructures import FileStorage

from picasso.errors import NotFound, PicassoError
from picasso.jobs.run import StoredImage
from picasso.web.api.documents import Document, DoneAsText, ImageNumber, Number, Request, Uid
from picasso.web.api.operations import IMAGES, operation
from picasso.web.context import check_image_count, find_session, in_time, make_session, need_session

blueprint = Blueprint("api_images", __name__, url_prefix="/api")


class Upload(Request):
    """The images to store.

    Attributes:
        file: the files.
    """

    file: Annotated[list[FileStorage], Meta(min_length=1)]


class ImageOrder(Request):
    """An order of images; omitted ones follow in their old order.

    Attributes:
        images: the numbers of the images.
    """

    images: list[Uid]


class Image(Document):
    """An image of the session.

    Attributes:
        filename: the name under which it is stored and served.
        uid: its number within the session, counted from 0.
        name: the original file name.
        notes: notes on how it was read.
    """

    filename: str
    uid: Number
    name: str
    notes: list[str]


class Images(Document):
    """The images of the session, in their order."""

    images: list[Image]


class Uploaded(Document, kw_only=True):
    """The images that were stored.

    Attributes:
        file: the file name of the first.
        uid: the number of the first.
        images: all images of the request.
    """

    ok: Literal["true"] = "true"
    file: str
    uid: Number
    images: list[Image]


def described(image: StoredImage) -> Image:
    """Return the public description of an image, without its path on the server."""
    return Image(filename=image["filename"], uid=image["uid"], name=image["name"], notes=image.get("notes", []))


@blueprint.post("/images")
@operation(IMAGES, session="started", errors=(429, 503, 507), example="-F file=@image.png")
def add_image(form: Upload) -> Uploaded:
    """Store the images of the multipart field ``file``: all of them, or none if one is refused."""
    session, stored = make_session(), list[StoredImage]()
    for file in in_time(form.file):
        try:
            stored.append(session.add_image(file.stream, file.filename or ""))
        except PicassoError:
            # A client that tries again sends all of them again.
            for image in stored:
                # It may have been removed in another tab.
                with suppress(NotFound):
                    session.remove_image(image["uid"])
            raise
    return Uploaded(file=stored[0]["filename"], uid=stored[0]["uid"], images=list(map(described, stored)))


@blueprint.get("/images")
@operation(IMAGES, session="used")
def list_images() -> Images:
    """List the images of the session."""
    session = find_session()
    return Images(images=list(map(described, session.images() if session else [])))


@blueprint.delete("/images/<uid>")
@operation(IMAGES, session="needed")
def delete_image(uid: ImageNumber) -> DoneAsText:
    """Remove an image from the session."""
    need_session().remove_image(uid)
    return DoneAsText()


@blueprint.put("/images/order")
@operation(IMAGES, session="needed", errors=(507,), example='{"images": [2, 0, 1]}')
def arrange_images(body: ImageOrder) -> Images:
    """Reorder the images; omitted ones follow in their old order."""
    session = need_session()
    session.arrange(check_image_count(body.images))
    return Images(images=list(map(described, session.images())))
