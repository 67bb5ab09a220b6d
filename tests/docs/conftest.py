"""Models and an application in plain NumPy, for the examples of the pages."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from flask import Flask

from picasso import models
from picasso.evaluation import model_check
from picasso.explanation import cost_model, inputs
from picasso.jobs import worker
from picasso.web.app import create_app
from tests.conftest import close, fake_settings, noise_image
from tests.docs.blocks import PAGES, PLUGINS, ROOT
from tests.fakes import LinearModel

# Every argument of load_model and of a load() that the page of the formats describes.
LOAD_OPTIONS = {"labels", "preprocess", *re.findall(r"^\| `(\w+)` \|", PAGES["formats.md"], re.MULTILINE)}


class DigitModel(LinearModel):
    """What ``load_model`` gives to examples: ten digits, 28 by 28 pixels."""

    def load(self, **arguments: Any) -> None:
        super().load(shape=(28, 28, 1))
        self.num_classes = 10
        self.weights = np.random.default_rng(5).normal(scale=0.01, size=(10, 28, 28, 1)).astype(np.float32)

    def class_names(self) -> list[str]:
        return list("0123456789")


class BaseOfExamples(LinearModel):
    """What the model classes of the pages derive from: five classes, and images that are not square."""

    def load(self, **arguments: Any) -> None:
        super().load(shape=(24, 32, 3))
        self.num_classes = 5
        self.weights = self.weights[:5] * np.float32(0.01)

    def class_names(self) -> list[str]:
        return list("abcde")


class InlineEngine:
    """Computes a job at once, in this process."""

    parallel = False

    def __init__(self, configured: dict[str, Any], work_dir: Path, limit: float, stall: float) -> None:
        self._key = json.dumps(configured, sort_keys=True)
        self._model = worker.model_of(self._key)
        cost_model.measure(self._model)

    def submit(self, folder: Path, shard: int, priority: int = 0) -> Future[None]:
        worker.run_shard(str(folder), shard)
        future: Future[None] = Future()
        future.set_result(None)
        return future

    def audit_pair(self, folder: Path, number: int) -> Future[None]:
        worker.run_audit(str(folder), pair=number)
        future: Future[None] = Future()
        future.set_result(None)
        return future

    def audit(self, folder: Path) -> Future[None]:
        worker.run_audit(str(folder))
        future: Future[None] = Future()
        future.set_result(None)
        return future

    def predict(self, folder: Path) -> Future[None]:
        worker.run_predictions(str(folder))
        future: Future[None] = Future()
        future.set_result(None)
        return future

    def search_concepts(self, folder: Path) -> Future[None]:
        worker.run_concepts(str(folder))
        future: Future[None] = Future()
        future.set_result(None)
        return future

    def rank(self, folder: Path) -> Future[None]:
        worker.run_ranking(str(folder))
        future: Future[None] = Future()
        future.set_result(None)
        return future

    def ask(self, question: dict[str, Any]) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_result(worker.reply(self._key, question))
        return future

    def model_status(self) -> dict[str, Any]:
        report = model_check.check(self._model, [inputs.NamedImage("one", noise_image())])
        return {"state": "ready", "card": self._model.card().as_dict(), "report": report.as_dict()}

    def health(self) -> str:
        return "ready"

    def close(self) -> None:
        pass


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> Iterator[Flask]:
    """The application with a NumPy model, no worker process, and the plugin of the pages."""
    monkeypatch.setattr("picasso.jobs.engines.LocalEngine", InlineEngine)
    application = create_app(fake_settings(PLUGIN_DIRS=[str(PLUGINS)], COMPARE={"epoch 1": {"MODEL_LOAD_ARGS": {}}}))
    yield application
    close(application)


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current folder that looks like the checkout and may be written to."""
    for name in ("picasso", "docs"):
        (tmp_path / name).symlink_to(ROOT / name)
    # A folder of labelled images, for audits.
    for name in ("3", "8"):
        (tmp_path / "images" / name).mkdir(parents=True)
        for seed in range(8):
            noise_image(seed + int(name)).save(tmp_path / "images" / name / f"{seed}.png")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def stand_ins(monkeypatch: pytest.MonkeyPatch) -> None:
    """NumPy models in the place of those that need TensorFlow."""

    def load_model(path: str, **options: Any) -> DigitModel:
        assert not set(options) - LOAD_OPTIONS, options
        model = DigitModel()
        model.load()
        return model

    monkeypatch.setattr(models, "load_model", load_model)
    for module, name in (("picasso.models.keras", "KerasModel"), ("picasso.models.tensorflow", "TFModel")):
        stand_in = ModuleType(module)
        setattr(stand_in, name, BaseOfExamples)
        monkeypatch.setitem(sys.modules, module, stand_in)
