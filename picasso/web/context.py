"""The services that requests share (settings, storage, registry, queue), and the visitor's session."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict, TypeVar, cast

from flask import Response, after_this_request, current_app, g, request

from picasso.config import Settings
from picasso.errors import BadRequest, NotFound, TooLarge
from picasso.explanation.registry import Registry
from picasso.jobs.base import Job
from picasso.jobs.job_queue import JobQueue
from picasso.jobs.run import StoredImage
from picasso.jobs.served_model import ServedModel
from picasso.storage.session import Session
from picasso.storage.store import Storage
from picasso.web.proxies import visible_port

J = TypeVar("J", bound=Job)
T = TypeVar("T")

# The maximum time that one upload can occupy its thread, in seconds.
UPLOAD_SECONDS = 60.0
# The kind of the cookie with the ids of the visitor's sessions, the number of them, and its age in seconds.
KEPT, MAX_KEPT, KEPT_SECONDS = "kept", 50, 365 * 86_400
clock = time.monotonic


class CookieAttributes(TypedDict):
    """The attributes of a cookie."""

    path: str
    secure: bool
    httponly: bool
    samesite: str


@dataclass(frozen=True)
class Services:
    """The services of an application, one of each. ``samples`` are the sample images by name, found at start-up."""

    settings: Settings
    storage: Storage
    registry: Registry
    runner: JobQueue
    samples: dict[str, Path]

    @property
    def model(self) -> ServedModel:
        """What is known of the model."""
        return self.runner.model


def services() -> Services:
    """Return the services of the current application."""
    return cast(Services, current_app.extensions["picasso"])


def cookie_name(kind: str = "session") -> str:
    """Return the name of a cookie.

    Browsers send a cookie to every port of a host. So the name contains the port on which the server listens and, if
    it differs, the port that the visitor uses. This keeps the sessions of several servers on one host separate.
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
        raise NotFound("You have no session, or it was deleted or has expired. Upload images first.")
    return session


def make_session() -> Session:
    """Return the visitor's session, or create one; only requests that store something call this."""
    session = find_session()
    if session is None:
        session = g.session = g.new_session = services().storage.create(hold=True)
    return session


def send_cookie(response: Response) -> Response:
    """Send the cookie of a session that was created during this request; an empty session is deleted instead."""
    if "new_session" in g and g.new_session.empty():
        # The upload was refused or empty.
        services().storage.remove(g.pop("new_session"))
    if "new_session" in g:
        choose_session(response, g.new_session)
    return response


def choose_session(response: Response, session: Session) -> None:
    """Send the cookie that makes a session the visitor's current one; a server that keeps sessions lists it as well."""
    response.set_cookie(cookie_name(), session.id, **cookie_attributes())
    if services().settings.KEEP_SESSIONS:
        ids = [one.id for one in kept_sessions() if one.id != session.id]
        keep_ids(response, [session.id, *ids])


def keep_ids(response: Response, ids: Sequence[str]) -> None:
    """Send the cookie with the ids of the visitor's sessions."""
    response.set_cookie(cookie_name(KEPT), ".".join(ids[:MAX_KEPT]), max_age=KEPT_SECONDS, **cookie_attributes())


def kept_sessions() -> list[Session]:
    """Return the sessions that this browser has used, the latest first; each id in its cookie is a secret."""
    if not services().settings.KEEP_SESSIONS:
        return []
    # The current one comes first, also if it was started before the setting was changed.
    ids = [request.cookies.get(cookie_name(), ""), *request.cookies.get(cookie_name(KEPT), "").split(".")[:MAX_KEPT]]
    found = (services().storage.find(one, touch=False) for one in dict.fromkeys(ids))
    return [one for one in found if one is not None]


def release_session(_: BaseException | None) -> None:
    """Release the session of a request."""
    session = g.pop("session", None)
    if session is not None:
        services().storage.release(session)


def cookie_attributes() -> CookieAttributes:
    """Return the attributes of a cookie: the path of this server, and secure if the request used HTTPS."""
    return {"path": f"{request.script_root}/", "secure": request.is_secure, "httponly": True, "samesite": "Lax"}


def drop_session() -> None:
    """Delete the visitor's session, its files and its cookie."""
    session = find_session()
    if session is not None:
        services().storage.remove(session)
    g.pop("new_session", None)

    @after_this_request
    def forget(response: Response) -> Response:
        response.delete_cookie(cookie_name(), **cookie_attributes())
        return response


def session_images(session: Session, uids: Sequence[int | str] | None) -> list[StoredImage]:
    """Return the images with these numbers without duplicates, or all of the session if ``uids`` is None."""
    if uids is None:
        return session.images()
    if not uids:
        raise BadRequest("images is an empty list. Omit it for all images of the session.", field="images")
    found = (session.image(uid) for uid in check_image_count(uids))
    return list({image["uid"]: image for image in found}.values())


def each(jobs: Iterable[J], describe: Callable[[J], T]) -> list[T]:
    """Describe runs or audits; one that is deleted in the meantime is omitted."""
    found = []
    for job in jobs:
        with suppress(NotFound):
            found.append(describe(job))
    return found


def check_image_count(uids: Sequence[int | str]) -> Sequence[int | str]:
    """Return the image numbers in a request; their number is limited, because each is looked up on disk."""
    most = services().settings.MAX_IMAGES
    if len(uids) > most:
        raise BadRequest(f"images lists {len(uids):,} images, but a session has at most {most:,}.", field="images")
    return uids


def in_time(images: Sequence[T]) -> Iterator[T]:
    """Yield the images of one upload until its time is up, because few threads decode images and others wait for them.

    Raises:
        TooLarge: decoding the previous images took longer than :data:`UPLOAD_SECONDS`.
    """
    begun = clock()
    for place, image in enumerate(images):
        if clock() - begun > UPLOAD_SECONDS:
            raise TooLarge(
                f"Decoding exceeded the limit of {UPLOAD_SECONDS:.0f} seconds per upload, so the last "
                f"{len(images) - place} of {len(images)} images were not stored. Send fewer images at once.",
                field="file",
            )
        yield image
