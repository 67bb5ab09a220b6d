"""The workspace: each state has an address, maps are computed once, and wrong input costs nothing."""

from __future__ import annotations

import re
from html import unescape
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.datastructures import MultiDict

from picasso.web.app import create_app
from picasso.web.pages import workspace
from picasso.web.pages.address import Address
from tests.conftest import Visitor, close, fake_settings, finish, upload
from tests.jobs.test_engine import until


def ids(client: FlaskClient) -> list[str]:
    """Return the ids of all runs of the session, the newest first."""
    found: Any = client.get("/api/runs").json
    return [run["id"] for run in found["runs"]]


def show(client: FlaskClient, **fields: object) -> str:
    """Compute a view, wait for its runs, and return its page."""
    answer = client.post("/view", data=fields)
    assert answer.status_code == 303, answer.text
    for run in ids(client):
        finish(client, run)
    return client.get(answer.location).text


def stage(page: str) -> str:
    """Return the part with the image and its map."""
    return page[page.index('<section class="stage"') : page.index('<section class="questions"')]


def current(page: str) -> list[str]:
    """Return the targets that are shown."""
    chosen = re.findall(r'<a class="target"[^>]*aria-current="true">(.*?)</a>', page, re.DOTALL)
    return [unescape(re.sub(r"<.*?>", " ", one)).split("  ")[0].strip() for one in chosen]


def test_an_upload_leads_to_the_first_new_image_and_its_map(client: FlaskClient) -> None:
    upload(client, 1)
    answer = client.post("/samples", data={"sample": ["0-00003.png", "1-00002.png"]})
    assert answer.location == "/?image=1"
    page = client.get(answer.location).text
    assert 'data-complete="false"' in page
    assert '<form method="post" action="/view" data-compute>' in page
    page = show(client, image="1")
    assert 'data-complete="true"' in page
    assert 'class="map"' in stage(page)
    # A quick map and an exact one.
    assert len(ids(client)) == 2
    assert "Partial occlusion" in page


def test_a_map_is_computed_once(client: FlaskClient) -> None:
    upload(client, 2)
    show(client, image="0")
    before = ids(client)
    show(client, image="0")
    show(client, image="0", question="parts")
    show(client, image="0", method="PartialOcclusion")
    assert ids(client) == before
    show(client, image="1", question="parts")
    assert len(ids(client)) == len(before) + 1


def test_runs_of_several_images_are_used_too(client: FlaskClient) -> None:
    upload(client, 3)
    run = client.post("/visualizations/PartialOcclusion").location.rsplit("/", 1)[1]
    finish(client, run)
    page = client.get("/?image=2&question=parts").text
    assert 'data-complete="true"' in page
    assert f"/outputs/{run}-2-" in stage(page)


def test_each_target_has_its_address(client: FlaskClient) -> None:
    upload(client, 1)
    page = show(client, image="0", question="parts")
    chips = re.findall(r'<a class="target" href="([^"]+)"', page)
    assert len(chips) == 5
    before = ids(client)
    shown = {current(client.get(unescape(chip)).text)[0] for chip in chips}
    assert len(shown) == 5
    # The most important predictions are explained together.
    assert ids(client) == before


def test_a_target_of_ones_own_is_computed_alone(client: FlaskClient, app: Flask) -> None:
    upload(client, 1)
    names = app.extensions["picasso"].model.class_names()
    page = show(client, image="0", question="parts")
    suggested = {
        parse_qs(urlsplit(unescape(one)).query)["target"][0]
        for one in re.findall(r'class="target" href="([^"]+)"', page)
    }
    other = next(index for index, name in enumerate(names) if name not in suggested)
    before = ids(client)
    page = show(client, image="0", question="parts", target=names[other])
    assert len(ids(client)) == len(before) + 1
    assert current(page) == [names[other]]
    # A number says the same as the name.
    assert (
        'data-complete="true"'
        in client.get("/", query_string={"image": "0", "question": "parts", "target": str(other)}).text
    )


