"""Starting over: the visitor is asked for confirmation and can undo it for a minute."""

from __future__ import annotations

from flask import Blueprint, make_response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from picasso.errors import NotFound
from picasso.storage.store import UNDO_SECONDS
from picasso.web.context import choose_session, cookie_attributes, cookie_name, find_session, services

blueprint = Blueprint("reset", __name__)

# The kind of the cookie with the id of the dropped session.
UNDO = "undo"


def dropped_id() -> str | None:
    """Return the id of the session that the visitor has dropped, if any."""
    return request.cookies.get(cookie_name(UNDO))


def undoable() -> bool:
    """Tell whether the visitor can still undo having started over."""
    return services().storage.restorable(dropped_id())


@blueprint.get("/reset")
def ask() -> str:
    """Ask for confirmation to start over, and show what will be deleted."""
    session = find_session()
    runs, audits = (session.runs(), session.audits()) if session else ([], [])
    return render_template(
        "reset.html",
        images=len(session.images()) if session else 0,
        runs=len(runs),
        audits=len(audits),
        at_work=sum(job.at_work() for job in (*runs, *audits)),
        seconds=UNDO_SECONDS,
        kept=services().settings.KEEP_SESSIONS,
    )


@blueprint.post("/reset")
def start_over() -> Response:
    """Delete the session with all its images and results, and start over; this can be undone for a minute."""
    response = redirect(url_for("pages.index"), 303)
    set_aside(response)
    response.delete_cookie(cookie_name(), **cookie_attributes())
    return response


def set_aside(response: Response) -> None:
    """Drop the visitor's session, and store its id in a cookie for a minute."""
    session = find_session()
    if session is not None and services().storage.drop(session):
        response.set_cookie(cookie_name(UNDO), session.id, max_age=UNDO_SECONDS, **cookie_attributes())


@blueprint.post("/reset/undo")
def undo() -> Response:
    """Restore the session that was deleted less than a minute ago; the current one can then be restored instead.

    A server that keeps sessions keeps the current one, too.
    """
    restored = services().storage.restore(dropped_id())
    if restored is None:
        raise NotFound(
            "This can no longer be undone: the data was deleted more than a minute ago, or the server needed the space."
        )
    response = make_response(redirect(url_for("pages.index"), 303))
    response.delete_cookie(cookie_name(UNDO), **cookie_attributes())
    if not services().settings.KEEP_SESSIONS:
        set_aside(response)
    choose_session(response, restored)
    return response


@blueprint.post("/reset/forget")
def forget() -> Response:
    """Delete the session that could still be restored."""
    services().storage.forget(dropped_id())
    response = make_response(redirect(url_for("pages.index"), 303))
    response.delete_cookie(cookie_name(UNDO), **cookie_attributes())
    return response
