"""The queued and running jobs in the header of every page."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from picasso.web.app import create_app
from picasso.web.context import Services
from tests.conftest import Visitor, close, fake_settings, upload
from tests.jobs.test_engine import until


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file that holds the model's answers back while it exists."""
    return tmp_path_factory.mktemp("held") / "held"


@pytest.fixture(scope="module")
def slow(held: Path) -> Iterator[Flask]:
    """An application with a model that a test can hold back."""
    application = create_app(fake_settings(MODEL_CLS_NAME="HeldModel", MODEL_LOAD_ARGS={"held": str(held)}))
    application.test_client_class = Visitor
    client = application.test_client()
    until(lambda: client.get("/readyz").status_code == 200)
    yield application
    close(application)


def begin(client: Any, name: str = "PartialOcclusion") -> str:
    answer = client.post("/api/runs", json={"visualization": name})
    assert answer.status_code == 202, answer.text
    return str(answer.get_json()["id"])


def test_every_page_shows_what_is_running_and_can_cancel_it(slow: Flask, held: Path) -> None:
    client = slow.test_client()
    upload(client)
    held.touch()
    assert "data-job=" not in client.get("/").text
    first, second = begin(client), begin(client)
    services: Services = slow.extensions["picasso"]
    until(lambda: client.get(f"/api/runs/{first}").get_json()["state"] == "running")
    for page in ("/", "/audit", "/model", "/reset", "/nowhere", "/visualizations/PartialOcclusion", "/jobs"):
        text = unescape(client.get(page).text)
        assert re.findall(r'data-job="(\w+)"', text) == [first, second], page
        assert f'href="/runs/{first}"' in text
        assert f'action="/runs/{second}/cancel"' in text
        assert "PartialOcclusion, 1 image" in text
    # Nobody else sees them.
    other = slow.test_client()
    upload(other)
    assert "data-job=" not in other.get("/").text
    assert "data-job=" not in slow.test_client().get("/").text
    for run in (first, second):
        assert client.post(f"/runs/{run}/cancel").status_code == 303
    held.unlink()
    assert "data-job=" not in client.get("/jobs").text
    until(lambda: not services.runner._jobs._active)


def test_a_page_without_jobs_reads_no_file_of_a_job(slow: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    client = slow.test_client()
    upload(client)
    run = begin(client, "ClassProbabilities")
    until(lambda: client.get(f"/api/runs/{run}").get_json()["state"] == "finished")
    services: Services = slow.extensions["picasso"]
    until(lambda: not services.runner._jobs._active)
    read: list[str] = []
    text = Path.read_text

    def noted(file: Path, *args: Any, **kwargs: Any) -> str:
        read.append(str(file))
        return text(file, *args, **kwargs)

    monkeypatch.setattr(Path, "read_text", noted)
    assert client.get("/jobs").status_code == 200
    assert [file for file in read if run in file] == []


def test_a_deleted_job_is_not_shown(slow: Flask) -> None:
    client = slow.test_client()
    upload(client)
    run = begin(client)
    assert run in client.get("/jobs").text
    assert client.post(f"/runs/{run}/remove").status_code == 303
    assert run not in client.get("/").text
