"""The REST API: which method is best for this model, a job that grades many methods on the same images."""

from __future__ import annotations

from typing import Annotated

from flask import Blueprint, url_for
from msgspec import Meta, convert

from picasso.jobs.ranking_job import MethodRanking
from picasso.jobs.reporting_job import StateName
from picasso.jobs.request_checks import MAX_RANKED
from picasso.web.api.documents import Address, Count, Document, Done, ErrorDetail, Fraction, Request, Started, Uid
from picasso.web.api.operations import GRADES, operation
from picasso.web.context import each, find_session, need_session, services
from picasso.web.predicted import model_identity
from picasso.web.presentation import remaining
from picasso.web.rankings import begin, in_order

blueprint = Blueprint("api_rankings", __name__, url_prefix="/api")

RankingId = Annotated[str, Meta(description="The id of a ranking.")]


class RankingRequest(Request):
    """What to rank.

    Attributes:
        images: the numbers of the images; default: ten of the session, from its first to its last.
        visualizations: the names of the visualizations; default: all that make maps and can be used with the model.
    """

    images: Annotated[list[Uid], Meta(max_length=MAX_RANKED)] | None = None
    visualizations: list[Annotated[str, Meta(max_length=200)]] | None = None


class RankedMethod(Document):
    """A method, with the default settings.

    Attributes:
        visualization: its name.
        title: its name for people.
        score: the mean score, insertion area minus deletion area, or null if none was measured.
        scores: the score for each image in the order of ``images``, or null where it was not measured.
        measured: the number of images with a score.
        edges: the number of images on which its maps beat an edge detector.
        random: the number on which they beat a random map.
        agreement: the mean agreement with maps of random weights; null if that was not tested.
        untested: what could not be tested, with the reason.
    """

    visualization: str
    title: str
    score: float | None
    scores: list[float | None]
    measured: Count
    edges: Count
    random: Count
    agreement: float | None
    untested: list[str]


class RankingDocument(Document):
    """A ranking.

    Attributes:
        images: the names of the images.
        methods: the methods so far, the best first.
        preferred: the visualization that the workspace uses from now on; "" for none, or before the end.
        sentence: why; "" before the end.
        fraction: the progress.
        seconds: the computing time so far.
        remaining: the estimated computing time left in seconds, or null if it is unknown.
        position: the number of jobs ahead of this one.
        current: whether it is about the model of this server.
        error: why it failed, or null.
    """

    id: str
    state: StateName
    images: list[str]
    methods: list[RankedMethod]
    preferred: str
    sentence: str
    fraction: Fraction
    seconds: Annotated[float, Meta(ge=0)]
    remaining: float | None
    position: Count
    current: bool
    error: ErrorDetail | None
    url: Address


class Rankings(Document):
    """The rankings of the session, the newest first."""

    rankings: list[RankingDocument]


def document(ranking: MethodRanking) -> RankingDocument:
    """Return the public description of a ranking."""
    order, state, (fraction, seconds) = ranking.order(), ranking.state(), ranking.progress()
    runner, found, error = services().runner, ranking.preference(), ranking.error()
    methods = [
        convert({**one.as_dict(), "title": order.methods[one.visualization]}, RankedMethod) for one in in_order(ranking)
    ]
    return RankingDocument(
        id=ranking.id,
        state=state,
        images=[image["name"] for image in order.images],
        methods=methods,
        preferred=found.visualization if found else "",
        sentence=found.sentence if found else "",
        fraction=fraction,
        seconds=seconds,
        remaining=remaining(fraction, seconds) if state == "running" else None,
        position=runner.position(ranking),
        current=services().model.status()["state"] == "ready" and order.model == model_identity(),
        error=convert(error, ErrorDetail) if error else None,
        url=url_for("api_rankings.show_ranking", ranking_id=ranking.id),
    )


@blueprint.post("/rankings")
@operation(
    GRADES,
    status=202,
    session="needed",
    errors=(500, 503, 507),
    example='{"visualizations": ["PartialOcclusion", "SaliencyMaps"]}',
)
def start_ranking(body: RankingRequest) -> Started:
    """Queue a ranking of methods for this model. The session keeps the last ten."""
    ranking = begin(need_session(), body.images, body.visualizations)
    return Started(id=ranking.id, url=url_for("api_rankings.show_ranking", ranking_id=ranking.id))


@blueprint.get("/rankings")
@operation(GRADES, session="used")
def list_rankings() -> Rankings:
    """List the session's rankings of methods, the newest first."""
    session = find_session()
    return Rankings(rankings=each(session.rankings(), document) if session else [])


@blueprint.get("/rankings/<ranking_id>")
@operation(GRADES, session="needed")
def show_ranking(ranking_id: RankingId) -> RankingDocument:
    """Return the state of a ranking, and how the methods do so far."""
    return document(need_session().ranking(ranking_id))


@blueprint.post("/rankings/<ranking_id>/cancel")
@operation(GRADES, session="needed")
def cancel_ranking(ranking_id: RankingId) -> Done:
    """Stop a ranking; what was found stays."""
    need_session().ranking(ranking_id).cancel()
    return Done()


@blueprint.delete("/rankings/<ranking_id>")
@operation(GRADES, session="needed")
def delete_ranking(ranking_id: RankingId) -> Done:
    """Cancel a ranking and delete it. The workspace uses what an earlier one prefers, or its usual methods."""
    session = need_session()
    session.remove_ranking(session.ranking(ranking_id))
    return Done()
