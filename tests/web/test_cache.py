"""Two visitors ask the same question: the second is answered at once, sees only what is theirs, and traces end."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from picasso.web.app import create_app
from picasso.web.context import Services
from tests.conftest import COOKIE, Visitor, close, fake_settings, finish, noise_image, png
from tests.jobs.test_engine import until


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of the model."""
    file: Path = tmp_path_factory.mktemp("model") / "model.bin"
    file.write_bytes(b"\1")
    return file


def started(file: Path, **settings: Any) -> Flask:
    """Return an application whose results may be reused."""
    model = {"MODEL_CLS_NAME": "FileModel", "MODEL_LOAD_ARGS": {"file": str(file)}}
    application = create_app(fake_settings(**model, METRICS=True, **settings))
    application.test_client_class = Visitor
    until(lambda: application.test_client().get("/readyz").status_code == 200)
    return application


@pytest.fixture(scope="module")
def caching(file: Path) -> Iterator[Flask]:
    application = started(file)
    yield application
    close(application)


def ask(client: FlaskClient, seed: int, name: str) -> dict[str, Any]:
    """Upload an image and return its finished run."""
    client.post("/api/images", data={"file": (io.BytesIO(png(noise_image(seed))), name)})
    begun = client.post("/api/runs", json={"visualization": "SaliencyMaps"}).get_json()
    ended = finish(client, begun["id"])
    assert ended["state"] == "finished"
    return ended


def numbers(client: FlaskClient) -> dict[str, float]:
    """Return the numbers of the cache."""
    lines = [line for line in client.get("/metrics").text.splitlines() if line.startswith("picasso_cache")]
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}


def cookie(client: FlaskClient) -> str:
    found = client.get_cookie(COOKIE)
    assert found
    return str(found.value)


HIT, MISS = ('picasso_cache_results_total{outcome="%s"}' % outcome for outcome in ("hit", "miss"))  # noqa: UP031


def test_two_visitors_and_the_traces_of_the_first(caching: Flask) -> None:
    pytest.importorskip("prometheus_client")
    services: Services = caching.extensions["picasso"]
    assert services.storage.cache
    folder = services.storage.folder / "cache"
    first, second = caching.test_client(), caching.test_client()
    mine = ask(first, 1, "secret-of-the-first.png")
    before = numbers(first)
    assert (before[HIT], before[MISS]) == (0, 1)
    assert before["picasso_cache_bytes"] > 0
    for found in folder.rglob("*"):
        text = str(found).encode() + (found.read_bytes() if found.is_file() else b"")
        assert not any(trace.encode() in text for trace in ("secret-of", mine["id"], cookie(first)))
    # The pixels are the same, and the file is another one.
    theirs = ask(second, 1, "mine.png")
    assert numbers(first)[HIT] == 1
    (one,), (two,) = mine["results"], theirs["results"]
    assert (one["image"], two["image"]) == ("secret-of-the-first.png", "mine.png")
    assert one["panels"][0]["array"] == two["panels"][0]["array"]
    assert "secret-of" not in json.dumps(theirs)
    assert "secret-of" not in second.get(f"/runs/{theirs['id']}").text
    for name in ("view_url", "arrays_url"):
        answers = [client.get(result[name]) for client, result in ((first, one), (second, two))]
        assert answers[0].status_code == 200
        assert answers[0].data == answers[1].data
        assert caching.test_client().get(one[name]).status_code == 404
    # Whoever does not have the image can't ask for it, by no address.
    (key,) = [entry.name for entry in folder.iterdir() if len(entry.name) == 64]
    third = caching.test_client()
    for address in (f"/api/runs/{mine['id']}", f"/runs/{mine['id']}", f"/cache/{key}", f"/api/cache/{key}"):
        assert third.get(address).status_code == 404
    ask(third, 2, "other.png")
    assert numbers(first)[MISS] == 2
    # The first one deletes everything: the second still has the same result.
    first.post("/reset")
    first.post("/reset/forget")
    assert not first.get(f"/api/runs/{mine['id']}").get_json().get("results")
    assert second.get(f"/api/runs/{theirs['id']}").get_json()["results"] == theirs["results"]
    assert (folder / key).exists()
    second.post("/reset")
    second.post("/reset/forget")
    assert not (folder / key).exists()


def test_it_can_be_turned_off(file: Path) -> None:
    pytest.importorskip("prometheus_client")
    application = started(file, CACHE_MB=0)
    try:
        services: Services = application.extensions["picasso"]
        for _ in range(2):
            ask(application.test_client(), 1, "a.png")
        assert services.storage.cache is None
        assert not (services.storage.folder / "cache").exists()
        assert numbers(application.test_client()) == {}
    finally:
        close(application)


def test_deleted_runs_leave_the_cache_at_the_next_sweep(caching: Flask) -> None:
    client = caching.test_client()
    run = ask(client, 7, "a.png")
    services: Services = caching.extensions["picasso"]
    assert services.storage.cache
    size = services.storage.cache.totals().size
    assert client.delete(f"/api/runs/{run['id']}").status_code == 200
    services.storage.cache.tidy()
    assert services.storage.cache.totals().size < size
    # Until then, nobody finds it either.
    misses = services.storage.cache.totals().misses
    ask(caching.test_client(), 7, "b.png")
    assert services.storage.cache.totals().misses == misses + 1
