"""The model of a server mended by an audit: offered by a setting, computed in the queue, downloaded by its session."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from picasso.models import load_model
from picasso.web.app import create_app
from tests.conftest import Visitor, close
from tests.jobs.test_engine import until
from tests.mending.models import LABELS, edges, folder
from tests.web.test_audits import begin, ended, look, ready, sentence

# Keras warns when it writes a file.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("mending")
    edges(1.0).save(place / "bad.keras")
    (place / "labels.txt").write_text("\n".join(LABELS), encoding="utf-8")
    folder(place / "images")
    return place


@pytest.fixture(scope="module")
def offering(files: Path) -> Iterator[Flask]:
    """An application with a Keras model that relies on the brightness, which visitors may mend."""
    settings = {"MODEL": str(files / "bad.keras"), "LABELS": str(files / "labels.txt"), "PREPROCESS": "0..255"}
    application = create_app({**settings, "MENDING": True})
    application.test_client_class = Visitor
    ready(application.test_client())
    yield application
    close(application)


def audited(client: FlaskClient, files: Path) -> str:
    """Audit the images and return the URL of the audit."""
    answer: Any = client.post("/api/audits").json
    for name in LABELS:
        images = [(file.open("rb"), file.name) for file in sorted((files / "images" / name).iterdir())]
        client.post(f"{answer['url']}/images", data={"class": name, "file": images})
    client.post(f"{answer['url']}/start", json={})
    assert ended(client, answer["url"])["state"] == "finished"
    return str(answer["url"])


def test_a_finished_audit_with_findings_mends_the_model(offering: Flask, files: Path, tmp_path: Path) -> None:
    client = offering.test_client()
    url = audited(client, files)
    before = look(client, url)
    assert before["mendable"]
    assert before["mending"] is None
    assert "Mend this model" in client.get(before["page"]).text
    assert client.get(f"{url}/mended.keras").status_code == 404
    started = client.post(f"{url}/mend")
    assert (started.status_code, started.headers["Location"]) == (202, url)
    # It can be cancelled, and continues from the completed tests.
    until(lambda: look(client, url)["trying"] == "fitting the last layer" or look(client, url)["mending"], 300)
    # The page shows the findings meanwhile, with their images.
    assert client.get(f"{url}/{before['example']['before']['file']}").status_code == 200
    client.post(f"{url}/cancel")
    if ended(client, url)["state"] == "cancelled":
        until(lambda: client.post(f"{before['page']}/start").status_code == 303, 60)
    after = ended(client, url)
    assert after["state"] == "finished"
    assert after["verdict"] == before["verdict"]
    assert after["mending"]["mended"], after["mending"]
    assert "accuracy on your images" in after["mending"]["sentence"]
    assert after["mending"]["rows"][0][0] == "effect of brightness"
    assert not after["mendable"]
    page = client.get(after["page"]).text
    assert "Save the mended model" in page
    assert "worst held-out group" in page
    assert "Mend this model" not in page
    (tmp_path / "copy.keras").write_bytes(client.get(after["mended_url"]).data)
    kernel = load_model(tmp_path / "copy.keras", labels=LABELS, preprocess="0..255").head().weights.kernel
    assert abs(kernel[0]).max() < 0.2 * abs(kernel[1:]).min()
    # The model of the server is as it was, and another visitor gets nothing.
    assert sentence(client.post(f"{url}/mend")).startswith("Only a finished audit with findings")
    assert offering.test_client().get(after["mended_url"]).status_code == 404
    assert client.delete(url).status_code == 200
    assert client.get(after["mended_url"]).status_code == 404


def test_a_server_offers_it_only_by_its_setting(visitor: FlaskClient) -> None:
    url = begin(visitor, "ant", "bee")
    visitor.post(f"{url}/start", json={})
    audit = ended(visitor, url)
    assert not audit["mendable"]
    assert sentence(visitor.post(f"{url}/mend")) == "This server does not offer mended models (setting MENDING)."
    assert "Mend this model" not in visitor.get(audit["page"]).text


@pytest.fixture
def visitor(app: Flask) -> FlaskClient:
    """A visitor of an application whose model is loaded."""
    client = app.test_client()
    ready(client)
    return client
