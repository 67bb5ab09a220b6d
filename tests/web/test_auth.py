"""The password, proxies and trusted names; what watches over the server; what is logged."""

from __future__ import annotations

import json
import logging
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from picasso import config
from picasso.errors import ConfigurationError
from picasso.web import auth, server
from picasso.web.app import create_app
from picasso.web.proxies import network_of
from tests.conftest import COOKIE, close, fake_settings, upload
from tests.jobs.test_engine import until

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
        "error": {"code": "unauthorized", "message": "The password is wrong."},
    }
    assert client.get("/", headers={"Authorization": "Bearer x"}).status_code == 401
    assert client.get("/", headers=basic(SECRET)).status_code == 200
    assert client.get("/api/", headers=basic(SECRET, "")).status_code == 200


def test_passwords_are_compared_in_constant_time(guarded: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    compared = []

    def compare(given: bytes, password: bytes) -> bool:
        compared.append((given, password))
        return False

    # Nothing else decides: not the length, and not what the password begins with.
    monkeypatch.setattr("picasso.web.auth.hmac.compare_digest", compare)
    for given in (SECRET, "", "correct", "x" * 1000):
        headers = {**basic(given), "X-Forwarded-For": f"192.0.2.{len(compared) + 100}"}
        assert guarded.test_client().get("/", headers=headers).status_code == 401
    assert compared == [(given.encode(), SECRET.encode()) for given in (SECRET, "", "correct", "x" * 1000)]


def test_guessing_is_slowed_down_for_one_network_only(guarded: Flask) -> None:
    client = guarded.test_client()

    def status(password: str, address: str) -> int:
        return client.get("/", headers={**basic(password), "X-Forwarded-For": address}).status_code

    # Whoever has an IPv6 network of their own has many addresses.
    addresses = [f"2001:db8:0:1::{number:x}" for number in range(1, auth.MAX_ATTEMPTS + 1)]
    assert {status("x", address) for address in addresses} == {401}
    refused = client.get("/", headers={**basic("x"), "X-Forwarded-For": "2001:db8:0:1:ffff::1"})
    assert refused.status_code == 429
    assert refused.headers["Retry-After"] == "60"
    assert "Set-Cookie" not in refused.headers
    assert status("x", "2001:db8:0:2::1") == 401
    # Nobody who knows the password is locked out by a neighbour, and whoever has not typed one yet is asked for it.
    assert status(SECRET, "2001:db8:0:1::1") == 200
    assert client.get("/", headers={"X-Forwarded-For": "2001:db8:0:1::1"}).status_code == 401


def test_nobody_behind_a_proxy_that_is_not_declared_is_locked_out() -> None:
    application = create_app(fake_settings(PASSWORD=SECRET))
    try:
        client = application.test_client()
        statuses = [client.get("/api/", headers=basic(str(number))).status_code for number in range(50)]
        assert statuses == [401] * auth.MAX_ATTEMPTS + [429] * (50 - auth.MAX_ATTEMPTS)
        assert client.get("/api/", headers=basic(SECRET)).status_code == 200
    finally:
        close(application)


def test_however_fast_somebody_guesses_few_passwords_are_looked_at(
    guarded: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    visitor, stranger = guarded.test_client(), guarded.test_client()
    for one in (visitor, stranger):
        one.environ_base |= {"HTTP_X_FORWARDED_FOR": "192.0.2.77", "HTTP_AUTHORIZATION": basic(SECRET)["Authorization"]}
    upload(visitor)
    monkeypatch.setattr(auth, "MAX_CHECKS", 5)
    for _ in range(5):
        assert stranger.get("/", headers=basic("x")).status_code == 401
    # Not even the right one is looked at, unless it comes with a session, which nobody has who does not know it.
    assert stranger.get("/").status_code == 429
    assert visitor.get("/").status_code == 200
    assert visitor.get("/", headers=basic("x")).status_code == 401
    stranger.set_cookie(COOKIE, "0" * 32)
    assert stranger.get("/").status_code == 429


def test_wrong_passwords_are_forgotten_after_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auth, "MAX_CHECKS", 12)
    monkeypatch.setattr(auth, "MAX_CHECKS_IN_ALL", 14)
    now = [100.0]
    limiter = auth.LoginRateLimiter(lambda: now[0])
    assert [limiter.note("a") for _ in range(12)] == [False] * 10 + [True] * 2
    assert [limiter.looks(network) for network in "ab"] == [False, True]
    now[0] += 30
    assert [limiter.note("b") for _ in range(2)] == [False, False]
    assert [limiter.looks(network) for network in "abc"] == [False] * 3
    now[0] += 30
    assert [limiter.looks(network) for network in "abc"] == [True] * 3
    assert not limiter.note("a")
    now[0] += 60
    assert limiter.looks("a")
    assert not limiter._wrong


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::1", "::/64"),
        ("", ""),
        ("localhost", "localhost"),
    ],
)
def test_passwords_are_counted_by_network(address: str, network: str) -> None:
    assert network_of(address) == network


