"""What to write where, in the words of each interface."""

from __future__ import annotations

from pathlib import Path

import pytest

from picasso import remedies
from picasso.config import load
from picasso.errors import ConfigurationError
from picasso.jobs import worker
from picasso.models import load_model
from picasso.remedies import Interface
from tests.fakes import LinearModel


@pytest.mark.parametrize(
    ("interface", "said"),
    [
        (
            Interface.COMMAND_LINE,
            [
                "--load-arg output=scores",
                "--load-arg 'input_shape=[224, 224, 3]'",
                "--load-arg 'constant_feeds={\"keep:0\": 1.0}'",
                "--trust-model",
                "--labels labels.txt",
                "--preprocess 0..255",
            ],
        ),
        (
            Interface.SETTINGS,
            [
                'MODEL_LOAD_ARGS = {"output": "scores"}',
                'MODEL_LOAD_ARGS = {"input_shape": [224, 224, 3]}',
                'MODEL_LOAD_ARGS = {"constant_feeds": {"keep:0": 1.0}}',
                "TRUST_MODEL = True",
                'LABELS = "labels.txt"',
                'PREPROCESS = "0..255"',
            ],
        ),
        (
            Interface.PYTHON,
            [
                'output="scores" for load_model()',
                "input_shape=[224, 224, 3] for load_model()",
                'constant_feeds={"keep:0": 1.0} for load_model()',
                "trust_model=True for load_model()",
                'labels="labels.txt" for load_model()',
                'preprocess="0..255" for load_model()',
            ],
        ),
    ],
)
def test_the_words_of_each_interface(interface: Interface, said: list[str]) -> None:
    remedies.set_interface(interface)
    assert said == [
        remedies.argument("output", "scores"),
        remedies.argument("input_shape", [224, 224, 3]),
        remedies.argument("constant_feeds", {"keep:0": 1.0}),
        remedies.setting("TRUST_MODEL"),
        remedies.setting("LABELS"),
        remedies.setting("PREPROCESS", "0..255"),
    ]


def test_the_interface_is_where_the_model_is_specified(tmp_path: Path) -> None:
    labels = tmp_path / "labels.txt"
    labels.write_text("a\nb\n")
    fakes = Path(__file__).parent / "fakes.py"
    config = tmp_path / "config.py"
    config.write_text(f'MODEL_CLS_PATH = "{fakes}"\nMODEL_CLS_NAME = "BlackBoxModel"\nMODEL_LOAD_ARGS = {{"a": 1}}\n')
    load_model(config)
    assert remedies.called("LABELS") == "LABELS"
    config.write_text(config.read_text().replace('{"a": 1}', '{"self": 1}'))
    with pytest.raises(
        ConfigurationError,
        match=r"BlackBoxModel\.load\(\) doesn't accept these arguments: .*\. Check MODEL_LOAD_ARGS\.$",
    ):
        load_model(config)
    # What a worker in another process is told.
    settings = load(config, {"PORT": 5001}, "command line")
    assert worker.settings_of(worker.reference(settings)).interface == "command line"
    assert worker.settings_of({"file": None, "overrides": {}}).interface == "settings"
    assert LinearModel().shape_of_preprocess() is None
