"""Audits in the browser and with the REST API, from the upload to the report."""

from __future__ import annotations

import errno
import io
import json
import os
import re
import signal
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flask import Flask
from flask.testing import FlaskClient
from PIL import Image

from picasso.audit import reading as folder
from picasso.audit.audit import run, silently
from picasso.audit.interventions import INTERVENTIONS
from picasso.audit.trial import TrialContext
from picasso.errors import NotFound
from picasso.evaluation import labeled_folder
from picasso.jobs import audit_job
from picasso.jobs.audit_documents import AT_WORK
from picasso.jobs.engine import LocalEngine
from picasso.storage.session import Session
from picasso.storage.store import Storage
from picasso.web.api import audits as api_audits
from picasso.web.app import create_app
from picasso.web.context import Services
from tests.cli.test_sarif import results, uri
from tests.conftest import COOKIE, Visitor, close, fake_settings, noise_image, png, upload
from tests.fakes import LinearModel
from tests.jobs.test_engine import until

Parts = list[tuple[io.BytesIO, str]]

MODEL = LinearModel()
MODEL.load()


@pytest.fixture(scope="module")
def slow() -> Iterator[Flask]:
    """An application with a slow model and a job queue of length one."""
    application = create_app(fake_settings(MODEL_CLS_NAME="SlowModel", QUEUE_LENGTH=1))
    application.test_client_class = Visitor
    ready(application.test_client())
    yield application
    close(application)


@pytest.fixture
def visitor(app: Flask) -> FlaskClient:
    """A visitor of an application whose model is loaded."""
    client = app.test_client()
    ready(client)
    return client


def ready(client: FlaskClient) -> None:
    until(lambda: client.get("/readyz").status_code == 200)


def noise_images(target: int, count: int = 8, name: str = "{}.png") -> Parts:
    """Return the files of a class: faint noise with a bright corner, which the model knows the class by."""
    weights = MODEL.weights[target]

    def one(seed: int) -> bytes:
        noise = 60 + np.asarray(noise_image(100 * target + seed)) // 8
        noise[:2, :2] += (150 * (weights[:2, :2] > 0)).astype(np.uint8)
        return png(Image.fromarray(noise))

    return [(io.BytesIO(one(seed)), name.format(seed)) for seed in range(count)]


def begin(client: FlaskClient, *classes: str, count: int = 8) -> str:
    """Create an audit of these classes and return its URL."""
    answer: Any = client.post("/api/audits").json
    for target, name in enumerate(classes):
        sent: Any = client.post(f"{answer['url']}/images", data={"class": name, "file": noise_images(target, count)})
        assert sent.json == {"stored": count, "refused": []}
    return str(answer["url"])


def look(client: FlaskClient, url: str) -> dict[str, Any]:
    document: dict[str, Any] = client.get(url).get_json()
    return document


def ended(client: FlaskClient, url: str) -> dict[str, Any]:
    """Wait until an audit has ended and return it."""
    until(lambda: look(client, url)["state"] not in AT_WORK, 300)
    return look(client, url)


def sentence(answer: Any, status: int = 400) -> str:
    assert answer.status_code == status, answer.text
    return str(answer.json["error"]["message"])


def session_of(client: FlaskClient) -> Session:
    cookie, storage = client.get_cookie(COOKIE), client.application.extensions["picasso"].storage
    assert cookie
    assert isinstance(storage, Storage)
    session = storage.find(cookie.value)
    assert session
    return session


# ---- from the folder to the report --------------------------------------------------------------------------


