"""Which method is best for a model: starting a ranking on the page of all methods, cancelling and deleting it."""

from __future__ import annotations

from flask import Blueprint, redirect, request, url_for
from werkzeug.wrappers import Response

from picasso.errors import BadRequest
from picasso.web.context import find_session, need_session
from picasso.web.rankings import begin

blueprint = Blueprint("rankings", __name__)


def page() -> Response:
    """Redirect to the part of the page that shows the newest ranking."""
    return redirect(url_for("pages.choose", _anchor="ranking"), 303)


@blueprint.post("/rankings")
def start() -> Response:
    """Rank the methods that are selected, or all, on some of the visitor's images."""
    session = find_session()
    if session is None:
        raise BadRequest("There are no images to grade maps of. Upload images or add samples.", field="images")
    begin(session, None, request.form.getlist("visualization") or None)
    return page()


@blueprint.post("/rankings/<ranking_id>/cancel")
def cancel(ranking_id: str) -> Response:
    """Stop a ranking; what was found stays."""
    need_session().ranking(ranking_id).cancel()
    return page()


@blueprint.post("/rankings/<ranking_id>/remove")
def remove(ranking_id: str) -> Response:
    """Delete a ranking, so that what it prefers is forgotten."""
    session = need_session()
    session.remove_ranking(session.ranking(ranking_id))
    return page()
