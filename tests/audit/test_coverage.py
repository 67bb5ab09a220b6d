"""What an audit could judge is said first: pairs, classes and images that were left out, and swapped folders."""

from __future__ import annotations

import json
import re
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from picasso.audit.audit import Audit, plan, run
from picasso.audit.coverage import Coverage, swapped
from picasso.audit.dataset import Folder, logits
from picasso.audit.interventions import InterventionResult
from picasso.audit.outcome import AuditOutcome
from picasso.audit.reporting import report
from picasso.audit.trial import TrialContext
from picasso.cli.command import main
from picasso.models.arrays import Array, Classes
from picasso.models.preprocessing import Preprocessing
from tests.fakes import LinearModel

SIDE, COUNT = 8, 12
NAMES = ["dark", "middle", "bright"]


class ByLight(LinearModel):
    """Three classes of different brightness; the logits are those of the nearest."""

    preprocessing = Preprocessing("0..1")
    order = (0, 1, 2)

    def load(self, **arguments: object) -> None:
        self.input_shape, self.num_classes = (SIDE, SIDE, 1), 3
        self.checkpoint, self.logits_found = "light", "known"

    def class_names(self) -> list[str]:
        return NAMES

    def batch_logits(self, inputs: Array) -> Array:
        return np.asarray(-40 * self.distances(inputs) ** 2, np.float32)

    def batch_input_gradients(self, inputs: Array, classes: Classes) -> Array:
        slopes = -80 * self.distances(inputs)[np.arange(len(inputs)), classes] / inputs[0].size
        return np.broadcast_to(slopes[:, None, None, None], inputs.shape).astype(np.float32)

    def distances(self, inputs: Array) -> Array:
        """Return the differences from the light of each class, ``(n, 3)``."""
        light = np.asarray(inputs).mean(axis=(1, 2, 3))[:, None]
        return np.asarray(light - np.array([0.2, 0.5, 0.8]))[:, list(self.order)]


class Swapped(ByLight):
    """Has the names of the first and the last class the wrong way round."""

    order = (2, 1, 0)


def images_of(count: int = COUNT) -> dict[int, np.ndarray]:
    """Return noise around three levels of light."""
    chance = np.random.default_rng(0)
    levels = ((0, 0.2), (1, 0.5), (2, 0.8))
    return {
        one: chance.normal(level, 0.03, (count, SIDE, SIDE, 1)).clip(0, 1).astype(np.float32) for one, level in levels
    }


def audited(model: ByLight, most: int = 0) -> Audit:
    """Audit a model on images of all classes."""
    model.load()
    views = images_of()
    names = {target: tuple(map(str, range(COUNT))) for target in views}
    context = TrialContext(model, Folder(views, {one: logits(model, some) for one, some in views.items()}, names))
    return run(context, plan(context, most))


def command(folder: Path, name: str, counts: tuple[int, int, int], *options: str) -> Result:
    """Audit images in folders with the command."""
    for target, some in images_of(max(counts)).items():
        (folder / "images" / NAMES[target]).mkdir(parents=True)
        for index, pixels in enumerate(some[: counts[target]]):
            shades = (255 * pixels[..., 0]).astype(np.uint8)
            Image.fromarray(shades).save(folder / "images" / NAMES[target] / f"{index}.png")
    (folder / "images" / "dark" / "broken.png").write_bytes(b"no image")
    config = f"MODEL_CLS_PATH = {__file__!r}\nMODEL_CLS_NAME = {name!r}\nMODEL_LOAD_ARGS = {{}}\n"
    (folder / "config.py").write_text(config)
    words = ["audit", folder / "images", "--config", folder / "config.py", "--out", folder / "out", *options]
    return CliRunner().invoke(main, [str(word) for word in words])


def junit(folder: Path) -> tuple[dict[str, str], list[str]]:
    """Return the counts of the JUnit file, and what its case "coverage" has."""
    suite = ElementTree.parse(folder / "junit.xml").getroot()  # noqa: S314 - written by the audit
    (case,) = suite.findall("testcase[@name='coverage']")
    assert int(suite.attrib["tests"]) == len(suite.findall("testcase"))
    return suite.attrib, [one.tag for one in case]


def test_a_complete_audit_says_nothing_about_its_coverage(tmp_path: Path) -> None:
    found = audited(ByLight())
    assert found.coverage == Coverage(3, 3, 0, 0, (), None, 3)
    assert found.sentence() == found.verdict.sentence("", NAMES, 3)
    assert "pairs" not in found.sentence()
    report.write(found, tmp_path)
    assert junit(tmp_path)[1] == []


def test_the_pairs_that_were_compared_are_in_the_sentence(tmp_path: Path) -> None:
    found = audited(ByLight(), 1)
    assert re.match(
        r"The model appears to rely on [\w ]+ rather than on the object, for “\w+” and “\w+” "
        r"\(1 of 3 pairs of classes\)\.",
        found.sentence(),
    )
    written = report.write(found, tmp_path)
    assert written["verdict"] == found.sentence()
    assert (written["coverage"]["compared"], written["coverage"]["pairs"]) == (1, 3)
    assert junit(tmp_path)[1] == ["skipped"]


