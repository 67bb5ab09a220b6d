"""The REST API: how far a map can be trusted, answered part by part between two chunks of the current computation."""

from __future__ import annotations

from typing import Annotated, Literal

from flask import Blueprint
from msgspec import Meta, convert

from picasso.web.api.documents import Document, Request, Uid
from picasso.web.api.inside import TargetName
from picasso.web.api.operations import GRADES, operation
from picasso.web.api.questions import about_targets
from picasso.web.api.runs import Value
from picasso.web.context import need_session, services

blueprint = Blueprint("api_grades", __name__, url_prefix="/api")

Part = Literal["curves", "weights", "fills", "flip"]


class GradeRequest(Request):
    """The map, and the part of its grade.

    Attributes:
        image: the number of the image.
        visualization: the name of the visualization.
        part: the tests to make: deletion and insertion curves with their controls, random weights, another fill, or the
            flipped image.
        settings: the settings of the visualization by name; omitted ones keep their defaults.
        target: what the map explains, as for a run; default: what the model predicts.
    """

    image: Uid
    visualization: Annotated[str, Meta(max_length=200)]
    part: Part
    settings: dict[str, Value] = {}
    target: str | int | None = None


class GradeCurve(Document):
    """Deletion and insertion in one order of the pixels.

    Attributes:
        order: "map", "random map" or "edge detector".
        deletion: the value of the target after each step of hiding 1 % of the pixels, from none to all.
        insertion: the value after each step of showing 1 % of the pixels on the blurred image, from none to all.
        deletion_area: the area under the first curve.
        insertion_area: the area under the second.
        score: the second area minus the first; the higher, the better.
    """

    order: str
    deletion: list[float]
    insertion: list[float]
    deletion_area: float
    insertion_area: float
    score: float


class GradeLevel(Document):
    """The map with random weights.

    Attributes:
        kernels: the number of kernels that are random, those next to the output.
        agreement: its rank correlation with the map, or null if it is flat.
    """

    kernels: int
    agreement: float | None


class GradeWeights(Document):
    """The test with random weights.

    Attributes:
        total: the number of kernels of the model.
        levels: the maps with random weights.
        agreement: the largest magnitude of an agreement.
        entropy: the entropy of the histogram of the map, in bits.
        random_entropy: that of the map with all kernels random; null if it is flat.
        entropy_rise: the relative rise of the entropy; null if it is not defined.
    """

    total: int
    levels: list[GradeLevel]
    agreement: float
    entropy: float
    random_entropy: float | None
    entropy_rise: float | None


class GradeFills(Document):
    """The test with two fills.

    Attributes:
        fill: the fill of the settings.
        other: the other fill.
        agreement: the rank correlation of both maps, or null if one is flat.
    """

    fill: str
    other: str
    agreement: float | None


class GradeFlip(Document):
    """The test with the flipped image.

    Attributes:
        agreement: the rank correlation of the map and that of the flipped image, flipped back; null if one is flat.
    """

    agreement: float | None


class GradePart(Document):
    """A part of a grade.

    Attributes:
        target: what the map explains.
        quantity: what the values of the curves are, with their unit.
        sentence: what the tests say, for a person.
        curves: those of the map and of both controls; none for other parts, or if they could not be measured.
        weights: null for other parts, or if the test could not be made.
        fills: the same.
        flip: the same.
        untested: what could not be tested, with the reason.
    """

    target: TargetName
    quantity: str
    sentence: str
    curves: list[GradeCurve]
    weights: GradeWeights | None
    fills: GradeFills | None
    flip: GradeFlip | None
    untested: list[str]


@blueprint.post("/grade")
@operation(
    GRADES,
    session="needed",
    errors=(500, 503),
    example='{"image": 0, "visualization": "PartialOcclusion", "part": "fills", "settings": {"Strides": 5}}',
)
def grade(body: GradeRequest) -> GradePart:
    """Test a map, and return what one part of its grade says."""
    # Imported here, because it imports SciPy, which no other request needs.
    from picasso.grading import questions

    session, runner = need_session(), services().runner
    visualization = services().registry.get(body.visualization).require()
    settings = visualization.ALLOWED_SETTINGS.parse(body.settings).as_dict()
    services().model.check_settings(visualization.ALLOWED_SETTINGS.controls(), settings)
    image = session.image(body.image)
    about = {
        "kind": questions.KIND,
        "path": image["path"],
        "name": image["name"],
        "visualization": body.visualization,
        "settings": settings,
        **about_targets(session, [] if body.target in (None, "") else [body.target]),
    }
    answers = [runner.ask({**about, "test": test}) for test in questions.PARTS[body.part]]
    return convert(questions.joined(answers), GradePart)
