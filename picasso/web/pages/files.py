"""Image files: uploads, samples, and the output of runs."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Annotated, BinaryIO

from flask import Blueprint, Response, send_file
from msgspec import Meta

from picasso.errors import NotFound
from picasso.explanation.render import DIVERGING, SEQUENTIAL, strip
from picasso.imaging import decode
from picasso.web.api.operations import IMAGES, RUNS, operation
from picasso.web.context import need_session, services
from picasso.web.presentation import output_file

blueprint = Blueprint("files", __name__, static_folder=None)

ImageFile = Annotated[str, Meta(description="The file name of an image.")]
OutputFile = Annotated[str, Meta(description="The file name of an output.")]


def sample_file(name: str) -> Path:
    """Return the path of a sample, or raise NotFound."""
    file = services().samples.get(name)
    if file is None:
        raise NotFound("There is no sample of that name.", field="sample")
    return file


def send(path: Path | BinaryIO, mimetype: str | None = None) -> Response:
    """Send an immutable file; only the visitor's own browser can cache it."""
    response = send_file(path, mimetype, conditional=True)
    response.headers["Cache-Control"] = "private, max-age=3600"
    return response


@blueprint.get("/samples/<path:name>")
def sample(name: str) -> Response:
    """Serve a sample."""
    return send(sample_file(name))


@blueprint.get("/thumbnails/samples/<path:name>")
def sample_thumbnail(name: str) -> Response:
    """Serve the thumbnail of a sample."""
    return send(services().storage.sample_thumbnail(sample_file(name)), "image/webp")


@blueprint.get("/thumbnails/<name>")
def image_thumbnail(name: str) -> Response:
    """Serve the thumbnail of an uploaded image of this session."""
    return send(need_session().thumbnail_file(name), "image/webp")


@blueprint.get("/visualizations/<name>/image")
def card_image(name: str) -> Response:
    """Serve the example image of a visualization."""
    image = services().registry.get(name).image
    if image is None:
        raise NotFound("This visualization has no image.")
    return send(image, f"image/{image.suffix[1:]}")


@blueprint.get("/colours/<name>.png")
def colour_map(name: str) -> Response:
    """Serve the 256 colours of a colour map as a strip, which the page uses to draw maps and legends."""
    if name not in (*SEQUENTIAL, *DIVERGING):
        raise NotFound("There is no colour map of that name.")
    return send(io.BytesIO(decode.encode(strip(name))), "image/png")


@blueprint.get("/inputs/<name>")
@blueprint.get("/api/inputs/<name>", endpoint="api_image")
@operation(IMAGES, media=("image/png",), says="The image.", session="needed", partial=True)
def image(name: ImageFile) -> Response:
    """Serve an uploaded image of this session."""
    return send(need_session().image_file(name))


@blueprint.get("/outputs/<name>")
@blueprint.get("/api/outputs/<name>", endpoint="api_output")
@operation(
    RUNS,
    media=("image/png", "application/octet-stream", "application/json"),
    says="A panel or a legend as PNG, the arrays as a NumPy file, or the result as JSON.",
    session="needed",
    partial=True,
)
def output(name: OutputFile) -> Response:
    """Serve a file of one of this session's results."""
    return send(output_file(need_session(), name))
