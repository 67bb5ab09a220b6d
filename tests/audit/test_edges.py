"""Edge cases: models and folders about which an audit can conclude little."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from picasso.audit.audit import run, silently
from picasso.audit.confounders import confounded, separations
from picasso.audit.dataset import Folder, logits
from picasso.audit.properties import Images
from picasso.audit.reading import read
from picasso.audit.reporting import report
from picasso.audit.reporting.near_duplicates import MAX_PAIRS, near_duplicates
from picasso.audit.trial import TrialContext
from picasso.errors import BadRequest, ModelError
from picasso.evaluation.labeled_folder import LabeledImage
from picasso.models.arrays import Array
from tests.audit.test_audit import COUNT, Judge, audit, noise_images


class Inverted(Judge):
    """Is always wrong."""

    def batch_logits(self, inputs: Array) -> Array:
        return -super().batch_logits(inputs)


class Indifferent(Judge):
    """Returns the same logits for all images."""

    def batch_logits(self, inputs: Array) -> Array:
        return np.zeros((len(inputs), 2), np.float32)


class Boundless(Judge):
    """Returns logarithms of probabilities, some of which are 0."""

    def batch_logits(self, inputs: Array) -> Array:
        return np.full((len(inputs), 2), -np.inf, np.float32)


def bench_of(model: Judge, views: dict[int, Images] | None = None) -> TrialContext:
    model.load()
    views = views or noise_images("brightness")
    answers = {target: logits(model, some) for target, some in views.items()}
    return TrialContext(model, Folder(views, answers, {target: tuple(map(str, range(COUNT))) for target in views}))


@pytest.mark.parametrize("model", [Inverted(), Indifferent()])
def test_of_a_model_that_does_not_tell_classes_apart_nothing_is_said(model: Judge, tmp_path: Path) -> None:
    found = run(bench_of(model))
    assert found.verdict.alike == ((0, 1),)
    assert found.verdict.sentence().startswith("The model does not separate these classes")
    assert found.trials == {(0, 1): []}
    report.write(found, tmp_path)
    assert json.loads((tmp_path / "audit.json").read_text())["not_separable"] == [["no tank", "tank"]]
    assert "<h2>Classes that the model does not separate</h2>" in (tmp_path / "report.html").read_text()


def test_the_same_images_in_both_classes(tmp_path: Path) -> None:
    views = noise_images("brightness")
    found = run(bench_of(Judge(), {0: views[0], 1: views[0].copy()}))
    assert found.verdict.compared == 0
    flat = {target: np.full((8, 24, 32, 3), 0.5, np.float32) for target in (0, 1)}
    assert run(bench_of(Judge(), flat)).verdict.compared == 0


def test_logits_that_are_no_numbers_are_refused() -> None:
    with pytest.raises(ModelError, match="logits that are not finite numbers"):
        bench_of(Boundless())


def test_an_audit_of_nothing_is_refused() -> None:
    context = bench_of(Judge())
    with pytest.raises(BadRequest, match="at least one intervention"):
        TrialContext(context.model, context.folder, interventions=[])


@pytest.mark.parametrize("size", [(4, 4, 1), (8, 8, 1), (5, 9, 3), (16, 128, 3)])
def test_small_images_get_what_fits_them(size: tuple[int, int, int]) -> None:
    class Small(Judge):
        def batch_logits(self, inputs: Array) -> Array:
            score = 20 * (inputs.mean(axis=(1, 2, 3)) - 0.5)
            return np.stack([-score, score], axis=1)

        def batch_input_gradients(self, inputs: Array, classes: Any) -> Array:
            return np.ones_like(inputs)

    model = Small()
    model.load()
    model.input_shape = size
    random = np.random.default_rng(0)
    views = {
        target: np.asarray(np.clip(random.normal(0.4 + 0.2 * target, 0.05, (12, *size)), 0, 1), np.float32)
        for target in (0, 1)
    }
    answers = {target: logits(model, some) for target, some in views.items()}
    found = run(TrialContext(model, Folder(views, answers, {0: ("",) * 12, 1: ("",) * 12})))
    assert "brightness" in {one.there.intervention for one in found.verdict.alarms}


# ---- checkpoints ---------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_another_model_without_a_file_does_not_get_the_trials_of_the_first(tmp_path: Path) -> None:
    assert audit(tmp_path, 0.9).exit_code == 1
    assert audit(tmp_path, 0.0).exit_code == 0
    assert audit(tmp_path, 0.9).exit_code == 1


@pytest.mark.slow
def test_a_spoilt_record_is_made_again(tmp_path: Path) -> None:
    assert audit(tmp_path, 0.9).exit_code == 1
    before = (tmp_path / "out" / "report.html").read_bytes()
    kept = tmp_path / "out" / "trials" / "pair-0-1.json"
    for spoilt in (kept.read_text()[:500], "[]", json.dumps({"key": json.loads(kept.read_text())["key"]})):
        kept.write_text(spoilt)
        assert audit(tmp_path, 0.9).exit_code == 1
        assert (tmp_path / "out" / "report.html").read_bytes() == before


def test_what_nobody_expected_ends_with_status_2(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object) -> None:
        raise RuntimeError("the disk is gone")

    monkeypatch.setattr(report, "write", fail)
    done = audit(tmp_path, 0.9)
    assert done.exit_code == 2
    assert "the disk is gone" in done.output


@pytest.mark.slow
def test_evidence_of_an_earlier_audit_goes(tmp_path: Path) -> None:
    audit(tmp_path, 0.9)
    stale = tmp_path / "out" / "evidence" / "99-0-before.png"
    stale.write_bytes(b"old")
    audit(tmp_path, 0.9)
    assert not stale.exists()


# ---- the folder -----------------------------------------------------------------------------------------------------


def test_names_that_are_no_text_are_shown_as_they_can_be(tmp_path: Path) -> None:
    found = []
    for target, views in noise_images("brightness").items():
        for index, view in enumerate(views[:8]):
            file = Path(f"{tmp_path}/{target}{index}\udcff.png")
            Image.fromarray(np.round(view * 255).astype(np.uint8)).save(tmp_path / "one.png")
            (tmp_path / "one.png").rename(file)
            found.append(LabeledImage(file, target))
    model = Judge()
    model.load()
    folder = read(model, found, silently)
    report.write(run(TrialContext(model, folder)), tmp_path / "out")
    assert folder.names[0][0] == "00.png"


def test_grey_against_coloured_is_a_confound() -> None:
    views = noise_images("brightness")
    grey = {0: np.repeat(views[0].mean(axis=-1, keepdims=True), 3, axis=-1), 1: views[1]}
    found = [one for one in confounded(grey) if one.name == "saturation"]
    assert [(one.one, one.other, one.separation) for one in found] == [(0, 1, 1.0)]


def test_separations_are_those_of_mann_and_whitney() -> None:
    from scipy import stats

    from picasso.audit.properties import PROPERTIES

    views = noise_images("brightness")
    measured = {one.name: one for one in separations(views)}
    for of in PROPERTIES:
        statistic = stats.mannwhitneyu(of.measure(views[1]), of.measure(views[0])).statistic / COUNT**2
        assert measured[of.name].separation == pytest.approx(max(statistic, 1 - statistic))


def test_of_many_twins_the_most_alike_are_told() -> None:
    views = noise_images("brightness")
    copies = np.repeat(views[0][:1], 20, axis=0)
    found = near_duplicates({target: np.concatenate([copies, some[1:]]) for target, some in views.items()})
    assert len(found) == MAX_PAIRS < 20 * 20
    assert min(one.likeness for one in found) == pytest.approx(1)
