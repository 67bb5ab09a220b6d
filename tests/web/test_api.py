"""The REST contract: the original's calls with the original's fields, and asynchronous runs."""

from __future__ import annotations

import html
import io
import re
from typing import Any

import numpy as np
import pytest
from flask import Flask
from flask.testing import FlaskClient

from picasso import __version__, explain
from picasso.jobs.served_model import ServedModel
from picasso.storage.session import Session
from picasso.storage.store import Storage
from tests.conftest import COOKIE, finish, noise_image, png, upload
from tests.fakes import LinearModel
from tests.jobs.test_engine import until


def test_root_and_state(client: FlaskClient) -> None:
    for address in ("/api/", "/api"):
        assert client.get(address).json == {
            "message": "Picasso shows where an image classifier looks.",
            "version": __version__,
        }
    upload(client)
    client.get("/api/visualize?image=0&visualizer=ClassProbabilities")  # by now the model is loaded
    state: Any = client.get("/api/app_state").json
    assert state["app_title"] == "Picasso <under test>"
    assert state["model_name"] == "LinearModel"
    assert state["latest_ckpt_name"] == "linear.npz"
    assert state["latest_ckpt_time"] == "2026-01-02 03:04:05"
    assert state["state"] == "ready"


def test_images(client: FlaskClient) -> None:
    assert client.get("/api/images").json == {"images": []}
    answer: Any = client.post("/api/images", data={"file": (io.BytesIO(png()), "a.png")})
    assert answer.json["ok"] == "true"
    assert answer.json["uid"] == 0
    assert re.fullmatch(r"[\w-]+\.png", answer.json["file"])
    assert "HttpOnly" in answer.headers["Set-Cookie"]
    assert "SameSite=Lax" in answer.headers["Set-Cookie"]
    second: Any = client.post("/api/images", data={"file": (io.BytesIO(png()), "a.png")})
    assert second.json["uid"] == 1
    assert "Set-Cookie" not in second.headers
    listed: Any = client.get("/api/images").json
    assert [(one["uid"], one["name"]) for one in listed["images"]] == [(0, "a.png"), (1, "a.png")]
    assert listed["images"][0]["filename"] == answer.json["file"]
    assert client.get(f"/api/inputs/{answer.json['file']}").mimetype == "image/png"
    assert client.delete("/api/images/0").json == {"ok": "true"}
    assert client.get(f"/api/inputs/{answer.json['file']}").status_code == 404


def test_visualizers(client: FlaskClient) -> None:
    listed: Any = client.get("/api/visualizers").json
    names = [one["name"] for one in listed["visualizers"]]
    assert {"ClassProbabilities", "PartialOcclusion", "SaliencyMaps"} <= set(names)
    titles = {one["name"]: one["title"] for one in listed["visualizers"]}
    assert titles["PartialOcclusion"] == "Partial occlusion"
    for one in listed["visualizers"]:
        assert one["documentation"].startswith("visualizations/") == bool(one["misleads"])
    reasons = {one["name"]: one.get("reason") for one in listed["visualizers"]}
    assert "broken on purpose" in reasons["broken"]
    occlusion: Any = client.get("/api/visualizers/PartialOcclusion").json
    assert occlusion["settings"] == {
        "Window": ["0.50", "0.40", "0.30", "0.20", "0.10", "0.05"],
        "Strides": ["2", "5", "10", "20", "30"],
        "Occlusion": ["grey", "black", "white", "mean", "blur", "noise", "all", "dropped"],
        "Show": ["drop", "drop of probability", "drop of log-odds", "probability"],
    }
    saliency: Any = client.get("/api/visualizers/SaliencyMaps").json
    assert list(saliency["settings"]) == ["Method", "Samples", "Error", "Noise", "Seed", "Transparency"]
    assert [float(value) for value in saliency["settings"]["Transparency"]] == [0.25, 0, 0.5, 0.75]
    probabilities: Any = client.get("/api/visualizers/ClassProbabilities").json
    assert probabilities["settings"] == {}
    means: Any = client.get("/api/visualizers/Means").json
    assert [field["kind"] for field in means["fields"]] == ["slider", "number", "toggle", "choice"]
    maximization: Any = client.get("/api/visualizers/ActivationMaximization").json
    channels = next(field for field in maximization["fields"] if field["name"] == "Channels")
    assert (channels["kind"], channels["default"]) == ("text", "none")
    assert channels["form"] == "a channel such as 17, or channels with weights such as 3:1, 17:-0.5"
    assert re.fullmatch(channels["pattern"], "3:1, 17:-0.5")
    assert maximization["settings"]["Channels"] == []
    assert (
        '<input id="Channels" name="Channels" value="" placeholder="none"'
        in client.get("/visualizations/ActivationMaximization").text
    )


