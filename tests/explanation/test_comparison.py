"""Several models: the maps of each, and what the one has more than the other."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import picasso
from picasso.attribution.rank_agreement import rank_correlation
from picasso.errors import BadRequest, ModelError
from picasso.explanation import comparison
from picasso.explanation.inputs import NamedImage
from picasso.explanation.registry import Registry
from picasso.explanation.result import Result
from picasso.jobs import worker
from picasso.jobs.run import Run, Spec
from picasso.visualizations.panel import Panel
from tests.conftest import fake_settings, noise_image
from tests.fakes import BlackBoxModel, GreyModel, LinearModel
from tests.jobs.test_run import make_run


def loaded(seed: int = 3, cls: type[LinearModel] = LinearModel, classes: int = 7, **arguments: Any) -> LinearModel:
    """Return a linear model whose weights come from a seed."""
    model = cls()
    model.load(**arguments)
    model.num_classes = classes
    model.weights = np.random.default_rng(seed).normal(size=(classes, *model.input_shape)).astype(np.float32)
    names = LinearModel.class_names(model)[:classes]
    model.class_names = lambda: names  # type: ignore[method-assign]
    return model


def compare(
    models: dict[str, LinearModel], name: str = "SaliencyMaps", count: int = 1, classes: Sequence[int] = ()
) -> tuple[list[Result], list[float]]:
    """Return the results of a comparison and the progress reported."""
    seen: list[float] = []
    images = [NamedImage(f"p{seed}", noise_image(seed)) for seed in range(count)]
    visualization = Registry().get(name).require()
    return list(comparison.run(models, visualization, {}, images, seen.append, targets=classes)), seen


def groups(result: Result) -> dict[str, list[Panel]]:
    found: dict[str, list[Panel]] = {}
    for panel in result.panels:
        found.setdefault(panel.group, []).append(panel)
    return found


def test_one_model_is_an_ordinary_run() -> None:
    model = loaded()
    ((result,), _) = compare({"": model})
    assert result.compared == {}
    assert set(groups(result)) == {""}


def test_maps_of_both_models_and_their_differences() -> None:
    one, two = loaded(3), loaded(4)
    ((result,), _) = compare({"": one, "later": two})
    asked = [prediction["index"] for prediction in result.predictions]
    found = groups(result)
    assert list(found) == ["linear.npz", "later", "later minus linear.npz"]
    for panels in found.values():
        assert [panel.class_index for panel in panels] == asked, "both are asked for the same classes"
    expected = {name: np.abs(model.weights).max(axis=-1) for name, model in (("linear.npz", one), ("later", two))}
    for ours, theirs, difference in zip(*found.values(), strict=True):
        np.testing.assert_allclose(ours.array, expected["linear.npz"][ours.class_index], rtol=1e-6)
        np.testing.assert_allclose(theirs.array, expected["later"][ours.class_index], rtol=1e-6)
        np.testing.assert_array_equal(difference.array, theirs.array - ours.array)
        assert difference.signed
        assert difference.quantity == "difference of |d logit / d pixel|"
        assert (difference.title, difference.probability) == (ours.title, None)
        assert ours.probability is not None
        assert theirs.probability is not None
        assert float(difference.note.removeprefix("probability ")) == pytest.approx(
            theirs.probability - ours.probability, abs=5.1e-4
        )
    inputs = two.preprocess([noise_image(0)])
    assert result.compared == {"later": two.best_classes(two.predict(inputs))[0]}
    assert result.predictions == one.best_classes(one.predict(inputs))[0]


def test_the_agreement_is_that_of_the_maps_which_can_be_compared() -> None:
    one, two = loaded(3), loaded(4)
    ((result,), _) = compare({"": one, "later": two})
    found = groups(result)
    pairs = zip(found["linear.npz"], found["later"], strict=True)
    agreements = [rank_correlation(ours.array, theirs.array) for ours, theirs in pairs]
    assert result.agreement == pytest.approx(np.mean(np.array(agreements, np.float64)))
    # The sketch of the windows is the same for both, but no map.
    ((result,), _) = compare({"": one, "later": two}, "PartialOcclusion")
    assert result.agreement is not None
    assert result.agreement < 0.9
    ((result,), _) = compare({"": one, "five": loaded(4, classes=5)})
    assert result.agreement is None, "there are no maps of the same classes"


def test_a_pair_of_which_one_map_is_flat_has_no_agreement_and_says_so() -> None:
    blind = loaded(4)
    blind.weights = np.zeros_like(blind.weights)
    ((result,), _) = compare({"": loaded(), "same": loaded(), "blind": blind})
    assert result.agreement == 1
    found = groups(result)
    assert {panel.note.endswith(comparison.FLAT) for panel in found["blind minus linear.npz"]} == {True}
    assert {panel.note for panel in found["same minus linear.npz"]} == {"probability +0.000"}


def test_a_change_that_is_rounded_to_nothing_has_no_sign() -> None:
    one, two = [Panel("a", np.ones((2, 2), np.float32), class_index=0, probability=sure) for sure in (1.0, 0.9999)]
    assert comparison.difference(one, two, "b minus a").note == "probability +0.000"


def test_each_pair_of_maps_counts_alike_for_the_agreement() -> None:
    """Whichever model comes last, and however many there are."""
    one, two = loaded(3), loaded(4)
    (alone,), _ = compare({"": one, "later": two})
    (first,), _ = compare({"": one, "same": loaded(3), "later": two})
    (last,), _ = compare({"": one, "later": two, "same": loaded(3)})
    assert alone.agreement is not None
    assert [first.agreement, last.agreement] == pytest.approx([(1 + alone.agreement) / 2] * 2)


def test_a_model_is_no_different_from_itself() -> None:
    ((result,), _) = compare({"": loaded(), "same": loaded()}, "PartialOcclusion")
    found = groups(result)
    assert result.agreement == 1
    # The sketch of the windows has no difference.
    assert [len(panels) for panels in found.values()] == [6, 6, 5]
    for panel in found["same minus linear.npz"]:
        assert not panel.array.any()
        assert panel.note == "probability +0.000"


def test_chosen_classes_are_asked_of_all() -> None:
    models = {"": loaded(3), "b": loaded(4), "c": loaded(5)}
    ((result,), _) = compare(models, classes=[6, 0])
    found = groups(result)
    assert list(found) == ["linear.npz", "b", "b minus linear.npz", "c", "c minus linear.npz"]
    for panels in found.values():
        assert [panel.class_index for panel in panels] == [6, 0]
    for name in "bc":
        for ours, theirs, change in zip(
            found["linear.npz"], found[name], found[f"{name} minus linear.npz"], strict=True
        ):
            np.testing.assert_array_equal(change.array, theirs.array - ours.array)
        inputs = models[name].preprocess([noise_image(0)])
        assert result.compared[name] == models[name].best_classes(models[name].predict(inputs))[0]
    assert len(result.predictions) == 5, "the most probable, whichever are looked at"


@pytest.mark.parametrize("classes", [(), (1, 2)])
def test_other_classes_have_no_difference_though_their_numbers_are_the_same(classes: Sequence[int]) -> None:
    ((result,), _) = compare({"": loaded(), "five": loaded(4, classes=5)}, classes=classes)
    found = groups(result)
    assert list(found) == ["linear.npz", "five"]
    # Of the other model those that are the most probable for it.
    assert [panel.class_index for panel in found["five"]] == [one["index"] for one in result.compared["five"]]


def test_maps_of_other_sizes_have_no_difference() -> None:
    large = loaded(4, shape=(12, 18, 3))
    ((result,), _) = compare({"": loaded(), "large": large})
    assert list(groups(result)) == ["linear.npz", "large"]
    assert {panel.array.shape for panel in groups(result)["large"]} == {(12, 18)}
    # Maps of probabilities are as large as the grid of windows.
    ((result,), _) = compare({"": loaded(), "large": large, "grey": loaded(4, GreyModel)}, "PartialOcclusion")
    assert {"large minus linear.npz", "grey minus linear.npz"} < set(groups(result))


def test_a_first_model_is_named_apart_from_the_others() -> None:
    assert set(groups(compare({"first": loaded(), "b": loaded(4)})[0][0])) == {"first", "b", "b minus first"}
    found = groups(compare({"": loaded(3), "linear.npz": loaded(4)})[0][0])
    assert list(found) == ["LinearModel", "linear.npz", "linear.npz minus LinearModel"]
    nameless = loaded()
    nameless.checkpoint = ""
    found = groups(compare({"": nameless, "LinearModel": loaded(4)})[0][0])
    assert list(found) == ["LinearModel itself", "LinearModel", "LinearModel minus LinearModel itself"]


@pytest.mark.parametrize("name", ["PartialOcclusion", "ClassProbabilities"])
def test_progress_grows_to_one(name: str) -> None:
    results, seen = compare({"": loaded(), "b": loaded(4), "c": loaded(5)}, name, count=3)
    assert [result.image for result in results] == ["p0", "p1", "p2"]
    assert (seen[0], seen[-1]) == (0, 1)
    assert seen == sorted(seen)
    assert len(seen) >= 2 * 3 * 3


def test_a_model_that_lacks_what_is_needed_is_named() -> None:
    with pytest.raises(ModelError, match="needs gradients, which the model BlackBoxModel does not provide"):
        compare({"": loaded(), "b": loaded(4, BlackBoxModel)})


# ---- in a run ---------------------------------------------------------------------------------------------


def compared_run(folder: Path, compared: dict[str, Any], models: list[str]) -> Run:
    images = make_run(folder, count=2).spec().images
    configured = {"file": None, "overrides": fake_settings(COMPARE=compared)}
    return Run.create(folder, Spec("SaliencyMaps", {}, images, 2, configured, 0.0, [2], models))


def test_a_run_compares_the_models_of_the_settings(tmp_path: Path) -> None:
    run = compared_run(tmp_path, {"patch": {"MODEL_CLS_NAME": "PatchModel"}}, ["patch"])
    worker.run_shard(str(run.folder), 0)
    assert run.state()["state"] == "finished"
    for document in run.results():
        json.dumps(document, allow_nan=False)
        shown = [(panel["group"], panel["class_index"]) for panel in document["panels"]]
        assert shown == [("linear.npz", 2), ("patch", 2), ("patch minus linear.npz", 2)]
        assert document["compared"]["patch"][0]["name"] == "gnu"


@pytest.mark.parametrize(
    ("differences", "message"),
    [
        ({"MODEL_CLS_NAME": "NoSuchModel"}, "has no model class NoSuchModel"),
        ({"MODEL": "none.keras"}, "There is no model file"),
        (
            {"MODEL_CLS_NAME": "BlackBoxModel"},
            "SaliencyMaps needs gradients, which the model BlackBoxModel does not provide",
        ),
    ],
)
def test_a_model_that_cannot_be_compared_fails_the_run_with_a_sentence(
    tmp_path: Path, differences: dict[str, Any], message: str
) -> None:
    run = compared_run(tmp_path, {"other": differences}, ["other"])
    worker.run_shard(str(run.folder), 0)
    state = run.state()
    assert state["state"] == "failed"
    assert state["error"] is not None
    assert message in state["error"]["message"]


@pytest.mark.parametrize("classes", [[], [2]])
def test_the_second_model_alone_has_the_maps_of_a_comparison(classes: list[int]) -> None:
    one, two = loaded(3), loaded(4)
    images = [NamedImage(f"p{seed}", noise_image(seed)) for seed in range(2)]
    seen: list[float] = []
    visualization = Registry().get("SaliencyMaps").require()
    alone = list(comparison.run_second(one, two, visualization, {}, images, seen.append, targets=classes))
    together, _ = compare({"": one, "later": two}, count=2, classes=classes)
    for own, both in zip(alone, together, strict=True):
        assert own.predictions == both.compared["later"]
        for ours, theirs in zip(own.panels, groups(both)["later"], strict=True):
            assert ours.target == theirs.target
            np.testing.assert_array_equal(ours.array, theirs.array)
    assert seen == sorted(seen)
    assert seen[-1] == 1


def test_the_second_model_with_other_classes_explains_its_own_predictions() -> None:
    images = [NamedImage("p", noise_image())]
    visualization = Registry().get("SaliencyMaps").require()
    one, two = loaded(3), loaded(4, classes=3)
    (result,) = comparison.run_second(one, two, visualization, {}, images, lambda _: None, targets=[6])
    assert {panel.class_index for panel in result.panels} == {one["index"] for one in result.predictions}


def test_explain_compares_models_in_python() -> None:
    (result,) = picasso.explain(loaded(3), noise_image(), "SaliencyMaps", targets="bee", compare={"later": loaded(4)})
    assert list(groups(result)) == ["linear.npz", "later", "later minus linear.npz"]
    with pytest.raises(BadRequest, match="load_model\\('b.keras'\\)"):
        picasso.explain(loaded(3), noise_image(), compare={"b": "b.keras"})  # type: ignore[dict-item]
