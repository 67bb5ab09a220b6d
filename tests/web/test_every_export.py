"""The report and the zip of every visualization, those of plugins included."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from picasso.explanation.registry import TEMPLATES, Registry
from picasso.web.app import create_app
from tests.conftest import PLUGINS, Visitor, close, fake_settings, finish, upload
from tests.jobs.test_engine import until

TEMPLATED = Path(__file__).parents[1] / "plugins_of_templates"
FOLDERS = [PLUGINS, TEMPLATED]
# Few steps of each; those that go wrong on purpose come to nothing that could be exported.
QUICK: dict[str, dict[str, Any]] = {
    "PartialOcclusion": {"Window": 0.3, "Strides": 2},
    "RISE": {"Masks": 50},
    "LIME": {"Samples": 250, "Regions": 4},
    "KernelSHAP": {"Samples": 250, "Regions": 4},
    "IntegratedGradients": {"Steps": 8},
    "XRAI": {"Steps": 8},
    "ActivationMaximization": {"Steps": 8},
    "Slow": {"Steps": 1},
}
FAILING = ("Trouble", "Hangs")
NAMES = [entry.name for entry in Registry(FOLDERS).entries() if entry.cls and entry.name not in FAILING]


@pytest.fixture(scope="module")
def visitor() -> Iterator[Visitor]:
    """A visitor with an image, of a server whose model gives everything."""
    plugins = [str(folder) for folder in FOLDERS]
    application = create_app(fake_settings(MODEL_CLS_NAME="PooledModel", PLUGIN_DIRS=plugins))
    client = Visitor(application)
    upload(client)
    until(lambda: client.get("/readyz").status_code == 200)
    yield client
    close(application)


@pytest.mark.parametrize("name", NAMES)
def test_every_visualization_can_be_taken_away(visitor: Visitor, name: str, caplog: pytest.LogCaptureFixture) -> None:
    started: Any = visitor.post("/api/runs", json={"visualization": name, "settings": QUICK.get(name, {})})
    assert started.status_code == 202, started.text
    run = finish(visitor, started.json["id"])
    assert run["state"] == "finished", run["error"]
    report = visitor.get(f"/api/runs/{run['id']}/report.html")
    assert report.status_code == 200
    assert "How this report was made" in report.text
    for panel in run["results"][0]["panels"]:
        assert f"<strong>{panel['title'].replace('<', '&lt;').replace('>', '&gt;')}</strong>" in report.text
    archive = visitor.get(f"/api/runs/{run['id']}/results.zip")
    assert archive.status_code == 200
    with zipfile.ZipFile(io.BytesIO(archive.data)) as packed:
        assert packed.testzip() is None
        assert "How this report was made" in packed.read("report.html").decode()
    assert visitor.get(f"/api/runs/{run['id']}/results.csv").status_code == 200
    failed = name == "BrokenTemplate"
    assert ("the template of BrokenTemplate failed" in caplog.text) is failed
    if not failed:
        assert visitor.get(run["page"]).status_code == 200
    assert ("every macro" in report.text) is (name == "EveryMacro")


def test_the_plugin_of_every_macro_has_every_macro() -> None:
    macros = set(re.findall(r"{% macro (\w+)", (TEMPLATES / "macros.html").read_text()))
    imported = re.search(r"import (.*) %}", (TEMPLATED / "EveryMacro.html").read_text())
    assert imported
    assert set(imported[1].split(", ")) == macros
