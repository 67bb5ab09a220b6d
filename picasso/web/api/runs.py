"""The REST API: runs, which can be watched and cancelled, and their results."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np
from flask import Blueprint, Response, url_for
from msgspec import UNSET, Meta, UnsetType, convert

from picasso.errors import NotFound
from picasso.jobs.run import Run
from picasso.models.info import ModelInfo, Prediction
from picasso.web.api.documents import (
    Address,
    Count,
    Document,
    Done,
    ErrorDetail,
    Fraction,
    Number,
    Request,
    Started,
    Uid,
)
from picasso.web.api.operations import RUNS, operation
from picasso.web.context import each, find_session, need_session, services, session_images
from picasso.web.presentation import present, remaining

blueprint = Blueprint("api_runs", __name__, url_prefix="/api")

Value = str | int | float | bool
RunId = Annotated[str, Meta(description="The id of a run.")]
Position = Annotated[str, Meta(description="The position of the result in its run.")]
PanelNumber = Annotated[int, Meta(ge=0, description="The position of the panel in its result.")]


class RunRequest(Request):
    """The request for a run.

    Attributes:
        visualization: the name of the visualization.
        settings: its settings by name; omitted ones keep their defaults.
        images: the numbers of the images; default: all of the session.
        targets: what to explain: names or indices of classes, "a vs b", "person@120,80", "value:age", "box:0" or
            "like:other.png", with the name or number of another image of the session; default: the most important
            predictions of each image.
        classes: another name for ``targets``.
        models: names of models to compare with, from the setting ``COMPARE``.
    """

    visualization: str
    settings: dict[str, Value] = {}
    images: list[Uid] | None = None
    targets: list[str | int] = []
    classes: list[str | int] = []
    models: list[str] = []


class RunQuery(Request):
    """What to return of a run.

    Attributes:
        results: false omits the results, for polling.
    """

    results: Literal["true", "false"] = "true"


class RunState(Document):
    """The state of a run.

    Attributes:
        fraction: the progress.
        done: the number of finished images.
        total: the number of images.
        seconds: the computing time so far.
        compiling: the part of it, spent or expected, for compilation, which happens once per model.
        preview: changes whenever the current image has a new preview.
        error: why it failed, or null.
    """

    id: str
    visualization: str
    state: Literal["waiting", "running", "finished", "cancelled", "failed"]
    fraction: float
    done: int
    total: int
    seconds: float
    compiling: float
    preview: str
    error: ErrorDetail | None


class Runs(Document):
    """The runs of the session, the newest first, without their results."""

    runs: list[RunState]


class PanelDocument(Document):
    """A map or an image that a visualization made; an image has none of the fields from ``quantity`` on.

    Attributes:
        shape: the shape of its array: rows, columns, and 3 for a colour image.
        class_index: the class of a map, or null.
        probability: the probability of that class for the whole image.
        target: the text of the target that a map explains, or "".
        value: the value of the target for the whole image, or null.
        unit: what ``value`` is, with its unit, or "".
        context: the share of the map outside of the region that the target is about, or null.
        note: a remark on the map, or "".
        group: in a comparison of models, the model that it belongs to.
        file: the name of its file.
        url: the drawn panel, as PNG.
        quantity: the quantity that the map shows, with its unit.
        signed: true if zero is the middle of the scale.
        centre: the value in the middle of the scale, or null.
        falling: true if values below the centre speak for the target.
        meanings: what the low and the high end of the scale mean, or two empty texts.
        transparency: how strongly the image shows through the strongest values.
        value_range: the values at both ends of the colour scale.
        minimum: the smallest value.
        maximum: the largest value.
        flat: true if the values differ by no more than the rounding error.
        empty: true if no value exceeds the rounding error ``noise``.
        noise: the rounding error of the values.
        floor: the difference from nothing that rounding or random samples explain, which is not drawn.
        array: the name of its array in the file at the result's ``arrays_url``.
        legend: the file of its colour scale.
        legend_url: its colour scale, as PNG.
        view_url: the image as the model sees it, which the map covers.
        values_url: the values as float32, little-endian, row by row.
        figure_url: the map with its title, its legend and where it comes from, as PNG.
        legend_svg_url: its legend with numbers and quantity, as SVG.
    """

    title: str
    kind: Literal["map", "image"]
    shape: Annotated[list[int], Meta(min_length=2, max_length=3)]
    class_index: int | None
    probability: float | None
    target: str
    value: float | None
    unit: str
    context: Fraction | None
    note: str
    group: str
    file: str
    url: Address
    quantity: str | UnsetType = UNSET
    signed: bool | UnsetType = UNSET
    centre: float | UnsetType | None = UNSET
    falling: bool | UnsetType = UNSET
    meanings: tuple[str, str] | UnsetType = UNSET
    transparency: Fraction | UnsetType = UNSET
    value_range: tuple[float, float] | UnsetType = UNSET
    minimum: float | UnsetType = UNSET
    maximum: float | UnsetType = UNSET
    flat: bool | UnsetType = UNSET
    empty: bool | UnsetType = UNSET
    noise: float | UnsetType = UNSET
    floor: float | UnsetType = UNSET
    array: str | UnsetType = UNSET
    legend: str | UnsetType = UNSET
    legend_url: Address | UnsetType = UNSET
    view_url: Address | UnsetType = UNSET
    values_url: Address | UnsetType = UNSET
    figure_url: Address | UnsetType = UNSET
    legend_svg_url: Address | UnsetType = UNSET


class ResultDocument(Document):
    """The result of a visualization for one image.

    Attributes:
        settings: all settings, with their values.
        image: the original file name.
        view: the name of the file with the image as the model sees it.
        arrays: the name of the NumPy file with all values.
        predictions: what the model predicts, the most important first: of a classifier, the most probable classes.
        compared: the predictions of each compared model, by its name.
        agreement: in a comparison of models, Spearman's rank correlation of their maps, -1 to 1.
        panels: the maps and images.
        model: the model that was explained.
        seconds: the computing time of this image.
        notes: remarks on the image and the maps.
        uid: the number of the image in the session.
        filename: the name under which the image is stored.
        reference: a link to a description of the method, or "".
        position: the position of the image in the run, from 0.
        image_url: the image as uploaded.
        view_url: the image as the model sees it.
        arrays_url: all values, as a NumPy file.
        what_if_url: the page on which to hide parts of the image.
        mask: for a segmentation, the name of the file with the classes of the pixels as transparent colours.
        mask_url: this image, as PNG.
        references: the other images that targets name, by these names.
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
    mask: str | UnsetType = UNSET
    mask_url: Address | UnsetType = UNSET
    references: dict[str, Address] | UnsetType = UNSET


