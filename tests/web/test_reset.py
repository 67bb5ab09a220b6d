"""Starting over: asked first, undone within a minute, and gone after it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from picasso import fileio
from picasso.storage.store import UNDO_SECONDS, Storage
from picasso.web.app import create_app
from tests.conftest import COOKIE, Visitor, close, fake_settings, finish, upload

UNDO = COOKIE.replace("session", "undo")


@pytest.fixture
def now(app: Flask, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, as the storage of the application sees it."""
    time = [1_000_000.0]
    monkeypatch.setattr(app.extensions["picasso"].storage, "_clock", lambda: time[0])
    return time


@pytest.fixture
def storage(app: Flask, now: list[float]) -> Storage:
    """The storage of the application, without what other tests have dropped."""
    storage: Storage = app.extensions["picasso"].storage
    storage.forget_dropped()
    return storage


def folder_of(storage: Storage, client: FlaskClient) -> Any:
    cookie = client.get_cookie(COOKIE)
    assert cookie
    return storage.folder / "sessions" / cookie.value


def test_it_asks_first_and_says_what_goes(client: FlaskClient) -> None:
    assert "You have no images or results" in client.get("/reset").text
    upload(client, 2)
    started: Any = client.post("/api/runs", json={"visualization": "Slow", "settings": {"Steps": 100_000}}).json
    page = re.sub(r"\s+", " ", client.get("/reset").text)
    assert "This deletes your 2 images, 1 run and 0 audits from this server." in page
    assert "One of them is still running and will be stopped." in page
    assert 'href="/reset"' in client.get("/").text
    assert len(client.get("/api/images").get_json()["images"]) == 2
    client.post("/reset")
    client.post("/reset/undo")
    # It was stopped, and is not begun again.
    assert finish(client, started["id"])["state"] == "cancelled"


def test_within_a_minute_it_is_undone(client: FlaskClient, storage: Storage, now: list[float]) -> None:
    upload(client, 2)
    images = client.get("/api/images").get_json()
    folder = folder_of(storage, client)
    answer = client.post("/reset")
    assert (answer.status_code, answer.location) == (303, "/")
    (undo,) = [one for one in answer.headers.getlist("Set-Cookie") if one.startswith(f"{UNDO}=")]
    assert f"Max-Age={UNDO_SECONDS}" in undo
    assert "HttpOnly" in undo
    assert client.get_cookie(COOKIE) is None
    assert client.get("/api/images").get_json() == {"images": []}
    # Not even its id leads to it, and no other visitor is offered it.
    assert storage.find(folder.name) is None
    assert "Undo" not in client.application.test_client().get("/").text
    assert "Undo" in client.get("/").text
    now[0] += UNDO_SECONDS - 1
    storage.expire()
    assert client.post("/reset/undo").status_code == 303
    assert client.get("/api/images").get_json() == images
    assert "Undo" not in client.get("/").text


def test_after_a_minute_it_is_gone(client: FlaskClient, storage: Storage, now: list[float]) -> None:
    upload(client)
    folder = folder_of(storage, client)
    client.post("/reset")
    now[0] += UNDO_SECONDS
    # Even before anybody has cleared up.
    assert folder.exists()
    assert "Undo" not in client.get("/").text
    late = client.post("/reset/undo")
    assert late.status_code == 404
    assert "more than a minute ago" in late.text
    storage.expire()
    assert not folder.exists()


def test_what_came_after_it_is_not_lost_either(client: FlaskClient, storage: Storage) -> None:
    upload(client, 2)
    client.post("/reset")
    assert upload(client) == [0]
    for expected in (2, 1, 2):
        client.post("/reset/undo")
        assert len(client.get("/api/images").get_json()["images"]) == expected


def test_it_can_be_deleted_for_good_at_once(client: FlaskClient, storage: Storage) -> None:
    upload(client)
    folder = folder_of(storage, client)
    client.post("/reset")
    assert client.post("/reset/forget").status_code == 303
    assert not folder.exists()
    assert client.post("/reset/undo").status_code == 404


def test_the_call_of_the_original_deletes_at_once(client: FlaskClient, storage: Storage) -> None:
    upload(client)
    folder = folder_of(storage, client)
    assert client.get("/api/reset").get_json() == {"ok": "true"}
    assert not folder.exists()
    assert "Undo" not in client.get("/").text


def test_nothing_is_restored_by_a_made_up_id(client: FlaskClient, storage: Storage) -> None:
    upload(client)
    folder = folder_of(storage, client)
    for made_up in ("0" * 32, "../sessions", "", folder.name):
        stranger = client.application.test_client()
        stranger.set_cookie(UNDO, made_up)
        assert "Undo" not in stranger.get("/").text
        assert stranger.post("/reset/undo").status_code == 404
        stranger.post("/reset/forget")
    assert folder.exists()


def test_on_a_full_disk_it_is_deleted_at_once(
    client: FlaskClient, storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload(client)
    folder = folder_of(storage, client)

    def full(file: Any, document: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(fileio, "write_json", full)
        assert client.post("/reset").status_code == 303
    assert not folder.exists()


@pytest.fixture(scope="module")
def narrow() -> Iterator[Flask]:
    """An application that holds one session, of next to no size."""
    application = create_app(fake_settings(MAX_SESSIONS=1))
    application.test_client_class = Visitor
    yield application
    close(application)


def test_what_was_dropped_makes_room(narrow: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    storage: Storage = narrow.extensions["picasso"].storage
    first, second = narrow.test_client(), narrow.test_client()
    upload(first)
    first.post("/reset")
    upload(second)
    gone = first.post("/reset/undo")
    assert gone.status_code == 404
    assert "the server needed the space" in gone.text
    # The same where it is the disk space that is used up.
    second.post("/reset")
    monkeypatch.setattr(storage._quotas, "_total_mb", 0.0001)
    monkeypatch.setattr(storage._quotas, "_measured", float("-inf"))
    upload(first)
    assert second.post("/reset/undo").status_code == 404
