"""The pages, as a person without JavaScript uses them."""

from __future__ import annotations

import dataclasses
import io
import json
import re
import threading
from collections.abc import Callable
from html import unescape
from typing import Any

import numpy as np
import pytest
from flask import Flask
from flask.testing import FlaskClient
from PIL import Image
from werkzeug.test import TestResponse

from picasso import fileio
from picasso.jobs.run import Run, Spec
from picasso.web.app import create_app
from picasso.web.context import Services
from tests.conftest import COOKIE, close, fake_settings, finish, noise_image, png, upload
from tests.jobs.test_engine import until


def run_page(client: FlaskClient, name: str, **form: object) -> TestResponse:
    """Start a run from its form, wait for its end and return the page."""
    answer = client.post(f"/visualizations/{name}", data=form)
    assert answer.status_code == 303, answer.text
    finish(client, answer.location.rsplit("/", 1)[1])
    return client.get(answer.location)


def test_the_first_pages_show_what_there_is_and_make_no_session(client: FlaskClient) -> None:
    answer = client.get("/")
    assert answer.status_code == 200
    assert "Picasso &lt;under test&gt;" in answer.text
    for words in ("What does it look at?", "Which parts matter if hidden?", "What if I hide this?"):
        assert words in answer.text
    assert "Set-Cookie" not in answer.headers
    answer = client.get("/visualizations")
    for name in ("Predictions", "Partial occlusion", "Saliency maps", "Means"):
        assert f"<h4>{name}</h4>" in answer.text
    assert "this plugin is broken on purpose" in answer.text
    assert "Set-Cookie" not in answer.headers


def test_upload_several_and_remove_one(client: FlaskClient) -> None:
    parts = [(io.BytesIO(png(noise_image(seed))), "same.png") for seed in range(3)]
    answer = client.post("/images", data={"file": parts})
    assert answer.status_code == 303
    page = client.get("/").text
    assert page.count("data-uid=") == 3
    assert client.post("/images/1/remove").status_code == 303
    assert client.get("/").text.count("data-uid=") == 2
    (source, *_) = re.findall(r'src="(/thumbnails/[^"]+png)"', page)
    served = client.get(source)
    assert (served.status_code, served.mimetype) == (200, "image/webp")
    served = client.get(source.replace("thumbnails", "inputs"))
    assert (served.status_code, served.mimetype) == (200, "image/png")


def test_good_images_are_kept_where_others_are_not(client: FlaskClient) -> None:
    parts = [(io.BytesIO(png()), "good.png"), (io.BytesIO(b"hello"), "<img src=x onerror=alert(1)>.png")]
    answer = client.post("/images", data={"file": parts})
    assert answer.status_code == 415
    assert "&lt;img src=x onerror=alert(1)&gt;.png is not a supported image" in answer.text
    assert "<img src=x" not in answer.text
    assert client.get("/").text.count("data-uid=") == 1


def test_uploading_nothing(client: FlaskClient) -> None:
    answer = client.post("/images", data={})
    assert answer.status_code == 400
    assert "No images were chosen" in answer.text


def test_samples(client: FlaskClient) -> None:
    # Ten are offered at once, and all below them.
    names = list(dict.fromkeys(re.findall(r'name="sample" value="([^"]+)" title', client.get("/").text)))
    assert len(names) == 30
    assert client.get(f"/samples/{names[0]}").mimetype == "image/png"
    assert client.get(f"/thumbnails/samples/{names[0]}").mimetype == "image/webp"
    assert client.post("/samples", data={"sample": names[:2]}).status_code == 303
    assert client.get("/").text.count("data-uid=") == 2
    assert client.post("/samples", data={"sample": "../config.py"}).status_code == 404
    assert client.get("/samples/..%2fmnist.py").status_code == 404


def test_the_settings_page_is_generated(client: FlaskClient) -> None:
    page = client.get("/visualizations/Means?Weight=1.5&Invert=true&Unknown=1").text
    assert re.search(r'type="range"\s+step="0.1"\s+min="0.0"\s+max="2.0"', page)
    assert re.search(r'type="number"\s+step="1"\s+min="1"\s+max="4"', page)
    assert '<option value="true" selected>yes</option>' in page
    assert "<option selected>plain</option>" in page
    assert 'value="1.5"' in page
    assert "What the mean is multiplied by." in page


