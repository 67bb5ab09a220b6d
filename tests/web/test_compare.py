"""The page Compare without a browser: what it asks for, the runs it starts, what it shows, and its errors."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flask import Flask
from flask.testing import FlaskClient

from picasso.attribution.rank_agreement import rank_correlation
from picasso.config import build
from picasso.jobs.run import Run
from picasso.web.app import create_app
from picasso.web.pages.compare import MAX_ROWS
from picasso.web.pages.grid import evidence
from picasso.web.pages.timeline import Chart, order_of_training
from tests.conftest import COOKIE, Visitor, close, fake_settings, upload

COMPARED = {
    "patch": {"MODEL_CLS_NAME": "PatchModel"},
    "pooled <b>": {"MODEL_CLS_NAME": "PooledModel"},
    "black": {"MODEL_CLS_NAME": "BlackBoxModel"},
}


@pytest.fixture(scope="module")
def comparing() -> Iterator[Flask]:
    """An application with a linear model and three others to compare it with."""
    application = create_app(fake_settings(COMPARE=COMPARED))
    application.test_client_class = Visitor
    yield application
    close(application)


@pytest.fixture
def visitor(comparing: Flask) -> FlaskClient:
    """A visitor with three images, when the model is ready."""
    client = comparing.test_client()
    client.environ_base["HTTP_SEC_FETCH_SITE"] = "same-origin"
    upload(client, 3)
    while client.get("/api/app_state").get_json()["state"] == "loading":
        time.sleep(0.05)
    return client


def compare(client: FlaskClient, **fields: Any) -> str:
    """Start a comparison and return its page when all runs have ended."""
    answer = client.post("/compare", data=fields)
    assert answer.status_code == 303, answer.text
    deadline = time.monotonic() + 60
    while "data-run=" in (page := client.get(answer.location).text):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return page


def cells(page: str) -> list[int]:
    """The numbers of the columns that have a map, row by row."""
    return [int(number) for number in re.findall(r'data-cell="(\d+)"', page)]


def heads(page: str) -> list[str]:
    return re.findall(r'<th scope="col">(.*?)</th>', page)[1:]


def rows(page: str) -> list[int]:
    return [int(number) for number in re.findall(r'<tr id="image-(\d+)"', page)]


def runs(client: FlaskClient) -> list[Run]:
    """The runs of the visitor, the newest first."""
    storage = client.application.extensions["picasso"].storage
    cookie = client.get_cookie(COOKIE)
    assert cookie
    found: list[Run] = storage.find(cookie.value).runs()
    return found


def test_without_images_the_page_says_what_to_do_first(comparing: Flask) -> None:
    page = comparing.test_client().get("/compare").text
    assert "There are no images yet." in page
    assert "data-compare" not in page


def test_looking_at_an_address_starts_nothing(visitor: FlaskClient) -> None:
    page = visitor.get("/compare?by=model&method=SaliencyMaps").text
    assert heads(page) == ["linear.npz", "patch", "pooled &lt;b&gt;", "black"]
    assert cells(page) == []
    assert "data-start" in page
    assert runs(visitor) == []


@pytest.mark.parametrize(("site", "starts"), [("none", True), ("same-origin", True), ("cross-site", False)])
def test_a_link_on_another_site_starts_nothing(site: str, starts: bool, visitor: FlaskClient) -> None:
    headers = {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    page = visitor.get("/compare?by=method", headers=headers).text
    assert ("data-start" in page) == starts
    assert "Compute them" in page


def test_models_explain_what_the_main_model_predicts(visitor: FlaskClient) -> None:
    page = compare(visitor, by="model", method="PartialOcclusion", image=[0, 1], model=["", "patch", "black"])
    assert heads(page) == ["linear.npz", "patch", "black"]
    assert cells(page) == [0, 1, 2] * 2
    assert "data-start" not in page
    titles = re.findall(r"<figcaption>\s*<span><strong>(.*?)</strong>", page)
    assert titles[0] == titles[1] == titles[2]
    # The models themselves predict something else, and that is marked.
    assert "predicts" in page
    main, patch, black = sorted(
        (run.spec() for run in runs(visitor)), key=lambda spec: ["", "patch", "black"].index(spec.model)
    )
    assert main.settings == patch.settings == black.settings
    # What is comparable between models does not depend on their predictions.
    assert main.settings["Show"] == "drop of log-odds"


def test_the_agreement_is_that_of_the_stored_maps(visitor: FlaskClient) -> None:
    page = compare(visitor, by="model", method="SaliencyMaps", model=["", "patch"], target="bee")
    found = [float(text) for text in re.findall(r'data-agreement="([-\d.e]+)"', page)]
    two, one = runs(visitor)
    for position, number in enumerate(found):
        arrays = [run.array(str(position), "panel_0") for run in (one, two)]
        assert arrays[0] is not None
        assert arrays[1] is not None
        assert number == rank_correlation(arrays[0], arrays[1], (2.0**-24, 2.0**-24))
    assert len(found) == 3
    ordered = visitor.get("/compare?by=model&method=SaliencyMaps&model=&model=patch&target=bee&sort=disagreement").text
    assert rows(ordered) == [uid for _, uid in sorted(zip(found, [0, 1, 2], strict=True))]


def test_methods_of_different_quantities_are_compared_as_evidence(visitor: FlaskClient) -> None:
    page = compare(visitor, by="method", method=["SaliencyMaps", "PartialOcclusion", "GradCAM"], target="dog", image=0)
    assert heads(page) == ["Saliency maps", "Partial occlusion", "Grad-CAM"]
    assert cells(page) == [0, 1, 2]
    assert re.search(r"agreement -?[01]\.\d\d", page)
    low_where_it_matters, high = np.array([[0.9, 0.1]]), np.array([[0.0, 5.0]])
    for pair in (
        evidence([low_where_it_matters, high], ["probability while covered", "drop of the probability"]),
        evidence([np.array([[1.0, -3.0]]), high], ["evidence (logit)", "|d logit / d pixel|"]),
    ):
        assert rank_correlation(pair[0], pair[1]) == 1
    signed = [np.array([[1.0, -3.0]]), high]
    turned = evidence(signed, ["evidence (logit)", "drop of the logit"])
    assert rank_correlation(turned[0], turned[1]) == -1


def test_targets_share_one_run(visitor: FlaskClient) -> None:
    page = compare(visitor, by="target", method="SaliencyMaps", target=["bee", "dog", "bee vs dog"], image=1)
    assert heads(page) == ["bee", "dog", "bee vs dog"]
    assert re.findall(r"<figcaption>\s*<span><strong>(.*?)</strong>", page) == ["bee", "dog", "bee rather than dog"]
    assert len(runs(visitor)) == 1
    # Without targets, the columns are the most important predictions.
    page = compare(visitor, by="target", method="SaliencyMaps")
    assert heads(page) == ["most important", "second", "third"]
    assert cells(page) == [0, 1, 2] * 3


def test_maps_that_are_there_are_not_computed_again(visitor: FlaskClient) -> None:
    asked: dict[str, Any] = {"by": "method", "method": ["SaliencyMaps"], "image": [0, 1]}
    compare(visitor, **asked)
    compare(visitor, **asked)
    assert [len(run.spec().images) for run in runs(visitor)] == [2]
    # A run from another page counts too, and of more images only the new ones are computed.
    page = compare(visitor, by="target", method="SaliencyMaps", image=[0, 1, 2])
    assert [[image["uid"] for image in run.spec().images] for run in runs(visitor)] == [[2], [0, 1]]
    assert rows(page) == [0, 1, 2]
    # Another setting is another map.
    compare(visitor, **asked, Transparency="0.5")
    assert len(runs(visitor)) == 3


def test_a_failure_names_its_column_and_the_others_stay(visitor: FlaskClient) -> None:
    page = compare(visitor, by="model", method="GradCAM", image=0)
    assert "<strong>black:</strong> GradCAM needs feature maps" in page
    assert cells(page) == [0, 1, 2]
    assert "data-start" not in page, "a failed run must not start again by itself"
    assert "Try again" in page


def test_cancelling_stops_the_runs_of_the_grid_and_starts_none(visitor: FlaskClient) -> None:
    asked = {"by": "model", "method": "PartialOcclusion", "model": ["", "patch"], "Strides": "30", "Window": "0.10"}
    assert visitor.post("/compare", data=asked).status_code == 303
    answer = visitor.post("/compare/cancel", data=asked)
    assert answer.status_code == 303
    page = visitor.get(answer.location).text
    assert "data-run=" not in page
    assert "data-start" not in page
    assert all(not run.at_work() for run in runs(visitor))
    if "Try again" in page:
        assert "Some maps are not computed" not in compare(visitor, **asked)


def test_the_address_keeps_every_choice(visitor: FlaskClient) -> None:
    fields = {"by": "model", "method": "SaliencyMaps", "model": ["", "patch"], "class": "bee", "image": ["2", "0"]}
    address = visitor.post("/compare", data={**fields, "sort": "disagreement", "Transparency": "0.25"}).location
    for part in ("model=&", "model=patch", "target=bee", "image=2&image=0", "sort=disagreement", "Transparency=0.25"):
        assert part in address
    assert rows(visitor.get(address).text) == [2, 0] or "data-agreement" in visitor.get(address).text


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("by=pixel", "by must be one of method, model, target, not"),
        ("by=model&method=Nope", "method must be one of"),
        (
            "by=model&model=Nope",
            "model must be one of patch, pooled &lt;b&gt;, black, or empty for the main model, not",
        ),
        ("sort=up", "sort must be one of given, disagreement"),
        ("by=model&view=film", "view must be one of grid, timeline"),
        ("image=99", "There is no image with that number"),
        ("&".join(["image=0"] * (MAX_ROWS + 1)), f"At most {MAX_ROWS} images can be compared"),
    ],
)
def test_wrong_addresses(query: str, words: str, visitor: FlaskClient) -> None:
    answer = visitor.get(f"/compare?{query}")
    assert 400 <= answer.status_code < 500
    assert words in answer.text


def test_a_wrong_address_has_a_link_to_the_page_without_the_wrong_field(visitor: FlaskClient) -> None:
    wrong = visitor.get("/compare?by=model&model=Nope&_external=1&sort=given").text
    found = re.search(r'href="(.*?)">Open the page without <em>model</em>', wrong)
    assert found
    assert unescape(found[1]) == "/compare?by=model&_external=1&sort=given"
    assert visitor.get(unescape(found[1])).status_code == 200


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"by": "model", "method": "PartialOcclusion", "Window": "7"}, "Window"),
        ({"by": "method", "class": "zebra"}, "The model has no class zebra."),
        ({"by": "target", "target": ["ant", "bee", "dog", "elk", "fox", "gnu", *"0123456"[:7]]}, ""),
    ],
)
def test_errors_of_the_form_are_beside_it(fields: dict[str, Any], words: str, visitor: FlaskClient) -> None:
    answer = visitor.post("/compare", data=fields)
    if words:
        assert answer.status_code == 400
        assert words in answer.text
        assert "data-compare" in answer.text, "the form is still there"
        assert runs(visitor) == []


def test_the_timeline_has_the_models_in_the_order_of_training(visitor: FlaskClient) -> None:
    page = compare(visitor, by="model", view="timeline", method="SaliencyMaps", image=1, target="fox")
    names = re.findall(r"<figcaption>\s*<strong>(.*?)</strong>", page)
    assert names == ["linear.npz", "patch", "pooled &lt;b&gt;"]
    assert "probability of fox" in page
    assert len(re.findall(r"<circle", page)) >= 5
    # The agreement of the last map with itself.
    assert "agreement 1.00" in page


def test_the_order_of_training_is_that_of_the_files(tmp_path: Path) -> None:
    for name in ("e2.keras", "e10.keras", "e1.keras"):
        (tmp_path / name).touch()
    models = {name: {"MODEL": str(tmp_path / f"{name}.keras")} for name in ("e10", "e1")}
    class_of_own = {"MODEL": "", "MODEL_CLS_NAME": "Own"}
    settings = build({}, None, {"MODEL": str(tmp_path / "e2.keras"), "COMPARE": {**models, "own": class_of_own}})
    assert order_of_training(settings) == ["own", "e1", "", "e10"]


def test_a_chart_is_interrupted_where_nothing_is_known() -> None:
    chart = Chart("probability", [0.0, 1.0, None, 0.5, 0.5], 0.0, 1.0)
    assert chart.lines == ["0,90 150,0", "450,45 600,45"]
    assert [value for *_, value in chart.points] == [0.0, 1.0, 0.5, 0.5]
    assert Chart("flat", [2.0], 2.0, 2.0).lines == ["0,90"]
