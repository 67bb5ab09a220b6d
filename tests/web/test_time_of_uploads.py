"""One upload of many costly images does not keep its thread from those of others."""

from __future__ import annotations

import io
import itertools
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from picasso.audit.selection import MIN_PER_CLASS
from picasso.web import context
from tests.conftest import noise_image, png
from tests.jobs.test_engine import until

LATE = "the last 2 of 4 images were not stored. Send fewer images at once"


@pytest.fixture(autouse=True)
def slow(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each image take more than a third of the time that an upload has."""
    services: context.Services = app.extensions["picasso"]
    until(lambda: services.model.status()["state"] == "ready")
    times = itertools.count(step=0.4 * context.UPLOAD_SECONDS)
    monkeypatch.setattr(context, "clock", lambda: next(times))


def four(prefix: str = "") -> list[Any]:
    return [(io.BytesIO(png(noise_image(seed))), f"{prefix}{seed}.png") for seed in range(4)]


def test_the_api_says_how_many_were_not_stored(client: FlaskClient) -> None:
    answer: Any = client.post("/api/images", data={"file": four()})
    assert (answer.status_code, answer.get_json()["error"]["field"]) == (413, "file")
    assert LATE in answer.get_json()["error"]["message"]
    assert len(client.get("/api/images").get_json()["images"]) == 2


def test_the_page_says_it_once(client: FlaskClient) -> None:
    answer = client.post("/images", data={"file": four()})
    assert (answer.status_code, answer.text.count(LATE)) == (413, 1)
    assert len(client.get("/api/images").get_json()["images"]) == 2


def test_samples_are_images_too(client: FlaskClient) -> None:
    names = list(client.application.extensions["picasso"].samples)[:4]
    answer = client.post("/samples", data={"sample": names})
    assert answer.status_code == 413
    assert LATE in answer.text


def test_those_of_an_audit_are_counted(client: FlaskClient) -> None:
    audit = client.post("/api/audits").get_json()["url"]
    answer = client.post(f"{audit}/images", data={"class": "0", "file": four()}).get_json()
    assert answer["stored"] == 2
    assert len(answer["refused"]) == 1
    assert LATE in answer["refused"][0]
    assert client.get(audit).get_json()["classes"][0]["images"] == 2


def test_the_form_of_an_audit_starts_none(client: FlaskClient) -> None:
    folders = [f"all/{folder}/{part}" for folder in "01" for part in range(MIN_PER_CLASS)]
    files = [one for folder in folders for one in four(folder)]
    answer = client.post("/audit", data={"file": files})
    assert (answer.status_code, "Send fewer images at once" in answer.text) == (413, True)
    assert client.get("/api/audits").get_json()["audits"] == []
