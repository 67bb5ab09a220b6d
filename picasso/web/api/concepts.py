"""The REST API: the concepts of a layer, which a job searches for, and the predictions without one of them."""

from __future__ import annotations

import re
from typing import Annotated, Any

from flask import Blueprint, Response, send_file, url_for
from msgspec import UNSET, Meta, UnsetType, convert

from picasso.errors import BadRequest, NotFound
from picasso.inside.concepts import COUNT, MAX_COUNT
from picasso.jobs.concept_search import ConceptSearch
from picasso.jobs.reporting_job import StateName
from picasso.storage.session import Session
from picasso.web.api.documents import (
    Address,
    Count,
    Document,
    Done,
    ErrorDetail,
    Fraction,
    Request,
    Started,
    Uid,
)
from picasso.web.api.inside import LayerName
from picasso.web.api.operations import CONCEPTS, operation
from picasso.web.api.questions import MAX_IMAGES, MAX_TARGETS, ChangedPrediction, answered
from picasso.web.context import each, find_session, need_session, services, session_images
from picasso.web.predicted import model_identity
from picasso.web.presentation import remaining

blueprint = Blueprint("api_concepts", __name__, url_prefix="/api")

SearchId = Annotated[str, Meta(description="The id of a search for concepts.")]
ExemplarName = Annotated[str, Meta(description="The name of an image of an exemplar, such as 1-1-crop.png.")]
EXEMPLAR = re.compile(r"\d{1,2}-\d{1,2}-(crop|heat)\.png")
# By how much coefficients may be multiplied.
MAX_SCALE = 1_000.0


class ConceptsRequest(Request):
    """What to search for.

    Attributes:
        layer: the name of the layer; default: the last one before the head.
        target: the name or index of a class: only images that are predicted as this class count, and its score;
            default: all images, each with the score of its predicted class.
        count: the number of concepts.
        images: the numbers of the images; default: all of the session.
        audit: the id of a finished audit of the session, whose findings are compared with the concepts.
    """

    layer: LayerName | None = None
    target: str | int | None = None
    count: Annotated[int, Meta(ge=1, le=MAX_COUNT)] = COUNT
    images: list[Uid] | None = None
    audit: str | None = None


class ConceptChannel(Document):
    """A channel of a concept.

    Attributes:
        channel: its index.
        weight: its weight in the direction of the concept, which has the length 1.
    """

    channel: int
    weight: float


class ConceptExemplar(Document):
    """An image in which a concept is large.

    Attributes:
        image: the name of the image.
        value: the largest coefficient.
        box: left, top, right and bottom of the receptive field of its cell, in pixels of the image as the model sees
            it.
        prediction: what the model predicts for the image.
        crop_url: this part of the image, dimmed where the coefficient is less than half of the largest.
        heat_url: the whole image in grey, with the coefficients over it.
    """

    image: str
    value: float
    box: tuple[int, int, int, int]
    prediction: str
    crop_url: Address
    heat_url: Address


class ConceptChange(Document):
    """Images whose predicted class changes without the concept.

    Attributes:
        before: the predicted class.
        after: the one without the concept.
        images: the number of images with this change.
        among: the number of images that are predicted as ``before``.
    """

    before: str
    after: str
    images: Count
    among: Count


class ConceptFinding(Document):
    """A finding of the audit that is about this concept more than about others.

    Attributes:
        finding: its name.
        sentence: what the audit says about it.
        images: the number of images of its evidence.
        share: how far this concept alone moves the predictions, as a share of what the finding does.
        together: the same of all concepts.
    """

    finding: str
    sentence: str
    images: Count
    share: float
    together: float


class Concept(Document):
    """A concept.

    Attributes:
        number: its number, the most important first.
        importance: the total Sobol index of the score.
        share: its share of all coefficients.
        channels: the channels with the largest weights.
        exemplars: the images in which it is largest.
        changes: the predicted classes that change without it.
        shift: the mean change of the score without it; for models that are no classifiers, the mean absolute change of
            all scores.
        findings: the findings of the audit that are about it.
    """

    number: int
    importance: float
    share: float
    channels: list[ConceptChannel]
    exemplars: list[ConceptExemplar]
    changes: list[ConceptChange]
    shift: float
    findings: list[ConceptFinding]