def test_a_run_from_form_to_result(client: FlaskClient) -> None:
    uids = upload(client, 3)
    page = run_page(client, "PartialOcclusion", Window="0.30", Strides="5", image=uids[1:])
    assert page.text.count('<article class="row"') == 2
    assert re.search(r"<dt>Window</dt><dd>0.30</dd>", page.text)
    assert "https://arxiv.org/abs/1311.2901" in page.text
    assert "LinearModel" in page.text
    assert "linear.npz" in page.text
    assert "2026-01-02 03:04:05" in page.text
    for source in set(re.findall(r'src="(/(?:outputs|inputs)/[^"]+)"', page.text)):
        assert client.get(source).status_code == 200
    assert "cat &lt;b&gt;" in page.text
    assert "cat <b>" not in page.text


def test_twenty_images_give_twenty_rows(client: FlaskClient) -> None:
    upload(client, 20)
    page = run_page(client, "SaliencyMaps", Transparency="0.25")
    assert re.findall(r'id="image-(\d+)"', page.text) == [str(uid) for uid in range(20)]
    assert page.text.count('<figure class="panel">') == 100


def test_templates_of_plugins_and_the_default_one(client: FlaskClient) -> None:
    upload(client)
    own = run_page(client, "Means", Weight="0", Rows="2")
    assert "drawn by the plugin&#39;s own template" in own.text or "drawn by the plugin's own template" in own.text
    assert "flat: 0 everywhere" in own.text
    assert '<figure class="panel">' in run_page(client, "WithoutTemplate").text


def test_wrong_settings_are_refused_in_a_sentence(client: FlaskClient) -> None:
    upload(client)
    answer = client.post("/visualizations/PartialOcclusion", data={"Window": "0.7"})
    assert answer.status_code == 400
    assert "Window must be one of 0.50, 0.40" in answer.text


def test_a_run_without_images(client: FlaskClient) -> None:
    answer = client.post("/visualizations/ClassProbabilities")
    assert answer.status_code == 400
    assert "no images to explain" in answer.text
    assert "Set-Cookie" not in answer.headers


def test_a_failed_run_says_why_and_offers_to_try_again(client: FlaskClient) -> None:
    upload(client)
    page = run_page(client, "Trouble", Kind="raise")
    assert "Trouble failed on image.png: ZeroDivisionError" in unescape(page.text)
    assert "/visualizations/Trouble?Kind=raise" in page.text
    assert "Traceback" not in page.text


def test_progress_and_cancelling(client: FlaskClient) -> None:
    upload(client)
    answer = client.post("/visualizations/Slow", data={"Steps": 100_000})
    page = client.get(answer.location)
    assert '<noscript><meta http-equiv="refresh"' in page.text
    assert "<progress" in page.text
    assert client.post(answer.location + "/cancel").status_code == 303
    state = finish(client, answer.location.rsplit("/", 1)[1])
    assert state["state"] == "cancelled"
    assert "0 of 1 (cancelled)" in client.get(answer.location).text
    assert "cancelled" in client.get("/visualizations").text


def test_starting_over_deletes_everything(client: FlaskClient) -> None:
    upload(client)
    source = re.search(r'src="(/thumbnails/[^"]+png)"', client.get("/").text)
    assert source
    assert client.get(source[1]).status_code == 200
    answer = client.post("/reset")
    assert answer.status_code == 303
    assert any(one.startswith(f"{COOKIE}=;") for one in answer.headers.getlist("Set-Cookie"))
    assert client.get(source[1]).status_code == 404


@pytest.mark.parametrize(
    "address", ["/nope", "/runs/nope", "/visualizations/nope", "/inputs/x.png", "/outputs/a-0-b.png"]
)
def test_friendly_errors(client: FlaskClient, address: str) -> None:
    answer = client.get(address)
    assert answer.status_code == 404
    assert "Back to the home page" in answer.text


def test_an_old_cookie_is_a_fresh_start(client: FlaskClient) -> None:
    client.set_cookie(COOKIE, "0" * 32)
    assert client.get("/").status_code == 200
    assert upload(client) == [0]


def test_what_a_model_cannot_give_is_greyed_out_with_the_reason() -> None:
    application = create_app(fake_settings(MODEL_CLS_NAME="BlackBoxModel"))
    try:
        client = application.test_client()
        runner = application.extensions["picasso"].runner
        until(lambda: runner.model.status()["state"] == "ready")
        page = client.get("/visualizations").text
        card = page[page.index("<h4>Saliency maps</h4>") :]
        assert "needs gradients, which this model does not provide." in unescape(card)
        assert 'class="card unusable"' in page
        assert client.get("/visualizations/SaliencyMaps").text.count("disabled") == 0  # there are no images yet
        upload(client)
        assert "<button disabled>Run</button>" in client.get("/visualizations/SaliencyMaps").text
        answer = client.post("/visualizations/SaliencyMaps")
        assert answer.status_code == 400
        assert "SaliencyMaps needs gradients" in unescape(answer.text)
    finally:
        close(application)


