"""The audit of models with a known shortcut, and of models without one."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from picasso.audit.audit import plan, run
from picasso.audit.checkpoint import TrialCheckpoint
from picasso.audit.dataset import Folder, LazyImages, logits
from picasso.audit.interventions import INTERVENTIONS
from picasso.audit.outcome import AuditOutcome
from picasso.audit.properties import Images, light
from picasso.audit.properties.base import LUMA
from picasso.audit.reading import read
from picasso.audit.reporting import report
from picasso.audit.selection import ASKED, MAX_UPLOADED, MIN_PER_CLASS, taken
from picasso.audit.trial import TrialContext
from picasso.cli.command import main
from picasso.errors import BadRequest
from picasso.evaluation.labeled_folder import LabeledImage
from picasso.models.arrays import Array, Classes
from picasso.models.info import Capability, Layer
from picasso.models.preprocessing import Preprocessing
from tests.fakes import LinearModel, softmax

HEIGHT, WIDTH = 24, 32
COUNT = 40


class Judge(LinearModel):
    """Separates two classes by a mixture of the object, a bright bar in the middle, and a proxy."""

    reliance = 0.0
    proxy = "brightness"
    preprocessing = Preprocessing("0..1")

    def load(self, **arguments: Any) -> None:
        self.input_shape, self.num_classes = (HEIGHT, WIDTH, 3), 2
        self.checkpoint, self.logits_found = "judge", "known"

    def class_names(self) -> list[str]:
        return ["no tank", "tank"]

    def layers(self) -> list[Layer]:
        return []

    def thing(self, inputs: Array) -> Array:
        """Return whether the bar in the middle is vertical or horizontal."""
        seen = light(inputs)
        standing = seen[:, 6:18, 14:18].mean(axis=(1, 2))
        lying = seen[:, 10:14, 8:24].mean(axis=(1, 2))
        # Relative to the mean brightness: more light on the whole image does not change the object.
        return np.asarray(8 * (standing - lying) / (seen.mean(axis=(1, 2)) + 0.01), np.float32)

    def other(self, inputs: Array) -> Array:
        """Return the value of the proxy."""
        if self.proxy == "corner":
            return np.asarray(8 * (light(inputs)[:, :4, :4].mean(axis=(1, 2)) - 0.5), np.float32)
        return np.asarray(12 * (0.45 - light(inputs).mean(axis=(1, 2))), np.float32)

    def batch_logits(self, inputs: Array) -> Array:
        score = (1 - self.reliance) * self.thing(inputs) + self.reliance * self.other(inputs)
        return np.stack([-score, score], axis=1)

    def batch_input_gradients(self, inputs: Array, classes: Classes) -> Array:
        """Return the gradients, without those of the mean brightness that the object is relative to."""
        found = np.zeros(inputs.shape[1:3], np.float32)
        found[6:18, 14:18] += 8 / 0.43 / 48 * (1 - self.reliance)
        found[10:14, 8:24] -= 8 / 0.43 / 64 * (1 - self.reliance)
        if self.proxy == "corner":
            found[:4, :4] += 8 / 16 * self.reliance
        else:
            found -= 12 / found.size * self.reliance
        sign = np.where(np.asarray(classes) == 1, 1, -1)[:, None, None, None]
        weights = LUMA if inputs.shape[-1] == 3 else np.ones(1, np.float32)
        return np.asarray(sign * found[None, :, :, None] * weights, np.float32)

    def batch_probabilities(self, inputs: Array) -> Array:
        return softmax(self.batch_logits(inputs))


def noise_images(proxy: str, seed: int = 0) -> dict[int, Images]:
    """Return images of both classes; nearly all of one class have the proxy, and nearly none of the other."""
    generator = np.random.default_rng(seed)
    found = {}
    for target in (0, 1):
        views = generator.normal(0.42, 0.05, (COUNT, HEIGHT, WIDTH, 3))
        with_proxy = generator.random(COUNT) < (0.9 if target else 0.1)
        if proxy == "brightness":
            views -= 0.15 * (with_proxy - 0.5)[:, None, None, None]
        elif proxy == "corner":
            views[with_proxy, :4, :4] = 0.95
        rows, columns = (slice(6, 18), slice(14, 18)) if target else (slice(10, 14), slice(8, 24))
        views[:, rows, columns] += generator.uniform(0.2, 0.4, (COUNT, 1, 1, 1))
        found[target] = np.asarray(np.round(np.clip(views, 0, 1) * 255) / 255, np.float32)
    return found


def judged(proxy: str, reliance: float, folder: Path, seed: int = 0) -> AuditOutcome:
    """Audit a model of known reliance with images that have the proxy."""
    model = Judge()
    model.load()
    model.proxy, model.reliance = proxy, reliance
    views = noise_images(proxy, seed)
    answers = {target: logits(model, some) for target, some in views.items()}
    names = {target: tuple(map(str, range(COUNT))) for target in views}
    audited = run(TrialContext(model, Folder(views, answers, names)), keep=folder)
    assert audited.left == ()
    return audited.verdict


@pytest.mark.parametrize(("proxy", "name"), [("brightness", "brightness"), ("corner", "the top left corner")])
def test_a_proxy_is_named_first_and_said_in_words(proxy: str, name: str, tmp_path: Path) -> None:
    found = judged(proxy, 0.9, tmp_path)
    first = found.alarms[0]
    assert first.there.intervention == name
    assert first.p < 0.01
    assert 0.1 <= first.size <= 1.2
    sentence = first.sentence(["no tank", "tank"])
    assert sentence.startswith(name.capitalize() if proxy == "brightness" else "The top left corner")
    assert "of the way to" in sentence
    assert f"appears to rely on {name} rather than on the object" in found.sentence()


@pytest.mark.parametrize("proxy", ["brightness", "corner"])
@pytest.mark.parametrize("seed", range(3))
def test_a_model_that_does_not_use_it_raises_no_alarm(proxy: str, seed: int, tmp_path: Path) -> None:
    found = judged(proxy, 0.0, tmp_path, seed)
    assert found.alarms == []
    assert "No reliance on any tested property was found" in found.sentence()
    assert 0 < found.smallest < 1
    # The object itself lies in the middle, which raises no alarm.
    assert {one.there.intervention for one in found.findings} <= {"the middle", "object size"}


@pytest.mark.slow
def test_an_audit_that_was_killed_goes_on_with_the_same_result(tmp_path: Path) -> None:
    whole = judged("brightness", 0.9, tmp_path / "one")
    again = judged("brightness", 0.9, tmp_path / "one")
    fresh = judged("brightness", 0.9, tmp_path / "two")
    assert whole == again == fresh
    kept = TrialCheckpoint(tmp_path / "one", json.loads((tmp_path / "one" / "pair-0-1.json").read_text())["key"])
    assert kept.read((0, 1))[1] == len(INTERVENTIONS)
    assert TrialCheckpoint(tmp_path / "one", "another model").read((0, 1)) == ([], 0)


def test_images_come_from_folders_named_after_their_classes(tmp_path: Path) -> None:
    model = Judge()
    model.load()
    labelled = []
    for target, views in noise_images("brightness").items():
        for index, view in enumerate(views[:10]):
            file = tmp_path / f"{target}-{index}.png"
            Image.fromarray(np.round(view * 255).astype(np.uint8)).save(file)
            labelled.append(LabeledImage(file, target))
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no image")
    seen: list[float] = []
    folder = read(model, [*labelled, LabeledImage(broken, 0)], seen.append)
    assert {target: len(names) for target, names in folder.names.items()} == {0: 10, 1: 10}
    assert seen[-1] == 1
    assert "broken.png" in folder.unreadable[0]
    np.testing.assert_allclose(folder.views[1], noise_images("brightness")[1][:10], atol=1e-6)
    assert folder.left_out == ""
    with pytest.raises(BadRequest, match="needs at least two classes with 8 images each"):
        read(model, labelled[:10], seen.append)


def test_classes_with_too_few_images_are_named(tmp_path: Path) -> None:
    class Three(Judge):
        def class_names(self) -> list[str]:
            return ["one", "two", "three", "four"]

    model, labelled = Three(), []
    model.load()
    made = noise_images("brightness")
    for target, count in ((0, 8), (1, 8), (2, 5), (3, 8)):
        for index in range(count):
            file = tmp_path / f"{target}-{index}.png"
            Image.fromarray(np.round(made[0][index] * 255).astype(np.uint8)).save(file)
            labelled.append(LabeledImage(file, target))
    # The fourth class has enough images, but too few are readable.
    (tmp_path / "3-0.png").write_bytes(b"x")
    folder = read(model, labelled, lambda fraction: None)
    assert set(folder.names) == {0, 1}
    assert folder.left_out == "Left out, with fewer than 8 images: three (5), four (7)."
    with pytest.raises(BadRequest, match=r"Only one class has enough images\. Left out, .* three \(5\)\.$"):
        read(model, [one for one in labelled if one.target in (0, 2)], lambda fraction: None)


# ---- the command --------------------------------------------------------------------------------------------

MODEL = Path(__file__)


def audit(folder: Path, reliance: float, *options: object) -> Any:
    """Write a folder of images and settings, and run the command."""
    for target, views in noise_images("brightness").items():
        place = folder / "images" / Judge().class_names()[target]
        place.mkdir(parents=True, exist_ok=True)
        for index, view in enumerate(views):
            Image.fromarray(np.round(view * 255).astype(np.uint8)).save(place / f"{index:02d}.png")
    name = "Reliant" if reliance else "Judge"
    (folder / "config.py").write_text(
        f"MODEL_CLS_PATH = {str(MODEL)!r}\nMODEL_CLS_NAME = {name!r}\nMODEL_LOAD_ARGS = {{}}\n"
    )
    words = ["audit", folder / "images", "--config", folder / "config.py", "--out", folder / "out", *options]
    return CliRunner().invoke(main, [str(word) for word in words])


class Reliant(Judge):
    """Relies on the light more than on the object."""

    reliance = 0.9


def test_the_command_finds_a_proxy_and_shows_it(tmp_path: Path) -> None:
    done = audit(tmp_path, 0.9)
    assert done.exit_code == 1, done.output
    assert "The model appears to rely on" in done.output
    assert re.search(
        r"giving (“no tank” .* “tank” images \(darker\)|“tank” .* “no tank” images \(brighter\)) moves", done.output
    )
    document = json.loads((tmp_path / "out" / "audit.json").read_text())
    assert document["alarms"] >= 1
    assert document["findings"][0]["name"] == "brightness"
    assert document["accuracy"]["images"] == 2 * COUNT
    assert "brightness" in {one["name"] for one in document["confounded"]}
    page = (tmp_path / "out" / "report.html").read_text()
    assert page.count('alt="before"') == 10 * len(document["findings"])
    assert "<script" not in page
    assert not re.search(r'(src|href)="(?!data:|#)', page)
    assert "<failure message=" in (tmp_path / "out" / "junit.xml").read_text()
    # The stored trials give the same report again.
    before = (tmp_path / "out" / "report.html").read_bytes()
    assert audit(tmp_path, 0.9).exit_code == 1
    assert (tmp_path / "out" / "report.html").read_bytes() == before


def test_the_command_is_silent_on_a_model_that_does_not_use_it(tmp_path: Path) -> None:
    done = audit(tmp_path, 0.0)
    assert done.exit_code == 0, done.output
    assert "No reliance on any tested property was found" in done.output
    # The report says separately that the folder is confounded.
    assert "Your folder is confounded" in (tmp_path / "out" / "report.html").read_text()


def test_what_cannot_run_ends_with_status_2(tmp_path: Path) -> None:
    done = audit(tmp_path, 0.0, "--budget", "soon")
    assert done.exit_code == 2
    assert "--budget must be a time such as 90s, 5m or 1h" in done.output


class Three(Judge):
    """Knows a third class, by a bar on the left, and otherwise relies on the light."""

    reliance = 0.9

    def load(self, **arguments: Any) -> None:
        super().load(**arguments)
        self.num_classes = 3

    def class_names(self) -> list[str]:
        return ["no tank", "tank", "truck"]

    def batch_logits(self, inputs: Array) -> Array:
        seen = light(inputs)
        left = seen[:, 6:18, 2:6].mean(axis=(1, 2)) / (seen.mean(axis=(1, 2)) + 0.01)
        return np.concatenate([super().batch_logits(inputs), 8 * (left - 1.3)[:, None]], axis=1)


@pytest.mark.slow
def test_of_several_classes_all_pairs_are_compared_within_the_budget(tmp_path: Path) -> None:
    model = Three()
    model.load()
    views = noise_images("brightness")
    views[2] = views[0].copy()
    views[2][:, 6:18, 2:6] += 0.3
    views[2] = np.clip(views[2], 0, 1)
    answers = {target: logits(model, some) for target, some in views.items()}
    folder = Folder(views, answers, {target: tuple(map(str, range(COUNT))) for target in views})
    first = run(TrialContext(model, folder), keep=tmp_path, budget=0)
    assert (len(first.trials), len(first.left)) == (1, 2)
    # It stopped within the first pair, and says so.
    ((pair, made),), all_ = first.trials.items(), len(INTERVENTIONS)
    assert first.tried == {pair: 1}
    assert len(made) == 2
    assert f"Time ran out: {all_ - 1} of {all_} interventions were not tested on the last pair." in first.sentence()
    assert report.document(first)["untested"][0]["interventions"][-1] == INTERVENTIONS[-1].name
    # The resumed audit uses stored trials and completes the rest.
    seen: list[float] = []
    again = run(TrialContext(model, folder), keep=tmp_path, progress=seen.append)
    assert again.left == ()
    assert (again.tried, again.trials[pair][:2]) == ({}, made)
    assert seen[-1] == 1
    assert {tuple(sorted((one.there.ours, one.there.theirs))) for one in again.verdict.alarms} >= {(0, 1)}
    context = TrialContext(model, folder)
    fewer = run(context, plan(context, 2), keep=tmp_path)
    assert len(fewer.left) == 1
    written = report.document(fewer)
    assert len(written["pairs_left_out"]) == 1
    json.dumps(written, allow_nan=False)


def test_grey_images_have_no_colours_to_change(tmp_path: Path) -> None:
    model = Judge()
    model.load()
    model.input_shape = (HEIGHT, WIDTH, 1)
    views = {target: some[..., :1] for target, some in noise_images("brightness").items()}
    answers = {target: logits(model, some) for target, some in views.items()}
    audited = run(TrialContext(model, Folder(views, answers, {0: (), 1: ()})))
    tried = {one.intervention for one in audited.trials[0, 1]}
    assert {"brightness", "the frame"} < tried
    assert not {"warmth", "greenness", "saturation"} & tried


class Tags(Judge):
    """Returns an independent probability for each class, like a multi-label model, and no gradients."""

    reliance = 0.9
    capabilities = frozenset({Capability.PREDICTIONS})

    def batch_probabilities(self, inputs: Array) -> Array:
        return np.asarray(1 / (1 + np.exp(-1 - self.batch_logits(inputs))), np.float32)


def test_a_model_for_several_labels_without_gradients(tmp_path: Path) -> None:
    model = Tags()
    model.load()
    views = noise_images("brightness")
    answers = {target: logits(model, some) for target, some in views.items()}
    # The log-odds are used as logits.
    np.testing.assert_allclose(answers[1], model.batch_logits(views[1]) + 1, atol=2e-3)
    audited = run(TrialContext(model, Folder(views, answers, {0: tuple("a" * COUNT), 1: tuple("b" * COUNT)})))
    assert audited.verdict.alarms[0].there.intervention == "brightness"
    written = report.document(audited)
    assert written["calibration"] is None
    assert written["accuracy"]["images"] == 2 * COUNT


def test_many_classes_get_fewer_images_each_and_are_kept_as_bytes() -> None:
    counts = taken(dict.fromkeys(range(100), 300))
    assert set(counts.values()) == {ASKED // 100}
    assert set(taken(dict.fromkeys(range(1_000), 300)).values()) == {MIN_PER_CLASS}
    with pytest.raises(BadRequest, match="An audit accepts at most 1,250 classes"):
        taken(dict.fromkeys(range(MAX_UPLOADED // MIN_PER_CLASS + 1), 300))
    images = np.arange(8 * 2 * 3 * 3, dtype=np.uint8).reshape(8, 2, 3, 3)
    stored = LazyImages({4: images})
    assert list(stored) == [4]
    assert stored[4].dtype == np.float32
    np.testing.assert_array_equal(np.round(stored[4] * 255).astype(np.uint8), images)
