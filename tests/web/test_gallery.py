"""The gallery: labels from folders, the accuracy, the confusion matrix, filters, and what one does from there."""

from __future__ import annotations

import io
import re
import time
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from picasso.errors import BadRequest
from picasso.storage.session import label_of
from picasso.web import selection
from picasso.web.app import create_app
from picasso.web.pages import gallery
from picasso.web.predicted import Labels, Row
from picasso.web.selection import MAX_CLASSES, Selection, summary
from tests.conftest import close, fake_settings, finish, noise_image, png
from tests.fakes import LinearModel

NAMES = LinearModel().class_names()


@pytest.mark.parametrize(
    ("path", "label"),
    [
        ("a.png", ""),
        ("cat/a.png", "cat"),
        ("set/train/cat/a.png", "set/train/cat"),
        ("1/2/3/4/5/6/a.png", "3/4/5/6"),
        ("..\\..\\windows\\a.png", "windows"),
        ("/.././/etc/./a.png", "etc"),
        ("\x00evil\x1b[0m\u202e/a.png", "evil[0m"),
        (" cat /a.png", "cat"),
        (f"{'x' * 5000}/a.png", "x" * 200),
        ("<b onclick='x'>/a.png", "<b onclick='x'>"),
    ],
)
def test_labels_are_the_innermost_folders_and_harmless(path: str, label: str) -> None:
    found = label_of(path)
    assert found == label
    assert not {"..", "."} & set(found.split("/"))
    assert len(found) <= 4 * 201


def test_folders_match_classes_by_the_rules_of_labelled_folders() -> None:
    known = Labels(["tank", "no_tank", "crane", "crane"])
    assert known.target("images/tank/sunny") == (0, "")
    assert known.target("No Tank") == (1, "")
    assert known.target("1") == (1, "")
    assert known.target("") == (None, "")
    none, why = known.target("crane")
    assert none is None
    assert "the name of 2 classes: 2, 3" in why
    none, why = known.target("misc")
    assert none is None
    assert "named after no class" in why
    assert Labels([]).target("tank") == (None, "")


def row(target: int, index: int, confidence: float = 0.9, margin: float = 0.8) -> Row:
    return Row(NAMES[target], NAMES[index], confidence, target == index, target, index, margin)


def test_the_summary_counts_by_class() -> None:
    rows = {0: row(0, 0), 1: row(0, 1), 2: row(0, 1), 3: row(1, 1), 4: Row(label="ant", target=0), 5: Row()}
    found = summary(rows, NAMES)
    assert found
    assert (found.total.right, found.total.images) == (2, 4)
    assert (found.total.low, found.total.high) == pytest.approx((0.1500, 0.8500), abs=1e-4)
    assert [(one.name, one.share.right, one.share.images, one.mistaken_for) for one in found.classes] == [
        ("ant", 1, 3, "bee"),
        ("bee", 1, 1, ""),
    ]
    assert found.columns == ("ant", "bee")
    assert [[(cell.count, cell.tenths, cell.right) for cell in line.cells] for line in found.matrix] == [
        [(1, 4, True), (2, 7, False)],
        [(0, 0, False), (1, 10, True)],
    ]
    assert summary({0: Row()}, NAMES) is None


def test_of_a_thousand_classes_the_most_confused_are_shown() -> None:
    names = [f"class {index}" for index in range(1000)]
    rows, uid = {}, 0
    for target in range(300):
        # Class 5 is confused most often, then class 7; all others are taken for one other class once.
        for other in [target + 500] * (50 if target == 5 else 20 if target == 7 else 1):
            rows[uid], uid = Row(names[target], names[other], 0.5, False, target, other, 0.1), uid + 1
    found = summary(rows, names)
    assert found
    assert found.columns[:4] == ("class 5", "class 505", "class 7", "class 507")
    assert (len(found.columns), found.hidden) == (MAX_CLASSES, 600 - MAX_CLASSES)
    assert all(len(line.cells) == MAX_CLASSES for line in found.matrix)
    assert sum(line.cells[1].count for line in found.matrix) == 50


