"""The tools of ``picasso mcp`` without the protocol: what they read, what they answer, and their limits."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from picasso.agents.allowed_files import AllowedFiles
from picasso.agents.answer import MAX_SHOWN, compact
from picasso.agents.tools import Tools
from picasso.cli.command import main
from picasso.config import Settings
from picasso.errors import BadRequest, PicassoError, StorageFull, TooLarge, UnsupportedImage
from picasso.examples.brightness import BrightnessModel
from picasso.models.base import Model
from tests.conftest import noise_image, png
from tests.fakes import EmbeddingModel, LinearModel


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with an image that is bright on the left."""
    allowed = tmp_path / "allowed"
    allowed.mkdir()
    pixels = np.full((8, 8), 40, np.uint8)
    pixels[:, :4] = 240
    Image.fromarray(pixels).save(allowed / "left.png")
    (tmp_path / "secret.png").write_bytes(png())
    return allowed


def tools_of(folder: Path, model: type[Model] = BrightnessModel, settings: Settings | None = None) -> Tools:
    def load() -> Model:
        loaded = model()
        loaded.load()
        return loaded

    return Tools(settings or Settings(), load, [folder], folder.parent / "out")


def test_files_below_the_folders(folder: Path) -> None:
    files = AllowedFiles([folder], Settings())
    (folder / "inside.png").symlink_to("left.png")
    assert files.file("left.png") == files.file(str(folder / "left.png")) == files.file("inside.png")
    assert files.folder(".") == folder.resolve()


@pytest.mark.parametrize(
    "path", ["../secret.png", "/etc/passwd", "out.png", "linked/secret.png", "missing.png", ".", "", "a\0b", "x" * 5000]
)
def test_other_paths_are_refused(folder: Path, path: str) -> None:
    (folder / "out.png").symlink_to(folder.parent / "secret.png")
    (folder / "linked").symlink_to(folder.parent)
    with pytest.raises(BadRequest, match=r"^There is no file .* below the folders that may be read: ") as caught:
        AllowedFiles([folder], Settings()).file(path)
    assert len(caught.value.message) < 600


def test_a_link_to_itself_and_a_pipe_are_no_files(folder: Path) -> None:
    (folder / "circle.png").symlink_to("circle.png")
    os.mkfifo(folder / "pipe.png")
    for name in ("circle.png", "pipe.png"):
        with pytest.raises(BadRequest, match="There is no file"):
            AllowedFiles([folder], Settings()).file(name)


def test_a_folder_must_exist(folder: Path) -> None:
    with pytest.raises(BadRequest, match="There is no folder"):
        AllowedFiles([folder / "missing"], Settings())


def test_sizes_are_limited(folder: Path) -> None:
    model = LinearModel()
    model.load()
    (folder / "empty.png").touch()
    (folder / "text.png").write_text("text")
    (folder / "large.png").write_bytes(bytes(1_000_001))
    Image.new("L", (1500, 1000)).save(folder / "pixels.png")
    files = AllowedFiles([folder], Settings(MAX_UPLOAD_MB=1, MAX_MEGAPIXELS=1))
    for name, error in (
        ("empty.png", UnsupportedImage), ("text.png", UnsupportedImage), ("large.png", TooLarge),
        ("pixels.png", TooLarge),
    ):  # fmt: skip
        with pytest.raises(error):
            files.image(name, model)


def test_check(folder: Path) -> None:
    tools = tools_of(folder)
    answer = tools.check(["left.png"])
    lines = answer.text.splitlines()
    assert "answer: left.png: bright 0.597, dark 0.403" in lines
    assert "classes: 2: dark, bright" in lines
    (view,) = answer.images
    assert np.asarray(Image.open(io.BytesIO(view)))[0, 0] == 240
    with pytest.raises(BadRequest, match="At most 16 images"):
        tools.check(["left.png"] * 17)


def test_explain_keeps_the_result_and_says_where_the_map_is_largest(folder: Path) -> None:
    seen: list[float] = []
    tools = tools_of(folder)
    answer = tools.explain("left.png", "PartialOcclusion", "bright", {"Occlusion": "black"}, seen.append)
    document = json.loads(answer.text)
    _, panel = document["panels"]
    assert (document["result"], panel["title"]) == ("left-PartialOcclusion", "bright")
    assert panel["largest_at"][0] < 0.5 < panel["smallest_at"][0]
    assert panel["maximum"] > 0
    assert seen[-1] == 1
    kept = json.loads((tools.out / "left-PartialOcclusion" / "result.json").read_text())
    assert kept["panels"][1]["maximum"] == pytest.approx(panel["maximum"], rel=1e-4)
    _, drawn = answer.images
    assert Image.open(io.BytesIO(drawn)).format == "PNG"
    assert json.loads(tools.explain("left.png").text)["result"] == "left-PartialOcclusion-1"