def test_from_a_folder_to_the_report_as_on_the_command_line(
    visitor: FlaskClient, linear: LinearModel, tmp_path: Path
) -> None:
    counted = {"classes": {"zoo/bee": 300, "zoo/ant/more": 8, "zoo/1": 1, "zoo/fox": 3}}
    estimate: Any = visitor.post("/api/audits/estimate", json=counted).json
    assert estimate["classes"] == [
        {"name": "ant", "folders": ["zoo/ant/more"], "images": 8, "taken": 8},
        {"name": "bee", "folders": ["zoo/1", "zoo/bee"], "images": 301, "taken": 200},
        {"name": "fox", "folders": ["zoo/fox"], "images": 3, "taken": 0},
    ]
    assert estimate["sentence"].startswith("One pair of classes, up to ")
    url = begin(visitor, "ant", "bee")
    assert look(visitor, url)["state"] == "gathering"
    assert look(visitor, url)["classes"] == [{"name": "ant", "images": 8}, {"name": "bee", "images": 8}]
    started = visitor.post(f"{url}/start", json={"seed": 3})
    assert (started.status_code, started.headers["Location"]) == (202, url)
    audit = ended(visitor, url)
    assert (audit["state"], audit["done"], audit["total"], audit["fraction"]) == ("finished", 1, 1, 1.0)
    assert audit["cost"].startswith("One pair of classes, up to ")
    # The same images in a folder give the same results.
    found = []
    for target in (0, 1):
        for index, (body, _) in enumerate(noise_images(target)):
            file = tmp_path / f"{target}-{index}.png"
            file.write_bytes(body.getvalue())
            found.append(labeled_folder.LabeledImage(file, target))
    same = run(TrialContext(linear, folder.read(linear, found, silently), 3))
    assert audit["verdict"] == same.verdict.sentence()
    names = list(linear.class_names())
    assert [one["sentence"] for one in audit["findings"]] == [one.sentence(names) for one in same.verdict.findings]
    assert {one["alarm"] for one in audit["findings"]} >= {True}

    report = visitor.get(audit["report_url"])
    policy = report.headers["Content-Security-Policy"]
    assert (report.status_code, report.mimetype) == (200, "text/html")
    assert {"default-src 'none'", "sandbox", "frame-ancestors 'none'"} <= set(policy.split("; "))
    assert "script" not in policy
    assert report.headers["X-Content-Type-Options"] == "nosniff"
    example = audit["example"]
    assert example == next(one for one in audit["findings"] if one["alarm"])["example"]
    shown = visitor.get(audit["page"]).text
    for when in ("before", "after"):
        address = f"{url}/{example[when]['file']}"
        assert f'src="{address}"' in shown
        image = visitor.get(address)
        assert (image.status_code, image.mimetype) == (200, "image/png")
    assert example["sentence"] in unescape(shown)
    for name in ("9-9-before.png", "..%2Faudit.json", "report.html", "0-0-before.PNG"):
        assert visitor.get(f"{url}/evidence/{name}").status_code == 404
    saved = visitor.get(audit["json_url"])
    assert "attachment" in saved.headers["Content-Disposition"]
    assert json.loads(saved.text)["verdict"] == audit["verdict"]
    assert visitor.get(audit["junit_url"]).text.startswith("<?xml")
    page = unescape(visitor.get(audit["page"]).text)
    assert audit["verdict"] in page
    assert all(audit[f"{one}_url"] in page for one in ("report", "json", "junit", "sarif", "summary", "model_card"))
    listed: Any = visitor.get("/api/audits").json
    assert [one["id"] for one in listed["audits"]] == [audit["id"]]
    assert audit["page"] in visitor.get("/audit").text
    assert visitor.delete(url).json == {"ok": True}
    assert visitor.get(url).status_code == 404
    assert list(session_of(visitor).audits_folder.iterdir()) == []


def test_without_javascript_a_folder_is_sent_at_once(visitor: FlaskClient) -> None:
    assert "webkitdirectory multiple" in visitor.get("/audit").text
    files = [*noise_images(0, name="zoo/ant/{}.png"), *noise_images(1, name="zoo/bee/deep/{}.png")]
    extra = [
        (io.BytesIO(b"x"), "zoo/notes.txt"),
        (io.BytesIO(b"x"), "zoo/.hidden/1.png"),
        (io.BytesIO(b"x"), "zoo/ant/x.png"),
        *noise_images(3, count=3, name="zoo/dog/{}.png"),
    ]
    answer = visitor.post("/audit", data={"file": [*files, *extra], "pairs": "1", "minutes": "5"})
    assert answer.status_code == 303, answer.text
    audit = ended(visitor, f"/api{answer.headers['Location']}")
    assert audit["state"] == "finished"
    assert audit["classes"] == [{"name": "ant", "images": 8}, {"name": "bee", "images": 8}]
    assert audit["left_out"] == [
        "notes.txt does not have the extension of an image and was skipped.",
        "Left out, with fewer than 8 images: dog (3).",
        "x.png is not a supported image. Use PNG, JPEG, WEBP, GIF, BMP, TIFF.",
    ]
    page = visitor.get(audit["page"]).text
    assert all(f"<li>{one}</li>" in page for one in audit["left_out"])
    assert visitor.post(f"{audit['page']}/remove").headers["Location"] == "/audit"
    assert visitor.get(audit["page"]).status_code == 404