def test_filters_and_orders() -> None:
    rows = {0: row(0, 0, 0.5, 0.1), 1: row(0, 1, 0.8), 2: row(1, 0, 0.9), 3: row(1, 1, 0.7), 4: Row()}
    images: list[Any] = [{"uid": uid} for uid in rows]

    def uids(**fields: str) -> list[int]:
        return [image["uid"] for image in Selection.of(fields).chosen(images, rows, NAMES)]

    assert uids() == [0, 1, 2, 3, 4]
    assert uids(show="mistakes") == [1, 2]
    assert uids(show="right") == [0, 3]
    assert uids(show="unsure") == [0]
    assert uids(label="ant") == [0, 1]
    assert uids(label="ant", predicted="bee") == [1]
    assert uids(sort="least") == [0, 3, 1, 2, 4]
    assert uids(sort="mistakes") == [2, 1, 3, 0, 4]
    for wrong in ({"show": "none"}, {"sort": "size"}, {"label": "horse"}, {"predicted": "horse"}):
        with pytest.raises(BadRequest):
            uids(**wrong)
    assert Selection.of({"show": "mistakes", "label": " ant "}).query(sort="least") == {
        "label": "ant",
        "show": "mistakes",
        "sort": "least",
    }


def send(client: FlaskClient, count: int, folder: str = "", start: int = 0) -> None:
    """Upload images in a folder."""
    path = f"set/{folder}/" if folder else ""
    parts = [(io.BytesIO(png(noise_image(seed))), f"{path}{seed}.png") for seed in range(start, start + count)]
    assert client.post("/api/images", data={"file": parts}).status_code == 200


def predicted(client: FlaskClient) -> dict[str, Any]:
    """Predict all images and return the state at the end."""
    assert client.post("/api/gallery").status_code == 202
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        state: dict[str, Any] = client.get("/api/gallery").get_json()
        if state["state"] not in ("waiting", "running"):
            return state
        time.sleep(0.02)
    raise AssertionError("the predictions did not end within a minute")


def test_from_a_labelled_folder_to_its_mistakes_and_where_it_looks_in_them(client: FlaskClient) -> None:
    send(client, 6, "dog")
    send(client, 3, "ant", 6)
    send(client, 1, "misc", 9)
    answer = client.post("/gallery")
    assert (answer.status_code, answer.location) == (303, "/gallery")
    state = predicted(client)
    assert "9 images in 2 classes" in client.get("/").text
    assert (state["state"], state["done"], state["total"]) == ("finished", 10, 10)
    images = client.get("/api/gallery/images?count=1000").get_json()["images"]
    right = sum(image["correct"] is True for image in images)
    assert (state["accuracy"]["right"], state["accuracy"]["images"]) == (right, 9)
    page = client.get("/gallery").text
    assert f"{right} of 9 images are right" in page
    assert "is named after no class" in page
    wrong = [image for image in images if image["correct"] is False]
    shown = client.get("/gallery?show=mistakes").text
    assert set(re.findall(r"\?image=(\d+)", shown)) == {str(image["uid"]) for image in wrong}
    # Each cell of the matrix has as many images as it says.
    cells = re.findall(r'href="(/gallery\?label=[^"]+)" aria-label="(\d+) images of', page)
    assert cells
    assert sum(int(count) for _, count in cells) == 9
    for address, count in cells:
        assert f">{count} image" in client.get(address.replace("&amp;", "&")).text
    answer = client.post("/gallery/explain", data={"show": "mistakes"})
    assert answer.status_code == 303
    run = finish(client, answer.location.rsplit("/", 1)[1])
    assert run["visualization"] == "GradCAM"
    assert [one["uid"] for one in run["results"]] == [image["uid"] for image in wrong]
    one = wrong[0]
    pair = {"label": one["label"], "predicted": one["predictions"][0]["name"]}
    run = finish(client, client.post("/gallery/explain", data=pair).location.rsplit("/", 1)[1])
    assert run["classes"] == [NAMES.index(pair["predicted"]), NAMES.index(pair["label"])]
    what_if = client.get(f"/images/{one['uid']}/what-if?show=mistakes").text
    assert set(re.findall(r'<li data-uid="(\d+)"', what_if)) == {str(image["uid"]) for image in wrong}


def test_images_added_later_are_predicted_alone(client: FlaskClient) -> None:
    send(client, 2)
    assert predicted(client)["done"] == 2
    send(client, 3, start=2)
    assert "3 images are not predicted yet" in client.get("/gallery").text
    assert predicted(client)["done"] == 5
    assert "No image has a class" in client.get("/gallery").text