class ConceptsFound(Document):
    """The concepts that were found.

    Attributes:
        shape: height, width and number of channels of the feature maps.
        target: the name of the class whose score is explained; "" for the predicted class of each image.
        images: how many images were looked at.
        measured: for how many of them the importance was measured.
        error: the share of the squared feature maps that the concepts do not explain.
        negative: the share of the squared feature maps that is negative.
        classifies: whether the model predicts classes.
        unreadable: a sentence for each image that could not be read.
        concepts: the concepts, the most important first.
        sentences: all of it in words.
    """

    layer: str
    shape: tuple[int, int, int]
    target: str
    images: Count
    measured: Count
    error: float
    negative: float
    classifies: bool
    unreadable: list[str]
    concepts: list[Concept]
    sentences: list[str]


class SearchDocument(Document):
    """A search for concepts.

    Attributes:
        layer: the name of the layer.
        count: the number of concepts that were asked for.
        images: the number of images.
        fraction: the progress.
        seconds: the computing time so far.
        remaining: the estimated computing time left in seconds, or null if it is unknown.
        position: the number of jobs ahead of this one.
        current: whether the concepts are those of the model of this server, so that questions can be asked about them.
        found: the result; null until the search is finished.
        error: why it failed, or null.
    """

    id: str
    state: StateName
    layer: str
    count: int
    images: Count
    fraction: Fraction
    seconds: Annotated[float, Meta(ge=0)]
    remaining: float | None
    position: Count
    current: bool
    found: ConceptsFound | None
    error: ErrorDetail | None
    url: Address


class Searches(Document):
    """The searches for concepts of the session, the newest first."""

    searches: list[SearchDocument]


class ConceptRequest(Request):
    """A concept, how it is changed, and the images.

    Attributes:
        concept: its number, from 1.
        scale: what its coefficients are multiplied by; 0 removes it.
        images: the numbers of the images; default: all of the session.
        targets: what else to ask about, as for a run.
        maps: true to return its heat maps.
    """

    concept: Annotated[int, Meta(ge=1, le=MAX_COUNT)]
    scale: Annotated[float, Meta(ge=0, le=MAX_SCALE)] = 0.0
    images: Annotated[list[Uid], Meta(max_length=MAX_IMAGES)] | None = None
    targets: Annotated[list[str | int], Meta(max_length=MAX_TARGETS)] = []
    maps: bool = False


class ConceptAnswer(ChangedPrediction):
    """A concept in one image, and the predictions before and after its change.

    Attributes:
        mean: the mean coefficient of the concept.
        largest: its largest coefficient.
        shift: the change of the score of the predicted class; for other models, the mean absolute change of all scores.
        map: the coefficients as colours over the whole image, from 0 to ``largest``, as a data URL, if requested.
        share: for a segmentation, the share of the pixels that change their class.
    """

    mean: float
    largest: float
    shift: float
    map: str | UnsetType = UNSET
    share: float | UnsetType = UNSET


class ConceptAnswers(Document):
    """One answer for each image."""

    answers: list[ConceptAnswer]


def document(search: ConceptSearch) -> SearchDocument:
    """Return the public description of a search."""
    order, state, (fraction, seconds), error = search.order(), search.state(), search.progress(), search.error()
    return SearchDocument(
        id=search.id,
        state=state,
        layer=order.layer,
        count=order.count,
        images=len(order.images),
        fraction=fraction,
        seconds=seconds,
        remaining=remaining(fraction, seconds) if state == "running" else None,
        position=services().runner.position(search),
        current=services().model.status()["state"] == "ready" and order.model == model_identity(),
        found=found_by(search) if state == "finished" else None,
        error=convert(error, ErrorDetail) if error else None,
        url=url_for("api_concepts.show_search", search_id=search.id),
    )


