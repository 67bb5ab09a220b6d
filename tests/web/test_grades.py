"""Grades by the REST API: part by part, with the numbers of Python."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from flask.testing import FlaskClient

import picasso
from tests.conftest import noise_image, upload
from tests.fakes import LinearModel
from tests.jobs.test_engine import until

MAP = {"image": 0, "visualization": "PartialOcclusion", "settings": {"Strides": 5, "Window": 0.3}}


@pytest.fixture
def visitor(client: FlaskClient) -> FlaskClient:
    """A visitor with two images, whose model is loaded."""
    upload(client, 2)
    until(lambda: client.get("/api/app_state").get_json()["state"] == "ready")
    return client


def part(client: FlaskClient, name: str, **more: Any) -> Any:
    answer = client.post("/api/grade", json={**MAP, "part": name, **more})
    assert answer.status_code == 200, answer.text
    return answer.get_json()


def test_the_parts_are_those_of_python(visitor: FlaskClient) -> None:
    model = LinearModel()
    model.load()
    (expected,) = picasso.grade(model, "PartialOcclusion", noise_image(0), targets=3, Strides=5, Window=0.3).images
    curves = part(visitor, "curves", target="3")
    assert [one["order"] for one in curves["curves"]] == ["map", "random map", "edge detector"]
    for one, known in zip(curves["curves"], expected.curves, strict=True):
        np.testing.assert_allclose(one["deletion"], known.deletion, atol=1e-6)
        assert one["score"] == pytest.approx(known.score, abs=1e-6)
    weights = part(visitor, "weights", target="3")
    assert expected.weights is not None
    assert weights["weights"]["agreement"] == pytest.approx(expected.weights.agreement, abs=1e-6)
    fills, flip = (part(visitor, name, target="3") for name in ("fills", "flip"))
    assert fills["fills"] == vars(expected.fills)
    assert flip["flip"] == vars(expected.flip)
    # The sentences of the parts are those of the grade.
    parts = [one["sentence"].rstrip(".") for one in (curves, weights, fills, flip)]
    assert "; ".join([parts[0], *(f"{one[0].lower()}{one[1:]}" for one in parts[1:])]) == expected.sentence.rstrip(".")


def test_without_a_target_the_prediction_is_graded(visitor: FlaskClient) -> None:
    (answer,) = visitor.post("/api/predict", json={"images": [0]}).get_json()["answers"]
    assert part(visitor, "flip")["target"]["text"] == str(answer["predictions"][0]["index"])


def test_what_can_not_be_tested_is_said(visitor: FlaskClient) -> None:
    found = part(visitor, "fills", visualization="SaliencyMaps", settings={})
    assert found["fills"] is None
    assert found["sentence"] == "Not tested: two fills, because no setting of the method chooses a fill."


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({**MAP, "part": "all"}, 400, "part must be one of"),
        ({**MAP, "part": "flip", "image": 7}, 404, "no image"),
        ({**MAP, "part": "flip", "visualization": "Nope"}, 404, "Nope"),
        ({**MAP, "part": "flip", "settings": {"Strides": 7}}, 400, "Strides must be one of"),
        ({**MAP, "part": "flip", "target": "unicorn"}, 400, "unicorn"),
        ({**MAP, "part": "flip", "visualization": "ClassProbabilities", "settings": {}}, 400, "makes no map"),
    ],
)
def test_mistakes_are_explained(visitor: FlaskClient, body: Any, status: int, words: str) -> None:
    answer: Any = visitor.post("/api/grade", json=body)
    assert answer.status_code == status, answer.text
    assert words in answer.json["error"]["message"]