def broken(files: Parts) -> bool:
    """Tell whether the files have enough classes but are no images, so that each is opened."""
    return len(files) == 16


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ([], "Choose a folder with one subfolder of images per class"),
        ([(io.BytesIO(b""), "loose.png")], "Choose a folder with one subfolder of images per class"),
        (
            noise_images(0, name="zoo/whale <i>/{}.png"),
            "is named after no class; the classes are ant, bee, cat <b>, dog",
        ),
        (noise_images(0, name="zoo/ant/{}.png"), "two classes with 8 images each"),
        ([(io.BytesIO(b"x"), f"{one}/{i}.png") for one in ("ant", "bee") for i in range(8)], "No class has enough"),
    ],
)
def test_a_folder_that_does_not_fit_is_explained_on_the_page(visitor: FlaskClient, files: Parts, message: str) -> None:
    answer = visitor.post("/audit", data={"file": files})
    assert answer.status_code == 400
    assert message in unescape(answer.text)
    assert (
        "x.png is not a supported image" in answer.text or "0.png is not a supported image" in answer.text
    ) is broken(files)
    assert "<i>" not in answer.text
    assert "Start the audit" in answer.text
    assert visitor.get("/api/audits").json == {"audits": []}


def test_what_cannot_be_tried_is_said_before_anything_is_sent(tmp_path: Path) -> None:
    """An intervention of an unknown kind prevents audits from being started."""
    own = tmp_path / "own.py"
    own.write_text(
        "from picasso.audit.interventions import Intervention\n\n\n"
        "class Own(Intervention):\n"
        "    kind, name = 'unheard of', 'own'\n\n"
        "    def change(self, case, generator): ...\n"
        "    def words(self, case): ...\n\n\n"
        "INTERVENTIONS = [Own()]\n"
    )
    application = create_app(fake_settings(INTERVENTIONS=[str(own)]))
    try:
        client = Visitor(application)
        ready(client)
        for answer in (
            client.post("/api/audits"),
            client.post("/api/audits/estimate", json={"classes": {"ant": 8, "bee": 8}}),
        ):
            assert "INTERVENTIONS of this server can't be used" in sentence(answer, 500)
        assert "INTERVENTIONS of this server" in unescape(client.get("/audit").text)
        answer = client.post(
            "/audit", data={"file": [*noise_images(0, name="ant/{}.png"), *noise_images(1, name="bee/{}.png")]}
        )
        assert answer.status_code == 500
        assert "INTERVENTIONS of this server" in unescape(answer.text)
        assert client.get("/api/audits").json == {"audits": []}
    finally:
        close(application)


# ---- uploads ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"classes": {"ant": 9, "dog": 5}}, "fewer than 8 images: dog (5)."),
        ({"classes": {"zoo/whale": 9}}, "whale is named after no class; the classes are ant, bee"),
        ({"classes": {"9" * 3999: 9}}, "is named after no class"),
        ({"classes": {"/" * 5000: 9}}, "The path of a folder has at most 4,000 characters"),
        ({"classes": {"ant": 9}}, "two classes with 8 images each, in folders named after them. Only one class has"),
        ({"classes": {"ant": 7, "bee": 7}}, "No class has enough images"),
        ({"classes": {"ant": "9"}}, "each value is a whole number from 0 to 999999999. Send"),
        ({"classes": {"ant": True}}, "classes must be an object"),
        ({"classes": ["ant"]}, "classes must be an object"),
        ({"classes": {"ant": 8, "bee": 8}, "pairs": -1}, "pairs must be a whole number"),
        ([], "Send a JSON object"),
    ],
)
def test_folders_that_do_not_fit_are_explained_before_anything_is_sent(
    visitor: FlaskClient, body: Any, message: str
) -> None:
    assert message in sentence(visitor.post("/api/audits/estimate", json=body))
    assert visitor.get_cookie(COOKIE) is None


