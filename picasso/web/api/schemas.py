"""The JSON documents of the REST API as types, from which :mod:`picasso.web.api.openapi` makes their schemas.

The model's card and its layers are the types that the rest of Picasso computes with; here is what views put together
from them. The lines below ``Attributes:`` become the descriptions of the fields. Those of runs and
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
    """What went wrong.

    Attributes:
        code: a short name for programs that does not change.
        message: one or two sentences for people.
        field: the parameter that was wrong, where it was one.
    """

    code: str
    message: str
    field: NotRequired[str]


class Error(TypedDict):
    """The one shape of every error."""

    ok: Annotated[bool, Meta(extra_json_schema={"const": False})]
    error: ErrorDetail


class Done(TypedDict):
    """It is done."""

    ok: Annotated[bool, Meta(extra_json_schema={"const": True})]


class DoneAsText(TypedDict):
    """It is done, in the original's spelling."""

    ok: Literal["true"]


class Hello(TypedDict):
    """What answers here, and its version."""

    message: str
    version: str


class AppState(TypedDict):
    """The application and its model.

    Attributes:
        model: null until the model is ready.
        error: why the model could not be loaded, if it could not.
    """

    app_title: str
    model_name: str
    latest_ckpt_name: str
    latest_ckpt_time: str
    state: Literal["loading", "ready", "failed"]
    model: ModelInfo | None
    error: str | None


class ModelReport(TypedDict):
    """What Picasso understood of the model.

    Attributes:
        class_names: in the order of the model's output.
        layers: those with feature maps, first to last.
        answers: what the model says of some of the samples.
        accuracy: null here; ``picasso check`` fills it where it is given a labelled folder.
        warnings: what you should look into.
        view: the first of the samples as the model sees it, as a data address; "" without samples.
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
        filename: under which it is stored and served.
        uid: counts up within the session, from 0.
        name: what you called it.
        notes: what you should know of how it was read.
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
        images: all that were sent.
    """

    ok: Literal["true"]
    file: str
    uid: Number
    images: list[Image]


class Order(TypedDict):
    """An order of images; those left out follow as they were."""

    images: list[Uid]


class ListedVisualization(TypedDict):
    """A visualization.

    Attributes:
        reason: why it can't be used with this model; left out where it can.
    """

    name: str
    description: str
    reason: NotRequired[str]


class Visualizations(TypedDict):
    """The visualizations of the server, its own and those of plugins."""

    visualizers: list[ListedVisualization]


class Setting(TypedDict):
    """One setting of a visualization.

    Attributes:
        values: the allowed values, where they can be listed.
        digits: how many decimals the values are written with.
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
        settings: the allowed values by name, the default first; empty lists where they can't be listed.
        fields: each setting in full.
        reference: where the method is described, or "".
        needs: what the model must be able to give.
    """

    settings: dict[str, list[str]]
    fields: list[Setting]
    description: str
    reference: str
    needs: list[Capability]
