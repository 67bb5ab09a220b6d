"""What many tests share: images, fake models, and one application with a real worker process."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import settings
from PIL import Image
from werkzeug.test import TestResponse

from picasso import remedies
from picasso.web.app import create_app
from picasso.web.context import Services
from tests.fakes import LinearModel, PatchModel

# The cookie of visitors of an application under test: its port by default, and the one in the address of a test client.
COOKIE = "picasso_session_5000_80"
ROOT = Path(__file__).parents[1]
FAKES = Path(__file__).parent / "fakes.py"
PLUGINS = Path(__file__).parent / "plugins"
# Folders of the checkout that belong to Python, npm, pytest-playwright, build and Sphinx.
TOOLS = {"__pycache__", "node_modules", "test-results", "build", "dist", "_build"}

# How fast a machine is and what day it is change no answer of a test.
settings.register_profile("picasso", deadline=None, derandomize=True)
settings.load_profile("picasso")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Give all browser tests to one process, which then starts their servers and their runs once."""
    from xdist.scheduler import LoadFileScheduling

    class FilesAndBrowser(LoadFileScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            browser = "tests/browser/"
            return browser if nodeid.startswith(browser) else str(super()._split_scope(nodeid))

    return FilesAndBrowser(config, log) if config.getvalue("dist") == "loadfile" else None


def noise_image(seed: int = 0, size: tuple[int, int] = (9, 6), mode: str = "RGB") -> Image.Image:
    """Return an image of noise; ``size`` is (width, height)."""
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), np.uint8)
    return Image.fromarray(pixels).convert(mode)


def png(image: Image.Image | None = None, form: str = "PNG", **options: Any) -> bytes:
    """Return an image as the bytes of a file."""
    buffer = io.BytesIO()
    (image or noise_image()).save(buffer, form, **options)
    return buffer.getvalue()


def states(folder: str | Path) -> dict[str, tuple[int, int]]:
    """Return the time of change and the size of each file below a folder, but for what tools keep there.

    The time of a folder, under its path and "/", shows what was added and deleted again. It is left out where Python
    has yet to add ``__pycache__``.
    """
    found: dict[str, tuple[int, int]] = {}
    entries = {entry.name: entry for entry in os.scandir(folder)}
    if "__pycache__" in entries or not any(name.endswith(".py") for name in entries):
        found[f"{folder}/"] = (Path(folder).stat().st_mtime_ns, 0)
    for entry in entries.values():
        if entry.name.startswith(".") or entry.name in TOOLS:
            continue
        if entry.is_dir(follow_symlinks=False):
            found |= states(entry.path)
        else:
            state = entry.stat(follow_symlinks=False)
            found[entry.path] = (state.st_mtime_ns, state.st_size)
    return found


def states_of_checkout() -> dict[str, tuple[int, int]]:
    """Return the states of all files; tools keep theirs in the checkout itself, so its own time tells nothing."""
    found = states(ROOT)
    found.pop(f"{ROOT}/", None)
    return found


def difference(before: dict[str, tuple[int, int]], after: dict[str, tuple[int, int]]) -> list[str]:
    """Return the files that were added, changed or deleted, and the folders in which something was."""
    paths = {path for path, _ in before.items() ^ after.items()}
    return sorted(path for path in paths if not path.endswith("/") or (path in before and path in after))


@pytest.fixture(scope="session")
def last_states() -> dict[str, tuple[int, int]]:
    """The files of the checkout when they were last looked at."""
    return states_of_checkout()


@pytest.fixture(scope="module", autouse=True)
def checkout_is_left_alone(last_states: dict[str, tuple[int, int]]) -> Iterator[None]:
    """Fail a module whose tests add, change or delete a file of the checkout; they write into ``tmp_path``.

    The culprit may also be a test of another module that ran at the same time.
    """
    yield
    now = states_of_checkout()
    changed = difference(last_states, now)
    last_states.clear()
    last_states.update(now)
    assert not changed, f"tests wrote into the checkout: {changed}"


@pytest.fixture(autouse=True)
def interface() -> None:
    """Whatever a test before loaded, messages speak to a user of Python."""
    remedies.set_interface(remedies.Interface.PYTHON)


@pytest.fixture(scope="session")
def linear() -> LinearModel:
    """A loaded linear model."""
    model = LinearModel()
    model.load()
    return model


@pytest.fixture(scope="session")
def patch() -> PatchModel:
    """A loaded model that reads one patch."""
    model = PatchModel()
    model.load()
    return model


def fake_settings(**more: Any) -> dict[str, Any]:
    """Return settings of an application that needs no TensorFlow."""
    return {"MODEL_CLS_PATH": str(FAKES), "MODEL_CLS_NAME": "LinearModel", "MODEL_LOAD_ARGS": {}, **more}


@pytest.fixture(scope="session")
def app() -> Iterator[Flask]:
    """An application with a linear model in a worker process, and the test plugins; shared for speed."""
    application = create_app(
        fake_settings(PLUGIN_DIRS=[str(PLUGINS)], APP_TITLE="Picasso <under test>", MAX_SESSIONS=10_000)
    )
    application.test_client_class = Visitor
    yield application
    close(application)


class Visitor(FlaskClient):
    """A client that reads each answer to its end, so that no file stays open."""

    def open(self, *args: Any, **options: Any) -> TestResponse:
        return super().open(*args, **{**options, "buffered": True})


def close(application: Flask) -> None:
    """End an application's worker and delete its files."""
    services: Services = application.extensions["picasso"]
    services.runner.close()
    services.storage.close()


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """A visitor of their own, without a session yet."""
    return app.test_client()


def upload(client: FlaskClient, count: int = 1, name: str = "image.png") -> list[int]:
    """Upload ``count`` different images and return their numbers."""
    parts = [(io.BytesIO(png(noise_image(seed))), name) for seed in range(count)]
    answer = client.post("/api/images", data={"file": parts})
    assert answer.status_code == 200, answer.text
    return [image["uid"] for image in answer.json["images"]]  # type: ignore[index]


def finish(client: FlaskClient, run_id: str) -> dict[str, Any]:
    """Wait until a run has ended and return it."""
    import time

    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        state: dict[str, Any] = client.get(f"/api/runs/{run_id}").get_json()
        if state["state"] not in ("waiting", "running"):
            return state
        time.sleep(0.02)
    raise AssertionError("the run did not end within a minute")
