"""The model is loaded once, in the background, and calls wait for it only so long."""

from __future__ import annotations

import threading

import pytest

from picasso.agents import background_model
from picasso.agents.background_model import BackgroundModel
from picasso.errors import Busy, ModelError
from picasso.examples.brightness import BrightnessModel
from picasso.models.base import Model


def test_it_is_loaded_once_and_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    go, loads = threading.Event(), list[str]()

    def load() -> Model:
        loads.append(threading.current_thread().name)
        assert go.wait(60)
        return BrightnessModel()

    waited: list[float] = []

    def progress(fraction: float) -> None:
        waited.append(fraction)
        if len(waited) == 3:
            go.set()

    model = BackgroundModel(load)
    model.start()
    monkeypatch.setattr(background_model, "WAIT_SECONDS", 0.2)
    with pytest.raises(Busy, match=r"The model is still loading, for \d+ seconds so far\. Repeat the call later\."):
        model.get()
    monkeypatch.setattr(background_model, "WAIT_SECONDS", 60)
    found = model.get(progress)
    assert model.get() is found
    assert (loads, set(waited)) == (["loading"], {0.0})


def test_a_failed_load_is_told_and_tried_again() -> None:
    errors: list[Exception] = [ModelError("The file is damaged."), ValueError("strange")]

    def load() -> Model:
        if errors:
            raise errors.pop(0)
        return BrightnessModel()

    model = BackgroundModel(load)
    with pytest.raises(ModelError, match="damaged"):
        model.get()
    with pytest.raises(ValueError, match="strange"):
        model.get()
    assert isinstance(model.get(), BrightnessModel)


def test_a_cancelled_call_does_not_wait() -> None:
    go = threading.Event()

    def load() -> Model:
        assert go.wait(60)
        return BrightnessModel()

    def cancelled(fraction: float) -> None:
        raise KeyError

    model = BackgroundModel(load)
    with pytest.raises(KeyError):
        model.get(cancelled)
    go.set()
    assert isinstance(model.get(), BrightnessModel)