def test_what_is_odd_about_an_upload_is_said(client: FlaskClient) -> None:
    dark = Image.fromarray(np.linspace(0, 4095, 54).astype(np.uint16).reshape(6, 9))
    sent = client.post("/api/images", data={"file": [(io.BytesIO(png(dark)), "x.png"), (io.BytesIO(png()), "y.png")]})
    assert [len(one["notes"]) for one in sent.json["images"]] == [1, 0]  # type: ignore[index]
    assert "x.png has 16 bits, but its largest value is 4,095" in client.get("/").text
    shown = run_page(client, "ClassProbabilities", image=[0])
    assert "x.png has 16 bits, but its largest value is 4,095" in shown.text


def test_the_model_as_a_page(client: FlaskClient) -> None:
    upload(client)
    client.get("/api/visualize?image=0&visualizer=ClassProbabilities")  # by now the model is loaded
    page = client.get("/model").text
    for expected in ("<td>numpy</td>", "linear.npz", "6 × 9 × 3", "stretch, values 0..1", "<em>default</em>"):
        assert expected in page
    assert page.count('src="/samples/') == 10
    assert 'href="/model"' in client.get("/").text
    report = client.get("/api/model").get_json()
    assert f'src="{report["view"]}"' in page
    assert report["view"].startswith("data:image/png;base64,")
    assert report["model"]["checkpoint"] == "linear.npz"
    assert len(report["answers"]) == 10


def names_on_the_page(client: FlaskClient) -> list[str]:
    return re.findall(r'<span class="name" title="([^"]+)">', client.get("/").text)


def test_images_are_moved_without_javascript(client: FlaskClient) -> None:
    for name in ("a.png", "b.png", "c.png"):
        upload(client, name=name)
    assert client.post("/images/2/move", data={"to": "front"}).status_code == 303
    assert names_on_the_page(client) == ["a.png", "c.png", "b.png"]
    client.post("/images/0/move", data={"to": "back"})
    assert names_on_the_page(client) == ["c.png", "a.png", "b.png"]
    client.post("/images/2/move", data={"to": "front"})
    assert names_on_the_page(client) == ["c.png", "a.png", "b.png"]
    assert client.post("/images/9/move", data={"to": "back"}).status_code == 404


def test_several_visualizations_run_side_by_side(client: FlaskClient) -> None:
    upload(client, 2)
    answer = client.post("/runs", data={"visualization": ["PartialOcclusion", "SaliencyMaps", "ClassProbabilities"]})
    assert answer.status_code == 303
    ids = answer.location.rsplit("/", 1)[1].split(",")
    for run_id in ids:
        finish(client, run_id)
    page = client.get(answer.location).text
    assert page.count('class="row"') == 2
    for title in ("Partial occlusion", "Saliency maps"):
        assert page.count(f"<h3>{title}</h3>") == 2
    # What one calls high the other calls low, so that ranks would say nothing.
    assert "data-agreement=" not in page
    # In another order, and with the page that chooses from earlier runs.
    chosen = client.get("/runs", query_string={"run": ids[:2]})
    assert chosen.location.endswith(f"/runs/{ids[0]},{ids[1]}")
    assert client.get("/runs").status_code == 400
    assert client.post("/runs").status_code == 400
    assert client.get("/runs/" + ",".join([ids[0], "nope"])).status_code == 404
    many = client.post("/runs", data={"visualization": ["ClassProbabilities"] * 7})
    assert "At most 6" in many.text


def test_runs_of_one_visualization_are_distinguished_by_their_settings(client: FlaskClient) -> None:
    upload(client)
    first, second = (
        client.post("/visualizations/PartialOcclusion", data={"Window": window}).location.rsplit("/", 1)[1]
        for window in ("0.10", "0.50")
    )
    for run_id in (first, second):
        finish(client, run_id)
    page = client.get(f"/runs/{first},{second}").text
    assert "<h3>Partial occlusion, Window 0.10</h3>" in page
    assert "<h3>Partial occlusion, Window 0.50</h3>" in page
    assert page.count("data-agreement=") == 1


