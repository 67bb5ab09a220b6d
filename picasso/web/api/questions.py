"""The REST API: interactive questions, answered between two chunks of the current computation."""

from __future__ import annotations

from collections.abc import Sequence
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
# The same for targets.
MAX_TARGETS = 100


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


class PredictRequest(Request):
    """The images and the targets to predict.

    Attributes:
        images: the numbers of the images; default: all of the session.
        targets: what to ask about, as for a run; default: what the predictions suggest.
        view: true to return the images as the model sees them.
    """

    images: Annotated[list[Uid], Meta(max_length=MAX_IMAGES)] | None = None
    targets: Annotated[list[str | int], Meta(max_length=MAX_TARGETS)] = []
    view: bool = False


class TargetValue(Document):
    """A target that one can ask about.

    Attributes:
        text: how to write it in a request.
        name: what it is called in results.
        quantity: what its value is, with its unit.
        value: its value for the image.
    """

    text: str
    name: str
    quantity: str
    value: float


class PredictAnswer(Document):
    """The predictions for one image.

    Attributes:
        predictions: what the model predicts, the most important first.
        targets: what one can ask about, or the requested targets.
        size: the width and height of the image as the model sees it; places of targets are in its pixels.
        colours: the colours of the predictions in drawings, such as "#e69f00".
        notes: why the image does not have some of the requested targets.
        view: the image as the model sees it, as a data URL, if requested.
        mask: for a segmentation, the classes of its pixels as transparent colours, as a data URL, if requested.
    """

    uid: Number
    name: str
    predictions: list[Prediction]
    targets: list[TargetValue]
    size: tuple[int, int]
    colours: list[str]
    notes: list[str]
    view: str | UnsetType = UNSET
    mask: str | UnsetType = UNSET


class PredictAnswers(Document):
    """One answer for each image."""

    answers: list[PredictAnswer]


class WhatIfRequest(Request):
    """The regions to hide, and the images.

    Attributes:
        shapes: the regions to hide, in fractions of the image's sides.
        fill: the fill of the regions.
        other: for the fill "image", the number of the other image.
        images: the numbers of the images; default: all of the session.
        targets: what else to ask about, as for a run; default: what the predictions for the whole image suggest.
        view: true to return the images as the model then sees them.
    """

    shapes: Annotated[list[Shape], Meta(max_length=MAX_SHAPES)] = []
    fill: Annotated[str, Meta(extra_json_schema={"enum": list(FILLS)})] = "grey"
    other: Uid | None = None
    images: Annotated[list[Uid], Meta(max_length=MAX_IMAGES)] | None = None
    targets: Annotated[list[str | int], Meta(max_length=MAX_TARGETS)] = []
    view: bool = False


class BeforeAndAfter(Document):
    """Two numbers: the probability of a class, a value, the share of the pixels of a class, the score of an object.

    Attributes:
        before: null for an object that appears.
        after: null for an object that vanishes.
        unit: the unit of a value.
        box: left, top, right and bottom of an object.
    """

    index: int
    name: str
    before: float | None
    after: float | None
    unit: str | UnsetType = UNSET
    box: list[float] | UnsetType = UNSET


class TargetChange(Document):
    """A target and its two values.

    Attributes:
        text: how to write it in a request.
        name: what it is called in results.
        quantity: what its value is, with its unit.
        before: its value before the change.
        after: its value after it.
    """

    text: str
    name: str
    quantity: str
    before: float
    after: float


class ChangedPrediction(Document):
    """The predictions for one image before and after a change.

    Attributes:
        before: the predictions before the change.
        after: the predictions after the change.
        classes: all classes, values or objects in ``before`` or ``after``; for an embedding, the similarity of both.
        targets: the requested targets, or those that the predictions before the change suggest.
        flipped: whether the most probable class changes; of several labels, whether one passes 0.5; of a segmentation,
            whether the largest class changes; of a detection, whether an object vanishes or appears.
        size: the width and height of the image as the model sees it; boxes are in its pixels.
        colours: the colours of ``classes`` in drawings, such as "#e69f00".
        notes: why the image does not have some of the requested targets.
    """

    uid: Number
    name: str
    before: list[Prediction]
    after: list[Prediction]
    classes: list[BeforeAndAfter]
    targets: list[TargetChange]
    flipped: bool
    size: tuple[int, int]
    colours: list[str]
    notes: list[str]


class WhatIfAnswer(ChangedPrediction):
    """The predictions for one image, as a whole and with the regions hidden.

    Attributes:
        share: for a segmentation, the share of the pixels that change their class.
        view: the image as the model then sees it, as a data URL, if requested.
        mask: for a segmentation, the classes of the pixels then, as transparent colours, as a data URL, if requested.
    """

    share: float | UnsetType = UNSET
    view: str | UnsetType = UNSET
    mask: str | UnsetType = UNSET


class WhatIfAnswers(Document):
    """One answer for each image."""

    answers: list[WhatIfAnswer]


class Estimate(Document):
    """The estimated time of a visualization.

    Attributes:
        seconds_per_image: null if it is not known yet.
        seconds_once: the additional time of the first run, for compilation; 0 once that is done.
        at_most: whether the run may take less time, because it stops when the error of the map is small enough.
    """

    seconds_per_image: float | None
    seconds_once: float
    at_most: bool


@blueprint.post("/predict")
@operation(QUESTIONS, session="needed", errors=(500, 503), example='{"images": [0], "targets": [4]}')
def predict(body: PredictRequest) -> PredictAnswers:
    """Return the predictions for images, and the targets that one can ask about."""
    session = need_session()
    return convert(answered(session, {"kind": "predict", "show": body.view}, body.images, body.targets), PredictAnswers)


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
    MaskEdit.parse(body.shapes, body.fill)
    question = {
        "kind": "what if",
        "shapes": body.shapes,
        "fill": body.fill,
        "other": other_image(session, body.other),
        "show": body.view,
    }
    return convert(answered(session, question, body.images, body.targets), WhatIfAnswers)


def answered(
    session: Session, question: dict[str, Any], uids: Sequence[int | str] | None, targets: Sequence[int | str]
) -> dict[str, Any]:
    """Ask a question about images of a session and some targets; each answer has the number and name of its image."""
    images = session_images(session, uids)
    if not images:
        raise BadRequest("There are no images. Upload some first.", field="images")
    if len(images) > MAX_IMAGES:
        raise BadRequest(f"A request can cover at most {MAX_IMAGES} images. List them in images.", field="images")
    about = {"paths": [image["path"] for image in images], **about_targets(session, targets)}
    answers = services().runner.ask({**question, **about})["answers"]
    named = ({"uid": image["uid"], "name": image["name"]} for image in images)
    return {"answers": [{**name, **answer} for name, answer in zip(named, answers, strict=True)]}


def about_targets(session: Session, targets: Sequence[int | str]) -> dict[str, Any]:
    """Return the part of a question that is about targets: these, and the images of the session that they name."""
    wanted, references = services().model.parsed(targets, session.images() if targets else [])
    return {"targets": wanted, "references": {name: image["path"] for name, image in references.items()}}


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
    visualization = services().registry.get(name).require()
    checked = visualization.ALLOWED_SETTINGS.parse(settings)
    values, bound = checked.as_dict(), visualization.stops_early(checked)
    if services().model.status()["state"] == "loading":
        return Estimate(seconds_per_image=None, seconds_once=0.0, at_most=bound)
    answer = services().runner.ask({"kind": "estimate", "visualization": name, "settings": values})
    return Estimate(seconds_per_image=answer["seconds"], seconds_once=answer["once"], at_most=bound)
