"""The page of the model: what was guessed stands out, and other preprocessing is tried, without JavaScript."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from PIL import Image

from picasso import config
from picasso.errors import NotReady
from picasso.web.app import create_app
from picasso.web.context import Services
from picasso.web.pages import model as model_page
from picasso.web.pages.model import Alternative, Cell, Lines, Trial, TrialImage
from tests.conftest import Visitor, close, fake_settings, png, upload
from tests.fakes import LEVELS
from tests.jobs.test_engine import until


@pytest.fixture(scope="module")
def guessing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    """An application whose model was trained on -1..1, which nothing says, and which has labelled samples."""
    samples = tmp_path_factory.mktemp("samples")
    for name, level in LEVELS.items():
        (samples / name).mkdir()
        plain(level).save(samples / name / "1.png")
    application = create_app(fake_settings(MODEL_CLS_NAME="RangeModel", SAMPLES_DIR=str(samples)))
    application.test_client_class = Visitor
    services: Services = application.extensions["picasso"]
    until(lambda: services.model.status()["state"] == "ready")
    yield application
    close(application)


@pytest.fixture
def visitor(guessing: Flask) -> FlaskClient:
    return guessing.test_client()


def plain(level: int) -> Image.Image:
    return Image.new("RGB", (9, 6), (level, level, level))


def part(page: str) -> str:
    """Return the part of the page with the trial, as text."""
    return unescape(page[page.index('<section id="trial"') : page.index("<h2>The model</h2>")])


def columns(page: str) -> list[str]:
    return re.findall(r'<th scope="col"(?: class="best")?><code>(.*?)</code>', part(page))


def labelled(visitor: FlaskClient, *names: str) -> None:
    for name in names:
        sent = {"file": (io.BytesIO(png(plain(LEVELS[name]))), f"{name}/1.png")}
        assert visitor.post("/api/images", data=sent).status_code == 200


def test_the_header_of_each_page_links_to_what_was_guessed(visitor: FlaskClient, client: FlaskClient) -> None:
    for address in ("/", "/model", "/gallery", "/visualizations"):
        assert re.search(
            r'<a class="guessed" href="/model#guessed"[^>]*>guessed: value range</a>', visitor.get(address).text
        )
    assert 'id="guessed"' in visitor.get("/model").text
    # The bar says it, so that the workspace has no notice about it.
    assert "is a guess" not in visitor.get("/").text
    # Nothing is guessed about this model.
    upload(client)
    assert 'class="guessed"' not in client.get("/").text
    assert 'id="guessed"' not in client.get("/model").text


def test_the_header_has_the_checkpoint_the_task_and_the_input(visitor: FlaskClient) -> None:
    bar = re.sub(r"\s+", " ", visitor.get("/").text.split('class="model"')[1].split("</div>")[0])
    assert "linear.npz · classification · 6 × 9 × 3" in bar


def test_the_value_range_is_settled_with_samples(visitor: FlaskClient) -> None:
    answer = visitor.post("/model", data={"try": "values"})
    assert answer.status_code == 200
    assert columns(answer.text) == ["0..1", "-1..1", "0..255", "torch", "caffe"]
    page = part(answer.text)
    best = re.search(r'<th scope="col" class="best"><code>(.*?)</code>.*?<strong>(\w+)</strong>', page, re.DOTALL)
    assert best
    assert best.groups() == ("-1..1", "best")
    assert "5 of 5 images are predicted as the class of their folder" in page
    assert '<code>PREPROCESS = "-1..1"</code>' in page
    assert "<code>--preprocess=-1..1</code>" in page
    # The model that is served is the same as before.
    assert "values 0..1 (a guess)" in visitor.get("/model").text


def test_the_lines_settle_it(visitor: FlaskClient) -> None:
    (line,) = set(re.findall(r'PREPROCESS = "(-1\.\.1)"', part(visitor.post("/model", data={"try": "values"}).text)))
    application = create_app(fake_settings(MODEL_CLS_NAME="RangeModel", PREPROCESS=line))
    try:
        services: Services = application.extensions["picasso"]
        until(lambda: services.model.status()["state"] == "ready")
        assert 'class="guessed"' not in application.test_client().get("/").text
        assert services.model.status()["card"]["guessed"] == {}
    finally:
        close(application)


def test_images_of_the_session_come_before_samples_and_labelled_ones_first(visitor: FlaskClient) -> None:
    upload(visitor, 1, "nameless.png")
    page = part(visitor.post("/model", data={"try": "values"}).text)
    assert "nameless.png" in page
    # Nothing is known to be right, so it is only a hint.
    assert "Only a hint:" in page
    assert "Right</th>" not in page
    labelled(visitor, "ant", "gnu")
    page = part(visitor.post("/model", data={"try": "values"}).text)
    assert "nameless.png" not in page
    assert "2 of 2" in page


def test_the_other_parts_are_those_of_the_form(visitor: FlaskClient) -> None:
    sent = {"values": "-1..1", "order": "bgr", "resize": "crop", "try": "resize"}
    page = visitor.post("/model", data=sent).text
    assert columns(page) == ["-1..1 bgr", "-1..1 bgr fit", "-1..1 bgr crop", "-1..1 bgr crop 0.875"]
    assert '<option value="crop" selected>' in page
    page = visitor.post("/model", data={"values": "caffe", "try": "order"}).text
    assert columns(page) == ["caffe rgb", "caffe"]
    assert part(page).count("<small>now</small>") == 0


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        ({"try": "weather"}, "The field try must be one of values, order, resize, not 'weather'."),
        ({}, "The field try must be one of values, order, resize, not ''."),
        ({"try": "order", "values": "0..7"}, "The field values must be one of 0..1, -1..1, 0..255, torch, caffe, not"),
        ({"try": "order", "resize": "crop 9999"}, "The field resize must be one of stretch, fit, crop, crop 0.875"),
    ],
)
def test_an_invalid_field_is_said_on_the_page(visitor: FlaskClient, sent: dict[str, str], message: str) -> None:
    answer = visitor.post("/model", data=sent)
    assert answer.status_code == 400
    assert message in unescape(answer.text)
    assert "Try all 5" in answer.text


def test_a_busy_server_is_said_on_the_page(
    visitor: FlaskClient, guessing: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    def busy(_: object) -> None:
        raise NotReady("The request timed out.")

    monkeypatch.setattr(guessing.extensions["picasso"].runner, "ask", busy)
    answer = visitor.post("/model", data={"try": "resize", "values": "torch"})
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "2")
    assert "The request timed out." in answer.text
    assert '<option value="torch" selected>' in answer.text


def test_without_any_images_it_says_what_to_do(
    visitor: FlaskClient, guessing: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    services: Services = guessing.extensions["picasso"]
    empty = Services(services.settings, services.storage, services.registry, services.runner, {})
    monkeypatch.setitem(guessing.extensions, "picasso", empty)
    answer = visitor.post("/model", data={"try": "values"})
    assert answer.status_code == 400
    assert "There are no images to try it on." in answer.text


def test_a_class_that_preprocesses_images_itself_says_so(
    client: FlaskClient, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner = app.extensions["picasso"].runner
    until(lambda: runner.model.status()["state"] == "ready")
    offer = {"reason": "The class opens its images.", "keywords": "0..1", "current": {}, "choices": {}}
    status = {**runner.model.status(), "trial": offer}
    monkeypatch.setattr(runner.model, "status", lambda: status)
    assert "The class opens its images." in client.get("/model").text
    assert 'name="try"' not in client.get("/model").text
    assert client.post("/model", data={"try": "values"}).status_code == 400


def test_what_no_trial_settles_has_lines_to_confirm_it(
    client: FlaskClient, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner = app.extensions["picasso"].runner
    until(lambda: runner.model.status()["state"] == "ready")
    status: Any = dict(runner.model.status())
    guessed = {"task": "It is assumed.", "meaning of the output": "Values are logits."}
    card = {**status["card"], "guessed": guessed, "notes": ["Values are logits.", "It changes."]}
    card["task"] = {**card["task"], "activation": "sigmoid logits"}
    status |= {"card": card, "report": {**status["report"], "model": card, "warnings": [*card["notes"], "All alike."]}}
    monkeypatch.setattr(runner.model, "status", lambda: status)
    page = unescape(client.get("/model").text)
    assert "guessed: task, meaning of the output" in page
    assert '<code>TASK = "classification"</code>' in page
    assert "<code>--task classification</code>" in page
    assert "<code>--output-kind 'sigmoid logits'</code>" in page
    # What is no guess: a note, and a warning.
    assert '<div class="notice" role="note">It changes.</div>' in page
    assert '<div class="notice wrong" role="note">All alike.</div>' in page
    assert page.count("Values are logits.") == 1
    # The workspace folds notes.
    first = client.get("/").text
    assert re.search(r"<summary>1 note on the model</summary>\s*<p>It changes.</p>", first)


def made(
    keywords: str, right: int | None, confidence: float | None, names: str = "", *, served: bool = False
) -> Alternative:
    """Return an alternative; each letter of ``names`` is a first prediction, by default different for each keyword."""
    cells = tuple(Cell("", name, None) for name in names or f"xy{keywords}")
    return Alternative(keywords, served, cells, right, confidence, "")


def trial(*alternatives: Alternative, images: int = 5) -> Trial:
    return Trial("values", (TrialImage("", "", "", None),) * images, ("",) * images, alternatives)


def test_the_best_has_the_most_right_predictions() -> None:
    found = trial(made("a", 3, 0.99), made("b", 4, 0.5, "xxx"))
    assert found.best
    assert (found.best.keywords, found.certain) == ("b", True)


def test_equally_right_alternatives_are_ordered_by_confidence_which_is_a_hint() -> None:
    found = trial(made("a", 4, 0.6), made("b", 4, 0.7), made("c", 1, 0.9))
    assert found.best
    assert (found.best.keywords, found.certain) == ("b", False)


def test_the_same_answer_for_all_images_is_no_good_sign() -> None:
    found = trial(made("a", None, 1.0, "xxx"), made("b", None, 0.8))
    assert found.best
    assert (found.best.keywords, found.certain) == ("b", False)
    # Of two images, both may well be of one class.
    few = trial(made("a", None, 1.0, "xxx"), made("b", None, 0.8), images=2)
    assert few.best
    assert few.best.keywords == "a"


def test_alternatives_with_the_same_predictions_have_no_best() -> None:
    found = trial(made("a", None, 0.9, "xyz", served=True), made("b", None, 1.0, "xyz"), made("c", None, None))
    assert (found.alike, found.best, found.certain) == (True, None, False)
    # One alone differs from nothing.
    assert not trial(made("a", None, 0.9), made("c", None, None)).alike


@pytest.mark.parametrize(
    ("right", "confidence", "best"),
    [(3, 0.9, "a"), (3, 1.0, "b"), (4, 0.2, "b"), (2, 1.0, "a")],
)
def test_the_served_one_stays_unless_another_one_is_clearly_better(right: int, confidence: float, best: str) -> None:
    found = trial(made("a", 3, 0.9, served=True), made("b", right, confidence), made("c", 3, 0.92))
    assert found.best
    assert found.best.keywords == best


def test_without_a_difference_the_page_says_so(
    visitor: FlaskClient, guessing: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner = guessing.extensions["picasso"].runner
    sure = [[{"index": 0, "name": "ant", "prob": 1.0}]] * 5
    unsure = [[{"index": 0, "name": "ant", "prob": 0.9}]] * 5
    answers = [
        {"keywords": "0..1", "predictions": unsure, "error": ""},
        {"keywords": "0..255", "predictions": sure, "error": ""},
    ]
    monkeypatch.setattr(runner, "ask", lambda _: {"alternatives": answers})
    page = part(visitor.post("/model", data={"try": "values"}).text)
    assert "No difference:" in page
    assert "Keep the present one, <code>0..1</code>" in page
    assert "hint" not in page
    # With other predictions that are hardly more confident, the present one stays.
    answers[0]["predictions"] = [[{"index": 1, "name": "bee", "prob": 0.97}], *sure[1:]]
    page = part(visitor.post("/model", data={"try": "values"}).text)
    assert "No difference" not in page


def test_numbers_have_no_best() -> None:
    found = trial(made("a", None, None), made("b", None, None))
    assert (found.best, found.certain) == (None, False)


def test_lines_can_be_pasted(tmp_path: Path) -> None:
    lines = Lines.of("PREPROCESS", "-1..1 crop 0.875")
    file = tmp_path / "config.py"
    file.write_text(lines.setting)
    assert config.load(file).PREPROCESS == "-1..1 crop 0.875"
    assert lines.option == "'--preprocess=-1..1 crop 0.875'"
    assert Lines.of("TASK", "segmentation") == ('TASK = "segmentation"', "--task segmentation")


def test_notes_are_not_repeated_as_guesses() -> None:
    card = {"notes": ["a guess", "another note"], "guessed": {"value range": "a guess"}}
    assert model_page.notes(card) == ["another note"]
    assert model_page.notes({}) == []


def test_layers_lead_to_their_channels(client: FlaskClient) -> None:
    until(lambda: client.get("/api/app_state").get_json()["state"] == "ready")
    assert "/inside?layer=" not in client.get("/model").get_data(as_text=True)
    (uid,) = upload(client)
    assert f'<a href="/images/{uid}/inside?layer=input">input</a>' in client.get("/model").get_data(as_text=True)
