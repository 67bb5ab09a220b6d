"""The REST API: the application, its model and its visualizations, and the synchronous call of the original."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from flask import Blueprint, request
from msgspec import UNSET, Meta, UnsetType, convert

from picasso import __version__
from picasso.errors import NotReady, error_from
from picasso.evaluation.model_check import Answer
from picasso.jobs.run import Run
from picasso.models.info import Capability, Layer, ModelInfo
from picasso.web.api.documents import Document, DoneAsText, Request, Uid, VisualizationName
from picasso.web.api.operations import APPLICATION, CLASSIC, VISUALIZATIONS, operation
from picasso.web.context import drop_session, need_session, services
from picasso.web.presentation import output_name

blueprint = Blueprint("api", __name__, url_prefix="/api")

# The timeout of the synchronous call of the original, in seconds.
RUN_TIMEOUT = 600


class Hello(Document):
    """A greeting and the version."""

    message: str
    version: str


class AppState(Document):
    """The application and its model.

    Attributes:
        app_title: the title of the pages.
        model_name: the name of the model.
        latest_ckpt_name: the name of its file or checkpoint; "" until the model is ready.
        latest_ckpt_time: when that was last changed; "" until the model is ready.
        state: the state of the model.
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


class Fact(Document):
    """One line about the output of the model."""

    name: str
    value: str


class Understood(Document):
    """What the output of the model is taken for.

    Attributes:
        name: the task.
        known: how it is known, and how to confirm an assumption.
        facts: the names of the classes, labels or values, the shape of the output, and so on.
    """

    name: str
    known: str
    facts: list[Fact]


class ModelReport(Document):
    """Summary of the loaded model, with warnings.

    Attributes:
        class_names: in the order of the model's output.
        layers: those with feature maps, first to last.
        answers: the predictions for some of the samples.
        accuracy: null here; ``picasso check`` measures it if it is given a labelled folder.
        task: what the output is taken for.
        warnings: possible problems to check.
        view: the first sample as the model sees it, as a data URL; "" without samples.
    """

    model: ModelInfo
    class_names: list[str]
    layers: list[Layer]
    answers: list[Answer]
    accuracy: None
    task: Understood
    warnings: list[str]
    view: str


class ListedVisualization(Document):
    """A visualization.

    Attributes:
        title: the usual name of the method.
        misleads: when its maps mislead, or "".
        documentation: the page and the anchor of its section in the documentation, or "".
        reason: why it can't be used with this model; omitted if it can.
    """

    name: str
    title: str
    description: str
    misleads: str
    documentation: str
    reason: str | UnsetType = UNSET


class Visualizations(Document):
    """The visualizations of the server: built-in ones and plugins."""

    visualizers: list[ListedVisualization]


class Setting(Document):
    """One setting of a visualization.

    Attributes:
        kind: the kind of its control.
        help: a description.
        default: the default as text.
        values: the allowed values, if they can be listed.
        digits: the number of decimals of the values.
        needs: for values that not all models allow, the capability that the model must have.
        minimum: the smallest value.
        maximum: the largest value.
        step: the distance between values.
        pattern: the regular expression that a text matches as a whole.
        form: what such a text is.
    """

    name: str
    kind: Literal["choice", "number", "slider", "toggle", "layer", "text"]
    help: str
    default: str
    values: list[str] | UnsetType = UNSET
    digits: int | UnsetType = UNSET
    needs: dict[str, Capability] | UnsetType = UNSET
    minimum: int | float | UnsetType = UNSET
    maximum: int | float | UnsetType = UNSET
    step: int | float | UnsetType = UNSET
    pattern: str | UnsetType = UNSET
    form: str | UnsetType = UNSET


class VisualizationInFull(Document):
    """A visualization and its settings.

    Attributes:
        settings: the allowed values by name; empty lists if they can't be listed.
        fields: the full description of each setting.
        reference: a link to a description of the method, or "".
        needs: the capabilities that the model must have.
    """

    settings: dict[str, list[str]]
    fields: list[Setting]
    description: str
    reference: str
    needs: list[Capability]


class VisualizeQuery(Request):
    """The image and the visualization.

    Attributes:
        image: the number of an image.
        visualizer: the name of a visualization.
    """

    image: Uid
    visualizer: str


class ClassicPrediction(Document):
    """A class, its probability written with three decimals."""

    index: int
    name: str
    prob: Annotated[str, Meta(pattern=r"^[01]\.[0-9]{3}$")]


