"""The pages and the API for models of each task: what they predict, what one can ask, what changes."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from flask import Flask
from flask.testing import FlaskClient
from PIL import Image

from picasso.web.app import create_app
from tests.conftest import Visitor, close, fake_settings, finish, noise_image, png
from tests.fakes import EmbeddingModel, MultiLabelModel, RegressorModel, SegmenterModel
from tests.jobs.test_engine import until

ALL = [{"box": [0, 0, 1, 1]}]
# The left half is red, the right half blue; "SegmenterModel" calls them brick and sky.
HALVES = Image.fromarray(np.repeat([[[255, 0, 0]] * 4 + [[0, 0, 255]] * 5], 6, axis=0).astype(np.uint8))


def served(name: str) -> Iterator[Flask]:
    """Serve a fake model."""
    application = create_app(fake_settings(MODEL_CLS_NAME=name))
    application.test_client_class = Visitor
    until(lambda: application.extensions["picasso"].model.status()["state"] == "ready")
    yield application
    close(application)


@pytest.fixture(scope="module")
def segmenter() -> Iterator[Flask]:
    yield from served("SegmenterModel")


@pytest.fixture(scope="module")
def regressor() -> Iterator[Flask]:
    yield from served("RegressorModel")


@pytest.fixture(scope="module")
def embedder() -> Iterator[Flask]:
    yield from served("EmbeddingModel")


@pytest.fixture(scope="module")
def detector() -> Iterator[Flask]:
    yield from served("DetectorModel")


@pytest.fixture(scope="module")
def labeller() -> Iterator[Flask]:
    yield from served("MultiLabelModel")


def visitor(app: Flask, *images: Image.Image, names: tuple[str, ...] = ("a.png", "b.png", "c.png")) -> FlaskClient:
    """Return a visitor who has uploaded images."""
    client = app.test_client()
    parts = [(io.BytesIO(png(image)), name) for image, name in zip(images, names, strict=False)]
    assert client.post("/api/images", data={"file": parts}).status_code == 200
    return client


def post(client: FlaskClient, address: str, **body: object) -> Any:
    answer = client.post(f"/api/{address}", json=body)
    assert answer.status_code == 200, answer.text
    return answer.get_json()["answers"]


def refused(client: FlaskClient, address: str, **body: object) -> tuple[str, str]:
    """Return the field and the message of an error."""
    answer = client.post(f"/api/{address}", json=body)
    assert answer.status_code == 400, answer.text
    error = answer.get_json()["error"]
    return error["field"], error["message"]


def run(client: FlaskClient, visualization: str, targets: tuple[str, ...] = (), **more: object) -> dict[str, Any]:
    """Run a visualization to its end."""
    answer = client.post("/api/runs", json={"visualization": visualization, "targets": targets, **more})
    assert answer.status_code == 202, answer.text
    state = finish(client, answer.get_json()["id"])
    assert state["state"] == "finished", state["error"]
    return state


def pixels(address: str) -> Any:
    """Return the pixels of a data URL."""
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2]))).convert("RGBA"))


# ---- segmentation ---------------------------------------------------------------------------------------------------


def test_a_segmentation_is_predicted_with_its_mask_and_targets(segmenter: Flask) -> None:
    client = visitor(segmenter, HALVES)
    (answer,) = post(client, "predict", view=True)
    assert [(one["name"], one["share"]) for one in answer["predictions"]] == [
        ("sky <b>", pytest.approx(5 / 9)),
        ("brick", pytest.approx(4 / 9)),
    ]
    assert [one["text"] for one in answer["targets"]] == ["sky <b>", "brick"]
    assert answer["size"] == [9, 6]
    mask = pixels(answer["mask"])
    assert mask.shape == (6, 9, 4)
    colours = [f"#{bytes(mask[0, column, :3]).hex()}" for column in (8, 0)]
    assert answer["colours"] == colours
    assert colours[0] != colours[1]
    assert (mask[..., 3] == 153).all()
    assert np.array_equal(pixels(answer["view"])[..., :3], np.asarray(HALVES))


def test_a_place_is_named_by_the_class_predicted_there(segmenter: Flask) -> None:
    client = visitor(segmenter, HALVES)
    (answer,) = post(client, "predict", targets=["@1,2", "@5,0,8,3", "grass@0,0"])
    probability = np.exp(8) / (np.exp(8) + 2)
    assert [(one["text"], one["quantity"]) for one in answer["targets"]] == [
        ("brick@1,2", "probability"),
        ("sky <b>@5,0,8,3", "mean probability"),
        ("grass@0,0", "probability"),
    ]
    assert [one["value"] for one in answer["targets"]] == pytest.approx(
        [probability, probability, 1 / (np.exp(8) + 2)], rel=1e-4
    )
    field, message = refused(client, "predict", targets=["snow@1,2"])
    assert (field, message.partition(".")[0]) == ("targets", "The model has no class snow")
    assert "not inside the image" in refused(client, "predict", targets=["@90,2"])[1]


def test_a_run_of_a_segmentation_from_the_form(segmenter: Flask) -> None:
    client = visitor(segmenter, HALVES)
    form = client.get("/visualizations/SaliencyMaps?target=brick@1,2").text
    assert 'value="brick@1,2" checked' in form
    assert 'data-pick-region="/api/predict"' in form
    assert '<option value="grass">' in form
    chosen = {"target": ["brick@1,2", "", "sky <b>"]}
    answer = client.post("/visualizations/SaliencyMaps", data=chosen)
    state = finish(client, answer.location.rsplit("/", 1)[1])
    assert state["targets"] == ["brick@1,2", "sky <b>"]
    (result,) = state["results"]
    assert [panel["target"] for panel in result["panels"]] == state["targets"]
    mask = client.get(result["mask_url"])
    assert (mask.mimetype, Image.open(io.BytesIO(mask.data)).mode) == ("image/png", "P")
    arrays = np.load(io.BytesIO(client.get(result["arrays_url"]).data))
    assert arrays["mask"].dtype == np.uint16
    assert arrays["mask"].tolist() == [[0] * 4 + [2] * 5] * 6
    page = client.get(answer.location).text
    assert f'class="over" src="{result["mask_url"]}"' in page
    assert "mean probability 1.00" in page
    assert "44.4%" in page
    assert 'data-amount="0.5555555555555556" data-class="sky &lt;b&gt;"' in page
    assert "target=brick@1,2&amp;target=sky+%3Cb%3E" in page.replace("%40", "@").replace("%2C", ",")
    report = client.get(f"/api/runs/{state['id']}/report.html").text
    assert report.count("data:image/png") > page.count("data:image/png")
    assert 'class="over" src="data:image/png' in report


def test_all_predictions_of_a_segmentation(segmenter: Flask) -> None:
    client = visitor(segmenter, HALVES)
    state = run(client, "ClassProbabilities")
    page = client.get(f"/runs/{state['id']}").text
    assert re.search(r'<meter [^>]*value="0.55[^>]*aria-label="share of sky &lt;b&gt;"', page)


def test_hiding_parts_of_a_segmented_image(segmenter: Flask) -> None:
    client = visitor(segmenter, HALVES)
    (same,) = post(client, "what-if")
    assert (same["share"], same["flipped"]) == (0, False)
    # The left half becomes grey, where the first class wins ties; it was of this class.
    (answer,) = post(client, "what-if", shapes=[{"box": [4 / 9, 0, 1, 1]}], fill="black", targets=["@6,2"], view=True)
    assert answer["share"] == pytest.approx(5 / 9)
    assert answer["flipped"] is True
    assert [(one["name"], one["before"], one["after"]) for one in answer["classes"]] == [
        ("sky <b>", pytest.approx(5 / 9), 0),
        ("brick", pytest.approx(4 / 9), 1),
    ]
    (target,) = answer["targets"]
    assert target["text"] == "sky <b>@6,2"
    assert (target["before"], target["after"]) == pytest.approx((np.exp(8) / (np.exp(8) + 2), 1 / 3), rel=1e-4)
    assert len({tuple(one) for one in pixels(answer["mask"]).reshape(-1, 4)}) == 1


# ---- regression -----------------------------------------------------------------------------------------------------


def test_a_regression_shows_values_with_their_unit(regressor: Flask) -> None:
    client = visitor(regressor, HALVES)
    assert 'value="value:age"' in client.get("/visualizations/SaliencyMaps").text
    state = run(client, "SaliencyMaps", ("age",))
    (result,) = state["results"]
    # A third of the colours of each pixel are 255.
    assert result["predictions"][0] == {"index": 0, "name": "age", "value": pytest.approx(80 / 3), "unit": "years"}
    page = client.get(f"/runs/{state['id']}").text
    assert "<span>26.67 years</span>" in page
    assert "<span>experience</span> 17.78 years" in page
    assert "data-class" not in page
    (answer,) = post(client, "what-if", shapes=ALL, fill="black")
    assert [(one["name"], one["unit"], one["after"]) for one in answer["classes"]] == [
        ("age", "years", 0),
        ("experience", "years", 0),
    ]
    assert answer["flipped"] is False
    assert "share" not in answer


# ---- multi-label ----------------------------------------------------------------------------------------------------


def test_a_label_flips_where_it_passes_one_half(labeller: Flask) -> None:
    client = visitor(labeller, noise_image(0))
    model = MultiLabelModel()
    model.load()
    (before,), (after,) = (model.predict(model.preprocess([one])) for one in (noise_image(0), Image.new("RGB", (9, 6))))
    (answer,) = post(client, "what-if", shapes=ALL, fill="black")
    assert (after == 0.5).all()
    assert answer["flipped"] == bool(((before >= 0.5) != (after >= 0.5)).any())
    assert [one["after"] for one in answer["classes"]] == pytest.approx([0.5] * len(answer["classes"]), abs=1e-6)
    page = client.get("/visualizations/SaliencyMaps").text
    assert '<input id="class" name="class"' in page


def test_the_strip_says_the_probability_of_a_label_once(labeller: Flask) -> None:
    client = visitor(labeller, noise_image(0))
    assert "data-unpredicted" in client.get("/").text
    assert client.post("/api/gallery").status_code == 202
    until(lambda: "predicted-class" in client.get("/").text)
    page = client.get("/").text
    (text,) = re.findall(r'<span class="predicted-class" title="([^"]*)">(.*?)</span>', page, re.DOTALL)
    assert text[1].split() == text[0].split()
    assert "data-unpredicted" not in page


# ---- embedding ------------------------------------------------------------------------------------------------------


def test_an_image_is_compared_with_another_of_the_session(embedder: Flask) -> None:
    client = visitor(embedder, noise_image(0), noise_image(1))
    model = EmbeddingModel()
    model.load()
    one, two = model.predict(model.preprocess([noise_image(0), noise_image(1)]))
    cosine = float(one @ two / np.linalg.norm(one) / np.linalg.norm(two))
    for target in ("like:b.png", "like:1"):
        state = run(client, "SaliencyMaps", (target,), images=[0])
        (panel,) = state["results"][0]["panels"]
        assert (panel["target"], panel["value"]) == (target, pytest.approx(cosine, abs=1e-5))
    page = client.get(f"/runs/{state['id']}").text
    assert f"cosine similarity {cosine:.2f}" in page
    assert f'<img src="{state["results"][0]["references"]["1"]}" alt="1"' in page
    (answer,) = post(client, "predict", images=[0], targets=["like:b.png"])
    assert answer["targets"][0]["value"] == pytest.approx(cosine, abs=1e-5)
    (answer,) = post(client, "what-if", images=[0], shapes=ALL, fill="image", other=1)
    assert answer["classes"][0]["after"] == pytest.approx(cosine, abs=1e-3)
    form = client.get("/visualizations/SaliencyMaps").text
    assert 'data-target="like:b.png"' in form


def test_another_image_must_be_there_and_unique(embedder: Flask) -> None:
    client = visitor(embedder, noise_image(0), noise_image(1), noise_image(2), names=("a.png", "b.png", "b.png"))
    request = {"visualization": "SaliencyMaps", "targets": ["like:c.png"]}
    assert refused(client, "runs", **request) == ("targets", "There is no image 'c.png' in this session.")
    request["targets"] = ["like:b.png"]
    assert refused(client, "runs", **request)[1] == (
        "2 images are called b.png: 1, 2. Specify the number of the image instead."
    )
    assert 'data-target="like:2"' in client.get("/visualizations/SaliencyMaps").text
    assert refused(client, "predict", targets=["like:c.png"])[0] == "targets"


# ---- detection ------------------------------------------------------------------------------------------------------


def test_detected_objects_are_drawn_and_listed(detector: Flask) -> None:
    # The score of the "cat" is the mean of red on the left, that of the "dog" the mean of green on the right.
    image = Image.new("RGB", (9, 6), (255, 204, 0))
    client = visitor(detector, image, Image.new("RGB", (9, 6)))
    state = run(client, "PartialOcclusion", ("box:1",), images=[0])
    (result,) = state["results"]
    assert [(one["name"], one["prob"], one["box"]) for one in result["predictions"]] == [
        ("cat <b>", 1, [1, 1, 4, 5]),
        ("dog", pytest.approx(0.8), [4, 0, 9, 6]),
    ]
    arrays = np.load(io.BytesIO(client.get(result["arrays_url"]).data))
    assert arrays["boxes"].tolist() == [[1, 1, 4, 5], [4, 0, 9, 6]]
    assert arrays["classes"].tolist() == [0, 1]
    page = client.get(f"/runs/{state['id']}").text
    assert 'aria-label="cat &lt;b&gt;, score 1.00, from 1, 1 to 4, 5"' in page
    state = run(client, "ClassProbabilities")
    page = client.get(f"/runs/{state['id']}").text
    assert "no objects" in page
    assert '<g role="img" tabindex="0" aria-label="dog, score 0.80' in page


def test_objects_vanish_where_they_are_hidden(detector: Flask) -> None:
    client = visitor(detector, Image.new("RGB", (9, 6), (255, 204, 0)))
    (answer,) = post(client, "what-if", shapes=[{"box": [0, 0, 4 / 9, 1]}], fill="black")
    assert [(one["name"], one["before"], one["after"]) for one in answer["classes"]] == [
        ("cat <b>", 1, None),
        ("dog", pytest.approx(0.8), pytest.approx(0.8)),
    ]
    assert answer["flipped"] is True
    assert answer["classes"][0]["box"] == [1, 1, 4, 5]
    (answer,) = post(client, "predict", targets=["box:0", "box:7"])
    assert [one["text"] for one in answer["targets"]] == ["box:0"]
    assert answer["notes"] == ["There is no box 7 in this image; 2 were detected."]


@pytest.mark.parametrize("name", ["segmenter", "regressor", "labeller", "embedder", "detector"])
def test_all_pages_of_each_task(name: str, request: pytest.FixtureRequest) -> None:
    client = visitor(request.getfixturevalue(name), noise_image(0), noise_image(1))
    state = run(client, "PartialOcclusion")
    for address in ("/", "/model", "/images/0/what-if", "/visualizations/PartialOcclusion", f"/runs/{state['id']}"):
        assert client.get(address).status_code == 200
    for ending in ("report.html", "results.csv", "results.zip"):
        assert client.get(f"/api/runs/{state['id']}/{ending}").status_code == 200
    classic = client.get("/api/visualize?image=0&visualizer=ClassProbabilities").get_json()
    assert classic["predict_probs"] if name == "labeller" else classic["predict_probs"] is not None


def test_values_are_those_of_the_model(regressor: Flask, segmenter: Flask) -> None:
    numbers, areas = RegressorModel(), SegmenterModel()
    numbers.load()
    areas.load()
    inputs = numbers.preprocess([noise_image(0)])
    (answer,) = post(visitor(regressor, noise_image(0)), "predict")
    assert [one["value"] for one in answer["predictions"]] == pytest.approx(numbers.predict(inputs)[0].tolist())
    (answer,) = post(visitor(segmenter, noise_image(0)), "predict")
    winners = areas.predict(inputs)[0].argmax(axis=-1)
    shares = {one["index"]: one["share"] for one in answer["predictions"]}
    assert shares == pytest.approx({int(k): float((winners == k).mean()) for k in np.unique(winners)})
