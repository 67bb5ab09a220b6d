"""The callback Audit: its lines, its curves, and what errors do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import picasso
from picasso.audit.interventions.quantile_match import PropertyChange
from picasso.audit.properties import PROPERTIES
from picasso.callbacks import Audit
from picasso.callbacks import audit as audit_callback
from picasso.errors import BadRequest, PicassoError
from picasso.models.tf.runtime import keras
from tests.callbacks.conftest import Data

# Keras itself causes some when it saves a model.
pytestmark = pytest.mark.filterwarnings("ignore")
NAMES = ["dark", "bright"]
INTERVENTIONS = [PropertyChange(one) for one in PROPERTIES[:3]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Images of noise, which differ in nothing but their brightness."""
    for target, name in enumerate(NAMES):
        (tmp_path / "images" / name).mkdir(parents=True)
        for seed in range(12):
            pixels = np.random.default_rng([target, seed]).normal((70, 170)[target], 25, (8, 8))
            Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(tmp_path / "images" / name / f"{seed}.png")
    return tmp_path / "images"


def linear() -> Any:
    keras.utils.set_random_seed(2)
    layers = keras.layers
    head = layers.Dense(2, activation="softmax")
    model = keras.Sequential([keras.Input((8, 8, 1)), layers.Rescaling(2, -1), layers.Flatten(), head])
    model.compile(keras.optimizers.SGD(0.02), "sparse_categorical_crossentropy")
    return model


def read_images(folder: Path) -> Data:
    files = [file for name in NAMES for file in sorted((folder / name).iterdir())]
    return np.stack([np.asarray(Image.open(file), np.float32)[..., None] / 255 for file in files]), np.repeat(
        [0, 1], 12
    )


def fit(folder: Path, *callbacks: Any, epochs: int = 4) -> Any:
    model = linear()
    model.fit(*read_images(folder), batch_size=4, epochs=epochs, verbose=0, callbacks=list(callbacks))
    return model


def lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "audit.jsonl").read_text().splitlines()]


def test_the_last_line_is_what_an_audit_of_the_trained_model_says(folder: Path, tmp_path: Path) -> None:
    model = fit(folder, Audit(folder, 2, tmp_path / "to", interventions=INTERVENTIONS, labels=NAMES))
    second, fourth = lines(tmp_path / "to")
    assert (second["epoch"], fourth["epoch"]) == (2, 4)
    audit = picasso.audit_model(
        picasso.load_model(model, labels=NAMES), folder, tmp_path / "out", interventions=INTERVENTIONS
    )
    assert fourth["verdict"] == audit.sentence()
    assert fourth["accuracy"] == 1.0
    assert fourth["alarms"] == 1
    (finding,) = json.loads((tmp_path / "out" / "audit.json").read_text())["findings"]
    (found,) = [one for one in fourth["reliance"] if one["tier"]]
    from picasso.audit.reporting.reliance import reliance

    assert (found["name"], found["classes"], found["tier"]) == (finding["name"], ["bright", "dark"], "relies on")
    assert found["value"] == pytest.approx(reliance(finding).value, abs=1e-6)
    assert second["reliance"] != fourth["reliance"]


