"""Behind a proxy that serves Picasso under a path: every address begins with it, and nobody else is led there."""

from __future__ import annotations

import re
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from picasso import config
from picasso.errors import ConfigurationError
from picasso.web.prefix import Prefix, prefix_of
from tests.conftest import upload
from tests.web.test_pages import run_page

PREFIX = "/user/ann/proxy/5000"
HEADERS = {"X-Forwarded-Prefix": PREFIX}
ADDRESSES = re.compile(r'(?:href|src|action|formaction|data-[a-z-]+)="(/[^"]*)"')


class Proxied(FlaskClient):
    """A visitor whose requests come by a proxy that takes the prefix off; its browser sends cookies for their path."""

    def open(self, *arguments: Any, **options: Any) -> Any:
        return super().open(*arguments, **{**options, "headers": {**HEADERS, **options.get("headers", {})}})


@pytest.fixture
def proxied(client: FlaskClient) -> FlaskClient:
    """A visitor behind the proxy, of the same application."""
    return Proxied(client.application, use_cookies=False)


def session_of(answer: Any) -> dict[str, str]:
    cookie = answer.headers["Set-Cookie"]
    assert f"Path={PREFIX}/" in cookie
    return {"Cookie": cookie.partition(";")[0]}


def test_every_address_of_every_page_begins_with_the_prefix(proxied: FlaskClient, client: FlaskClient) -> None:
    begun = proxied.post("/samples", data={"sample": "0-00003.png"})
    assert begun.headers["Location"] == f"{PREFIX}/?image=0"
    cookie = session_of(begun)
    started = proxied.post("/visualizations/Means", data={}, headers=cookie)
    run = started.headers["Location"]
    assert run.startswith(f"{PREFIX}/runs/")
    pages = [
        "/",
        "/visualizations",
        "/gallery",
        "/compare",
        "/documentation/",
        "/model",
        "/audits",
        "/api/docs",
        "/visualizations/Means",
        run.removeprefix(PREFIX),
        "/nowhere",
    ]
    for page in (*pages, "/images/0/what-if"):
        text = proxied.get(page, headers=cookie).text
        found = ADDRESSES.findall(text)
        assert len(found) > 5
        assert [address for address in found if not address.startswith(f"{PREFIX}/") and address != PREFIX] == []
        assert f'data-root="{PREFIX}"' in text
    gone = proxied.post("/reset", headers=cookie)
    assert f"Path={PREFIX}/" in gone.headers["Set-Cookie"]


def test_addresses_of_the_api_begin_with_it(proxied: FlaskClient) -> None:
    cookie = session_of(proxied.post("/samples", data={"sample": "0-00003.png"}))
    begun = proxied.post("/api/runs", json={"visualization": "ClassProbabilities"}, headers=cookie).get_json()
    assert begun["url"] == f"{PREFIX}/api/runs/{begun['id']}"
    run = proxied.get(f"/api/runs/{begun['id']}", headers=cookie).get_json()
    assert run["page"] == f"{PREFIX}/runs/{begun['id']}"
    assert proxied.get("/api/openapi.json").get_json()["servers"] == [{"url": f"{PREFIX}/"}]


def test_scripts_ask_below_the_prefix(client: FlaskClient) -> None:
    names = re.findall(r'"/static/([a-z]+\.js)"', client.get("/").text)
    assert names
    for name in ("common", "maps", "looking", "gathering", "picasso"):
        text = client.get(f"/static/{name}.js").text
        assert re.findall(r"[\"'`]/(?:api|colours|runs|audits|images)", text) in ([], ['"/api']), name


