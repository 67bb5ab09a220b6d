"""Other preprocessing on a few images: predictions that can be computed by hand, and a model that stays as it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from picasso.errors import BadRequest, NotFound
from picasso.explanation import preprocessing_trial, questions
from picasso.explanation.registry import Registry
from picasso.models.arrays import Array
from picasso.models.base import Model
from picasso.models.preprocessing import Preprocessing
from tests.conftest import noise_image
from tests.explanation.test_pipeline import Cropping
from tests.explanation.test_questions import loaded, store
from tests.fakes import GreyModel, GuessModel, LinearModel, RangeModel, softmax

REGISTRY = Registry()


def ask(model: Model, paths: list[str], *alternatives: str, samples: bool = False) -> list[dict[str, Any]]:
    question = {"kind": "try preprocessing", "paths": paths, "alternatives": alternatives, "samples": samples}
    answers: list[dict[str, Any]] = questions.answer(model, REGISTRY, question)["alternatives"]
    return answers


def firsts(answer: dict[str, Any]) -> list[str]:
    return [best[0]["name"] for best in answer["predictions"]]


def plain(level: int) -> Image.Image:
    return Image.new("RGB", (9, 6), (level, level, level))


def test_the_range_that_the_model_was_trained_on_predicts_each_image_right(tmp_path: Path) -> None:
    paths = store(tmp_path, plain(0), plain(128), plain(255))
    for samples in (False, True):
        unit, signed, bytes_ = ask(loaded(RangeModel), paths, "0..1", "-1..1", "0..255", samples=samples)
        assert firsts(signed) == ["ant", "dog", "gnu"]
        # 0 is in the middle of -1..1, and 1 at its end.
        assert (firsts(unit)[0], firsts(unit)[2]) == ("dog", "gnu")
        assert [one["keywords"] for one in (unit, signed, bytes_)] == ["0..1", "-1..1", "0..255"]
        assert firsts(bytes_) != firsts(signed)


def test_orders_and_resizes_give_what_a_model_with_this_preprocessing_predicts(tmp_path: Path) -> None:
    image = noise_image(4, (31, 17))
    paths = store(tmp_path, image)
    words = ("0..1", "0..1 bgr", "torch crop", "-1..1 fit nearest", "caffe")
    for keywords, answer in zip(words, ask(loaded(LinearModel), paths, *words), strict=True):
        other = loaded(LinearModel)
        other.preprocessing = Preprocessing.parse(keywords)
        expected = softmax(other.batch_logits(other.preprocess([image])))[0]
        got = {one["index"]: one["prob"] for one in answer["predictions"][0]}
        assert got == {index: pytest.approx(float(expected[index]), abs=1e-6) for index in got}


def test_the_model_is_never_changed_also_if_an_alternative_fails(tmp_path: Path) -> None:
    model, paths = loaded(GuessModel), store(tmp_path, noise_image(1))
    before = dict(vars(model))
    good, bad, last = ask(model, paths, "0..1", "0..1 crop 2", "-1..1")
    assert "crops 9 x 6 pixels out of" in bad["error"]
    assert bad["predictions"] == []
    assert (good["error"], last["error"]) == ("", "")
    assert vars(model) == before
    assert model.preprocessing == Preprocessing()
    assert "torch is for colour images" in ask(loaded(GreyModel), paths, "torch")[0]["error"]


def test_a_class_that_resizes_images_itself_still_does(tmp_path: Path) -> None:
    class Mirrored(LinearModel):
        def view(self, image: Image.Image) -> Image.Image:
            return super().view(image).transpose(Image.Transpose.FLIP_LEFT_RIGHT)

    model, image = loaded(Mirrored), noise_image(3)
    (answer,) = ask(model, store(tmp_path, image), "-1..1")
    expected = softmax(model.batch_logits(np.asarray(model.view(image), np.float32)[None] / 127.5 - 1))[0]
    assert answer["predictions"][0][0]["prob"] == pytest.approx(float(expected.max()), abs=1e-6)
    assert list(preprocessing_trial.offer(model)["choices"]) == ["values", "order"]


def test_a_trial_is_bounded(tmp_path: Path) -> None:
    model, paths = loaded(LinearModel), store(tmp_path, noise_image())
    with pytest.raises(BadRequest, match="at most 5 images and 8 alternatives"):
        ask(model, paths * 6, "0..1")
    with pytest.raises(BadRequest, match="at most 5 images and 8 alternatives"):
        ask(model, paths, *["0..1"] * 9)
    with pytest.raises(NotFound, match="removed"):
        ask(model, [str(tmp_path / "gone.png")], "0..1")


def test_what_is_offered() -> None:
    offer = preprocessing_trial.offer(loaded(GuessModel))
    assert offer["reason"] == ""
    assert offer["keywords"] == "0..1"
    assert offer["current"] == {"values": "0..1", "order": "", "resize": "stretch", "filter": ""}
    assert offer["choices"]["values"] == ["0..1", "-1..1", "0..255", "torch", "caffe"]
    assert offer["choices"]["order"] == ["rgb", "bgr"]
    for values in offer["choices"].values():
        assert len(values) <= preprocessing_trial.MAX_ALTERNATIVES
    assert preprocessing_trial.offer(loaded(GreyModel))["choices"].keys() == {"values", "resize"}
    model = loaded(LinearModel)
    model.preprocessing = Preprocessing.parse("-128..127 crop 224/256 bilinear noantialias")
    offer = preprocessing_trial.offer(model)
    assert offer["choices"]["values"][0] == "-128..127"
    assert offer["choices"]["resize"][0] == "crop 224/256"
    assert offer["keywords"] == "-128..127 crop 224/256 bilinear noantialias"


class Own(LinearModel):
    def open_image(self, source: Any, name: str) -> Any:
        return source


@pytest.mark.parametrize(("cls", "reason"), [(Own, "opens its images itself"), (Cropping, "a function of yours")])
def test_a_class_that_preprocesses_images_itself_has_nothing_to_try(
    cls: type[Model], reason: str, tmp_path: Path
) -> None:
    model: Model = loaded(cls)
    assert reason in preprocessing_trial.offer(model)["reason"]
    assert preprocessing_trial.offer(model)["choices"] == {}
    with pytest.raises(BadRequest, match=reason):
        ask(model, store(tmp_path, noise_image()), "0..1")


def test_a_model_that_fails_on_an_alternative_says_so(tmp_path: Path) -> None:
    class Fragile(LinearModel):
        def batch_probabilities(self, inputs: Array) -> Array:
            answer = super().batch_probabilities(inputs)
            return np.full_like(answer, np.nan) if inputs.max() > 1 else answer

    good, bad = ask(loaded(Fragile), store(tmp_path, noise_image()), "0..1", "0..255")
    assert (good["error"], bad["predictions"]) == ("", [])
    assert "not finite numbers" in bad["error"]
