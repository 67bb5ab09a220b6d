"""The tools ``audit`` and ``results`` without the protocol."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from picasso.agents.tools import Tools
from picasso.audit.selection import PAIRS
from picasso.config import Settings
from picasso.errors import BadRequest, NotFound, TooLarge
from picasso.models.base import Model
from tests.audit.test_audit import Judge, Reliant, noise_images
from tests.fakes import EmbeddingModel


def labeled(folder: Path) -> None:
    """Write a folder of images for each class."""
    for target, views in noise_images("brightness").items():
        place = folder / Judge().class_names()[target]
        place.mkdir(parents=True, exist_ok=True)
        for index, view in enumerate(views):
            Image.fromarray(np.round(view * 255).astype(np.uint8)).save(place / f"{index:02d}.png")


def tools_of(folder: Path, model: type[Model] = Reliant) -> Tools:
    def load() -> Model:
        loaded = model()
        loaded.load()
        return loaded

    return Tools(Settings(), load, [folder], folder.parent / "out")


@pytest.mark.slow
def test_the_audit_and_its_result(tmp_path: Path) -> None:
    labeled(tmp_path / "images")
    tools = tools_of(tmp_path / "images")
    seen: list[float] = []
    answer = tools.audit(".", PAIRS, seen.append)
    found = json.loads(answer.text)
    assert found["verdict"].startswith("The model appears to rely on brightness")
    assert found["accuracy"] == {"right": 69, "images": 80}
    assert found["findings"][0]["name"] == "brightness"
    assert found["findings"][0]["alarm"]
    assert Path(found["report"]) == tools.out / "audit-images" / "report.html"
    assert Path(found["report"]).is_file()
    assert [answer.images[0], answer.images[1]] == [
        (tools.out / "audit-images" / "evidence" / f"0-0-{when}.png").read_bytes() for when in ("before", "after")
    ]
    assert seen == sorted(seen)
    assert seen[-1] == 1
    assert tools.results("audit-images") == answer
    (tmp_path / "images" / "tank" / "00.png").rename(tmp_path / "images" / "a tank.png")
    shown = tools.explain("a tank.png", "ClassProbabilities")
    assert tools.results("a tank-ClassProbabilities") == shown
    listed = {one["result"]: one for one in json.loads(tools.results().text)}
    assert listed["audit-images"] == {"result": "audit-images", "verdict": found["verdict"]}
    assert listed["a tank-ClassProbabilities"]["image"] == "a tank.png"
    assert len(listed) == 2


def test_links_that_lead_out_are_refused(tmp_path: Path) -> None:
    labeled(tmp_path / "images")
    labeled(tmp_path / "elsewhere")
    tools = tools_of(tmp_path / "images")
    (tmp_path / "images" / "tank" / "link.png").symlink_to(tmp_path / "elsewhere" / "tank" / "00.png")
    with pytest.raises(BadRequest, match=r"tank/link\.png is a link that leads out"):
        tools.audit(".")
    assert not tools.out.exists() or not any(tools.out.iterdir())


def test_masks_outside_are_not_used(tmp_path: Path) -> None:
    labeled(tmp_path / "images")
    (tmp_path / "masks" / "tank").mkdir(parents=True)
    # They would be refused because of their size.
    for index in range(40):
        Image.new("L", (3, 3)).save(tmp_path / "masks" / "tank" / f"{index:02d}.png")
    assert json.loads(tools_of(tmp_path / "images").audit(".").text)["findings"]


def test_other_models_and_large_folders_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    labeled(tmp_path / "images")
    with pytest.raises(BadRequest, match="classif"):
        tools_of(tmp_path / "images", EmbeddingModel).audit(".")
    monkeypatch.setattr("picasso.agents.audits.MAX_UPLOADED", 79)
    with pytest.raises(TooLarge, match="has 80 images; at most 79 are audited"):
        tools_of(tmp_path / "images").audit(".")


@pytest.mark.parametrize("name", ["missing", "../images", "linked", "/etc", "x" * 5000, "a\0b"])
def test_results_are_those_of_the_output_folder(tmp_path: Path, name: str) -> None:
    (tmp_path / "images").mkdir()
    tools = tools_of(tmp_path / "images")
    assert json.loads(tools.results().text) == []
    tools.out.mkdir()
    (tools.out / "linked").symlink_to(tmp_path / "images")
    (tmp_path / "images" / "audit.json").write_text("{}")
    assert json.loads(tools.results().text) == []
    with pytest.raises(NotFound, match="There is no result"):
        tools.results(name)