def test_images_are_limited_and_the_rest_is_named(folder: Path) -> None:
    (folder / "noise.png").write_bytes(png(noise_image(1)))
    tools = tools_of(folder, LinearModel)
    tools.model().top_probs = 7
    answer = tools.explain("noise.png", "PartialOcclusion", "", {"Occlusion": "all", "Strides": 2})
    document = json.loads(answer.text)
    assert len(document["panels"]) > MAX_SHOWN == len(answer.images)
    assert document["notes"][-1] == f"{len(document['panels']) - MAX_SHOWN} more panels are in noise-PartialOcclusion."


def test_what_if(folder: Path) -> None:
    tools = tools_of(folder)
    answer = tools.what_if("left.png", [[0, 0, 0.5, 1]], "black")
    document = json.loads(answer.text)
    assert document["flipped"]
    assert document["before"][0]["name"] == "bright"
    assert document["after"][0]["prob"] == pytest.approx(1 / (1 + np.exp(8 * (20 / 255 - 0.5))), abs=1e-5)
    (view,) = answer.images
    assert not np.asarray(Image.open(io.BytesIO(view)))[:, 0].any()


def test_another_image_is_read_from_the_folders_only(folder: Path) -> None:
    (folder / "noise.png").write_bytes(png(noise_image(1)))
    (folder / "other.png").write_bytes(png(noise_image(2)))
    tools = tools_of(folder, EmbeddingModel)
    shown = json.loads(tools.what_if("noise.png", [[0, 0, 1, 1]], "image", "other.png", "like:other.png").text)
    assert shown["targets"][0]["after"] == pytest.approx(1, abs=1e-6)
    (panel,) = json.loads(tools.explain("noise.png", "SaliencyMaps", "like:other.png").text)["panels"]
    assert panel["value"] == pytest.approx(shown["targets"][0]["before"], abs=1e-4)
    calls: list[Callable[[], object]] = [
        lambda: tools.what_if("noise.png", [], "blur", "", "like:../secret.png"),
        lambda: tools.what_if("noise.png", [], "image", "../secret.png"),
        lambda: tools.explain("noise.png", "SaliencyMaps", "like:../secret.png"),
        lambda: tools.check(["../secret.png"]),
    ]
    for call in calls:
        with pytest.raises(BadRequest, match="There is no file '../secret.png'"):
            call()


def test_visualizations_and_why_some_do_not_fit(folder: Path) -> None:
    found = {one["name"]: one for one in json.loads(tools_of(folder).visualizations().text)}
    assert found["PartialOcclusion"]["error"] == ""
    assert found["AttentionRollout"]["error"].startswith("needs ")
    assert found["PartialOcclusion"]["settings"][0]["name"] == "Window"


def test_the_output_folder_is_limited(folder: Path) -> None:
    tools = tools_of(folder, settings=Settings(SESSION_MB=1))
    tools.out.mkdir()
    (tools.out / "old").write_bytes(bytes(1_000_001))
    with pytest.raises(StorageFull, match="Delete old results"):
        tools.explain("left.png", "SaliencyMaps")


def test_the_model_is_loaded_again_after_an_error(folder: Path) -> None:
    errors = [PicassoError("It is not there yet.")]

    def load() -> Model:
        if errors:
            raise errors.pop()
        model = BrightnessModel()
        model.load()
        return model

    tools = Tools(Settings(), load, [folder], folder.parent / "out")
    with pytest.raises(PicassoError, match="not there yet"):
        tools.check()
    assert tools.check().text


def test_numbers_are_short() -> None:
    assert compact({"a": [1 / 3, 1, None], "b": {"c": 2.0}}) == '{\n "a": [0.33333, 1, null],\n "b": {"c": 2.0}\n}'
    assert compact([{"a": 1}, {"b": 2}]) == '[\n  {"a": 1},\n  {"b": 2}\n ]'
    assert compact([]) == "[]"


def test_without_the_package_the_command_says_what_to_install(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    done = CliRunner().invoke(main, ["mcp", "--folder", str(folder)])
    assert (done.exit_code, done.stdout) == (2, "")
    assert "pip install 'picasso-viz[mcp]'" in done.stderr
