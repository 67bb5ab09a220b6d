"""Getting a model ready: what is computed before anybody asks, by one thread, and what gives way to whom."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from picasso.errors import Cancelled
from picasso.explanation import cost_model
from picasso.explanation.registry import Registry
from picasso.jobs import warm_up
from picasso.models.arrays import Array, Classes
from picasso.models.info import Capability
from picasso.models.occlusion import Box
from picasso.visualizations.class_activation import GradCAM
from picasso.visualizations.partial_occlusion import PartialOcclusion
from picasso.visualizations.rise import RISE
from picasso.visualizations.saliency_maps import SaliencyMaps
from tests.conftest import PLUGINS
from tests.fakes import LinearModel, PooledModel


def loaded(cls: type[LinearModel] = PooledModel) -> LinearModel:
    model = cls()
    model.load()
    return model


def test_the_first_map_comes_first_and_plugins_do_not_come() -> None:
    planned = warm_up.plan(loaded(), Registry([PLUGINS]))
    assert planned[0] is PartialOcclusion
    assert {SaliencyMaps, GradCAM} < set(planned)
    assert all(cls.NEEDS - {Capability.PREDICTIONS} for cls in planned[1:])
    assert all(cls.__module__.startswith("picasso.visualizations.") and not cls.EXTRA for cls in planned)


def test_each_is_computed_once_and_leaves_nothing(tmp_path: Path) -> None:
    model, registry = loaded(), Registry()
    steps = warm_up.steps(model, registry, tmp_path)
    next(steps)
    assert cost_model.PACES[model] > 0
    assert cost_model.COMPILED[model] == {"PartialOcclusion"}
    rest = len(list(steps))
    assert rest == len(warm_up.plan(model, registry)) - 1
    assert cost_model.COMPILED[model] == {cls.__name__ for cls in warm_up.plan(model, registry)}
    assert list(tmp_path.iterdir()) == []


def test_what_gives_way_is_done_later(tmp_path: Path) -> None:
    model, wanted = loaded(), [True, True]

    def yield_control() -> None:
        if wanted:
            wanted.pop()
            raise Cancelled

    planned = len(warm_up.plan(model, Registry()))
    assert len(list(warm_up.steps(model, Registry(), tmp_path, yield_control))) == planned + 2
    assert len(cost_model.COMPILED[model]) == planned


def test_of_a_slow_model_no_more_is_computed_than_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    class Asked(PooledModel):
        fixed_batch = 1
        cost = 0.5

        def occlusion_passes(self, boxes: Sequence[Box]) -> float:
            return self.cost * len(boxes)

        def batch_logits(self, inputs: Array) -> Array:
            asked.append(len(inputs))
            return super().batch_logits(inputs)

    warm_up.once(loaded(Asked), PartialOcclusion, tmp_path, lambda: None)
    many = len(asked)
    # One for the image, and one for each position.
    assert many > 400
    asked.clear()
    whole = loaded(Asked)
    monkeypatch.setattr(whole, "cost", 1.0)
    warm_up.once(whole, PartialOcclusion, tmp_path, lambda: None)
    assert len(asked) <= warm_up.REPORTS + 1, "all batches of whole images are alike"
    asked.clear()
    monkeypatch.setattr(warm_up, "FIRST_SECONDS", 0.0)
    monkeypatch.setattr(cost_model, "LONG_SECONDS", 0.0)
    asked.clear()
    slow = loaded(Asked)
    warm_up.once(slow, PartialOcclusion, tmp_path, lambda: None)
    assert 0 < len(asked) < many
    asked.clear()
    cost_model.measure(slow)
    assert len(asked) == 2


def test_a_model_that_fails_is_got_ready_all_the_same(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    class Failing(PooledModel):
        def batch_feature_gradients(self, inputs: Array, classes: Classes, layer: str) -> Array:
            raise ValueError("no gradients today")

    list(warm_up.steps(loaded(Failing), Registry(), tmp_path))
    assert "GradCAM could not be warmed up" in caplog.text


def test_what_was_not_compiled_is_counted_until_it_is() -> None:
    model = loaded()
    assert cost_model.compiling(model, SaliencyMaps) == 0, "not known yet"
    cost_model.took(model, 3.0)
    assert cost_model.compiling(model, SaliencyMaps) == 3.0
    assert cost_model.compiling(model, RISE) == 0, "predictions are compiled at the start"
    cost_model.compiled(model, SaliencyMaps)
    assert cost_model.compiling(model, SaliencyMaps) == 0


def test_compiling_says_nothing_of_the_pace() -> None:
    pace = cost_model.Pace(5.0)
    assert pace.compiling(0.0, 1.0) == 5.0
    assert pace.compiling(0.1, 6.0) == 6.0
    # Nine tenths more take nine seconds, so the first tenth took one, and the rest was compiling.
    assert pace.compiling(1.0, 15.0) == pytest.approx(5.0)
    assert cost_model.Pace(0.0).compiling(0.5, 3.0) == 0


def test_one_thread_calls_the_model(tmp_path: Path) -> None:
    threads = set()

    class Watched(PooledModel):
        def batch_logits(self, inputs: Array) -> Array:
            threads.add(threading.get_ident())
            return super().batch_logits(inputs)

    list(warm_up.steps(loaded(Watched), Registry(), tmp_path))
    assert threads == {threading.get_ident()}
