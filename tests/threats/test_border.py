"""What other sites, proxies and hosts may make the server say or do."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from picasso import config
from picasso.web.app import create_app
from tests.conftest import Visitor, close, fake_settings, upload
from tests.threats.conftest import Address

FORWARDED = {
    "X-Forwarded-Host": "evil.example",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-For": "10.9.8.7",
    "X-Forwarded-Prefix": "/evil.example",
    "X-Original-URL": "/evil.example",
    "Forwarded": "host=evil.example",
}


def test_what_a_proxy_claims_is_not_repeated(visitor: Visitor) -> None:
    upload(visitor)
    answers = [
        visitor.get("/", headers=FORWARDED),
        visitor.get("/nope", headers=FORWARDED),
        visitor.get("/api/", headers=FORWARDED),
        visitor.post("/api/runs", json={"visualization": "ClassProbabilities"}, headers=FORWARDED),
        visitor.post("/reset", headers=FORWARDED),
    ]
    for answer in answers:
        assert "evil.example" not in answer.text + str(answer.headers)
        assert not answer.headers.get("Location", "/").startswith(("http", "//"))


@pytest.mark.parametrize(
    "path", ["//evil.example", "//evil.example/", "/\\evil.example", "/%5cevil.example", "///x//y"]
)
def test_redirects_stay_here(server: Address, path: str) -> None:
    answer = server.get(path)
    assert answer.startswith((b"HTTP/1.1 404", b"HTTP/1.1 308", b"HTTP/1.1 400")), answer[:60]
    for place in re.findall(rb"(?im)^location: *(.*?)\r$", answer):
        assert not place.startswith((b"//", b"/\\"))
        assert not place.startswith(b"http") or place.startswith(b"http://127.0.0.1:%d/" % server.port)


@pytest.mark.parametrize("ids", ["//evil.example", "/\\evil.example", "a,b", "http:x"])
def test_the_page_of_runs_does_not_lead_away(visitor: Visitor, ids: str) -> None:
    place = visitor.get("/runs", query_string={"run": ids}).headers["Location"]
    assert place.startswith("/runs/")


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "10.evil.example", ""])
def test_other_hosts_over_the_wire(server: Address, host: str) -> None:
    answer = server.get("/", f"Host: {host}")
    assert answer.startswith(b"HTTP/1.1 400")
    assert b"Set-Cookie" not in answer
    assert server.get("/", f"Host: [::1]:{server.port}").startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    ("method", "path", "options"),
    [
        ("POST", "/images", {"data": {}}),
        ("POST", "/reset", {}),
        ("POST", "/api/runs", {"data": "{"}),
        ("DELETE", "/api/runs/x", {}),
        ("OPTIONS", "/api/images", {}),
        ("GET", "/api/", {"headers": {"Host": "evil.example"}}),
        ("POST", "/reset", {"headers": {"Origin": "http://evil.example"}}),
        ("GET", "/static/..%2fapp.py", {}),
    ],
)
def test_answers_to_everything_are_protected(visitor: Visitor, method: str, path: str, options: dict[str, Any]) -> None:
    headers = visitor.open(path, method=method, **options).headers
    assert "script-src 'self'" in headers["Content-Security-Policy"]
    assert "'unsafe" not in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert not [name for name, _ in headers if name.lower().startswith("access-control")]


def test_nothing_is_open_by_default(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    assert config.Settings().HOST == "127.0.0.1"
    assert not app.debug
    # The cookie is a random id, which needs no key: there is none that could leak or be lost.
    assert app.secret_key is None
    monkeypatch.setenv("FLASK_DEBUG", "1")
    application = create_app(fake_settings())
    try:
        client = Visitor(application)
        monkeypatch.setattr("picasso.web.pages.home.find_session", lambda: 1 / 0)
        answer = client.get("/?__debugger__=yes&cmd=resource&f=debugger.js")
        assert answer.status_code == 500
        assert "ZeroDivisionError" not in answer.text
        assert client.get("/console").status_code == 404
    finally:
        close(application)


def test_models_never_come_in_by_http(app: Flask, visitor: Visitor, tmp_path: Path) -> None:
    upload(visitor)
    model = tmp_path / "model.py"
    model.write_text(f"open({str(tmp_path / 'ran')!r}, 'w').close()\n")
    for more in ({"models": [str(model)]}, {"settings": {"MODEL": str(model)}}, {"settings": {"MODEL_CLS_PATH": "x"}}):
        answer = visitor.post("/api/runs", json={"visualization": "ClassProbabilities", **more})
        assert answer.status_code == 400
    # Not as an image, and there is no address that takes one.
    with model.open("rb") as file:
        assert visitor.post("/api/images", data={"file": (file, "model.keras")}).status_code == 415
    taking = {rule.rule for rule in app.url_map.iter_rules() if {"POST", "PUT", "PATCH"} & (rule.methods or set())}
    # That of the model tries words for preprocessing, and nothing else.
    assert [rule for rule in taking if "model" in rule] == ["/model"]
    with model.open("rb") as file:
        visitor.post("/model", data={"file": (file, "model.py"), "MODEL": str(model), "try": str(model)})
    assert not (tmp_path / "ran").exists()
    text = (Path(__file__).parents[2] / "SECURITY.md").read_text()
    assert "A model is loaded from the configuration only, never over HTTP." in text


@pytest.mark.parametrize("prefix", ["//evil.example", "/\\evil.example", "https://evil.example", "/%2f/evil.example"])
def test_no_prefix_leads_to_another_host(server: Address, prefix: str) -> None:
    host = f"Host: 127.0.0.1:{server.port}"
    answer = server.get("/", host, f"X-Forwarded-Prefix: {prefix}")
    assert answer.startswith(b"HTTP/1.1 200")
    assert b"evil.example" not in answer
    assert b'href="/picasso/"' in server.get("/", host, "X-Forwarded-Prefix: /picasso")
