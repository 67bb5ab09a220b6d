"""Rankings of methods by the REST API and on the pages, and the workspace that uses the best one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

import picasso
from picasso.grading.ranking import Preference
from picasso.jobs.ranking_job import MethodRanking
from picasso.storage import session as sessions
from picasso.web.rankings import spread
from tests.conftest import noise_image, upload
from tests.fakes import LinearModel
from tests.jobs.test_engine import until

METHODS = ["PartialOcclusion", "SaliencyMaps"]


@pytest.fixture
def visitor(client: FlaskClient) -> FlaskClient:
    """A visitor with two images, whose model is loaded."""
    upload(client, 2)
    until(lambda: client.get("/api/app_state").get_json()["state"] == "ready")
    return client


def ended(client: FlaskClient, url: str) -> Any:
    until(lambda: client.get(url).get_json()["state"] not in ("waiting", "running"))
    return client.get(url).get_json()


def ranked(client: FlaskClient, **body: Any) -> Any:
    answer: Any = client.post("/api/rankings", json={"visualizations": METHODS, **body})
    assert answer.status_code == 202, answer.text
    return ended(client, answer.get_json()["url"])


def folder_of(app: Any, ranking: Any) -> Path:
    (found,) = Path(app.extensions["picasso"].storage.folder).glob(f"sessions/*/rankings/{ranking['id']}")
    return found


def prefer(app: Any, ranking: Any, name: str) -> None:
    """Let a ranking prefer a visualization."""
    MethodRanking(folder_of(app, ranking)).finish(Preference(name, "It is the best."))


def test_the_scores_are_those_of_python(visitor: FlaskClient) -> None:
    found = ranked(visitor)
    assert (found["state"], found["fraction"], found["current"], found["error"]) == ("finished", 1, True, None)
    assert (found["preferred"], "at least 5 images" in found["sentence"]) == ("", True)
    assert len(found["images"]) == 2
    model = LinearModel()
    model.load()
    expected = {name: picasso.grade(model, name, [noise_image(0), noise_image(1)]) for name in METHODS}
    order = sorted(METHODS, key=lambda name: -(expected[name].score or 0))
    assert [one["visualization"] for one in found["methods"]] == order
    for one in found["methods"]:
        grade = expected[one["visualization"]]
        assert one["scores"] == pytest.approx([image.score for image in grade.images], abs=1e-6)
        assert one["score"] == pytest.approx(grade.score, abs=1e-6)
        assert one["edges"] == sum(bool(image.beats("edge detector")) for image in grade.images)
        agreements = [image.weights.agreement for image in grade.images if image.weights]
        assert one["agreement"] == pytest.approx(sum(agreements) / 2, abs=1e-6)
    assert [one["id"] for one in visitor.get("/api/rankings").get_json()["rankings"]] == [found["id"]]


def test_images_can_be_chosen(visitor: FlaskClient) -> None:
    found = ranked(visitor, images=[1], visualizations=["SaliencyMaps"])
    assert [one["measured"] for one in found["methods"]] == [1]
    assert found["images"] == [visitor.get("/api/images").get_json()["images"][1]["name"]]


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"visualizations": ["Nope"]}, 404, "Nope"),
        ({"visualizations": ["ClassProbabilities"]}, 400, "It makes no maps of an image"),
        ({"visualizations": []}, 400, "There are no visualizations to rank"),
        ({"images": []}, 400, "images is an empty list"),
        ({"images": [9]}, 404, "no image"),
        ({"images": list(range(101))}, 400, "at most 100"),
        ({"seed": 1}, 400, "seed"),
    ],
)
def test_mistakes_are_explained(visitor: FlaskClient, body: Any, status: int, words: str) -> None:
    answer: Any = visitor.post("/api/rankings", json=body)
    assert answer.status_code == status, answer.text
    assert words in answer.json["error"]["message"]


def test_a_ranking_is_cancelled_and_deleted(visitor: FlaskClient) -> None:
    url = visitor.post("/api/rankings", json={}).get_json()["url"]
    assert visitor.post(f"{url}/cancel").status_code == 200
    assert ended(visitor, url)["state"] in ("cancelled", "finished")
    assert visitor.delete(url).status_code == 200
    gone: Any = visitor.get(url)
    assert (gone.status_code, "no such ranking" in gone.json["error"]["message"]) == (404, True)
    assert visitor.get("/api/rankings").get_json()["rankings"] == []


def test_the_last_ones_are_kept(visitor: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "MAX_RANKINGS", 2)
    made = [ranked(visitor, images=[0], visualizations=["SaliencyMaps"])["id"] for _ in range(3)]
    assert [one["id"] for one in visitor.get("/api/rankings").get_json()["rankings"]] == made[:0:-1]


def test_the_workspace_uses_the_method_that_is_preferred(visitor: FlaskClient, app: Any) -> None:
    words = "grades best for this model"
    found = ranked(visitor)
    assert words not in visitor.get("/").text
    prefer(app, found, "RISE")
    page = visitor.get("/").text
    assert words in page
    assert '<input type="hidden" name="method" value="RISE">' in page
    # Other questions, and a method that was chosen, are left alone.
    assert words not in visitor.get("/?question=parts").text
    assert words not in visitor.get("/?method=RISE").text
    # A plugin may be removed.
    prefer(app, found, "Gone")
    page = visitor.get("/").text
    assert (words in page, '<input type="hidden" name="method" value="PartialOcclusion">' in page) == (False, True)
    prefer(app, found, "RISE")
    # Other visitors and other models are left alone.
    assert words not in app.test_client().get("/").text
    order = folder_of(app, found) / "ranking.json"
    order.write_text(json.dumps({**json.loads(order.read_text()), "model": "another"}))
    assert words not in visitor.get("/").text
    assert "It is about another model than this one." in visitor.get("/visualizations").text


def test_the_newest_ranking_counts(visitor: FlaskClient, app: Any) -> None:
    prefer(app, ranked(visitor), "RISE")
    newest = ranked(visitor)
    assert 'name="method" value="PartialOcclusion"' in visitor.get("/").text
    visitor.delete(newest["url"])
    assert 'name="method" value="RISE"' in visitor.get("/").text


def test_the_page_ranks_what_is_selected(visitor: FlaskClient) -> None:
    page = visitor.get("/visualizations").text
    assert "on 2 of your images" in page
    answer = visitor.post("/rankings", data={"visualization": METHODS})
    assert (answer.status_code, answer.location) == (303, "/visualizations#ranking")
    (url,) = [one["url"] for one in visitor.get("/api/rankings").get_json()["rankings"]]
    ended(visitor, url)
    page = visitor.get("/visualizations").text
    assert page.count("of 2</td>") == 4
    assert "at least 5 images" in page
    assert "a mean over 2 images: the higher" in page
    identity = url.rpartition("/")[2]
    assert visitor.post(f"/rankings/{identity}/remove").location == "/visualizations#ranking"
    assert "of 2</td>" not in visitor.get("/visualizations").text


def test_a_ranking_under_way_is_in_the_header(visitor: FlaskClient) -> None:
    visitor.post("/rankings", data={})
    header = visitor.get("/jobs").text
    assert "Ranking of methods" in header
    (one,) = visitor.get("/api/rankings").get_json()["rankings"]
    assert f"/rankings/{one['id']}/cancel" in header
    assert visitor.post(f"/rankings/{one['id']}/cancel").status_code == 303
    ended(visitor, one["url"])
    assert "The ranking was cancelled." in visitor.get("/visualizations").text


def test_mistakes_on_the_page_are_explained(client: FlaskClient) -> None:
    answer = client.post("/rankings")
    assert answer.status_code == 400
    assert "There are no images to grade maps of" in answer.text


def test_images_are_taken_from_everywhere() -> None:
    images: Any = list(range(95))
    expected: Any = [0, 10, 21, 31, 42, 52, 63, 73, 84, 94]
    assert spread(images, 10) == expected
    assert spread(images[:10], 10) == images[:10]
    assert spread(images[:11], 10) == [*images[:5], *images[6:11]]
