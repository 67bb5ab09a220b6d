"""The REST API: the predictions for all images of a session, and their accuracy."""

from __future__ import annotations

from typing import Annotated

from flask import Blueprint, url_for
from msgspec import Meta, convert

from picasso.jobs.prediction_job import Predictions, StateName, identity
from picasso.models.info import Prediction
from picasso.storage.session import Session
from picasso.web.api.documents import Address, Count, Document, Done, ErrorDetail, Fraction, Number, Request, Started
from picasso.web.api.operations import GALLERY, operation
from picasso.web.context import find_session, need_session, services
from picasso.web.predicted import labels, predictions
from picasso.web.presentation import remaining
from picasso.web.selection import PAGE, Rate, Summary, summary

blueprint = Blueprint("api_gallery", __name__, url_prefix="/api")

MAX_ROWS = 1_000


class Accuracy(Document):
    """The accuracy on the images whose class and prediction are known.

    Attributes:
        right: the number of right predictions.
        images: the number of images.
        fraction: the accuracy.
        low: the lower end of its 95% confidence interval (Wilson, 1927).
        high: the upper end.
    """

    right: Count
    images: Count
    fraction: Fraction
    low: Fraction
    high: Fraction


class GalleryState(Document):
    """The predictions for all images of the session.

    Attributes:
        state: ``idle`` if they were never started.
        done: the number of images predicted so far.
        total: the number of images to predict.
        fraction: the progress.
        seconds: the computing time since the last start.
        remaining: the estimated computing time left in seconds, or null if it is unknown.
        position: the number of runs and audits that are computed first.
        accuracy: of the labelled images so far, or null if there are none.
        error: why they failed, or null.
        url: the URL of this document.
        page: the page that shows the images.
    """

    state: StateName
    done: Count
    total: Count
    fraction: Fraction
    seconds: Annotated[float, Meta(ge=0)]
    remaining: float | None
    position: Count
    accuracy: Accuracy | None
    error: ErrorDetail | None
    url: Address
    page: Address


class RowsQuery(Request):
    """Which images to return.

    Attributes:
        start: the position of the first image, from 0.
        count: the maximum number of images.
    """

    start: Number = 0
    count: Annotated[int, Meta(ge=1, le=MAX_ROWS)] = PAGE


class GalleryImage(Document):
    """An image with its class and its predictions.

    Attributes:
        uid: its number within the session.
        name: the original file name.
        folder: the folders that it was uploaded in, or "".
        label: the class that one of them is named after, or "".
        correct: whether the first prediction is this class; null if either is not known.
        predictions: what the model predicts, the most important first; none until it is computed.
        error: why the image could not be predicted, or "".
        image_url: the image as uploaded.
    """

    uid: Number
    name: str
    folder: str
    label: str
    correct: bool | None
    predictions: list[Prediction]
    error: str
    image_url: Address


class GalleryImages(Document):
    """Images with their predictions, in the order of the session.

    Attributes:
        total: the number of images of the session.
    """

    total: Count
    images: list[GalleryImage]


def state_document(session: Session | None, found: Summary | None) -> GalleryState:
    """Return the state of the predictions of a session.

    Args:
        session: the session.
        found: the summary of its labelled images.
    """
    job = session.predictions() if session else None
    state: StateName = job.state() if job else "idle"
    progress, error = (job.progress(), job.error()) if job else (None, None)
    done, total = (progress.done, progress.total) if progress else (0, 0)
    fraction = done / total if total else 0.0
    return GalleryState(
        state=state,
        done=done,
        total=total,
        fraction=fraction,
        seconds=progress.seconds if progress else 0.0,
        remaining=left(job) if job and state == "running" else None,
        position=services().runner.position(job) if job and state == "waiting" else 0,
        accuracy=accuracy(found.total) if found else None,
        error=convert(error, ErrorDetail) if error else None,
        url=url_for("api_gallery.show_gallery"),
        page=url_for("gallery.show"),
    )


def left(job: Predictions) -> float | None:
    """Return the estimated computing time left in seconds; None if it is unknown."""
    progress = job.progress()
    todo = progress.total - progress.done + progress.computed
    return remaining(progress.computed / max(1, todo), progress.seconds)


def accuracy(share: Rate) -> Accuracy:
    """Return an accuracy as a document."""
    return Accuracy(
        right=share.right,
        images=share.images,
        fraction=share.fraction,
        low=max(0.0, share.low),
        high=min(1.0, share.high),
    )


@blueprint.post("/gallery")
@operation(GALLERY, status=202, session="needed", errors=(503, 507))
def start_gallery() -> Started:
    """Predict all images that are not predicted yet; images added later need another call."""
    session = need_session()
    job = session.need_predictions()
    services().runner.start_predictions(job, session.images)
    return Started(id=job.id, url=url_for("api_gallery.show_gallery"))


@blueprint.get("/gallery")
@operation(GALLERY, session="used")
def show_gallery() -> GalleryState:
    """Return the progress of the predictions, and the accuracy so far."""
    session = find_session()
    found = summary(predictions(session), labels().names) if session else None
    return state_document(session, found)


@blueprint.get("/gallery/images")
@operation(GALLERY, session="used", example="start=0&count=100")
def list_gallery(query: RowsQuery) -> GalleryImages:
    """Return images with their classes and predictions."""
    session = find_session()
    if session is None:
        return GalleryImages(total=0, images=[])
    images, job, status = session.images(), session.predictions(), services().model.status()
    stored = job.full_rows(identity(status["card"])) if job and status["state"] == "ready" else {}
    rows = predictions(session, images)
    return GalleryImages(
        total=len(images),
        images=[
            GalleryImage(
                uid=image["uid"],
                name=image["name"],
                folder=image.get("label", ""),
                label=(row := rows[image["uid"]]).label,
                correct=row.correct,
                predictions=stored[image["uid"]]["top"] if image["uid"] in stored else [],
                error=row.error,
                image_url=url_for("files.image", name=image["filename"]),
            )
            for image in images[query.start : query.start + query.count]
        ],
    )


@blueprint.post("/gallery/cancel")
@operation(GALLERY, session="needed")
def cancel_gallery() -> Done:
    """Stop the predictions; those that were computed are kept, and starting again continues."""
    if job := need_session().predictions():
        job.cancel()
    return Done()
