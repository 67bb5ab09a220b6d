"""The JSON documents of runs and results as types; see :mod:`picasso.web.api.schemas`.

The types of predictions, of the model's card and of a run's state are defined elsewhere in Picasso.
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
    """The request for a run.

    Attributes:
        visualization: the name of the visualization.
        settings: its settings by name; omitted ones keep their defaults.
        images: the numbers of the images; default: all of the session.
        classes: names or indices of classes, or "a vs b"; default: the most probable classes of each image.
        models: names of models to compare with, from the setting ``COMPARE``.
    """

    visualization: str
    settings: NotRequired[dict[str, Value]]
    images: NotRequired[list[Uid] | None]
    classes: NotRequired[list[Named]]
    models: NotRequired[list[Named]]


class Started(Done):
    """A queued run.

    Attributes:
        url: the URL of its state.
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
        shape: the shape of its array: rows, columns, and 3 for a colour image.
        class_index: the class of a map, or null.
        probability: the probability of that class for the whole image.
        group: in a comparison of models, the model that it belongs to.
        url: the drawn panel, as PNG.
        quantity: the quantity that the map shows, with its unit.
        signed: true if zero is the middle of the scale.
        transparency: how strongly the image shows through.
        value_range: the values at both ends of the colour scale.
        flat: true if the values differ by no more than the rounding error.
        empty: true if no value exceeds the rounding error ``noise``.
        noise: the rounding error of the values.
        array: the name of its array in the file at the result's ``arrays_url``.
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
    """The result of a visualization for one image.

    Attributes:
        image: the original file name.
        predictions: the most probable classes, best first.
        compared: the most probable classes of each compared model, by its name.
        agreement: in a comparison of models, Spearman's rank correlation of their maps, -1 to 1.
        seconds: the computing time of this image.
        reference: a link to a description of the method, or "".
        position: the position of the image in the run, from 0.
        image_url: the image as uploaded.
        view_url: the image as the model sees it.
        arrays_url: all values, as a NumPy file.
        what_if_url: the page on which to hide parts of the image.
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
    """A run, its state, and its results so far.

    Attributes:
        classes: the indices of the requested classes; two for "a vs b".
        models: the names of the models to compare with.
        remaining: the estimated computing time left in seconds, or null if it is unknown.
        position: the number of runs ahead of this one.
        page: the page that shows the run.
        results: omitted with ``?results=false``.
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
    """A result in the format of the original; the names are those for ``/api/inputs`` and ``/api/outputs``."""

    input_file_name: str
    predict_probs: list[ClassicPrediction]
    has_output: bool
    output_file_names: list[str]
    has_processed_input: bool
    processed_input_file_name: NotRequired[str]