def test_classes_are_chosen_by_name(client: FlaskClient) -> None:
    upload(client)
    page = run_page(client, "SaliencyMaps", **{"class": ["gnu", "cat <b>", ""]}).text
    assert "gnu, cat &lt;b&gt;" in page
    assert re.findall(r"<figcaption>\s+<strong>([^<]+)</strong>", page) == ["gnu", "cat &lt;b&gt;"]
    wrong = client.post("/visualizations/SaliencyMaps", data={"class": "gnus"})
    assert wrong.status_code == 400
    assert "Similar names: gnu." in wrong.text
    assert "<option>elk</option>" in client.get("/visualizations/SaliencyMaps").text


def test_a_run_is_deleted(client: FlaskClient) -> None:
    upload(client)
    place = client.post("/visualizations/ClassProbabilities").location
    finish(client, place.rsplit("/", 1)[1])
    assert place in client.get("/visualizations").text
    client.post(f"{place}/remove")
    assert place not in client.get("/visualizations").text
    assert client.get(place).status_code == 404


def test_colour_maps_and_images_of_cards_are_served(client: FlaskClient) -> None:
    for name in ("warm", "viridis", "RdBu_r"):
        strip = Image.open(io.BytesIO(client.get(f"/colours/{name}.png").data))
        # The colours, and their opacities.
        assert strip.size == (256, 2)
    assert client.get("/colours/jet.png").status_code == 404
    for name in ("ClassProbabilities", "PartialOcclusion", "SaliencyMaps"):
        assert client.get(f"/visualizations/{name}/image").mimetype == "image/webp"
    assert client.get("/visualizations/Means/image").status_code == 404


def test_pages_travel_compressed(client: FlaskClient) -> None:
    answer = client.get("/", headers={"Accept-Encoding": "gzip"})
    assert answer.headers["Content-Encoding"] == "gzip"
    assert "Accept-Encoding" in answer.headers["Vary"]


def test_what_the_worker_said_of_the_model_is_kept_and_not_read_again(
    app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page asks for it some twenty times, and it is as long as the model has layers and classes."""
    services: Services = app.extensions["picasso"]
    until(lambda: services.model.status()["state"] == "ready")
    assert services.model.status() is services.model.status()
    read: list[str] = []

    def noted(original: Callable[..., Any]) -> Callable[..., Any]:
        def called(*arguments: Any, **options: Any) -> Any:
            # Threads of the queue read messages of the worker at any time.
            if threading.current_thread() is threading.main_thread():
                read.append(original.__name__)
            return original(*arguments, **options)

        return called

    monkeypatch.setattr(fileio, "read_json", noted(fileio.read_json))
    monkeypatch.setattr(json, "loads", noted(json.loads))
    for page in ("/", "/model", "/audit", "/visualizations/PartialOcclusion"):
        assert client.get(page).status_code == 200
    assert read == []


def test_the_page_of_a_run_says_that_something_is_compiled(app: Flask, client: FlaskClient) -> None:
    upload(client)
    services: Services = app.extensions["picasso"]
    until(lambda: services.model.status()["state"] == "ready")
    cookie = client.get_cookie(COOKIE)
    assert cookie
    session = services.storage.find(cookie.value)
    assert session
    spec = Spec("ClassProbabilities", {}, session.images(), 4, {}, 0.0)
    run = Run.create(session.runs_folder, spec)
    run.report(0, 0.0, 0.0, 7.2)
    assert "Compiling the model for this visualization (only once): about 7 s." in client.get(f"/runs/{run.id}").text
    run.report(0, 0.5, 9.0, 7.2)
    assert "Compiling" not in client.get(f"/runs/{run.id}").text


def test_while_a_model_loads_pages_name_that_model(
    app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    services: Services = app.extensions["picasso"]
    settings = dataclasses.replace(services.settings, MODEL="exported/flowers/2")
    monkeypatch.setitem(app.extensions, "picasso", dataclasses.replace(services, settings=settings))
    monkeypatch.setattr(services.model, "status", lambda: {"state": "loading"})
    for address in ("/", "/model"):
        assert '<strong>flowers/2</strong> <span aria-busy="true">is loading' in client.get(address).text
    assert "flowers/2 is still loading." in client.get("/model").text
    assert client.get("/api/app_state").json["model_name"] == "flowers/2"  # type: ignore[index]
    assert client.get("/api/model").json["error"]["message"].startswith("flowers/2 is still loading")  # type: ignore[index]
