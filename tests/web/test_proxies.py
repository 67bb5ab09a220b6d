"""What is taken over of what proxies say, and what is not."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from flask import Flask

from picasso import config
from picasso.errors import ConfigurationError
from picasso.web import recipes
from picasso.web.context import Services
from picasso.web.pages import downloads
from picasso.web.proxies import Proxies, address_of, elements, visible_port
from tests.conftest import fake_settings


def seen(headers: dict[str, str], count: int = 1, family: str = "X-Forwarded") -> tuple[str, str, str]:
    """Return the address, the scheme and the host that an application behind so many proxies sees."""
    environ: dict[str, Any] = {"REMOTE_ADDR": "10.0.0.1", "wsgi.url_scheme": "http", "HTTP_HOST": "localhost:5000"}
    environ |= {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in headers.items()}
    proxies: Any = Proxies(lambda environ, start_response: [], count, family)
    proxies(environ, None)
    return environ["REMOTE_ADDR"], environ["wsgi.url_scheme"], environ["HTTP_HOST"]


NOTHING = ("10.0.0.1", "http", "localhost:5000")


@pytest.mark.parametrize(
    ("headers", "count", "expected"),
    [
        ({}, 1, NOTHING),
        ({"X-Forwarded-For": "192.0.2.1"}, 1, ("192.0.2.1", "http", "localhost:5000")),
        # What the visitor wrote stands before what our proxy has added.
        ({"X-Forwarded-For": "203.0.113.9, 192.0.2.1"}, 1, ("192.0.2.1", "http", "localhost:5000")),
        ({"X-Forwarded-For": "203.0.113.9, 192.0.2.1,10.0.0.2"}, 2, ("192.0.2.1", "http", "localhost:5000")),
        # One that replaces the header, behind another one.
        ({"X-Forwarded-For": "192.0.2.1"}, 2, ("192.0.2.1", "http", "localhost:5000")),
        ({"X-Forwarded-For": "2001:db8::1"}, 1, ("2001:db8::1", "http", "localhost:5000")),
        ({"X-Forwarded-For": "[2001:DB8::1]:443"}, 1, ("2001:db8::1", "http", "localhost:5000")),
        ({"X-Forwarded-For": "192.0.2.1:5555"}, 1, ("192.0.2.1", "http", "localhost:5000")),
        ({"X-Forwarded-For": "unknown"}, 1, NOTHING),
        ({"X-Forwarded-For": "192.0.2.1, <b>"}, 1, NOTHING),
        ({"X-Forwarded-For": ""}, 1, NOTHING),
        ({"X-Forwarded-Proto": "HTTPS", "X-Forwarded-Host": "a.example"}, 1, ("10.0.0.1", "https", "a.example")),
        # The outer of two says these, and the inner one passes them on.
        ({"X-Forwarded-Proto": "https", "X-Forwarded-Host": "a.example"}, 2, ("10.0.0.1", "https", "a.example")),
        ({"X-Forwarded-Proto": "javascript"}, 1, NOTHING),
        ({"X-Forwarded-Host": "a.example:8443"}, 1, ("10.0.0.1", "http", "a.example:8443")),
        ({"X-Forwarded-Host": "a.example", "X-Forwarded-Port": "8443"}, 1, ("10.0.0.1", "http", "a.example:8443")),
        ({"X-Forwarded-Host": "a.example:81", "X-Forwarded-Port": "82"}, 1, ("10.0.0.1", "http", "a.example:81")),
        ({"X-Forwarded-Host": "[::1]", "X-Forwarded-Port": "82"}, 1, ("10.0.0.1", "http", "[::1]:82")),
        (
            {"X-Forwarded-Host": "a.example", "X-Forwarded-Port": "443", "X-Forwarded-Proto": "https"},
            1,
            ("10.0.0.1", "https", "a.example"),
        ),
        ({"X-Forwarded-Host": "a.example", "X-Forwarded-Port": "99999"}, 1, ("10.0.0.1", "http", "a.example")),
        ({"X-Forwarded-Host": 'a"><script>'}, 1, NOTHING),
        ({"Forwarded": "for=192.0.2.1;proto=https;host=a.example"}, 1, NOTHING),
    ],
)
def test_customary_headers(headers: dict[str, str], count: int, expected: tuple[str, str, str]) -> None:
    assert seen(headers, count) == expected


@pytest.mark.parametrize(
    ("header", "count", "expected"),
    [
        ("for=192.0.2.1;proto=https;host=a.example", 1, ("192.0.2.1", "https", "a.example")),
        ('For="[2001:db8::1]:4711" ; Proto=http', 1, ("2001:db8::1", "http", "localhost:5000")),
        ("for=203.0.113.9;host=evil, for=192.0.2.1", 1, ("192.0.2.1", "http", "localhost:5000")),
        ('for=192.0.2.1;host="a.example:8443", for=10.0.0.2', 2, ("192.0.2.1", "http", "a.example:8443")),
        ("for=_hidden;proto=https", 1, ("10.0.0.1", "https", "localhost:5000")),
        ('for="192.0.2.1, for=192.0.2.2', 1, NOTHING),
        ('for="a\\",b", for=192.0.2.2', 1, ("192.0.2.2", "http", "localhost:5000")),
        ("for", 1, NOTHING),
        (";,;,", 1, NOTHING),
    ],
)
def test_the_standard_header(header: str, count: int, expected: tuple[str, str, str]) -> None:
    # A proxy that sets this one passes on whatever a visitor writes into the others.
    forged = {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "https"}
    assert seen({**forged, "Forwarded": header}, count, "Forwarded") == expected


def test_a_long_header_is_read_in_one_go() -> None:
    for header in (" " * 200_000 + "x", 'for="' + "\\a" * 100_000, "a=b;" * 50_000 + '"', "," * 200_000):
        assert elements(header) == []


def test_addresses_and_ports() -> None:
    assert address_of("::ffff:192.0.2.1") == "192.0.2.1"
    assert address_of("fe80::1%eth0") == "fe80::1"
    assert address_of("1.2.3") == address_of("[1.2.3.4") == address_of("٣.2.3.4") == ""
    assert [visible_port(host, "https") for host in ("a", "a:1", "[::1]", "[::1]:5")] == [443, 1, 443, 5]


def test_only_known_headers_can_be_chosen() -> None:
    with pytest.raises(ConfigurationError, match='must be "X-Forwarded" or "Forwarded", but is \'X-Real-IP\''):
        config.build({"PROXY_HEADERS": "X-Real-IP"}, None)


def test_servers_on_one_host_keep_their_sessions_apart(app: Flask) -> None:
    services: Services = app.extensions["picasso"]
    port, names = services.settings.PORT, set()
    for host, visible in (("localhost", "_80"), (f"localhost:{port}", ""), ("localhost:5001", "_5001")):
        client = app.test_client()
        answer = client.post("/samples", data={"sample": "0-00003.png"}, base_url=f"http://{host}")
        names.add(answer.headers["Set-Cookie"].partition("=")[0])
        assert f"picasso_session_{port}{visible}" in names
        client.post("/reset", base_url=f"http://{host}")
    assert len(names) == 3


def test_an_action_behind_a_proxy_that_is_not_declared_is_told_the_setting(app: Flask) -> None:
    headers = {"Origin": "https://a.example", "X-Forwarded-For": "192.0.2.1"}
    refused = app.test_client().post("/api/images", headers=headers)
    assert refused.status_code == 403
    assert "PROXIES = 1" in refused.get_json()["error"]["message"]
    assert "PROXIES" not in app.test_client().post("/reset", headers={"Origin": "https://a.example"}).text


@pytest.mark.parametrize("more", [{"PROXIES": 1}, {"TRUSTED_HOSTS": ["a.example"]}, {"PASSWORD": "x"}, {}])
def test_folders_of_the_machine_are_not_shown_to_others(
    app: Flask, more: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bool] = []
    for name in ("as_command", "as_python"):
        monkeypatch.setattr(recipes, name, lambda *_, full_paths, **options: asked.append(full_paths))
    services: Services = app.extensions["picasso"]
    changed = replace(services, settings=config.build(fake_settings(**more), None))
    monkeypatch.setitem(app.extensions, "picasso", changed)
    look: Any = SimpleNamespace(spec=None)
    with app.app_context():
        downloads.recipes_of(look)
    assert asked == [not more, not more]