class RunDocument(RunState):
    """A run, its state, and its results so far.

    Attributes:
        settings: all settings, with their values.
        classes: the indices of the requested classes; two for "a vs b".
        targets: the texts of other requested targets.
        models: the names of the models to compare with.
        remaining: the estimated computing time left in seconds, or null if it is unknown.
        position: the number of runs ahead of this one.
        url: the URL of this document.
        page: the page that shows the run.
        results: omitted with ``?results=false``.
    """

    settings: dict[str, Value]
    classes: list[int | list[int]]
    targets: list[str]
    models: list[str]
    remaining: float | None
    position: Count
    url: Address
    page: Address
    results: list[ResultDocument] | UnsetType = UNSET


@blueprint.post("/runs")
@operation(
    RUNS,
    status=202,
    session="needed",
    errors=(413, 503, 507),
    example='{"visualization": "SaliencyMaps", "settings": {"Transparency": 0.5}, "images": [0], "classes": [1]}',
)
def start_run(body: RunRequest) -> Started:
    """Queue a run."""
    session = need_session()
    session.check_room()
    run = services().runner.start(
        session.runs_folder,
        body.visualization,
        body.settings,
        session_images(session, body.images),
        targets=[*body.targets, *body.classes],
        models=body.models,
        among=session.images(),
    )
    return Started(id=run.id, url=url_for("api_runs.show_run", run_id=run.id))


@blueprint.get("/runs")
@operation(RUNS, session="used")
def list_runs() -> Runs:
    """List the session's runs, the newest first, without their results."""
    session = find_session()
    return Runs(runs=[convert(one, RunState) for one in each(session.runs() if session else [], state_of)])


def state_of(run: Run) -> dict[str, Any]:
    """Return the state of a run, with its name."""
    return {"id": run.id, "visualization": run.spec().visualization, **run.state()}


@blueprint.get("/runs/<run_id>")
@operation(RUNS, session="needed")
def show_run(run_id: RunId, query: RunQuery) -> RunDocument:
    """Return the state of a run and the results so far; ``?results=false`` omits them, for polling."""
    run = need_session().run(run_id)
    spec, state = run.spec(), state_of(run)
    document = {
        **state,
        "settings": spec.settings,
        "classes": [one for one in spec.targets if not isinstance(one, str)],
        "targets": [one for one in spec.targets if isinstance(one, str)],
        "models": spec.models,
        "remaining": remaining(state["fraction"], state["seconds"] - state["compiling"]),
        "position": services().runner.position(run),
        "url": url_for("api_runs.show_run", run_id=run.id),
        "page": url_for("pages.show_runs", ids=run.id),
    }
    results = {"results": present(run)} if query.results == "true" else {}
    return convert({**document, **results}, RunDocument)


@blueprint.delete("/runs/<run_id>")
@operation(RUNS, session="needed")
def delete_run(run_id: RunId) -> Done:
    """Cancel a run and delete its results."""
    session = need_session()
    session.remove_run(session.run(run_id))
    return Done()


@blueprint.post("/runs/<run_id>/cancel")
@operation(RUNS, session="needed")
def cancel_run(run_id: RunId) -> Done:
    """Stop a run; finished results are kept."""
    need_session().run(run_id).cancel()
    return Done()


@blueprint.get("/runs/<run_id>/values/<place>/<int:panel>")
@operation(RUNS, media=("application/octet-stream",), says="The values, four bytes each.", session="needed")
def show_values(run_id: RunId, place: Position, panel: PanelNumber) -> Response:
    """Return the values of a map as float32, little-endian, row by row; its ``shape`` is in the result."""
    values = need_session().run(run_id).array(place, f"panel_{panel}")
    # Images consist of bytes and have their own URL.
    if values is None or values.dtype == np.uint8:
        raise NotFound("There is no such map in this session.")
    response = Response(values.astype("<f4").tobytes(), mimetype="application/octet-stream")
    response.headers["Cache-Control"] = "private, max-age=3600"
    return response