def test_one_class_rather_than_another(client: FlaskClient) -> None:
    upload(client, 1)
    answer = client.post("/view", data={"image": "0", "question": "why"})
    (target,) = parse_qs(urlsplit(answer.location).query)["target"]
    assert re.fullmatch(r"(ant|bee|cat <b>|dog|elk|fox|gnu) vs (ant|bee|cat <b>|dog|elk|fox|gnu)", target)
    page = show(client, image="0", question="why")
    assert "rather than" in stage(page)
    assert len(current(page)) == 2
    # Either class can be changed, and the map is that of the two.
    assert 'data-complete="true"' in page
    # Another class asks why not the most probable one.
    first = target.split(" vs ")[0]
    answer = client.post("/view", data={"image": "0", "question": "why", "target": target.split(" vs ")[1]})
    assert parse_qs(urlsplit(answer.location).query)["target"] == [f"{target.split(' vs ')[1]} vs {first}"]


def test_the_question_can_be_turned_round(client: FlaskClient) -> None:
    upload(client, 1)
    page = show(client, image="0", question="why")
    first, second = current(page)
    links = re.findall(r'<a class="target" href="([^"]+)" [^>]*>([^<]*)</a>', page)
    turned = [unescape(link) for link, name in links if unescape(name).strip() == second]
    targets = [parse_qs(urlsplit(link).query)["target"][0] for link in turned]
    assert targets == [f"{second} vs {first}", f"{first} vs {second}"]


def test_classes_whose_names_are_indices_of_others() -> None:
    app = create_app(fake_settings(MODEL_CLS_NAME="NumberedModel"))
    app.test_client_class = Visitor
    try:
        client = app.test_client()
        until(lambda: client.get("/readyz").status_code == 200)
        upload(client, 1)
        page = show(client, image="0", question="parts")
        chips = re.findall(r'<a class="target" href="([^"]+)" [^>]*>([^<]*?) <span>', page)
        assert len(chips) == 5
        for link, name in chips:
            assert current(client.get(unescape(link)).text) == [name]
        others = re.findall(r'<figure class="other">\s*<a href="([^"]+)".*?<strong>(.*?)</strong>', page, re.DOTALL)
        assert len(others) == 4
        for link, name in others:
            assert current(client.get(unescape(link)).text) == [name]
        page = show(client, image="0", question="why")
        assert current(page) == [name for _, name in chips[:2]]
    finally:
        close(app)


def test_the_map_is_saved_with_the_opacity_of_the_view(client: FlaskClient) -> None:
    upload(client, 1)
    show(client, image="0", question="parts")
    saved = {}
    for opacity in ("", "20"):
        page = client.get("/", query_string={"image": "0", "question": "parts", "opacity": opacity}).text
        (link,) = re.findall(r'href="([^"]+)" download data-as-seen aria-label="Save the map', stage(page))[:1]
        saved[opacity] = client.get(unescape(link)).data
    assert saved[""] != saved["20"]


def test_a_wrong_target_does_not_follow_to_another_question(client: FlaskClient) -> None:
    upload(client, 1)
    page = client.get("/?image=0&target=banana").text
    assert 'value="banana"' in page
    links = re.findall(r'data-key="question-\w+"', page)
    addresses = re.findall(r'<a href="([^"]+)" data-in-place data-key="question-', page)
    assert len(links) == len(addresses) > 2
    assert not any("banana" in one for one in addresses)


def test_wrong_values_are_told_beside_their_fields_and_kept(client: FlaskClient) -> None:
    upload(client, 1)
    page = client.get("/?image=0&method=IntegratedGradients&Steps=9999999&target=no+such+class").text
    assert "Steps must be a whole number from 8 to 8192" in page
    assert 'value="9999999"' in page
    assert re.search(r'id="target-error">\s*<p>[^<]*no such class', page)
    # Nothing is computed, and JavaScript does not try.
    assert "data-compute data-failed" in page
    assert client.post("/view", data={"image": "0", "method": "IntegratedGradients", "Steps": "x"}).status_code == 400
    assert ids(client) == []
    assert client.get("/?image=0&method=Nothing").status_code == 404
    assert client.get("/?image=0&question=nothing").status_code == 404
    for window in ("abc", "nan", "1e999", ""):
        page = client.get("/", query_string={"method": "PartialOcclusion", "Window": window}).text
        assert "Window must be one of 0.50, " in page
    assert "There is no image with the number 7 in this session." in client.get("/?image=7").text
    assert client.get("/?image=../../x&target=" + "x" * 3000).status_code == 200


