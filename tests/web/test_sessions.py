"""Sessions that are kept: named, listed and opened in the browser that started them, and by nobody else."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from picasso.web.app import create_app
from tests.conftest import COOKIE, Visitor, close, fake_settings, png, upload

KEPT = COOKIE.replace("session", "kept")


@pytest.fixture(scope="module")
def keeping() -> Iterator[Flask]:
    """An application that keeps sessions."""
    application = create_app(fake_settings(KEEP_SESSIONS=True, SESSION_MINUTES=1))
    application.test_client_class = Visitor
    yield application
    close(application)


def handles(client: FlaskClient) -> list[str]:
    return re.findall(r'action="/sessions/(\w+)/rename"', client.get("/sessions").text)


def images(client: FlaskClient) -> int:
    return len(client.get("/api/images").get_json()["images"])


def secret(client: FlaskClient, name: str = COOKIE) -> str:
    cookie = client.get_cookie(name)
    assert cookie
    return str(cookie.value)


def test_sessions_are_named_opened_and_deleted(keeping: Flask) -> None:
    client: Any = keeping.test_client()
    assert "There is no session yet" in client.get("/sessions").text
    upload(client, 2)
    assert 'href="/sessions"' in client.get("/").text
    assert "Keep it and start a new session" in client.get("/reset").text
    (first,) = handles(client)
    assert client.post(f"/sessions/{first}/rename", data={"name": " tanks\n<b>" + "x" * 200}).status_code == 303
    page = client.get("/sessions").text
    assert "tanks &lt;b&gt;xxx" in page
    assert len(re.findall(r'value="(tanks[^"]*)"', page)[0].replace("&lt;", "<").replace("&gt;", ">")) == 80
    assert "2 images, 0 runs, 0 audits" in page
    assert client.post("/sessions").status_code == 303
    assert images(client) == 0
    upload(client, 1)
    second, again = handles(client)
    assert again == first
    assert client.post(f"/sessions/{first}/open").status_code == 303
    assert images(client) == 2
    assert client.post(f"/sessions/{second}/remove").status_code == 303
    assert handles(client) == [first]
    assert images(client) == 2
    # Deleting can be undone; the session is then the current one, and both are listed.
    client.post("/reset/undo")
    assert images(client) == 1
    assert handles(client) == [second, first]


def test_nobody_else_lists_or_opens_them(keeping: Flask) -> None:
    client, other = keeping.test_client(), keeping.test_client()
    upload(client, 1)
    upload(other, 1)
    (own,) = handles(client)
    assert handles(other) != [own]
    for action in ("open", "rename", "remove"):
        answer = other.post(f"/sessions/{own}/{action}", data={"name": "mine"})
        assert answer.status_code == 404
    # The handle in addresses is not the id, and the id is on no page.
    assert own not in secret(client)
    assert secret(client) not in client.get("/sessions").text
    other.set_cookie(COOKIE, own)
    assert images(other) == 0
    assert images(client) == 1


def test_the_cookie_is_secret_and_what_it_holds_is_checked(keeping: Flask) -> None:
    client = keeping.test_client()
    answer = client.post("/images", data={"file": [(io.BytesIO(png()), "image.png")]})
    kept = next(one for one in answer.headers.getlist("Set-Cookie") if one.startswith(f"{KEPT}="))
    assert "HttpOnly" in kept
    assert "SameSite=Lax" in kept
    assert re.search(r"Max-Age=\d{7,}", kept)
    good = secret(client, KEPT)
    client.set_cookie(KEPT, f"../../etc.{'x' * 3000}.{good}.{good}." + "." * 500)
    assert len(handles(client)) == 1


def test_kept_sessions_do_not_expire_but_empty_ones_do(keeping: Flask) -> None:
    client = keeping.test_client()
    upload(client, 1)
    storage = keeping.extensions["picasso"].storage
    folder, empty = storage.folder / "sessions" / secret(client), storage.create()
    for one in (folder, storage.folder / "sessions" / empty.id):
        os.utime(one, (1, 1))
    # Listing a session is no use of it.
    assert storage.find(folder.name, touch=False).last_used() == 1
    storage.expire()
    assert storage.find(empty.id) is None
    assert images(client) == 1


def test_a_server_that_does_not_keep_sessions_lists_none(client: FlaskClient) -> None:
    upload(client, 1)
    assert client.get_cookie(KEPT) is None
    assert client.get("/sessions").status_code == 404
    assert "/sessions" not in client.get("/").text
    assert "Keep it and start" not in client.get("/reset").text
    assert client.post("/sessions").status_code == 404
    assert client.post("/sessions/0123456789abcdef/open").status_code == 404
