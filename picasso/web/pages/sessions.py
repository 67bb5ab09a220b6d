"""The sessions of a browser, if the server keeps them: list, name, open and delete them."""

from __future__ import annotations

import hashlib
import time
from contextlib import suppress
from typing import Any

from flask import Blueprint, Response, make_response, redirect, render_template, request, url_for

from picasso.errors import NotFound
from picasso.storage.session import Session
from picasso.storage.store import UNDO_SECONDS
from picasso.web.context import (
    choose_session,
    cookie_attributes,
    cookie_name,
    find_session,
    keep_ids,
    kept_sessions,
    services,
)
from picasso.web.pages.reset import UNDO

blueprint = Blueprint("sessions", __name__)


def handle(session: Session) -> str:
    """Return the name of a session in addresses: its id is a secret, which must not get into logs and histories."""
    return hashlib.sha256(session.id.encode()).hexdigest()[:16]


def need(name: str) -> Session:
    """Return the session with this handle, if it is one of this browser's, or raise NotFound."""
    found = next((one for one in kept_sessions() if handle(one) == name), None)
    if found is None:
        raise NotFound("There is no such session in this browser. It may have been deleted.")
    return found


def check_kept() -> None:
    """Raise NotFound on a server that does not keep sessions."""
    if not services().settings.KEEP_SESSIONS:
        raise NotFound("This server does not keep sessions. Its operator can set KEEP_SESSIONS.")


def described(session: Session, current: Session | None) -> dict[str, Any]:
    """Return what the page shows of a session."""
    used = time.strftime("%Y-%m-%d %H:%M", time.localtime(session.last_used()))
    jobs = [*session.runs(), *session.audits()]
    return {
        "handle": handle(session),
        "name": session.name,
        "images": len(session.images()),
        "runs": len(session.runs()),
        "audits": len(session.audits()),
        "at_work": sum(job.at_work() for job in jobs),
        "used": used,
        "current": current is not None and current.id == session.id,
    }


@blueprint.get("/sessions")
def index() -> str:
    """List the sessions of this browser, the current one first."""
    check_kept()
    current, listed = find_session(), []
    for one in kept_sessions():
        # Another tab may delete it at the same time.
        with suppress(FileNotFoundError):
            listed.append(described(one, current))
    return render_template("sessions.html", sessions=listed, seconds=UNDO_SECONDS)


@blueprint.post("/sessions")
def begin() -> Response:
    """Start a new session with the next upload, and keep the current one."""
    check_kept()
    response = make_response(redirect(url_for("pages.index"), 303))
    keep_ids(response, [one.id for one in kept_sessions()])
    response.delete_cookie(cookie_name(), **cookie_attributes())
    return response


@blueprint.post("/sessions/<name>/open")
def open_session(name: str) -> Response:
    """Make a session the current one."""
    response = make_response(redirect(url_for("pages.index"), 303))
    choose_session(response, need(name))
    return response


@blueprint.post("/sessions/<name>/rename")
def rename(name: str) -> Response:
    """Name a session."""
    need(name).rename(request.form.get("name", ""))
    return make_response(redirect(url_for("sessions.index"), 303))


@blueprint.post("/sessions/<name>/remove")
def remove(name: str) -> Response:
    """Delete a session with its images and results; like starting over, this can be undone for a minute."""
    session, current = need(name), find_session()
    response = make_response(redirect(url_for("sessions.index"), 303))
    keep_ids(response, [one.id for one in kept_sessions() if one.id != session.id])
    if services().storage.drop(session):
        response.set_cookie(cookie_name(UNDO), session.id, max_age=UNDO_SECONDS, **cookie_attributes())
    if current is not None and current.id == session.id:
        response.delete_cookie(cookie_name(), **cookie_attributes())
    return response
