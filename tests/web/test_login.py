"""The password, proxies and trusted names; what watches over the server; what is logged."""

from __future__ import annotations

import json
import logging
from base64 import b64encode
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask

from picasso import configuration, server
from picasso.app import create_app
from picasso.errors import ConfigurationError
from picasso.web import login
from tests.conftest import COOKIE, close, fake_settings, upload
from tests.test_engine import until

SECRET = "correct horse ü"  # noqa: S105


@pytest.fixture(scope="module")
def guarded() -> Iterator[Flask]:
    """A server with a password, behind one proxy, under two names, that logs its requests."""
    more: dict[str, Any] = {
        "PASSWORD": SECRET,
        "PROXIES": 1,
        "TRUSTED_HOSTS": ["Picasso.example"],
        "LOG_REQUESTS": True,
    }
    application = create_app(fake_settings(**more))
    yield application
    close(application)


def basic(password: str, user: str = "anybody") -> dict[str, str]:
    return {"Authorization": "Basic " + b64encode(f"{user}:{password}".encode()).decode()}


def test_without_the_password_nothing_is_shown(guarded: Flask) -> None:
    client = guarded.test_client()
    for address in ("/", "/api/", "/api/images", "/static/picasso.css", "/nowhere"):
        answer = client.get(address)
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"].startswith("Basic")
        assert "Set-Cookie" not in answer.headers
    assert client.post("/api/images").status_code == 401
    wrong: Any = client.get("/api/", headers=basic("correct horse"))
    assert wrong.json == {
        "ok": False,
        "error": {"code": "unauthorized", "message": "This is not the password of this server."},
    }
    assert client.get("/", headers={"Authorization": "Bearer x"}).status_code == 401
    assert client.get("/", headers=basic(SECRET)).status_code == 200
    assert client.get("/api/", headers=basic(SECRET, "")).status_code == 200


def test_guessing_is_slowed_down_for_one_address_only(guarded: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    client = guarded.test_client()
    for _ in range(login.ATTEMPTS):
        assert client.get("/", headers={**basic("x"), "X-Forwarded-For": "192.0.2.7"}).status_code == 401
    refused = client.get("/", headers={**basic(SECRET), "X-Forwarded-For": "192.0.2.7"})
    assert refused.status_code == 429
    assert refused.headers["Retry-After"] == "60"
    assert client.get("/", headers={**basic(SECRET), "X-Forwarded-For": "192.0.2.8"}).status_code == 200
    monkeypatch.setattr(login, "SECONDS", 0.0)
    assert client.get("/", headers={**basic(SECRET), "X-Forwarded-For": "192.0.2.7"}).status_code == 200


def test_no_more_addresses_are_remembered_than_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(login, "ADDRESSES", 3)
    attempts = login.Attempts()
    for address in "abcd":
        for _ in range(login.ATTEMPTS):
            attempts.note(address)
    assert [attempts.too_many(address) for address in "abcd"] == [False, True, True, True]


def test_the_password_of_the_environment_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = configuration.build({"PASSWORD": "one"}, None)
    assert settings.password() == "one"
    monkeypatch.setenv("PICASSO_PASSWORD", "two")
    assert settings.password() == "two"


def test_the_password_is_not_written_into_runs(guarded: Flask) -> None:
    client = guarded.test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = basic(SECRET)["Authorization"]
    upload(client)
    started: Any = client.post("/api/runs", json={"visualization": "ClassProbabilities"})
    assert started.status_code == 202
    folder = guarded.extensions["picasso"].storage.folder
    for file in folder.rglob("*"):
        assert not file.is_file() or b"correct horse" not in file.read_bytes()


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "picasso.example"}, 200),
        ({"Host": "10.0.0.1"}, 400),
        # One proxy stands before the server, and what it says of the name counts.
        ({"Host": "localhost", "X-Forwarded-Host": "picasso.example"}, 200),
        ({"Host": "localhost", "X-Forwarded-Host": "evil.com"}, 400),
        ({"Host": "localhost", "X-Forwarded-Host": "picasso.example, evil.com"}, 400),
    ],
)
def test_names_behind_a_proxy(guarded: Flask, headers: dict[str, str], status: int) -> None:
    assert guarded.test_client().get("/api/", headers={**basic(SECRET), **headers}).status_code == status


def test_actions_behind_a_proxy_come_from_the_name_that_the_visitor_typed(guarded: Flask) -> None:
    client = guarded.test_client()
    proxied = {
        **basic(SECRET),
        "Host": "localhost",
        "X-Forwarded-Host": "picasso.example",
        "X-Forwarded-Proto": "https",
    }
    assert client.post("/reset", headers={**proxied, "Origin": "https://picasso.example"}).status_code < 400
    assert client.post("/reset", headers={**proxied, "Origin": "http://picasso.example"}).status_code == 403


def test_without_proxies_forwarded_headers_say_nothing(app: Flask) -> None:
    client = app.test_client()
    answer = client.get("/api/", headers={"Host": "evil.com", "X-Forwarded-Host": "localhost"})
    assert answer.status_code == 400
    assert "evil" not in client.get("/", headers={"X-Forwarded-Host": "evil.com"}).text


def test_those_who_watch_need_no_password_and_learn_nothing(guarded: Flask) -> None:
    client = guarded.test_client()
    assert client.get("/healthz", headers={"Host": "10.0.0.1"}).get_json() == {"ok": True}
    runner = guarded.extensions["picasso"].runner
    until(lambda: runner.model_status()["state"] == "ready")
    assert client.get("/readyz").get_json() == {"ok": True, "state": "ready"}


def test_a_server_without_a_model_is_not_ready() -> None:
    application = create_app(fake_settings(MODEL_CLS_NAME="NoSuchModel"))
    try:
        runner = application.extensions["picasso"].runner
        until(lambda: runner.model_status()["state"] == "failed")
        answer = application.test_client().get("/readyz")
        assert (answer.status_code, answer.get_json()) == (503, {"ok": False, "state": "failed"})
        assert application.test_client().get("/healthz").status_code == 200
    finally:
        close(application)


def test_requests_are_logged_without_names(guarded: Flask, caplog: pytest.LogCaptureFixture) -> None:
    client = guarded.test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = basic(SECRET)["Authorization"]
    with caplog.at_level(logging.INFO, "picasso.requests"):
        upload(client, name="secret-name.png")
        answer = client.get("/inputs/secret-name.png")
        client.get("/secret-name?secret-name=1")
    lines = [json.loads(record.message) for record in caplog.records]
    assert "secret-name" not in caplog.text
    assert [(line["method"], line["route"], line["status"]) for line in lines] == [
        ("POST", "/api/images", 200),
        ("GET", "/inputs/<name>", 404),
        ("GET", None, 404),
    ]
    assert lines[1]["request_id"] == answer.headers["X-Request-Id"]
    assert len({line["request_id"] for line in lines}) == 3
    assert lines[1]["session"] == lines[2]["session"] != None  # noqa: E711 - one of them is a string
    cookie = client.get_cookie(COOKIE)
    assert cookie
    assert cookie.value not in caplog.text


def test_others_are_served_only_if_that_is_said() -> None:
    with pytest.raises(ConfigurationError, match="Set PASSWORD, or OPEN = True"):
        server.serve(configuration.build(fake_settings(HOST="0.0.0.0"), None), print)  # noqa: S104
