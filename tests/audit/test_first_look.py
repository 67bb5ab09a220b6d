"""Audits of many classes: the pairs are chosen by a sample of each class, and only their classes are read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from picasso.audit import first_look, reading, selection
from picasso.audit.audit import Audit, plan, run, silently
from picasso.audit.class_pairs import confusion, ordered
from picasso.audit.dataset import Folder, logits
from picasso.audit.interventions.quantile_match import PropertyChange
from picasso.audit.properties import PROPERTIES, Images
from picasso.audit.reading import read
from picasso.audit.reporting import report
from picasso.audit.selection import block_size, considered, most_classes, needs_look
from picasso.audit.trial import TrialContext
from picasso.errors import BadRequest
from picasso.evaluation import labeled_folder
from picasso.mending import mend
from picasso.models.arrays import Array
from tests.fakes import LinearModel

CLASSES, EACH, SIDE = 120, 9, 8
# The first two are confused, the second two are alike, and the images of the fifth are darker than those of the sixth.
CONFUSED, ALIKE, APART = (7, 61), (20, 100), (33, 34)


class Many(LinearModel):
    """Reads the class from a column of the image, and its brightness."""

    def load(self, **arguments: Any) -> None:
        super().load(shape=(SIDE, SIDE, 3))
        self.num_classes = CLASSES
        self.codes = np.random.default_rng(0).uniform(-1, 1, (CLASSES, SIDE)).astype(np.float32)
        one, other = ALIKE
        self.codes[other] = self.codes[one] + 0.05
        self.codes /= np.linalg.norm(self.codes, axis=1, keepdims=True)
        self.weights = np.zeros((CLASSES, SIDE, SIDE, 3), np.float32)
        self.weights[:, :, 0, 0] = 20 * self.codes
        for target, sign in zip(APART, (-1, 1), strict=True):
            self.weights[target, :, 1:] = sign * arguments.get("reliance", 0.0) * 60 / (SIDE * (SIDE - 1) * 3)

    def class_names(self) -> list[str]:
        return [f"class {index}" for index in range(self.num_classes)]

    def batch_logits(self, inputs: Array) -> Array:
        return super().batch_logits(np.asarray(inputs - 0.5, np.float32))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    model = Many()
    model.load()
    root = tmp_path_factory.mktemp("many")
    random = np.random.default_rng(1)
    for target in range(CLASSES):
        (root / f"class {target}").mkdir()
        for index in range(EACH):
            pixels = random.uniform(0.45, 0.55, (SIDE, SIDE, 3))
            # Some images of two classes show the other.
            shown = CONFUSED[1 - CONFUSED.index(target)] if target in CONFUSED and index < EACH // 3 else target
            pixels[:, 0, 0] = 0.5 + 0.4 * model.codes[shown] + random.normal(0, 0.02, SIDE)
            pixels[:, 1:] += {APART[0]: -0.3, APART[1]: 0.3}.get(target, 0)
            Image.fromarray((pixels.clip(0, 1) * 255).astype(np.uint8)).save(root / f"class {target}" / f"{index}.png")
    return root


def audited(folder: Path, pairs: int = 3, reliance: float = 0.0) -> Audit:
    model = Many()
    model.load(reliance=reliance)
    images = read(model, labeled_folder.find(model, folder), silently, pairs=pairs)
    context = TrialContext(model, images, 0, (PropertyChange(PROPERTIES[0]),))
    return run(context, plan(context, pairs))


def test_pairs_are_chosen_by_a_sample_and_the_others_are_not_read(folder: Path, tmp_path: Path) -> None:
    found = audited(folder, 6)
    look = found.folder.look
    assert look is not None
    assert set(look.pairs[:3]) == {CONFUSED, ALIKE, APART}
    chosen = set(look.pairs[:6])
    assert set(found.folder.views) == {target for pair in chosen for target in pair}
    assert len(found.folder.views) <= 12
    every = CLASSES * (CLASSES - 1) // 2
    assert found.context.folder.classes == CLASSES
    assert found.coverage.pairs == every
    assert f"of {every:,} pairs of classes" in found.sentence()
    assert (
        f"The pairs were chosen by up to {EACH} images of each of {CLASSES} classes: the model confuses them most, its "
        "logits for them are most alike, or a property separates them best." in found.sentence()
    )
    planned = plan(found.context, 6).sentence()
    assert f"Skipped: {every - 6:,} pairs of lower priority. The pairs were chosen by up to 9 images" in planned
    written = report.write(found, tmp_path / "out")
    assert len(written["pairs_left_out"]) + written["more_pairs_left_out"] + 6 == every
    assert f"and {every - 6 - 12:,} others." in (tmp_path / "out" / "report.html").read_text()
    # The accuracy is that of the sample of each class, not that of the chosen ones.
    assert written["accuracy"]["images"] == CLASSES * EACH
    assert written["accuracy"]["right"] >= CLASSES * EACH - 2 * (EACH // 3) - EACH
    json.dumps(written)


def test_a_shortcut_among_many_classes_is_found(folder: Path) -> None:
    found = audited(folder, reliance=1.0)
    assert [sorted(one.pair) for one in found.verdict.alarms] == [list(APART)]
    assert "class 33" in found.sentence()
    # It is no class against all others.
    assert "all 5 other classes" not in found.sentence()
    with pytest.raises(BadRequest, match="read only some of its many classes"):
        mend.mend(found, folder / "mended.keras")


def test_an_audit_of_all_pairs_compares_those_that_were_considered(folder: Path) -> None:
    model = Many()
    model.load()
    images = read(model, labeled_folder.find(model, folder), silently, pairs=0)
    assert images.look
    planned = plan(TrialContext(model, images), 0)
    assert planned.pairs == images.look.pairs
    assert CLASSES / 2 <= len(planned.pairs) <= considered(CLASSES) < CLASSES * (CLASSES - 1) // 2
    assert len(PROPERTIES) == selection.PROPERTIES
    assert len(planned.left) + planned.unlisted + len(planned.pairs) == CLASSES * (CLASSES - 1) // 2


def test_what_fits_into_memory_limits_the_classes_that_are_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held = 10 * selection.MIN_PER_CLASS * SIDE * SIDE * 3
    monkeypatch.setattr(selection, "HELD_BYTES", held)
    model = Many()
    model.load()
    images = read(model, labeled_folder.find(model, folder), silently, pairs=0)
    assert len(images.views) == 10
    blocks = images.blocks
    assert blocks is None
    assert {len(some) for some in images.views.values()} == {EACH}


def test_unreadable_images_of_a_sample_are_left_out(folder: Path, tmp_path: Path) -> None:
    for target in range(CLASSES):
        (tmp_path / f"class {target}").symlink_to(folder / f"class {target}")
    (tmp_path / "class 7").unlink()
    (tmp_path / "class 7").mkdir()
    for index in range(EACH):
        source = folder / "class 7" / f"{index}.png"
        (tmp_path / "class 7" / f"{index}.png").write_bytes(source.read_bytes() if index > 1 else b"no image")
    found = audited(tmp_path, 4)
    assert found.folder.left_out == "Left out, with fewer than 8 images: class 7 (7)."
    assert (found.coverage.small_classes, found.coverage.unreadable, found.coverage.classes) == (1, 2, CLASSES - 1)
    assert all(7 not in pair for pair in found.folder.look.pairs)  # type: ignore[union-attr]


def test_few_classes_are_ranked_like_those_that_are_read_as_a_whole() -> None:
    random, classes = np.random.default_rng(3), 6
    views: dict[int, Images] = {
        target: random.uniform(0.4, 0.6, (12, 8, 8, 3)).astype(np.float32) for target in range(classes)
    }
    views[3] += np.float32(0.3)
    answers = {target: random.normal(0, 1, (12, classes)).astype(np.float32) for target in views}
    for target, some in answers.items():
        some[:, target] += 3
    answers[2][:6, 4] += 9
    whole = Folder(views, answers, {})
    look = first_look.first_look((target, views[target], answers[target]) for target in reversed(range(classes)))
    assert sorted(look.pairs) == sorted(ordered(whole))
    assert {ordered(whole)[0], (2, 4)} <= set(look.pairs[:3])
    means = np.stack([answers[target].mean(axis=0) for target in views])
    mixed = np.stack([(some > some[:, [target]]).mean(axis=0) for target, some in answers.items()])
    confused = first_look.confusions(means, np.asarray(mixed, np.float32))
    for pair in look.pairs:
        assert confused[pair] == pytest.approx(confusion(whole, pair), abs=1e-5)


def test_blocks_of_large_images_are_smaller_and_ordinary_ones_stay_as_they_were() -> None:
    sizes = [block_size(side * side * 3, 20) for side in (28, 224, 299, 512, 1024, 4096)]
    assert sizes == [200, 200, 200, 68, 17, 8]
    for side in (28, 224, 299, 512, 1024):
        values = side * side * 3
        size = block_size(values, 20)
        assert 4 * values * size <= selection.CLASS_BYTES
        assert 20 * values * size <= selection.HELD_BYTES
    assert most_classes(224 * 224 * 3) == 891
    assert not needs_look([200] * 20, 299 * 299 * 3)
    assert needs_look([200] * 21, 3)
    assert not needs_look([39] * 100, 3)
    assert needs_look([8] * 101, 3)
    assert needs_look([8] * 30, 3072 * 3072 * 3)


def test_of_large_images_a_block_is_read_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selection, "CLASS_BYTES", 4 * 10 * SIDE * SIDE * 3)
    model = Many()
    model.load()
    for target in (0, 1):
        (tmp_path / f"class {target}").mkdir()
        for index in range(30):
            pixels = np.random.default_rng([target, index]).integers(0, 255, (SIDE, SIDE, 3), np.uint8)
            Image.fromarray(pixels).save(tmp_path / f"class {target}" / f"{index}.png")
    images = read(model, labeled_folder.find(model, tmp_path), silently)
    assert images.blocks is not None
    assert images.blocks.sizes == {0: [10, 10, 10], 1: [10, 10, 10]}
    assert isinstance(images.blocks, reading.FileBlocks)
    np.testing.assert_array_equal(images.logits[0], logits(model, images.views[0]))
