"""The browser's border: hosts, other sites, headers."""

from __future__ import annotations

import errno
import io
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.routing import Rule

from picasso.web import admission
from picasso.web.context import Services
from tests.conftest import finish, upload


@pytest.mark.parametrize("host", ["localhost:5000", "127.0.0.1:5000", "[::1]:5000", "localhost", "127.0.0.1"])
def test_names_of_this_machine_are_served(client: FlaskClient, host: str) -> None:
    assert client.get("/api/", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.com", "127.0.0.1.evil.com", "10.evil.com", "", "localhost.evil.com", "10.0.0.1", "a b", "[::1"]
)
def test_other_names_are_refused_and_leave_nothing(app: Flask, client: FlaskClient, host: str) -> None:
    services: Services = app.extensions["picasso"]
    before = set(services.storage.folder.joinpath("sessions").iterdir())
    answer = client.post("/samples", data={"sample": "0-00003.png"}, headers={"Host": host})
    assert answer.status_code == 400
    assert "Set-Cookie" not in answer.headers
    assert set(services.storage.folder.joinpath("sessions").iterdir()) == before


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "http://evil.com"},
        {"Origin": "null"},
        {"Origin": "http://localhost:5001"},
        {"Origin": "https://localhost"},
    ],
)
@pytest.mark.parametrize(
    "action",
    [
        "POST /reset",
        "POST /api/images",
        "DELETE /api/runs/x",
        "GET /api/reset",
        "GET /api/visualize",
        "GET /api/visualizers/PartialOcclusion/estimate",
        "GET /",
    ],
)
def test_other_sites_cannot_act(client: FlaskClient, headers: dict[str, str], action: str) -> None:
    method, address = action.split()
    assert client.open(address, method=method, headers=headers).status_code == 403


LINK = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
# Each rule and method that a link on another site may follow; everything else is only for our own pages and programs.
LINKED = {
    "GET /",
    "GET /api/docs",
    "GET /audit",
    "GET /audits/<audit_id>",
    "GET /compare",
    "GET /documentation/",
    "GET /documentation/<path:name>",
    "GET /healthz",
    "GET /model",
    "GET /images/<uid>/inside",
    "GET /images/<uid>/what-if",
    "GET /readyz",
    "GET /gallery",
    "GET /runs",
    "GET /runs/<ids>",
    "GET /visualizations",
    "GET /visualizations/<name>",
}


def address_of(rule: Rule) -> str:
    """Return an address that a rule matches."""
    return rule.build({name: 0 if name == "panel" else "x" for name in rule.arguments})[1]  # type: ignore[index]


def test_no_address_takes_a_model(client: FlaskClient) -> None:
    # The views that take files, and all that they take are images.
    assert sorted(admission.UPLOADS) == [
        "api_audits.add_audit_images",
        "api_images.add_image",
        "audits.start",
        "pages.upload",
    ]
    for file in ("keras2_zip.keras", "keras2_plain.h5", "logits.onnx"):
        body = (Path(__file__).parents[1] / "zoo" / file).read_bytes()
        assert client.post("/api/images", data={"file": (io.BytesIO(body), file)}).status_code == 415