def test_visualize_as_the_original_did(client: FlaskClient) -> None:
    upload(client, 2)
    address = "/api/visualize?image=1&visualizer=PartialOcclusion&Window=0.30&Strides=5&Occlusion=white"
    answer: Any = client.get(address).json
    assert set(answer) == {
        "input_file_name",
        "predict_probs",
        "has_output",
        "output_file_names",
        "has_processed_input",
        "processed_input_file_name",
    }
    assert len(answer["predict_probs"]) == len(answer["output_file_names"]) == 5
    for one in answer["predict_probs"]:
        assert set(one) == {"index", "name", "prob"}
        assert re.fullmatch(r"[01]\.\d{3}", one["prob"])
    assert answer["has_output"] is True
    assert answer["has_processed_input"] is True
    for name in [*answer["output_file_names"], answer["processed_input_file_name"]]:
        served = client.get(f"/api/outputs/{name}")
        assert (served.status_code, served.mimetype) == (200, "image/png")
    assert client.get(f"/api/inputs/{answer['input_file_name']}").status_code == 200


def test_visualize_without_output(client: FlaskClient) -> None:
    upload(client)
    answer: Any = client.get("/api/visualize?image=0&visualizer=ClassProbabilities").json
    assert (answer["has_output"], answer["output_file_names"], answer["has_processed_input"]) == (False, [], False)


def test_reset(client: FlaskClient) -> None:
    upload(client)
    assert client.get("/api/reset").json == {"ok": "true"}
    assert client.get("/api/images").json == {"images": []}
    assert client.get("/api/reset").json == {"ok": "true"}


def test_runs_from_start_to_deletion(client: FlaskClient, linear: LinearModel) -> None:
    upload(client, 3)
    body = {"visualization": "SaliencyMaps", "images": [2, 0], "settings": {"Transparency": 0.5}}
    answer: Any = client.post("/api/runs", json=body)
    assert answer.status_code == 202
    assert answer.headers["Location"] == answer.json["url"] == f"/api/runs/{answer.json['id']}"
    state = finish(client, answer.json["id"])
    assert (state["state"], state["fraction"], state["done"], state["total"]) == ("finished", 1.0, 2, 2)
    assert [result["uid"] for result in state["results"]] == [2, 0]
    for result in state["results"]:
        (expected,) = explain(linear, noise_image(result["uid"]), "SaliencyMaps", Transparency=0.5)
        assert result["predictions"] == [pytest.approx(one, abs=1e-6) for one in expected.predictions]
        assert result["model"]["checkpoint"] == "linear.npz"
        with np.load(io.BytesIO(client.get(result["arrays_url"]).data)) as arrays:
            for index, panel in enumerate(expected.panels):
                np.testing.assert_allclose(arrays[f"panel_{index}"], panel.array, atol=1e-6)
        for panel in result["panels"]:
            assert client.get(panel["url"]).mimetype == "image/png"
            assert client.get(panel["legend_url"]).mimetype == "image/png"
    polled: Any = client.get(answer.json["url"] + "?results=false").json
    assert polled == {key: value for key, value in state.items() if key != "results"}
    listed: Any = client.get("/api/runs").json
    assert [(run["id"], run["state"]) for run in listed["runs"]] == [(answer.json["id"], "finished")]
    assert client.delete(answer.json["url"]).json == {"ok": True}
    assert client.get(answer.json["url"]).status_code == 404
    assert client.get(state["results"][0]["panels"][0]["url"]).status_code == 404