def found_by(search: ConceptSearch) -> ConceptsFound | None:
    """Return the result of a search, with the addresses of its images, or None if it was deleted."""
    found: dict[str, Any] | None = search.found()
    for one in found["concepts"] if found else ():
        for number, shown in enumerate(one["exemplars"], start=1):
            for kind in ("crop", "heat"):
                name = f"{one['number']}-{number}-{kind}.png"
                shown[f"{kind}_url"] = url_for("api_concepts.exemplar", search_id=search.id, name=name)
    return convert(found, ConceptsFound) if found else None


@blueprint.post("/concepts")
@operation(CONCEPTS, status=202, session="needed", errors=(500, 503, 507), example='{"count": 3}')
def start_search(body: ConceptsRequest) -> Started:
    """Queue a search for the concepts of a layer. The session keeps the last ten."""
    session = need_session()
    session.check_room()
    search = services().runner.start_search(
        session.searches_folder,
        session_images(session, body.images),
        layer=body.layer or "",
        target=None if body.target == "" else body.target,
        count=body.count,
        audit=findings_of(session, body.audit) if body.audit else "",
        model=model_identity(),
    )
    session.keep_latest_searches()
    return Started(id=search.id, url=url_for("api_concepts.show_search", search_id=search.id))


def findings_of(session: Session, audit_id: str) -> str:
    """Return the path of the findings of an audit.

    Raises:
        BadRequest: there is no such audit, or it is not finished.
    """
    try:
        audit = session.audit(audit_id)
    except NotFound as error:
        raise BadRequest(error.message, field="audit") from None
    if audit.state() != "finished":
        raise BadRequest("The audit is not finished. Wait for it, or leave it out.", field="audit")
    return str(audit.out / "audit.json")


@blueprint.get("/concepts")
@operation(CONCEPTS, session="used")
def list_searches() -> Searches:
    """List the session's searches for concepts, the newest first."""
    session = find_session()
    return Searches(searches=each(session.searches(), document) if session else [])


@blueprint.get("/concepts/<search_id>")
@operation(CONCEPTS, session="needed")
def show_search(search_id: SearchId) -> SearchDocument:
    """Return the state of a search, and the concepts when it is finished."""
    return document(need_session().search(search_id))


@blueprint.post("/concepts/<search_id>/cancel")
@operation(CONCEPTS, session="needed")
def cancel_search(search_id: SearchId) -> Done:
    """Stop a search."""
    need_session().search(search_id).cancel()
    return Done()


@blueprint.delete("/concepts/<search_id>")
@operation(CONCEPTS, session="needed")
def delete_search(search_id: SearchId) -> Done:
    """Cancel a search and delete its concepts."""
    session = need_session()
    session.remove_search(session.search(search_id))
    return Done()


@blueprint.get("/concepts/<search_id>/images/<name>")
@operation(CONCEPTS, media=("image/png",), says="The image.", session="needed", partial=True)
def exemplar(search_id: SearchId, name: ExemplarName) -> Response:
    """Return an image of an exemplar."""
    file = need_session().search(search_id).file(name) if EXEMPLAR.fullmatch(name) else None
    if file is None:
        raise NotFound("There is no such image among the exemplars of these concepts; they name their images.")
    return send_file(file)


@blueprint.post("/concepts/<search_id>/change")
@operation(CONCEPTS, session="needed", errors=(500, 503), example='{"concept": 1, "scale": 0, "images": [0]}')
def change_concept(search_id: SearchId, body: ConceptRequest) -> ConceptAnswers:
    """Return where a concept is in images, and the predictions before and after it is scaled."""
    session = need_session()
    search = session.search(search_id)
    if search.state() != "finished":
        raise BadRequest("The search is not finished. Wait for it.")
    if (order := search.order()).model != model_identity():
        raise BadRequest("These concepts are those of another model. Search again.")
    about = {"kind": "concept", "factors": str(search.factors), "layer": order.layer}
    changed = {"concept": body.concept - 1, "scale": body.scale, "maps": body.maps}
    return convert(answered(session, {**about, **changed}, body.images, body.targets), ConceptAnswers)
