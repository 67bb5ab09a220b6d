"""The description of the REST API: complete, valid, in step with the routes and the pages, and true."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from openapi_schema_validator import OAS31Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from picasso.web.app import create_app
from picasso.web.error_handlers import SENTENCES
from tests.conftest import close, fake_settings, finish, noise_image, png, upload
from tests.docs.blocks import PAGES


@pytest.fixture(scope="module")
def description(app: Flask) -> dict[str, Any]:
    answer = app.test_client().get("/api/openapi.json")
    assert (answer.status_code, answer.mimetype) == (200, "application/json")
    document: dict[str, Any] = answer.get_json()
    return document


def described_operations(description: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, operations in description["paths"].items():
        for method, operation in operations.items():
            yield method.upper(), path, operation


def as_path(rule: str) -> str:
    return re.sub(r"<(?:int:)?(\w+)>", r"{\1}", rule)


def test_it_is_valid(description: dict[str, Any]) -> None:
    assert description["openapi"].startswith("3.1.")
    assert list(OpenAPIV31SpecValidator(description).iter_errors()) == []


def test_routes_description_and_page_are_in_step(app: Flask, description: dict[str, Any]) -> None:
    rules = [rule for rule in app.url_map.iter_rules() if rule.rule.startswith("/api")]
    routes = {(method, as_path(rule.rule)) for rule in rules for method in (rule.methods or set())}
    routes = {(method, path) for method, path in routes if method not in ("HEAD", "OPTIONS")}
    described = {(method, path) for method, path, _ in described_operations(description)}
    on_page = re.findall(r"^### `([A-Z]+) (/api\S*)`$", PAGES["rest.md"], re.MULTILINE)
    assert described == routes == {(method, as_path(rule)) for method, rule in on_page}


def test_every_operation_is_whole(description: dict[str, Any]) -> None:
    names = []
    statuses = set()
    for method, path, operation in described_operations(description):
        where = f"{method} {path}"
        names.append(operation["operationId"])
        assert operation["summary"].endswith("."), where
        assert "``" not in operation["summary"], where
        assert {one["name"] for one in operation["parameters"] if one["in"] == "path"} == set(
            re.findall(r"\{(\w+)\}", path)
        ), where
        assert all(one["description"] for one in operation["parameters"]), where
        assert {"200", "202"} & set(operation["responses"]), where
        assert all(one.get("description", "$ref" in one) for one in operation["responses"].values()), where
        statuses |= set(operation["responses"])
    assert len(names) == len(set(names))
    assert {str(status) for status in (*SENTENCES, 403, 429, 503, 507)} <= statuses


def references(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        yield from ([part["$ref"]] if "$ref" in part else [])
        for value in part.values():
            yield from references(value)
    elif isinstance(part, list):
        for value in part:
            yield from references(value)


def test_no_schema_is_left_over_or_missing(description: dict[str, Any]) -> None:
    parts = description["components"]
    known = {f"#/components/{kind}/{name}" for kind in ("schemas", "responses") for name in parts[kind]}
    assert set(references(description)) == known
    assert all(schema["description"] for schema in parts["schemas"].values())
    assert not any(">>>" in schema["description"] for schema in parts["schemas"].values())


def check(description: dict[str, Any], schema: dict[str, Any], value: Any) -> None:
    """Check a value against a schema that may refer to others; no field may be missing in either."""
    OAS31Validator({**closed(schema), "components": closed(description["components"])}).validate(value)


def closed(part: Any) -> Any:
    """Return schemas that allow no other fields than they name."""
    if isinstance(part, list):
        return [closed(one) for one in part]
    if not isinstance(part, dict):
        return part
    more = {"additionalProperties": False} if "properties" in part and "type" in part else {}
    return {key: closed(value) for key, value in part.items()} | more


def fits(description: dict[str, Any], method: str, path: str, answer: Any) -> Any:
    """Check an answer against what its operation promises, and return its document."""
    response = description["paths"][path][method.lower()]["responses"][str(answer.status_code)]
    if "$ref" in response:
        response = description["components"]["responses"][response["$ref"].rpartition("/")[2]]
    assert answer.mimetype in response["content"]
    if answer.mimetype == "application/json":
        check(description, response["content"]["application/json"]["schema"], answer.json)
    return answer.json


def test_examples_fit_their_schemas(description: dict[str, Any]) -> None:
    checked = 0
    for _, _, operation in described_operations(description):
        for content in operation.get("requestBody", {}).get("content", {}).values():
            if "example" in content:
                check(description, content["schema"], content["example"])
                checked += 1
    for response in description["components"]["responses"].values():
        content = response["content"]["application/json"]
        for example in content["examples"].values():
            check(description, content["schema"], example["value"])
            checked += 1
    assert checked > 12


def test_answers_fit_their_schemas(client: FlaskClient, description: dict[str, Any]) -> None:
    def ask(method: str, path: str, address: str = "", **more: Any) -> Any:
        return fits(description, method, path, client.open(address or path, method=method, **more))

    files = [(io.BytesIO(png(noise_image(seed))), "a.png") for seed in range(2)]
    assert len(ask("POST", "/api/images", data={"file": files})["images"]) == 2
    ask("GET", "/api/visualize", "/api/visualize?image=0&visualizer=PartialOcclusion&Window=0.30")  # now it is loaded
    body = {"visualization": "PartialOcclusion", "classes": [0, "bee vs ant"], "images": [1, 0]}
    started = ask("POST", "/api/runs", json=body)
    finish(client, started["id"])
    run = ask("GET", "/api/runs/{run_id}", started["url"])
    assert {panel["kind"] for result in run["results"] for panel in result["panels"]} == {"map", "image"}
    ask("GET", "/api/runs/{run_id}", started["url"] + "?results=false")
    values = next(panel["values_url"] for panel in run["results"][0]["panels"] if panel["kind"] == "map")
    ask("GET", "/api/runs/{run_id}/values/{place}/{panel}", values)
    for name in ("results.zip", "results.csv"):
        ask("GET", f"/api/runs/{{run_id}}/{name}", f"{started['url']}/{name}")
    ask("GET", "/api/runs/{ids}/report.html", f"{started['url']}/report.html")
    for name in ("panel-0.png", "arrays.npz", "result.json"):
        ask("GET", "/api/outputs/{name}", f"/api/outputs/{started['id']}-0-{name}")
    hidden = [{"box": [0, 0, 0.5, 1]}, {"line": [[0.1, 0.1]], "width": 0.2}]
    ask("POST", "/api/what-if", json={"shapes": hidden, "fill": "image", "other": 1, "view": True})
    layer = ask("POST", "/api/channels", json={"image": 0, "order": "region", "region": [0, 0, 0.5, 1]})["layer"]
    ask("PUT", "/api/channel/name", json={"layer": layer, "channel": 0, "name": "stripes"})
    ask("POST", "/api/channel", json={"channel": 0, "scale": 0.5, "crops": True})
    ask("PUT", "/api/images/order", json={"images": [1, "0"]})
    for name in ("Means", "GradCAM", "PartialOcclusion"):
        ask("GET", "/api/visualizers/{name}", f"/api/visualizers/{name}")
    ask("GET", "/api/visualizers/{name}/estimate", "/api/visualizers/PartialOcclusion/estimate?Strides=10")
    for path in ("", "app_state", "model", "images", "visualizers", "runs", "openapi.json", "docs"):
        ask("GET", f"/api/{path}")
    ask("POST", "/api/runs/{run_id}/cancel", started["url"] + "/cancel")
    ask("DELETE", "/api/runs/{run_id}", started["url"])
    ask("DELETE", "/api/images/{uid}", "/api/images/0")
    ask("GET", "/api/reset")
    # And where something is wrong.
    ask("GET", "/api/runs/{run_id}", started["url"])
    ask("POST", "/api/runs", json={"visualization": 3})
    ask("POST", "/api/images", data={"file": (io.BytesIO(b"no image"), "a.png")})
    ask("POST", "/api/runs", data="{}")
    ask("POST", "/api/what-if", json={}, headers={"Origin": "http://evil.example"})


def test_a_question_about_no_images(client: FlaskClient) -> None:
    upload(client)
    answer: Any = client.post("/api/what-if", json={"images": []})
    assert (answer.status_code, answer.json["error"]["field"]) == (400, "images")


def test_yes_and_no_are_checked(client: FlaskClient) -> None:
    upload(client)
    answer: Any = client.post("/api/what-if", json={"shapes": [], "view": "yes"})
    assert (answer.status_code, answer.json["error"]["field"]) == (400, "view")
    client.get("/api/visualize?image=0&visualizer=ClassProbabilities")
    runs: Any = client.get("/api/runs").json
    answer = client.get(f"/api/runs/{runs['runs'][0]['id']}?results=no")
    assert (answer.status_code, answer.json["error"]["field"]) == (400, "results")


def test_errors_of_http_keep_their_headers(client: FlaskClient) -> None:
    upload(client)
    wrong = client.delete("/api/images")
    assert wrong.status_code == 405
    assert {"GET", "POST"} <= set(wrong.headers["Allow"].split(", "))
    name: Any = client.get("/api/images").json
    part = client.get(f"/api/inputs/{name['images'][0]['filename']}", headers={"Range": "bytes=999999-"})
    assert (part.status_code, part.mimetype) == (416, "application/json")
    assert part.headers["Content-Range"].startswith("bytes */")


def test_the_page_shows_every_operation_and_document(client: FlaskClient, description: dict[str, Any]) -> None:
    page = client.get("/api/docs").text
    for method, path, operation in described_operations(description):
        assert f'id="{operation["operationId"]}"' in page
        assert f"<code>{method} {path}</code>" in page
    anchors = set(re.findall(r'id="([^"]+)"', page))
    assert set(re.findall(r'href="#([^"]+)"', page)) <= anchors
    assert {*description["components"]["schemas"], *description["components"]["responses"]} <= anchors
    assert len(re.findall(r'id="[^"]+"', page)) == len(anchors)
    assert "`" not in page
    assert "<style" not in page
    assert 'href="/api/docs"' in client.get("/").text


def test_a_password_is_described() -> None:
    app = create_app(fake_settings(PASSWORD="correct horse"))  # noqa: S106
    try:
        answer: Any = app.test_client().get("/api/openapi.json", auth=("anybody", "correct horse")).json
    finally:
        close(app)
    assert answer["components"]["securitySchemes"]["password"] == {"type": "http", "scheme": "basic"}
    needed = [one for _, _, operation in described_operations(answer) for one in operation["security"]]
    assert all(one["password"] == [] for one in needed)
    assert list(OpenAPIV31SpecValidator(answer).iter_errors()) == []
