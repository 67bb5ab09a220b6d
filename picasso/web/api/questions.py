"""The REST API: interactive questions, answered between two chunks of the current computation."""

from __future__ import annotations

from typing import Annotated, Any

from flask import Blueprint
from msgspec import UNSET, Meta, UnsetType, convert

from picasso.errors import BadRequest, NotFound
from picasso.imaging.masking import FILLS, MAX_POINTS, MAX_SHAPES, MaskEdit
from picasso.models.info import Prediction
from picasso.storage.session import Session
from picasso.web.api.documents import Document, Fraction, Number, Request, Uid, VisualizationName
from picasso.web.api.operations import QUESTIONS, VISUALIZATIONS, operation
from picasso.web.context import need_session, services, session_images

blueprint = Blueprint("api_questions", __name__, url_prefix="/api")

# The maximum number of images in one question, because other questions wait for its answer.
MAX_IMAGES = 16


class Box(Request):
    """A rectangle.

    Attributes:
        box: left, top, right, bottom.
    """

    box: tuple[Fraction, Fraction, Fraction, Fraction]


class Line(Request):
    """A brush stroke.

    Attributes:
        line: the points that it passes through, x and y.
        width: its width as a fraction of the longer side.
    """

    line: Annotated[list[tuple[Fraction, Fraction]], Meta(min_length=1, max_length=MAX_POINTS)]
    width: Annotated[float, Meta(gt=0, le=1)]


SHAPES = (Box, Line)
# msgspec has no unions of several objects without a field that tells them apart, so MaskEdit validates them.
Shape = Annotated[
    dict[str, Any],
    Meta(extra_json_schema={"oneOf": [{"$ref": f"#/components/schemas/{cls.__name__}"} for cls in SHAPES]}),
]


class WhatIfRequest(Request):
    """The regions to hide, and the images.

    Attributes:
        shapes: the regions to hide, in fractions of the image's sides.
        fill: the fill of the regions.
        other: for the fill "image", the number of the other image.
        images: the numbers of the images; default: all of the session.
        view: true to return the images as the model then sees them.
    """

    shapes: Annotated[list[Shape], Meta(max_length=MAX_SHAPES)] = []
    fill: Annotated[str, Meta(extra_json_schema={"enum": list(FILLS)})] = "grey"
    other: Uid | None = None
    images: Annotated[list[Uid], Meta(max_length=MAX_IMAGES)] | None = None
    view: bool = False


class BeforeAndAfter(Document):
    """The two probabilities of one class."""

    index: int
    name: str
    before: float
    after: float


class WhatIfAnswer(Document):
    """The predictions for one image.

    Attributes:
        before: the most probable classes of the whole image.
        after: the most probable classes with the regions hidden.
        classes: all classes in ``before`` or ``after``.
        flipped: whether the most probable class changes.
        view: the image as the model then sees it, as a data URL, if requested.
    """

    uid: Number
    name: str
    before: list[Prediction]
    after: list[Prediction]
    classes: list[BeforeAndAfter]
    flipped: bool
    view: str | UnsetType = UNSET


class WhatIfAnswers(Document):
    """One answer for each image."""

    answers: list[WhatIfAnswer]


class Estimate(Document):
    """The estimated time of a visualization.

    Attributes:
        seconds_per_image: null if it is not known yet.
        seconds_once: the additional time of the first run, for compilation; 0 once that is done.
    """

    seconds_per_image: float | None
    seconds_once: float


@blueprint.post("/what-if")
@operation(
    QUESTIONS,
    session="needed",
    errors=(500, 503),
    example='{"shapes": [{"box": [0.4, 0.1, 0.9, 0.5]}], "fill": "blur", "images": [0]}',
)
def what_if(body: WhatIfRequest) -> WhatIfAnswers:
    """Hide parts of images and return the predictions before and after."""
    session = need_session()
    images = session_images(session, body.images)
    if not images:
        raise BadRequest("There are no images. Upload some first.", field="images")
    if len(images) > MAX_IMAGES:
        raise BadRequest(f"A request can cover at most {MAX_IMAGES} images. List them in images.", field="images")
    MaskEdit.parse(body.shapes, body.fill)
    question = {
        "kind": "what if",
        "paths": [image["path"] for image in images],
        "shapes": body.shapes,
        "fill": body.fill,
        "other": other_image(session, body.other),
        "show": body.view,
    }
    answers = services().runner.ask(question)["answers"]
    named = ({"uid": image["uid"], "name": image["name"]} for image in images)
    return convert(
        {"answers": [{**name, **answer} for name, answer in zip(named, answers, strict=True)]}, WhatIfAnswers
    )


def other_image(session: Session, uid: int | str | None) -> str | None:
    """Return the path of the image that shows through the hidden regions, if there is one."""
    if uid is None:
        return None
    try:
        return session.image(uid)["path"]
    except NotFound as error:
        error.field = "other"
        raise


@blueprint.get("/visualizers/<name>/estimate")
@operation(VISUALIZATIONS, errors=(500, 503))
def estimate(name: VisualizationName, settings: dict[str, str]) -> Estimate:
    """Return the estimated seconds of a visualization per image (null if unknown), and once per model."""
    values = services().registry.get(name).require().ALLOWED_SETTINGS.parse(settings).as_dict()
    if services().runner.model_status()["state"] == "loading":
        return Estimate(seconds_per_image=None, seconds_once=0.0)
    answer = services().runner.ask({"kind": "estimate", "visualization": name, "settings": values})
    return Estimate(seconds_per_image=answer["seconds"], seconds_once=answer["once"])