def test_names_are_metadata_and_never_paths(visitor: FlaskClient, tmp_path: Path) -> None:
    url = begin(visitor)
    hostile = ["../../../evil.png", "<script>alert(1)</script>.png", "a\0b.png", "x" * 9000 + ".png", "\u202egnp.png"]
    data = {"class": "../../etc/bee", "file": [(io.BytesIO(png(noise_image(7))), name) for name in hostile]}
    assert visitor.post(f"{url}/images", data=data).get_json() == {"stored": 5, "refused": []}
    audit = session_of(visitor).audits()[0]
    stored = sorted(file.name for file in (audit.folder / "images").iterdir())
    assert [name for name in stored if not re.fullmatch(r"1-\d{5}(\.json)?", name)] == []
    shown = [audit.name_of(file.name) for _, file in audit.images()]
    assert shown[0] == "evil.png"
    assert shown[2] == "ab.png"
    assert len(shown[3]) == 60
    # Uploaded files are never served.
    assert visitor.get(f"{url}/images/1-00000").status_code == 404


def test_what_a_finished_audit_offers_to_a_build(visitor: FlaskClient, tmp_path: Path) -> None:
    """The same as the command line writes, without paths of the server."""
    url = begin(visitor, "ant", "bee")
    assert look(visitor, url)["sarif_url"] is None
    assert "not finished" in sentence(visitor.get(f"{url}/audit.sarif"))
    visitor.post(f"{url}/start", json={})
    audit = ended(visitor, url)
    written = json.loads(visitor.get(audit["json_url"]).text)
    alarms = [one for one in written["findings"] if one["alarm"]]
    assert alarms

    answer = visitor.get(audit["sarif_url"])
    assert answer.mimetype == "application/sarif+json"
    (tmp_path / "audit.sarif").write_bytes(answer.data)
    found = results(tmp_path / "audit.sarif")
    assert [one["message"]["text"] for one in found if one["level"] == "error"] == [one["sentence"] for one in alarms]
    assert {uri(one) for one in found} == {written["model"]["checkpoint"]}

    answer = visitor.get(audit["summary_url"])
    assert (answer.mimetype, answer.headers["Content-Disposition"]) == (
        "text/markdown", "attachment; filename=summary.md",
    )  # fmt: skip
    lines = answer.text.splitlines()
    assert lines[0] == "## Picasso audit: failed"
    assert lines[-1].startswith("16 images in the folder. 1 of 1 pairs of 2 classes")

    with zipfile.ZipFile(io.BytesIO(visitor.get(audit["model_card_url"]).data)) as packed:
        card = packed.read("model-card.md").decode()
        figures = re.findall(r"!\[[^]]*\]\(\./([^)]*)\)", card)
        assert sorted(packed.namelist()) == sorted(["model-card.md", *figures])
        assert len(figures) == 2
        for name in figures:
            assert packed.read(name) == visitor.get(f"{url}/{name}").data
    assert "in the folder images" in card


def test_images_that_cannot_be_read_are_refused_and_the_others_kept(visitor: FlaskClient) -> None:
    url = begin(visitor)
    files = [(io.BytesIO(b"no image"), "a<b>.png"), *noise_images(0, 2), (io.BytesIO(png()[:60]), "torn.png")]
    answer: Any = visitor.post(f"{url}/images", data={"class": "0", "file": files}).json
    assert answer["stored"] == 2
    assert [
        "a<b>.png is not a supported image" in answer["refused"][0],
        "torn.png is truncated" in answer["refused"][1],
    ] == [True] * 2
    assert "no class; the classes are" in sentence(
        visitor.post(f"{url}/images", data={"class": "whale", "file": noise_images(0, 1)})
    )
    assert "file is missing. Send multipart/form-data" in sentence(visitor.post(f"{url}/images", data={"class": "0"}))
    assert "class is missing" in sentence(visitor.post(f"{url}/images", data={"file": noise_images(0, 1)}))
    assert "two classes with 8 images" in sentence(visitor.post(f"{url}/start", json={}))
    assert "not finished" in sentence(visitor.get(f"{url}/report.html"))
    assert "was not started" in visitor.get(look(visitor, url)["page"]).text