def test_cancelling_keeps_what_was_computed(client: FlaskClient) -> None:
    assert client.post("/api/gallery").status_code == 404
    send(client, 2)
    assert client.post("/api/gallery/cancel").get_json() == {"ok": True}
    predicted(client)
    answer = client.post("/gallery/cancel", data={"show": "unsure"})
    assert (answer.status_code, answer.location) == (303, "/gallery?show=unsure")
    assert client.get("/api/gallery").get_json()["done"] == 2


def test_pages_of_a_hundred_images(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gallery, "PAGE", 4)
    send(client, 10)
    page = client.get("/gallery?page=2&sort=least").text
    assert 'href="/gallery?page=1&amp;sort=least"' in page
    assert 'href="/gallery?page=3&amp;sort=least"' in page
    part = client.get("/gallery?page=3&part=images").text
    assert len(re.findall("<li", part)) == 2
    assert "<html" not in part
    assert 'rel="next"' not in part
    # A page that no longer exists is the last one.
    assert "9 to 10 of 10" in client.get("/gallery?page=99").text


def test_an_audit_of_the_labelled_images(client: FlaskClient) -> None:
    send(client, 8, "dog")
    assert client.post("/gallery/audit").status_code == 400
    send(client, 8, "ant", 8)
    answer = client.post("/gallery/audit")
    assert answer.status_code == 303
    audit = client.get(f"/api{answer.location}").get_json()
    assert audit["classes"] == [{"name": "ant", "images": 8}, {"name": "dog", "images": 8}]
    client.post(f"/api{answer.location}/cancel")


def test_an_empty_gallery_and_wrong_states(client: FlaskClient) -> None:
    assert "There are no images yet" in client.get("/gallery").text
    assert client.get("/gallery?show=nothing").status_code == 400
    send(client, 1, "<img src=x onerror=alert(1)>")
    page = client.get("/gallery").text
    assert "<img src=x" not in page
    answer = client.post("/gallery/explain", data={"show": "mistakes"})
    assert (answer.status_code, "No images are shown" in answer.text) == (400, True)


@pytest.fixture(scope="module")
def labels_app() -> Iterator[Flask]:
    application = create_app(fake_settings(MODEL_CLS_NAME="MultiLabelModel"))
    yield application
    close(application)


def test_models_of_other_tasks_show_predictions_without_truth(labels_app: Flask) -> None:
    client = labels_app.test_client()
    send(client, 2, "ant")
    assert predicted(client)["accuracy"] is None
    page = client.get("/gallery").text
    assert "This model is no classifier with one class per image" in page
    assert "Confusion matrix" not in page
    image = client.get("/api/gallery/images").get_json()["images"][0]
    assert (image["label"], image["correct"], image["folder"]) == ("", None, "set/ant")
    assert image["predictions"][0]["name"] in page


def test_constants_of_the_page_are_those_of_its_text() -> None:
    assert (selection.PAGE, selection.UNSURE, gallery.MAX_EXPLAINED, gallery.MAX_HIDDEN) == (100, 0.2, 24, 500)


@pytest.mark.parametrize("query", ["show=zzz", "sort=zzz", "predicted=nope", "label=nope"])
def test_a_wrong_filter_has_a_link_to_the_gallery_without_it(client: FlaskClient, query: str) -> None:
    send(client, 1, "ant")
    field = query.partition("=")[0]
    wrong = client.get(f"/gallery?{query}&page=1")
    assert wrong.status_code == 400
    assert f'href="/gallery?page=1">Open the page without <em>{field}</em>' in wrong.text
    # An address with nothing else.
    assert f'href="/gallery">Open the page without <em>{field}</em>' in client.get(f"/gallery?{query}").text


def test_only_predictions_of_classes_can_be_ordered_by_confidence(monkeypatch: pytest.MonkeyPatch) -> None:
    found = {}
    for task in ("classification", "multi-label", "regression", "detection"):
        monkeypatch.setattr(gallery, "task", lambda task=task: task)
        found[task] = list(gallery.orders(task == "classification", "upload"))
    assert found == {
        "classification": ["upload", "least", "mistakes"],
        "multi-label": ["upload", "least"],
        "regression": ["upload"],
        "detection": ["upload"],
    }
    # What the address says is shown.
    assert list(gallery.orders(False, "least")) == ["upload", "least"]
