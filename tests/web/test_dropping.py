"""The fill "dropped" is offered, and taken, only if the model can leave tokens out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask

from picasso.web.app import create_app
from tests.conftest import Visitor, close, fake_settings, upload
from tests.jobs.test_engine import until


@pytest.fixture(scope="module")
def blackbox() -> Iterator[Flask]:
    """An application whose model gives predictions only."""
    application = create_app(fake_settings(MODEL_CLS_NAME="BlackBoxModel"))
    application.test_client_class = Visitor
    client = application.test_client()
    until(lambda: client.get("/readyz").status_code == 200)
    yield application
    close(application)


@pytest.mark.parametrize(("name", "setting"), [("PartialOcclusion", "Occlusion"), ("RISE", "Fill")])
def test_it_is_offered_to_models_that_allow_it(app: Flask, blackbox: Flask, name: str, setting: str) -> None:
    for application, offered in ((app, True), (blackbox, False)):
        client = application.test_client()
        until(lambda client=client: client.get("/readyz").status_code == 200)  # type: ignore[misc]
        assert ("<option>dropped</option>" in client.get(f"/visualizations/{name}").text) == offered
        upload(client)
        answer: Any = client.post("/api/runs", json={"visualization": name, "settings": {setting: "dropped"}})
        assert answer.status_code == (202 if offered else 400)
        if not offered:
            error = answer.get_json()["error"]
            assert error["field"] == setting
            assert error["message"].startswith(
                f"{setting} 'dropped' needs token dropping, which this model does not provide; it may be "
            )
            assert error["message"].count("dropped") == 1


def test_the_description_says_what_it_needs(app: Flask) -> None:
    fields: Any = app.test_client().get("/api/visualizers/RISE").get_json()["fields"]
    (fill,) = (field for field in fields if field["name"] == "Fill")
    assert fill["needs"] == {"dropped": "token dropping"}
    assert all("needs" not in field for field in fields if field["name"] != "Fill")