def test_findings_have_curves_in_tensorboard(folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tests.summaries.test_existing import read, values

    fit(folder, Audit(folder, to=tmp_path, tensorboard=tmp_path / "logs", interventions=INTERVENTIONS, labels=NAMES))
    events, tag = read(tmp_path / "logs"), "reliance/Brightness (“bright” and “dark”)"
    assert set(events.Tags()["tensors"]) == {tag, "audit/alarms", "audit/accuracy"}
    written = {
        line["epoch"]: one["value"]
        for line in lines(tmp_path)
        for one in line["reliance"]
        if one["name"] == "brightness"
    }
    curve = values(events, tag)
    assert len(curve) >= 2
    assert curve == {epoch: pytest.approx(value, abs=1e-5) for epoch, value in written.items()}
    assert values(events, "audit/accuracy") == {one["epoch"]: pytest.approx(one["accuracy"]) for one in lines(tmp_path)}


def test_a_curve_has_the_epochs_before_the_finding(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("tensorboard")
    from tests.summaries.test_existing import read, values

    calls: list[int] = []
    original = audit_callback.tested

    def weak(*given: Any) -> Any:
        calls.append(1)
        return [one._replace(tier="") if len(calls) < 3 else one for one in original(*given)]

    monkeypatch.setattr("picasso.callbacks.audit.tested", weak)
    fit(folder, Audit(folder, to=tmp_path, tensorboard=tmp_path / "logs", interventions=INTERVENTIONS, labels=NAMES))
    curve = values(read(tmp_path / "logs"), "reliance/Brightness (“bright” and “dark”)")
    found = {line["epoch"]: line["reliance"][0] for line in lines(tmp_path)}
    assert [bool(found[epoch]["tier"]) for epoch in (1, 2, 3, 4)] == [False, False, True, True]
    assert curve == {epoch: pytest.approx(one["value"], abs=1e-5) for epoch, one in found.items()}


def test_a_curve_has_no_epochs_of_an_earlier_training(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("tensorboard")
    from tests.summaries.test_existing import read, values

    original, calls = audit_callback.tested, list[int]()

    def weak(*given: Any) -> Any:
        calls.append(1)
        return [one._replace(tier="") if len(calls) < 5 else one for one in original(*given)]

    monkeypatch.setattr("picasso.callbacks.audit.tested", weak)
    first, second = tmp_path / "first", tmp_path / "second"
    audit = Audit(folder, tensorboard=first, interventions=INTERVENTIONS, labels=NAMES)
    fit(folder, audit, epochs=4)
    # Nothing was found yet; the same callback with another model, and another folder to tell the files apart.
    audit._logdir = second
    fit(folder, audit, epochs=2)
    assert sorted(values(read(second), "reliance/Brightness (“bright” and “dark”)")) == [1, 2]


def test_the_model_is_audited_before_the_training_if_that_is_wanted(folder: Path, tmp_path: Path) -> None:
    wanted: dict[str, Any] = {"interventions": INTERVENTIONS, "labels": NAMES, "before": True}
    untrained = picasso.audit_model(
        picasso.load_model(linear(), labels=NAMES), folder, tmp_path / "out", interventions=INTERVENTIONS
    )
    model = fit(folder, Audit(folder, 2, tmp_path / "a", **wanted))
    first, *others = lines(tmp_path / "a")
    assert (first["epoch"], [one["epoch"] for one in others]) == (0, [2, 4])
    assert first["verdict"] == untrained.sentence()
    # The others are what they are without it.
    fit(folder, Audit(folder, 2, tmp_path / "b", **{**wanted, "before": False}))
    assert others == lines(tmp_path / "b")
    # A training that is continued replaces the line of the epoch that it begins with.
    more = Audit(folder, 2, tmp_path / "a", **wanted)
    model.fit(*read_images(folder), initial_epoch=4, epochs=6, verbose=0, callbacks=[more])
    *before, same, _ = lines(tmp_path / "a")
    assert [one["epoch"] for one in (*before, same)] == [0, 2, 4]
    assert same == others[-1]


def test_the_training_is_the_same_with_and_without_it(folder: Path, tmp_path: Path) -> None:
    plain = fit(folder).get_weights()
    audit = Audit(folder, to=tmp_path, interventions=INTERVENTIONS, labels=NAMES, before=True)
    audited = fit(folder, audit).get_weights()
    assert len(lines(tmp_path)) == 5
    for one, other in zip(plain, audited, strict=True):
        np.testing.assert_array_equal(one, other)


def test_it_audits_the_model_of_each_training(folder: Path, tmp_path: Path) -> None:
    """A callback that is passed to the training of a second model says what one that is new says."""
    audit = Audit(folder, to=tmp_path / "a", interventions=INTERVENTIONS, labels=NAMES, every=4)
    fit(folder, audit)
    model = linear()
    images, targets = read_images(folder)
    for one in (audit, Audit(folder, to=tmp_path / "b", interventions=INTERVENTIONS, labels=NAMES, every=4)):
        model.set_weights([0 * values for values in model.get_weights()])
        model.fit(images[:, ::-1], 1 - targets, batch_size=24, shuffle=False, epochs=4, verbose=0, callbacks=[one])
    assert lines(tmp_path / "a") == lines(tmp_path / "b")


def test_errors_do_not_end_the_training(folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    audit = Audit(folder, to=tmp_path, interventions=INTERVENTIONS, labels=NAMES)
    (tmp_path / "audit.jsonl").mkdir()
    assert len(fit(folder, audit, epochs=2).history.epoch) == 2
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert record.message.startswith("Audit recorded nothing for epoch 1: ")
    assert record.message.endswith("If it occurs again in this training, it is not reported again.")


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (["dark", "grey"], "bright is named after no class; the classes are dark, grey"),
        (["a"], "There are 1 class names"),
    ],
)
def test_a_folder_that_does_not_fit_ends_fit_before_the_first_batch(
    labels: list[str], message: str, folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[int] = []
    count = keras.callbacks.LambdaCallback(on_train_batch_begin=lambda batch, logs: seen.append(batch))
    with pytest.raises(PicassoError, match=message):
        fit(folder, count, Audit(folder, to=tmp_path / "to", interventions=INTERVENTIONS, labels=labels))
    assert (seen, caplog.records) == ([], [])


def test_wrong_arguments_are_refused_before_the_training(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match="pass a folder as to or tensorboard"):
        Audit(folder)
    with pytest.raises(BadRequest, match="There is no folder"):
        Audit(folder / "missing", to=tmp_path)
    with pytest.raises(BadRequest, match="must be an Intervention"):
        Audit(folder, to=tmp_path, interventions=["brightness"])  # type: ignore[list-item]
    with pytest.raises(BadRequest, match="at least one intervention"):
        Audit(folder, to=tmp_path, interventions=[])
    with pytest.raises(BadRequest, match="or 0 for all, not -1"):
        Audit(folder, to=tmp_path, pairs=-1)
    with pytest.raises(BadRequest, match="is a file"):
        Audit(folder, to=next((folder / NAMES[0]).iterdir()))
    with pytest.raises(BadRequest, match="masks"):
        Audit(folder, to=tmp_path, masks=tmp_path / "none")