def test_an_audit_and_a_session_take_no_more_than_they_may(
    visitor: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_job, "MAX_PER_CLASS", 3)
    monkeypatch.setattr(audit_job, "MAX_UPLOADED", 5)
    url = begin(visitor)
    answer: Any = visitor.post(f"{url}/images", data={"class": "ant", "file": noise_images(0, 4)}).json
    assert (answer["stored"], answer["refused"]) == (3, ["An audit accepts at most 3 images of a class; ant has them."])
    answer = visitor.post(f"{url}/images", data={"class": "bee", "file": noise_images(1, 3)}).json
    assert answer["refused"] == ["An audit accepts at most 5 images; leave out some classes."]
    monkeypatch.setattr("picasso.storage.session.MAX_AUDITS", 1)
    assert "at most 1 audits" in sentence(visitor.post("/api/audits"), 413)
    monkeypatch.setattr("picasso.fileio.size", lambda folder: 10**10)
    assert "Delete some runs, audits or images" in sentence(
        visitor.post(f"{url}/images", data={"class": "bee", "file": noise_images(1, 1)}), 413
    )
    assert look(visitor, url)["classes"] == [{"name": "ant", "images": 3}, {"name": "bee", "images": 2}]


def test_nobody_else_sees_an_audit(app: Flask, visitor: FlaskClient) -> None:
    url = begin(visitor, "ant", "bee")
    other = app.test_client()
    upload(other)
    for method, path in (
        ("GET", ""),
        ("DELETE", ""),
        ("POST", "/cancel"),
        ("POST", "/start"),
        ("GET", "/audit.json"),
        ("GET", "/evidence/0-0-before.png"),
    ):
        assert "no such audit in this session" in sentence(other.open(url + path, method=method, json={}), 404)
    assert other.post(f"{url}/images", data={"class": "0", "file": noise_images(0, 1)}).status_code == 404
    assert other.get(url.removeprefix("/api")).status_code == 404
    assert other.get("/api/audits").json == {"audits": []}


@pytest.mark.parametrize("body", [{"budget": 0}, {"budget": "5m"}, {"budget": True}, {"seed": 1.5}, {"pairs": "all"}])
def test_orders_that_make_no_sense(visitor: FlaskClient, body: Any) -> None:
    url = begin(visitor, "ant", "bee")
    answer: Any = visitor.post(f"{url}/start", json=body)
    assert (answer.status_code, answer.json["error"]["field"]) == (400, next(iter(body)))
    assert look(visitor, url)["state"] == "gathering"


# ---- running ------------------------------------------------------------------------------------------------


def whole_pairs(client: FlaskClient) -> list[Path]:
    """Return the checkpoint files of completed pairs."""
    kept = session_of(client).audits()[0].trials.iterdir()
    return [file for file in kept if json.loads(file.read_text())["tried"] == len(INTERVENTIONS)]