def test_what_was_left_out_is_said(tmp_path: Path) -> None:
    done = command(tmp_path, "ByLight", (12, 12, 3))
    assert done.exit_code == 1, done.output
    said = "1 class has too few images and was left out. 1 image could not be read and was left out."
    assert said in done.output.replace("\n", " ")
    written = json.loads((tmp_path / "out" / "audit.json").read_text())
    assert written["verdict"].endswith(said)
    assert said in (tmp_path / "out" / "report.html").read_text()
    assert written["coverage"] == {
        "compared": 1, "pairs": 1, "small_classes": 1, "unreadable": 1, "swapped": [], "judged": True,
        "masked": None, "classes": 2, "untested": 0, "interventions": 0,
            "undecided": 0, "used": 1.0, "looked": 0,
    }  # fmt: skip


def test_swapped_folders_are_said_to_be_swapped_and_are_no_pass(tmp_path: Path) -> None:
    done = command(tmp_path, "Swapped", (12, 3, 12))
    assert done.exit_code == 2, done.output
    assert "The folders of “dark” and “bright” seem to be swapped" in done.output
    assert done.output.endswith("picasso: This audit is no pass, because folders seem to be swapped.\n")
    written = json.loads((tmp_path / "out" / "audit.json").read_text())
    assert (written["coverage"]["judged"], written["coverage"]["swapped"]) == (False, [["dark", "bright"]])
    counts, outcome = junit(tmp_path / "out")
    assert (counts["errors"], outcome) == ("1", ["error"])


def test_a_model_that_tells_nothing_apart_is_no_pass(tmp_path: Path) -> None:
    flat = images_of()
    for target in flat:
        flat[target] = flat[0]
    model = ByLight()
    model.load()
    names = {target: tuple(map(str, range(COUNT))) for target in flat}
    found = run(TrialContext(model, Folder(flat, {one: logits(model, some) for one, some in flat.items()}, names)))
    assert not found.coverage.judged
    report.write(found, tmp_path)
    assert junit(tmp_path)[1] == ["error"]


@pytest.mark.parametrize(
    ("taken_for", "groups"),
    [
        ({0: 1, 1: 0, 2: 2}, ((0, 1),)),
        ({0: 1, 1: 2, 2: 0, 3: 3}, ((0, 1, 2),)),
        # A class that swallows another, or leads into an exchange of two others, is no exchange.
        ({0: 1, 1: 1}, ()),
        ({0: 1, 1: 2, 2: 1}, ((1, 2),)),
        ({0: 0, 1: 1}, ()),
        # A class that is not in the folder.
        ({0: 7, 1: 0}, ()),
    ],
)
def test_an_exchange_of_classes_is_found(taken_for: dict[int, int], groups: tuple[tuple[int, ...], ...]) -> None:
    assert swapped({one: np.full(20, other) for one, other in taken_for.items()}) == groups


def test_guesses_are_no_exchange() -> None:
    chance = np.random.default_rng(1)
    found = [swapped({one: chance.integers(0, 2, 40) for one in (0, 1)}) for _ in range(2000)]
    # Both intervals must lie above one half: 2.5% each, by chance.
    assert sum(map(bool, found)) / len(found) < 0.003


def test_answers_of_third_classes_are_counted_as_flips() -> None:
    found = audited(ByLight())
    (trial,) = (one for one in found.trials[0, 2] if one.intervention == "brightness" and one.ours == 0)
    assert trial.effect.flips == 1
    # Halfway to the last class, the images are those of the second: with two classes alone, they would not flip.
    dark = found.folder.views[0]
    middle = np.full_like(dark, 0.45)
    assert found.context.effect(InterventionResult(middle, dark), 0, 2).flips == 1
    assert found.context.effect(InterventionResult(middle, dark), 0, 2).control_flips == 0


def test_the_smallest_effects_name_what_this_folder_cannot_show() -> None:
    sizes = {"brightness": 0.1, "noise": 0.12, "contrast": 0.1, "sharpness": 0.11, "texture": 0.51, "the frame": 1.4}
    outcome = AuditOutcome((), tuple(sizes), 1.4, sizes, (), 1, 6)
    assert outcome.sentence() == (
        "No reliance on any tested property was found. Most effects are detected from about 51% of the way between two "
        "classes on. With this folder, the frame can't be judged."
    )
    some = {**sizes, "warmth": 0.1, "greenness": 0.1}
    assert AuditOutcome((), tuple(some), 1.4, some, (), 1, 8).sensitivity() == (
        "Most effects are detected from about 12% of the way between two classes on; texture from 51%. "
        "With this folder, the frame can't be judged."
    )
    none = dict.fromkeys(sizes, 2.0)
    assert "hardly any reliance would be detected" in AuditOutcome((), (), 2.0, none, (), 1, 6).sentence()
