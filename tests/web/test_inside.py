"""Channels in the browser's view: the endpoints, the names, the page, and models without feature maps."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from flask.testing import FlaskClient

from picasso.storage import session as sessions
from picasso.web.app import create_app
from picasso.web.pages.inside import stages
from tests.conftest import Visitor, close, fake_settings, upload
from tests.jobs.test_engine import until


@pytest.fixture(scope="module")
def closed() -> Iterator[FlaskClient]:
    """A visitor of a server whose model only predicts."""
    application = create_app(fake_settings(MODEL_CLS_NAME="BlackBoxModel"))
    application.test_client_class = Visitor
    yield application.test_client()
    close(application)


@pytest.fixture
def visitor(client: FlaskClient) -> FlaskClient:
    """A visitor with two images, whose model is loaded."""
    upload(client, 2)
    until(lambda: client.get("/api/app_state").get_json()["state"] == "ready")
    return client


def ask(client: FlaskClient, path: str, **body: Any) -> Any:
    answer = client.post(path, json=body)
    assert answer.status_code == 200, answer.text
    return answer.get_json()


def test_the_channels_of_an_image(visitor: FlaskClient) -> None:
    found = ask(visitor, "/api/channels", image=1, order="activation")
    assert found["total"] == len(found["channels"]) == found["shape"][2]
    assert found["target"]["text"]
    assert all(one["map"].startswith("data:image/png;base64,") and one["name"] == "" for one in found["channels"])
    relevant = ask(visitor, "/api/channels", image=1, target="1 vs 0", count=1)
    assert (relevant["target"]["text"], len(relevant["channels"])) == ("1 vs 0", 1)
    region = ask(visitor, "/api/channels", image=1, order="region", region=[0, 0, 0.5, 0.5])
    assert sorted(one["channel"] for one in region["channels"]) == sorted(one["channel"] for one in found["channels"])


def test_a_channel_is_switched_off_in_all_images(visitor: FlaskClient) -> None:
    answers = ask(visitor, "/api/channel", channel=0, scale=0)["answers"]
    assert [one["uid"] for one in answers] == [0, 1]
    assert answers[0]["before"] != answers[0]["after"]
    same = ask(visitor, "/api/channel", channel=0, scale=1, images=[1], crops=True)["answers"]
    assert [one["prob"] for one in same[0]["before"]] == pytest.approx([one["prob"] for one in same[0]["after"]])
    assert same[0]["activation"]["crop"].startswith("data:")


@pytest.mark.parametrize(
    ("path", "body", "status", "words"),
    [
        ("/api/channels", {"image": 0, "order": "colour"}, 400, "must be one of"),
        ("/api/channels", {"image": 0, "order": "region"}, 400, "needs a region"),
        ("/api/channels", {"image": 0, "order": "region", "region": [0.5, 0, 0.4, 1]}, 400, "left at most right"),
        ("/api/channels", {"image": 0, "region": [0, 0, 1]}, 400, "a list of 4 values in which each value is a number"),
        ("/api/channels", {"image": 0, "only": [99]}, 400, "and none 99"),
        ("/api/channels", {"image": 7}, 404, "no image"),
        ("/api/channels", {"image": 0, "layer": "attic"}, 400, "layer must be one of"),
        ("/api/channels", {"image": 0, "target": "unicorn"}, 400, "unicorn"),
        ("/api/channel", {"channel": 0}, 400, "Give either scale"),
        ("/api/channel", {"channel": 0, "scale": 1, "value": 1}, 400, "Give either scale"),
        ("/api/channel", {"channel": 0, "scale": 1e39}, 400, "scale must be null or a number from -3.4e"),
        ("/api/channel", {"channel": 0, "value": -1e39}, 400, "value must be null or a number from -3.4e"),
        ("/api/channel", {"channel": 99, "scale": 1}, 400, "channels, from 0 to"),
    ],
)
def test_mistakes_are_explained(visitor: FlaskClient, path: str, body: Any, status: int, words: str) -> None:
    answer: Any = visitor.post(path, json=body)
    assert answer.status_code == status, answer.text
    assert words in answer.json["error"]["message"]


def test_channels_are_named(visitor: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    layer = ask(visitor, "/api/channels", image=0)["layer"]

    def name(channel: int, text: str, status: int = 200) -> Any:
        answer = visitor.put("/api/channel/name", json={"layer": layer, "channel": channel, "name": text})
        assert answer.status_code == status, answer.text
        return answer.get_json()

    assert visitor.put("/api/channel/name", json={"channel": 0, "name": "of the default layer"}).status_code == 200
    page = visitor.get("/images/0/inside").get_data(as_text=True)
    assert f">of the default layer</a> <small>{layer}, channel 0</small>" in page

    def names() -> dict[int, str]:
        found = ask(visitor, "/api/channels", image=0)["channels"]
        return {one["channel"]: one["name"] for one in found if one["name"]}

    name(0, "  bright\n stripes ")
    name(1, "dark")
    assert names() == {0: "bright stripes", 1: "dark"}
    name(1, "")
    name(0, "edges")
    assert names() == {0: "edges"}
    name(0, "")
    assert "Named channels" not in visitor.get("/images/0/inside").get_data(as_text=True)
    name(0, "edges")
    name(0, "x" * 61, status=400)
    monkeypatch.setattr(sessions, "MAX_CHANNEL_NAMES", 1)
    assert "at most 1 channels" in name(1, "one more", status=413)["error"]["message"]
    # An old name can be changed nevertheless.
    name(0, "corners")
    assert names() == {0: "corners"}
    page = visitor.get("/images/0/inside").get_data(as_text=True)
    assert f'channel=0">corners</a> <small>{layer}, channel 0</small>' in page


def test_the_page_lists_the_layers(visitor: FlaskClient) -> None:
    page = visitor.get("/images/0/inside").get_data(as_text=True)
    assert 'data-inside="/api/channels"' in page
    layer = ask(visitor, "/api/channels", image=0)["layer"]
    assert f'aria-current="true">{layer}</a>' in page
    assert visitor.get("/images/9/inside").status_code == 404
    missing = visitor.get("/images/0/inside?layer=attic")
    assert missing.status_code == 404
    assert "attic" in missing.get_data(as_text=True)
    assert "/images/0/inside" in visitor.get("/?image=0").get_data(as_text=True)


def test_layers_of_the_same_size_are_one_stage() -> None:
    layers = [{"name": name, "shape": [side, side, 3]} for name, side in (("a", 8), ("b", 8), ("c", 4), ("d", 8))]
    assert [(size, [one["name"] for one in same]) for size, same in stages(layers)] == [
        ((8, 8), ["a", "b"]),
        ((4, 4), ["c"]),
        ((8, 8), ["d"]),
    ]


def test_a_model_that_only_predicts_is_told_so(closed: FlaskClient) -> None:
    upload(closed)
    until(lambda: closed.get("/api/app_state").get_json()["state"] == "ready")
    why = "It needs feature maps, which this model does not provide."
    first = closed.get("/?image=0").get_data(as_text=True)
    assert f"<span>What do its channels respond to?</span> <small>{why}</small>" in first
    page = closed.get("/images/0/inside").get_data(as_text=True)
    assert why in page
    assert "data-inside" not in page
    answer: Any = closed.post("/api/channels", json={"image": 0})
    assert (answer.status_code, "has no feature maps" in answer.json["error"]["message"]) == (500, True)
