"""Concepts: planted directions are found, and what is measured about them is what is known."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

import picasso
from picasso.cli.command import main
from picasso.errors import BadRequest, ConfigurationError, ModelError
from picasso.inside.concept_card import Concepts
from picasso.inside.concepts import concepts, heat_map, spread
from picasso.models.base import Model
from picasso.models.info import Layer, Place
from tests.conftest import FAKES, noise_image
from tests.fakes import BlackBoxModel, GreyModel, LinearModel, RegressorModel
from tests.inside.planted import DIRECTIONS, PlantedModel, images


@pytest.fixture
def planted() -> PlantedModel:
    model = PlantedModel()
    model.load()
    return model


def named(found: Concepts) -> list[int]:
    """Return the index of the colour of each concept, whose direction must be the planted one."""
    cosines = np.stack([one.direction for one in found.concepts]) @ DIRECTIONS.T
    assert cosines.max(axis=1).min() > 0.999
    colours: list[int] = cosines.argmax(axis=1).tolist()
    assert len(set(colours)) == len(colours)
    return colours


def test_planted_directions_are_found(planted: PlantedModel) -> None:
    found = concepts(planted, None, images(), count=3)
    assert sorted(named(found)) == [0, 1, 2]
    # Blue has no effect on any score that counts.
    assert named(found)[-1] == 2
    assert found.concepts[-1].importance < 1e-6
    assert found.error < 1e-4
    assert (found.images, found.measured, found.negative, found.factors.signed) == (13, 13, 0, False)
    assert [one.number for one in found.concepts] == [1, 2, 3]
    assert sum(one.share for one in found.concepts) == pytest.approx(1)
    amounts = np.stack(images()).astype(float).sum(axis=(0, 1, 2))
    shares = [one.share for one in found.concepts]
    np.testing.assert_allclose(shares, (amounts / amounts.sum())[named(found)], rtol=0, atol=0.01)


def test_switching_off_changes_exactly_the_planted_images(planted: PlantedModel) -> None:
    found = concepts(planted, None, images(6, 4, 3), count=3)
    by_colour = dict(zip(named(found), found.concepts, strict=True))
    assert [vars(one) for one in by_colour[0].changes] == [{"before": "red", "after": "none", "images": 6, "among": 6}]
    assert [vars(one) for one in by_colour[1].changes] == [
        {"before": "green", "after": "none", "images": 4, "among": 4}
    ]
    assert by_colour[2].changes == ()
    inputs = planted.inputs_of([Image.fromarray(one) for one in images()])
    means = inputs.mean(axis=(1, 2))
    assert by_colour[0].shift == pytest.approx(-9 * means[:6, 0].sum() / 13, rel=1e-3)
    assert by_colour[2].shift == pytest.approx(0, abs=1e-3)


def test_what_is_not_explained_stays(planted: PlantedModel) -> None:
    """With one concept of three colours, the answers are those to the feature maps less its part."""
    given = images()
    found = concepts(planted, None, given, count=1)
    assert found.error > 0.1
    inputs = planted.inputs_of([Image.fromarray(one) for one in given])
    maps, (one,) = planted.feature_maps(inputs), found.concepts
    part = found.maps(planted, inputs) * one.direction
    assert ((maps - part) ** 2).sum() / (maps**2).sum() == pytest.approx(found.error, rel=1e-4)
    before, after = planted.predict_from(inputs, [maps, maps - part])
    best = before.outputs.argmax(axis=1)
    shifts = (after.scores - before.scores)[np.arange(len(given)), best]
    assert one.shift == pytest.approx(float(shifts.mean()), rel=1e-4)
    assert sum(change.images for change in one.changes) == (after.outputs.argmax(axis=1) != best).sum()
    assert one.share == 1


def test_exemplars_and_heat_maps_show_the_colour(planted: PlantedModel) -> None:
    given = images()
    found = concepts(planted, None, given, count=3, exemplars=2)
    red = found.concepts[named(found).index(0)]
    strengths = [int(one[..., 0].max()) for one in given]
    assert [one.image for one in red.exemplars] == [f"image {one}" for one in np.argsort(strengths)[::-1][:2]]
    best = given[int(np.argmax(strengths))]
    assert red.exemplars[0].value == pytest.approx(max(strengths) / 255, rel=1e-3)
    left, top, right, bottom = red.exemplars[0].box
    assert (right - left, bottom - top) == (2, 2)
    assert np.asarray(red.exemplars[0].crop).tolist() == best[top:bottom, left:right].tolist()
    heat = np.asarray(red.exemplars[0].heat).astype(int)
    # The colour of the map is over the red pixels only, the rest is grey.
    np.testing.assert_array_equal(np.ptp(heat, axis=2) > 60, best[..., 0] > 0)
    assert red.exemplars[0].prediction == "red"
    inputs = planted.inputs_of([Image.fromarray(one) for one in given])
    maps = found.maps(planted, inputs)[..., named(found).index(0)]
    cells = inputs[..., 0].reshape(-1, 4, 2, 4, 2).mean(axis=(2, 4))
    np.testing.assert_allclose(maps, cells, rtol=0, atol=2e-3)


def test_importance_of_a_linear_score(planted: PlantedModel) -> None:
    """For ``f = c1 m1 + c2 m2``, the total indices are the shares of the squares."""
    given = images()
    given[0][:, :4, 1] = 180
    inputs = planted.inputs_of([Image.fromarray(one) for one in given])
    red, green = inputs.mean(axis=(1, 2))[:, :2].T
    # The score of the predicted class depends on one colour.
    best = planted.predict(inputs).argmax(axis=1)
    squares = np.array([(red[best == 1] ** 2).sum(), (green[best == 2] ** 2).sum(), 0])
    found = concepts(planted, None, given, count=3)
    truth = squares / squares.sum()
    measured = np.zeros(3)
    measured[named(found)] = [one.importance for one in found.concepts]
    np.testing.assert_allclose(measured, truth, rtol=0, atol=0.02)


def test_importance_of_a_product(planted: PlantedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    """For ``f = m1 m2``, both total indices are 4/7."""
    given = [np.where(np.arange(3) < 2, one, 0).astype(np.uint8) for one in images(4, 4, 0)]
    for one in given:
        one[6:, :4, 0], one[6:, 4:, 1] = 200, 240
    monkeypatch.setattr(planted, "predict", lambda inputs: np.tile([0.0, 0, 0, 1], (len(inputs), 1)))
    found = concepts(planted, None, given, target="both", count=2)
    assert sorted(named(found)) == [0, 1]
    assert found.target == "both"
    np.testing.assert_allclose([one.importance for one in found.concepts], [4 / 7, 4 / 7], rtol=0, atol=0.03)


def test_concepts_of_a_class(planted: PlantedModel) -> None:
    found = concepts(planted, None, images(6, 4, 3), target="green", count=2)
    assert found.images == 4
    assert named(found)[0] == 1
    assert found.concepts[0].importance > 0.99
    assert {int(one.image.split()[1]) for one in found.concepts[0].exemplars} == {6, 7, 8, 9}
    assert found.sentences()[0].endswith("in 4 images predicted as green.")
    assert any(line.startswith("Without concept 1, the score of green changes by -") for line in found.sentences())
    same = concepts(planted, None, images(6, 4, 3), target=2, count=2)
    assert same.as_dict() == found.as_dict()
    with pytest.raises(BadRequest, match="None of the 13 images is predicted as both"):
        concepts(planted, None, images(), target="both")
    with pytest.raises(BadRequest, match="The model has no class 4"):
        concepts(planted, None, images(), target=4)
    with pytest.raises(BadRequest, match="blue"):
        concepts(planted, None, images(), target="blue")
    with pytest.raises(BadRequest, match="names two classes"):
        concepts(planted, None, images(), target="red vs green")


def test_negative_values_count_as_channels_of_their_own(planted: PlantedModel) -> None:
    planted.offset = -0.5
    found = concepts(planted, None, images(), count=4)
    maps = planted.feature_maps(planted.inputs_of([Image.fromarray(one) for one in images()]))
    assert found.factors.signed
    assert found.negative == pytest.approx((np.minimum(maps, 0) ** 2).sum() / (maps**2).sum(), rel=1e-5)
    # One direction is the offset, against all channels.
    cosines = np.stack([one.direction for one in found.concepts]) @ np.full(5, -1 / np.sqrt(5))
    assert cosines.max() > 0.99
    assert found.error < 0.02
    assert "of the squared feature maps is negative, so each channel counts as two" in found.sentences()[1]


def test_batches_do_not_matter(planted: PlantedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = concepts(planted, None, images(), count=3).as_dict()
    monkeypatch.setattr(Model, "batch_size", 2)
    parts = concepts(planted, None, images(), count=3).as_dict()
    for one, other in zip(parts.pop("concepts"), whole.pop("concepts"), strict=True):
        for number in ("importance", "share", "shift"):
            assert one.pop(number) == pytest.approx(other.pop(number), rel=1e-5, abs=1e-7)
        assert one == other
    assert parts == {**whole, "error": pytest.approx(whole["error"], rel=1e-4)}


def test_one_channel_is_told_in_the_singular() -> None:
    grey = GreyModel()
    grey.load()
    found = concepts(grey, None, [noise_image()], count=1)
    assert "cells, 1 channel) explains" in found.sentences()[0]


def test_the_seed_decides(planted: PlantedModel) -> None:
    first, same, other = (
        [one.importance for one in concepts(planted, None, images(), count=3, seed=seed).concepts] for seed in (1, 1, 2)
    )
    assert first == same
    assert first != other


def test_models_that_are_no_classifiers() -> None:
    model = RegressorModel()
    model.load()
    given = [noise_image(seed) for seed in range(3)]
    found = concepts(model, None, given, count=3)
    for one in found.concepts:
        assert one.changes == ()
    # Brightness is a linear function of all colours; all of it depends on the concepts.
    assert sum(one.importance for one in found.concepts) == pytest.approx(1, abs=0.05)
    assert any("the mean absolute change of the scores is" in line for line in found.sentences())
    assert found.concepts[0].exemplars[0].prediction
    with pytest.raises(BadRequest, match="Only classifiers have concepts of a class"):
        concepts(model, None, given, target="age")


def test_fewer_directions_than_asked_for(planted: PlantedModel) -> None:
    """Red alone: other concepts are left out or have no share."""
    given = [np.where(np.arange(3) < 1, one, 0).astype(np.uint8) for one in images(5, 0, 0)]
    found = concepts(planted, None, given, count=2)
    assert found.error < 1e-4
    assert found.concepts[0].importance > 0.9
    assert (
        concepts(planted, None, given, count=1)
        .sentences()[0]
        .startswith("1 concept of layer maps (4 x 4 cells, 5 channels) explains 100%")
    )
    # The layer has five channels.
    assert len(concepts(planted, None, images(), count=10).concepts) <= 5


def test_wrong_questions_are_refused(planted: PlantedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    for count in (0, 11):
        with pytest.raises(BadRequest, match=f"count must be a whole number from 1 to 10, not {count}"):
            concepts(planted, None, images(), count=count)
    with pytest.raises(BadRequest, match="exemplars must be a whole number from 1 to 4294967295, not 0"):
        concepts(planted, None, images(), exemplars=0)
    for seed in (-1, 2**32):
        with pytest.raises(BadRequest, match=f"seed must be a whole number from 0 to 4294967295, not {seed}"):
            concepts(planted, None, images(), seed=seed)
    with pytest.raises(ModelError, match="All values of the layer are 0 for these images"):
        concepts(planted, None, np.zeros((2, 8, 8, 3), np.uint8))
    with pytest.raises(ModelError, match="There is no layer 'conv7'"):
        concepts(planted, "conv7", images())
    with pytest.raises(BadRequest, match="There are no images"):
        concepts(planted, None, [])
    black_box = BlackBoxModel()
    black_box.load()
    with pytest.raises(ModelError, match="no feature maps"):
        concepts(black_box, None, [noise_image()])
    monkeypatch.setattr(LinearModel, "batch_predict_from", Model.batch_predict_from)
    unable = LinearModel()
    unable.load()
    with pytest.raises(ModelError, match=r"its class has no batch_predict_from\(\)"):
        concepts(unable, None, [noise_image()], count=2)
    monkeypatch.setattr(planted, "feature_maps", lambda inputs, layer: np.full((len(inputs), 4, 4, 5), np.nan))
    with pytest.raises(ModelError, match="A value of layer maps is not a finite number"):
        concepts(planted, None, images())


def test_without_scikit_learn(planted: PlantedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(ConfigurationError, match=r"scikit-learn: pip install 'picasso-viz\[concepts\]'"):
        concepts(planted, None, images())


def test_progress_reaches_the_end(planted: PlantedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Model, "batch_size", 2)
    for target in (None, "red"):
        seen: list[float] = []
        concepts(planted, None, images(), count=1, target=target, progress=seen.append)
        assert seen == sorted(seen)
        assert seen[-1] == 1


@pytest.mark.parametrize(("share", "images_left"), [(0.3, 12), (1.0, 13)])
def test_an_image_that_is_removed_during_the_search_is_named(
    planted: PlantedModel, tmp_path: Path, share: float, images_left: int
) -> None:
    """Removed before the measurement, it does not count; removed after it, it is missing among the exemplars."""
    files = [tmp_path / f"{number:02}.png" for number in range(13)]
    for file, image in zip(files, images(), strict=True):
        Image.fromarray(image).save(file)

    def remove(fraction: float) -> None:
        if fraction >= share:
            files[5].unlink(missing_ok=True)

    names = [f"image {number}" for number in range(13)]
    found = concepts(planted, None, files, count=3, names=names, progress=remove)
    assert found.unreadable == ("The image image 5 can't be read: No such file or directory.",)
    assert (found.images, found.measured) == (images_left, images_left)
    shown = {one.image for each in found.concepts for one in each.exemplars}
    assert shown
    assert "image 5" not in shown


def test_a_heat_map_lies_where_the_cells_are() -> None:
    layer = Layer("c", (2, 2, 1), place=Place((2, 2), (4, 4)))
    values = np.array([[0, 1], [0, 0.5]], np.float32)
    drawn = np.asarray(heat_map(layer, Image.new("L", (8, 8)), values, 1.0)).astype(int)
    strong = np.ptp(drawn, axis=2)
    assert (strong[:4, 4:] > 200).all()
    assert (strong[:, :4] == 0).all()
    assert ((strong[4:, 4:] > 0) & (strong[4:, 4:] < strong[:4, 4:].min())).all()


def test_what_a_finding_of_an_audit_is_about(planted: PlantedModel, tmp_path: Path) -> None:
    """In the evidence, half of the green turns blue, which no score depends on; files are twice as large."""
    folder = tmp_path / "audit"
    (folder / "evidence").mkdir(parents=True)
    shown = []
    for number, before in enumerate(images(0, 3, 0)):
        after = before.copy()
        after[..., 1] //= 2
        after[..., 2] += after[..., 1]
        for when, one in (("before", before), ("after", after)):
            large = Image.fromarray(one).resize((16, 16), Image.Resampling.NEAREST)
            large.save(folder / "evidence" / f"0-{number}-{when}.png")
        names = {when: f"evidence/0-{number}-{when}.png" for when in ("before", "after")}
        shown.append({**names, "class": "green", "towards": "none"})
    finding = {"name": "half green", "sentence": "Green decides.", "tier": "relies on", "shown": shown}
    same = {**finding, "shown": [{**shown[0], "after": shown[0]["before"]}]}
    file = folder / "audit.json"
    file.write_text(
        json.dumps({"findings": [finding, same, {**finding, "tier": "informative"}, {**finding, "shown": []}]})
    )
    found = concepts(planted, None, images(), count=3, audit=file)
    green = named(found).index(1)
    assert [len(one.findings) for one in found.concepts] == [int(place == green) for place in range(3)]
    (shared,) = found.concepts[green].findings
    assert (shared.finding, shared.sentence, shared.images) == ("half green", "Green decides.", 3)
    assert shared.share == pytest.approx(1, abs=2e-3)
    assert shared.together == pytest.approx(1, abs=2e-3)
    line = next(line for line in found.sentences() if "half green" in line)
    assert line.startswith(f"The finding “half green” of the audit is about concept {green + 1} more than about others")
    (folder / "evidence" / "0-0-before.png").unlink()
    with pytest.raises(BadRequest, match="The evidence of the audit can't be read"):
        concepts(planted, None, images(), audit=file)
    strange = {**finding, "shown": [{**shown[1], "towards": "blue"}]}
    for text in ("{}", "[", '{"findings": [{}]}', '{"findings": [1]}', json.dumps({"findings": [strange]})):
        file.write_text(text)
        with pytest.raises(BadRequest, match=r"is no audit\.json of this model"):
            concepts(planted, None, images(), audit=file)
    with pytest.raises(BadRequest, match="can't be read"):
        concepts(planted, None, images(), audit=tmp_path / "none.json")


def test_a_finding_is_divided_among_concepts(planted: PlantedModel, tmp_path: Path) -> None:
    """An image of red and green loses a half of red and all green: the margin falls by 4.5 r, and rises by 9 g."""
    (tmp_path / "evidence").mkdir()
    before = np.zeros((8, 8, 3), np.uint8)
    before[:4, :, 0], before[4:, :, 1] = 200, 40
    after = before.copy()
    after[:4, :, 0], after[4:, :, 1] = 100, 0
    for when, one in (("before", before), ("after", after)):
        Image.fromarray(one).save(tmp_path / "evidence" / f"{when}.png")
    shown = {"before": "before.png", "after": "after.png", "class": "red", "towards": "green"}
    file = tmp_path / "audit.json"
    file.write_text(
        json.dumps({"findings": [{"name": "f", "sentence": "", "tier": "one direction", "shown": [shown]}]})
    )
    found = concepts(planted, None, images(), count=3, audit=file)
    (shared,) = found.concepts[named(found).index(0)].findings
    assert shared.share == pytest.approx(100 / 60, rel=5e-3)
    assert shared.together == pytest.approx(1, rel=5e-3)


def test_the_command(tmp_path: Path) -> None:
    config = tmp_path / "config.py"
    config.write_text(f'MODEL_CLS_PATH = "{FAKES}"\nMODEL_CLS_NAME = "PooledModel"\n')
    folder = tmp_path / "images"
    folder.mkdir()
    for seed in range(4):
        noise_image(seed).save(folder / f"{seed}.png")
    out = tmp_path / "out" / "found"
    asked = ["inside", "--config", str(config), "--folder", str(folder), "--out", str(out)]
    refused = CliRunner().invoke(main, [*asked, "--concepts", "2", "--seed", str(2**32)])
    assert refused.exit_code == 2
    assert "0<=x<=4294967295" in refused.stderr
    printed = CliRunner().invoke(main, [*asked, "--concepts", "2"])
    assert printed.exit_code == 0, printed.output
    from tests.fakes import PooledModel

    model = PooledModel()
    model.load()
    found = picasso.concepts(model, None, folder, count=2)
    assert printed.stdout.splitlines() == [*found.sentences(), f"-> {out}"]
    assert json.loads((out / "concepts.json").read_text()) == json.loads(json.dumps(found.as_dict()))
    with Image.open(out / "concept-1.png") as sheet:
        assert sheet.size == (4 * 166 - 6, 326)
    again = CliRunner().invoke(
        main, [*asked, "--concepts", "1", "--json", "--class", str(found.concepts[0].exemplars[0].prediction)]
    )
    assert json.loads(again.stdout)["target"] == found.concepts[0].exemplars[0].prediction
    assert (tmp_path / "out" / "found-1" / "concepts.json").exists()
    (folder / "broken.png").write_bytes(b"no image")
    partly = CliRunner().invoke(main, [*asked, "--concepts", "2"])
    assert partly.exit_code == 2
    assert partly.stderr.count("broken.png") == 1
    for wrong, why in (
        (["--concepts", "2", "--channel", "1"], "--concepts can't be combined with --channel, --scale or --value"),
        (["--class", "ant"], "--class and --audit are about concepts; add --concepts"),
        (["--concepts", "11"], "11 is not in the range"),
    ):
        refused = CliRunner().invoke(main, [*asked, *wrong])
        assert refused.exit_code == 2
        assert why in refused.stderr
    with pytest.raises(BadRequest, match="exists already"):
        found.save(out)


@pytest.mark.filterwarnings("ignore")
def test_a_planted_mixture_in_a_network() -> None:
    """A 1 x 1 convolution turns two colours into two overlapping directions of four channels; one decides."""
    keras = pytest.importorskip("keras")
    directions = np.array([[2, 1, 0, 1], [0, 1, 3, 0]], np.float32)
    inputs = keras.Input((16, 16, 3))
    maps = keras.layers.Conv2D(4, 1, activation="relu", name="mixed")(inputs)
    outputs = keras.layers.Dense(2, activation="softmax", name="head")(keras.layers.GlobalAveragePooling2D()(maps))
    network = keras.Model(inputs, outputs)
    kernel = np.concatenate([directions, np.zeros((1, 4), np.float32)])
    network.get_layer("mixed").set_weights([kernel[None, None], np.zeros(4)])
    # The score of the second class is the amount of red alone.
    readout = np.linalg.pinv(directions)[:, 0]
    network.get_layer("head").set_weights([np.stack([0 * readout, 40 * readout], axis=1), np.array([0.0, -1.0])])
    model = picasso.load_model(network, preprocess="0..1")
    random, given = np.random.default_rng(0), []
    for number in range(20):
        image = np.zeros((16, 16, 3), np.uint8)
        top, left = random.integers(0, 8, 2)
        image[top : top + 6, left : left + 8, 1] = random.integers(100, 255)
        if number < 7:
            image[15 - top :, 15 - left :, :2] = random.integers(150, 255), 0
            image[:3, :3, :2] = 220, 0
        given.append(image)
    reddish = [one for one in range(20) if model.predict(model.inputs_of([Image.fromarray(given[one])]))[0, 1] > 0.5]
    found = concepts(model, "mixed", given, count=2)
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    red, green = found.concepts
    assert red.direction @ directions[0] > 0.99
    assert green.direction @ directions[1] > 0.99
    assert [(one.before, one.after, one.images, one.among) for one in red.changes] == [
        ("1", "0", len(reddish), len(reddish))
    ]
    assert 3 <= len(reddish) <= 7
    assert green.changes == ()


def test_results_are_plain_json(planted: PlantedModel, tmp_path: Path) -> None:
    found = concepts(planted, None, images(), count=3)
    document: dict[str, Any] = json.loads(json.dumps(found.as_dict()))
    assert document["concepts"][0]["channels"][0]["weight"] == pytest.approx(
        float(max(found.concepts[0].direction)), rel=1e-6
    )
    found.save(tmp_path / "made")
    assert sorted(one.name for one in (tmp_path / "made").iterdir()) == [
        "concept-1.png", "concept-2.png", "concept-3.png", "concepts.json",
    ]  # fmt: skip


def test_the_measured_images_are_spread_over_the_folder() -> None:
    found = spread(range(100, 260), 16, seed=3)
    assert [(one - 100) // 10 for one in found] == list(range(16))
    assert spread([7, 9], 16, seed=3) == [7, 9]
    assert spread(range(1000), 16, 0) != spread(range(1000), 16, 1)
