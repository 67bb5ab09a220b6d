"""Concepts in the REST API and on the page: searched for, changed, cancelled, deleted, and those of another model."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flask.testing import FlaskClient
from PIL import Image

import picasso
from picasso.inside import factors
from picasso.jobs.concept_search import ConceptSearch
from picasso.storage import session as sessions
from picasso.web.app import create_app
from tests.conftest import Visitor, close, fake_settings, png
from tests.inside import planted
from tests.jobs.test_engine import until


@pytest.fixture(scope="module")
def server() -> Iterator[Any]:
    """A server of the model with planted concepts."""
    application = create_app(fake_settings(MODEL_CLS_PATH=str(planted.__file__), MODEL_CLS_NAME="PlantedModel"))
    application.test_client_class = Visitor
    yield application
    close(application)


@pytest.fixture
def visitor(server: Any) -> FlaskClient:
    """A visitor with the images of three colours."""
    client: FlaskClient = server.test_client()
    files = [
        (io.BytesIO(png(Image.fromarray(one))), f"{number}.png") for number, one in enumerate(planted.images(), start=1)
    ]
    assert client.post("/api/images", data={"file": files}).status_code == 200
    until(lambda: client.get("/api/app_state").get_json()["state"] == "ready")
    return client


def search(client: FlaskClient, **body: Any) -> Any:
    """Return a finished search."""
    answer: Any = client.post("/api/concepts", json=body)
    assert answer.status_code == 202, answer.text
    return ended(client, answer.get_json()["url"])


def ended(client: FlaskClient, url: str) -> Any:
    until(lambda: client.get(url).get_json()["state"] not in ("waiting", "running"))
    return client.get(url).get_json()


def refused(client: FlaskClient, path: str, **body: Any) -> tuple[int, str]:
    answer: Any = client.post(path, json=body)
    return answer.status_code, answer.get_json()["error"]["message"]


def image_of(client: FlaskClient, url: str) -> Image.Image:
    answer = client.get(url)
    assert answer.status_code == 200
    return Image.open(io.BytesIO(answer.data))


def test_concepts_are_those_of_python(visitor: FlaskClient) -> None:
    found = search(visitor, count=3)
    assert (found["state"], found["layer"], found["fraction"], found["current"]) == ("finished", "maps", 1, True)
    model = planted.PlantedModel()
    model.load()
    names = [f"{number}.png" for number in range(1, 14)]
    same = picasso.concepts(model, None, planted.images(), count=3, names=names)
    told = found["found"]
    assert told["sentences"] == same.sentences()
    expected = json.loads(json.dumps(same.as_dict()))
    for one in told["concepts"]:
        for shown in one["exemplars"]:
            # The crop is the receptive field, the heat map the whole image.
            crop, heat = (image_of(visitor, shown.pop(f"{kind}_url")) for kind in ("crop", "heat"))
            left, top, right, bottom = shown["box"]
            assert (crop.size, heat.size) == ((right - left, bottom - top), (planted.SIDE, planted.SIDE))
    assert {name: value for name, value in told.items() if name != "sentences"} == expected


def test_a_concept_is_changed_in_images(visitor: FlaskClient) -> None:
    found = search(visitor, count=3, target="red")
    assert (found["found"]["target"], found["found"]["images"]) == ("red", 6)
    url = f"{found['url']}/change"
    red = next(
        one["number"] for one in found["found"]["concepts"] if one["changes"] and one["changes"][0]["before"] == "red"
    )
    answer: Any = visitor.post(url, json={"concept": red, "images": [0, 1], "maps": True}).get_json()["answers"]
    assert [one["uid"] for one in answer] == [0, 1]
    assert {(one["before"][0]["name"], one["after"][0]["name"], one["flipped"]) for one in answer} == {
        ("red", "none", True)
    }
    assert all(one["map"].startswith("data:image/png") and one["largest"] > 0 for one in answer)
    (same,) = visitor.post(url, json={"concept": red, "scale": 1, "images": [0]}).get_json()["answers"]
    assert ("map" in same, same["flipped"], same["shift"]) == (False, False, pytest.approx(0, abs=1e-4))
    # The score of red is 9 times its mean, so half of it is half of the change.
    (half,) = visitor.post(url, json={"concept": red, "scale": 0.5, "images": [0]}).get_json()["answers"]
    assert half["shift"] == pytest.approx(answer[0]["shift"] / 2, rel=1e-3)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"count": 0}, "count must be"),
        ({"count": 11}, "count must be"),
        ({"layer": "attic"}, "layer must be one of maps"),
        ({"target": "unicorn"}, "unicorn"),
        ({"target": "red vs green"}, "name one"),
        ({"images": []}, "empty list"),
        ({"audit": "0123"}, "no such audit"),
    ],
)
def test_mistakes_are_explained(visitor: FlaskClient, body: Any, words: str) -> None:
    status, message = refused(visitor, "/api/concepts", **body)
    assert (status, words in message) == (400, True), message
    assert visitor.get("/api/concepts").get_json() == {"searches": []}


def test_a_search_that_finds_nothing_says_why(visitor: FlaskClient) -> None:
    found = search(visitor, target="both")
    assert found["state"] == "failed"
    assert "None of the 13 images is predicted as both" in found["error"]["message"]
    assert refused(visitor, f"{found['url']}/change", concept=1)[0] == 400


def test_a_concept_that_does_not_exist(visitor: FlaskClient) -> None:
    found = search(visitor, count=2)
    assert refused(visitor, f"{found['url']}/change", concept=3, images=[0]) == (
        400,
        "The concepts are numbered from 1 to 2.",
    )
    assert visitor.get(f"{found['url']}/images/9-1-crop.png").status_code == 404
    assert visitor.get(f"{found['url']}/images/factors.npz").status_code == 404


def test_searches_are_listed_cancelled_and_deleted(visitor: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "MAX_SEARCHES", 2)
    first, second, third = (search(visitor, count=count)["id"] for count in (1, 2, 3))
    assert [one["id"] for one in visitor.get("/api/concepts").get_json()["searches"]] == [third, second]
    assert visitor.get(f"/api/concepts/{first}").status_code == 404
    # A search that has ended stays what it is.
    assert visitor.post(f"/api/concepts/{third}/cancel").status_code == 200
    assert visitor.get(f"/api/concepts/{third}").get_json()["state"] == "finished"
    assert visitor.delete(f"/api/concepts/{third}").status_code == 200
    assert [one["id"] for one in visitor.get("/api/concepts").get_json()["searches"]] == [second]


def test_concepts_of_another_model_answer_no_questions(server: Any, visitor: FlaskClient) -> None:
    found = search(visitor, count=1)
    storage = server.extensions["picasso"].storage
    (folder,) = storage._sessions.glob(f"*/concepts/{found['id']}")
    order = json.loads((folder / ConceptSearch.document).read_text())
    (folder / ConceptSearch.document).write_text(json.dumps({**order, "model": "another"}))
    assert visitor.get(found["url"]).get_json()["current"] is False
    assert "another model" in refused(visitor, f"{found['url']}/change", concept=1, images=[0])[1]


def test_the_page_offers_a_search(visitor: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    page = visitor.get("/images/0/inside").get_data(as_text=True)
    assert "Find concepts in all 13 images" in page
    assert 'data-concepts="/api/concepts"' in page
    monkeypatch.setattr(factors, "find_spec", lambda name: None)
    page = visitor.get("/images/0/inside").get_data(as_text=True)
    assert "Concepts need the package scikit-learn" in page
    assert "data-concepts-start" not in page
    status, message = refused(visitor, "/api/concepts")
    assert (status, "picasso-viz[concepts]" in message) == (500, True)


def test_the_header_shows_a_search(server: Any, visitor: FlaskClient) -> None:
    """It waits behind a question that the worker answers, so that it is still there when the page is asked for."""
    found = search(visitor, count=1)
    storage = server.extensions["picasso"].storage
    (folder,) = storage._sessions.glob(f"*/concepts/{found['id']}")
    job = ConceptSearch(folder)
    from picasso.jobs.active_jobs import Active

    queue = server.extensions["picasso"].runner
    (folder / "found" / "concepts.json").rename(folder / "found" / "aside.json")
    queue._jobs._active[job.id] = Active(job, 1)
    try:
        page = visitor.get("/").get_data(as_text=True)
    finally:
        del queue._jobs._active[job.id]
    assert "Concepts, 13 images" in page
    assert f"/concepts/{job.id}/cancel" in page
    assert "/images/0/inside?layer=maps#concepts" in page
    answer = visitor.post(f"/concepts/{job.id}/cancel")
    assert (answer.status_code, answer.location) == (303, "/images/0/inside?layer=maps#concepts")
    assert job.state() == "cancelled"


def test_an_audit_must_be_finished(visitor: FlaskClient) -> None:
    audit: Any = visitor.post("/api/audits").get_json()
    assert "not finished" in refused(visitor, "/api/concepts", audit=audit["id"])[1]


def test_a_factorization_is_read_as_it_was_written(tmp_path: Path) -> None:
    written = factors.Factors(np.eye(2, 4, dtype=np.float32), 2)
    written.save(tmp_path / "factors.npz")
    again = factors.Factors.read(tmp_path / "factors.npz")
    assert (again.channels, again.signed) == (2, True)
    np.testing.assert_array_equal(again.parts, written.parts)
