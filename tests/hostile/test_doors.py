"""Every hostile file at every door: the page, the API and the command line answer alike."""

from __future__ import annotations

import io
from collections.abc import Iterator
from html import unescape
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from flask import Flask
from PIL import Image

from picasso.cli.command import main
from picasso.web.context import Services
from tests.conftest import COOKIE, FAKES, Visitor
from tests.hostile import CASES, FOLDER, Case

FILES = FOLDER / "files"
# Words that only the metadata, the appended scripts and the paths of this machine hold.
FORBIDDEN = (b"alert(", b"secret", b"Exif", b"eXIf", b"tEXt", b"iCCP", b"GPS", b"no profile")


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("hostile") / "settings.py"
    file.write_text(f'MODEL_CLS_PATH = "{FAKES}"\nMODEL_CLS_NAME = "LinearModel"\nMODEL_LOAD_ARGS = {{}}\n')
    return file


@pytest.fixture
def visitors(app: Flask) -> Iterator[tuple[Visitor, Visitor]]:
    """Two visitors, whose sessions end with the test: the server holds a limited number."""
    both = Visitor(app), Visitor(app)
    yield both
    for visitor in both:
        visitor.post("/reset")


def seen(body: bytes, case: Case) -> None:
    """Compare an image that is served with what it has to show."""
    assert case.pixels is not None
    for word in FORBIDDEN:
        assert word not in body
    pixels = np.asarray(Image.open(io.BytesIO(body)), int)
    assert pixels.shape == case.pixels.shape
    assert np.abs(pixels - case.pixels).max() <= case.tolerance


def stored(app: Flask, client: Visitor) -> list[Path]:
    """Return the files of a visitor's images."""
    cookie = client.get_cookie(COOKIE)
    if cookie is None:
        return []
    services: Services = app.extensions["picasso"]
    return [file for file in (services.storage.folder / "sessions" / cookie.value).rglob("*") if file.is_file()]


def clean(text: str, app: Flask) -> None:
    """Look for what no answer may hold."""
    services: Services = app.extensions["picasso"]
    for word in ("Traceback", str(services.storage.folder), str(FOLDER), "PIL", "site-packages"):
        assert word not in text


@pytest.mark.parametrize("name", CASES)
def test_every_door_answers_alike(
    app: Flask, visitors: tuple[Visitor, Visitor], config: Path, tmp_path: Path, name: str
) -> None:
    case, body = CASES[name], (FILES / name).read_bytes()
    page, api = visitors
    shown = page.post("/images", data={"file": (io.BytesIO(body), name)})
    answer = api.post("/api/images", data={"file": (io.BytesIO(body), name)})
    words = ["explain", FILES / name, "--config", config, "--out", tmp_path / "out", "-v", "ClassProbabilities"]
    done = CliRunner().invoke(main, [str(word) for word in words])
    clean(shown.text, app)
    clean(answer.text, app)
    if case.status == 200:
        assert (shown.status_code, answer.status_code, done.exit_code) == (303, 200, 0), answer.text
        assert answer.json is not None
        seen(api.get(f"/api/inputs/{answer.json['file']}").data, case)
        assert api.get(f"/thumbnails/{answer.json['file']}").mimetype == "image/webp"
        for file in (*stored(app, page), *stored(app, api), *(tmp_path / "out").rglob("*.png")):
            assert not any(word in file.read_bytes() for word in (b"alert(", b"secret"))
        return
    assert (shown.status_code, answer.status_code, done.exit_code) == (case.status, case.status, 2), answer.text
    assert answer.json is not None
    sentence = answer.json["error"]["message"]
    assert name in sentence
    assert case.words in sentence
    assert sentence in unescape(shown.text)
    # The command names a file as it was named.
    assert done.stderr == f"picasso: {sentence.replace(name, str(FILES / name), 1)}\n"
    assert "Traceback" not in done.output
    assert not (tmp_path / "out").exists()
    assert [file.name for file in (*stored(app, page), *stored(app, api))] == []
