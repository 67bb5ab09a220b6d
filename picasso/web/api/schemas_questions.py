"""The JSON documents of questions as types; see :mod:`picasso.web.api.schemas`."""

from __future__ import annotations

from typing import Annotated, Any, NotRequired, TypedDict

from msgspec import Meta

from picasso.imaging.masking import FILLS, MAX_POINTS, MAX_SHAPES
from picasso.models.info import Prediction
from picasso.web.api.questions import MAX_IMAGES
from picasso.web.api.schemas import Fraction, Number, Uid


class Estimate(TypedDict):
    """The estimated time of a visualization.

    Attributes:
        seconds_per_image: null if it is not known yet.
        seconds_once: the additional time of the first run, for compilation; 0 once that is done.
    """

    seconds_per_image: float | None
    seconds_once: float


class Box(TypedDict):
    """A rectangle.

    Attributes:
        box: left, top, right, bottom.
    """

    box: tuple[Fraction, Fraction, Fraction, Fraction]


class Line(TypedDict):
    """A brush stroke.

    Attributes:
        line: the points that it passes through, x and y.
        width: its width as a fraction of the longer side.
    """

    line: Annotated[list[tuple[Fraction, Fraction]], Meta(min_length=1, max_length=MAX_POINTS)]
    width: Annotated[float, Meta(gt=0, le=1)]


SHAPES = (Box, Line)
# msgspec has no unions of several objects.
Shape = Annotated[
    dict[str, Any],
    Meta(extra_json_schema={"oneOf": [{"$ref": f"#/components/schemas/{cls.__name__}"} for cls in SHAPES]}),
]


class WhatIfRequest(TypedDict, total=False):
    """The regions to hide, and the images.

    Attributes:
        shapes: the regions to hide, in fractions of the image's sides.
        fill: the fill of the regions; default: grey.
        other: for the fill "image", the number of the other image.
        images: the numbers of the images; default: all of the session.
        view: true to return the images as the model then sees them.
    """

    shapes: Annotated[list[Shape], Meta(max_length=MAX_SHAPES)]
    fill: Annotated[str, Meta(extra_json_schema={"enum": list(FILLS)})]
    other: Uid | None
    images: Annotated[list[Uid], Meta(max_length=MAX_IMAGES)] | None
    view: bool


class BeforeAndAfter(TypedDict):
    """The two probabilities of one class."""

    index: int
    name: str
    before: float
    after: float


class WhatIfAnswer(TypedDict):
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
    view: NotRequired[str]


class WhatIfAnswers(TypedDict):
    """One answer for each image."""

    answers: list[WhatIfAnswer]
