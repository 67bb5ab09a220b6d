"""Cards of channels: planted detectors in a Keras model, and models in plain NumPy whose channels are known."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

import picasso
from picasso.cli.command import main
from picasso.errors import BadRequest, ModelError
from picasso.examples.brightness import BrightnessModel
from picasso.inside.channel import channel_card
from picasso.inside.exemplars import Exemplar, Largest
from picasso.models.arrays import Array
from picasso.models.base import Model
from picasso.models.info import Layer, Place
from picasso.targets.predictions import phrase
from tests.conftest import FAKES, noise_image
from tests.fakes import BlackBoxModel, LinearModel, PooledModel, RegressorModel, SegmenterModel


@pytest.fixture
def colours() -> BrightnessModel:
    """A model whose channels are red, green and blue, and whose logits are multiples of the mean brightness."""
    model = BrightnessModel()
    model.load(channels=3)
    return model


def spots(*spots: tuple[int, int, tuple[int, int, int]]) -> np.ndarray:
    """Images of 8 x 8 pixels, each black except one."""
    images = np.zeros((len(spots), 8, 8, 3), np.uint8)
    for image, (row, column, colour) in zip(images, spots, strict=True):
        image[row, column] = colour
    return images


def test_exemplars_are_the_images_with_the_largest_values(colours: BrightnessModel) -> None:
    images = spots((1, 2, (100, 0, 0)), (4, 5, (255, 0, 0)), (6, 6, (0, 255, 255)), (7, 0, (200, 0, 0)))
    card = channel_card(colours, "input", 0, images, exemplars=2)
    assert [(one.image, one.box) for one in card.by_activation] == [
        ("image 1", (5, 4, 6, 5)),
        ("image 3", (0, 7, 1, 8)),
    ]
    assert [one.value for one in card.by_activation] == pytest.approx([1, 200 / 255])
    assert [one.prediction for one in card.by_activation] == ["dark", "dark"]
    assert np.asarray(card.by_activation[0].crop).tolist() == [[[255, 0, 0]]]
    assert card.images == 4
    assert card.mean == pytest.approx((100 + 255 + 200) / 255 / (4 * 64))


def test_relevance_is_the_value_times_the_gradient(colours: BrightnessModel) -> None:
    # The logit of "dark" falls with the brightness, so only images that are predicted as "bright" have relevance.
    images = np.concatenate([np.full((1, 8, 8, 3), 220, np.uint8), spots((0, 0, (255, 0, 0)))])
    images[0, 3, 4] = 255
    card = channel_card(colours, None, 0, images)
    assert [one.image for one in card.by_relevance] == ["image 0"]
    assert card.by_relevance[0].box == (4, 3, 5, 4)
    inputs = colours.inputs_of([Image.fromarray(images[0])])
    gradient = colours.feature_gradients(inputs, [1])[0, 3, 4, 0]
    assert card.by_relevance[0].value == pytest.approx(float(gradient), rel=1e-6)


def test_changed_answers_are_counted(colours: BrightnessModel) -> None:
    images = np.stack([np.full((8, 8, 3), value, np.uint8) for value in (100, 140, 180, 250)])
    card = channel_card(colours, None, 0, images)
    # Without red, the mean brightness is two thirds: of 140 and 180 it is below one half, of 250 above.
    assert [vars(one) for one in card.changes] == [{"before": "bright", "after": "dark", "images": 2, "among": 3}]
    assert "Without channel 0, 2 of 3 images predicted as bright become dark." in card.sentences()
    same = channel_card(colours, None, 0, images, scale=1)
    assert same.changes == ()
    assert same.shift == 0
    assert same.sentences()[-1] == "With channel 0 multiplied by 1, no predicted class changes."
    inputs = colours.inputs_of([Image.fromarray(image) for image in images])
    best = colours.predict(inputs).argmax(axis=1)
    red = inputs.copy()
    red[..., 0] = 0.25
    expected = (colours.logits(red) - colours.logits(inputs))[np.arange(4), best].mean()
    changed = channel_card(colours, None, 0, images, value=0.25)
    assert changed.shift == pytest.approx(float(expected), rel=1e-6)
    assert changed.edited == "with channel 0 set to 0.25"


def test_batches_do_not_matter(linear: LinearModel, monkeypatch: pytest.MonkeyPatch) -> None:
    images = [noise_image(seed) for seed in range(7)]
    whole = channel_card(linear, None, 1, images, exemplars=3)
    monkeypatch.setattr(Model, "batch_size", 2)
    parts = channel_card(linear, None, 1, images, exemplars=3)
    assert parts.as_dict() == {
        **whole.as_dict(),
        "mean": pytest.approx(whole.mean),
        "shift": pytest.approx(whole.shift),
    }


@pytest.mark.parametrize("kind", [RegressorModel, SegmenterModel])
def test_models_that_are_no_classifiers(kind: type[Any]) -> None:
    model = kind()
    model.load()
    if kind is SegmenterModel:
        with pytest.raises(ModelError, match="no feature maps"):
            channel_card(model, None, 0, [noise_image()])
        return
    card = channel_card(model, None, 0, [noise_image(1), noise_image(2)])
    inputs = model.inputs_of([noise_image(1), noise_image(2)])
    without = inputs * np.array([0, 1, 1], np.float32)
    assert card.shift == pytest.approx(float(np.abs(model.logits(without) - model.logits(inputs)).mean()), rel=1e-5)
    assert card.by_relevance == ()
    assert card.changes == ()
    # Not a word about classes.
    assert card.sentences()[-1] == f"Without channel 0, the mean absolute change of the scores is {card.shift:.3g}."
    (best,) = model.decode(model.predict(inputs[:1]))
    assert {one.prediction for one in card.by_activation if one.image == "image 0"} == {phrase(best[0])}


def test_wrong_questions_are_refused(linear: LinearModel, tmp_path: Path) -> None:
    image = [noise_image()]
    with pytest.raises(ModelError, match="has 3 channels, from 0 to 2"):
        channel_card(linear, None, 3, image)
    with pytest.raises(ModelError, match="layer"):
        channel_card(linear, "conv7", 0, image)
    with pytest.raises(ModelError, match="needs either scale, a factor, or value"):
        channel_card(linear, None, 0, image, scale=1, value=2)
    with pytest.raises(BadRequest, match="There are no images"):
        channel_card(linear, None, 0, [])
    with pytest.raises(BadRequest, match="exemplars must be a whole number from 1 to 4294967295, not 0"):
        channel_card(linear, None, 0, image, exemplars=0)
    with pytest.raises(BadRequest, match="steps must be a whole number from 0 to 4294967295, not -1"):
        channel_card(linear, None, 0, image, steps=-1)
    with pytest.raises(BadRequest, match="steps must be a whole number .*, not 1.5"):
        channel_card(linear, None, 0, image, steps=1.5)  # type: ignore[arg-type]
    with pytest.raises(BadRequest, match="seed must be a whole number .*, not -1"):
        channel_card(linear, None, 0, image, seed=-1)
    black_box = BlackBoxModel()
    black_box.load()
    with pytest.raises(ModelError, match="no feature maps, so it has no channels"):
        channel_card(black_box, None, 0, image)
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no image")
    with pytest.raises(ModelError, match="None of the 1 images can be read"):
        channel_card(linear, None, 0, broken)
    (card, messages) = (found := channel_card(linear, None, 0, [broken, *image])), found.unreadable
    assert card.images == 1
    assert len(messages) == 1
    assert "broken.png" in messages[0]


@pytest.mark.parametrize(
    ("method", "message"),
    [
        ("batch_feature_maps", "Channel 0 of layer input is not a finite number"),
        ("batch_feature_gradients", "The gradient of channel 0 of layer input is not a finite number"),
        ("batch_logits", "The score is not a finite number"),
    ],
)
def test_numbers_that_are_not_finite_are_refused(
    linear: LinearModel, monkeypatch: pytest.MonkeyPatch, method: str, message: str
) -> None:
    known, other = getattr(linear, method), LinearModel()
    other.load()
    # Probabilities that are no numbers are refused by the model itself.
    monkeypatch.setattr(linear, "batch_probabilities", other.batch_probabilities)
    monkeypatch.setattr(linear, method, lambda *arguments: known(*arguments) * np.nan)
    with pytest.raises(ModelError, match=message):
        channel_card(linear, "input", 0, [noise_image()])


def test_images_of_the_same_name_have_different_names(linear: LinearModel, tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        noise_image().save(tmp_path / folder / "one.png")
    card = channel_card(linear, None, 0, tmp_path)
    assert [one.image for one in card.by_activation] == ["a/one.png", "b/one.png"]


def test_a_cell_in_the_padding_shows_the_nearest_pixel() -> None:
    layer = Layer("c", (12, 12, 1), receptive_field=(1, 1), place=Place((-1.5, -1.5), (1.0, 1.0)))
    values = np.zeros((12, 12), np.float32)
    for cell, box in (((0, 0), (0, 0, 1, 1)), ((11, 5), (3, 7, 4, 8)), ((4, 11), (7, 2, 8, 3))):
        exemplar = Exemplar(0, 1.0, cell, values)
        assert exemplar.box(layer, (8, 8)) == box
        assert exemplar.crop(layer, Image.new("RGB", (8, 8))).size == (1, 1)


def test_relevance_of_negative_values_is_not_dimmed() -> None:
    # A value of -2 with a gradient of -3 has a relevance of 6, and its cell is shown as it is.
    layer = Layer("c", (4, 4, 1), receptive_field=(1, 1), place=Place((0.5, 0.5), (1.0, 1.0)))
    relevance = np.zeros((4, 4), np.float32)
    relevance[1, 2] = 6
    kept = Largest(1)
    kept.add(0, relevance)
    (exemplar,) = kept.found()
    crop = exemplar.crop(layer, Image.new("RGB", (4, 4), "black"))
    assert np.asarray(crop).tolist() == [[[0, 0, 0]]]


def test_indices_of_numpy_can_be_saved(colours: BrightnessModel, tmp_path: Path) -> None:
    card = channel_card(colours, None, np.int64(2), spots((1, 2, (0, 0, 200))))  # type: ignore[arg-type]
    card.save(tmp_path / "card")
    assert json.loads((tmp_path / "card" / "card.json").read_text())["channel"] == 2
    (tmp_path / "file").write_text("")
    with pytest.raises(BadRequest, match="can't be written"):
        card.save(tmp_path / "file" / "card")


def test_dead_channels_have_no_exemplars(colours: BrightnessModel) -> None:
    card = channel_card(colours, None, 0, np.zeros((2, 8, 8, 3), np.uint8))
    assert card.by_activation == card.by_relevance == ()
    assert "It is 0 or less in all images." in card.sentences()


def test_the_command(tmp_path: Path) -> None:
    config = tmp_path / "config.py"
    config.write_text(f'MODEL_CLS_PATH = "{FAKES}"\nMODEL_CLS_NAME = "LinearModel"\n')
    folder = tmp_path / "images"
    folder.mkdir()
    for seed in range(3):
        noise_image(seed).save(folder / f"{seed}.png")
    asked = ["inside", "--config", str(config), "--folder", str(folder), "--out", str(tmp_path / "card")]
    printed = CliRunner().invoke(main, [*asked, "--channel", "2"])
    assert printed.exit_code == 0, printed.output
    model = LinearModel()
    model.load()
    card = channel_card(model, None, 2, folder)
    assert printed.stdout.splitlines() == [*card.sentences(), f"-> {tmp_path / 'card'}"]
    stored = json.loads((tmp_path / "card" / "card.json").read_text())
    assert stored == json.loads(json.dumps(card.as_dict()))
    with Image.open(tmp_path / "card" / "by-activation.png") as sheet:
        assert sheet.height == 160
    again = CliRunner().invoke(main, [*asked, "--channel", "2", "--json", "--scale", "0.5"])
    assert json.loads(again.stdout)["edit"] == {"scale": 0.5, "value": None}
    assert (tmp_path / "card-1" / "card.json").exists()
    (folder / "broken.png").write_bytes(b"no image")
    partly = CliRunner().invoke(main, [*asked, "--channel", "2"])
    assert partly.exit_code == 2
    assert "broken.png" in partly.stderr
    whole = CliRunner().invoke(main, [*asked[:-2], "--json"])
    assert whole.exit_code == 2
    assert json.loads(whole.stdout) == json.loads(json.dumps(picasso.channel_effects(model, None, folder).as_dict()))
    nowhere = CliRunner().invoke(main, [*asked, "--channel", "2", "--out", str(tmp_path / "card" / "card.json" / "x")])
    assert nowhere.exit_code == 2
    assert "can't be created" in nowhere.stderr
    with pytest.raises(BadRequest, match="exists already"):
        card.save(tmp_path / "card")


def test_the_value_of_the_preferred_input_is_that_of_a_cell_or_the_mean(linear: LinearModel) -> None:
    """Not to be compared with the largest value in the images if it is the mean."""
    pooled = PooledModel()
    pooled.load()
    for model, mean, words in ((pooled, True, "Its mean value"), (linear, False, "Its value")):
        card = channel_card(model, None, 0, [noise_image()], steps=2)
        assert card.preferred_mean is card.as_dict()["preferred_mean"] is mean
        assert f"{words} for the preferred input is {card.preferred_value:.3g}." in card.sentences()


def test_a_card_without_a_preferred_input_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    class Gamma(LinearModel):
        def preprocess(self, raw_inputs: Any) -> Any:
            return np.stack([(np.asarray(image, np.float32) / 255) ** 2.2 for image in raw_inputs])

    model = Gamma()
    model.load()
    card = channel_card(model, None, 0, [noise_image()])
    assert card.preferred is None
    assert card.sentences()[2].startswith(
        "There is no preferred input: An image can't be sought for this model, because"
    )
    assert card.as_dict()["preferred_value"] is None
    monkeypatch.setattr(LinearModel, "batch_map_gradients", Model.batch_map_gradients)
    linear = LinearModel()
    linear.load()
    assert "its class has no batch_map_gradients()" in channel_card(linear, None, 0, [noise_image()]).note
    assert channel_card(linear, None, 0, [noise_image()], steps=0).note == ""


def test_cards_of_several_channels_are_those_of_each(linear: LinearModel, monkeypatch: pytest.MonkeyPatch) -> None:
    images = [noise_image(seed) for seed in range(3)]
    single = [channel_card(linear, None, one, images, steps=4, scale=0.5).as_dict() for one in (2, 0)]
    passes, known = list[int](), linear.batch_feature_maps

    def counted(inputs: Array, layer: str) -> Array:
        passes.append(len(inputs))
        return known(inputs, layer)

    monkeypatch.setattr(linear, "batch_feature_maps", counted)
    several = picasso.channel_cards(linear, None, [2, 0], images, steps=0, scale=0.5)
    assert passes == [3]
    again = picasso.channel_cards(linear, None, [2, 0], images, steps=4, scale=0.5)
    assert [card.as_dict() for card in again] == single
    assert [card.as_dict() for card in several] == [
        {**one, "preferred_value": None, "preferred_mean": None} for one in single
    ]
    with pytest.raises(BadRequest, match="There are no channels"):
        picasso.channel_cards(linear, None, [], images)


def test_progress_reaches_the_end(linear: LinearModel) -> None:
    for steps in (0, 4):
        seen: list[float] = []
        channel_card(linear, None, 0, [noise_image(1), noise_image(2)], steps=steps, progress=seen.append)
        assert seen == sorted(seen)
        assert seen[-1] == pytest.approx(1)
    seen = []
    picasso.channel_cards(linear, None, [0, 2], [noise_image(1)], steps=4, progress=seen.append)
    assert seen == sorted(seen)
    assert seen[-1] == pytest.approx(1)
