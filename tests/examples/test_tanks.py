"""The tank detectors: both models have the same accuracy, and the audit distinguishes them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from picasso.audit import audit
from picasso.audit.outcome import AuditOutcome
from picasso.audit.reading import read
from picasso.audit.trial import TrialContext
from picasso.evaluation.labeled_folder import find
from picasso.examples import tanks
from picasso.examples.tanks.scenes import CLASSES, HEIGHT, WIDTH, save, scenes
from picasso.inside.effects import channel_effects
from picasso.mending.start import mend_model
from picasso.models import Edit, load_model

DATA = Path(tanks.__file__).parent / "data"


@pytest.mark.slow
def test_scenes_depend_on_their_seed_and_weather_goes_with_tanks() -> None:
    images, targets = scenes(30, 1.0, seed=1)
    assert images.shape == (60, HEIGHT, WIDTH, 3)
    np.testing.assert_array_equal(images, scenes(30, 1.0, seed=1)[0])
    assert (images != scenes(30, 1.0, seed=2)[0]).any()
    light = images.mean(axis=(1, 2, 3))
    assert light[targets == 1].max() < light[targets == 0].min(), "all tanks stand under clouds"
    fair, targets = scenes(200, 0.5, seed=1)
    light = fair.mean(axis=(1, 2, 3))
    assert abs(light[targets == 1].mean() - light[targets == 0].mean()) < 12


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images with the confounder of the first detector: all tanks under clouds."""
    place = tmp_path_factory.mktemp("tanks")
    save(place, *scenes(40, 1.0, seed=5))
    return place


def audited(name: str, folder: Path, record: Path) -> tuple[float, AuditOutcome]:
    """Return the accuracy of a model on the folder, and the outcome of its audit."""
    model = load_model(DATA / name, labels=CLASSES, preprocess="0..255")
    images = read(model, find(model, folder), lambda fraction: None)
    right = [(answers.argmax(axis=1) == target).mean() for target, answers in images.logits.items()]
    return float(np.mean(right)), audit.run(TrialContext(model, images), keep=record).verdict


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_accuracy_cannot_tell_them_apart_and_the_audit_can(folder: Path, tmp_path: Path) -> None:
    accuracy, cloudy = audited("cloudy.keras", folder, tmp_path / "cloudy")
    assert accuracy > 0.97
    assert cloudy.alarms[0].there.intervention == "brightness"
    assert cloudy.alarms[0].size > 0.3
    accuracy, right = audited("right.keras", folder, tmp_path / "right")
    assert accuracy > 0.97
    assert right.alarms == []


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_the_bad_detector_can_be_mended_from_confounded_images_alone(tmp_path: Path) -> None:
    save(tmp_path / "images", *scenes(60, 1.0, seed=2))
    save(tmp_path / "fair", *scenes(150, 0.5, seed=98))
    model = load_model(DATA / "cloudy.keras", labels=CLASSES, preprocess="0..255")
    found = mend_model(model, tmp_path / "images", tmp_path / "mended.keras", fair=tmp_path / "fair", rounds=1)
    assert found.mended
    assert found.effects[0].intervention == "brightness"
    assert found.effects[0].size_before > 0.8
    assert found.effects[0].remainder < 0.1
    assert found.fair
    assert found.fair.before.accuracy < 0.6
    assert found.fair.after.accuracy > 0.85


@pytest.mark.slow
def test_channels_that_follow_the_brightness_matter_to_the_bad_detector_alone() -> None:
    """What the page on channels tells."""
    pixels, _ = scenes(100, confounded=0.5, seed=7)
    images, brightness = [Image.fromarray(one) for one in pixels], pixels.mean(axis=(1, 2, 3))
    cloudy = brightness < np.median(brightness)
    changed, gaps = {}, {}
    for name in ("cloudy", "right"):
        model = load_model(DATA / f"{name}.keras", labels=CLASSES, preprocess="0..255")
        inputs, layer = model.inputs_of(images), model.layers()[0].name
        means = model.feature_maps(inputs, layer).mean(axis=(1, 2))
        follows = np.array([abs(np.corrcoef(one, brightness)[0, 1]) if one.any() else 0 for one in means.T])
        chosen = np.argsort(follows)[-8:].tolist()
        assert follows[chosen].min() >= 0.94
        edit = Edit(layer, chosen, value=means[:, chosen].mean(axis=0).tolist())
        before, after = model.predict(inputs), model.edited(inputs, edit)
        changed[name] = int((before.argmax(axis=1) != after.argmax(axis=1)).sum())
        gaps[name] = [float(one[cloudy, 1].mean() - one[~cloudy, 1].mean()) for one in (before, after)]
        if name == "cloudy":
            for one in model.layers():
                effects = channel_effects(model, one.name, images).channels
                assert max(effect.changed for effect in effects) <= 0.01 * len(images)
    assert changed["cloudy"] > 80
    assert changed["right"] < 10
    assert gaps["cloudy"][0] > 0.95
    assert gaps["cloudy"][1] < 0.35
    assert max(map(abs, gaps["right"])) < 0.07


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_the_training_shows_that_the_shortcut_is_learned_first(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Within a few batches, the detector of cloudy tanks relies on brightness."""
    from picasso.audit.interventions.quantile_match import PropertyChange
    from picasso.audit.properties import PROPERTIES
    from picasso.callbacks import Audit
    from picasso.callbacks.json_lines import read_epochs
    from picasso.examples.tanks import train

    monkeypatch.setattr(train, "TRAINING", 300)
    brightness = [one for one in map(PropertyChange, PROPERTIES) if one.name == "brightness"]
    audit = Audit(folder, to=tmp_path, interventions=brightness, labels=CLASSES, preprocess="0..255")
    train.train("cloudy", 1.0, 0, [audit], epochs=3, steps_per_epoch=5)
    last = read_epochs(tmp_path / "audit.jsonl")[-1]
    (found,) = last["reliance"]
    assert (last["epoch"], found["name"], found["tier"]) == (3, "brightness", "relies on")
    assert found["value"] > 0.8
