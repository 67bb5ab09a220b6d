"""The callback Explain: what it writes, and that the training does not notice it."""

from __future__ import annotations

import json
import logging
import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import picasso
from picasso import config
from picasso.callbacks import Explain
from picasso.errors import BadRequest, ModelError, NotFound, PicassoError
from picasso.explanation.result import Result
from picasso.models.tf import built_graph, graph
from picasso.models.tf.runtime import keras
from tests.callbacks.conftest import Data, network

# Keras itself causes some when it saves a model.
pytestmark = pytest.mark.filterwarnings("ignore")


def lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "epochs.jsonl").read_text().splitlines()]


def fit(model: Any, data: Data, *callbacks: Any, epochs: int = 3, **options: Any) -> Any:
    return model.fit(*data, batch_size=16, epochs=epochs, verbose=0, callbacks=list(callbacks), **options)


@pytest.mark.slow
@pytest.mark.parametrize("visualization", ["SaliencyMaps", "PartialOcclusion", "GradCAM"])
def test_maps_are_those_of_the_weights_of_their_epoch(visualization: str, data: Data, tmp_path: Path) -> None:
    """Whatever is cached, each map equals that of the checkpoint of the epoch, loaded afresh."""
    folder = tmp_path / "training"
    settings: dict[str, Any] = {"Window": 0.3} if visualization == "PartialOcclusion" else {}
    fit(network(), data, Explain(data[0][:2], visualization, to=folder, classes=[0, 1], **settings))
    for epoch in (1, 3):
        loaded = picasso.load_model(folder / f"epoch-{epoch:04d}.keras")
        for number in (0, 1):
            expected = picasso.explain(loaded, data[0][number], visualization, classes=number, **settings)[0]
            found = Result.load(folder / f"maps/epoch-{epoch:04d}/{number:02d}-image_{number}")
            (ours,), (theirs,) = ([one for one in each.panels if one.kind == "map"] for each in (found, expected))
            scale = np.abs(theirs.array).max()
            assert scale > 0
            np.testing.assert_allclose(ours.array, theirs.array, atol=2e-5 * scale)
    first, last = (Result.load(folder / f"maps/epoch-000{epoch}/00-image_0").panels[-1].array for epoch in (1, 3))
    assert np.abs(first - last).max() > 1e-3 * np.abs(last).max()


def test_each_epoch_has_a_line(data: Data, tmp_path: Path) -> None:
    folder = tmp_path / "a" / "training"
    names = ["left", "right"]
    explain = Explain(data[0][:2], "SaliencyMaps", 2, folder, classes=names, labels=names)
    history = fit(network(), data, explain, epochs=5)
    second, fourth = lines(folder)
    assert (second["epoch"], fourth["epoch"]) == (2, 4)
    assert second["logs"]["loss"] == pytest.approx(history.history["loss"][1])
    one, two = fourth["images"]
    assert (one["image"], one["class"], two["class"]) == ("image 0", "left", "right")
    assert one["confidence"] == pytest.approx(
        next(each["prob"] for each in one["predictions"] if each["name"] == "left")
    )
    assert second["images"][0]["agreement"] is None
    maps = [Result.load(folder / each["images"][0]["map"]).panels[-1] for each in (second, fourth)]
    from picasso.explanation.comparison import agreement

    assert one["agreement"] == pytest.approx(agreement(*maps))
    assert -1 <= one["agreement"] <= 1
    assert sorted(file.name for file in folder.iterdir()) == [
        "config.yaml", "epoch-0002.keras", "epoch-0004.keras", "epochs.jsonl", "images", "labels.txt", "maps",
    ]  # fmt: skip


@pytest.mark.slow
def test_the_folder_is_one_that_the_application_opens(data: Data, tmp_path: Path) -> None:
    explain = Explain(data[0][:2], "SaliencyMaps", to=tmp_path, labels=["left", "right"], preprocess="0..1")
    fit(network(), data, explain)
    settings = config.load(tmp_path / "config.yaml")
    assert settings.path(settings.MODEL) == tmp_path / "epoch-0003.keras"
    assert list(settings.COMPARE) == ["epoch-0001", "epoch-0002"]
    samples = settings.samples_dir()
    assert samples is not None
    assert [file.name for file in sorted(samples.iterdir())] == ["00-image_0.png", "01-image_1.png"]
    for name in ("", "epoch-0001"):
        model = picasso.models.load_configured(settings.compared(name))
        assert list(model.class_names()) == ["left", "right"]
    # Without the settings, too.
    from picasso.models.checkpoints import models_at

    assert [file.name for file, _ in models_at(tmp_path)] == [f"epoch-000{epoch}.keras" for epoch in (1, 2, 3)]


