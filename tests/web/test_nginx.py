"""Behind a real nginx, as the documentation shows it: who asks, by which scheme, name, port and path."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.conftest import png
from tests.nginx import (
    BEHIND_NGINX,
    ENCRYPTED,
    HOST,
    INNER,
    PASSWORD,
    UNDER_A_PATH,
    Server,
    Visitor,
    behind,
    proxy,
    serving,
)

pytestmark = BEHIND_NGINX

# What a visitor may write to be taken for another one.
FORGED = {
    "X_Forwarded_For": "203.0.113.9",
    "X_Forwarded_Host": "evil.example",
    "X_Forwarded_Proto": "ftp",
    "X_Forwarded_Port": "1",
    "X_Forwarded_Prefix": "/evil",
    "Forwarded": "for=203.0.113.9;host=evil.example;proto=http",
}


class Proxied(NamedTuple):
    """A server with a password, and the ports of the proxies before it."""

    server: Server
    encrypted: int
    under_a_path: int


@pytest.fixture(scope="module")
def proxied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxied]:
    """One server behind two proxies side by side: encrypted, and under a path."""
    folder = tmp_path_factory.mktemp("proxied")
    with behind(folder, ENCRYPTED, UNDER_A_PATH, PASSWORD=PASSWORD, PROXIES=1) as (server, ports):
        yield Proxied(server, *ports)


def addresses(server: Server) -> list[str]:
    return [line["address"] for line in server.log()]


def test_https_is_known_to_be_https(proxied: Proxied) -> None:
    visitor = Visitor(proxied.encrypted, "127.0.0.2", secure=True, password=PASSWORD)
    origin = f"https://{HOST}:{proxied.encrypted}"
    uploaded = visitor.upload("/api/images", png(), Origin=origin)
    assert uploaded.status == 200
    cookie, ports = uploaded.headers["Set-Cookie"], f"{proxied.server.port}_{proxied.encrypted}"
    assert re.match(rf"picasso_session_{ports}=\w+; Secure; HttpOnly; Path=/;", cookie)
    assert "SameSite=Lax" in cookie
    assert '"uid":0' in visitor.get("/api/images").text
    assert addresses(proxied.server)[-1] == "127.0.0.2"
    # An action that the same name triggers without encryption is another site's.
    assert visitor.ask("POST", "/reset", Origin=origin.replace("https", "http")).status == 403
    assert visitor.ask("POST", "/reset", Origin=origin).status == 303


def test_nothing_that_a_visitor_forges_arrives(proxied: Proxied) -> None:
    visitor = Visitor(proxied.encrypted, "127.0.0.3", secure=True, password=PASSWORD)
    page = visitor.get("/", **FORGED)
    assert page.status == 200
    assert "evil" not in page.text + str(page.headers)
    assert addresses(proxied.server)[-1] == "127.0.0.3"
    assert "; Secure;" in visitor.upload("/api/images", png(), **FORGED).headers["Set-Cookie"]


def test_every_link_has_the_path_that_the_proxy_takes_off(proxied: Proxied) -> None:
    visitor = Visitor(proxied.under_a_path, "127.0.0.4", password=PASSWORD)
    origin = f"http://{HOST}:{proxied.under_a_path}"
    done = visitor.upload("/picasso/images", png(), Origin=origin)
    assert (done.status, done.headers["Location"]) == (303, "/picasso/?image=0")
    assert "; Path=/picasso/;" in done.headers["Set-Cookie"]
    assert "Secure" not in done.headers["Set-Cookie"]
    page = visitor.get("/picasso/", **FORGED)
    found = re.findall(r'(?:href|src|action)="(/[^"]*)"', page.text)
    assert len(found) > 10
    assert [address for address in found if not address.startswith("/picasso/")] == []
    assert {visitor.get(address).status for address in found if "/static/" in address or "/inputs/" in address} == {200}
    assert page.headers["Cache-Control"] == "private, no-cache"
    assert visitor.get("/picasso/../../etc/passwd").status == 400
    assert addresses(proxied.server)[-2] == "127.0.0.4"


def test_a_host_name_that_is_not_trusted_is_told_the_setting(proxied: Proxied) -> None:
    visitor = Visitor(proxied.encrypted, secure=True, host="other.example.org", password=PASSWORD)
    refused = visitor.get("/api/", X_Forwarded_Host=HOST)
    assert refused.status == 400
    assert r"TRUSTED_HOSTS = [\"other.example.org\"]" in refused.text


def test_two_proxies_one_behind_the_other(tmp_path: Path) -> None:
    with (
        behind(tmp_path, INNER, PROXIES=2) as (server, (inner,)),
        proxy(tmp_path / "outer", inner, ENCRYPTED) as outer,
    ):
        visitor = Visitor(outer, "127.0.0.5", secure=True)
        answer = visitor.upload("/images", png(), Origin=f"https://{HOST}:{outer}", **FORGED)
        assert (answer.status, answer.headers["Location"]) == (303, "/?image=0")
        assert "; Secure;" in answer.headers["Set-Cookie"]
        assert addresses(server)[-1] == "127.0.0.5"
        # Whoever comes to the inner one directly is known by the address that this one has seen.
        Visitor(inner, "127.0.0.6").get("/api/")
        assert addresses(server)[-1] == "127.0.0.6"


def test_a_path_that_only_the_setting_says(tmp_path: Path) -> None:
    prefix = "/user/ann/proxy/absolute/5000"
    left_on = f"server {{ listen 80; location {prefix}/ {{ proxy_pass http://127.0.0.1:5000; }} }}"
    taken_off = left_on.replace("127.0.0.1:5000;", "127.0.0.1:5000/;")
    with (
        serving(tmp_path / "picasso", PREFIX=prefix) as server,
        proxy(tmp_path / "on", server.port, left_on) as on,
        proxy(tmp_path / "off", server.port, taken_off) as off,
    ):
        for port in (on, off):
            visitor = Visitor(port)
            done = visitor.upload(f"{prefix}/images", png())
            assert (done.status, done.headers["Location"]) == (303, f"{prefix}/?image=0")
            assert f"; Path={prefix}/;" in done.headers["Set-Cookie"]
            page = visitor.get(f"{prefix}/", X_Forwarded_Prefix="/other")
            assert page.status == 200
            assert f'href="{prefix}/static/picasso.css"' in page.text
            assert "/other" not in page.text
            assert visitor.get(f"{prefix}/static/picasso.css").status == 200
        assert f"{prefix} in your browser" in (server.folder / "log").read_text()
        # Without PROXIES a visitor is whoever opened the connection.
        Visitor(on, "127.0.0.7").get(f"{prefix}/api/", X_Forwarded_For="203.0.113.9")
        assert addresses(server)[-1] == "127.0.0.1"
