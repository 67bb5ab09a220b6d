"""Addresses, names and references that want to leave the session's folder."""

from __future__ import annotations

import io
import shutil
import socket
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from picasso.web.context import Services
from tests.conftest import COOKIE, Visitor, finish, png, upload
from tests.threats.conftest import Address

TRICKS = (
    "..%2f..%2fetc%2fpasswd",
    "%252e%252e%252fetc%252fpasswd",
    "..%5c..%5cetc%5cpasswd",
    "%00.png",
    "a%00.png",
    "..",
    "%2e%2e",
    "%2fetc%2fpasswd",
    "/etc/passwd",
    "....//....//etc/passwd",
)


@pytest.mark.parametrize("trick", TRICKS)
def test_no_address_leaves_its_folder(server: Address, trick: str) -> None:
    places = ("samples", "thumbnails/samples", "inputs", "outputs", "api/inputs", "api/outputs", "thumbnails", "static")
    for place in places:
        answer = server.get(f"/{place}/{trick}")
        assert answer.startswith((b"HTTP/1.1 404", b"HTTP/1.1 308")), (place, answer[:80])
        assert b"root:" not in answer
        assert b"location: //" not in answer.lower()
    assert server.get("//etc/passwd").startswith((b"HTTP/1.1 404", b"HTTP/1.1 308"))


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("../../../../tmp/evil.png", "evil.png"),
        ("x" * 9000 + ".png", "xxxxxxx.png"),
        ("a\0b.png", "ab.png"),
        ("\u202egnp.exe", "gnp.exe"),
        ("🦊.png", "🦊.png"),
        ("..", ".."),
        ("/etc/passwd", "passwd"),
    ],
)
def test_names_of_uploads_are_only_shown(app: Flask, visitor: Visitor, name: str, shown: str) -> None:
    answer: Any = visitor.post("/api/images", data={"file": (io.BytesIO(png()), name)})
    assert answer.status_code == 200
    assert len(answer.json["images"][0]["name"]) <= 60
    assert answer.json["images"][0]["name"].endswith(shown)
    assert set(answer.json["file"]) <= set("0123456789abcdef-.png")
    assert visitor.get(f"/api/inputs/{answer.json['file']}").status_code == 200


def test_a_name_in_the_extended_notation_is_only_shown(visitor: Visitor) -> None:
    head = b"--x\r\nContent-Disposition: form-data; name=\"file\"; filename*=UTF-8''..%2f..%2fevil.png\r\n\r\n"
    answer: Any = visitor.post(
        "/api/images", data=head + png() + b"\r\n--x--\r\n", content_type="multipart/form-data; boundary=x"
    )
    assert answer.status_code == 200
    assert answer.json["images"][0]["name"] == "evil.png"


def session_folder(app: Flask, client: Visitor) -> Path:
    """Return the folder of a visitor."""
    services: Services = app.extensions["picasso"]
    cookie = client.get_cookie(COOKIE)
    assert cookie is not None
    return services.storage.folder / "sessions" / cookie.value


def test_links_and_neighbours_are_not_served(app: Flask, visitor: Visitor) -> None:
    upload(visitor)
    folder = session_folder(app, visitor)
    (folder / "images" / "0007-link.png").symlink_to("/etc/hostname")
    assert visitor.get("/inputs/0007-link.png").status_code == 404
    run: str = visitor.post("/api/runs", json={"visualization": "ClassProbabilities"}).get_json()["id"]
    finish(visitor, run)
    # A folder whose name goes on where another's ends, and a link to a run.
    shutil.copytree(folder / "runs" / run, folder / "runs-other" / run)
    (folder / "runs" / "abc").symlink_to(folder / "runs-other" / run)
    for wrong in ("abc", run[:-1], run + "0", f"../runs-other/{run}", f"..%2fruns-other%2f{run}"):
        assert visitor.get(f"/api/runs/{wrong}").status_code == 404, wrong
    shutil.rmtree(folder / "runs-other")


