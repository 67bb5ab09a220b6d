"""The numbers for Prometheus, as its own parser reads them."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from picasso.errors import ConfigurationError
from picasso.web import metrics
from picasso.web.app import create_app
from tests.conftest import Visitor, close, fake_settings, upload
from tests.jobs.test_engine import until

parser = pytest.importorskip("prometheus_client.parser")


SECRET = "open sesame"  # noqa: S105


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file that holds the model's answers back while it exists."""
    return tmp_path_factory.mktemp("held") / "held"


@pytest.fixture(scope="module")
def measured(held: Path) -> Iterator[Flask]:
    """An application with metrics, whose model a test can hold back."""
    settings = fake_settings(MODEL_CLS_NAME="HeldModel", MODEL_LOAD_ARGS={"held": str(held)}, METRICS=True)
    application = create_app(settings)
    application.test_client_class = Visitor
    client = application.test_client()
    until(lambda: client.get("/readyz").status_code == 200)
    yield application
    close(application)


def numbers(client: Any) -> dict[tuple[str, ...], float]:
    """Return all numbers by name and labels."""
    answer = client.get("/metrics")
    assert answer.status_code == 200
    assert answer.content_type.startswith("text/plain")
    families = parser.text_string_to_metric_families(answer.text)
    return {(one.name, *sorted(one.labels.values())): one.value for family in families for one in family.samples}


def test_requests_are_counted_by_their_rule(measured: Flask) -> None:
    client = measured.test_client()
    before = numbers(client).get(("picasso_request_seconds_count", "/inputs/<name>", "404", "GET"), 0)
    for name in ("secret-name.png", "another.png"):
        assert client.get(f"/inputs/{name}").status_code == 404
    client.get("/nowhere/secret")
    assert client.open("/", method="SECRET").status_code == 405
    text = client.get("/metrics").text
    assert "secret" not in text.lower()
    found = numbers(client)
    counted = {key: value for key, value in found.items() if key[0] == "picasso_request_seconds_count"}
    assert sum(value for key, value in counted.items() if "/inputs/<name>" in key) == before + 2
    assert any("unknown" in key and "404" in key for key in counted)


def test_jobs_are_counted_while_they_wait_and_when_they_end(measured: Flask, held: Path) -> None:
    client = measured.test_client()
    upload(client)
    held.touch()
    begun: list[str] = [
        client.post("/api/runs", json={"visualization": "ClassProbabilities"}).get_json()["id"] for _ in range(2)
    ]
    assert numbers(client)["picasso_jobs", "run"] == 2
    assert client.post(f"/runs/{begun[1]}/cancel").status_code == 303
    held.unlink()
    until(lambda: client.get(f"/api/runs/{begun[0]}").get_json()["state"] == "finished")
    ended = "picasso_job_seconds_count"
    until(lambda: {(ended, one, "run") for one in ("finished", "cancelled")} <= numbers(client).keys())
    assert numbers(client)["picasso_jobs", "run"] == 0
    found = numbers(client)
    assert found["picasso_job_seconds_count", "finished", "run"] == 1
    assert found["picasso_job_seconds_count", "cancelled", "run"] == 1
    assert found["picasso_job_seconds_sum", "finished", "run"] > 0
    assert found["picasso_ready",] == 1
    assert found["picasso_workers_started_total",] >= 1


def test_it_is_off_by_default_and_needs_the_password(app: Flask) -> None:
    assert app.test_client().get("/metrics").status_code == 404
    application = create_app(fake_settings(METRICS=True, PASSWORD=SECRET))
    try:
        client = application.test_client()
        assert client.get("/metrics").status_code == 401
        given = base64.b64encode(f"any:{SECRET}".encode()).decode()
        assert client.get("/metrics", headers={"Authorization": f"Basic {given}"}).status_code == 200
    finally:
        close(application)


def test_the_package_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "find_spec", lambda name: None)
    with pytest.raises(ConfigurationError, match=r"needs the package prometheus-client: pip install"):
        create_app(fake_settings(METRICS=True))