def test_the_password_of_the_environment_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = config.build({"PASSWORD": "one"}, None)
    assert settings.password() == "one"
    monkeypatch.setenv("PICASSO_PASSWORD", "two")
    assert settings.password() == "two"


@pytest.mark.parametrize(
    ("body", "password"),
    [(b"one\n", "one"), (b"one", "one"), (b" one \r\n", " one "), ("zwölf\n".encode(), "zwölf")],
)
def test_the_password_of_a_file_wins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: bytes, password: str
) -> None:
    monkeypatch.setenv("PICASSO_PASSWORD", "two")
    (tmp_path / "password").write_bytes(body)
    settings = config.build({"PASSWORD": "three", "PASSWORD_FILE": "password"}, tmp_path / "config.py")
    assert settings.password() == password
    assert settings.asks_for_password()


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"", "must contain exactly one line"),
        (b"\n", "must contain exactly one line"),
        (b"one\ntwo\n", "must contain exactly one line"),
        (b"one\n\n", "must contain exactly one line"),
        (b"\xff\xfe", "must contain exactly one line"),
        (None, "can't be read: No such file or directory. Check PASSWORD_FILE or --password-file."),
    ],
)
def test_a_file_without_a_password_ends_the_start(tmp_path: Path, body: bytes | None, sentence: str) -> None:
    file = tmp_path / "password"
    if body is not None:
        file.write_bytes(body)
    with pytest.raises(ConfigurationError, match=sentence) as caught:
        create_app(fake_settings(PASSWORD_FILE=str(file)))
    assert "one" not in caught.value.message.replace("one line", "")


def test_a_password_file_that_everybody_may_read_is_noticed(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("one\n")
    settings = config.build({"PASSWORD_FILE": str(file)}, None)
    for mode, exposed in ((0o600, None), (0o640, None), (0o644, file), (0o602, file)):
        file.chmod(mode)
        assert settings.exposed_password_file() == exposed
    assert config.build({}, None).exposed_password_file() is None


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
        # A page that rebinds its name to this machine can write that header, but not this one.
        ({"Host": "evil.com", "X-Forwarded-Host": "localhost"}, 400),
        ({"Host": "evil.com", "X-Forwarded-Host": "picasso.example"}, 400),
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
    until(lambda: runner.model.status()["state"] == "ready")
    assert client.get("/readyz").get_json() == {"ok": True, "state": "ready"}


def test_a_server_without_a_model_is_not_ready() -> None:
    application = create_app(fake_settings(MODEL_CLS_NAME="NoSuchModel"))
    try:
        runner = application.extensions["picasso"].runner
        until(lambda: runner.model.status()["state"] == "failed")
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
    with pytest.raises(ConfigurationError, match="Set PASSWORD, or set OPEN = True"):
        server.serve(config.build(fake_settings(HOST="0.0.0.0"), None), print)  # noqa: S104