@pytest.mark.slow
def test_cancelled_and_gone_on_while_others_are_answered(slow: Flask) -> None:
    client = slow.test_client()
    upload(client)
    url = begin(client, "ant", "bee", "2")
    assert client.post(f"{url}/start", json={"pairs": 0}).status_code == 202
    at_work: dict[str, Any] = {}
    # For a moment, one pair is done and the next has not begun.
    until(lambda: at_work.update(look(client, url)) or (at_work["done"] == 1 and at_work["trying"]))
    assert (at_work["state"], at_work["total"], len(at_work["pair"])) == ("running", 3, 2)
    assert "Cancel" in client.get(at_work["page"]).text
    # Interactive requests are answered while the queue is full.
    asked: Any = client.post("/api/what-if", json={"shapes": [{"box": [0, 0, 0.5, 0.5]}]})
    assert len(asked.json["answers"]) == 1
    assert "queue" in sentence(client.post("/api/runs", json={"visualization": "ClassProbabilities"}), 503)
    assert "started already" in sentence(client.post(f"{url}/images", data={"class": "0", "file": noise_images(0, 1)}))
    assert client.post(f"{at_work['page']}/cancel").status_code == 303
    cancelled = ended(client, url)
    assert cancelled["state"] == "cancelled"
    assert "The audit was cancelled after" in client.get(cancelled["page"]).text
    runner = slow.extensions["picasso"].runner
    until(lambda: not runner._jobs._active, 5)
    kept = {file: file.stat().st_mtime_ns for file in whole_pairs(client)}
    assert len(kept) >= 1
    assert client.post(f"{cancelled['page']}/start").status_code == 303
    whole = ended(client, url)
    assert (whole["state"], whole["done"], whole["total"]) == ("finished", 3, 3)
    assert {file: file.stat().st_mtime_ns for file in kept} == kept
    until(lambda: not runner._jobs._active, 5)
    assert "already started" in sentence(client.post(f"{url}/start", json={}))


def engine_of(application: Flask) -> LocalEngine:
    services: Services = application.extensions["picasso"]
    engine = services.runner._engine
    assert isinstance(engine, LocalEngine)
    return engine


def kill(application: Flask) -> None:
    os.kill(engine_of(application)._child.process.pid or 0, signal.SIGKILL)


@pytest.mark.slow
def test_it_outlives_the_process_that_computes(slow: Flask) -> None:
    client = slow.test_client()
    url = begin(client, "ant", "bee", "2")
    client.post(f"{url}/start", json={})
    until(lambda: look(client, url)["done"] == 1)
    first = whole_pairs(client)[0]
    made = first.stat().st_mtime_ns
    kill(slow)
    whole = ended(client, url)
    assert (whole["state"], whole["done"]) == ("finished", 3)
    assert first.stat().st_mtime_ns == made
    assert whole["seconds"] > 1


@pytest.mark.slow
def test_one_whose_process_dies_again_and_again_fails_and_can_go_on(
    slow: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_job, "RESUMPTIONS", 0)
    client = slow.test_client()
    url = begin(client, "ant", "bee")
    client.post(f"{url}/start", json={})
    # The pair is tested again once, and then once more with the rest of the audit.
    for _ in range(3):
        until(lambda: engine_of(slow).has_model() and look(client, url)["trying"])
        process = engine_of(slow)._child.process
        kill(slow)
        process.join()
    failed = ended(client, url)
    assert (failed["state"], failed["error"]["code"]) == ("failed", "worker_died")
    page = client.get(failed["page"]).text
    assert "The audit failed." in page
    assert "Go on" in page
    until(lambda: client.post(f"{url}/start", json={}).status_code == 202)
    assert ended(client, url)["state"] == "finished"