@pytest.mark.parametrize("length", [255, 256, 5000])
def test_names_that_no_file_can_have(visitor: Visitor, length: int) -> None:
    upload(visitor)
    name = "a" * length
    for address in (
        f"/inputs/{name}.png",
        f"/outputs/{name}-0-panel_0.png",
        f"/outputs/abc-0-{name}.png",
        f"/thumbnails/{name}",
        f"/samples/{name}",
        f"/api/runs/{name}",
        f"/runs/{name},{name}",
        f"/api/runs/{name}/values/0/0",
        f"/images/{name}/what-if",
        f"/visualizations/{name}/image",
        f"/colours/{name}.png",
        f"/static/{name}",
    ):
        assert visitor.get(address).status_code == 404, address[:40]
    assert visitor.delete(f"/api/images/{'9' * length}").status_code == 404


@pytest.mark.parametrize("name", ["__init__", "base", "..%2fx", "..", "nope", "settings"])
def test_only_visualizations_have_names(visitor: Visitor, name: str) -> None:
    upload(visitor)
    assert visitor.get(f"/visualizations/{name}").status_code == 404
    assert visitor.get(f"/api/visualizers/{name}").status_code == 404
    assert visitor.get(f"/api/visualize?image=0&visualizer={name}").status_code == 404
    assert visitor.post("/api/runs", json={"visualization": name}).status_code == 404


@pytest.mark.parametrize("value", ["nan", "1e999", "-1", "2.5", "", "0.5; rm -rf", "9" * 5000, "\u0663"])
def test_settings_out_of_range_name_the_field_and_what_is_allowed(visitor: Visitor, value: str) -> None:
    upload(visitor)
    for name, field in (("Means", "Weight"), ("Means", "Rows"), ("PartialOcclusion", "Window")):
        answer: Any = visitor.post("/api/runs", json={"visualization": name, "settings": {field: value}})
        if answer.status_code == 202:
            # An Arabic three is a three; it has to be one of those that are allowed all the same.
            assert (value, field) == ("\u0663", "Rows")
            continue
        assert answer.status_code == 400
        assert answer.json["error"]["field"] == field
        assert field in answer.json["error"]["message"]


@pytest.mark.parametrize("literal", ["NaN", "-Infinity", "1e999", "1" * 400, "null", "true", "[]", "{}", '"\\ud800"'])
def test_json_may_hold_what_no_form_can(visitor: Visitor, literal: str) -> None:
    upload(visitor)
    bodies = [
        '{"visualization": "Means", "settings": {"Weight": %s}}',
        '{"visualization": "PartialOcclusion", "settings": {"Window": %s}}',
        '{"visualization": "Means", "images": [%s]}',
        '{"visualization": "Means", "classes": [%s]}',
        '{"visualization": "Means", "models": [%s]}',
        '{"visualization": %s}',
    ]
    for body in bodies:
        answer = visitor.post("/api/runs", data=body % literal, content_type="application/json")
        # True is a one to JSON's readers, and so a class.
        assert answer.status_code in (400, 404) or (answer.status_code, literal) == (202, "true"), (body, answer.text)
    for body in (
        '{"shapes": [{"box": [0, 0, %s, 1]}]}',
        '{"shapes": %s}',
        '{"images": %s}',
        '{"fill": %s}',
        '{"other": %s}',
    ):
        answer = visitor.post("/api/what-if", data=body % literal, content_type="application/json")
        assert answer.status_code < 500 or answer.status_code == 503, (body, answer.text)


@pytest.mark.parametrize("reference", ["/etc/passwd", "file:///etc/passwd", "http://127.0.0.1:9/x.png", "../0", "0x0"])
def test_images_are_numbers_and_nothing_is_fetched(
    visitor: Visitor, monkeypatch: pytest.MonkeyPatch, reference: str
) -> None:
    upload(visitor)

    def refuse(*_: object) -> None:
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    answers = [
        visitor.get("/api/visualize", query_string={"image": reference, "visualizer": "ClassProbabilities"}),
        visitor.post("/api/runs", json={"visualization": "ClassProbabilities", "images": [reference]}),
        visitor.post("/api/what-if", json={"images": [reference], "shapes": []}),
        visitor.post("/api/what-if", json={"shapes": [], "fill": "other", "other": reference}),
        visitor.post("/visualizations/ClassProbabilities", data={"image": reference}),
        visitor.put("/api/images/order", json={"images": [reference]}),
    ]
    assert {answer.status_code for answer in answers} <= {400, 404}
