"""Hostile names of files and classes, and a plugin that writes HTML everywhere: a browser shows all of it as text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import BROWSER, full, run, serving, watched
from tests.conftest import FAKES, noise_image, png
from tests.hostile import FOLDER

pytestmark = BROWSER

ATTACKS = [
    "<img src=x onerror=alert(1)>",
    "<script>alert(1)</script>",
    '"><svg onload=alert(1)>',
    "javascript:alert(1)",
    "{{ 7 * 7 }}",
    "</title><script>alert(1)</script>",
]
PLUGIN = '''
import numpy as np
from picasso.visualizations import BaseVisualization, Panel

ATTACKS = {attacks!r}


class Hostile(BaseVisualization):
    """Writes HTML wherever words are shown."""

    DESCRIPTION = ATTACKS[1]
    FAMILY = ATTACKS[0]
    REFERENCE_LINK = ATTACKS[3]

    def make_visualization(self, task):
        for image in task.inputs:
            array = np.arange(6, dtype=np.float32).reshape(2, 3)
            yield [
                Panel(attack, array, quantity=attack, note=attack, group=attack, class_index=0, probability=0.5)
                for attack in ATTACKS
            ]
'''


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serve a model whose classes have hostile names, with the plugin."""
    folder = tmp_path_factory.mktemp("hostile")
    (folder / "plugins").mkdir()
    (folder / "plugins" / "hostile.py").write_text(PLUGIN.format(attacks=ATTACKS))
    labels = "\n".join([*ATTACKS, "gnu"])
    (folder / "labels.txt").write_text(labels)
    (folder / "model.py").write_text(
        f"import sys; sys.path.insert(0, {str(FAKES.parents[1])!r})\n"
        "from tests.fakes import LinearModel\nfrom picasso.models.base import Model\n\n\n"
        "class Named(LinearModel):\n    class_names = Model.class_names\n"
    )
    (folder / "config.py").write_text(
        'MODEL_CLS_PATH = "model.py"\nMODEL_CLS_NAME = "Named"\nMODEL_LOAD_ARGS = {}\nLABELS = "labels.txt"\n'
        f'PLUGIN_DIRS = ["plugins"]\nSAMPLES_DIR = ""\nAPP_TITLE = {ATTACKS[5]!r}\n'
    )
    with serving("--config", str(folder / "config.py")) as url:
        yield url


@pytest.mark.slow
def test_names_and_the_output_of_plugins_are_text(page: Page, hostile: str, faults: list[str]) -> None:
    with watched(page, hostile, faults) as visitor:
        uploads: list[Any] = [
            {"name": f"{attack.replace('/', '')}.png", "mimeType": "image/png", "buffer": png(noise_image(seed))}
            for seed, attack in enumerate(ATTACKS)
        ]
        visitor.locator("#file").set_input_files(uploads)
        expect(visitor.locator(".thumbs li[data-uid]")).to_have_count(len(ATTACKS))
        visitor.goto(full(visitor, "/visualizations"))
        expect(visitor.locator(".family", has_text=ATTACKS[0])).to_be_visible()
        answer = run(visitor, "Hostile")
        row = visitor.locator("article.row").first
        expect(row.locator("figcaption strong")).to_have_text(ATTACKS)
        assert len(answer["results"]) == len(ATTACKS)
        visitor.locator("a.map").first.hover()
        visitor.locator("a.map").first.click()
        visitor.keyboard.press("Escape")
        for path in (
            "/visualizations/Hostile",
            "/model",
            f"/images/{answer['results'][0]['uid']}/what-if",
            "/api/docs",
        ):
            visitor.goto(full(visitor, path))
        # The link of a plugin is not followed by itself, and the page's policy runs no script of it.
        assert visitor.evaluate("document.querySelectorAll('img[onerror], svg[onload]').length") == 0


@pytest.mark.slow
def test_every_hostile_file_is_answered_in_words(page: Page, hostile: str, faults: list[str]) -> None:
    with watched(page, hostile, faults) as visitor:
        for file in sorted((FOLDER / "files").iterdir()):
            visitor.goto(hostile)
            visitor.locator("#file").set_input_files(file)
            expect(visitor.locator("[data-notices] .notice, .thumbs li[data-uid]").first).to_be_visible()
            # What is refused, the browser reports as an answer of that status.
            faults[:] = [fault for fault in faults if "the server responded with a status of 4" not in fault]
