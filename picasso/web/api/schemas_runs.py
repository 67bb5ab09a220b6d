"""The JSON documents of runs and results as types; see :mod:`picasso.web.api.schemas`.

Predictions, the model's card and a run's state are the types that the rest of Picasso computes with.
"""

from __future__ import annotations

from typing import Annotated, Literal, NotRequired, TypedDict

from msgspec import Meta

from picasso.jobs.run import State
from picasso.models.info import ModelInfo, Prediction
from picasso.web.api.schemas import Done, Fraction, Number, Uid

Value = str | int | float | bool
Address = Annotated[str, Meta(extra_json_schema={"format": "uri-reference"})]
# A class or a model, by name or number.
Named = str | int


class RunRequest(TypedDict):
    """What a run is to do.

    Attributes:
        visualization: its name.
        settings: of the visualization, by name; those left out keep their defaults.
        images: the numbers of the images; left out, all of the session.
        classes: names or numbers of classes, or "a vs b"; left out, the most probable ones of each image.
        models: names of models to compare with, from the setting ``COMPARE``.
    """

    visualization: str
    settings: NotRequired[dict[str, Value]]
    images: NotRequired[list[Uid] | None]
    classes: NotRequired[list[Named]]
    models: NotRequired[list[Named]]


class Started(Done):
    """A run that waits for its turn.

    Attributes:
        url: where to ask how it stands.
    """

    id: str
    url: Address


class ListedRun(State):
    """A run without its results."""

    id: str
    visualization: str


class Runs(TypedDict):
    """The runs of the session, the newest first."""

    runs: list[ListedRun]


class PanelDocument(TypedDict):
    """A map or an image that a visualization made; an image has none of the fields from ``quantity`` on.

    Attributes:
        shape: of its array: rows, columns, and 3 for an image in colour.
        class_index: the class of a map, or null.
        probability: of that class, on the whole image.
        group: where several models are compared, which of them it belongs to.
        url: the drawn panel, as PNG.
        quantity: what the values are, with their unit.
        signed: true if zero is the middle of the scale.
        transparency: how strongly the image shows through.
        value_range: the values at the two ends of the colour scale.
        flat: true if the values differ by no more than rounding does.
        empty: true if there is nothing but rounding: no value is larger than ``noise``.
        noise: how far the values may be off by rounding alone.
        array: the name of the values in the file at the result's ``arrays_url``.
        legend: the file of its colour scale.
        legend_url: its colour scale, as PNG.
        view_url: the image as the model sees it, which the map covers.
        values_url: the values as float32, little-endian, row by row.
    """

    title: str
    kind: Literal["map", "image"]
    shape: Annotated[list[int], Meta(min_length=2, max_length=3)]
    class_index: int | None
    probability: float | None
    note: str
    group: str
    file: str
    url: Address
    quantity: NotRequired[str]
    signed: NotRequired[bool]
    transparency: NotRequired[Fraction]
    value_range: NotRequired[tuple[float, float]]
    minimum: NotRequired[float]
    maximum: NotRequired[float]
    flat: NotRequired[bool]
    empty: NotRequired[bool]
    noise: NotRequired[float]
    array: NotRequired[str]
    legend: NotRequired[str]
    legend_url: NotRequired[Address]
    view_url: NotRequired[Address]
    values_url: NotRequired[Address]


class ResultDocument(TypedDict):
    """What a visualization says of one image.

    Attributes:
        image: what you called it.
        predictions: the most probable classes, best first.
        compared: the same of each model compared with, by its name.
        agreement: where models are compared, Spearman's rank correlation of their maps, -1 to 1.
        seconds: how long this image took.
        reference: where the method is described, or "".
        position: of the image in the run, from 0.
        image_url: the image as uploaded.
        view_url: the image as the model sees it.
        arrays_url: all values, as a NumPy file.
        what_if_url: the page on which parts of the image can be hidden.
    """

    visualization: str
    settings: dict[str, Value]
    image: str
    view: str
    arrays: str
    predictions: list[Prediction]
    compared: dict[str, list[Prediction]]
    agreement: float | None
    panels: list[PanelDocument]
    model: ModelInfo
    seconds: float
    reference: str
    notes: list[str]
    position: int
    uid: Number
    filename: str
    view_url: Address
    arrays_url: Address
    image_url: Address
    what_if_url: Address


class RunDocument(State):
    """A run, how it stands, and its results so far.

    Attributes:
        classes: the numbers of the classes asked for; two of them for the one rather than the other.
        models: the names of the models to compare with.
        remaining: about how many seconds of computing are left, or null where that can't be said.
        position: how many runs are before this one.
        page: the page that shows the run.
        results: left out where they were not wanted.
    """

    id: str
    visualization: str
    settings: dict[str, Value]
    classes: list[int | list[int]]
    models: list[str]
    remaining: float | None
    position: Annotated[int, Meta(ge=0)]
    url: Address
    page: Address
    results: NotRequired[list[ResultDocument]]


class ClassicPrediction(TypedDict):
    """A class, its probability written with three decimals."""

    index: int
    name: str
    prob: Annotated[str, Meta(pattern=r"^[01]\.[0-9]{3}$")]


class Visualized(TypedDict):
    """A result in the original's spelling; the names are those for ``/api/inputs`` and ``/api/outputs``."""

    input_file_name: str
    predict_probs: list[ClassicPrediction]
    has_output: bool
    output_file_names: list[str]
    has_processed_input: bool
    processed_input_file_name: NotRequired[str]