@pytest.mark.parametrize(
    ("header", "prefix"),
    [
        ("/picasso", "/picasso"),
        ("/picasso/", "/picasso"),
        (" /user/a.b-c_d~e/proxy/5000/ ", "/user/a.b-c_d~e/proxy/5000"),
        ("/user/ann%40example.org", "/user/ann@example.org"),
        ("", ""),
        ("/", ""),
        ("picasso", ""),
        ("//evil.example", ""),
        ("/a//b", ""),
        ("/a/../b", ""),
        ("/a/./b", ""),
        ("/..", ""),
        ("/%2e%2e/b", ""),
        ("/%2fevil.example", ""),
        ("http://evil.example/", ""),
        ("/\\evil.example", ""),
        ("/a b", ""),
        ('/"><script>', ""),
        ("/a?b", ""),
        ("/a#b", ""),
        ("/a\r\nX: y", ""),
        ("/a;b", ""),
        ("/ä", ""),
        ("/" + "a" * 600, ""),
    ],
)
def test_only_plain_paths_are_prefixes(header: str, prefix: str) -> None:
    assert prefix_of(header) == prefix


def served(environ: dict[str, str], **settings: Any) -> tuple[str, str]:
    """Return under which path an application finds itself, and which of its own is asked for."""
    app = Flask("inner")
    for rule in ("/", "/api/", "/runs/<id>"):
        app.add_url_rule(rule, view_func=lambda: "", endpoint=rule)
    found = []

    def inner(environ: Any, start_response: Any) -> list[bytes]:
        found.append((environ["SCRIPT_NAME"], environ["PATH_INFO"]))
        return []

    app.wsgi_app = inner  # type: ignore[method-assign]
    prefix: Any = Prefix(app, config.build(settings, None))
    prefix({"SCRIPT_NAME": "", **environ}, None)
    return found[0]


@pytest.mark.parametrize(
    ("path", "rest"),
    [
        ("/picasso/runs/1", "/runs/1"),
        ("/runs/1", "/runs/1"),
        ("/picasso", ""),
        ("/picassos", "/picassos"),
        ("/", "/"),
        ("/picasso/picasso/", "/picasso/"),
    ],
)
@pytest.mark.parametrize("by", ["setting", "header"])
def test_a_proxy_takes_the_prefix_off_or_leaves_it_on(path: str, rest: str, by: str) -> None:
    if by == "setting":
        found = served({"PATH_INFO": path, "HTTP_X_FORWARDED_PREFIX": "/other"}, PREFIX="/picasso/")
    else:
        found = served({"PATH_INFO": path, "HTTP_X_FORWARDED_PREFIX": "/picasso"})
    assert found == ("/picasso", rest)


def test_a_header_that_begins_like_an_address_of_our_own_takes_nothing_off() -> None:
    assert served({"PATH_INFO": "/api/runs", "HTTP_X_FORWARDED_PREFIX": "/api"}) == ("/api", "/api/runs")


def test_the_header_counts_on_loopback_and_with_proxies() -> None:
    named = {"PATH_INFO": "/", "HTTP_X_FORWARDED_PREFIX": "/made-up, /picasso"}
    assert served(named) == ("/picasso", "/")
    assert served(named, HOST="0.0.0.0", PROXIES=1) == ("/picasso", "/")  # noqa: S104 - nothing listens
    assert served(named, HOST="0.0.0.0") == ("", "/")  # noqa: S104


@pytest.mark.parametrize("prefix", ["picasso", "//evil.example", "/a b", "/api", "/runs/x", "/..", "http://x/"])
def test_a_setting_that_is_no_prefix(prefix: str) -> None:
    with pytest.raises(ConfigurationError, match="PREFIX must be a path such as /picasso"):
        served({}, PREFIX=prefix)


def test_a_prefix_for_another_host_is_not_believed(client: FlaskClient) -> None:
    assert 'href="/picasso/"' in client.get("/", headers={"X-Forwarded-Prefix": "/picasso"}).text
    same = {"X-Forwarded-Prefix": "/picasso", "X-Forwarded-Host": "localhost:5702"}
    assert 'href="/picasso/"' in client.get("/", headers=same).text
    other = {"X-Forwarded-Prefix": "/picasso", "X-Forwarded-Host": "evil.example"}
    assert "/picasso/" not in client.get("/", headers=other).text


def test_without_it_nothing_changes(client: FlaskClient) -> None:
    upload(client)
    page = run_page(client, "Means")
    assert 'data-root=""' in page.text
    assert 'href="/static/' in page.text