@pytest.mark.parametrize("kind", ["link", "image", "frame"])
def test_every_route_is_closed_to_other_sites_unless_it_is_named(app: Flask, client: FlaskClient, kind: str) -> None:
    headers = {
        "link": LINK,
        "image": {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"},
        "frame": {**LINK, "Sec-Fetch-Dest": "iframe"},
    }[kind]
    served = set()
    for rule in app.url_map.iter_rules():
        for method in (rule.methods or set()) - {"HEAD"}:
            answer = client.open(address_of(rule), method=method, headers=headers)
            if answer.status_code != 403:
                served.add(f"{method} {rule.rule}")
    watched = {"GET /healthz", "GET /readyz", "OPTIONS /healthz", "OPTIONS /readyz"}
    assert served == (LINKED | watched if kind == "link" else watched)


def test_what_other_sites_may_link_to_starts_no_work(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    client = app.test_client()
    upload(client)
    started = client.post("/api/runs", json={"visualization": "ClassProbabilities"})
    run = started.get_json()["id"]
    finish(client, run)
    runner = app.extensions["picasso"].runner

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("work was started")

    for work in ("ask", "start", "start_audit", "run_and_wait"):
        monkeypatch.setattr(runner, work, refuse)
    folder = app.extensions["picasso"].storage.folder
    before = set(folder.glob("sessions/**/*"))
    known = {"ids": run, "uid": 0, "name": "PartialOcclusion", "audit_id": "none"}
    for rule in app.url_map.iter_rules():
        if f"GET {rule.rule}" in LINKED:
            built = rule.build({name: known[name] for name in rule.arguments})
            assert built
            assert client.get(built[1], headers=LINK).status_code < 500, rule.rule
    assert set(folder.glob("sessions/**/*")) == before
    assert client.get("/nowhere", headers=LINK).status_code == 404


@pytest.mark.parametrize(
    "headers", [{}, {"Sec-Fetch-Site": "same-origin"}, {"Sec-Fetch-Site": "none"}, {"Origin": "http://localhost"}]
)
def test_our_own_pages_and_programs_can(client: FlaskClient, headers: dict[str, str]) -> None:
    assert client.post("/reset", headers=headers).status_code == 303
    assert client.get("/api/reset", headers=headers).status_code == 200


def test_over_http_a_link_of_another_site_starts_no_work(client: FlaskClient) -> None:
    # A browser says nothing of where a link comes from, and sends the cookie along.
    link = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
    upload(client)
    acting = [
        "/api/visualize?image=0&visualizer=ClassProbabilities",
        "/api/visualizers/PartialOcclusion/estimate",
        "/api/reset",
    ]
    for address in acting:
        assert client.get(address, headers=link).status_code == 403
    assert len(client.get("/api/images").get_json()["images"]) == 1
    assert client.get("/api/runs").get_json()["runs"] == []
    # Where the browser says that somebody typed it, and for programs, it is as ever.
    assert client.get(acting[1], headers={**link, "Sec-Fetch-Site": "none"}).status_code == 200
    assert [client.get(address).status_code for address in acting] == [200, 200, 200]


@pytest.mark.parametrize("address", ["/", "/nope", "/api/", "/api/nope", "/static/picasso.css", "/samples/0-00003.png"])
def test_every_answer_is_protected(client: FlaskClient, address: str) -> None:
    headers = client.get(address).headers
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert not [name for name in dict(headers) if name.startswith("Access-Control")]


def test_an_unforeseen_error_is_a_friendly_page(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    client = app.test_client()

    def broken(*_: object) -> None:
        raise RuntimeError("secret /path")

    monkeypatch.setattr("picasso.web.pages.home.find_session", broken)
    page = client.get("/")
    assert page.status_code == 500
    assert "An internal error occurred" in page.text
    assert "secret" not in page.text


def test_a_full_disk_is_said(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("picasso.web.pages.home.find_session", full)
    page = app.test_client().get("/")
    assert page.status_code == 507
    assert "disk is full. Delete runs" in page.text


def test_a_host_name_that_is_not_served_is_told_the_setting(client: FlaskClient) -> None:
    answer = client.get("/api/", headers={"Host": "abc-5000.app.github.dev"})
    message = answer.get_json()["error"]["message"]
    assert 'TRUSTED_HOSTS = ["abc-5000.app.github.dev"]' in message
    assert "http://127.0.0.1:5000" in message
    page = client.get("/", headers={"Host": '"><script>'})
    assert page.status_code == 400
    assert "<script>" not in page.text.replace("<script type=", "")


@pytest.mark.parametrize("path", ["/api/reset", "/api/visualize?image=0&visualizer=SaliencyMaps"])
def test_head_changes_nothing(client: FlaskClient, path: str) -> None:
    upload(client)
    answer = client.head(path)
    assert (answer.status_code, answer.headers["Allow"]) == (405, "GET, OPTIONS")
    listed: Any = client.get("/api/images").json
    runs: Any = client.get("/api/runs").json
    assert (len(listed["images"]), runs["runs"]) == (1, [])


def test_what_is_sent_is_private(client: FlaskClient) -> None:
    upload(client)
    started: Any = client.post("/api/runs", json={"visualization": "ClassProbabilities"}).json
    finish(client, started["id"])
    for path in ("/", "/api/images", f"{started['url']}/results.zip", f"{started['url']}/results.csv"):
        answer = client.get(path)
        assert answer.status_code == 200
        assert answer.headers["Cache-Control"] == "private, no-cache"
        assert "Accept-Ranges" not in answer.headers