def test_the_training_is_the_same_with_and_without_it(data: Data, tmp_path: Path) -> None:
    """Weights, optimizer, trainable flags and random states are equal, bit by bit."""

    def trained(*callbacks: Any) -> tuple[list[Any], Any]:
        model = network()
        model.layers[1].trainable = False
        model.compile("adam", "sparse_categorical_crossentropy")
        history = fit(model, data, *callbacks)
        values = [np.asarray(one) for one in (*model.variables, *model.optimizer.variables)]
        flags = [one.trainable for one in model.layers]
        drawn = random.random(), float(np.random.random()), np.asarray(keras.random.uniform((2,)))  # noqa: NPY002, S311
        return [*values, flags, *drawn, *history.history["loss"]], model

    plain, _ = trained()
    explained, _ = trained(
        Explain(data[0][:3], "SaliencyMaps", to=tmp_path / "one"),
        Explain(data[0][:3], "RISE", to=tmp_path / "two", Masks=50),
    )
    assert len(lines(tmp_path / "two")) == 3
    assert len(plain) == len(explained) > 15
    for one, other in zip(plain, explained, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.slow
def test_nothing_is_built_again_after_the_first_epoch(
    data: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built: list[str] = []

    def counted(owner: type[Any], name: str) -> None:
        original = getattr(owner, name)

        def method(self: Any, *arguments: Any, **options: Any) -> Any:
            built.append(name)
            return original(self, *arguments, **options)

        monkeypatch.setattr(owner, name, method)

    counted(graph.Graph, "__init__")
    counted(built_graph.BuiltGraph, "cut")
    after: list[list[str]] = []

    class Counting(keras.callbacks.Callback):  # type: ignore[misc]
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            after.append(list(built))

    explain = Explain(data[0][:2], "GradCAM", to=tmp_path, classes=[0, 1])
    fit(network(), data, explain, Counting(), epochs=4)
    assert len(after) == 4
    assert after[0].count("__init__") == 1
    assert after[0].count("cut") > 0
    assert all(one == after[0] for one in after)


def test_errors_are_logged_in_a_sentence_and_the_training_goes_on(
    data: Data, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Result, "save", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    history = fit(network(), data, Explain(data[0][:2], "SaliencyMaps", to=tmp_path), epochs=2)
    assert len(history.history["loss"]) == 2
    # Once: the messages differ only in the number of the epoch.
    assert [one.levelno for one in caplog.records] == [logging.WARNING]
    assert caplog.records[0].message.startswith("Explain recorded nothing for epoch 1: ")
    assert "No space left on device" in caplog.records[0].message
    assert not list((tmp_path / "maps").iterdir())


class Subclassed(keras.Model):  # type: ignore[misc]
    """A model whose layers have no shapes before its first batch."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(2, activation="softmax")])

    def call(self, inputs: Any) -> Any:
        return self.inner(inputs)


def test_another_error_is_told_again(
    data: Data, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    errors = [OSError(28, "No space left"), OSError(28, "No space left"), OSError(13, "Permission denied")]
    monkeypatch.setattr(Result, "save", lambda *_: (_ for _ in ()).throw(errors.pop(0)))
    fit(network(), data, Explain(data[0][:1], "SaliencyMaps", to=tmp_path), epochs=3)
    epochs = [one.message.partition(":")[0] for one in caplog.records]
    assert epochs == ["Explain recorded nothing for epoch 1", "Explain recorded nothing for epoch 3"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"classes": [0, 7]}, "The model has no class 7. Specify a name"),
        ({"classes": "cat"}, "The model has no class cat"),
        ({"labels": ["only one"]}, "1 class names for the 2 classes"),
        ({"preprocess": "sideways"}, "sideways"),
        ({"visualization": "AttentionRollout"}, "AttentionRollout needs attention"),
        ({"visualization": "GradCAM", "Layer": "no_layer"}, "no_layer"),
        ({"to": "{file}/training"}, "Nothing can be written into .*Not a directory"),
        ({"tensorboard": "{file}"}, "Nothing can be written into .*File exists"),
    ],
)
def test_arguments_that_do_not_fit_the_model_end_fit_before_the_first_batch(
    arguments: dict[str, Any], message: str, data: Data, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    seen: list[int] = []
    count = keras.callbacks.LambdaCallback(on_train_batch_begin=lambda batch, logs: seen.append(batch))
    given: dict[str, Any] = {
        name: value.replace("{file}", str(tmp_path / "file")) if isinstance(value, str) else value
        for name, value in arguments.items()
    }
    explain = Explain(**{"images": data[0][:2], "visualization": "SaliencyMaps", "to": tmp_path / "to", **given})
    # Also if fit is called again.
    for _ in range(2):
        with pytest.raises(PicassoError, match=message):
            fit(network(), data, count, explain)
    assert (seen, caplog.records) == ([], [])


def test_a_model_that_cannot_be_explained_is_tried_only_once(
    data: Data, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Of a model without shapes, the arguments can be checked only after the first epoch."""
    model = Subclassed()
    model.compile("adam", "sparse_categorical_crossentropy")
    explain = Explain(data[0][:2], "SaliencyMaps", to=tmp_path, labels=["only one"])
    assert len(fit(model, data, explain).history["loss"]) == 3
    assert [one.message.partition(":")[0] for one in caplog.records] == ["Explain recorded nothing for epoch 1"]
    assert "1 class names for the 2 classes" in caplog.text


def test_a_model_that_cannot_be_saved_still_has_its_maps(
    data: Data, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = network()
    monkeypatch.setattr(model, "save", lambda file: (_ for _ in ()).throw(NotImplementedError("no get_config()")))
    fit(model, data, Explain(data[0][:2], "SaliencyMaps", to=tmp_path), epochs=1)
    assert "Explain wrote no checkpoint for epoch 1: " in caplog.text
    assert (tmp_path / "maps" / "epoch-0001" / "01-image_1" / "result.json").is_file()


def test_a_part_of_the_trained_model_can_be_explained(data: Data, tmp_path: Path) -> None:
    inner = network()
    image = keras.Input((12, 12, 1))
    outer = keras.Model(image, inner(keras.layers.RandomFlip()(image)))
    outer.compile("adam", "sparse_categorical_crossentropy")
    fit(outer, data, Explain(data[0][:1], "SaliencyMaps", to=tmp_path, model=inner), epochs=1)
    assert keras.saving.load_model(tmp_path / "epoch-0001.keras").count_params() == inner.count_params()
    seen = np.round(data[0][:1] * 255).astype(np.float32) / 255
    expected = float(inner.predict(seen, verbose=0).max())
    assert lines(tmp_path)[0]["images"][0]["predictions"][0]["prob"] == pytest.approx(expected, abs=1e-5)


@pytest.mark.slow
def test_a_second_training_in_the_folder_replaces_its_later_epochs(data: Data, tmp_path: Path) -> None:
    fit(network(), data, Explain(data[0][:1], "SaliencyMaps", to=tmp_path), epochs=4)
    (tmp_path / "maps" / ".epoch-0005.1.0123abcd").mkdir()
    fit(network(), data, Explain(data[0][:1], "SaliencyMaps", to=tmp_path), initial_epoch=2, epochs=3)
    assert [one["epoch"] for one in lines(tmp_path)] == [1, 2, 3]
    assert sorted(file.name for file in (tmp_path / "maps").iterdir()) == [f"epoch-000{epoch}" for epoch in (1, 2, 3)]
    assert sorted(file.stem for file in tmp_path.glob("*.keras")) == [f"epoch-000{epoch}" for epoch in (1, 2, 3)]


def test_a_callback_can_be_passed_to_several_trainings(data: Data, tmp_path: Path) -> None:
    """What it records is about the model of each training, and the epochs of an earlier one are replaced."""
    explain = Explain(data[0][:1], "SaliencyMaps", to=tmp_path, classes=0)
    fit(network(), data, explain, epochs=3)
    other = network()
    fit(other, data, explain, epochs=2)
    assert [one["epoch"] for one in lines(tmp_path)] == [1, 2]
    assert sorted(file.name for file in (tmp_path / "maps").iterdir()) == ["epoch-0001", "epoch-0002"]
    assert sorted(file.name for file in tmp_path.glob("*.keras")) == ["epoch-0001.keras", "epoch-0002.keras"]
    first, last = (one["images"][0] for one in lines(tmp_path))
    assert first["agreement"] is None
    assert last["agreement"] is not None
    (expected,) = picasso.explain(picasso.load_model(other), data[0][0], "SaliencyMaps", classes=0)
    assert last["confidence"] == pytest.approx(expected.panels[-1].probability, abs=1e-6)


def test_other_files_in_the_folder_stay(data: Data, tmp_path: Path) -> None:
    """Only drafts and epochs that the callback wrote are replaced, not what the user wrote there."""
    names = ["weights-epoch-0003.keras", "epoch-03.keras", "notes-epoch-0009.txt", ".epoch-0004.swp"]
    for name in names:
        (tmp_path / name).write_text("of the user")
    (tmp_path / ".17.0123abcd.epoch-0001.keras").write_text("a draft")
    fit(network(), data, Explain(data[0][:1], "SaliencyMaps", to=tmp_path), epochs=1)
    assert [(tmp_path / name).read_text() for name in names] == ["of the user"] * len(names)
    assert not (tmp_path / ".17.0123abcd.epoch-0001.keras").exists()


@pytest.mark.parametrize("name", ["config.yaml", "labels.txt"])
def test_settings_of_the_user_are_not_replaced(name: str, data: Data, tmp_path: Path) -> None:
    (tmp_path / name).write_text("of the user")
    with pytest.raises(BadRequest, match=f"has a {name} of its own"):
        Explain(data[0][:1], to=tmp_path)
    with pytest.raises(BadRequest, match="is a file"):
        Explain(data[0][:1], to=tmp_path / name)


@pytest.mark.parametrize("classes", [np.array([1, 0]), np.array([[1], [0]]), [np.int64(1), np.uint8(0)]])
def test_classes_are_the_labels_of_a_data_set(classes: Any, data: Data, tmp_path: Path) -> None:
    """These are often integers of NumPy, and those of some data sets are a column."""
    fit(network(), data, Explain(data[0][:2], "SaliencyMaps", to=tmp_path, classes=classes), epochs=1)
    assert [one["class"] for one in lines(tmp_path)[0]["images"]] == ["1", "0"]


def test_one_class_is_that_of_all_images(data: Data, tmp_path: Path) -> None:
    label: Any = np.int64(1)
    fit(network(), data, Explain(data[0][:2], "SaliencyMaps", to=tmp_path, classes=label), epochs=1)
    assert [one["class"] for one in lines(tmp_path)[0]["images"]] == ["1", "1"]


def test_maps_and_numbers_are_written_for_tensorboard(data: Data, tmp_path: Path) -> None:
    """TensorBoard reads what the folder has, with the epoch as step."""
    pytest.importorskip("tensorboard")
    from picasso.explanation import render
    from tests.summaries.test_existing import images, read, values

    explain = Explain(data[0][:2], "SaliencyMaps", to=tmp_path / "a", tensorboard=tmp_path / "b", classes=[0, 1])
    fit(network(), data, explain)
    events = read(tmp_path / "b")
    assert set(events.Tags()["tensors"]) == {
        f"{kind}/image {number}" for kind in ("image", "map", "confidence", "agreement") for number in (0, 1)
    }
    written = lines(tmp_path / "a")
    assert values(events, "confidence/image 1") == {
        one["epoch"]: pytest.approx(one["images"][1]["confidence"]) for one in written
    }
    assert values(events, "agreement/image 0") == {
        one["epoch"]: pytest.approx(one["images"][0]["agreement"]) for one in written[1:]
    }
    drawn = images(events, "map/image 0")
    assert sorted(drawn) == [1, 2, 3]
    result = Result.load(tmp_path / "a" / written[1]["images"][0]["map"])
    np.testing.assert_array_equal(np.asarray(drawn[2]), np.asarray(render.draw(result.panels[-1], result.view)))
    assert sorted(images(events, "image/image 0")) == [1]


def test_only_tensorboard(data: Data, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    explain = Explain(data[0][:1], "SaliencyMaps", tensorboard=tmp_path)
    fit(network(), data, explain, epochs=1)
    fit(network(), data, explain, epochs=1)
    assert len(list(tmp_path.glob("events.out.tfevents.*"))) == len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"every": 0}, BadRequest, "every is the number of epochs between two records, 1 or more, not 0"),
        ({"to": None}, BadRequest, "pass a folder as to or tensorboard"),
        ({"classes": [1]}, BadRequest, "There are 1 classes for 2 images"),
        ({"visualization": "Saliency"}, NotFound, "Saliency"),
        ({"visualization": 3}, BadRequest, "A visualization is named, such as 'SaliencyMaps', or is a class .*not 3"),
        ({"Window": 3}, BadRequest, "Window"),
        ({"images": "missing.png"}, BadRequest, "missing.png"),
        ({"images": []}, BadRequest, "There are no images"),
        ({"model": "mnist.keras"}, ModelError, "keras.Model"),
    ],
)
def test_wrong_arguments_are_refused_before_the_training(
    arguments: dict[str, Any], error: type[Exception], message: str, data: Data, tmp_path: Path
) -> None:
    with pytest.raises(error, match=message):
        Explain(**{"images": data[0][:2], "to": tmp_path / "training", **arguments})
    assert not (tmp_path / "training").exists()


def test_it_works_in_keras_2(data: Data, tmp_path: Path) -> None:
    library = pytest.importorskip("tf_keras")
    fit(network(library), data, Explain(data[0][:2], "SaliencyMaps", to=tmp_path, classes=[0, 1]), epochs=2)
    assert [one["epoch"] for one in lines(tmp_path)] == [1, 2]
    assert lines(tmp_path)[1]["images"][0]["agreement"] is not None


def test_importing_the_package_imports_no_framework() -> None:
    code = "import sys, picasso.callbacks; sys.exit(any(one in sys.modules for one in ('tensorflow', 'keras', 'PIL')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


KILLED = """
    import sys, numpy as np
    from tests.callbacks.conftest import network
    from picasso.callbacks import Explain
    images = np.random.default_rng(0).random((32, 12, 12, 1)).astype("float32")
    explain = Explain(images[:4], "SaliencyMaps", to=sys.argv[1], classes=0)
    network().fit(images, np.arange(32) % 2, epochs=100000, verbose=0, callbacks=[explain])
"""


@pytest.mark.slow
def test_killing_the_training_loses_nothing_written(data: Data, tmp_path: Path) -> None:
    """Whenever the process is killed, each line has its maps, all files can be read, and a new training goes on."""
    for attempt, delay in enumerate((0.0, 0.013, 0.047, 0.11)):
        folder = tmp_path / str(attempt)
        process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(KILLED), str(folder)], stderr=subprocess.DEVNULL
        )
        try:
            deadline = time.monotonic() + 120
            while not (folder / "maps" / "epoch-0003").exists() and time.monotonic() < deadline:
                time.sleep(0.002)
            time.sleep(delay)
        finally:
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
        written = lines(folder)
        assert [one["epoch"] for one in written] == list(range(1, len(written) + 1))
        assert len(written) >= 2
        for one in written:
            for image in one["images"]:
                assert Result.load(folder / image["map"]).image == image["image"]
        for file in folder.glob("epoch-*.keras"):
            assert keras.saving.load_model(file).count_params() > 0
        assert config.load(folder / "config.yaml").MODEL.startswith("epoch-")
        last = written[-1]["epoch"]
        fit(network(), data, Explain(data[0][:4], "SaliencyMaps", to=folder), initial_epoch=last, epochs=last + 1)
        assert lines(folder)[-1]["epoch"] == last + 1
        assert not list(folder.rglob(".*epoch-*"))