def test_deleting_a_run_at_work_cancels_it(client: FlaskClient) -> None:
    upload(client)
    answer: Any = client.post("/api/runs", json={"visualization": "Slow", "settings": {"Steps": 100_000}})
    assert client.delete(answer.json["url"]).status_code == 200
    # The worker is free again for the next run.
    after: Any = client.get("/api/visualize?image=0&visualizer=ClassProbabilities")
    assert after.status_code == 200


def error_of(answer: Any) -> tuple[int, str, str | None]:
    assert answer.json["ok"] is False
    assert set(answer.json) == {"ok", "error"}
    assert set(answer.json["error"]) <= {"code", "message", "field"}
    assert answer.json["error"]["message"].endswith(".")
    return answer.status_code, answer.json["error"]["code"], answer.json["error"].get("field")


def test_errors_have_one_shape(client: FlaskClient) -> None:
    upload(client)
    run = {"visualization": "PartialOcclusion"}
    cases: list[tuple[Any, tuple[int, str, str | None]]] = [
        (client.get("/api/nope"), (404, "not_found", None)),
        (client.put("/api/images"), (405, "method_not_allowed", None)),
        (client.post("/api/images", data={}), (400, "bad_request", "file")),
        (client.post("/api/images", data={"file": (io.BytesIO(b"x"), "a.png")}), (415, "unsupported_image", None)),
        (client.get("/api/visualize?image=0"), (400, "bad_request", "visualizer")),
        (client.get("/api/visualize?visualizer=SaliencyMaps"), (400, "bad_request", "image")),
        (client.get("/api/visualize?image=7&visualizer=SaliencyMaps"), (404, "not_found", "image")),
        (client.get("/api/visualize?image=/etc/passwd&visualizer=SaliencyMaps"), (400, "bad_request", "image")),
        (client.get("/api/visualize?image=0&visualizer=Nope"), (404, "not_found", None)),
        (client.get("/api/visualize?image=0&visualizer=PartialOcclusion&Window=7"), (400, "bad_request", "Window")),
        (client.get("/api/visualize?image=0&visualizer=PartialOcclusion&Nope=7"), (400, "bad_request", "Nope")),
        (client.get("/api/visualize?image=0&visualizer=Trouble"), (500, "run_failed", None)),
        (client.get("/api/visualizers/broken"), (400, "bad_request", None)),
        (client.post("/api/runs", data="{", content_type="application/json"), (400, "bad_request", None)),
        (client.post("/api/runs", data="{}"), (415, "unsupported_type", None)),
        (client.post("/api/runs", json=[]), (400, "bad_request", None)),
        (client.post("/api/runs", json=run | {"images": "0"}), (400, "bad_request", "images")),
        (client.post("/api/runs", json=run | {"images": []}), (400, "bad_request", "images")),
        (client.post("/api/runs", json=run | {"images": [99]}), (404, "not_found", "images")),
        (client.post("/api/runs", json=run | {"settings": []}), (400, "bad_request", "settings")),
        (client.post("/api/runs", json=run | {"settings": {"Window": "nan"}}), (400, "bad_request", "Window")),
        (client.post("/api/runs", json={"visualization": "broken"}), (400, "bad_request", "visualization")),
        (client.get("/api/runs/nope"), (404, "not_found", None)),
        (client.get("/api/outputs/nope"), (404, "not_found", None)),
        (client.get("/api/inputs/..%2f..%2fetc%2fpasswd"), (404, "not_found", None)),
    ]
    for answer, expected in cases:
        assert error_of(answer) == expected, answer.request.path