def test_without_images(client: FlaskClient) -> None:
    assert client.post("/view", data={"image": "0"}).status_code == 400
    page = client.get("/?image=0&method=PartialOcclusion").text
    assert "The session may have been deleted or have expired, or the server was restarted." in page


def test_a_suggestion_fills_in_its_field(client: FlaskClient) -> None:
    upload(client, 1)
    page = client.get("/?image=0&method=IntegratedGradients&Steps=9999").text
    assert '<button class="secondary outline small" name="use:Steps" value="8192"' in page
    page = client.get("/?image=0&method=IntegratedGradients&Steps=9999&use:Steps=8192").text
    assert "Steps must be" not in page
    assert 'value="8192"' in page


def test_removing_an_image_stops_its_map(client: FlaskClient) -> None:
    upload(client, 1)
    client.post("/view", data={"image": "0", "method": "Slow"})
    (run,) = ids(client)
    client.post("/images/0/remove")
    assert finish(client, run)["state"] == "cancelled"


def test_a_cancelled_map_can_be_computed_again(client: FlaskClient) -> None:
    upload(client, 1)
    answer = client.post("/view", data={"image": "0", "method": "Slow"})
    (run,) = ids(client)
    stopped = client.post(f"/view/{run}/cancel", data={"image": "0", "method": "Slow"})
    assert stopped.location == answer.location
    finish(client, run)
    assert "data-compute>" in client.get(answer.location).text
    client.post("/view", data={"image": "0", "method": "Slow"})
    assert len(ids(client)) == 2
    for one in ids(client):
        client.post(f"/view/{one}/cancel", data={"image": "0"})


def test_a_failure_is_told_and_repeated_only_on_request(client: FlaskClient) -> None:
    upload(client, 1)
    page = show(client, image="0", method="Trouble")
    assert "Trouble failed." in page
    assert "data-compute data-failed" in page
    assert "Try again" in page
    show(client, image="0", method="Trouble")
    assert len(ids(client)) == 2


def test_single_maps_are_not_listed_and_the_oldest_are_deleted(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload(client, 1)
    show(client, image="0", question="parts")
    (first,) = ids(client)
    assert first not in client.get("/visualizations").text
    monkeypatch.setattr(workspace, "MAX_MAPS", 2)
    for window in ("0.50", "0.40"):
        show(client, image="0", method="PartialOcclusion", Window=window)
    assert len(ids(client)) == 2
    assert first not in ids(client)


def test_results_of_another_model_are_not_shown(
    client: FlaskClient, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload(client, 1)
    assert 'data-complete="true"' in show(client, image="0")
    status = app.extensions["picasso"].model.status()
    other = {**status, "card": {**status["card"], "fingerprint": "another"}}
    monkeypatch.setattr(type(app.extensions["picasso"].model), "status", lambda self: other)
    assert 'data-complete="false"' in client.get("/?image=0").text


def test_the_strip_shows_the_images_around_the_current_one(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workspace, "MAX_STRIP", 4)
    upload(client, 9)
    for image, shown in (("0", range(4)), ("5", range(3, 7)), ("8", range(5, 9))):
        page = client.get(f"/?image={image}").text
        assert re.findall(r'data-uid="(\d+)"', page) == [str(uid) for uid in shown]


def test_an_address_survives_being_read_and_written() -> None:
    address = Address.read(MultiDict({"image": " 3", "method": "M", "Window": "1", "target": "a b", "other": "x"}))
    assert address.fields() == {"image": "3", "method": "M", "target": "a b", "Window": "1"}
    # Settings belong to a method.
    assert Address.read(MultiDict({"Window": "1"})).fields() == {}
