"""What requests share (settings, storage, registry, queue), and the visitor's session."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict, TypeVar, cast

from flask import Response, current_app, g, request

from picasso.config import Settings
from picasso.errors import BadRequest, NotFound, TooLarge
from picasso.explanation.registry import Registry
from picasso.jobs.base import Job
from picasso.jobs.job_queue import JobQueue
from picasso.jobs.run import StoredImage
from picasso.storage.session import Session
from picasso.storage.store import Storage
from picasso.web.proxies import visible_port

J = TypeVar("J", bound=Job)
T = TypeVar("T")

# So long one upload may keep its thread from those of others, in seconds.
UPLOAD_SECONDS = 60.0
clock = time.monotonic


class CookieAttributes(TypedDict):
    """Where a cookie goes, and who may read it."""

    path: str
    secure: bool
    httponly: bool
    samesite: str


@dataclass(frozen=True)
class Services:
    """What the web server uses; one of each per application. ``samples`` are images by name, found at the start."""

    settings: Settings
    storage: Storage
    registry: Registry
    runner: JobQueue
    samples: dict[str, Path]


def services() -> Services:
    """Return the services of the current application."""
    return cast(Services, current_app.extensions["picasso"])


def cookie_name(kind: str = "session") -> str:
    """Return the name of a cookie.

    Browsers send a cookie to every port of a host. So the name holds the port at which the server listens and, behind a
    proxy or out of a container, the one at which the visitor reaches it: servers on one host keep their sessions apart.
    """
    own, visible = services().settings.PORT, visible_port(request.host, request.scheme)
    return f"picasso_{kind}_{own}" + (f"_{visible}" if visible != own else "")


def find_session() -> Session | None:
    """Return the visitor's session, or None if there is none yet."""
    if "session" not in g:
        g.session = services().storage.find(request.cookies.get(cookie_name()), hold=True)
    return cast(Session | None, g.session)


def need_session() -> Session:
    """Return the visitor's session, or raise NotFound."""
    session = find_session()
    if session is None:
        raise NotFound("There is nothing here (any more): upload images first.")
    return session


def make_session() -> Session:
    """Return the visitor's session, making one if there is none; only what stores something calls this."""
    session = find_session()
    if session is None:
        session = g.session = g.new_session = services().storage.create(hold=True)
    return session


def send_cookie(response: Response) -> Response:
    """Tell the browser the id of a session that was made during this request; an empty one is deleted instead."""
    if "new_session" in g and g.new_session.empty():
        # What was sent was refused, or nothing at all.
        services().storage.remove(g.pop("new_session"))
    if "new_session" in g:
        response.set_cookie(cookie_name(), g.new_session.id, **cookie_attributes())
    return response


def release_session(_: BaseException | None) -> None:
    """Let go of the session that a request was about."""
    session = g.pop("session", None)
    if session is not None:
        services().storage.release(session)


def cookie_attributes() -> CookieAttributes:
    """Return where a cookie goes: to the path of this server, where others share its host; encrypted if it came so."""
    return {"path": f"{request.script_root}/", "secure": request.is_secure, "httponly": True, "samesite": "Lax"}


def drop_session(response: Response) -> Response:
    """Delete the visitor's session, its files and its cookie."""
    session = find_session()
    if session is not None:
        services().storage.remove(session)
    g.pop("new_session", None)
    response.delete_cookie(cookie_name(), **cookie_attributes())
    return response


def json_body(example: str, field: str) -> dict[str, Any]:
    """Return the JSON object that a request carries, or raise a BadRequest that shows an example of it."""
    try:
        body = request.get_json()
    except RecursionError:
        raise BadRequest("The JSON is nested too deeply.", field=field) from None
    if not isinstance(body, dict):
        raise BadRequest(f"Send a JSON object such as {example}.", field=field)
    return body


def session_images(session: Session, uids: object) -> list[StoredImage]:
    """Return the images of these numbers, each once, or all of the session if ``uids`` is None."""
    if uids is None:
        return session.images()
    found = (session.image(uid) for uid in image_numbers(uids))
    return list({image["uid"]: image for image in found}.values())


def each(jobs: Iterable[J], describe: Callable[[J], T]) -> list[T]:
    """Return what is to be said of runs or audits; one that is deleted while this reads is left out."""
    found = []
    for job in jobs:
        with suppress(NotFound):
            found.append(describe(job))
    return found


def image_numbers(uids: object) -> list[int | str]:
    """Return numbers of images from the body of a request; each is looked up on the disk, so they are not many."""
    most = services().settings.MAX_IMAGES
    if not isinstance(uids, list) or not all(isinstance(uid, int | str) for uid in uids):
        raise BadRequest("images must be a list of image numbers.", field="images")
    if len(uids) > most:
        raise BadRequest(f"images names {len(uids):,} images; a session holds {most:,} at most.", field="images")
    return uids


def in_time(images: Sequence[T]) -> Iterator[T]:
    """Yield the images of one upload as long as it has time: few threads decode, and others wait for them.

    Raises:
        TooLarge: decoding those before took longer than :data:`UPLOAD_SECONDS`.
    """
    begun = clock()
    for place, image in enumerate(images):
        if clock() - begun > UPLOAD_SECONDS:
            raise TooLarge(
                f"Decoding took longer than the {UPLOAD_SECONDS:.0f} seconds that one upload may take, so the last "
                f"{len(images) - place} of {len(images)} images were not stored; send fewer at once.",
                field="file",
            )
        yield image
