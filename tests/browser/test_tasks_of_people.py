"""What people come for, from the first page to the answer, with the number of their actions.

A labelled folder is in ``test_gallery.py``, and two checkpoints are in ``test_compare_grid.py``.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from tests.browser.conftest import BROWSER, serving, watched
from tests.browser.test_gallery import Actions

pytestmark = BROWSER

SIDE = 32
MARK = 10

# A model that relies on a mark in the top left corner, and a visualization, as somebody may write them.
MODEL = f'''
import numpy as np
from picasso.examples.brightness import BrightnessModel

class MarkModel(BrightnessModel):
    """Tells marked images from plain ones by their top left corner."""

    labels = ("plain", "marked")

    def load(self):
        super().load(side={SIDE}, channels=3)

    def batch_logits(self, inputs):
        corner = inputs[:, :{MARK}, :{MARK}].mean(axis=(1, 2, 3))
        return np.stack([0.75 - corner, corner - 0.75], axis=1).astype(np.float32) * 40
'''
PLUGIN = """
from picasso.visualizations import BaseVisualization, Panel, VisualizationSettings

class Contrast(BaseVisualization[VisualizationSettings]):
    TITLE = "My own contrast"
    DESCRIPTION = "How far each pixel is from the mean of the image."

    def make_visualization(self, task):
        for image in task.inputs:
            yield [Panel("contrast", image.array[..., 0] - image.array.mean(), signed=True)]
"""


def noisy(seed: int, *, marked: bool) -> Image.Image:
    """Return a grey image with noise, and with a white square in the corner if it is marked."""
    pixels = np.random.default_rng(seed).integers(60, 180, (SIDE, SIDE, 3), np.uint8)
    if marked:
        pixels[:MARK, :MARK] = 255
    return Image.fromarray(pixels)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("server")
    (folder / "model.py").write_text(MODEL)
    (folder / "plugins").mkdir()
    (folder / "plugins" / "contrast.py").write_text(PLUGIN)
    settings = {
        "MODEL_CLS_PATH": "model.py",
        "MODEL_CLS_NAME": "MarkModel",
        "MODEL_LOAD_ARGS": {},
        "PLUGIN_DIRS": ["plugins"],
    }
    config = folder / "config.py"
    config.write_text("".join(f"{key} = {value!r}\n" for key, value in settings.items()))
    with serving("--config", str(config)) as url:
        yield url


@pytest.fixture
def person(page: Page, server: str, faults: list[str]) -> Iterator[Page]:
    with watched(page, server, faults) as visitor:
        yield visitor


@pytest.fixture
def photograph(tmp_path: Path) -> Path:
    """A marked image."""
    noisy(0, marked=True).save(tmp_path / "marked.png")
    return tmp_path / "marked.png"


@pytest.mark.slow
def test_a_watermark_is_found_in_a_labelled_folder_in_three_actions(person: Page, tmp_path: Path) -> None:
    for number in range(24):
        name = ("plain", "marked")[number % 2]
        (tmp_path / "set" / name).mkdir(parents=True, exist_ok=True)
        noisy(number, marked=name == "marked").save(tmp_path / "set" / name / f"{number:02d}.png")
    act = Actions()
    act(lambda: person.locator("input[data-folder]").set_input_files(tmp_path / "set"))
    # The first map already shows it: what matters lies in the corner.
    expect(person.locator(".main a.map img")).to_be_visible()
    expect(person.get_by_text("24 images in 2 classes")).to_be_visible()
    act(lambda: person.get_by_role("button", name="Open the gallery").click())
    act(lambda: person.get_by_role("button", name="Audit all 24 labelled images").click())
    verdict = person.locator(".verdict")
    expect(verdict).to_be_visible()
    expect(verdict).to_contain_text("appears to rely on")
    expect(verdict).to_contain_text("mark")
    # The verdict comes with an image before and after the change.
    expect(person.locator(".verdict ~ * img, .verdict img").first).to_be_visible()
    assert act.count <= 3


def test_a_report_for_a_colleague_takes_four_actions(person: Page, photograph: Path) -> None:
    act = Actions()
    act(lambda: person.locator("#file").set_input_files(photograph))
    expect(person.locator(".stage[data-complete=true]")).to_be_visible()
    act(lambda: person.locator("summary", has_text="Take away").click())
    act(lambda: person.get_by_role("link", name="The result on its own page").click())
    with person.expect_download() as download:
        act(lambda: person.get_by_role("link", name="report", exact=True).click())
    text = Path(download.value.path()).read_text(encoding="utf-8")
    assert "marked.png" in text
    assert "MarkModel" in text
    assert act.count <= 4


def test_a_visualization_of_ones_own_is_two_actions_away(person: Page, photograph: Path) -> None:
    person.locator("#file").set_input_files(photograph)
    expect(person.locator(".stage[data-complete=true]")).to_be_visible()
    act = Actions()
    act(lambda: person.locator("summary", has_text="More methods").click())
    act(lambda: person.get_by_role("link", name="My own contrast", exact=True).click())
    expect(person.locator("#stage")).to_have_text("My own contrast")
    expect(person.locator(".main a.map img")).to_be_visible()
    expect(person.locator(".main figcaption")).to_contain_text("contrast")
    assert act.count <= 2
