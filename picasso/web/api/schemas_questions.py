"""The JSON documents of questions as types; see :mod:`picasso.web.api.schemas`."""

from __future__ import annotations

from typing import Annotated, Any, NotRequired, TypedDict

from msgspec import Meta

from picasso.imaging.masking import FILLS, MAX_POINTS, MAX_SHAPES
from picasso.models.info import Prediction
from picasso.web.api.questions import MAX_IMAGES
from picasso.web.api.schemas import Fraction, Number, Uid


class Estimate(TypedDict):
    """How long a visualization takes.

    Attributes:
        seconds_per_image: null while it is not known.
        seconds_once: what the first run takes more, for what is compiled once for a model; 0 when that is done.
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
        line: the places it passes through, x and y.
        width: as a fraction of the longer side.
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
    """What is hidden, and in which images.

    Attributes:
        shapes: the parts that are hidden, in fractions of the image's sides.
        fill: what is seen there; left out, grey.
        other: for the fill "image", the number of that one.
        images: the numbers of the images; left out, all of the session.
        view: true to be shown the images as the model then sees them.
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
    """What the model answers for one image.

    Attributes:
        before: the most probable classes of the whole image.
        after: those of what is left.
        classes: all of these.
        flipped: whether the most probable class is another one.
        view: where it was wanted, the image as the model then sees it, as a data address.
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