def test_nothing_of_one_session_is_seen_from_another(app: Flask) -> None:
    mine, other = app.test_client(), app.test_client()
    upload(mine)
    upload(other)
    answer: Any = mine.post("/api/runs", json={"visualization": "SaliencyMaps"})
    result = finish(mine, answer.json["id"])["results"][0]
    name: str = result["filename"]
    for address in (
        answer.json["url"],
        f"/api/inputs/{name}",
        result["panels"][0]["url"],
        f"/runs/{answer.json['id']}",
    ):
        assert mine.get(address).status_code == 200
        stranger, unknown = other.get(address), other.get(re.sub(r"[0-9a-f]{8}", "deadbeef", address, count=1))
        assert stranger.status_code == unknown.status_code == 404
        assert stranger.text == unknown.text
    assert other.delete(answer.json["url"]).status_code == 404


def test_two_tabs_with_different_settings_do_not_disturb_each_other(app: Flask, linear: LinearModel) -> None:
    client = app.test_client()
    upload(client, 6)
    wanted = [("0.50", "2"), ("0.10", "10"), ("0.30", "20"), ("0.20", "5")]
    started: list[tuple[str, str, str]] = []
    for window, strides in wanted:
        body = {"visualization": "PartialOcclusion", "settings": {"Window": window, "Strides": strides}}
        answer: Any = client.post("/api/runs", json=body)
        started.append((answer.json["id"], window, strides))
    for run_id, window, strides in started:
        state = finish(client, run_id)
        chosen = {"Window": float(window), "Strides": int(strides), "Occlusion": "grey", "Show": "drop"}
        assert state["settings"] == chosen
        for result in state["results"]:
            (alone,) = explain(linear, noise_image(result["uid"]), Window=window, Strides=strides)
            with np.load(io.BytesIO(client.get(result["arrays_url"]).data)) as arrays:
                for index, panel in enumerate(alone.panels):
                    np.testing.assert_array_equal(arrays[f"panel_{index}"], panel.array)


def test_the_cookie_holds_an_id_and_nothing_else(client: FlaskClient) -> None:
    upload(client)
    cookie = client.get_cookie(COOKIE)
    assert cookie is not None
    assert re.fullmatch(r"[0-9a-f]{32}", cookie.value)


def test_two_classes_against_each_other(client: FlaskClient, linear: LinearModel) -> None:
    upload(client)
    body = {"visualization": "SaliencyMaps", "classes": ["bee vs ant", 3], "settings": {"Method": "gradient x input"}}
    started: Any = client.post("/api/runs", json=body).json
    state = finish(client, started["id"])
    assert state["classes"] == [[1, 0], 3]
    panels = state["results"][0]["panels"]
    assert [panel["title"] for panel in panels] == ["bee rather than ant", "dog"]
    (alone,) = explain(linear, noise_image(0), "SaliencyMaps", classes=["1 vs 0", "dog"], Method="gradient x input")
    values = np.frombuffer(client.get(panels[0]["values_url"]).data, "<f4").reshape(6, 9)
    np.testing.assert_array_equal(values, alone.panels[0].array)
    page = client.get(f"/runs/{started['id']}").text
    assert "bee vs ant, dog" in page
    # The command is wrapped where it gets long, which depends on the names of folders.
    command = html.unescape(page).replace("\\\n", " ")
    assert "--target 'bee vs ant' --target dog" in re.sub(r" +", " ", command)
    wrong = client.post("/api/runs", json={**body, "classes": ["bee vs wasp"]})
    assert wrong.status_code == 400
    assert "The model has no class wasp" in wrong.text


