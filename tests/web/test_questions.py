"""Questions of the pages: what if this were hidden, how long will it take, in which order."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from flask.testing import FlaskClient

from tests.conftest import finish, noise_image, upload
from tests.fakes import LinearModel
from tests.jobs.test_engine import until

ALL = [{"box": [0, 0, 1, 1]}]


def ask(client: FlaskClient, **question: object) -> Any:
    answer = client.post("/api/what-if", json=question)
    assert answer.status_code == 200, answer.text
    return answer.get_json()["answers"]


def test_hiding_everything_leaves_a_grey_image(client: FlaskClient, linear: LinearModel) -> None:
    upload(client, 2)
    client.get("/api/visualize?image=0&visualizer=ClassProbabilities")
    answers = ask(client, shapes=ALL, view=True)
    assert [one["uid"] for one in answers] == [0, 1]
    grey = linear.predict(np.full((1, *linear.input_shape), 128 / 255, np.float32))[0]
    before = linear.predict(linear.preprocess([noise_image(0)]))[0]
    for one in answers[0]["classes"]:
        assert one["after"] == pytest.approx(float(grey[one["index"]]), abs=1e-6)
        assert one["before"] == pytest.approx(float(before[one["index"]]), abs=1e-6)
    assert answers[0]["flipped"] == (grey.argmax() != before.argmax())
    assert answers[0]["view"].startswith("data:image/png;base64,")
    assert "view" not in ask(client, shapes=ALL, images=[1])[0]


def test_another_image_shows_through(client: FlaskClient, linear: LinearModel) -> None:
    upload(client, 2)
    (answer,) = ask(client, shapes=ALL, fill="image", other=1, images=[0])
    expected = linear.predict(linear.preprocess([noise_image(1)]))[0]
    assert answer["after"][0]["index"] == expected.argmax()
    assert answer["after"][0]["prob"] == pytest.approx(float(expected.max()), abs=1e-6)


@pytest.mark.parametrize("uids", [[0] * 5001, [[0]], [{}], [1.5], "0", {"0": 0}])
@pytest.mark.parametrize(
    ("method", "address", "others"),
    [
        ("PUT", "/api/images/order", {}),
        ("POST", "/api/runs", {"visualization": "ClassProbabilities"}),
        ("POST", "/api/what-if", {"shapes": ALL}),
    ],
)
def test_a_list_of_images_is_as_long_as_a_session_at_most(
    client: FlaskClient, method: str, address: str, others: dict[str, Any], uids: Any
) -> None:
    # Each number is looked up on the disk: a million of them would keep a thread for minutes.
    upload(client)
    answer = client.open(address, method=method, json={**others, "images": uids})
    assert (answer.status_code, answer.get_json()["error"]["field"]) == (400, "images")


def test_an_image_that_is_named_twice_is_computed_once(client: FlaskClient) -> None:
    upload(client, 2)
    run = client.post("/api/runs", json={"visualization": "ClassProbabilities", "images": [1, "1", 0, "01"]})
    results = finish(client, run.get_json()["id"])["results"]
    assert [one["uid"] for one in results] == [1, 0]


def test_a_document_that_is_nested_too_deeply(client: FlaskClient) -> None:
    upload(client)
    body = b'{"shapes": [{"box": ' + b"[" * 100_000
    answer = client.post("/api/what-if", data=body, content_type="application/json")
    assert answer.status_code == 400
    assert answer.get_json()["error"]["message"] == "The JSON document is nested too deeply."


def test_another_image_that_does_not_exist(client: FlaskClient) -> None:
    upload(client)
    answer = client.post("/api/what-if", json={"shapes": ALL, "fill": "image", "other": 9})
    assert (answer.status_code, answer.get_json()["error"]["field"]) == (404, "other")


@pytest.mark.parametrize(
    ("question", "field"),
    [
        ([1], None),
        ({"shapes": "all"}, "shapes"),
        ({"shapes": [{"box": [0, 0, 2, 1]}]}, "shapes"),
        ({"shapes": ALL, "fill": "glitter"}, "fill"),
        ({"shapes": ALL, "images": 3}, "images"),
        ({"shapes": ALL, "images": [0] * 17}, "images"),
        ({"shapes": ALL, "fill": "image"}, "other"),
    ],
)
def test_wrong_questions_are_answered_with_a_sentence(client: FlaskClient, question: Any, field: str | None) -> None:
    upload(client)
    # The last of them is refused by the worker, which may be loading the model.
    until(lambda: client.get("/api/app_state").get_json()["state"] == "ready")
    answer = client.post("/api/what-if", json=question)
    assert (answer.status_code, answer.get_json()["error"].get("field")) == (400, field)


def test_images_of_others_are_not_asked_about(client: FlaskClient) -> None:
    upload(client, 3)
    stranger = client.application.test_client()
    upload(stranger)
    assert stranger.post("/api/what-if", json={"shapes": ALL, "images": [2]}).status_code == 404
    assert stranger.post("/api/what-if", json={"shapes": ALL, "fill": "image", "other": 2}).status_code == 404


def test_questions_are_answered_while_a_run_computes(client: FlaskClient) -> None:
    upload(client)
    run: Any = client.post("/api/runs", json={"visualization": "Slow", "settings": {"Steps": 10_000}}).json
    until(lambda: client.get(f"/api/runs/{run['id']}").get_json()["state"] == "running")
    ask(client, shapes=ALL)
    assert client.get(f"/api/runs/{run['id']}").get_json()["state"] == "running"
    client.post(f"/api/runs/{run['id']}/cancel")
    finish(client, run["id"])


def test_estimates_grow_with_the_work(client: FlaskClient) -> None:
    def seconds(strides: int) -> float | None:
        answer = client.get(f"/api/visualizers/PartialOcclusion/estimate?Strides={strides}")
        return answer.get_json().get("seconds_per_image")  # type: ignore[no-any-return]

    until(lambda: seconds(2) is not None)
    assert (seconds(30) or 0) > 10 * (seconds(2) or 1)
    assert client.get("/api/visualizers/PartialOcclusion/estimate?Strides=3").status_code == 400
    asked = ("PartialOcclusion", "RISE", "RISE?Error=0", "SaliencyMaps", "SaliencyMaps?Method=SmoothGrad")
    bounds = [client.get(f"/api/visualizers/{'/estimate?'.join([*one.split('?'), ''][:2])}").json for one in asked]
    assert [answer and answer["at_most"] for answer in bounds] == [False, True, False, False, True]


def test_images_are_put_into_an_order(client: FlaskClient) -> None:
    upload(client, 4)
    answer = client.put("/api/images/order", json={"images": [3, 1]})
    assert [one["uid"] for one in answer.get_json()["images"]] == [3, 1, 0, 2]
    upload(client)
    assert [one["uid"] for one in client.get("/api/images").get_json()["images"]] == [3, 1, 0, 2, 4]
    assert client.put("/api/images/order", json={"images": [9]}).status_code == 404
    assert client.put("/api/images/order", json={"images": "all"}).status_code == 400
