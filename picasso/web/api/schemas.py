"""The JSON documents of the REST API as types, from which :mod:`picasso.web.api.openapi` generates schemas.

The types of the model's card and its layers are defined elsewhere in Picasso; this module defines the documents that
views build from them. The lines below ``Attributes:`` become the descriptions of the fields. The documents of runs and
questions are in :mod:`picasso.web.api.schemas_runs` and :mod:`picasso.web.api.schemas_questions`.
"""

from __future__ import annotations

from typing import Annotated, Literal, NotRequired, TypedDict

from msgspec import Meta

from picasso.evaluation.model_check import Answer
from picasso.models.info import Capability, Layer, ModelInfo

Fraction = Annotated[float, Meta(ge=0, le=1)]
Number = Annotated[int, Meta(ge=0, le=999_999_999)]
Uid = Number | Annotated[str, Meta(pattern=r"^[0-9]{1,9}$")]


class ErrorDetail(TypedDict):
    """An error.

    Attributes:
        code: a short, stable name for programs.
        message: one or two sentences for users.
        field: the invalid parameter, if there is one.
    """

    code: str
    message: str
    field: NotRequired[str]


class Error(TypedDict):
    """The format of all errors."""

    ok: Annotated[bool, Meta(extra_json_schema={"const": False})]
    error: ErrorDetail


class Done(TypedDict):
    """Success."""

    ok: Annotated[bool, Meta(extra_json_schema={"const": True})]


class DoneAsText(TypedDict):
    """Success, in the format of the original."""

    ok: Literal["true"]


class Hello(TypedDict):
    """A greeting and the version."""

    message: str
    version: str


class AppState(TypedDict):
    """The application and its model.

    Attributes:
        model: null until the model is ready.
        error: why the model could not be loaded, if loading failed.
    """

    app_title: str
    model_name: str
    latest_ckpt_name: str
    latest_ckpt_time: str
    state: Literal["loading", "ready", "failed"]
    model: ModelInfo | None
    error: str | None


class ModelReport(TypedDict):
    """Summary of the loaded model, with warnings.

    Attributes:
        class_names: in the order of the model's output.
        layers: those with feature maps, first to last.
        answers: the predictions for some of the samples.
        accuracy: null here; ``picasso check`` measures it if it is given a labelled folder.
        warnings: possible problems to check.
        view: the first sample as the model sees it, as a data URL; "" without samples.
    """

    model: ModelInfo
    class_names: list[str]
    layers: list[Layer]
    answers: list[Answer]
    accuracy: None
    warnings: list[str]
    view: str


class Image(TypedDict):
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


class Images(TypedDict):
    """The images of the session, in their order."""

    images: list[Image]


class Uploaded(TypedDict):
    """The images that were stored.

    Attributes:
        file: the file name of the first.
        uid: the number of the first.
        images: all images of the request.
    """

    ok: Literal["true"]
    file: str
    uid: Number
    images: list[Image]


class Order(TypedDict):
    """An order of images; omitted ones follow in their old order."""

    images: list[Uid]


class ListedVisualization(TypedDict):
    """A visualization.

    Attributes:
        reason: why it can't be used with this model; omitted if it can.
    """

    name: str
    description: str
    reason: NotRequired[str]


class Visualizations(TypedDict):
    """The visualizations of the server: built-in ones and plugins."""

    visualizers: list[ListedVisualization]


class Setting(TypedDict):
    """One setting of a visualization.

    Attributes:
        values: the allowed values, if they can be listed.
        digits: the number of decimals of the values.
    """

    name: str
    kind: Literal["choice", "number", "slider", "toggle", "layer"]
    help: str
    default: str
    values: NotRequired[list[str]]
    digits: NotRequired[int]
    minimum: NotRequired[float]
    maximum: NotRequired[float]
    step: NotRequired[float]


class VisualizationInFull(TypedDict):
    """A visualization and its settings.

    Attributes:
        settings: the allowed values by name, the default first; empty lists if they can't be listed.
        fields: the full description of each setting.
        reference: a link to a description of the method, or "".
        needs: the capabilities that the model must have.
    """

    settings: dict[str, list[str]]
    fields: list[Setting]
    description: str
    reference: str
    needs: list[Capability]