def test_one_that_takes_too_long_is_ended(slow: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    client = slow.test_client()
    url = begin(client, "ant", "bee")
    ready(client)
    monkeypatch.setattr(engine_of(slow), "_limit", 0.3)
    client.post(f"{url}/start", json={})
    failed = ended(client, url)
    assert failed["error"]["message"].startswith("The audit exceeded the time limit of 0.005 minutes")
    monkeypatch.undo()
    until(lambda: client.get("/readyz").status_code == 200)


def test_deleting_one_at_work_frees_the_worker(slow: Flask) -> None:
    client = slow.test_client()
    url = begin(client, "ant", "bee")
    client.post(f"{url}/start", json={})
    until(lambda: look(client, url)["state"] == "running")
    assert client.delete(url).json == {"ok": True}
    runner = slow.extensions["picasso"].runner
    until(lambda: not runner._jobs._active, 5)
    assert client.get(url).status_code == 404


def test_a_budget_leaves_pairs_out(slow: Flask) -> None:
    client = slow.test_client()
    url = begin(client, "ant", "bee", "2")
    client.post(f"{url}/start", json={"budget": 0.001})
    whole = ended(client, url)
    assert (whole["state"], whole["done"], whole["total"]) == ("finished", 0, 3)
    assert "Time ran out" in whole["verdict"]


# ---- in between ---------------------------------------------------------------------------------------------


def test_one_that_waits_and_is_cancelled_leaves_the_queue_and_goes_on(slow: Flask) -> None:
    client, runner = slow.test_client(), slow.extensions["picasso"].runner
    first, second = begin(client, "ant", "bee", "2"), begin(client, "ant", "bee")
    runner._jobs._capacity = 2
    try:
        client.post(f"{first}/start", json={"pairs": 0})
        until(lambda: look(client, first)["state"] == "running")
        for _ in range(2):
            assert client.post(f"{second}/start", json={}).status_code == 202
            assert look(client, second)["position"] == 1
            client.post(f"{second}/cancel")
            assert look(client, second)["state"] == "cancelled"
            assert len(runner._jobs._active) == 1
        client.delete(first)
        until(lambda: not runner._jobs._active, 5)
    finally:
        runner._jobs._capacity = 1


def test_a_verdict_without_its_end_is_not_shown(visitor: FlaskClient) -> None:
    url = begin(visitor, "ant", "bee")
    audit = session_of(visitor).audits()[0]
    audit.find([], "Nothing was found.")
    audit.cancel()
    page = visitor.get(look(visitor, url)["page"]).text
    assert "Open the report" not in page
    assert "None" not in page
    assert "no findings" not in visitor.get("/audit").text
    assert visitor.post(f"{url}/start", json={}).status_code == 202
    assert ended(visitor, url)["verdict"] != "Nothing was found."


def test_a_full_disk_leaves_an_audit_as_it_was(visitor: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    url = begin(visitor, "ant", "bee")
    visitor.post(f"{url}/cancel")

    def full(file: Path, document: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("picasso.fileio.write_json", full)
        assert "disk is full" in sentence(visitor.post(f"{url}/start", json={}), 507)
    assert look(visitor, url)["state"] == "cancelled"
    assert visitor.post(f"{url}/start", json={}).status_code == 202
    assert ended(visitor, url)["state"] == "finished"


def test_those_that_are_deleted_meanwhile_are_not_listed(visitor: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    gone, seen, kept = (begin(visitor).rpartition("/")[2] for _ in range(3))
    original, document = audit_job.Audit._document, api_audits.document

    def read(audit: audit_job.Audit) -> dict[str, Any]:
        if audit.id == gone:
            raise NotFound(audit_job.Audit.gone)
        return original(audit)

    def shown(audit: audit_job.Audit) -> api_audits.AuditDocument:
        if audit.id == seen:
            raise NotFound(audit_job.Audit.gone)
        return document(audit)

    monkeypatch.setattr(audit_job.Audit, "_document", read)
    monkeypatch.setattr(api_audits, "document", shown)
    listed: Any = visitor.get("/api/audits").json
    assert [one["id"] for one in listed["audits"]] == [kept]
    assert visitor.get("/audit").status_code == 200


def test_images_of_an_audit_that_is_deleted_meanwhile(visitor: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    url, session = begin(visitor), session_of(visitor)
    audit = session.audits()[0]
    checked = session._decoders.checked

    def removing(source: Any, name: str) -> bytes:
        session.remove_audit(audit)
        return checked(source, name)

    monkeypatch.setattr(session._decoders, "checked", removing)
    answer = visitor.post(f"{url}/images", data={"class": "ant", "file": noise_images(0, 2)})
    assert "no such audit" in sentence(answer, 404)
    assert not audit.folder.exists()


# ---- imports ------------------------------------------------------------------------------------------------


def test_the_web_process_needs_no_scipy() -> None:
    slow = {"matplotlib", "scipy", "tensorflow", "picasso.audit.audit"}
    code = f"import sys, picasso.web.app; sys.exit(' '.join({slow} & set(sys.modules)) or 0)"
    subprocess.run([sys.executable, "-c", code], check=True)