def test_of_many_layers_some_are_listed(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    upload(client)
    monkeypatch.setattr(ServedModel, "layers", lambda self: [f"conv_{number}" for number in range(300)])
    wrong: Any = client.post("/api/runs", json={"visualization": "GradCAM", "settings": {"Layer": "conv_42x"}})
    message = wrong.json["error"]["message"]
    assert "conv_19 and 280 more, not conv_42x. Did you mean conv_42?" in message
    assert "conv_20," not in message


def test_a_layer_that_the_model_does_not_have(client: FlaskClient) -> None:
    upload(client)
    until(lambda: client.get("/api/app_state").get_json()["state"] == "ready")
    body = {"visualization": "GradCAM", "settings": {"Layer": "nose"}}
    wrong: Any = client.post("/api/runs", json=body)
    assert wrong.status_code == 400
    assert wrong.json["error"]["message"] == "Layer must be one of input, not nose."
    assert wrong.json["error"]["field"] == "Layer"
    for name in ("input", "default", ""):
        started: Any = client.post("/api/runs", json={**body, "settings": {"Layer": name}}).json
        assert finish(client, started["id"])["state"] == "finished"
    assert '<option value="">input (default)</option>' in client.get("/visualizations/GradCAM").text


@pytest.mark.parametrize("call", ["GET /api/images", "GET /api/runs", "POST /api/runs", "POST /api/images", "GET /"])
def test_a_session_that_is_deleted_during_a_request_is_no_fault_of_the_server(
    app: Flask, call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = app.test_client()
    upload(client)
    found = Storage.find

    def gone(self: Storage, session_id: str | None, **how: bool) -> Session | None:
        session = found(self, session_id, **how)
        if session:
            self.remove(session)
        return session

    monkeypatch.setattr(Storage, "find", gone)
    method, address = call.split()
    more: dict[str, Any] = {"json": {"visualization": "ClassProbabilities"}} if address.endswith("runs") else {}
    if (method, address) == ("POST", "/api/images"):
        more = {"data": {"file": (io.BytesIO(png()), "a.png")}}
    answer = client.open(address, method=method, **(more if method == "POST" else {}))
    assert answer.status_code in (200, 400, 404), answer.text


@pytest.mark.parametrize("address", ["/api/images", "/images", "/samples", "/api/audits", "/audit"])
def test_what_is_refused_leaves_no_session(app: Flask, monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    sessions = app.extensions["picasso"].storage.folder / "sessions"
    client, before = app.test_client(), set(sessions.iterdir())
    monkeypatch.setattr(app.extensions["picasso"].model, "no_audits", lambda: "No audit can be done here.")
    for data in (
        {},
        {"file": (io.BytesIO(b"no image"), "a.png")},
        {"file": [(io.BytesIO(png()[:60]), "a.png"), (io.BytesIO(b""), "b.png")]},
        {"file": (io.BytesIO(png()), "ant/a.png")} if "audit" in address else {"sample": "none"},
    ):
        answer = client.post(address, data=data)
        assert answer.status_code >= 400, answer.text
        assert "Set-Cookie" not in answer.headers
        assert set(sessions.iterdir()) == before
    # Looking leaves none either.
    for looked in ("/", "/api/images", "/api/runs", "/audit", "/model"):
        assert "Set-Cookie" not in client.get(looked).headers
    assert set(sessions.iterdir()) == before


def test_an_upload_with_a_refused_image_stores_none(client: FlaskClient) -> None:
    good = png(noise_image(1))
    files = [(io.BytesIO(good), "a.png"), (io.BytesIO(b"no image"), "b.png"), (io.BytesIO(good), "c.png")]
    answer: Any = client.post("/api/images", data={"file": files})
    assert (answer.status_code, answer.json["error"]["code"]) == (415, "unsupported_image")
    assert client.get_cookie(COOKIE) is None
    upload(client)
    files = [(io.BytesIO(good), "a.png"), (io.BytesIO(b"no image"), "b.png")]
    assert client.post("/api/images", data={"file": files}).status_code == 415
    listed: Any = client.get("/api/images").json
    assert len(listed["images"]) == 1


def test_errors_do_not_repeat_long_texts(client: FlaskClient) -> None:
    upload(client)
    body = {"visualization": "PartialOcclusion", "settings": {"x" * 100_000: 1}}
    answer = client.post("/api/runs", json=body)
    assert answer.status_code == 400
    assert len(answer.data) < 3_000