class Visualized(Document):
    """A result in the format of the original; the names are those for ``/api/inputs`` and ``/api/outputs``.

    Attributes:
        input_file_name: the name of the image.
        predict_probs: the most probable classes, best first; empty if the model predicts no probabilities.
        has_output: whether there are maps.
        output_file_names: the names of the maps, in the order of ``predict_probs``.
        has_processed_input: whether there is another image.
        processed_input_file_name: its name.
    """

    input_file_name: str
    predict_probs: list[ClassicPrediction]
    has_output: bool
    output_file_names: list[str]
    has_processed_input: bool
    processed_input_file_name: str | UnsetType = UNSET


@blueprint.get("/", strict_slashes=False)
@operation(APPLICATION)
def root() -> Hello:
    """Return a greeting and the version."""
    return Hello(message="Picasso shows where an image classifier looks.", version=__version__)


@blueprint.get("/app_state")
@operation(APPLICATION)
def app_state() -> AppState:
    """Return the title, the model and its checkpoint; ``state`` is loading, ready or failed."""
    status = services().model.status()
    card = status.get("card") or {}
    return AppState(
        app_title=services().settings.APP_TITLE,
        model_name=card.get("name", services().settings.model_name()),
        latest_ckpt_name=card.get("checkpoint", ""),
        latest_ckpt_time=card.get("checkpoint_time", ""),
        state=status["state"],
        model=ModelInfo.from_dict(card) if card else None,
        error=status.get("error"),
    )


@blueprint.get("/model")
@operation(APPLICATION, errors=(503,))
def show_model() -> ModelReport:
    """Return a summary of the model, its layers, and its predictions for the samples."""
    status = services().model.status()
    if status["state"] != "ready":
        loading = f"{services().settings.model_name()} is still loading. Try again in a few seconds."
        raise NotReady(status.get("error", loading))
    return convert(status["report"], ModelReport)


@blueprint.get("/visualizers")
@operation(VISUALIZATIONS)
def list_visualizers() -> Visualizations:
    """List the visualizations; ``reason`` explains why one can't be used with this model."""
    model = services().model
    return Visualizations(
        visualizers=[
            ListedVisualization(
                name=entry.name,
                title=entry.title,
                description=entry.description,
                misleads=entry.misleads,
                documentation=entry.documentation,
                reason=model.unusable(entry) or UNSET,
            )
            for entry in services().registry.entries()
        ]
    )


@blueprint.get("/visualizers/<name>")
@operation(VISUALIZATIONS)
def show_visualizer(name: VisualizationName) -> VisualizationInFull:
    """Return the settings of a visualization: allowed values as strings, and each field in full."""
    cls = services().registry.get(name).require()
    controls = cls.ALLOWED_SETTINGS.controls()
    return VisualizationInFull(
        settings={key: list(control.options()) for key, control in controls.items()},
        fields=[convert({"name": key, **control.describe()}, Setting) for key, control in controls.items()],
        description=cls.DESCRIPTION,
        reference=cls.REFERENCE_LINK,
        needs=sorted(cls.NEEDS),
    )


@blueprint.get("/visualize")
@operation(
    CLASSIC, session="needed", errors=(413, 500, 503, 507), example="image=0&visualizer=PartialOcclusion&Window=0.30"
)
def visualize(query: VisualizeQuery, settings: dict[str, str]) -> Visualized:
    """Run one visualization of one image and wait for the result: the call of the original."""
    session = need_session()
    session.check_room()
    # Picasso's own server reports whether the client is still connected; other servers may not.
    gone = request.environ.get("waitress.client_disconnected", lambda: False)
    run = services().runner.run_and_wait(
        session.runs_folder, query.visualizer, settings, [session.image(query.image)], timeout=RUN_TIMEOUT, gone=gone
    )
    state = run.state()
    if state["error"]:
        raise error_from({"code": state["error"]["code"], "message": state["error"]["message"], "field": None})
    if state["state"] != "finished":
        raise NotReady("The run was cancelled.")
    return classic(run, next(run.results()))


def classic(run: Run, document: dict[str, Any]) -> Visualized:
    """Return a result with the field names of the original."""
    names = {
        kind: [output_name(run, "0", panel["file"]) for panel in document["panels"] if panel["kind"] == kind]
        for kind in ("map", "image")
    }
    return Visualized(
        input_file_name=document["filename"],
        predict_probs=[
            ClassicPrediction(index=one["index"], name=one["name"], prob=f"{one['prob']:.3f}")
            for one in document["predictions"]
            if "prob" in one
        ],
        has_output=bool(names["map"]),
        output_file_names=names["map"],
        has_processed_input=bool(names["image"]),
        processed_input_file_name=names["image"][0] if names["image"] else UNSET,
    )


@blueprint.get("/reset")
@operation(CLASSIC, session="used")
def reset() -> DoneAsText:
    """Delete the session and its files."""
    drop_session()
    return DoneAsText()
