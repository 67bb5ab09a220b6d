"""The ranking of methods: what counts, and when another method than the usual one is preferred."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PIL import Image

import picasso
from picasso.errors import ModelError
from picasso.examples.brightness import BrightnessModel
from picasso.explanation.inputs import NamedImage
from picasso.explanation.registry import Registry
from picasso.grading import methods
from picasso.grading.curves import RANDOM
from picasso.grading.maps import Subject
from picasso.grading.ranking import MapScore, Standing, preference, ranked
from tests.fakes import LinearModel

TITLES = {"Usual": "The usual one", "Other": "The other one", "Third": "The third one"}


def standing(name: str, *scores: float | None, agreement: float | None = 0.1, random: int | None = None) -> Standing:
    """Return the standing of a method whose maps beat a random one on all images, or on ``random``."""
    count = len(scores) if random is None else random
    return Standing(name, scores, 0, count, agreement, ())


def preferred(*standings: Standing) -> tuple[str, str]:
    found = preference(standings, "Usual", TITLES)
    return found.visualization, found.sentence


def test_a_method_that_is_better_beyond_chance_is_preferred() -> None:
    name, sentence = preferred(
        standing("Usual", 0.1, 0.2, 0.15, 0.1, 0.2), standing("Other", 0.5, 0.65, 0.5, 0.55, 0.6)
    )
    assert name == "Other"
    # The differences are .4, .45, .35, .45, .4: t = 21.9 with 4 degrees of freedom.
    assert sentence == (
        "The other one has the best mean score, 0.560 over 5 images; The usual one has 0.150. "
        "Such a difference arises by chance with a probability below 0.001."
    )


@pytest.mark.parametrize(
    ("differences", "limit"), [((0.0, 0.1, 0.2, 0.3, 0.5), 0.05), ((0.1, 0.1, 0.2, 0.2, 0.3), 0.01)]
)
def test_the_stated_probability_is_not_below_the_true_one(differences: tuple[float, ...], limit: float) -> None:
    """One-sided p = .0314 and .0043, which would be rounded to .03 and .004."""
    name, sentence = preferred(standing("Usual", *[0.0] * 5), standing("Other", *differences))
    assert (name, sentence.endswith(f"by chance with a probability below {limit}.")) == ("Other", True), sentence


def test_a_difference_by_chance_changes_nothing() -> None:
    name, sentence = preferred(standing("Usual", 0.1, 0.9, 0.1, 0.9, 0.1), standing("Other", 0.9, 0.1, 0.9, 0.1, 0.9))
    assert name == "Usual"
    assert "is not better than The usual one (0.420) beyond chance, so The usual one is used as before" in sentence


def test_the_level_is_shared_by_all_methods() -> None:
    """One-sided p = .0314 for two methods; with a third, it counts twice."""
    usual, other = standing("Usual", 0.0, 0.0, 0.0, 0.0, 0.0), standing("Other", 0.0, 0.1, 0.2, 0.3, 0.5)
    assert preferred(usual, other)[0] == "Other"
    assert preferred(usual, other, standing("Third", -0.1, -0.1, -0.2, -0.1, -0.1))[0] == "Usual"


@pytest.mark.parametrize("change", [{"agreement": 0.7}, {"random": 2}])
def test_what_fails_a_test_is_not_preferred(change: dict[str, Any]) -> None:
    usual, better = standing("Usual", *[0.1, 0.2] * 3), standing("Other", *[0.8, 0.9] * 3, **change)
    assert preferred(usual, better)[0] == "Usual"
    # A usual method that fails a test itself is replaced.
    assert preferred(standing("Usual", *[0.8, 0.9] * 3, **change), standing("Other", *[0.1, 0.2] * 3))[0] == "Other"


def test_a_higher_score_that_does_not_count_is_not_denied() -> None:
    usual, failing = standing("Usual", *[0.1, 0.2] * 3), standing("Other", *[0.8, 0.9] * 3, agreement=0.9)
    words = "The usual one has the best mean score, 0.150 over 6 images, and is the method that is used anyway."
    assert preferred(usual, failing)[1] == f"Of the methods that pass the tests, {words}"
    assert preferred(usual)[1] == words
    few = standing("Other", 0.8, 0.9, None, None, None, None)
    assert preferred(usual, few)[1] == f"Of the methods that pass the tests, {words}"


def test_a_usual_method_that_lacks_a_score_is_not_replaced_without_a_comparison() -> None:
    """Such as after a worker process was killed, or an image was removed."""
    usual, other = standing("Usual", *[0.8] * 4, None, random=4), standing("Other", *[0.5, 0.6] * 2, 0.5)
    name, sentence = preferred(usual, other)
    assert name == "Usual"
    assert sentence.endswith(
        ", but fewer than 5 of them have a score of The usual one, too, so The usual one is used as before."
    )
    # One that has no score at all fails.
    name, sentence = preferred(standing("Usual", *[None] * 5, random=0), other)
    assert (name, sentence.endswith("The usual one failed one of the tests.")) == ("Other", True)
    name, sentence = preferred(other)
    assert (name, sentence.endswith("The usual method was not among those that were ranked.")) == ("Other", True)


def test_few_images_say_nothing() -> None:
    name, sentence = preferred(standing("Usual", 0.1, 0.1, 0.1, 0.1, None), standing("Other", *[0.9] * 4, None))
    assert name == ""
    assert "at least 5 images" in sentence


def test_differences_without_spread_are_no_chance() -> None:
    assert preferred(standing("Usual", *[0.25] * 5), standing("Other", *[0.5] * 5))[0] == "Other"
    assert preferred(standing("Usual", *[0.5] * 5), standing("Other", *[0.5] * 5))[0] == "Usual"


def test_methods_without_a_score_come_last() -> None:
    found = ranked([standing("Usual", None, None), standing("Other", 0.1, 0.3), standing("Third", 0.2, 0.5)])
    assert [(one.visualization, one.score, one.measured) for one in found] == [
        ("Third", 0.35, 2),
        ("Other", 0.2, 2),
        ("Usual", None, 0),
    ]


def subject(model: Any, visualization: str, seed: int = 0) -> Subject:
    height, width, _ = model.input_shape
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    cls = Registry().get(visualization).require()
    return Subject.of(model, cls, {}, NamedImage("noise.png", Image.fromarray(pixels)))


@pytest.mark.parametrize("visualization", ["PartialOcclusion", "SaliencyMaps"])
def test_what_counts_is_what_a_grade_says(visualization: str) -> None:
    model = LinearModel()
    model.load()
    one = subject(model, visualization)
    seen: list[float] = []
    found = methods.graded(one, methods.controls_of(one, lambda _: None), seen.append)
    (expected,) = picasso.grade(model, visualization, [one.named.image]).images
    assert found.curves == expected.curves
    assert found.weights == expected.weights
    assert np.diff(seen).min() >= 0
    assert replace(MapScore.of(found), untested=()) == replace(MapScore.of(expected), untested=())
    methods.forget()


def test_a_model_without_random_weights_is_ranked_without_them() -> None:
    model = BrightnessModel()
    model.load()
    one = subject(model, "PartialOcclusion")
    found = MapScore.of(methods.graded(one, methods.controls_of(one, lambda _: None), lambda _: None))
    assert found.score is not None
    assert found.agreement is None
    assert found.untested[0].startswith("random weights, because")


def test_controls_that_can_not_be_measured_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    model = LinearModel()
    model.load()
    one = subject(model, "PartialOcclusion")
    assert next(curve.order for curve in methods.controls_of(one, lambda _: None)) == RANDOM

    def fail(*given: Any) -> Any:
        raise ModelError("The model is tired.")

    monkeypatch.setattr(type(model), "values", fail)
    with pytest.raises(ModelError, match="the curves, because the model is tired"):
        methods.controls_of(one, lambda _: None)
